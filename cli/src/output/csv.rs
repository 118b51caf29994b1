//! CSV after RFC 4180, but with lines that end in a line feed. NULL is an empty field, an empty text is `""`.

use std::io::{self, Write};

use crate::output::{Header, Rows, Style, text};

pub fn write(rows: Rows<'_>, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    if style.header == Header::Shown {
        write_line(
            rows.schema
                .iter()
                .map(|field| Some(field.name.as_str().into())),
            out,
        )?;
    }
    for row in rows.rows {
        write_line(
            rows.cells(row)
                .map(|(field, cell)| text(cell, &field.data_type)),
            out,
        )?;
    }
    Ok(())
}

fn write_line<'a>(
    fields: impl Iterator<Item = Option<std::borrow::Cow<'a, str>>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    for (index, field) in fields.enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        match field {
            None => {}
            Some(text) if needs_quotes(&text) => write!(out, "\"{}\"", text.replace('"', "\"\""))?,
            Some(text) => out.write_all(text.as_bytes())?,
        }
    }
    out.write_all(b"\n")
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty()
        || text.contains([',', '"', '\n', '\r'])
        || text.starts_with(char::is_whitespace)
        || text.ends_with(char::is_whitespace)
}
