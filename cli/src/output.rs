//! Results as text: one writer for each format. What a cell looks like is decided once, in `cell`.

mod cell;
mod csv;
mod json;
mod markdown;
mod table;

use std::io::{self, Write};

use kalam_link::{Field, Json, QueryResult};

use crate::args::Format;

pub use cell::{shown, text};

/// How results look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style {
    pub format: Format,
    /// What stands for NULL where the format has no word for it.
    pub null: String,
    pub header: Header,
    pub paint: Paint,
}

/// Whether tables and CSV begin with the names of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    Shown,
    Hidden,
}

/// Whether there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    Plain,
    Colored,
}

impl Paint {
    /// `text` in a style, or as it is.
    #[must_use]
    pub fn apply(self, style: nu_ansi_term::Style, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colored => style.paint(text).to_string(),
        }
    }
}

/// Rows with their columns.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    pub schema: &'a [Field],
    pub rows: &'a [Vec<Json>],
}

impl<'a> Rows<'a> {
    /// Those of a result. None where a statement has none.
    #[must_use]
    pub fn of(result: &'a QueryResult) -> Option<Self> {
        let rows = result.rows.as_deref()?;
        Some(Self {
            schema: &result.schema,
            rows,
        })
    }

    /// Each cell of a row beside its column. A row that is too short has no more cells.
    fn cells(self, row: &'a [Json]) -> impl Iterator<Item = (&'a Field, &'a Json)> {
        self.schema.iter().zip(row)
    }
}

/// Writes rows in the format of `style`.
///
/// # Errors
///
/// Those of `out`.
pub fn write(rows: Rows<'_>, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    match style.format {
        Format::Table => table::write(rows, style, out),
        Format::Expanded => table::write_expanded(rows, style, out),
        Format::Json => json::write_array(rows, out),
        Format::Ndjson => json::write_lines(rows, out),
        Format::Csv => csv::write(rows, style, out),
        Format::Markdown => markdown::write(rows, style, out),
    }
}

/// Whether a person reads this format, who likes a line with the number of rows below it.
#[must_use]
pub fn has_footer(format: Format) -> bool {
    matches!(format, Format::Table | Format::Expanded)
}

/// `1 row`, `2 rows`.
#[must_use]
pub fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

#[cfg(test)]
mod tests;
