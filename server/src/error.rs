//! Why a server does not start.

use std::io;
use std::path::PathBuf;

/// Every way in which a start fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot use the data folder {}: {source}", path.display())]
    DataFolder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The message names the folder: in use, of a newer version, unreadable.
    #[error("{source}{}", cause(source))]
    Store {
        #[source]
        source: kalam_store::Error,
    },
    #[error("the engine did not start: {0}")]
    Engine(#[source] kalam_engine::Error),
    #[error("the first password of root is not accepted: {0}")]
    RootPassword(#[source] kalam_engine::Error),
    #[error("the file {} cannot be used: {source}", path.display())]
    SecretFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the file {} holds no secret of at least 32 bytes: remove it to have a new one made", path.display())]
    SecretTooShort { path: PathBuf },
    #[error("no random numbers from the system")]
    Random,
    #[error("a thread could not be started: {0}")]
    Thread(#[source] io::Error),
}

/// What lies below an error of the store, which does not say it itself.
fn cause(error: &kalam_store::Error) -> String {
    std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"))
}

impl From<kalam_store::Error> for Error {
    fn from(source: kalam_store::Error) -> Self {
        Self::Store { source }
    }
}
