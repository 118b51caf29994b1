//! What of an import is dealt with: counts, refused rows, and the state file that outlives the program.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::error::Error;
use super::state::State;

// What comes after the last state is repeated under the same request ids, so a little may be missing.
const SAVE_EVERY: Duration = Duration::from_millis(200);
// The rest is in the file of refused rows.
const SHOWN_MAX: u64 = 20;

/// A row that the server, or the reader, does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub line: u64,
    pub reason: String,
    pub input: String,
}

/// What became of one batch.
#[derive(Clone, Debug, Default)]
pub struct Written {
    pub rows: u64,
    pub skipped: u64,
    pub refused: Vec<Refused>,
    pub last_line: u64,
}

pub struct Progress {
    pub state: State,
    /// Finished batches whose predecessors are not.
    ahead: BTreeMap<u64, Written>,
    path: Option<PathBuf>,
    saved: Instant,
    rejects: Option<Rejects>,
    pub bar: ProgressBar,
}

impl Progress {
    pub fn begin(
        state: State,
        path: Option<PathBuf>,
        rejects: Option<&Path>,
        bar: ProgressBar,
    ) -> Result<Self, Error> {
        let rejects = rejects.map(|path| Rejects::open(path, state.rejects_bytes));
        let mut progress = Self {
            state,
            ahead: BTreeMap::new(),
            path,
            saved: Instant::now(),
            rejects: rejects.transpose()?,
            bar,
        };
        progress.save()?;
        Ok(progress)
    }

    pub fn finished(&mut self, batch: u64, written: Written) -> Result<(), Error> {
        self.ahead.insert(batch, written);
        while let Some(next) = self.ahead.remove(&self.state.batches) {
            self.take(next)?;
        }
        if self.saved.elapsed() >= SAVE_EVERY {
            self.save()?;
        }
        Ok(())
    }

    fn take(&mut self, written: Written) -> Result<(), Error> {
        for refused in &written.refused {
            self.state.refused += 1;
            self.show(refused);
            if let Some(rejects) = &mut self.rejects {
                rejects.append(refused)?;
            }
        }
        let number = self.state.batches.to_string();
        let is_of_batch = |id: &str| {
            id.strip_prefix(number.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.state.halved.retain(|id| !is_of_batch(id));
        self.state.batches += 1;
        self.state.rows += written.rows;
        self.state.skipped += written.skipped;
        self.state.last_line = written.last_line;
        Ok(())
    }

    fn show(&self, refused: &Refused) {
        let shown = self.state.refused;
        let text = match shown {
            ..=SHOWN_MAX => format!("line {}: {}", refused.line, refused.reason),
            _ if shown == SHOWN_MAX + 1 => {
                "more rows are refused: --rejects FILE keeps them all".to_owned()
            }
            _ => return,
        };
        self.bar.suspend(|| {
            // Nobody reads it: the counts of the end are still right.
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
    }

    /// Before the halves of a batch are sent: sending it as a whole again would then write rows twice.
    pub fn halve(&mut self, id: &str) -> Result<(), Error> {
        self.state.halved.insert(id.to_owned());
        self.save()
    }

    pub fn save(&mut self) -> Result<(), Error> {
        self.saved = Instant::now();
        if let Some(rejects) = &mut self.rejects {
            self.state.rejects_bytes = rejects.flush()?;
        }
        match &self.path {
            Some(path) => self.state.save(path),
            None => Ok(()),
        }
    }

    /// The import is whole: there is nothing to resume.
    pub fn end(&mut self) -> Result<(), Error> {
        self.save()?;
        let Some(path) = &self.path else {
            return Ok(());
        };
        std::fs::remove_file(path).map_err(|source| Error::Write {
            name: path.display().to_string(),
            source,
        })
    }
}

/// The file of refused rows: a JSON object a line.
struct Rejects {
    name: String,
    file: io::BufWriter<File>,
    bytes: u64,
}

impl Rejects {
    /// Goes on after `bytes`: what a broken run wrote beyond its state is written again.
    fn open(path: &Path, bytes: u64) -> Result<Self, Error> {
        let name = path.display().to_string();
        let open = || -> io::Result<File> {
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            file.set_len(bytes)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        match open() {
            Ok(file) => Ok(Self {
                name,
                file: io::BufWriter::new(file),
                bytes,
            }),
            Err(source) => Err(Error::Write { name, source }),
        }
    }

    fn append(&mut self, refused: &Refused) -> Result<(), Error> {
        let line = serde_json::json!({
            "line": refused.line, "reason": refused.reason, "input": refused.input,
        });
        let line = format!("{line}\n");
        self.bytes += line.len() as u64;
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|source| Error::Write {
            name: self.name.clone(),
            source,
        })
    }

    fn flush(&mut self) -> Result<u64, Error> {
        let flushed = self.file.flush();
        flushed.map_err(|source| Error::Write {
            name: self.name.clone(),
            source,
        })?;
        Ok(self.bytes)
    }
}

/// Shows itself only on a terminal.
pub fn bar(length: Option<u64>, unit: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
    let template = match (length, unit) {
        (Some(_), "bytes") => "{bar:30} {percent}% {bytes} {msg} {eta} left",
        (Some(_), _) => "{bar:30} {percent}% {human_pos} {msg} {eta} left",
        (None, _) => "{spinner} {elapsed} {msg}",
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
