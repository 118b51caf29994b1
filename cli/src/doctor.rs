//! `kalam doctor`: what is wrong, or might be, with a server as one of its clients sees it. Changes nothing.

mod checks;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use kalam_link::{Client, Json, Link};
use serde::Serialize;

use self::checks::{Clock, Settings};
use crate::args::Connection;

const PROBES: u32 = 5;

/// Look for what is wrong with the server, the connection or the settings
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Exit codes: 0 nothing failed, 1 a check failed.")]
pub struct Args {
    /// How the diagnosis is written
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub format: Format,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    Warn,
    Fail,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One line of the diagnosis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub status: Status,
    pub message: String,
    pub hint: Option<String>,
}

impl Finding {
    pub fn ok(check: &'static str, message: impl Into<String>) -> Self {
        let (status, message) = (Status::Ok, message.into());
        Self {
            check,
            status,
            message,
            hint: None,
        }
    }

    pub fn warn(check: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into());
        Self {
            status: Status::Warn,
            hint,
            ..Self::ok(check, message)
        }
    }

    pub fn fail(check: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into());
        Self {
            status: Status::Fail,
            hint,
            ..Self::ok(check, message)
        }
    }
}

pub async fn run(args: Args, connection: &Connection) -> Result<ExitCode, crate::error::Error> {
    let findings = match crate::settings::prepare(connection) {
        Ok(client) => examine(&client).await,
        Err(error) => {
            let hint = error.hint().unwrap_or_default();
            vec![Finding::fail("connection", error.to_string(), hint)]
        }
    };
    write(&findings, args.format).map_err(crate::error::Error::Output)?;
    let worst = findings.iter().map(|finding| finding.status).max();
    Ok(ExitCode::from(u8::from(worst == Some(Status::Fail))))
}

async fn examine(client: &Client) -> Vec<Finding> {
    let address = client.address().to_owned();
    let mut findings = Vec::new();
    let Some(version) = reach(client, &address, &mut findings).await else {
        return findings;
    };
    findings.push(checks::versions(
        env!("CARGO_PKG_VERSION"),
        &version.0,
        &version.1,
    ));
    findings.push(checks::encryption(&address));
    let Some(clock) = clock(client, &mut findings).await else {
        return findings;
    };
    findings.push(checks::clock(clock));
    socket(client, &address, &mut findings).await;
    findings.extend(settings(client, &address).await);
    findings
}

/// The server's version and that of its interface. None: it cannot be reached.
async fn reach(
    client: &Client,
    address: &str,
    findings: &mut Vec<Finding>,
) -> Option<(String, String)> {
    let mut fastest = Duration::MAX;
    let mut health = None;
    for _ in 0..PROBES {
        let begun = Instant::now();
        match client.health().await {
            Ok(answer) => health = Some(answer),
            Err(error) => {
                let hint = "is the server running, and is this its address?";
                findings.push(Finding::fail("reachable", chain(&error), hint));
                return None;
            }
        }
        fastest = fastest.min(begun.elapsed());
    }
    let health = health?;
    let millis = fastest.as_secs_f64() * 1e3;
    findings.push(Finding::ok(
        "reachable",
        format!("{address} answers in {millis:.1} ms"),
    ));
    if health.status != "healthy" {
        let message = format!("the server says that it is {}", health.status);
        findings.push(Finding::fail("health", message, "its log says why"));
    }
    Some((health.version, health.api_version))
}

/// The server's time beside ours. None: no statement runs.
async fn clock(client: &Client, findings: &mut Vec<Finding>) -> Option<Clock> {
    // The first statement signs in, which takes longer than the second.
    for attempt in 1..=2 {
        let begun = Instant::now();
        let sent = micros();
        let answer = match client.query("SELECT NOW()", &[]).await {
            Ok(answer) => answer,
            Err(error) => {
                let hint = error
                    .hint()
                    .unwrap_or("check --user and --password, or --token");
                findings.push(Finding::fail("sign-in", chain(&error), hint));
                return None;
            }
        };
        let round_trip = begun.elapsed();
        let cell = first_row(&answer).and_then(|row| row.first()?.as_i64());
        if let (2, Some(server)) = (attempt, cell) {
            return Some(Clock {
                sent,
                server,
                round_trip,
            });
        }
    }
    let message = "the server did not say what time it is";
    findings.push(Finding::fail(
        "clock",
        message,
        "its version is not known to this client",
    ));
    None
}

fn first_row(answer: &kalam_link::SqlResponse) -> Option<&Vec<Json>> {
    answer.results.first()?.rows.as_ref()?.first()
}

fn micros() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

async fn socket(client: &Client, address: &str, findings: &mut Vec<Finding>) {
    if let Err(error) = client.query_over_socket("SELECT 1", &[]).await {
        let hint = "live queries need it: does a proxy before the server pass on upgrades?";
        findings.push(Finding::fail("socket", chain(&error), hint));
        return;
    }
    findings.push(Finding::ok("socket", "a WebSocket opens and answers"));
    if let Link::Ready { user, role } = client.link().borrow().clone() {
        findings.push(checks::role(user.as_str(), role, address));
    }
}

/// What only administrators see.
async fn settings(client: &Client, address: &str) -> Vec<Finding> {
    let answer = client
        .query("SELECT name, value FROM system.settings", &[])
        .await;
    let rows = answer
        .ok()
        .and_then(|answer| answer.results.into_iter().next()?.rows);
    let Some(rows) = rows else {
        let message = "not checked: this role does not see them";
        return vec![Finding::warn(
            "settings",
            message,
            "sign in as an administrator",
        )];
    };
    let pairs = rows.iter().filter_map(|row| match row.as_slice() {
        [Json::String(name), Json::String(value)] => Some((name.clone(), value.clone())),
        _ => None,
    });
    let settings = Settings(pairs.collect());
    let mut findings = checks::settings(&settings);
    findings.extend(checks::root_credential(&settings, address));
    findings
}

/// The error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}

fn write(findings: &[Finding], format: Format) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        Format::Text => {
            for Finding {
                check,
                status,
                message,
                hint,
            } in findings
            {
                writeln!(out, "{:4}  {check}: {message}", status.as_str())?;
                if let Some(hint) = hint.as_ref().filter(|hint| !hint.is_empty()) {
                    writeln!(out, "      hint: {hint}")?;
                }
            }
        }
        Format::Json => {
            let worst = findings.iter().map(|finding| finding.status).max();
            let whole =
                serde_json::json!({"status": worst.unwrap_or(Status::Ok), "checks": findings});
            writeln!(out, "{whole:#}")?;
        }
    }
    out.flush()
}
