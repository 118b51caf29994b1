//! The tours of the documents as dialogues: what they type is typed, what they show must come.
//!
//! A block `console` is the first terminal, `console second` another one. Lines with a prompt are typed, and so are those
//! that go on after one (`… `); `$ ` begins a command of the system's shell, and `^C` is that key. Every other line must be
//! on the screen, where a time of day may be any.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use crate::server::Server;
use crate::terminal::Terminal;

const PROMPT: &str = "root@127.0.0.1:8080";
const CONTINUED: &str = "… ";
// Wide and high enough that nothing is cut off or scrolled away.
const ROWS: u16 = 200;
const COLUMNS: u16 = 160;

struct Screen {
    terminal: Terminal,
    /// How often each line was to be seen so far.
    seen: HashMap<String, usize>,
}

impl Screen {
    fn open(server: &Server) -> Self {
        let terminal = Terminal::start(server.kalam());
        terminal.resize(ROWS, COLUMNS);
        let screen = Self {
            terminal,
            seen: HashMap::new(),
        };
        screen.wait_for_prompt();
        screen
    }

    /// The last line that is not empty is a prompt to type after.
    fn wait_for_prompt(&self) {
        self.terminal.wait("a prompt", |contents| {
            let last = contents.trim_end().lines().last().unwrap_or_default();
            let last = last.trim_end();
            last == CONTINUED.trim_end() || (last.starts_with("root@") && last.ends_with('>'))
        });
    }

    fn type_line(&mut self, text: &str) {
        self.wait_for_prompt();
        self.terminal.send(text);
        let typed = text.trim_end().to_owned();
        self.terminal.wait_for(&typed);
        self.terminal.send("\r");
    }

    fn expect(&mut self, line: &str) {
        let wanted = without_time(line);
        let times = self.seen.entry(wanted.to_owned()).or_default();
        *times += 1;
        let times = *times;
        self.terminal.wait(line, |contents| {
            let lines = contents.lines().map(without_time);
            lines.filter(|line| *line == wanted).count() >= times
        });
    }
}

/// `12:00:01.250  insert …` without its beginning; other lines as they are. Spaces at the end are no matter.
fn without_time(line: &str) -> &str {
    let line = line.trim_end();
    let is_time = |text: &str| {
        text.bytes()
            .zip(b"00:00:00.000")
            .all(|(byte, form)| byte.is_ascii_digit() == form.is_ascii_digit())
    };
    match line.split_at_checked("00:00:00.000".len()) {
        Some((time, rest)) if is_time(time) => rest,
        _ => line,
    }
}

/// What a command of the system's shell prints, with `kalam` at hand.
fn shell(server: &Server, line: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_kalam"));
    let path = std::env::var("PATH").unwrap_or_default();
    let folder = program.parent().unwrap().display();
    let mut command = Command::new("sh");
    server.set_up(&mut command);
    let output = command
        .args(["-c", &format!("{line} 2>&1")])
        .env("PATH", format!("{folder}:{path}"))
        .current_dir(server.path(""))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn play(document: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(document);
    let text = std::fs::read_to_string(path).unwrap();
    let server = Server::start();
    let mut screens: HashMap<bool, Screen> = HashMap::new();
    let mut printed: Vec<String> = Vec::new();
    let (mut blocks, mut block) = (0, None);
    for line in text.lines() {
        match line {
            "```console" | "```console second" if block.is_none() => {
                block = Some(line.ends_with("second"));
                blocks += 1;
                continue;
            }
            "```" => block = None,
            _ => {}
        }
        let Some(second) = block else { continue };
        if let Some(command) = line.strip_prefix("$ ") {
            printed = shell(&server, command).lines().map(str::to_owned).collect();
            printed.reverse();
            continue;
        }
        if let Some(next) = printed.pop() {
            assert_eq!(without_time(&next), without_time(line), "{document}");
            continue;
        }
        let screen = screens
            .entry(second)
            .or_insert_with(|| Screen::open(&server));
        let statement = line
            .strip_prefix(PROMPT)
            .and_then(|rest| rest.split_once("> "));
        match (statement, line.strip_prefix(CONTINUED)) {
            (Some((_, statement)), _) => screen.type_line(statement),
            (None, Some(more)) => screen.type_line(more),
            (None, None) if line == "^C" => screen.terminal.send("\x03"),
            (None, None) => screen.expect(line),
        }
    }
    assert!(blocks > 2, "{document} has {blocks} blocks");
}

#[test]
fn the_readme_is_right() {
    play("README.md");
}

#[test]
fn the_tour_of_the_shell_is_right() {
    play("docs/getting-started/cli.md");
}
