//! The prompt in a terminal.

use crate::server::Server;
use crate::terminal::Terminal;

const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const BACKSPACE: &str = "\x7f";
const CTRL_R: &str = "\x12";
const CTRL_U: &str = "\x15";
const UP: &str = "\x1b[A";
const LEFT: &str = "\x1b[D";
const TAB: &str = "\t";
const ENTER: &str = "\r";

fn prompt(server: &Server) -> Terminal {
    let terminal = Terminal::start(server.kalam());
    terminal.wait_for("> ");
    terminal
}

fn host(server: &Server) -> String {
    format!("root@{}> ", server.url.trim_start_matches("http://"))
}

/// Waits for the prompt on the last line that is not empty.
fn ready(terminal: &Terminal, server: &Server) {
    let host = host(server);
    terminal.wait("the prompt", |screen| {
        screen
            .trim_end()
            .lines()
            .last()
            .is_some_and(|line| line.trim_end() == host.trim_end())
    });
}

#[test]
fn a_statement_takes_lines_until_its_semicolon() {
    let server = Server::start();
    let mut terminal = prompt(&server);
    terminal.send("SELECT 40 +\r");
    terminal.wait_for("… ");
    terminal.send("2 AS answer;\r");
    terminal.wait_for("     42");
    terminal.wait_for("(1 row)");
    ready(&terminal, &server);
    terminal.send(CTRL_D);
    assert!(terminal.end().success());
}

#[test]
fn history_comes_back_without_passwords() {
    let server = Server::start();
    let mut terminal = prompt(&server);
    terminal.send("SELECT 'first' AS remembered;\r");
    terminal.wait_for("(1 row)");
    terminal.send("CREATE USER 'bo' WITH PASSWORD 'secret horse' ROLE user;\r");
    terminal.wait_for("User 'bo' created");
    ready(&terminal, &server);
    terminal.send("\\q\r");
    assert!(terminal.end().success());

    let mut terminal = prompt(&server);
    // The command that left is the last one.
    terminal.send(UP);
    terminal.wait_for("> \\q");
    terminal.send(UP);
    terminal.wait_for("> SELECT 'first' AS remembered;");
    terminal.send(CTRL_U);
    terminal.send("\\q\r");
    assert!(terminal.end().success());
    let history = std::fs::read_to_string(server.path("state/kalamdb/history")).unwrap();
    assert!(!history.contains("secret"), "{history}");
}

#[test]
fn tab_completes_from_the_schema() {
    let server = Server::start();
    server.out(&[
        "-c",
        "CREATE NAMESPACE chat; CREATE TABLE chat.messages (id INT PRIMARY KEY, conversation TEXT)",
    ]);
    let mut terminal = prompt(&server);
    let typed = "SELECT conv FROM chat.messages m;";
    terminal.send(typed);
    terminal.wait_for(typed);
    // The first tab waits for the schema, which is loaded behind the prompt.
    terminal.send(&LEFT.repeat(typed.len() - "SELECT conv".len()));
    terminal.send(TAB);
    terminal.wait_for("SELECT conversation FROM chat.messages m;");
    terminal.send(ENTER);
    terminal.wait_for("(0 rows)");
    ready(&terminal, &server);
    terminal.send("\\subsc\t");
    terminal.wait_for("> \\subscribe");
}

#[test]
fn ctrl_c_ends_statements_subscriptions_and_live_tables() {
    let server = Server::start();
    server.out(&["-c", "CREATE NAMESPACE c; CREATE TABLE c.t (id INT PRIMARY KEY, v TEXT); INSERT INTO c.t VALUES (1, 'one')"]);
    let mut terminal = prompt(&server);
    terminal.send(
        "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b;\r",
    );
    terminal.wait_for("Ctrl-C cancels");
    terminal.send(CTRL_C);
    terminal.wait_for("cancelled");
    ready(&terminal, &server);

    terminal.send("\\subscribe SELECT * FROM c.t\r");
    terminal.wait_for("live after 1 row;");
    server.out(&["-c", "INSERT INTO c.t VALUES (2, 'two')"]);
    terminal.wait_for("insert  id=2 v=two");
    terminal.send(CTRL_C);
    terminal.wait_for("-- 1 change");
    ready(&terminal, &server);

    terminal.send("\\live SELECT * FROM c.t ORDER BY id\r");
    terminal.wait_for("live, 2 rows");
    server.out(&["-c", "UPDATE c.t SET v = 'zwei' WHERE id = 2"]);
    terminal.wait_for("2 │ zwei");
    terminal.resize(10, 60);
    server.out(&["-c", "INSERT INTO c.t VALUES (3, 'שלום')"]);
    terminal.wait_for("live, 3 rows");
    terminal.send(CTRL_C);
    ready(&terminal, &server);
}

#[test]
fn ten_thousand_rows_go_through_the_pager() {
    let server = Server::start();
    let mut command = server.kalam();
    command.env("KALAM_PAGER", "tail -n 2");
    let mut terminal = Terminal::start(command);
    ready(&terminal, &server);
    terminal.send("SELECT value FROM generate_series(1, 10000);\r");
    terminal.wait_for("(10000 rows)");
    terminal.wait("the end alone", |screen| {
        screen.contains("10000\n") && !screen.contains(" 9998")
    });
    ready(&terminal, &server);
}

#[test]
fn the_prompt_survives_its_server() {
    let mut server = Server::start();
    let mut terminal = prompt(&server);
    server.kill();
    terminal.send("SELECT 'gone';\r");
    terminal.wait_for("is the server running?");
    ready(&terminal, &server);
    server.start_again();
    terminal.send("SELECT 'back' AS again;\r");
    terminal.wait_for("(1 row)");
}

#[test]
fn whole_tables_are_changed_after_a_yes_only() {
    let server = Server::start();
    server.out(&[
        "-c",
        "CREATE NAMESPACE y; CREATE TABLE y.t (id INT PRIMARY KEY)",
    ]);
    let mut terminal = prompt(&server);
    terminal.send("DROP TABLE y.t;\r");
    terminal.wait_for("Go on? [y/N]");
    terminal.send("n\r");
    terminal.wait_for("needs a yes");
    ready(&terminal, &server);
    terminal.send("DROP TABLE y.t;\r");
    terminal.wait("the second question", |screen| {
        screen.matches("Go on? [y/N]").count() == 2
    });
    terminal.send("y\r");
    terminal.wait_for("dropped");
}

#[test]
fn text_of_every_script_is_edited_and_shown() {
    let server = Server::start();
    let mut terminal = prompt(&server);
    // The last character is taken back: a family of three is one.
    terminal.send("SELECT 'שלום 日本語 👩‍👩‍👧' AS words;");
    terminal.wait_for("AS words;");
    terminal.send(&LEFT.repeat("' AS words;".len()));
    terminal.send(BACKSPACE);
    terminal.send("🎉");
    terminal.wait_for("🎉' AS words;");
    terminal.send(ENTER);
    terminal.wait_for("(1 row)");
    terminal.wait("the row", |screen| {
        let rows = screen.lines().filter(|line| line.starts_with(" שלום"));
        rows.map(str::trim).eq(["שלום 日本語 🎉"])
    });
}

#[test]
fn history_is_searched_backwards() {
    let server = Server::start();
    let mut terminal = prompt(&server);
    for (statement, row) in [
        ("SELECT 'needle';\r", "\n needle"),
        ("SELECT 'hay';\r", "\n hay"),
    ] {
        terminal.send(statement);
        terminal.wait_for(row);
        ready(&terminal, &server);
    }
    terminal.send(CTRL_R);
    terminal.wait_for("(history: )");
    terminal.send("needle");
    terminal.wait_for(") SELECT 'needle';");
    // What is found comes into the line, where it can be changed.
    terminal.send(ENTER);
    let line = format!("{}SELECT 'needle';", host(&server));
    terminal.wait("it twice", |screen| screen.matches(&line).count() == 2);
    terminal.send(ENTER);
    terminal.wait("the answer twice", |screen| {
        screen.matches("\n needle").count() == 2
    });
}

#[test]
fn an_editor_changes_the_last_statement() {
    let server = Server::start();
    let mut command = server.kalam();
    command.env("EDITOR", "sed -i s/before/after/");
    let mut terminal = Terminal::start(command);
    ready(&terminal, &server);
    terminal.send("SELECT 'before' AS word;\r");
    terminal.wait_for("(1 row)");
    ready(&terminal, &server);
    terminal.send("\\e\r");
    terminal.wait_for(" after\n(1 row)");
}

#[test]
fn a_statement_is_watched_until_ctrl_c() {
    let server = Server::start();
    let mut terminal = prompt(&server);
    terminal.send("SELECT 'seen' AS word \\watch 0.01\r");
    terminal.wait("it several times", |screen| {
        screen.matches(" seen").count() > 2
    });
    terminal.send(CTRL_C);
    ready(&terminal, &server);
}
