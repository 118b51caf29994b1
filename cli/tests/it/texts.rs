//! What the program says: its help, its commands, its errors. Numbers are masked, since most of them are never the same.

use std::path::Path;

use crate::server::Server;

/// Each run of digits as one `#`, and the test's folder as `FOLDER`.
fn masked(text: &str, folder: &Path) -> String {
    let text = text.replace(&*folder.to_string_lossy(), "FOLDER");
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            _ => out.push(c),
        }
    }
    out
}

/// What the program writes for each of these, errors and all.
fn said(server: &Server, runs: &[&[&str]]) -> String {
    let mut all = String::new();
    for args in runs {
        let output = server.run(args, "");
        let code = output.status.code().unwrap();
        let mut text = format!("$ kalam {}\n", args.join(" "));
        text += &String::from_utf8_lossy(&output.stdout);
        text += &String::from_utf8_lossy(&output.stderr);
        all += &masked(&text, &server.path(""));
        all += &format!("[exit {code}]\n\n");
    }
    all
}

const SUBCOMMANDS: [&[&str]; 14] = [
    &[],
    &["import"],
    &["export"],
    &["bench"],
    &["bench", "run"],
    &["bench", "list"],
    &["bench", "compare"],
    &["doctor"],
    &["gen"],
    &["gen", "ts"],
    &["login"],
    &["logout"],
    &["completions"],
    &["man"],
];

#[test]
fn help_of_the_program_and_its_subcommands() {
    let server = Server::start();
    for words in SUBCOMMANDS {
        let mut args = words.to_vec();
        args.push("--help");
        let name = [&["help"], words].concat().join("_");
        insta::assert_snapshot!(name, server.out(&args));
    }
}

fn with_tables() -> Server {
    let server = Server::start();
    server.out(&[
        "-c",
        "CREATE NAMESPACE chat;
         CREATE TABLE chat.messages (id INT PRIMARY KEY, body TEXT NOT NULL, at TIMESTAMP) WITH (TYPE='USER');
         CREATE SHARED TABLE chat.rooms (id INT PRIMARY KEY, name TEXT);
         INSERT INTO chat.rooms VALUES (1, 'kitchen'), (2, 'garden');
         CREATE USER 'ann' WITH PASSWORD 'correct horse' ROLE user",
    ]);
    server
}

#[test]
fn every_command_with_what_it_prints() {
    let server = with_tables();
    let script = server.path("rooms.sql");
    std::fs::write(&script, "SELECT name FROM chat.rooms WHERE id = 1;\n").unwrap();
    let export = server.path("rooms.csv");
    let script = format!(
        "\\? watch
\\conninfo
\\health
\\dn
\\dt
\\dt chat
\\d
\\d chat.rooms
\\du
\\di
\\di chat.rooms
\\dj
\\dlive
\\cluster
\\explain SELECT * FROM chat.rooms WHERE id = 1
\\set room 2
\\set
SELECT name FROM chat.rooms WHERE id = :room;
\\g
\\gx
\\unset room
\\unset room
\\x on
SELECT * FROM chat.rooms WHERE id = 1;
\\x off
\\t on
SELECT * FROM chat.rooms WHERE id = 1;
\\t off
\\format markdown
SELECT * FROM chat.rooms WHERE id = 1;
\\format table
\\format
\\pset null nothing
\\pset header off
SELECT NULL AS a;
\\pset header on
\\pset
\\pset format csv
SELECT NULL AS a;
\\pset format table
\\timing on
SELECT 1 AS one;
\\timing off
\\echo some words
\\i {}
\\copy chat.rooms to '{}'
\\copy chat.rooms from '{}' (format csv)
\\connect nowhere
\\e
\\subscribe SELECT * FROM chat.nothing
\\live SELECT * FROM chat.rooms
\\watch nothing
\\nothing
\\q
SELECT 'never';
",
        script.display(),
        export.display(),
        export.display()
    );
    let path = server.path("commands.sql");
    let mut all = String::new();
    // One line at a time, so that each stands beside what it prints.
    std::fs::write(&path, &script).unwrap();
    let output = server.run(
        &[
            "--on-error",
            "continue",
            "-c",
            "\\pset pager off",
            "-f",
            path.to_str().unwrap(),
        ],
        "",
    );
    all += "-- standard output\n";
    all += &String::from_utf8_lossy(&output.stdout);
    all += "-- standard error\n";
    all += &String::from_utf8_lossy(&output.stderr);
    insta::assert_snapshot!(masked(&all, &server.path("")));
}

#[test]
fn every_format() {
    let server = with_tables();
    let sql = "SELECT id, name, NULL AS nothing FROM chat.rooms ORDER BY id; SELECT id FROM chat.rooms WHERE id = 9";
    let runs = ["table", "expanded", "json", "ndjson", "csv", "markdown"];
    let runs: Vec<Vec<&str>> = runs
        .iter()
        .map(|format| vec!["--format", format, "-c", sql])
        .collect();
    let runs: Vec<&[&str]> = runs.iter().map(Vec::as_slice).collect();
    insta::assert_snapshot!(said(&server, &runs));
}

#[test]
fn every_class_of_error() {
    let server = with_tables();
    let ann = ["--user", "ann", "--password", "correct horse", "-c"];
    let ann = |sql| [&ann[..], &[sql]].concat();
    let broken = server.path("broken.sql");
    std::fs::write(&broken, b"SELECT '\xff'").unwrap();
    let (broken, missing) = (broken, server.path("missing.sql"));
    let runs: Vec<Vec<&str>> = vec![
        vec!["-c", "SELECT 1 +"],
        vec!["-c", "SELEKT 1"],
        vec!["-c", "SELECT nope FROM chat.rooms"],
        vec!["-c", "SELECT * FROM chat.room"],
        vec!["-c", "SELECT * FROM nowhere.rooms"],
        vec!["-c", "CREATE NAMESPACE chat"],
        vec!["-c", "INSERT INTO chat.rooms VALUES (1, 'again')"],
        vec!["-c", "INSERT INTO chat.messages (id) VALUES (1)"],
        vec!["-c", "INSERT INTO chat.rooms VALUES ('x', 'y')"],
        vec!["-c", "SELECT $1", "-p", "1", "-p", "2"],
        vec!["-c", "SELECT $2", "-p", "1"],
        vec!["-c", "SELECT 1 / 0"],
        vec!["-c", "STORAGE FLUSH TABLE chat.rooms"],
        vec!["-c", "SELECT :nothing"],
        vec!["-c", "BEGIN; SELECT 1"],
        vec!["-c", ""],
        vec!["-c", "SUBSCRIBE TO chat.nothing"],
        vec![
            "-c",
            "SUBSCRIBE TO SELECT a.id FROM chat.rooms a JOIN chat.rooms b ON a.id = b.id",
        ],
        ann("CREATE NAMESPACE mine"),
        ann("SELECT * FROM system.users"),
        ann("DROP TABLE chat.messages"),
        vec!["--user", "ann", "--password", "wrong", "-c", "SELECT 1"],
        vec!["--user", "ann", "-c", "SELECT 1"],
        vec!["--token", "nonsense", "-c", "SELECT 1"],
        vec!["--instance", "nowhere", "-c", "SELECT 1"],
        vec![
            "--url",
            "http://127.0.0.1:1",
            "--password",
            "x",
            "-c",
            "SELECT 1",
        ],
        vec![
            "--url",
            "ftp://example.org",
            "--password",
            "x",
            "-c",
            "SELECT 1",
        ],
        vec!["--url", "http://127.0.0.1:1", "--port", "2"],
        vec!["--format", "xml"],
        vec!["-v", "1x=2"],
        vec!["-f", missing.to_str().unwrap()],
        vec!["-f", broken.to_str().unwrap()],
        vec!["-o", "/nowhere/at/all", "-c", "SELECT 1"],
        vec!["import", missing.to_str().unwrap(), "--into", "chat.rooms"],
        vec!["import", "-", "--into", "chat.rooms"],
        vec!["import", "-", "--format", "csv", "--into", "chat.rooms"],
        vec![
            "import",
            "-",
            "--format",
            "csv",
            "--into",
            "chat.rooms; DROP",
        ],
        vec!["export", "chat.nothing"],
        vec!["export", "chat.rooms", "--to", "/nowhere/at/all.csv"],
        vec!["export", "chat.rooms", "--to", "rooms.xml"],
        vec!["gen", "ts", "--namespace", "nowhere"],
        vec!["logout", "nowhere"],
    ];
    let runs: Vec<&[&str]> = runs.iter().map(Vec::as_slice).collect();
    insta::assert_snapshot!(said(&server, &runs));
}
