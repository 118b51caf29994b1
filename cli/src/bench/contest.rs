//! Ours and the peers at the same work, in turns: A B A B A B, so that a machine that becomes slower does it to all.

use crate::bench::Failure;
use crate::bench::client::Client;
use crate::bench::load::{MakeBody, Measured, Statements, drive};
use crate::bench::peer::Work;
use crate::bench::plan::Plan;
use crate::bench::process::ServerProcess;
use crate::bench::report::Measurement;

/// Turns of each, where there is somebody to take turns with.
const TURNS: u64 = 3;

/// Operations of a turn have numbers below this, from the turn's first on.
const TURN_NUMBERS: u64 = 1 << 32;

/// One kind of operation.
pub struct Contest<'a> {
    pub scenario: &'a str,
    pub name: &'a str,
    pub clients: usize,
    /// Number of the first operation: those of two contests that insert into one table must not meet.
    pub first: u64,
    /// Rows that an operation reads or writes.
    pub rows: u64,
    /// What peers do; none if they have nothing alike.
    pub work: Option<Work>,
    /// What the server does.
    pub make: MakeBody,
}

impl Contest<'_> {
    /// Measures, compares and records.
    pub async fn run(
        self,
        plan: &Plan,
        server: &ServerProcess,
        root: &Client,
    ) -> Result<(), Failure> {
        let peers: Vec<_> = plan
            .peers
            .iter()
            .filter_map(|peer| Some((peer, self.work.filter(|work| peer.does(*work))?)))
            .collect();
        let turns = if peers.is_empty() { 1 } else { TURNS };
        let mut ours = Measured::new()?;
        let mut theirs = Vec::new();
        for _ in &peers {
            theirs.push(Measured::new()?);
        }
        for turn in 0..turns {
            let first = self.first + turn * TURN_NUMBERS;
            let clients = Statements::connect(server.port, root, self.clients, &self.make).await?;
            ours.add(&drive(plan, clients, first, &|| server.cpu()).await?)?;
            for ((peer, work), theirs) in peers.iter().zip(&mut theirs) {
                let workers = peer.workers(*work, self.clients, plan.rows).await?;
                theirs.add(&drive(plan, workers, first, &|| peer.cpu()).await?)?;
            }
        }
        let mut measurement = self
            .measurement(&ours, self.name)
            .figure("RSS [MiB]", server.memory_mib()?);
        for ((peer, _), theirs) in peers.iter().zip(&theirs) {
            measurement = versus(measurement, peer.name(), &ours, theirs);
        }
        plan.record(measurement);
        for ((peer, _), theirs) in peers.iter().zip(&theirs) {
            let name = format!("{}: {}", peer.name(), self.name);
            plan.record(self.measurement(theirs, &name));
        }
        Ok(())
    }

    fn measurement(&self, measured: &Measured, name: &str) -> Measurement {
        let measurement = measured.measurement(self.scenario, name);
        if self.rows == 1 {
            return measurement;
        }
        let rows = self.rows as f64;
        measurement
            .figure("rows/s", measured.per_second() * rows)
            .figure("CPU a row [µs]", measured.cpu_each() / rows)
    }
}

/// Ours in terms of a peer's.
fn versus(measurement: Measurement, peer: &str, ours: &Measured, theirs: &Measured) -> Measurement {
    let median = |measured: &Measured| measured.histogram.value_at_quantile(0.5).max(1) as f64;
    measurement
        .figure(
            &format!("rate / {peer}"),
            ours.per_second() / theirs.per_second(),
        )
        .figure(
            &format!("CPU / {peer}"),
            ours.cpu_each() / theirs.cpu_each(),
        )
        .figure(&format!("p50 / {peer}"), median(ours) / median(theirs))
}
