//! Reads the configuration from where people put it.

use std::path::{Path, PathBuf};

use super::entry::variable;
use super::{Config, Origin};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The message of the TOML reader names line and key.
    #[error("the configuration file {} is not valid: {source}", path.display())]
    Syntax {
        path: PathBuf,
        #[source]
        source: Box<toml::de::Error>,
    },
    /// `name` is the path, the variable or the argument.
    #[error("the setting {name} is not valid: {reason}")]
    Value { name: String, reason: String },
}

/// What the command line sets.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub data_dir: Option<PathBuf>,
}

impl Config {
    /// Reads `file` if there is one, then `environment` (which finds a variable by name), then `overrides`, and checks
    /// the whole.
    pub fn load(
        file: Option<&Path>,
        environment: impl Fn(&str) -> Option<String>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        let mut config = match file {
            Some(path) => Self::from_file(path)?,
            None => Self::default(),
        };
        config
            .set_each(Origin::Environment, |path| environment(&variable(path)))
            .map_err(|(path, reason)| ConfigError::Value {
                name: variable(path),
                reason,
            })?;
        config.override_with(overrides);
        config.check()?;
        Ok(config)
    }

    fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let syntax = |source| ConfigError::Syntax {
            path: path.to_owned(),
            source: Box::new(source),
        };
        let mut config: Self = toml::from_str(&text).map_err(syntax)?;
        let table: toml::Table = toml::from_str(&text).map_err(syntax)?;
        for entry in config.entries() {
            let holder = if entry.section.is_empty() {
                Some(&table)
            } else {
                table.get(entry.section).and_then(toml::Value::as_table)
            };
            if holder.is_some_and(|table| table.contains_key(entry.key())) {
                config.origins.insert(entry.path, Origin::File);
            }
        }
        Ok(config)
    }

    fn override_with(&mut self, overrides: &Overrides) {
        if let Some(host) = &overrides.host {
            self.server.host.clone_from(host);
            self.origins.insert("server.host", Origin::Argument);
        }
        if let Some(port) = overrides.port {
            self.server.port = port;
            self.origins.insert("server.port", Origin::Argument);
        }
        if let Some(dir) = &overrides.data_dir {
            self.data.dir.clone_from(dir);
            self.origins.insert("data.dir", Origin::Argument);
        }
    }

    /// Variables that look like settings but are none: a misspelt one is worth a line in the log. They are no error,
    /// because container platforms make variables of their own from the name of a service.
    pub fn unknown_variables(names: impl Iterator<Item = String>) -> Vec<String> {
        let known: Vec<String> = Self::default()
            .entries()
            .iter()
            .map(super::Entry::variable)
            .collect();
        names
            .filter(|name| name.starts_with("KALAMDB_") && !known.contains(name))
            .collect()
    }
}
