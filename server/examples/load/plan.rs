//! What to measure: the command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::Failure;

/// What to measure.
pub struct Plan {
    pub server: PathBuf,
    pub duration: Duration,
    /// Names of scenarios; empty means all.
    wanted: Vec<String>,
    sockets: Option<usize>,
    pub subscriptions: usize,
    pub writers: usize,
    /// Of the live scenarios; W3 and W4 say themselves.
    pub durability: String,
}

impl Plan {
    /// `<path of kalamdb-server> [seconds] [--name value | scenario] …`, with scenarios of these names.
    pub fn parse(arguments: &[String], names: &[&[&str]]) -> Result<Self, Failure> {
        let (server, rest) = arguments
            .split_first()
            .ok_or("the path of kalamdb-server is missing")?;
        let mut plan = Self {
            server: PathBuf::from(server),
            duration: Duration::from_secs(10),
            wanted: Vec::new(),
            sockets: None,
            subscriptions: 100,
            writers: 32,
            durability: "relaxed".to_owned(),
        };
        let mut rest = rest.iter();
        while let Some(argument) = rest.next() {
            if let Some(name) = argument.strip_prefix("--") {
                let value = rest
                    .next()
                    .ok_or_else(|| format!("--{name} has no value"))?;
                match name {
                    "sockets" => plan.sockets = Some(at_least_one(value)?),
                    "subscriptions" => plan.subscriptions = at_least_one(value)?,
                    "writers" => plan.writers = at_least_one(value)?,
                    "durability" => plan.durability.clone_from(value),
                    _ => return Err(format!("unknown: --{name}").into()),
                }
            } else if let Ok(seconds) = argument.parse() {
                plan.duration = Duration::from_secs(seconds);
            } else if names
                .iter()
                .copied()
                .flatten()
                .any(|name| name.eq_ignore_ascii_case(argument))
            {
                plan.wanted.push(argument.clone());
            } else {
                return Err(format!("unknown scenario: {argument}").into());
            }
        }
        Ok(plan)
    }

    pub fn wants(&self, name: &str) -> bool {
        self.wanted.is_empty()
            || self
                .wanted
                .iter()
                .any(|wanted| wanted.eq_ignore_ascii_case(name))
    }

    pub fn wants_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.wants(name))
    }

    /// Sockets of a scenario that has this many if nothing was said.
    pub fn sockets(&self, usual: usize) -> usize {
        self.sockets.unwrap_or(usual)
    }
}

fn at_least_one(text: &str) -> Result<usize, Failure> {
    match text.parse()? {
        0 => Err("0 is too few".into()),
        number => Ok(number),
    }
}
