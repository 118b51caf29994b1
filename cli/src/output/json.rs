//! Objects by column, cells as the server sends them: what JavaScript numbers cannot hold is a string.

use std::io::{self, Write};

use kalam_link::Json;

use crate::output::Rows;

pub fn write_array(rows: Rows<'_>, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"[")?;
    for (index, row) in rows.rows.iter().enumerate() {
        out.write_all(if index == 0 { b"\n  " } else { b",\n  " })?;
        write_object(rows, row, out)?;
    }
    out.write_all(if rows.rows.is_empty() {
        b"]\n"
    } else {
        b"\n]\n"
    })
}

pub fn write_lines(rows: Rows<'_>, out: &mut dyn Write) -> io::Result<()> {
    for row in rows.rows {
        write_object(rows, row, out)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn write_object(rows: Rows<'_>, row: &[Json], out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"{")?;
    for (index, (field, cell)) in rows.schema.iter().zip(row).enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        serde_json::to_writer(&mut *out, &field.name)?;
        out.write_all(b":")?;
        serde_json::to_writer(&mut *out, cell)?;
    }
    out.write_all(b"}")
}
