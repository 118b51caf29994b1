//! Servers that run on this machine for the same person: each keeps a file in the user's configuration folder.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::Error;
use crate::settings::files::Folders;

const SERVERS: &str = "servers";
const ROOT_CREDENTIAL: &str = "root-credential";
const DEFAULT_PORT: u16 = 8080;

/// What a server says about itself, in `servers/<port>.json`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LocalServer {
    pub url: String,
    pub port: u16,
    pub data_dir: PathBuf,
    pub pid: u32,
}

impl LocalServer {
    /// Whether an address leads to it: the same port, at a name of this machine.
    #[must_use]
    pub fn is_at(&self, url: &str) -> bool {
        let names = ["127.0.0.1", "localhost", "[::1]"];
        self.url == url
            || names
                .iter()
                .any(|name| url == format!("http://{name}:{}", self.port))
    }

    /// The first password of root, if it is still kept and this person may read it.
    #[must_use]
    pub fn root_password(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.data_dir.join(ROOT_CREDENTIAL)).ok()?;
        Some(text.trim().to_owned())
    }

    fn runs(&self) -> bool {
        Path::new("/proc").join(self.pid.to_string()).exists()
    }
}

/// Those that run, by port. A file that cannot be read describes none.
#[must_use]
pub fn running(folders: &Folders) -> Vec<LocalServer> {
    let Some(config) = &folders.config else {
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir(config.join(SERVERS)) else {
        return Vec::new();
    };
    let mut servers: Vec<LocalServer> = entries
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path()).ok())
        .filter_map(|bytes| serde_json::from_slice(&bytes).ok())
        .filter(LocalServer::runs)
        .collect();
    servers.sort_by_key(|server| server.port);
    servers
}

/// The one to take when nothing says which: that at the usual port, or the only one.
///
/// # Errors
///
/// [`Error::SeveralServers`].
pub fn only(servers: &[LocalServer]) -> Result<Option<&LocalServer>, Error> {
    if let Some(usual) = servers.iter().find(|server| server.port == DEFAULT_PORT) {
        return Ok(Some(usual));
    }
    match servers {
        [] => Ok(None),
        [server] => Ok(Some(server)),
        several => Err(Error::SeveralServers {
            urls: several.iter().map(|server| server.url.clone()).collect(),
        }),
    }
}
