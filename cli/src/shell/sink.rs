//! Where results go: standard output, with a pager where that helps, a file, or a program.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use unicode_width::UnicodeWidthStr as _;

use crate::error::Error;
use crate::shell::Pager;

/// Leaves when everything fits on one screen, keeps colours, cuts long lines instead of wrapping them.
const DEFAULT_PAGER: &str = "less -SRFX";

#[derive(Debug)]
pub enum Sink {
    Stdout,
    File {
        path: PathBuf,
        writer: BufWriter<File>,
    },
    /// `\o |program`.
    Program {
        name: String,
        child: Child,
    },
}

impl Sink {
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn file(path: &Path) -> Result<Self, Error> {
        let file = File::create(path).map_err(|source| Error::Write {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self::File {
            path: path.to_owned(),
            writer: BufWriter::new(file),
        })
    }

    /// # Errors
    ///
    /// [`Error::Program`].
    pub fn program(name: &str) -> Result<Self, Error> {
        let child = start(name, Stdio::inherit())?;
        Ok(Self::Program {
            name: name.to_owned(),
            child,
        })
    }

    /// # Errors
    ///
    /// [`Error::Output`], [`Error::Write`].
    pub fn write(&mut self, text: &[u8], pager: Pager) -> Result<(), Error> {
        match self {
            Self::Stdout => {
                if pager == Pager::On && !fits_on_screen(text) {
                    return page(text);
                }
                let mut stdout = io::stdout().lock();
                stdout
                    .write_all(text)
                    .and_then(|()| stdout.flush())
                    .map_err(Error::Output)
            }
            Self::File { path, writer } => writer.write_all(text).map_err(|source| Error::Write {
                path: path.clone(),
                source,
            }),
            Self::Program { child, .. } => match child.stdin.as_mut() {
                Some(stdin) => stdin
                    .write_all(text)
                    .and_then(|()| stdin.flush())
                    .map_err(Error::Output),
                None => Ok(()),
            },
        }
    }

    /// Hands on what is buffered, for those who watch.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn flush(&mut self) -> Result<(), Error> {
        match self {
            Self::File { path, writer } => writer.flush().map_err(|source| Error::Write {
                path: path.clone(),
                source,
            }),
            Self::Stdout | Self::Program { .. } => Ok(()),
        }
    }

    /// Writes what is buffered, and waits for a program to end.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn finish(self) -> Result<(), Error> {
        match self {
            Self::Stdout => Ok(()),
            Self::File { path, mut writer } => writer
                .flush()
                .map_err(|source| Error::Write { path, source }),
            Self::Program { name, mut child } => {
                drop(child.stdin.take());
                child.wait().map(drop).map_err(|source| Error::Program {
                    program: name,
                    source,
                })
            }
        }
    }
}

/// Columns and lines of the terminal on standard output.
#[must_use]
pub fn screen() -> Option<(usize, usize)> {
    if !io::stdout().is_terminal() {
        return None;
    }
    // SAFETY: the call fills the structure that it is given and keeps nothing of it.
    let size = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        (libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) == 0).then_some(size)?
    };
    (size.ws_col > 0 && size.ws_row > 0).then(|| (size.ws_col.into(), size.ws_row.into()))
}

/// True without a terminal: then nobody looks at a screen.
fn fits_on_screen(text: &[u8]) -> bool {
    let Some((columns, lines)) = screen() else {
        return true;
    };
    let text = String::from_utf8_lossy(text);
    // One line is the prompt's.
    text.lines().count() < lines && text.lines().all(|line| line.width() <= columns)
}

fn page(text: &[u8]) -> Result<(), Error> {
    let given = |name| {
        std::env::var(name)
            .ok()
            .filter(|program| !program.trim().is_empty())
    };
    let program = given("KALAM_PAGER")
        .or_else(|| given("PAGER"))
        .unwrap_or_else(|| DEFAULT_PAGER.to_owned());
    let Ok(mut child) = start(&program, Stdio::inherit()) else {
        let mut stdout = io::stdout().lock();
        return stdout
            .write_all(text)
            .and_then(|()| stdout.flush())
            .map_err(Error::Output);
    };
    if let Some(mut stdin) = child.stdin.take() {
        // Whoever leaves the pager early has seen enough.
        let _ = stdin.write_all(text);
    }
    child
        .wait()
        .map(drop)
        .map_err(|source| Error::Program { program, source })
}

fn start(command: &str, stdout: Stdio) -> Result<Child, Error> {
    std::process::Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(stdout)
        .spawn()
        .map_err(|source| Error::Program {
            program: command.to_owned(),
            source,
        })
}
