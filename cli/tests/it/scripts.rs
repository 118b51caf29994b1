//! `-c`, `-f` and standard input.

use crate::server::Server;

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_finds_the_server_of_this_machine_and_signs_in_as_root() {
    let server = Server::start();
    let output = server.run(&["-c", "\\conninfo"], "");
    let expected = format!("Connected to {} as root.\n", server.url);
    assert_eq!(stderr(&output), expected);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn results_are_on_stdout_and_everything_else_on_stderr() {
    let server = Server::start();
    let script = "CREATE NAMESPACE s;\nCREATE TABLE s.t (id INT PRIMARY KEY, v TEXT);\n\
        INSERT INTO s.t VALUES (1, 'a'), (2, NULL);\nUSE s;\nSELECT * FROM t ORDER BY id;\n";
    let output = server.run(&["--format", "csv"], script);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "id,v\n1,a\n2,\n");
    assert!(
        stderr(&output).contains("Inserted 2 row(s)"),
        "{}",
        stderr(&output)
    );
    let output = server.run(
        &[
            "-q",
            "-n",
            "s",
            "-F",
            "ndjson",
            "-c",
            "SELECT v FROM t WHERE id = $1",
            "-p",
            "2",
        ],
        "",
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"v\":null}\n");
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_script_of_a_hundred_statements_gives_the_same_bytes_each_time() {
    let server = Server::start();
    let mut script = String::from(
        "CREATE NAMESPACE IF NOT EXISTS h;\nDROP TABLE IF EXISTS h.t;\nCREATE TABLE h.t (id INT PRIMARY KEY, v TEXT);\n",
    );
    for id in 0..48 {
        script += &format!(
            "INSERT INTO h.t VALUES ({id}, 'text {id}; ''quoted''');\nSELECT * FROM h.t WHERE id = {id};\n"
        );
    }
    script += "SELECT count(*) AS n FROM h.t;\n";
    let path = server.path("hundred.sql");
    std::fs::write(&path, script).unwrap();
    let path = path.to_str().unwrap();
    for format in ["table", "expanded", "json", "ndjson", "csv", "markdown"] {
        let first = server.out(&["--format", format, "-f", path]);
        let second = server.out(&["--format", format, "-f", path]);
        assert_eq!(first, second);
        assert!(first.contains("text 47; 'quoted'"), "{first}");
    }
}

#[test]
fn exit_codes_say_what_happened() {
    let server = Server::start();
    let check = |args: &[&str], code: i32, message: &str| {
        let output = server.run(args, "");
        assert!(
            stderr(&output).contains(message),
            "{args:?}: {}",
            stderr(&output)
        );
        assert_eq!(output.status.code(), Some(code), "{args:?}");
    };
    check(&["-c", "SELECT 1"], 0, "");
    check(
        &["-c", "SELECT * FROM default.nothing"],
        1,
        "[TABLE_NOT_FOUND]",
    );
    check(&["--nothing"], 2, "unexpected argument");
    check(
        &["--user", "nobody", "--password", "wrong", "-c", "SELECT 1"],
        3,
        "cannot sign in",
    );
    check(
        &[
            "--url",
            "http://127.0.0.1:1",
            "--password",
            "x",
            "-c",
            "SELECT 1",
        ],
        3,
        "is the server running?",
    );
    check(
        &["--user", "nobody", "-c", "SELECT 1"],
        3,
        "a password is needed",
    );
    check(&["-c", "\\nothing"], 1, "unknown command `\\nothing`");
}

#[test]
fn a_script_stops_at_its_first_error_or_goes_on() {
    let server = Server::start();
    let script = "SELECT 1 AS a;\nSELECT\n  nothing_here;\nSELECT 2 AS b;\n";
    let path = server.path("errors.sql");
    std::fs::write(&path, script).unwrap();
    let path = path.to_str().unwrap();
    let stopped = server.run(&["-F", "csv", "-f", path], "");
    assert_eq!(String::from_utf8_lossy(&stopped.stdout), "a\n1\n");
    assert!(
        stderr(&stopped).contains("errors.sql:2: error: "),
        "{}",
        stderr(&stopped)
    );
    let all = server.run(&["-F", "csv", "--on-error", "continue", "-f", path], "");
    assert_eq!(String::from_utf8_lossy(&all.stdout), "a\n1\nb\n2\n");
    assert_eq!(all.status.code(), Some(1));
}

#[test]
fn the_place_of_an_error_is_marked() {
    let server = Server::start();
    let output = server.run(&["-c", "SELECT 1 +;"], "");
    let text = stderr(&output);
    assert!(text.contains("1 │ SELECT 1 +\n  │"), "{text}");
    assert!(text.contains("[INVALID_SQL]"), "{text}");
}

#[test]
fn a_transaction_is_sent_as_a_whole() {
    let server = Server::start();
    let script = "CREATE NAMESPACE x; CREATE TABLE x.t (id INT PRIMARY KEY);\n\
        BEGIN;\nINSERT INTO x.t VALUES (1);\nINSERT INTO x.t VALUES (1);\nCOMMIT;\n";
    let output = server.run(&[], script);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(
        server.out(&["-F", "csv", "-c", "SELECT count(*) AS n FROM x.t"]),
        "n\n0\n"
    );
}

#[test]
fn variables_output_files_and_commands_work_in_scripts() {
    let server = Server::start();
    let file = server.path("out.csv");
    let script = format!(
        "\\format csv\n\\set who 'it''s me'\n\\o {}\nSELECT :'who' AS who;\n\\o\nSELECT 2 AS two \\g\n\\echo done\n",
        file.display()
    );
    let output = server.run(&[], &script);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "two\n2\ndone\n",
        "{}",
        stderr(&output)
    );
    assert_eq!(std::fs::read_to_string(file).unwrap(), "who\nit's me\n");
}

#[test]
fn a_login_is_saved_and_forgotten() {
    let server = Server::start();
    server.out(&[
        "-c",
        "CREATE USER 'ann' WITH PASSWORD 'correct horse' ROLE user",
    ]);
    let saved = server.run(
        &[
            "login",
            "work",
            "--url",
            &server.url,
            "--user",
            "ann",
            "--password",
            "correct horse",
        ],
        "",
    );
    assert!(
        stderr(&saved).contains("is saved as `work`"),
        "{}",
        stderr(&saved)
    );
    let info = server.run(&["--instance", "work", "-c", "\\conninfo"], "");
    assert!(stderr(&info).ends_with("as ann.\n"), "{}", stderr(&info));
    assert_eq!(server.run(&["logout", "work"], "").status.code(), Some(0));
    assert_eq!(
        server
            .run(&["--instance", "work", "-c", "\\conninfo"], "")
            .status
            .code(),
        Some(3)
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let server = Server::start();
    let mut command = std::process::Command::new("sh");
    let program = env!("CARGO_BIN_EXE_kalam");
    let line = format!(
        "'{program}' --url '{}' --password \"$0\" -F csv -c 'SELECT 1' -c 'SELECT 2' | true",
        server.url
    );
    let password = std::fs::read_to_string(server.path("data/root-credential")).unwrap();
    let output = command
        .args(["-c", &line, password.trim()])
        .output()
        .unwrap();
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_subscription_prints_each_change_until_it_is_interrupted() {
    use std::io::{BufRead as _, BufReader};
    let server = Server::start();
    server.out(&["-c", "CREATE NAMESPACE chat; CREATE TABLE chat.m (id INT PRIMARY KEY, body TEXT); INSERT INTO chat.m VALUES (1, 'old')"]);
    let mut child = server
        .kalam()
        .args([
            "-q",
            "-F",
            "ndjson",
            "-n",
            "chat",
            "-c",
            "SUBSCRIBE TO SELECT id, body FROM m WHERE id < 10",
        ])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = |expected: &str| {
        let line: serde_json::Value =
            serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(
            format!(
                "{} {} {}",
                line["kind"], line["row"]["id"], line["row"]["body"]
            ),
            expected
        );
    };
    next("\"row\" 1 \"old\"");
    server.out(&["-c", "INSERT INTO chat.m VALUES (2, 'new'), (11, 'hidden'); UPDATE chat.m SET body = 'newer' WHERE id = 2; DELETE FROM chat.m WHERE id = 2"]);
    next("\"insert\" 2 \"new\"");
    next("\"update\" 2 \"newer\"");
    let line: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(
        (&line["kind"], &line["row"]["id"]),
        (&"delete".into(), &2.into())
    );
    // SAFETY: a signal to a child that has not been waited for.
    unsafe { libc::kill(child.id().cast_signed(), libc::SIGINT) };
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
