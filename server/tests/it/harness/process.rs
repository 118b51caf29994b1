//! The real program as a child process.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ROOT_PASSWORD, client, login};

/// `kalamdb-server` on a free port; killed when dropped.
pub struct ServerProcess {
    child: Child,
    folder: Arc<TempDir>,
    settings: Vec<(String, String)>,
    log: Arc<Mutex<String>>,
    session: Session,
}

/// Statements as root over connections of its own.
#[derive(Clone)]
pub struct Session {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Session {
    /// `None` if the server did not answer.
    pub async fn try_sql(&self, sql: &str, params: Value) -> Option<Value> {
        let request = self
            .client
            .post(format!("{}/v1/api/sql", self.url))
            .bearer_auth(&self.token)
            .json(&json!({"sql": sql, "params": params}));
        request.send().await.ok()?.json().await.ok()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ServerProcess {
    /// Starts with settings by the names that they have in the environment.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), settings).await
    }

    async fn start_in(folder: Arc<TempDir>, settings: Vec<(String, String)>) -> Self {
        let mut child = command(&folder, &settings).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        collect(child.stderr.take().unwrap(), Arc::clone(&log));
        let output = child.stdout.take().unwrap();
        let ready = tokio::task::spawn_blocking(move || address(output))
            .await
            .unwrap();
        let url = ready.unwrap_or_else(|| panic!("the server ended: {}", log.lock().unwrap()));
        let client = client();
        let token = login(&client, &url, "root", ROOT_PASSWORD).await;
        Self {
            child,
            folder,
            settings,
            log,
            session: Session { client, url, token },
        }
    }

    /// Kills the process at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Ends the process, by force if it still runs, and starts another one in the same folder.
    pub async fn start_again(mut self) -> Self {
        let _ = self.child.kill();
        self.child.wait().unwrap();
        Self::start_in(Arc::clone(&self.folder), self.settings.clone()).await
    }

    /// Ends the process in order and starts another one in the same folder.
    pub async fn stop_and_start_again(self) -> Self {
        let (folder, settings) = (Arc::clone(&self.folder), self.settings.clone());
        self.stop().await;
        Self::start_in(folder, settings).await
    }

    /// Ends the process in order: it must exit with success.
    pub async fn stop(mut self) {
        let pid = i32::try_from(self.pid()).unwrap();
        // SAFETY: a signal to a child that was not waited for, so that its id is still its own.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        // Not on this thread: the process may wait for connections that this runtime holds.
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            tokio::task::yield_now().await;
        };
        assert!(status.success(), "{status}: {}", self.log());
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory.
    pub fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// What the process wrote to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn url(&self) -> &str {
        &self.session.url
    }

    pub fn token(&self) -> &str {
        &self.session.token
    }

    pub fn client(&self) -> &reqwest::Client {
        &self.session.client
    }

    pub fn session(&self) -> Session {
        self.session.clone()
    }

    /// The answer of a statement as root, whatever it is.
    pub async fn sql(&self, sql: &str) -> Value {
        let answer = self.session.try_sql(sql, Value::Null).await;
        answer.unwrap_or_else(|| panic!("no answer: {}", self.log()))
    }

    /// The answer of a statement that must succeed.
    pub async fn sql_ok(&self, sql: &str) -> Value {
        let answer = self.sql(sql).await;
        assert_eq!(answer["status"], "success", "{sql}: {answer}");
        answer
    }
}

/// The program, away from what its user has: no setting of the environment that the tests run in reaches it, and what it
/// tells other programs of this machine stays in `folder`.
pub fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalamdb-server"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KALAMDB_") {
            command.env_remove(name);
        }
    }
    command
        .env("HOME", folder)
        .env("XDG_CONFIG_HOME", folder.join("config"));
    command
}

fn command(folder: &TempDir, settings: &[(String, String)]) -> Command {
    let data: PathBuf = folder.path().join("data");
    let mut command = program(folder.path());
    command
        .args(["--port", "0", "--data-dir"])
        .arg(data)
        .env("KALAMDB_ROOT_PASSWORD", ROOT_PASSWORD)
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Where the server says that it is ready; `None` if it ends before.
fn address(output: impl Read) -> Option<String> {
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    lines.find_map(|line| {
        line.split_once(" is ready at ")
            .map(|(_, address)| address.to_owned())
    })
}

/// Reads to the end, so that the process never blocks on a full pipe.
fn collect(stream: impl Read + Send + 'static, into: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut log = into.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
}
