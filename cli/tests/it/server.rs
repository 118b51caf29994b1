//! A server of a test's own, and the program beside it, with folders that nobody else uses.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// `kalamdb-server` on a free port; killed when dropped.
pub struct Server {
    child: Child,
    pub url: String,
    folder: TempDir,
    /// Of root, where the test chose it.
    password: Option<&'static str>,
}

/// Built beside the program.
pub fn server_binary() -> PathBuf {
    match std::env::var_os("KALAMDB_SERVER_BINARY") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_BIN_EXE_kalam")).with_file_name("kalamdb-server"),
    }
}

impl Server {
    pub fn start() -> Self {
        Self::launch(None)
    }

    /// Whose password of root is this one, instead of one in a file.
    pub fn start_with_password(password: &'static str) -> Self {
        Self::launch(Some(password))
    }

    fn launch(password: Option<&'static str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (child, url) = spawn(&folder, "0", password);
        Self {
            child,
            url,
            folder,
            password,
        }
    }

    /// Ends it as a power cut would, and starts it again at the same address.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn start_again(&mut self) {
        let port = self.url.rsplit(':').next().unwrap().to_owned();
        (self.child, self.url) = spawn(&self.folder, &port, self.password);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with this server's folders, and nothing of the environment that it would follow.
    pub fn kalam(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kalam"));
        self.set_up(&mut command);
        command
    }

    pub fn set_up(&self, command: &mut Command) {
        set_up(command, self.folder.path());
    }

    /// What the program does with arguments and standard input.
    pub fn run(&self, args: &[&str], input: &str) -> Output {
        let mut child = self
            .kalam()
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The program may end before it reads all.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Standard output of what must succeed.
    pub fn out(&self, args: &[&str]) -> String {
        let output = self.run(args, "");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set_up(command: &mut Command, folder: &Path) {
    for (name, _) in std::env::vars_os() {
        // KALAM_… of the program and KALAMDB_… of the server.
        if name.to_string_lossy().starts_with("KALAM") {
            command.env_remove(name);
        }
    }
    command
        .env_remove("NO_COLOR")
        .env_remove("PAGER")
        .env("TZ", "UTC")
        .env("HOME", folder)
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("XDG_STATE_HOME", folder.join("state"));
}

fn spawn(folder: &TempDir, port: &str, password: Option<&str>) -> (Child, String) {
    let mut command = Command::new(server_binary());
    set_up(&mut command, folder.path());
    if let Some(password) = password {
        command.env("KALAMDB_ROOT_PASSWORD", password);
    }
    let mut child = command
        .args(["--port", port, "--data-dir"])
        .arg(folder.path().join("data"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines
        .find_map(|line| {
            line.unwrap()
                .split_once("ready at ")
                .map(|(_, url)| url.to_owned())
        })
        .unwrap();
    (child, url)
}
