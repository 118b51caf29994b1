//! Rows in bulk: `kalam import`, `kalam export` and `\copy`. The files are read and written here; what a value means is
//! the server's affair.

mod batches;
mod cells;
pub mod copy;
mod csv;
mod error;
pub mod export;
mod files;
pub mod import;
mod progress;
mod sink;
mod source;
mod state;
mod table;

pub use copy::copy;
pub use error::Error;

use std::fmt;
use std::time::Duration;

use crate::output::counted;

/// What a transfer did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub direction: Direction,
    /// The table, or what the rows were written to.
    pub to: String,
    /// Rows that are in, those of earlier runs included.
    pub rows: u64,
    /// Of these, rows that this run transferred.
    pub rows_of_this_run: u64,
    pub refused: u64,
    /// Rows that were not written because their keys were there.
    pub skipped: u64,
    /// Last line of the input whose row, and every one before it, is dealt with.
    pub last_line: u64,
    pub took: Duration,
    pub end: End,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    #[default]
    Import,
    Export,
}

/// How a transfer came to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    #[default]
    Whole,
    /// By Ctrl-C; can it be resumed?
    Interrupted { resumable: bool },
}

impl Report {
    #[must_use]
    pub fn rows_per_second(&self) -> u64 {
        let micros = self.took.as_micros().max(1);
        u64::try_from(u128::from(self.rows_of_this_run) * 1_000_000 / micros).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Report {
    /// The closing line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.direction {
            Direction::Import => "imported",
            Direction::Export => "exported",
        };
        if let End::Interrupted { .. } = self.end {
            f.write_str("interrupted: ")?;
        }
        write!(f, "{verb} {}", counted(self.rows, "row"))?;
        if self.direction == Direction::Import {
            write!(f, " into {}", self.to)?;
        } else {
            write!(f, " to {}", self.to)?;
        }
        if self.skipped > 0 {
            write!(f, ", {} were there already", self.skipped)?;
        }
        if self.refused > 0 {
            write!(f, ", {} refused", self.refused)?;
        }
        let seconds = self.took.as_secs_f64();
        write!(f, " in {seconds:.1} s ({} rows/s)", self.rows_per_second())?;
        match self.end {
            End::Whole => Ok(()),
            End::Interrupted { resumable } => {
                write!(f, "; every row up to line {} is dealt with", self.last_line)?;
                if resumable {
                    f.write_str(", and --resume goes on after it")?;
                }
                Ok(())
            }
        }
    }
}

/// The closing line, where it is not mixed with rows.
fn say(report: &Report) {
    use std::io::Write as _;
    // Nobody reads it: the exit code says the same.
    let _ = writeln!(std::io::stderr().lock(), "{report}");
}
