//! What sockets cost that only wait.

use serde_json::json;

use super::raw::{RawSocket, Received};
use crate::harness::ServerProcess;

/// Sockets before memory is looked at: what is made once is there then.
const WARM_UP: usize = 200;
/// Fewer than the files that every system lets a process have open.
const SOCKETS: usize = 600;

const IDLE_BYTES_MAX: u64 = 6 * 1_024;

async fn idle(server: &ServerProcess, count: usize) -> Vec<RawSocket> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        let mut socket = RawSocket::open(server.url(), "/v1/ws", &[]).await.unwrap();
        let protocol = json!({"features": ["pong", "resync", "auth_expiring", "seq"]});
        socket.authenticate(server.token(), &protocol).await;
        socket.send_message(&json!({"type": "ping"})).await;
        assert!(matches!(socket.next().await, Received::Text(_)));
        sockets.push(socket);
    }
    sockets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_socket_costs_a_few_kilobytes() {
    let server = ServerProcess::start(&[]).await;
    let warm = idle(&server, WARM_UP).await;
    let before = server.memory_kib();
    let sockets = idle(&server, SOCKETS).await;
    let grown = server.memory_kib().saturating_sub(before) * 1_024;
    let each = grown / SOCKETS as u64;
    println!("{each} bytes a socket");
    assert!(each <= IDLE_BYTES_MAX, "{each} bytes a socket");
    drop((warm, sockets));
    server.stop().await;
}
