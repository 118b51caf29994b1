//! The server under test as a child process, and what the kernel says about it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::bench::Failure;

/// Password of root in the data folders that the program makes.
pub const PASSWORD: &str = "load-program-password";

/// Signs the server's tokens.
pub const JWT_SECRET: &str = "load-program-secret-of-32-bytes-and-more";

/// Resident memory of a process.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub resident_kib: f64,
    /// Without the pages of files: the program itself and what it has mapped.
    pub anonymous_kib: f64,
}

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
        Self::start_with(server, folder, durability, &[]).await
    }

    /// With settings by their variables.
    pub async fn start_with(
        server: &Path,
        folder: &Path,
        durability: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self, Failure> {
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
            .env("KALAMDB_JWT_SECRET", JWT_SECRET)
            .env("KALAMDB_DURABILITY", durability)
            .env("KALAMDB_LOG_LEVEL", "warn")
            .envs(settings.iter().copied())
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
            if crate::bench::client::Client::connect(self.port)
                .await
                .is_ok()
            {
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
        Ok(self.memory()?.resident_kib / 1_024.0)
    }

    pub fn memory(&self) -> Result<Memory, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = |name: &str| -> Result<f64, Failure> {
            let mut lines = status.lines();
            let value = lines
                .find_map(|line| line.strip_prefix(name))
                .ok_or_else(|| format!("no {name} in /proc"))?;
            Ok(value.trim().trim_end_matches(" kB").parse()?)
        };
        Ok(Memory {
            resident_kib: kib("VmRSS:")?,
            anonymous_kib: kib("RssAnon:")?,
        })
    }

    /// Waits until the server has nothing more to do, and has had time to give memory back.
    pub async fn settle(&self) -> Result<(), Failure> {
        const LOOKS_MAX: usize = 120;
        const LOOK_EVERY: Duration = Duration::from_millis(500);
        const QUIET_LOOKS: usize = 3;
        // Two ticks: of the clock that the kernel counts with.
        const QUIET: Duration = Duration::from_millis(20);
        let mut quiet = 0;
        let mut before = self.cpu()?;
        for _ in 0..LOOKS_MAX {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.cpu()?;
            quiet = if now - before <= QUIET { quiet + 1 } else { 0 };
            before = now;
            if quiet == QUIET_LOOKS {
                return Ok(());
            }
        }
        Err("the server does not come to rest".into())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of a process, in ticks of the clock that the kernel counts with.
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
