//! The state of a session, and how a text runs in it: statement by statement and command by command. Prompt and scripts
//! share it.

mod commands;
mod describe;
mod interrupts;
mod sink;
mod spinner;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use kalam_link::core::statements::{Piece, line_and_column, pieces};
use kalam_link::{Client, Json, SqlRequest, SqlResponse, Transport};

use crate::args::{Format, OnError};
use crate::error::{Error, is_about_the_connection};
use crate::input::{self, Danger, Step};
use crate::output::{self, Paint, Rows, Style};
use crate::repl::command::Command;
use crate::report::{Origin, render};
use crate::settings::{Folders, Target};
use crate::{live, shell::spinner::Spinner};

pub use describe::{names, quoted};
pub use interrupts::Interrupts;
pub use sink::{Sink, screen};

/// How often `\watch` repeats when it does not say.
const WATCH_SECONDS: f64 = 2.0;
/// Files may name files, not for ever.
const INCLUDES_MAX: usize = 16;

/// A session with a server.
pub struct Shell {
    pub client: Client,
    pub target: Target,
    pub folders: Folders,
    /// Of names without one; the server's default where there is none.
    pub namespace: Option<String>,
    pub params: Vec<Json>,
    pub variables: BTreeMap<String, String>,
    pub style: Style,
    pub pager: Pager,
    pub timing: Timing,
    pub messages: Messages,
    pub caution: Caution,
    pub on_error: OnError,
    pub sink: Sink,
    /// Of standard error.
    pub paint: Paint,
    /// The last statement that ran, for `\g`, `\watch` and `\e`.
    pub last: Option<String>,
    /// Files that are being read, the innermost last.
    pub includes: usize,
    /// Statements that failed, and the text went on.
    pub failures: u64,
    pub mode: Mode,
    pub interrupts: Interrupts,
}

/// Who gives the statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Prompt,
    Script,
}

/// Whether long results go through a pager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pager {
    On,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    Shown,
    Hidden,
}

/// Counts and confirmations, on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Messages {
    Shown,
    Hidden,
}

/// Whether to ask before statements that change a whole table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caution {
    Ask,
    None,
}

/// Whether the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Continue,
    Quit,
}

/// Where a text comes from.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    pub text: &'a str,
    /// Name of its file.
    pub file: Option<&'a str>,
}

impl Shell {
    #[must_use]
    pub fn is_prompt(&self) -> bool {
        self.mode == Mode::Prompt
    }

    /// Runs everything in a text. Errors are reported where they happen; what comes back then is [`Error::Reported`],
    /// or what ends the session whatever follows.
    ///
    /// # Errors
    ///
    /// Those two, and those of the output.
    pub async fn run(&mut self, text: Text<'_>) -> Result<Flow, Error> {
        let steps = match input::steps(text.text) {
            Ok(steps) => steps,
            Err(error) => {
                self.report(
                    &error,
                    None,
                    Origin {
                        file: text.file,
                        line: 1,
                    },
                );
                return Err(Error::Reported);
            }
        };
        for step in steps {
            match Box::pin(self.step(step, text)).await {
                Ok(Flow::Continue) => {}
                Ok(Flow::Quit) => return Ok(Flow::Quit),
                Err(Error::Reported) if self.on_error == OnError::Continue => self.failures += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(Flow::Continue)
    }

    async fn step(&mut self, step: Step<'_>, text: Text<'_>) -> Result<Flow, Error> {
        let line = |start| line_and_column(text.text, start).0;
        let (sql, origin, outcome) = match step {
            Step::Sql { text: sql, start } => {
                let origin = Origin {
                    file: text.file,
                    line: line(start),
                };
                (
                    Some(sql),
                    origin,
                    self.sql(sql).await.map(|()| Flow::Continue),
                )
            }
            Step::Piped {
                text: sql,
                start,
                command,
            } => {
                let origin = Origin {
                    file: text.file,
                    line: line(start),
                };
                (Some(sql), origin, self.piped(sql, command).await)
            }
            Step::Command(command) => {
                let origin = Origin {
                    file: text.file,
                    line: line(offset(text.text, command)),
                };
                (None, origin, self.command(command).await)
            }
        };
        match outcome {
            Ok(flow) => Ok(flow),
            Err(error @ (Error::Reported | Error::Output(_) | Error::Interrupted)) => Err(error),
            Err(error) => {
                let fatal = matches!(&error, Error::Link(link) if is_about_the_connection(link));
                self.report(&error, sql, origin);
                // A script meets the same again; at the prompt the next statement may find the server back.
                if fatal && !self.is_prompt() && self.on_error == OnError::Stop {
                    return Err(Error::ConnectionLost);
                }
                Err(Error::Reported)
            }
        }
    }

    async fn piped(&mut self, sql: &str, command: &str) -> Result<Flow, Error> {
        match Command::parse(command)? {
            Command::Run { file } => {
                self.last = Some(sql.to_owned());
                self.run_last(file.as_deref()).await?;
            }
            Command::RunExpanded => {
                self.last = Some(sql.to_owned());
                self.run_last_expanded().await?;
            }
            Command::Watch { seconds } => {
                self.last = Some(sql.to_owned());
                self.watch(seconds.unwrap_or(WATCH_SECONDS)).await?;
            }
            _ => {
                self.sql(sql).await?;
                return self.command(command).await;
            }
        }
        Ok(Flow::Continue)
    }

    async fn command(&mut self, line: &str) -> Result<Flow, Error> {
        let command = Command::parse(line)?;
        Box::pin(commands::run(self, command)).await
    }

    /// Runs one statement, or one transaction, and shows what comes of it.
    ///
    /// # Errors
    ///
    /// The server's, and those of the way there and of the output.
    pub async fn sql(&mut self, sql: &str) -> Result<(), Error> {
        let sql = input::substitute(sql, &self.variables)?;
        self.last = Some(sql.clone());
        if live::is_subscription(&sql) {
            return live::follow(self, &sql).await;
        }
        self.confirm(&sql)?;
        let begun = Instant::now();
        match self.query(&sql).await {
            Ok(response) => {
                self.show(&response, begun.elapsed())?;
                if let Some(namespace) = input::chosen_namespace(&sql) {
                    self.namespace = Some(namespace);
                }
                Ok(())
            }
            Err(error) => {
                if let Error::Link(kalam_link::Error::Server { completed, .. }) = &error {
                    for result in completed {
                        self.show_result(result)?;
                    }
                }
                Err(error)
            }
        }
    }

    /// The answer to a statement, with a spinner while it takes long. Ctrl-C cancels it on the server too.
    ///
    /// # Errors
    ///
    /// [`Error::Link`], [`Error::Interrupted`].
    pub async fn query(&self, sql: &str) -> Result<SqlResponse, Error> {
        let request = SqlRequest {
            sql: sql.to_owned(),
            params: self.params_of(sql),
            namespace_id: self.namespace.clone(),
            request_id: None,
        };
        let _spinner = Spinner::start(self.messages);
        let answer = self.client.request(request, Transport::Http);
        let answer = async { answer.await.map_err(Error::from) };
        self.interrupts.end(answer).await
    }

    /// As many of the parameters as the statement uses: those of other statements are nothing to it.
    fn params_of(&self, sql: &str) -> Option<Vec<Json>> {
        let used = pieces(sql)
            .filter(|(piece, _)| *piece == Piece::Symbol)
            .filter_map(|(_, text)| text.strip_prefix('$')?.parse::<usize>().ok())
            .max()?;
        let count = used.min(self.params.len());
        (count > 0).then(|| self.params[..count].to_vec())
    }

    fn confirm(&self, sql: &str) -> Result<(), Error> {
        let Some(danger) = input::danger(sql).filter(|_| self.caution == Caution::Ask) else {
            return Ok(());
        };
        let what = match danger {
            Danger::WholeTable => "This changes every row of the table.",
            Danger::Drop => "This drops it for good.",
        };
        if ask_yes(&format!("{what} Go on? [y/N] "))? {
            return Ok(());
        }
        Err(Error::Declined {
            statement: sql.to_owned(),
        })
    }

    fn show(&mut self, response: &SqlResponse, took: Duration) -> Result<(), Error> {
        for result in &response.results {
            self.show_result(result)?;
        }
        if self.timing == Timing::Shown {
            let text = format!(
                "{:.3} ms, {:.3} ms of them on the server",
                took.as_secs_f64() * 1e3,
                response.took
            );
            self.say(&text);
        }
        Ok(())
    }

    fn show_result(&mut self, result: &kalam_link::QueryResult) -> Result<(), Error> {
        if let Some(rows) = Rows::of(result) {
            self.write_rows(rows)?;
        }
        if let Some(message) = &result.message
            && self.messages == Messages::Shown
        {
            self.say(message);
        }
        Ok(())
    }

    /// # Errors
    ///
    /// Those of the output.
    pub fn write_rows(&mut self, rows: Rows<'_>) -> Result<(), Error> {
        let mut text = Vec::new();
        output::write(rows, &self.style, &mut text).map_err(Error::Output)?;
        if output::has_footer(self.style.format) && self.messages == Messages::Shown {
            let count = output::counted(rows.rows.len() as u64, "row");
            let _ = writeln!(text, "({count})");
        }
        self.sink.write(&text, self.pager)
    }

    /// A line on standard error. Nobody needs to listen.
    #[allow(clippy::unused_self)] // what is said belongs to the session
    pub fn say(&self, line: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }

    pub fn report(&self, error: &Error, sql: Option<&str>, origin: Origin<'_>) {
        let text = render(error, sql, origin, self.paint);
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    /// `\g`.
    async fn run_last(&mut self, file: Option<&std::path::Path>) -> Result<(), Error> {
        let sql = self.last.clone().ok_or(Error::NothingToRun)?;
        let Some(file) = file else {
            return self.sql(&sql).await;
        };
        let before = std::mem::replace(&mut self.sink, Sink::file(file)?);
        let outcome = self.sql(&sql).await;
        let written = std::mem::replace(&mut self.sink, before).finish();
        outcome.and(written)
    }

    /// `\gx`.
    async fn run_last_expanded(&mut self) -> Result<(), Error> {
        let before = std::mem::replace(&mut self.style.format, Format::Expanded);
        let outcome = self.run_last(None).await;
        self.style.format = before;
        outcome
    }

    /// `\watch`: until Ctrl-C.
    async fn watch(&mut self, seconds: f64) -> Result<(), Error> {
        let pause = Duration::try_from_secs_f64(seconds.max(0.1)).map_err(|_| Error::Command {
            message: format!("{seconds} is no number of seconds"),
        })?;
        let sql = self.last.clone().ok_or(Error::NothingToRun)?;
        loop {
            let now = chrono::Local::now().format("%Y-%m-%d %H:%M:%S");
            self.say(&format!("{now} (every {seconds} s)"));
            self.sql(&sql).await?;
            let pause = async {
                tokio::time::sleep(pause).await;
                Ok(())
            };
            self.interrupts.end(pause).await?;
        }
    }

    /// Runs a file, or standard input for `-`.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), and a file that cannot be read.
    pub async fn run_file(&mut self, path: &std::path::Path) -> Result<Flow, Error> {
        let read = |source| Error::Read {
            path: path.to_owned(),
            source,
        };
        let bytes = if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes).map_err(read)?;
            bytes
        } else {
            std::fs::read(path).map_err(read)?
        };
        let text = String::from_utf8(bytes).map_err(|_| Error::NotText {
            path: path.to_owned(),
        })?;
        if self.includes >= INCLUDES_MAX {
            return Err(Error::Command {
                message: format!("files include each other more than {INCLUDES_MAX} deep"),
            });
        }
        self.includes += 1;
        let name = path.display().to_string();
        let text = Text {
            text: &text,
            file: (name != "-").then_some(&name),
        };
        let outcome = Box::pin(self.run(text)).await;
        self.includes -= 1;
        outcome
    }
}

/// Bytes before `part`, which is a part of `whole`.
fn offset(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

/// A question whose answer is no unless it begins with y.
fn ask_yes(question: &str) -> Result<bool, Error> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    let mut stderr = std::io::stderr().lock();
    let asked = stderr
        .write_all(question.as_bytes())
        .and_then(|()| stderr.flush());
    asked.map_err(Error::Terminal)?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(Error::Terminal)?;
    Ok(answer.trim_start().starts_with(['y', 'Y']))
}
