//! What to measure.

use std::path::PathBuf;
use std::time::Duration;

use crate::bench::peer::Peer;
use crate::bench::report::{Measurement, Recorder};

/// What to measure, and where the measurements go.
pub struct Plan {
    pub server: PathBuf,
    /// Of each measurement.
    pub duration: Duration,
    /// Names of scenarios; empty means all.
    pub wanted: Vec<String>,
    pub sockets: Option<usize>,
    pub subscriptions: usize,
    pub writers: usize,
    /// Of the tables that are read by key and loaded in bulk.
    pub rows: u64,
    /// Operations a second of an open loop; none: each client goes on when it has its answer.
    pub rate: Option<f64>,
    /// Of the live scenarios; the others say themselves.
    pub durability: String,
    /// Who does the same beside the server.
    pub peers: Vec<Peer>,
    pub recorder: Recorder,
}

impl Plan {
    pub fn wants(&self, name: &str) -> bool {
        let is_it = |wanted: &String| wanted.eq_ignore_ascii_case(name);
        self.wanted.is_empty() || self.wanted.iter().any(is_it)
    }

    pub fn wants_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.wants(name))
    }

    /// Sockets of a scenario that has this many if nothing was said.
    pub fn sockets(&self, usual: usize) -> usize {
        self.sockets.unwrap_or(usual)
    }

    pub fn record(&self, measurement: Measurement) {
        self.recorder.record(measurement);
    }
}
