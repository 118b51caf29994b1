//! Logins that the user saved, and tokens of earlier sign-ins. Both files can be read by their owner only.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::settings::files::{Folders, write_private};

const LOGINS: &str = "logins.toml";
const TOKENS: &str = "tokens.json";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    pub url: String,
    pub user: String,
    pub password: String,
}

/// By name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Logins(BTreeMap<String, Login>);

impl Logins {
    /// # Errors
    ///
    /// A file that cannot be read, or is no file of logins.
    pub fn load(folders: &Folders) -> Result<Self, Error> {
        let Ok(path) = path(folders) else {
            return Ok(Self::default());
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|error| Error::Malformed {
                path,
                problem: error.message().to_owned(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(Error::Read { path, source }),
        }
    }

    /// # Errors
    ///
    /// No home, or a file that cannot be written.
    pub fn save(&self, folders: &Folders) -> Result<PathBuf, Error> {
        let path = path(folders)?;
        let text = toml::to_string(self).map_err(|error| Error::Malformed {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        match write_private(&path, &text) {
            Ok(()) => Ok(path),
            Err(source) => Err(Error::Write { path, source }),
        }
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Login> {
        self.0.get(name)
    }

    /// The first for that address whose user will do.
    pub fn find(&self, url: &str, fits: impl Fn(&str) -> bool) -> Option<&Login> {
        self.0
            .values()
            .find(|login| login.url == url && fits(&login.user))
    }

    pub fn insert(&mut self, name: impl Into<String>, login: Login) {
        self.0.insert(name.into(), login);
    }

    pub fn remove(&mut self, name: &str) -> Option<Login> {
        self.0.remove(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Login)> {
        self.0.iter()
    }
}

fn path(folders: &Folders) -> Result<PathBuf, Error> {
    folders
        .config
        .as_ref()
        .map(|folder| folder.join(LOGINS))
        .ok_or(Error::NoHome)
}

/// Tokens by address, user and password. A file that is lost or damaged costs a sign-in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tokens(BTreeMap<String, String>);

impl Tokens {
    #[must_use]
    pub fn load(folders: &Folders) -> Self {
        let read = || {
            let text = std::fs::read(folders.cache.as_ref()?.join(TOKENS)).ok()?;
            serde_json::from_slice(&text).ok()
        };
        read().unwrap_or_default()
    }

    #[must_use]
    pub fn get(&self, url: &str, user: &str, password: &str) -> Option<&str> {
        self.0.get(&key(url, user, password)).map(String::as_str)
    }

    /// Keeps a token if it is another one. Tokens of other passwords of this user go.
    pub fn put(mut self, url: &str, user: &str, password: &str, token: &str, folders: &Folders) {
        let key = key(url, user, password);
        if self.0.get(&key).is_some_and(|known| known == token) {
            return;
        }
        let prefix = prefix(url, user);
        self.0.retain(|known, _| !known.starts_with(&prefix));
        self.0.insert(key, token.to_owned());
        if let (Some(folder), Ok(text)) = (&folders.cache, serde_json::to_string(&self)) {
            // Without it the next start signs in again.
            let _ = write_private(&folder.join(TOKENS), &text);
        }
    }
}

fn prefix(url: &str, user: &str) -> String {
    format!("{user} {url} ")
}

/// The hash only tells passwords apart; it stands beside a token that is worth as much.
fn key(url: &str, user: &str, password: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (url, user, password).hash(&mut hasher);
    format!("{}{:016x}", prefix(url, user), hasher.finish())
}
