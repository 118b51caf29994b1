//! A link between clients and a server that a test cuts in the middle of frames, or lets through as slowly as it wants.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

// Below the size of most frames, so that a cut often falls into one.
const CHUNK_BYTES: usize = 97;

// What the system keeps of a slow link, as small as it allows: the server has to feel the reader's pace.
const SLOW_BUFFER_BYTES: u32 = 4_096;

/// Listens on a free port and passes each connection on. Ends when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    links: Links,
    accepting: JoinHandle<()>,
}

/// Open connections, each with what cuts it.
type Links = Arc<Mutex<Vec<Arc<Notify>>>>;

/// How fast the server's bytes pass.
#[derive(Clone)]
enum Pace {
    Full,
    /// A chunk for each permit.
    Permits(Arc<Semaphore>),
}

/// Lets chunks of a slow proxy pass.
#[derive(Clone)]
pub struct Valve(Arc<Semaphore>);

impl Valve {
    pub fn pass(&self, chunks: usize) {
        self.0.add_permits(chunks);
    }

    /// From here on everything passes.
    pub fn open(&self) {
        self.0.add_permits(Semaphore::MAX_PERMITS / 2);
    }
}

impl Proxy {
    pub async fn start(server: &str) -> Self {
        Self::with_pace(server, Pace::Full).await
    }

    /// Nothing that the server says passes unless the valve lets it.
    pub async fn slow(server: &str) -> (Self, Valve) {
        let permits = Arc::new(Semaphore::new(0));
        let proxy = Self::with_pace(server, Pace::Permits(Arc::clone(&permits))).await;
        (proxy, Valve(permits))
    }

    async fn with_pace(server: &str, pace: Pace) -> Self {
        let server: SocketAddr = server.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let links = Links::default();
        let accepting = tokio::spawn(accept(listener, server, pace, Arc::clone(&links)));
        Self {
            address,
            links,
            accepting,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Cuts one of the open connections, chosen by a number; false if there is none.
    pub fn cut(&self, choice: u64) -> bool {
        let mut links = self.links.lock().unwrap();
        if links.is_empty() {
            return false;
        }
        let at = usize::try_from(choice % links.len() as u64).unwrap();
        links.swap_remove(at).notify_one();
        true
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        for link in self.links.lock().unwrap().drain(..) {
            link.notify_one();
        }
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, pace: Pace, links: Links) {
    while let Ok((client, _)) = listener.accept().await {
        let socket = TcpSocket::new_v4().unwrap();
        if matches!(pace, Pace::Permits(_)) {
            socket.set_recv_buffer_size(SLOW_BUFFER_BYTES).unwrap();
        }
        let Ok(server) = socket.connect(server).await else {
            continue;
        };
        let cut = Arc::new(Notify::new());
        links.lock().unwrap().push(Arc::clone(&cut));
        let pace = pace.clone();
        let links = Arc::clone(&links);
        tokio::spawn(async move {
            pass(client, server, &pace, &cut).await;
            links
                .lock()
                .unwrap()
                .retain(|link| !Arc::ptr_eq(link, &cut));
        });
    }
}

/// Until one side ends or the link is cut. What was read and not passed on is lost, as on a network.
async fn pass(client: TcpStream, server: TcpStream, pace: &Pace, cut: &Notify) {
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    tokio::select! {
        () = cut.notified() => {}
        () = pass_down(from_server, to_client, pace) => {}
        _ = copy(&mut from_client, &mut to_server) => {}
    }
}

async fn pass_down(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, pace: &Pace) {
    let mut buffer = match pace {
        Pace::Full => vec![0; CHUNK_BYTES],
        Pace::Permits(_) => vec![0; SLOW_BUFFER_BYTES as usize],
    };
    loop {
        if let Pace::Permits(permits) = pace {
            permits.acquire().await.unwrap().forget();
        }
        match from.read(&mut buffer).await {
            Ok(read) if read > 0 && to.write_all(&buffer[..read]).await.is_ok() => {}
            _ => return,
        }
    }
}
