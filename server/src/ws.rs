//! `/v1/ws`: sockets, and what drives the connections of the engine's live part over them.
//!
//! ```text
//! upgrade ─ Opening ─> http::serve ─ TcpStream ─> Socket ── Reader ──> Conn ──> Outbox
//!                                                   └── Jobs: logins, loads, statements
//! ```
//!
//! What a message means is decided in `Conn`; here bytes become messages and messages bytes. One task has one socket,
//! and everything that goes out leaves through its outbox. A socket that is silent has no buffers.

mod answer;
mod frames;
mod gzip;
mod jobs;
mod outbox;
mod socket;
pub(crate) mod upgrade;

use std::sync::Arc;

use kalam_engine::Engine;
use kalam_engine::live::ConnOptions;
use tokio::sync::Semaphore;

use crate::auth::Auth;
use crate::config::{Config, Origins};
use crate::http::Reach;
use crate::metrics::Metrics;
use crate::shutdown::Lifecycle;
use crate::statements::Statements;

pub(crate) use upgrade::Opening;

/// Loads that run at the same time, for each processor: they wait for the disk more than they compute.
const LOADS_PER_PROCESSOR: usize = 2;

/// What all sockets of a server share.
pub(crate) struct Sockets {
    engine: Arc<Engine>,
    auth: Arc<Auth>,
    statements: Statements,
    metrics: Arc<Metrics>,
    lifecycle: Lifecycle,
    /// Permits of loads.
    loads: Arc<Semaphore>,
    options: Arc<ConnOptions>,
    message_bytes_max: usize,
    unauthenticated_bytes_max: usize,
    origins: Origins,
    reach: Reach,
}

/// The parts that sockets work with.
pub(crate) struct Parts {
    pub engine: Arc<Engine>,
    pub auth: Arc<Auth>,
    pub statements: Statements,
    pub metrics: Arc<Metrics>,
    pub lifecycle: Lifecycle,
    pub reach: Reach,
}

impl Sockets {
    pub(crate) fn new(parts: Parts, config: &Config) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            engine: parts.engine,
            auth: parts.auth,
            statements: parts.statements,
            metrics: parts.metrics,
            lifecycle: parts.lifecycle,
            loads: Arc::new(Semaphore::new(LOADS_PER_PROCESSOR * processors)),
            options: Arc::new(options(config, parts.reach)),
            message_bytes_max: config.websocket.message_bytes_max,
            unauthenticated_bytes_max: config.websocket.unauthenticated_bytes_max,
            origins: config.security.allowed_origins.clone(),
            reach: parts.reach,
        }
    }
}

fn options(config: &Config, reach: Reach) -> ConnOptions {
    let settings = &config.websocket;
    let limited = reach == Reach::Network && settings.messages_per_second > 0;
    ConnOptions {
        auth_timeout_ms: settings.auth_timeout_ms,
        subscriptions_max: settings.subscriptions_max,
        messages_per_second: limited.then_some(settings.messages_per_second),
        ping_after_ms: settings.ping_after_ms,
        ping_timeout_ms: settings.ping_timeout_ms,
        load_timeout_ms: settings.load_timeout_ms,
        ..ConnOptions::default()
    }
}
