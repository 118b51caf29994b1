//! Formats, and where rows come from and go to.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::error::Error;

/// How rows stand in a file.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// RFC 4180; an empty field without quotes is NULL
    Csv,
    /// One JSON object a line
    Ndjson,
    Parquet,
}

impl Format {
    fn of_extension(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "csv" => Self::Csv,
            "ndjson" | "jsonl" => Self::Ndjson,
            "parquet" => Self::Parquet,
            _ => return None,
        })
    }
}

/// A file, or a standard stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Standard,
    File(PathBuf),
}

impl Place {
    pub fn new(path: PathBuf) -> Self {
        if path.as_os_str() == "-" {
            Self::Standard
        } else {
            Self::File(path)
        }
    }

    pub fn format(&self, given: Option<Format>) -> Result<Format, Error> {
        let by_name = match self {
            Self::Standard => None,
            Self::File(path) => Format::of_extension(path),
        };
        given.or(by_name).ok_or_else(|| Error::UnknownFormat {
            name: self.to_string(),
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Standard => f.write_str("the standard stream"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// How a CSV file is written.
#[derive(clap::Args, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[command(next_help_heading = "CSV")]
pub struct CsvOptions {
    /// The first line is a row, not the names of the columns
    #[arg(long)]
    pub no_header: bool,
    /// What stands between fields
    #[arg(long, value_name = "CHARACTER", default_value = ",", value_parser = delimiter)]
    pub delimiter: char,
    /// The field without quotes that stands for NULL
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub null: String,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            no_header: false,
            delimiter: ',',
            null: String::new(),
        }
    }
}

impl CsvOptions {
    pub fn delimiter_byte(&self) -> u8 {
        u8::try_from(self.delimiter).expect("`delimiter` takes nothing but ASCII")
    }
}

pub fn delimiter(text: &str) -> Result<char, Error> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) if one.is_ascii() && !matches!(one, '"' | '\n' | '\r') => Ok(one),
        _ if text == "\\t" => Ok('\t'),
        _ => Err(Error::Delimiter),
    }
}
