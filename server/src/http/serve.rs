//! Connections: accepts them, bounds what an unknown peer may cost, and ends them in order.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::config::ServerConfig;
use crate::metrics::Metrics;
use crate::shutdown::Lifecycle;

/// How long a peer may leave sent bytes unacknowledged or keep its window closed: a client that stops reading would
/// otherwise hold its result for ever.
const UNREAD_MS_MAX: libc::c_uint = 60_000;

/// What connections that came while the server was stopping get to read their 503.
const LATE_GRACE: Duration = Duration::from_secs(1);

/// Pause after a failed accept: the usual cause is that there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub SocketAddr);

/// The listener and its connections.
pub(crate) struct Server {
    lifecycle: Lifecycle,
    drain_timeout: Duration,
    accepting: JoinHandle<()>,
    connections: Connections,
}

/// Connections from before and from after the stop began.
#[derive(Clone, Default)]
struct Connections {
    early: TaskTracker,
    late: TaskTracker,
}

impl Server {
    pub(crate) fn start(
        listener: TcpListener,
        router: Router,
        config: &ServerConfig,
        lifecycle: Lifecycle,
        metrics: Arc<Metrics>,
    ) -> Self {
        let connections = Connections::default();
        let acceptor = Acceptor {
            listener,
            permits: Arc::new(Semaphore::new(config.connections_max)),
            connections: connections.clone(),
            protocol: Arc::new(protocol(config)),
            router,
            lifecycle: lifecycle.clone(),
            metrics,
        };
        Self {
            lifecycle,
            drain_timeout: Duration::from_millis(config.drain_timeout_ms),
            accepting: tokio::spawn(acceptor.run()),
            connections,
        }
    }

    /// Refuses new requests, waits for those under way up to the drain timeout, and ends every connection.
    pub(crate) async fn stop(self) {
        self.lifecycle.stop();
        self.connections.early.close();
        if tokio::time::timeout(self.drain_timeout, self.connections.early.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                connections = self.connections.early.len(),
                "requests did not end in time and are dropped"
            );
        }
        self.accepting.abort();
        let _ = self.accepting.await;
        self.connections.late.close();
        let _ = tokio::time::timeout(LATE_GRACE, self.connections.late.wait()).await;
        self.lifecycle.abort();
        self.connections.early.wait().await;
        self.connections.late.wait().await;
    }
}

fn protocol(config: &ServerConfig) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(config.header_timeout_ms))
        .max_header_size(config.header_bytes_max)
        .max_buf_size(config.header_bytes_max.max(65_536));
    builder
}

struct Acceptor {
    listener: TcpListener,
    permits: Arc<Semaphore>,
    connections: Connections,
    protocol: Arc<http1::Builder>,
    router: Router,
    lifecycle: Lifecycle,
    metrics: Arc<Metrics>,
}

impl Acceptor {
    async fn run(self) {
        loop {
            let permit = Arc::clone(&self.permits)
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            match self.listener.accept().await {
                Ok((stream, peer)) => self.serve(stream, peer, permit),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
        prepare(&stream);
        let connection = Connection {
            router: self.router.clone(),
            protocol: Arc::clone(&self.protocol),
            lifecycle: self.lifecycle.clone(),
            metrics: Arc::clone(&self.metrics),
        };
        let late = self.lifecycle.is_stopping();
        let tracker = if late {
            &self.connections.late
        } else {
            &self.connections.early
        };
        tracker.spawn(async move {
            connection.metrics.connection_opened();
            connection.run(stream, peer, late).await;
            connection.metrics.connection_closed();
            drop(permit);
        });
    }
}

struct Connection {
    router: Router,
    protocol: Arc<http1::Builder>,
    lifecycle: Lifecycle,
    metrics: Arc<Metrics>,
}

impl Connection {
    /// A dropped connection drops the request that runs on it, which cancels its statement.
    async fn run(&self, stream: TcpStream, peer: SocketAddr, late: bool) {
        let service = service_fn(|mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            self.router.clone().oneshot(request)
        });
        let mut connection = pin!(
            self.protocol
                .serve_connection(TokioIo::new(stream), service)
        );
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = self.lifecycle.aborted() => return,
            // A late connection ends with its first answer, which says `Connection: close`.
            () = self.lifecycle.stopping(), if !late => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    result = connection.as_mut() => result,
                    () = self.lifecycle.aborted() => return,
                }
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// Answers leave at once, and peers that are gone or do not read are noticed.
fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    bound_unread(stream);
}

#[cfg(target_os = "linux")]
fn bound_unread(stream: &TcpStream) {
    use std::os::fd::AsRawFd as _;

    let size =
        libc::socklen_t::try_from(size_of::<libc::c_uint>()).expect("an integer has a few bytes");
    // SAFETY: the descriptor is open as long as `stream` is, and the pointer is to an integer of the given size.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_USER_TIMEOUT,
            std::ptr::from_ref(&UNREAD_MS_MAX).cast(),
            size,
        )
    };
    if result != 0 {
        tracing::debug!("TCP_USER_TIMEOUT could not be set");
    }
}

#[cfg(not(target_os = "linux"))]
fn bound_unread(_: &TcpStream) {}
