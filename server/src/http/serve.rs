//! Connections: accepts them, bounds what an unknown peer may cost, and ends them in order. One that becomes a WebSocket
//! stays one connection to the limits, the metrics and the stop of the server.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Parts};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::config::ServerConfig;
use crate::descriptors::connections_max;
use crate::metrics::Metrics;
use crate::shutdown::Lifecycle;
use crate::ws::Opening;

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

/// Where a request leaves the socket that its connection becomes.
#[derive(Clone, Default)]
pub(crate) struct Handover(Arc<Mutex<Option<(OnUpgrade, Opening)>>>);

impl Handover {
    /// The answer to the request must say that the protocol changes.
    pub(crate) fn put(&self, on_upgrade: OnUpgrade, opening: Opening) {
        *self.0.lock() = Some((on_upgrade, opening));
    }

    fn take(&self) -> Option<(OnUpgrade, Opening)> {
        self.0.lock().take()
    }
}

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
            permits: Arc::new(Semaphore::new(connections_max(config.connections_max))),
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
        };
        let late = self.lifecycle.is_stopping();
        let tracker = if late {
            &self.connections.late
        } else {
            &self.connections.early
        };
        let open = Open::new(Arc::clone(&self.metrics), permit);
        let sockets = tracker.clone();
        tracker.spawn(async move {
            if let Some(upgraded) = connection.run(stream, peer, late).await {
                // A task of its own: it lives long, and this one has room for a whole HTTP connection.
                sockets.spawn(upgraded.run(open));
            }
        });
    }
}

/// A connection that counts.
struct Open {
    metrics: Arc<Metrics>,
    _permit: OwnedSemaphorePermit,
}

impl Open {
    fn new(metrics: Arc<Metrics>, permit: OwnedSemaphorePermit) -> Self {
        metrics.connection_opened();
        Self {
            metrics,
            _permit: permit,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.connection_closed();
        if std::thread::panicking() {
            self.metrics.panicked();
        }
    }
}

struct Connection {
    router: Router,
    protocol: Arc<http1::Builder>,
    lifecycle: Lifecycle,
}

/// A connection that is no HTTP any more.
struct Upgraded {
    stream: TcpStream,
    opening: Opening,
    /// What came behind the request.
    read: bytes::Bytes,
}

impl Upgraded {
    fn run(self, open: Open) -> impl Future<Output = ()> + Send + 'static {
        let socket = self.opening.run(self.stream, &self.read);
        async move {
            let _open = open;
            socket.await;
        }
    }
}

impl Connection {
    /// A dropped connection drops the request that runs on it, which cancels its statement.
    async fn run(&self, stream: TcpStream, peer: SocketAddr, late: bool) -> Option<Upgraded> {
        let handover = Handover::default();
        let service = service_fn(|mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            request.extensions_mut().insert(handover.clone());
            self.router.clone().oneshot(request)
        });
        let mut connection = pin!(
            self.protocol
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
        );
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = self.lifecycle.aborted() => return None,
            // A late connection ends with its first answer, which says `Connection: close`.
            () = self.lifecycle.stopping(), if !late => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    result = connection.as_mut() => result,
                    () = self.lifecycle.aborted() => return None,
                }
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a connection ended early");
            return None;
        }
        upgraded(handover.take()?).await
    }
}

async fn upgraded((on_upgrade, opening): (OnUpgrade, Opening)) -> Option<Upgraded> {
    // The connection has ended, so this is decided; without an upgrade the socket is gone with it.
    let upgraded = on_upgrade.await.ok()?;
    let Parts { io, read_buf, .. } = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    Some(Upgraded {
        stream: io.into_inner(),
        opening,
        read: read_buf,
    })
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
