//! What a fact about a server means. Reads nothing but what it is given, save for one file of a server on this machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use kalam_link::Role;

use super::Finding;

// The interface that this client speaks.
const API_VERSION: &str = "v1";
// Order of times across machines is then visibly wrong.
const CLOCK_WARN: Duration = Duration::from_secs(1);
// Tokens then end too early or too late by a part of their life that matters.
const CLOCK_FAIL: Duration = Duration::from_secs(60);

/// Both clocks, in microseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Ours, when the question was sent.
    pub sent: i64,
    pub server: i64,
    pub round_trip: Duration,
}

/// Values as JSON, by name.
pub struct Settings(pub BTreeMap<String, String>);

impl Settings {
    fn text(&self, name: &str) -> Option<String> {
        let value = self.0.get(name)?;
        Some(serde_json::from_str(value).unwrap_or_else(|_| value.clone()))
    }
}

pub fn versions(client: &str, server: &str, api: &str) -> Finding {
    let both = format!("client {client}, server {server}");
    if api != API_VERSION {
        let message = format!("{both}: the server speaks {api}, this client {API_VERSION}");
        return Finding::fail(
            "version",
            message,
            "install the client of the server's version",
        );
    }
    if line(client) == line(server) {
        return Finding::ok("version", both);
    }
    let hint = "they may fit; install the same version of both to be sure";
    Finding::warn("version", both, hint)
}

/// What changes with each release that may break something: the first number that is not 0.
fn line(version: &str) -> &str {
    let mut ends = version.match_indices('.').map(|(at, _)| at);
    let (major, minor) = (ends.next(), ends.next());
    let end = if version.starts_with("0.") {
        minor
    } else {
        major
    };
    &version[..end.unwrap_or(version.len())]
}

pub fn encryption(address: &str) -> Finding {
    if address.starts_with("https://") || address.starts_with("wss://") {
        return Finding::ok("encryption", "TLS");
    }
    if is_loopback(address) {
        return Finding::ok("encryption", "none, and none is needed on one machine");
    }
    let hint = "put a proxy with TLS in front of the server and use its https:// address";
    Finding::fail(
        "encryption",
        "password and rows cross the network in plain text",
        hint,
    )
}

/// Whether an address leads to this machine.
fn is_loopback(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        None => authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host),
    };
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

pub fn clock(clock: Clock) -> Finding {
    let half = i64::try_from(clock.round_trip.as_micros() / 2).unwrap_or(i64::MAX);
    let difference = clock.server.saturating_sub(clock.sent.saturating_add(half));
    let apart = Duration::from_micros(difference.unsigned_abs());
    // Where on its way the server looked at its clock is not known.
    let certain = apart.saturating_sub(Duration::from_micros(half.unsigned_abs()));
    let word = if difference < 0 { "behind" } else { "ahead" };
    let seconds = apart.as_secs_f64();
    let message = format!("the server is {seconds:.3} s {word}");
    let hint = "set both clocks by NTP";
    if certain >= CLOCK_FAIL {
        return Finding::fail("clock", message, hint);
    }
    if certain >= CLOCK_WARN {
        return Finding::warn("clock", message, hint);
    }
    Finding::ok("clock", message)
}

pub fn role(user: &str, role: Role, address: &str) -> Finding {
    let message = format!("{user} ({})", role.as_str());
    if role == Role::System && !is_loopback(address) {
        let hint = "an account with fewer rights does for work from afar: CREATE USER … ROLE user";
        return Finding::warn("role", message, hint);
    }
    Finding::ok("role", message)
}

pub fn settings(settings: &Settings) -> Vec<Finding> {
    let host = settings.text("server.host").unwrap_or_default();
    let is_open = !is_loopback(&format!("{host}:0"));
    let mut findings = vec![durability(settings), rate_limit(settings, is_open)];
    let origins = settings.text("security.allowed_origins");
    let origins = origins.or_else(|| settings.0.get("security.allowed_origins").cloned());
    if origins.is_some_and(|origins| origins.contains("\"*\"")) {
        let hint = "name the origins in security.allowed_origins";
        let message = "pages of every origin may use the server";
        findings.push(Finding::warn("origins", message, hint));
    }
    findings
}

fn durability(settings: &Settings) -> Finding {
    match settings.text("durability").as_deref() {
        Some("sync") => Finding::ok("durability", "sync: what is acknowledged is on disk"),
        Some(other) => {
            let message = format!("{other}: a power cut may take the last writes");
            Finding::warn("durability", message, "durability = \"sync\" keeps them")
        }
        None => Finding::warn("durability", "not known", "the server does not tell it"),
    }
}

fn rate_limit(settings: &Settings, is_open: bool) -> Finding {
    let limit = settings.text("limits.statements_per_second");
    let limit = limit.or_else(|| settings.0.get("limits.statements_per_second").cloned());
    match limit.as_deref() {
        _ if !is_open => Finding::ok(
            "rate limit",
            "none: the server listens to its own machine alone",
        ),
        Some("0") | None => {
            let hint = "set limits.statements_per_second";
            Finding::warn(
                "rate limit",
                "none, and the server listens to a network",
                hint,
            )
        }
        Some(limit) => Finding::ok(
            "rate limit",
            format!("{limit} statements a second and user"),
        ),
    }
}

/// The file with root's first password. Only a server on this machine has one that can be seen.
pub fn root_credential(settings: &Settings, address: &str) -> Option<Finding> {
    if !is_loopback(address) {
        return None;
    }
    let folder = settings.text("data.dir")?;
    let file = Path::new(&folder).join("root-credential");
    if !file.is_absolute() {
        let message =
            format!("not checked: the server's data folder is `{folder}`, from where it started");
        let hint = "once root has a password of its own, delete root-credential there";
        return Some(Finding::warn("root", message, hint));
    }
    if !file.exists() {
        return Some(Finding::ok(
            "root",
            "no file with its first password was found",
        ));
    }
    let message = format!("its first password is kept in {}", file.display());
    let hint = "ALTER USER 'root' SET PASSWORD '…', then delete the file";
    Some(Finding::warn("root", message, hint))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn versions_fit_within_a_line_of_releases() {
        for (client, server, api, status) in [
            ("0.1.0", "0.1.9", "v1", Status::Ok),
            ("0.1.0", "0.2.0", "v1", Status::Warn),
            ("1.2.0", "1.9.3", "v1", Status::Ok),
            ("1.2.0", "2.0.0", "v1", Status::Warn),
            ("0.1.0", "0.1.0", "v2", Status::Fail),
        ] {
            assert_eq!(
                versions(client, server, api).status,
                status,
                "{client} {server} {api}"
            );
        }
    }

    #[test]
    fn plain_http_is_for_one_machine() {
        for (address, status) in [
            ("http://127.0.0.1:8080", Status::Ok),
            ("http://localhost", Status::Ok),
            ("http://[::1]:8080", Status::Ok),
            ("https://example.org", Status::Ok),
            ("http://example.org:8080", Status::Fail),
            ("http://10.0.0.1:8080/db", Status::Fail),
        ] {
            assert_eq!(encryption(address).status, status, "{address}");
        }
    }

    #[test]
    fn a_slow_answer_is_no_wrong_clock() {
        let check = |server: i64, round_trip_ms: u64| {
            let round_trip = Duration::from_millis(round_trip_ms);
            clock(Clock {
                sent: 0,
                server,
                round_trip,
            })
            .status
        };
        assert_eq!(check(5_000, 10), Status::Ok);
        assert_eq!(check(9_000_000, 10_000), Status::Ok);
        assert_eq!(check(2_000_000, 10), Status::Warn);
        assert_eq!(check(-90_000_000, 10), Status::Fail);
    }

    #[test]
    fn weak_settings_are_named() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let findings = settings(&Settings(pairs.collect()));
            let weak = findings
                .into_iter()
                .filter(|finding| finding.status != Status::Ok);
            weak.map(|finding| finding.check).collect::<Vec<_>>()
        };
        let limit = ("limits.statements_per_second", "10000");
        let host = ("server.host", "\"127.0.0.1\"");
        assert_eq!(of(&[("durability", "\"sync\""), host]), [""; 0]);
        assert_eq!(
            of(&[("durability", "\"relaxed:50ms\""), host]),
            ["durability"]
        );
        let open = ("server.host", "\"0.0.0.0\"");
        assert_eq!(of(&[("durability", "\"sync\""), open, limit]), [""; 0]);
        let unlimited = ("limits.statements_per_second", "0");
        assert_eq!(
            of(&[("durability", "\"sync\""), open, unlimited]),
            ["rate limit"]
        );
    }
}
