//! Starting the real program: its arguments, its configuration, and why it does not start.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Answer, ROOT_PASSWORD, ServerProcess, TestNode, client};

fn program(folder: &Path) -> Command {
    let mut command = crate::harness::program(folder);
    command
        .current_dir(folder)
        .env("KALAMDB_ROOT_PASSWORD", ROOT_PASSWORD)
        .stdin(Stdio::null());
    command
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Runs the program to its end.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    program(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The program ended with failure, said nothing but why, and this is why.
fn check_failure(output: &Output, reasons: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    let last = said
        .lines()
        .find(|line| line.starts_with("error: "))
        .unwrap_or_else(|| panic!("no error: {said}"));
    assert!(!last.contains("panicked"));
    for reason in reasons {
        assert!(said.contains(reason), "no `{reason}` in: {said}");
    }
}

#[test]
fn a_port_that_is_taken_is_named_and_no_data_is_touched() {
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(folder.path(), &["--port", &port, "--data-dir", "data"]);
    check_failure(&output, &["cannot listen on", &format!("127.0.0.1:{port}")]);
    assert!(!folder.path().join("data").exists());
}

#[test]
fn an_address_of_no_use_is_named() {
    let folder = folder();
    let output = run(folder.path(), &["--host", "192.0.2.1", "--port", "0"]);
    check_failure(&output, &["cannot listen on 192.0.2.1:0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_in_use_is_named_and_left_alone() {
    let node = TestNode::start().await;
    let data = node.data().to_str().unwrap().to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let folder = folder();
        (
            run(folder.path(), &["--port", "0", "--data-dir", &data]),
            data,
        )
    });
    let (output, data) = output.await.unwrap();
    check_failure(&output, &["in use", &data]);
    node.sql_ok("root", "CREATE NAMESPACE still_there").await;
    node.stop().await;
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named() {
    let folder = folder();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let output = run(folder.path(), &["--port", "0", "--data-dir", "file/data"]);
    check_failure(&output, &["cannot use the data folder file/data"]);
}

#[test]
fn an_unreadable_configuration_is_named() {
    let folder = folder();
    let write =
        |name: &str, content: &[u8]| std::fs::write(folder.path().join(name), content).unwrap();
    write("binary.toml", &[0xff, 0xfe]);
    write("broken.toml", b"[server]\nport = \n");
    write("unknown.toml", b"[server]\nprot = 1\n");
    write("section.toml", b"[sever]\nport = 1\n");
    write("type.toml", b"[server]\nport = 'many'\n");
    write("value.toml", b"[node]\nnumber = 1024\n");
    for (file, reasons) in [
        ("missing.toml", &["missing.toml"][..]),
        (".", &["cannot read the configuration file"]),
        ("binary.toml", &["binary.toml"]),
        ("broken.toml", &["broken.toml", "line 2"]),
        (
            "unknown.toml",
            &["unknown.toml", "line 2", "`prot`", "`port`"],
        ),
        ("section.toml", &["section.toml", "line 1", "`sever`"]),
        ("type.toml", &["type.toml", "line 2"]),
        ("value.toml", &["node.number", "must be below 1024"]),
    ] {
        for also in [&[][..], &["--check-config"], &["--print-config"]] {
            let output = run(folder.path(), &[&["--config", file], also].concat());
            check_failure(&output, reasons);
        }
    }
    assert!(!folder.path().join("data").exists());
}

#[test]
fn a_wrong_variable_is_named() {
    let folder = folder();
    for (name, value) in [
        ("KALAMDB_SERVER_PORT", "70000"),
        ("KALAMDB_DURABILITY", "sometimes"),
        ("KALAMDB_LOG_LEVEL", "loud"),
    ] {
        let output = program(folder.path())
            .env(name, value)
            .arg("--check-config")
            .output()
            .unwrap();
        check_failure(&output, &[name, value]);
    }
    let output = program(folder.path())
        .env("KALAMDB_JWT_SECRET", "too-short-a-secret")
        .output()
        .unwrap();
    check_failure(&output, &["jwt.secret", "at least 32 bytes"]);
    assert!(
        !text(&output.stderr).contains("too-short-a-secret"),
        "a secret is not shown"
    );
}

#[test]
fn a_weak_first_password_is_refused() {
    let folder = folder();
    let mut command = program(folder.path());
    let output = command
        .env("KALAMDB_ROOT_PASSWORD", "short")
        .args(["--port", "0"])
        .output()
        .unwrap();
    check_failure(
        &output,
        &["the first password of root", "at least 8 characters"],
    );
}

#[test]
fn arguments_that_do_not_exist_are_refused() {
    let folder = folder();
    let output = run(folder.path(), &["--prot", "1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--prot"));
    let version = run(folder.path(), &["--version"]);
    assert_eq!(
        text(&version.stdout).trim(),
        format!("kalamdb-server {}", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_valid_configuration_is_checked_and_printed_without_a_start() {
    let folder = folder();
    let file = "durability = 'relaxed:50ms'\n[log]\nlevel = 'warn'\n[security]\nallowed_origins = ['https://a.example']\n";
    std::fs::write(folder.path().join("server.toml"), file).unwrap();
    let secret = "0123456789abcdef0123456789abcdef";
    let run = |arguments: &[&str]| {
        let mut command = program(folder.path());
        command
            .env("KALAMDB_JWT_SECRET", secret)
            .env("KALAMDB_LOG_FORMAT", "json");
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let checked = run(&["--config", "server.toml", "--check-config"]);
    assert_eq!(checked.trim(), "the configuration is valid");
    let printed = run(&[
        "--config",
        "server.toml",
        "--port",
        "1234",
        "--print-config",
    ]);
    for line in [
        "durability = \"relaxed:50ms\"  # file",
        "[server]",
        "host = \"127.0.0.1\"  # default",
        "port = 1234  # argument",
        "level = \"warn\"  # file",
        "format = \"json\"  # environment",
        "allowed_origins = [\"https://a.example\"]  # file",
        "secret = \"***\"  # environment",
        "password = \"***\"  # environment",
    ] {
        assert!(
            printed.lines().any(|found| found == line),
            "no `{line}` in:\n{printed}"
        );
    }
    assert!(!printed.contains(secret) && !printed.contains(ROOT_PASSWORD));
    std::fs::write(folder.path().join("again.toml"), &printed).unwrap();
    let values = |text: &str| {
        let lines = text
            .lines()
            .map(|line| line.split("  # ").next().unwrap_or_default().to_owned());
        lines.collect::<Vec<_>>()
    };
    let again = run(&["--config", "again.toml", "--print-config"]);
    assert_eq!(
        values(&again),
        values(&printed),
        "what is printed is a configuration"
    );
    assert!(!folder.path().join("data").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_that_is_no_setting_is_worth_a_warning() {
    let server = ServerProcess::start(&[
        ("KALAMDB_LOG_LEVLE", "debug"),
        ("KALAMDB_LOG_FORMAT", "json"),
    ])
    .await;
    while !server.log().contains("KALAMDB_LOG_LEVLE") {
        tokio::task::yield_now().await;
    }
    for line in server.log().lines() {
        let line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(line["level"].is_string());
    }
    server.stop().await;
}

/// The program while it runs; killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts without a password in the environment and reads what is said until the server is ready.
fn start(folder: &Path) -> (Running, Vec<String>) {
    let mut command = program(folder);
    command
        .env_remove("KALAMDB_ROOT_PASSWORD")
        .args(["--port", "0", "--data-dir", "data"]);
    let mut running = Running(
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let mut said = Vec::new();
    for line in BufReader::new(running.0.stdout.take().unwrap()).lines() {
        said.push(line.unwrap());
        if said
            .last()
            .is_some_and(|line| line.contains(" is ready at "))
        {
            break;
        }
    }
    (running, said)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn log_in(said: &[String], password: &str) -> Answer {
    let (_, url) = said.last().unwrap().split_once(" is ready at ").unwrap();
    let body = json!({"user": "root", "password": password});
    Answer::of(
        client()
            .post(format!("{url}/v1/api/auth/login"))
            .json(&body),
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_password_is_shown_once_and_kept_for_its_owner() {
    let folder = folder();
    let path = folder.path().to_owned();
    let starting = || {
        let path = path.clone();
        tokio::task::spawn_blocking(move || start(&path))
    };
    let (running, said) = starting().await.unwrap();
    assert_eq!(said.len(), 2, "{said:?}");
    let file = folder.path().join("data/root-credential");
    let password = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    assert!(password.len() >= 16);
    assert!(
        said[0].contains(&password) && said[0].contains("root-credential"),
        "{said:?}"
    );
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&folder.path().join("data/jwt-secret")), 0o600);
    assert_eq!(mode(&folder.path().join("data")), 0o700);
    assert_eq!(log_in(&said, &password).await.status, 200);
    drop(running);

    let (_running, said) = starting().await.unwrap();
    assert_eq!(said.len(), 1, "it is shown once: {said:?}");
    assert_eq!(log_in(&said, &password).await.status, 200);
}
