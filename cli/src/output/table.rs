//! Aligned columns, and one line a cell. Widths are those of a terminal: two columns for CJK and emoji, none for marks.

use std::io::{self, Write};

use comfy_table::{Cell, CellAlignment, Table};
use kalam_link::DataType;
use nu_ansi_term::{Color, Style as Ansi};
use unicode_width::UnicodeWidthStr as _;

use crate::output::{Header, Rows, Style, shown};

// The library's components in its order; a space leaves one out. A line below the header, one between columns.
const LINES: &str = "     ─┼ │          ";

pub fn write(rows: Rows<'_>, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new();
    table.load_preset(LINES);
    if style.header == Header::Shown {
        table.set_header(rows.schema.iter().map(|field| Cell::new(&field.name)));
    }
    for row in rows.rows {
        let cells = rows.cells(row);
        table.add_row(
            cells.map(|(field, cell)| Cell::new(shown(cell, &field.data_type, &style.null))),
        );
    }
    for (field, column) in rows.schema.iter().zip(table.column_iter_mut()) {
        if is_number(&field.data_type) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    // Without a column there is nothing to align.
    if !rows.schema.is_empty() {
        writeln!(out, "{}", table.trim_fmt())?;
    }
    Ok(())
}

pub fn write_expanded(rows: Rows<'_>, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let width = rows
        .schema
        .iter()
        .map(|field| field.name.width())
        .max()
        .unwrap_or(0);
    for (number, row) in (1_u64..).zip(rows.rows) {
        let title = format!("─[ {number} ]");
        let rest = "─".repeat((width + 3).saturating_sub(title.width()));
        let line = format!("{title}{rest}");
        writeln!(
            out,
            "{}",
            style.paint.apply(Ansi::new().fg(Color::DarkGray), &line)
        )?;
        for (field, cell) in rows.cells(row) {
            let pad = " ".repeat(width - field.name.width());
            let value = shown(cell, &field.data_type, &style.null);
            let mut lines = value.split('\n');
            writeln!(
                out,
                "{}{pad} │ {}",
                field.name,
                lines.next().unwrap_or_default()
            )?;
            for line in lines {
                writeln!(out, "{} │ {line}", " ".repeat(width))?;
            }
        }
    }
    Ok(())
}

fn is_number(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::SmallInt
            | DataType::Int
            | DataType::BigInt
            | DataType::Float
            | DataType::Double
            | DataType::Decimal { .. }
    )
}
