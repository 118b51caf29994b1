//! What the server counts, for `/metrics`. Every handle is made at the start, so that counting is an addition.
//!
//! The recorder belongs to one node, not to the process: several nodes in one process count apart.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kalam_engine::Engine;
use kalam_link_core::ErrorCode;
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram, with_local_recorder,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// Seconds; from a point read to the statement timeout.
const SECONDS_BUCKETS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0,
];

/// The routes with counters of their own; every other path counts as `none`.
const ROUTES: [&str; 16] = [
    "/livez",
    "/readyz",
    "/health",
    "/metrics",
    "/v1/openapi.json",
    "/v1/api/healthcheck",
    "/v1/api/auth/login",
    "/v1/api/auth/refresh",
    "/v1/api/auth/logout",
    "/v1/api/auth/me",
    "/v1/api/auth/status",
    "/v1/api/auth/setup",
    "/v1/api/sql",
    "/v1/ws",
    "none",
    // What tests add.
    "other",
];

/// Classes of HTTP status.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The counters of a node.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    started: Instant,
    counters: Counters,
}

struct Counters {
    routes: HashMap<&'static str, Route>,
    /// By the position of the code in [`ErrorCode::ALL`].
    statements_failed: Vec<Counter>,
    statements_done: Counter,
    statements_cancelled: Counter,
    requests_running: Gauge,
    sql_seconds: Histogram,
    streams_broken: Counter,
    logins_granted: Counter,
    logins_refused: Counter,
    connections: Gauge,
    connections_total: Counter,
    messages_in: Counter,
    messages_out: Counter,
    socket_bytes_out: Counter,
    panics: Counter,
}

struct Route {
    statuses: [Counter; CLASSES.len()],
    seconds: Histogram,
}

impl Counters {
    /// To be called with a recorder in scope.
    fn new() -> Self {
        let failed =
            |code: &ErrorCode| counter!("kalamdb_statements_total", "code" => code.as_str());
        Self {
            routes: ROUTES
                .into_iter()
                .map(|route| (route, Route::new(route)))
                .collect(),
            statements_failed: ErrorCode::ALL.iter().map(failed).collect(),
            statements_done: counter!("kalamdb_statements_total", "code" => "OK"),
            statements_cancelled: counter!("kalamdb_sql_cancelled_total"),
            requests_running: gauge!("kalamdb_sql_running"),
            sql_seconds: histogram!("kalamdb_sql_seconds"),
            streams_broken: counter!("kalamdb_streams_broken_total"),
            logins_granted: counter!("kalamdb_logins_total", "result" => "granted"),
            logins_refused: counter!("kalamdb_logins_total", "result" => "refused"),
            connections: gauge!("kalamdb_connections"),
            connections_total: counter!("kalamdb_connections_total"),
            messages_in: counter!("kalamdb_socket_messages_total", "direction" => "in"),
            messages_out: counter!("kalamdb_socket_messages_total", "direction" => "out"),
            socket_bytes_out: counter!("kalamdb_socket_sent_bytes_total"),
            panics: counter!("kalamdb_panics_total"),
        }
    }
}

impl Route {
    fn new(route: &'static str) -> Self {
        Self {
            statuses: CLASSES.map(|class| counter!("kalamdb_http_requests_total", "route" => route, "status" => class)),
            seconds: histogram!("kalamdb_http_request_seconds", "route" => route),
        }
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&SECONDS_BUCKETS)
            .expect("there is at least one bucket")
            .build_recorder();
        let counters = with_local_recorder(&recorder, || {
            describe();
            Counters::new()
        });
        Self {
            handle: recorder.handle(),
            recorder,
            started: Instant::now(),
            counters,
        }
    }

    /// A request was answered.
    pub(crate) fn request(&self, route: &str, status: u16, took: Duration) {
        let Some(route) = self
            .counters
            .routes
            .get(route)
            .or_else(|| self.counters.routes.get("other"))
        else {
            return;
        };
        if let Some(counter) = route
            .statuses
            .get(usize::from(status / 100).saturating_sub(1))
        {
            counter.increment(1);
        }
        route.seconds.record(took);
    }

    /// A request that was answered with this error before any statement ran, or a statement that failed.
    pub(crate) fn statement_failed(&self, code: ErrorCode) {
        if let Some(counter) = self.counters.statements_failed.get(code as usize) {
            counter.increment(1);
        }
    }

    pub(crate) fn statements_done(&self, statements: usize) {
        self.counters.statements_done.increment(statements as u64);
    }

    /// A streamed result ended with an error after its beginning was sent.
    pub(crate) fn stream_broke(&self, code: ErrorCode) {
        self.counters.streams_broken.increment(1);
        self.statement_failed(code);
    }

    pub(crate) fn login(&self, granted: bool) {
        if granted {
            self.counters.logins_granted.increment(1)
        } else {
            self.counters.logins_refused.increment(1)
        }
    }

    pub(crate) fn connection_opened(&self) {
        self.counters.connections.increment(1.0);
        self.counters.connections_total.increment(1);
    }

    pub(crate) fn connection_closed(&self) {
        self.counters.connections.decrement(1.0);
    }

    pub(crate) fn socket_message_in(&self) {
        self.counters.messages_in.increment(1);
    }

    pub(crate) fn socket_message_out(&self) {
        self.counters.messages_out.increment(1);
    }

    pub(crate) fn socket_bytes_out(&self, bytes: usize) {
        self.counters.socket_bytes_out.increment(bytes as u64);
    }

    pub(crate) fn panicked(&self) {
        self.counters.panics.increment(1);
    }

    /// Sorts what the histograms have gathered into their buckets. Without it they grow.
    pub(crate) fn tidy(&self) {
        self.handle.run_upkeep();
    }

    /// The text of `/metrics`.
    pub(crate) fn render(&self, engine: &Engine) -> String {
        with_local_recorder(&self.recorder, || self.measure(engine));
        self.handle.render()
    }

    /// What is looked up when somebody asks.
    fn measure(&self, engine: &Engine) {
        let store = engine.store().statistics();
        let set = |name: &'static str, value: u64| gauge!(name).set(value as f64);
        set("kalamdb_uptime_seconds", self.started.elapsed().as_secs());
        set(
            "kalamdb_accepting_writes",
            u64::from(engine.is_accepting_writes()),
        );
        set("kalamdb_tables", engine.catalog().tables().count() as u64);
        set("kalamdb_sockets", engine.live().connections() as u64);
        set(
            "kalamdb_subscriptions",
            engine.live().subscriptions() as u64,
        );
        set("kalamdb_store_memtable_bytes", store.memtable_bytes);
        set("kalamdb_store_block_cache_bytes", store.block_cache_bytes);
        set("kalamdb_store_table_reader_bytes", store.table_reader_bytes);
        set("kalamdb_store_file_bytes", store.file_bytes);
        set(
            "kalamdb_store_pending_compaction_bytes",
            store.pending_compaction_bytes,
        );
        set("kalamdb_store_rows_estimate", store.rows);
        set("kalamdb_store_stream_rows_estimate", store.stream_rows);
        set("kalamdb_store_tombstones_estimate", store.tombstones);
        set("kalamdb_store_snapshots", store.snapshots);
        if let Some(bytes) = resident_bytes() {
            set("process_resident_memory_bytes", bytes);
        }
    }
}

/// A request to `/v1/api/sql` while it runs.
pub(crate) struct RunningSql {
    metrics: Arc<Metrics>,
    started: Instant,
    ended: bool,
}

impl RunningSql {
    pub(crate) fn begin(metrics: &Arc<Metrics>) -> Self {
        metrics.counters.requests_running.increment(1.0);
        Self {
            metrics: Arc::clone(metrics),
            started: Instant::now(),
            ended: false,
        }
    }

    /// The request was answered to its end: it does not count as cancelled.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    pub(crate) fn took(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for RunningSql {
    fn drop(&mut self) {
        let counters = &self.metrics.counters;
        counters.requests_running.decrement(1.0);
        counters.sql_seconds.record(self.started.elapsed());
        if !self.ended {
            counters.statements_cancelled.increment(1);
        }
    }
}

/// Help texts.
fn describe() {
    describe_counter!(
        "kalamdb_http_requests_total",
        "HTTP requests by route and class of status"
    );
    describe_histogram!(
        "kalamdb_http_request_seconds",
        "Time until an answer began, by route"
    );
    describe_counter!(
        "kalamdb_statements_total",
        "Statements and refused requests by code, OK for success"
    );
    describe_counter!(
        "kalamdb_sql_cancelled_total",
        "SQL requests whose client went away"
    );
    describe_gauge!("kalamdb_sql_running", "SQL requests that run");
    describe_histogram!(
        "kalamdb_sql_seconds",
        "Time of SQL requests, streams to their end"
    );
    describe_counter!(
        "kalamdb_streams_broken_total",
        "Streamed results that ended with an error"
    );
    describe_counter!("kalamdb_logins_total", "Logins by result");
    describe_gauge!("kalamdb_connections", "Open connections");
    describe_counter!("kalamdb_connections_total", "Connections since the start");
    describe_gauge!("kalamdb_sockets", "Open WebSockets");
    describe_gauge!("kalamdb_subscriptions", "Subscriptions of all WebSockets");
    describe_counter!(
        "kalamdb_socket_messages_total",
        "Messages over WebSockets by direction"
    );
    describe_counter!(
        "kalamdb_socket_sent_bytes_total",
        "Bytes that were sent over WebSockets"
    );
    describe_counter!(
        "kalamdb_panics_total",
        "Requests that ended in a defect of the server"
    );
    describe_gauge!(
        "kalamdb_accepting_writes",
        "1 while the storage accepts writes"
    );
}

/// Memory of the process that is in RAM.
#[cfg(target_os = "linux")]
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1_024)
}

#[cfg(not(target_os = "linux"))]
fn resident_bytes() -> Option<u64> {
    None
}
