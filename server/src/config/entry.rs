//! One setting as people see it.

use std::fmt;

use super::Config;
use super::setting::Setting;

/// Where a value comes from, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Default,
    File,
    Environment,
    Argument,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Argument => "argument",
        })
    }
}

/// A setting, its value and what it means. Secrets are hidden.
#[derive(Clone, Debug)]
pub struct Entry {
    /// `server.port`.
    pub path: &'static str,
    /// `server`; empty for a setting outside of a section.
    pub section: &'static str,
    /// One paragraph.
    pub description: String,
    /// In TOML; none if it is not set.
    pub value: Option<String>,
    /// In TOML; none if there is none.
    pub default: Option<String>,
    pub origin: Origin,
}

impl Entry {
    /// The part of the path after the section.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// The variable of the environment that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        variable(self.path)
    }
}

/// `server.port` is `KALAMDB_SERVER_PORT`.
pub(super) fn variable(path: &str) -> String {
    format!("KALAMDB_{}", path.replace('.', "_").to_ascii_uppercase())
}

impl Config {
    pub(super) fn entry<T: Setting>(
        &self,
        path: &'static str,
        section: &'static str,
        description: &str,
        value: &T,
        default: &T,
    ) -> Entry {
        Entry {
            path,
            section,
            description: description.split_whitespace().collect::<Vec<_>>().join(" "),
            value: value.to_toml(),
            default: default.to_toml(),
            origin: self.origins.get(path).copied().unwrap_or(Origin::Default),
        }
    }
}
