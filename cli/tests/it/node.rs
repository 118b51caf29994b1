//! A server of its own for each test, and the program that talks to it.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use kalam_link::{Auth, Client, Json};

use crate::server::Server;

pub const PASSWORD: &str = "a password of root";

/// A server, and a client that is signed in.
pub struct Node {
    pub client: Client,
    server: Server,
}

impl Node {
    pub fn start() -> Self {
        let server = Server::start_with_password(PASSWORD);
        let auth = Auth::basic("root", PASSWORD);
        let client = Client::builder(&server.url).auth(auth).build().unwrap();
        Self { client, server }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.server.path(name)
    }

    pub async fn rows(&self, sql: &str) -> Vec<Vec<Json>> {
        let answer = self.client.query(sql, &[]).await;
        let answer = answer.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let last = answer.results.into_iter().last().unwrap();
        last.rows.unwrap_or_default()
    }

    /// `kalam` with these arguments, in the node's folder, signed in as root.
    pub fn kalam(&self, arguments: &[&str]) -> Command {
        let mut command = self.server.kalam();
        command
            .args(arguments)
            .current_dir(self.server.path(""))
            .env("KALAM_URL", &self.server.url)
            .env("KALAM_USER", "root")
            .env("KALAM_PASSWORD", PASSWORD)
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.kalam(arguments).output().unwrap())
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
