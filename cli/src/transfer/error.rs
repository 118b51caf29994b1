//! Why a transfer cannot go on. A row that is refused is no such reason.

use std::io;
use std::path::PathBuf;

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Link(#[from] kalam_link::Error),
    #[error("cannot read {name}: {source}")]
    Read { name: String, source: io::Error },
    #[error("cannot write {name}: {source}")]
    Write { name: String, source: io::Error },
    #[error("{name} is no Parquet file that can be read: {source}")]
    Parquet { name: String, source: ParquetError },
    #[error("cannot write {name} as Parquet: {source}")]
    WriteParquet { name: String, source: ParquetError },
    #[error("the rows cannot be decoded: {0}")]
    Decode(#[source] ArrowError),
    #[error("column `{column}` of type {kind} has no form in a file")]
    NoForm { column: String, kind: String },
    #[error("column `{column}` has parts of a microsecond, which no column keeps")]
    Nanoseconds { column: String },
    #[error("the format of {name} is not known")]
    UnknownFormat { name: String },
    #[error("`{name}` is not the name of a table")]
    TableName { name: String },
    #[error("the table has no column `{column}`")]
    NoColumn { column: String },
    #[error("column `{column}` stands twice in the list of columns")]
    ColumnTwice { column: String },
    #[error("the input has no column `{column}`")]
    NotInInput { column: String },
    #[error("the table has no primary key to meet a conflict at")]
    NoKey,
    #[error("the header of {name}: {problem}")]
    Header { name: String, problem: String },
    #[error("line {line}: the record has more than {bytes_max} bytes: is a quote not closed?")]
    RecordTooLong { line: u64, bytes_max: usize },
    #[error("line {line}: the quote that opens here is never closed")]
    OpenQuote { line: u64 },
    #[error("a delimiter is one ASCII character that is no quote and no line break")]
    Delimiter,
    #[error("Parquet cannot be read from standard input")]
    ParquetFromPipe,
    #[error("standard input cannot be resumed")]
    ResumeFromPipe,
    #[error("an import of {source_name} was broken off: {rows} rows are in, up to line {line}")]
    BrokenOffBefore {
        source_name: String,
        rows: u64,
        line: u64,
        state: PathBuf,
    },
    #[error("there is nothing to resume: {} does not exist", state.display())]
    NothingToResume { state: PathBuf },
    #[error("{} is not the state of an import", state.display())]
    MalformedState { state: PathBuf },
    #[error("the import in {} had another {what}: it was {before}", state.display())]
    OtherImport {
        state: PathBuf,
        what: &'static str,
        before: String,
    },
    #[error("{refused} rows were refused, more than --max-rejects {max}")]
    TooManyRefused { refused: u64, max: u64 },
    #[error("the system gave no random number")]
    Random(#[source] getrandom::Error),
    #[error("the reader of the input ended too soon")]
    ReaderGone,
    #[error("\\copy: {problem}")]
    Copy { problem: String },
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Link(error) => error.hint()?.to_owned(),
            Self::UnknownFormat { .. } => "--format csv, ndjson or parquet says it".to_owned(),
            Self::NoForm { .. } => "CAST it to TEXT in a --query".to_owned(),
            Self::BrokenOffBefore { state, .. } => {
                format!(
                    "--resume goes on; to begin anew, remove {}",
                    state.display()
                )
            }
            Self::Header { .. } => "--no-header takes the first line as a row".to_owned(),
            Self::NoKey => "leave out --on-conflict".to_owned(),
            Self::Copy { .. } => {
                "\\copy ns.table [(columns)] from|to 'file' [(format csv, delimiter ',')]"
                    .to_owned()
            }
            _ => return None,
        })
    }

    /// Whoever read the output does not want more of it.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}
