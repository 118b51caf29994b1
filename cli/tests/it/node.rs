//! A server of its own for each test, and the program that talks to it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use kalam_link::{Auth, Client, Json};

pub const PASSWORD: &str = "a password of root";

/// A running server. It ends with the value.
pub struct Node {
    pub url: String,
    pub client: Client,
    pub folder: tempfile::TempDir,
    server: Child,
}

impl Node {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Command::new(server_binary())
            .args(["--port", "0", "--data-dir"])
            .arg(folder.path().join("data"))
            .env("KALAMDB_ROOT_PASSWORD", PASSWORD)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(server.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let url = line
            .split_whitespace()
            .last()
            .expect("an address")
            .to_owned();
        assert!(url.starts_with("http://"), "{line}");
        let client = Client::builder(&url)
            .auth(Auth::basic("root", PASSWORD))
            .build()
            .unwrap();
        Self {
            url,
            client,
            folder,
            server,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub async fn rows(&self, sql: &str) -> Vec<Vec<Json>> {
        let answer = self.client.query(sql, &[]).await;
        let answer = answer.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let last = answer.results.into_iter().last().unwrap();
        last.rows.unwrap_or_default()
    }

    /// `kalam` with these arguments, in the node's folder, signed in as root.
    pub fn kalam(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kalam"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("KALAM_URL", &self.url)
            .env("KALAM_USER", "root")
            .env("KALAM_PASSWORD", PASSWORD)
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.kalam(arguments).output().unwrap())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// What the program left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

fn server_binary() -> PathBuf {
    match std::env::var_os("KALAMDB_SERVER_BINARY") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_BIN_EXE_kalam")).with_file_name("kalamdb-server"),
    }
}
