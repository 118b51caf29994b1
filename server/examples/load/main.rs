//! Load program: measures a server that it starts itself, beside what the machine can do at best.
//!
//! `cargo run --release -p kalam-server --example load -- <path of kalamdb-server> [seconds] [--option value] [scenario …]`
//!
//! Every scenario is printed with throughput, latency and the CPU time that the server process used for each operation.
//! The floors of the same run stand beside them: a bare axum endpoint that answers the same bytes, a bare process that
//! writes the same bytes to the same sockets, and `fdatasync` of a small append. All traffic stays on loopback and every
//! loop ends after its seconds. Without a scenario all of them run, which takes a while.
//!
//! Options: `--sockets` (each scenario with sockets has its own number), `--subscriptions` a socket (S5, M2; 100),
//! `--writers` (S4, S5; 32), `--durability` of the scenarios with sockets (`relaxed`).
#![expect(
    clippy::print_stdout,
    reason = "the report is the purpose of the program"
)]

mod accounts;
mod client;
mod epoll;
mod floor;
mod frame;
mod live;
mod marker;
mod plan;
mod process;
mod scenario;
mod socket;
mod swarm;

use std::time::Duration;

use plan::Plan;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, port, control_port] = arguments.as_slice()
        && mode == floor::sockets::MODE
    {
        return floor::sockets::serve(port.parse()?, control_port.parse()?);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    if let [mode, port] = arguments.as_slice()
        && mode == floor::MODE
    {
        return runtime.block_on(floor::serve(port.parse()?));
    }
    let plan = Plan::parse(&arguments, &[scenario::NAMES, live::NAMES])?;
    epoll::raise_descriptor_limit()?;
    runtime.block_on(run(&plan))
}

async fn run(plan: &Plan) -> Result<(), Failure> {
    print_machine()?;
    scenario::run(plan).await?;
    live::run(plan).await?;
    print_machine()
}

/// How busy the machine is: what was measured on a busy one is void.
fn print_machine() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    let (median, p99) = floor::fdatasync(folder.path(), Duration::from_secs(2))?;
    println!("load average {}", load.join(" "));
    println!("fdatasync    p50 {median:?}  p99 {p99:?}");
    Ok(())
}
