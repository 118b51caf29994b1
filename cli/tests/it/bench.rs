//! `kalam bench`: every scenario works. How fast is nothing that a test could say.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::server::{Server, server_binary};

/// Small enough for any machine.
const SMALL: [&str; 10] = [
    "--seconds",
    "2",
    "--rows",
    "2000",
    "--sockets",
    "20",
    "--subscriptions",
    "5",
    "--writers",
    "2",
];

fn report(server: &Server, scenarios: &[&str], more: &[&str], name: &str) -> Json {
    let path = server.path(name);
    let server_path = server_binary();
    let mut args = vec!["bench", "run"];
    args.extend(scenarios);
    args.extend(SMALL);
    args.extend(more);
    args.extend(["--server", server_path.to_str().unwrap()]);
    args.extend(["--json", path.to_str().unwrap()]);
    let table = server.out(&args);
    assert!(table.starts_with("KalamDB "), "{table}");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn every_scenario_runs_and_is_reported() {
    let server = Server::start();
    let page = server.path("report.html");
    let report = report(
        &server,
        &[],
        &["--html", page.to_str().unwrap()],
        "all.json",
    );
    let measured: BTreeSet<&str> = report["measurements"]
        .as_array()
        .unwrap()
        .iter()
        .inspect(|measurement| {
            assert!(
                measurement["operations"].as_u64() > Some(0),
                "{measurement}"
            );
        })
        .map(|measurement| measurement["scenario"].as_str().unwrap())
        .collect();
    let list = server.out(&["bench", "list"]);
    let listed: BTreeSet<&str> = list
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert_eq!(measured, listed);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<svg") && page.ends_with("</html>\n"));

    let path = server.path("all.json");
    let path = path.to_str().unwrap();
    let same = server.out(&["bench", "compare", path, path]);
    assert!(same.contains("1.00"), "{same}");
    assert!(
        !same.contains("worse") && !same.contains("better"),
        "{same}"
    );
}

#[test]
fn an_open_loop_keeps_its_rate() {
    let server = Server::start();
    let report = report(&server, &["W1"], &["--rate", "100"], "open.json");
    let inserts = report["measurements"]
        .as_array()
        .unwrap()
        .iter()
        .find(|measurement| measurement["scenario"] == "W1")
        .unwrap();
    // 100 a second for two seconds, and no more however fast the machine is.
    assert_eq!(inserts["operations"], 200);
}

#[test]
fn the_stack_can_be_started_from_what_is_printed() {
    let server = Server::start();
    let script = server.out(&["bench", "stack-script"]);
    for part in ["npm install pg ws", "DATABASE_URL", "server.listen("] {
        assert!(script.contains(part), "{part}");
    }
}

#[test]
fn what_cannot_be_measured_is_said() {
    let server = Server::start();
    for (args, message) in [
        (&["bench", "run", "W99"][..], "there is no scenario `W99`"),
        (
            &["bench", "run", "W1", "--server", "/no/such/program"][..],
            "No such file",
        ),
        (
            &["bench", "compare", "/no/such/file", "x"][..],
            "/no/such/file",
        ),
        (&["bench", "run", "--rate", "0"][..], "more than 0"),
        // Nobody listens at the first port.
        (
            &["bench", "run", "W1", "--peer", "stack=1"][..],
            "stack on port 1: ",
        ),
        (
            &["bench", "run", "W1", "--peer", "mysql"][..],
            "the peers are `postgres`, `stack` and `redis`",
        ),
    ] {
        let output = server.run(args, "");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(message), "{args:?}: {text}");
        assert!(!output.status.success());
    }
}
