//! What was measured, as it is printed, kept and compared.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::bench::Failure;
use crate::bench::catalog;
use crate::bench::floor;

/// Of the file's form.
const FORMAT: u32 = 1;

/// How long appends are probed for, before and after.
const PROBE: Duration = Duration::from_secs(1);

/// Steps of the curve of latencies: as many to the left of each further nine.
const CURVE_STEPS: u32 = 4;

/// Everything of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    format: u32,
    pub version: String,
    /// In UTC.
    pub date: String,
    pub machine: Machine,
    pub measurements: Vec<Measurement>,
}

/// Where it ran. What was measured on a busy machine is void.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    pub processors: usize,
    pub kernel: String,
    pub before: Quiet,
    pub after: Quiet,
}

/// How busy the machine is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Quiet {
    /// Over one minute.
    pub load_average: f64,
    /// An append of 256 bytes with `fdatasync`, in µs.
    pub fdatasync_p50_us: u64,
    pub fdatasync_p99_us: u64,
}

impl Quiet {
    pub fn probe() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let load = std::fs::read_to_string("/proc/loadavg")?;
        let (p50, p99) = floor::fdatasync(folder.path(), PROBE)?;
        Ok(Self {
            load_average: load.split(' ').next().unwrap_or_default().parse()?,
            fdatasync_p50_us: micros(p50),
            fdatasync_p99_us: micros(p99),
        })
    }
}

/// One line: a scenario in one way, ours or a floor's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measurement {
    pub scenario: String,
    /// What was done, as in `insert, 32 clients`.
    pub name: String,
    pub operations: u64,
    pub per_second: Option<f64>,
    /// Processor time of the server for one operation.
    pub cpu_us: Option<f64>,
    pub latency: Option<Latency>,
    /// Everything else by its name and unit, as in `RSS [MiB]`.
    pub figures: BTreeMap<String, f64>,
}

/// In µs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Latency {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
    /// Percentiles and their values, closer together to the right.
    pub curve: Vec<(f64, u64)>,
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        let curve = histogram.iter_quantiles(CURVE_STEPS).map(|step| {
            let percent = step.quantile_iterated_to() * 100.0;
            (percent, step.value_iterated_to())
        });
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max(),
            curve: curve.collect(),
        }
    }
}

impl Measurement {
    pub fn new(scenario: &str, name: impl Into<String>) -> Self {
        Self {
            scenario: scenario.to_owned(),
            name: name.into(),
            operations: 0,
            per_second: None,
            cpu_us: None,
            latency: None,
            figures: BTreeMap::new(),
        }
    }

    pub fn rate(mut self, operations: u64, elapsed: Duration) -> Self {
        self.operations = operations;
        self.per_second = Some(operations as f64 / elapsed.as_secs_f64().max(1e-9));
        self
    }

    /// Processor time of all operations.
    pub fn cpu(mut self, cpu: Duration) -> Self {
        self.cpu_us = Some(cpu.as_secs_f64() * 1e6 / self.operations.max(1) as f64);
        self
    }

    pub fn latency(mut self, histogram: &Histogram<u64>) -> Self {
        self.operations = self.operations.max(histogram.len());
        self.latency = Some(Latency::of(histogram));
        self
    }

    pub fn figure(mut self, name: &str, value: f64) -> Self {
        self.operations = self.operations.max(1);
        self.figures.insert(name.to_owned(), value);
        self
    }

    /// Median and 99th percentile of ours in terms of the floor's.
    pub fn ratios(self, what: &str, ours: &Histogram<u64>, floor: &Histogram<u64>) -> Self {
        let ratio = |quantile| {
            let floor = floor.value_at_quantile(quantile).max(1);
            ours.value_at_quantile(quantile) as f64 / floor as f64
        };
        self.figure(&format!("{what}p50 ratio"), ratio(0.5))
            .figure(&format!("{what}p99 ratio"), ratio(0.99))
    }

    /// Its figures in words, and which goals they reach.
    pub fn figures_text(&self) -> String {
        let figures = self.figures.iter().map(|(name, value)| {
            let goal = catalog::goal(&self.scenario, name);
            let mark = match goal.map(|goal| goal.is_reached(*value)) {
                Some(true) => " ✓",
                Some(false) => " ✗",
                None => "",
            };
            format!("{name} {}{mark}", short(*value))
        });
        figures.collect::<Vec<_>>().join(", ")
    }
}

/// Three digits that matter.
pub fn short(value: f64) -> String {
    match value.abs() {
        1_000.0.. => format!("{value:.0}"),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Takes measurements as they come.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<Measurement>>);

impl Recorder {
    pub fn take(&self) -> Vec<Measurement> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps it, and says on standard error how far the run is.
    pub fn record(&self, measurement: Measurement) {
        use std::io::Write as _;
        let rate = measurement
            .per_second
            .map(|rate| format!(", {}/s", short(rate)));
        let latency = measurement
            .latency
            .as_ref()
            .map(|latency| format!(", p50 {} µs", latency.p50));
        let line = format!(
            "{} {}{}{}",
            measurement.scenario,
            measurement.name,
            rate.unwrap_or_default(),
            latency.unwrap_or_default()
        );
        // Nobody needs to read it: the report has all of it.
        let _ = writeln!(std::io::stderr().lock(), "{line}");
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(measurement);
    }
}

impl Report {
    pub fn new(before: Quiet, measurements: Vec<Measurement>) -> Result<Self, Failure> {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
        Ok(Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            date: chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            machine: Machine {
                processors: std::thread::available_parallelism()?.get(),
                kernel: kernel.trim().to_owned(),
                before,
                after: Quiet::probe()?,
            },
            measurements,
        })
    }

    pub fn read(path: &std::path::Path) -> Result<Self, Failure> {
        let name = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        let report: Self =
            serde_json::from_str(&text).map_err(|error| format!("{name} is no report: {error}"))?;
        if report.format != FORMAT {
            return Err(format!("{name} has format {}, not {FORMAT}", report.format).into());
        }
        Ok(report)
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        table.set_header([
            "scenario", "what", "per s", "p50 µs", "p99 µs", "max µs", "CPU µs", "figures",
        ]);
        for measurement in &self.measurements {
            let latency = measurement.latency.as_ref();
            let number = |value: Option<f64>| value.map(short).unwrap_or_default();
            let micros = |value: Option<u64>| value.map(|v| v.to_string()).unwrap_or_default();
            table.add_row([
                measurement.scenario.clone(),
                measurement.name.clone(),
                number(measurement.per_second),
                micros(latency.map(|latency| latency.p50)),
                micros(latency.map(|latency| latency.p99)),
                micros(latency.map(|latency| latency.max)),
                number(measurement.cpu_us),
                measurement.figures_text(),
            ]);
        }
        format!("{}\n{table}\n", self.machine_text())
    }

    pub fn machine_text(&self) -> String {
        let Machine {
            processors,
            kernel,
            before,
            after,
        } = &self.machine;
        format!(
            "KalamDB {} on {processors} processors, Linux {kernel}, {}; load {} → {}, fdatasync p50 {} → {} µs",
            self.version,
            self.date,
            before.load_average,
            after.load_average,
            before.fdatasync_p50_us,
            after.fdatasync_p50_us,
        )
    }
}

pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
