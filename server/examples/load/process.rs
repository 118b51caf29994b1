//! The server under test as a child process, and what the kernel says about it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;

/// Password of root in the data folders that the program makes.
pub const PASSWORD: &str = "load-program-password";

/// A running server; killed when dropped.
pub struct ServerProcess {
    child: Child,
    pub port: u16,
    /// From the start of the process to the first answer of `/health`.
    pub start_time: Duration,
}

impl ServerProcess {
    /// Starts the server on a free port with its data in `folder`.
    pub async fn start(server: &Path, folder: &Path, durability: &str) -> Result<Self, Failure> {
        let port = free_port()?;
        let begun = Instant::now();
        let child = Command::new(server)
            .args([
                "--host",
                "127.0.0.1",
                "--port",
                &port.to_string(),
                "--data-dir",
            ])
            .arg(folder)
            .env("KALAMDB_ROOT_PASSWORD", PASSWORD)
            .env("KALAMDB_DURABILITY", durability)
            .env("KALAMDB_LOG_LEVEL", "warn")
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()?;
        let mut process = Self {
            child,
            port,
            start_time: Duration::ZERO,
        };
        process.wait_until_it_answers(begun).await?;
        process.start_time = begun.elapsed();
        Ok(process)
    }

    async fn wait_until_it_answers(&mut self, begun: Instant) -> Result<(), Failure> {
        while begun.elapsed() < Duration::from_secs(60) {
            if crate::client::Client::connect(self.port).await.is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the server ended: {status}").into());
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        Err("the server did not answer within a minute".into())
    }

    /// CPU time that the process used so far, user and system.
    pub fn cpu(&self) -> Result<Duration, Failure> {
        cpu_of(self.child.id())
    }

    /// Resident memory in MiB.
    pub fn memory_mib(&self) -> Result<f64, Failure> {
        let status = std::fs::File::open(format!("/proc/{}/status", self.child.id()))?;
        for line in BufReader::new(status).lines() {
            if let Some(rest) = line?.strip_prefix("VmRSS:") {
                let kib: f64 = rest.trim().trim_end_matches(" kB").parse()?;
                return Ok(kib / 1_024.0);
            }
        }
        Err("no VmRSS in /proc".into())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of a process from `/proc/<pid>/schedstat` of its threads, in nanoseconds resolution.
pub fn cpu_of(pid: u32) -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .ok_or("malformed stat")?
        .1
        .split_whitespace()
        .collect();
    // Fields 14 and 15 of proc(5), counted after the name: ticks of 10 ms.
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// A port that nothing listens on at the moment.
pub fn free_port() -> Result<u16, Failure> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}
