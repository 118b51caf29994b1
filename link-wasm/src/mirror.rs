//! A copy of the places of live rows as the host has them, so that it is told indexes and needs no order of its own.

use std::fmt::Write as _;

use kalam_link_core::live_rows::{LiveRows, Position, RowChange};

/// Where the host's rows stand.
#[derive(Debug, Default)]
pub struct Mirror {
    positions: Vec<Position>,
    version: u64,
    /// Whether the host has any rows at all.
    begun: bool,
}

impl Mirror {
    /// What the host has to do with its array, by name: `reset`, an array of all rows, or `edits`, an array where an
    /// edit is `[0, index]` to remove a row, `[1, index, row]` to insert one before it, `[2, index, row]` to replace it.
    pub fn edits(&mut self, rows: &LiveRows) -> (&'static str, String) {
        let mut out = String::from("[");
        let name;
        let changes = match self.begun {
            true => rows.changes_since(self.version),
            false => None,
        };
        match changes {
            Some(changes) => {
                name = "edits";
                for change in changes {
                    append_edit(&mut self.positions, change, &mut out);
                }
            }
            None => {
                name = "reset";
                self.positions.clear();
                for (position, row) in rows.rows() {
                    if out.len() > 1 {
                        out.push(',');
                    }
                    out.push_str(row.as_json());
                    self.positions.push(position.clone());
                }
            }
        }
        out.push(']');
        self.begun = true;
        self.version = rows.version();
        (name, out)
    }
}

fn append_edit(positions: &mut Vec<Position>, change: &RowChange, out: &mut String) {
    let (RowChange::Put { position, .. } | RowChange::Removed { position }) = change;
    // Most rows are newer than all others.
    let found = match positions.last() {
        Some(last) if last >= position => positions.binary_search(position),
        _ => Err(positions.len()),
    };
    match (change, found) {
        (RowChange::Removed { .. }, Ok(index)) => {
            positions.remove(index);
            write_edit(out, 0, index, None);
        }
        // It came and went since the host was last told.
        (RowChange::Removed { .. }, Err(_)) => {}
        (RowChange::Put { row, .. }, Ok(index)) => write_edit(out, 2, index, Some(row.as_json())),
        (RowChange::Put { row, .. }, Err(index)) => {
            positions.insert(index, position.clone());
            write_edit(out, 1, index, Some(row.as_json()));
        }
    }
}

fn write_edit(out: &mut String, kind: u8, index: usize, row: Option<&str>) {
    // Writing to a string does not fail.
    if out.len() > 1 {
        out.push(',');
    }
    let _ = write!(out, "[{kind},{index}");
    if let Some(row) = row {
        out.push(',');
        out.push_str(row);
    }
    out.push(']');
}
