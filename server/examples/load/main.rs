//! Load program: measures a server that it starts itself, beside what the machine can do at best.
//!
//! `cargo run --release -p kalam-server --example load -- <path of kalamdb-server> [seconds] [scenario …]`
//!
//! Every scenario is printed with throughput, latency and the CPU time that the server process used for each operation.
//! The floors of the same run stand beside them: a bare axum endpoint that answers the same bytes, and `fdatasync` of a
//! small append. All traffic stays on loopback and every loop ends after its seconds.
#![expect(
    clippy::print_stdout,
    reason = "the report is the purpose of the program"
)]

mod client;
mod floor;
mod process;
mod scenario;

use std::path::PathBuf;
use std::time::Duration;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    if let [mode, port] = arguments.as_slice()
        && mode == floor::MODE
    {
        return runtime.block_on(floor::serve(port.parse()?));
    }
    let (server, rest) = arguments
        .split_first()
        .ok_or("the path of kalamdb-server is missing")?;
    let (seconds, wanted) = match rest.split_first() {
        Some((first, others)) if first.parse::<u64>().is_ok() => (first.parse()?, others),
        _ => (10, rest),
    };
    let plan = scenario::Plan {
        server: PathBuf::from(server),
        duration: Duration::from_secs(seconds),
        wanted: wanted.to_vec(),
    };
    runtime.block_on(scenario::run(plan))
}
