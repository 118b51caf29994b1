//! What the machine can do at best: a bare endpoint, bare sockets, and one durable append.

pub mod sockets;

use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{get, post};

use crate::bench::Failure;

/// First argument that makes the program the bare endpoint.
pub const MODE: &str = "floor-server";

/// The answer of an INSERT, as the real server writes it.
const ANSWER: &str = r#"{"status":"success","results":[{"row_count":1,"message":"Inserted 1 row(s)","as_user":"root","truncated":false}],"took":0.100}"#;

/// Answers every POST to the SQL path with the same bytes, reading the whole body and nothing else.
pub async fn serve(port: u16) -> Result<(), Failure> {
    let answer = |_body: Bytes| async { ([(CONTENT_TYPE, "application/json")], ANSWER) };
    let router = Router::new()
        .route("/v1/api/sql", post(answer))
        .route("/health", get(|| async { "{}" }));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(
        axum::serve::ListenerExt::tap_io(listener, |stream| {
            let _ = stream.set_nodelay(true);
        }),
        router,
    )
    .await?;
    Ok(())
}

/// Median and 99th percentile of an append of 256 bytes with `fdatasync`, over `duration`.
pub fn fdatasync(folder: &Path, duration: Duration) -> Result<(Duration, Duration), Failure> {
    let path = folder.join("fdatasync-probe");
    let mut file = std::fs::File::create(&path)?;
    let begun = Instant::now();
    let mut times = Vec::new();
    while begun.elapsed() < duration {
        let one = Instant::now();
        file.write_all(&[7; 256])?;
        // SAFETY: the descriptor belongs to `file`, which is open.
        if unsafe { libc::fdatasync(file.as_raw_fd()) } != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        times.push(one.elapsed());
    }
    std::fs::remove_file(path)?;
    times.sort_unstable();
    Ok((times[times.len() / 2], times[times.len() * 99 / 100]))
}
