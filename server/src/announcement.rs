//! Tells the shell of the same person that a server runs here: one file in the user's configuration folder, readable by
//! its owner only, for as long as the server runs. It says where the server is, and nothing that is secret.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

const FOLDER: &str = "kalamdb/servers";

/// Removes the file when it is dropped.
#[derive(Debug)]
pub struct Announcement {
    path: PathBuf,
}

#[derive(Serialize)]
struct Contents<'a> {
    url: String,
    port: u16,
    data_dir: &'a Path,
    pid: u32,
}

impl Announcement {
    /// Writes the file. None, with a warning in the log, where that is not possible: the server runs without it.
    #[must_use]
    pub fn publish(address: SocketAddr, data_dir: &Path) -> Option<Self> {
        let folder = configuration_folder()?.join(FOLDER);
        let path = folder.join(format!("{}.json", address.port()));
        match write(&folder, &path, address, data_dir) {
            Ok(()) => Some(Self { path }),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the shell will not find this server by itself");
                None
            }
        }
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // One that stays names a process that does not run.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// `$XDG_CONFIG_HOME`, or `.config` in the home.
fn configuration_folder() -> Option<PathBuf> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let variable = |name| std::env::var_os(name).map(PathBuf::from).and_then(absolute);
    variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")))
}

fn write(folder: &Path, path: &Path, address: SocketAddr, data_dir: &Path) -> io::Result<()> {
    let data_dir = std::fs::canonicalize(data_dir)?;
    let contents = Contents {
        url: format!("http://{}", reachable(address)),
        port: address.port(),
        data_dir: &data_dir,
        pid: std::process::id(),
    };
    std::fs::create_dir_all(folder)?;
    let beside = path.with_extension("new");
    let _ = std::fs::remove_file(&beside);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(&serde_json::to_vec(&contents)?)?;
    std::fs::rename(&beside, path)
}

/// Where this machine reaches a server that listens on all its addresses.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_one_that_can_be_reached() {
        let check = |address: &str, expected: &str| {
            assert_eq!(reachable(address.parse().unwrap()).to_string(), expected);
        };
        check("0.0.0.0:8080", "127.0.0.1:8080");
        check("[::]:8080", "[::1]:8080");
        check("10.1.2.3:80", "10.1.2.3:80");
    }
}
