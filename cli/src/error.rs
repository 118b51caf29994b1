//! Why the program cannot go on, and with which code it then ends.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

/// A statement or a command failed.
pub const FAILED: u8 = 1;
/// The server cannot be reached, or does not take the credentials.
pub const NO_CONNECTION: u8 = 3;
/// Ended by Ctrl-C: 128 + SIGINT.
pub const INTERRUPTED: u8 = 130;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Link(#[from] kalam_link::Error),
    #[error(transparent)]
    Transfer(#[from] crate::transfer::Error),
    #[error(transparent)]
    Generate(#[from] crate::generate::Error),
    #[error("{0}")]
    Bench(crate::bench::Failure),
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot write the result: {0}")]
    Output(io::Error),
    #[error("{} is not valid: {problem}", path.display())]
    Malformed { path: PathBuf, problem: String },
    #[error("{} is not text in UTF-8", path.display())]
    NotText { path: PathBuf },
    #[error("there is no saved login `{name}`")]
    UnknownInstance { name: String },
    #[error("several servers run here: {}", urls.join(", "))]
    SeveralServers { urls: Vec<String> },
    #[error("a password is needed for `{user}`, and there is no terminal to ask for it")]
    NoPassword { user: String },
    #[error("there is no home folder to keep settings in")]
    NoHome,
    #[error("unknown command `\\{name}`")]
    UnknownCommand { name: String },
    #[error("{message}")]
    Command { message: String },
    #[error("variable `{name}` is not set")]
    UnknownVariable { name: String },
    #[error("{rows} rows were refused")]
    RowsRefused { rows: u64 },
    #[error("there is no statement to run")]
    NothingToRun,
    #[error("the transaction is not closed: COMMIT or ROLLBACK is missing")]
    OpenTransaction,
    #[error("not run: `{}` needs a yes", shorten(statement))]
    Declined { statement: String },
    #[error("`{program}` cannot be started: {source}")]
    Program { program: String, source: io::Error },
    #[error("`\\{name}` needs a terminal")]
    NoTerminal { name: &'static str },
    #[error("the terminal does not work: {0}")]
    Terminal(io::Error),
    #[error("interrupted")]
    Interrupted,
    /// Reported already: the statements after it would meet the same.
    #[error("the connection is lost")]
    ConnectionLost,
    /// Reported already, where it happened.
    #[error("a statement failed")]
    Reported,
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        if let Some(error) = self.link() {
            return Some(match error {
                kalam_link::Error::Unreachable { .. } => {
                    "is the server running? `--url` names another one".to_owned()
                }
                kalam_link::Error::SignIn { .. } => {
                    "`--user` and `--password`, or `kalam login`, say who you are".to_owned()
                }
                error => error.hint()?.to_owned(),
            });
        }
        Some(match self {
            Self::Transfer(error) => error.hint()?,
            Self::UnknownInstance { .. } => "`kalam login NAME` saves one".to_owned(),
            Self::SeveralServers { .. } => "choose one with `--url` or `--port`".to_owned(),
            Self::NoPassword { .. } => {
                "give --password, KALAM_PASSWORD, or save it with `kalam login`".to_owned()
            }
            Self::UnknownCommand { .. } => "\\? lists the commands".to_owned(),
            Self::UnknownVariable { name } => {
                format!("\\set {name} VALUE sets it; '::' and quotes keep a colon")
            }
            _ => return None,
        })
    }

    /// What the server or the way there has to do with it.
    #[must_use]
    pub fn link(&self) -> Option<&kalam_link::Error> {
        match self {
            Self::Link(error)
            | Self::Transfer(crate::transfer::Error::Link(error))
            | Self::Generate(crate::generate::Error::Link(error)) => Some(error),
            _ => None,
        }
    }

    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        if self.link().is_some_and(is_about_the_connection) {
            return ExitCode::from(NO_CONNECTION);
        }
        ExitCode::from(match self {
            Self::UnknownInstance { .. }
            | Self::SeveralServers { .. }
            | Self::NoPassword { .. }
            | Self::ConnectionLost => NO_CONNECTION,
            Self::Interrupted => INTERRUPTED,
            _ => FAILED,
        })
    }

    /// Whoever read our output does not want more of it.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            Self::Transfer(error) => error.is_broken_pipe(),
            _ => false,
        }
    }
}

/// Whether another statement would meet the same.
#[must_use]
pub fn is_about_the_connection(error: &kalam_link::Error) -> bool {
    use kalam_link::Error as E;
    match error {
        E::Server { error, .. } => error.code.http_status() == 401,
        E::Address { .. }
        | E::Unreachable { .. }
        | E::SignIn { .. }
        | E::NoCredentials
        | E::TokenEnded
        | E::Tls(_)
        | E::Setup(_)
        | E::Provider(_)
        | E::Disconnected(_)
        | E::Session(_) => true,
        _ => false,
    }
}

/// The beginning of a statement, on one line.
fn shorten(statement: &str) -> String {
    const SHOWN: usize = 60;
    let line = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
