//! The log, on standard error. What is logged anywhere names things and counts them; it never holds a literal of a
//! statement, a token or a password.

use std::io;
use std::panic::PanicHookInfo;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::config::{LogConfig, LogFormat, LogLevel};

/// Sends the log to standard error from now on. Once in a process.
pub fn start(config: &LogConfig) {
    let level = match config.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Other crates log what passes through them, which may be statements: they are held to warnings.
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets(OURS.map(|ours| (ours, level)));
    let layer = match config.format {
        LogFormat::Text => fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(false)
            .boxed(),
        LogFormat::Json => fmt::layer()
            .with_writer(io::stderr)
            .json()
            .flatten_event(true)
            .boxed(),
    };
    let started = tracing_subscriber::registry()
        .with(layer.with_filter(targets))
        .try_init();
    debug_assert!(started.is_ok(), "the log is started once");
    std::panic::set_hook(Box::new(log_panic));
}

/// Targets of this workspace.
const OURS: [&str; 7] = [
    "kalam_link_core",
    "kalam_model",
    "kalam_sql",
    "kalam_store",
    "kalam_engine",
    "kalam_query",
    "kalam_server",
];

/// Where, and what the source says: a formatted message may hold values of rows.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic
        .payload()
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("a message that is not shown");
    let location = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(
        location,
        thread = thread.name().unwrap_or("unnamed"),
        "panic: {message}"
    );
}
