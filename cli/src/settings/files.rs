//! Where the program keeps its files, after the XDG base directory specification.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const FOLDER: &str = "kalamdb";

/// Folders of the user who runs the program. None without a home.
#[derive(Clone, Debug, Default)]
pub struct Folders {
    /// Saved logins, and one file for each server that runs.
    pub config: Option<PathBuf>,
    /// Tokens, which come back when they are lost.
    pub cache: Option<PathBuf>,
    /// The history of the prompt.
    pub state: Option<PathBuf>,
}

impl Folders {
    #[must_use]
    pub fn of_user() -> Self {
        let folder = |variable: &str, below_home: &str| {
            let absolute = |path: PathBuf| path.is_absolute().then_some(path);
            let given = std::env::var_os(variable)
                .map(PathBuf::from)
                .and_then(absolute);
            let home = || {
                std::env::var_os("HOME")
                    .map(PathBuf::from)
                    .and_then(absolute)
            };
            given
                .or_else(|| Some(home()?.join(below_home)))
                .map(|base| base.join(FOLDER))
        };
        Self {
            config: folder("XDG_CONFIG_HOME", ".config"),
            cache: folder("XDG_CACHE_HOME", ".cache"),
            state: folder("XDG_STATE_HOME", ".local/state"),
        }
    }
}

/// Writes a file that only its owner can read: beside, then renamed, so that it is there whole or not at all.
///
/// # Errors
///
/// As the file system has them.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(".kalam-")
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Makes a file that only its owner can read, if there is none.
///
/// # Errors
///
/// As the file system has them.
pub fn touch_private(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}
