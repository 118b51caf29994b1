//! `kalam bench`: measures a server that it starts itself, beside what the machine can do at best.
//!
//! The floors of the same run stand beside each scenario: a bare axum endpoint that answers the same bytes, a bare process
//! that writes the same bytes to the same sockets, and `fdatasync` of a small append. All traffic stays on loopback and
//! every loop ends after its seconds.

mod accounts;
mod catalog;
mod client;
mod compare;
mod contest;
mod epoll;
mod floor;
mod frame;
mod html;
mod live;
mod load;
mod marker;
mod peer;
mod plan;
mod process;
mod program;
mod report;
mod scenario;
mod socket;
mod swarm;
mod writes;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};

use self::plan::Plan;
use self::report::{Quiet, Recorder, Report};
use crate::error::Error;

/// Whatever keeps a measurement from its end. It is shown, and nobody decides by it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Threads that send: more would take the processors from the server.
pub const WORKERS: usize = 2;

const EXAMPLES: &str = "\
Examples:
  kalam bench run                              everything, which takes a while
  kalam bench run W1 R1 --seconds 5            two scenarios
  kalam bench run --json now.json --html now.html
  kalam bench run W1 S1 --peer stack           beside Node, PostgreSQL and ws
  kalam bench compare before.json now.json
  kalam bench list                             what there is

Exit codes: 0 done, 1 a scenario failed, or `compare` found something worse.";

/// Measure how fast the server is on this machine
#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Subcommand, Debug)]
pub enum Action {
    /// Measure scenarios
    Run(Run),
    /// Show the scenarios and the figures to reach
    List,
    /// Compare two reports
    Compare { before: PathBuf, after: PathBuf },
    /// Print the server of the peer `stack`, a program for Node
    StackScript,
    /// The bare endpoint, as a process of its own
    #[command(hide = true)]
    FloorServer { port: u16 },
    /// The bare sockets, as a process of their own
    #[command(hide = true)]
    FloorSockets { port: u16, control_port: u16 },
}

#[derive(ClapArgs, Debug)]
pub struct Run {
    /// Which ones [default: all]
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// How long each measurement takes
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// The server's binary [default: beside this program, else on the PATH]
    #[arg(
        long,
        value_name = "FILE",
        env = "KALAMDB_SERVER_BINARY",
        hide_env_values = true
    )]
    pub server: Option<PathBuf>,
    /// Sockets of scenarios with sockets [default: each has its own number]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=18_000))]
    pub sockets: Option<u32>,
    /// Subscriptions a socket, in S5 and M2
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub subscriptions: u32,
    /// Writers, in S4 and S5
    #[arg(long, value_name = "N", default_value = "32", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub writers: u32,
    /// Rows of the tables of R1, W5 and W6
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = clap::value_parser!(u64).range(1_000..))]
    pub rows: u64,
    /// Open loop: so many operations begin each second, whether the server keeps up or not; latency counts from when each should have begun
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub rate: Option<f64>,
    /// Durability of the live scenarios
    #[arg(long, value_name = "MODE", default_value = "relaxed")]
    pub durability: String,
    /// Do the same work at a peer that is up on this machine, in turns: `postgres[=URL]`, `stack[=PORT]` or `redis[=PORT]`
    #[arg(long, value_name = "NAME")]
    pub peer: Vec<peer::Address>,
    /// Keep the report
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The report for a browser, with plots
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "a number is wanted".to_owned())?;
    if rate.is_finite() && rate > 0.0 {
        return Ok(rate);
    }
    Err("more than 0 is wanted".to_owned())
}

/// Does what the arguments say.
///
/// # Errors
///
/// [`Error::Bench`].
pub async fn run(args: Args) -> Result<ExitCode, Error> {
    act(args.action).await.map_err(Error::Bench)
}

async fn act(action: Action) -> Result<ExitCode, Failure> {
    match action {
        Action::Run(run) => measure(run).await?,
        Action::List => print(&list())?,
        Action::Compare { before, after } => {
            let (text, worse) = compare::compare(&Report::read(&before)?, &Report::read(&after)?);
            print(&text)?;
            return Ok(ExitCode::from(u8::from(worse > 0)));
        }
        Action::StackScript => print(peer::SCRIPT)?,
        Action::FloorServer { port } => floor::serve(port).await?,
        Action::FloorSockets { port, control_port } => floor::sockets::serve(port, control_port)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

fn list() -> String {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["scenario", "work", "to reach"]);
    for entry in catalog::ALL {
        table.add_row([entry.name, entry.work, entry.figure]);
    }
    format!("{table}\n")
}

async fn measure(run: Run) -> Result<(), Failure> {
    if let Some(unknown) = run.scenarios.iter().find(|name| !catalog::exists(name)) {
        return Err(
            format!("there is no scenario `{unknown}`; `kalam bench list` shows them").into(),
        );
    }
    let mut peers = Vec::with_capacity(run.peer.len());
    for address in &run.peer {
        peers.push(peer::Peer::open(address, run.rows).await?);
    }
    let plan = Plan {
        server: server(run.server)?,
        duration: Duration::from_secs(run.seconds.into()),
        wanted: run.scenarios,
        sockets: run.sockets.map(|sockets| sockets as usize),
        subscriptions: run.subscriptions as usize,
        writers: run.writers as usize,
        rows: run.rows,
        rate: run.rate,
        durability: run.durability,
        peers,
        recorder: Recorder::default(),
    };
    epoll::raise_descriptor_limit()?;
    let before = Quiet::probe()?;
    let outcome = scenarios(&plan).await;
    // What was measured before a failure is not lost.
    let report = Report::new(before, plan.recorder.take())?;
    if let Some(path) = &run.json {
        write(path, &serde_json::to_vec_pretty(&report)?)?;
    }
    if let Some(path) = &run.html {
        write(path, html::page(&report).as_bytes())?;
    }
    print(&report.text())?;
    outcome
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()).into())
}

async fn scenarios(plan: &Plan) -> Result<(), Failure> {
    scenario::run(plan).await?;
    writes::run(plan).await?;
    live::run(plan).await?;
    program::run(plan).await
}

fn server(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    const NAME: &str = "kalamdb-server";
    if let Some(path) = given {
        return Ok(path);
    }
    let beside = std::env::current_exe()?.with_file_name(NAME);
    if beside.is_file() {
        return Ok(beside);
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders)
        .map(|folder| folder.join(NAME))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            format!("{NAME} is neither beside this program nor on the PATH; --server names it")
                .into()
        })
}
