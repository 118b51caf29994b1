//! Tables for documents, as GitHub's Markdown has them.

use std::io::{self, Write};

use crate::output::{Rows, Style, shown};

pub fn write(rows: Rows<'_>, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    write_line(rows.schema.iter().map(|field| escape(&field.name)), out)?;
    write_line(rows.schema.iter().map(|_| "---".to_owned()), out)?;
    for row in rows.rows {
        let cells = rows.cells(row);
        write_line(
            cells.map(|(field, cell)| escape(&shown(cell, &field.data_type, &style.null))),
            out,
        )?;
    }
    Ok(())
}

fn write_line(cells: impl Iterator<Item = String>, out: &mut dyn Write) -> io::Result<()> {
    for cell in cells {
        write!(out, "| {cell} ")?;
    }
    out.write_all(b"|\n")
}

/// A cell is one line, and a bar ends it.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('\n', "<br>")
}
