//! `kalam doctor` beside a server that is well, and without one.

use kalam_link::Json;

use crate::node::Node;

#[tokio::test]
async fn a_server_that_is_well_gets_no_failed_check() {
    let node = Node::start();
    let ran = node.run(&["doctor", "--format", "json"]).ok();
    let diagnosis: Json = serde_json::from_str(&ran.stdout).unwrap();
    let checks: Vec<(&str, &str)> = diagnosis["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| {
            (
                check["check"].as_str().unwrap(),
                check["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        checks,
        [
            ("reachable", "ok"),
            ("version", "ok"),
            ("encryption", "ok"),
            ("clock", "ok"),
            ("socket", "ok"),
            ("role", "ok"),
            ("durability", "ok"),
            ("rate limit", "ok"),
            ("root", "ok"),
        ],
        "{diagnosis:#}"
    );
    std::fs::write(node.path("data/root-credential"), "secret").unwrap();
    let ran = node.run(&["doctor"]).ok();
    assert!(
        ran.stdout
            .contains("warn  root: its first password is kept in "),
        "{ran:?}"
    );
    assert!(
        ran.stdout.contains("hint: ALTER USER 'root' SET PASSWORD"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn what_keeps_everything_else_from_working_fails() {
    let node = Node::start();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let mut command = node.kalam(&["doctor"]);
    let output = command.env("KALAM_URL", url).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("fail  "), "{text}");
    let mut command = node.kalam(&["doctor"]);
    let output = command
        .env("KALAM_PASSWORD", "a wrong one")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("fail  "), "{text}");
}
