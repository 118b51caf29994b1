//! The programs themselves: L1, how long the shell takes, and I3, how large the binaries are.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use hdrhistogram::Histogram;

use crate::bench::Failure;
use crate::bench::plan::Plan;
use crate::bench::process::{PASSWORD, ServerProcess};
use crate::bench::report::{Measurement, micros};

/// Runs of the shell that are not counted.
const WARM_UP: usize = 2;

pub async fn run(plan: &Plan) -> Result<(), Failure> {
    if plan.wants("L1") {
        shell(plan).await?;
    }
    if plan.wants("I3") {
        let mebibytes = |path: &Path| -> Result<f64, Failure> {
            Ok(std::fs::metadata(path)?.len() as f64 / f64::from(1 << 20))
        };
        let sizes = Measurement::new("I3", "these binaries")
            .figure("server [MiB]", mebibytes(&plan.server)?)
            .figure("shell [MiB]", mebibytes(&std::env::current_exe()?)?);
        plan.record(sizes);
    }
    Ok(())
}

async fn shell(plan: &Plan) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let server = ServerProcess::start(&plan.server, folder.path(), "relaxed").await?;
    let url = format!("http://127.0.0.1:{}", server.port);
    let runs: [(&str, &[&str]); 2] = [
        ("kalam --version", &["--version"]),
        (
            "kalam -c 'SELECT 1'",
            &["--url", &url, "-q", "-c", "SELECT 1"],
        ),
    ];
    for (name, arguments) in runs {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(arguments)
            .env("KALAM_USER", "root")
            .env("KALAM_PASSWORD", PASSWORD);
        for variable in [
            "HOME",
            "XDG_CONFIG_HOME",
            "XDG_CACHE_HOME",
            "XDG_STATE_HOME",
        ] {
            command.env(variable, folder.path());
        }
        measure(plan, "L1", name, &mut command)?;
    }
    // What others take to start, where they are.
    let mut other = Command::new("psql");
    other.arg("--version");
    if other.stdout(Stdio::null()).status().is_ok() {
        measure(plan, "L1", "psql --version", &mut other)?;
    }
    Ok(())
}

fn measure(plan: &Plan, scenario: &str, name: &str, command: &mut Command) -> Result<(), Failure> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut histogram = Histogram::<u64>::new(3)?;
    let begun = Instant::now();
    let mut runs = 0;
    while begun.elapsed() < plan.duration || runs <= WARM_UP {
        let one = Instant::now();
        let status = command.status()?;
        if !status.success() {
            return Err(format!("{name} ended with {status}").into());
        }
        runs += 1;
        if runs > WARM_UP {
            histogram.record(micros(one.elapsed()))?;
        }
    }
    plan.record(Measurement::new(scenario, name).latency(&histogram));
    Ok(())
}
