//! Stored rows to one batch: the filter's columns first, the others only for rows that pass.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, RecordBatch, RecordBatchOptions,
};
use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use kalam_model::SeqId;
use kalam_store::{ColumnBuilders, Error};

use super::{Filter, Scan, external};

/// Collects rows and makes one batch of them.
pub(super) struct Decoder<'a> {
    scan: &'a Scan,
    rows: usize,
    work: Work<'a>,
}

/// What is done with a row as it comes.
enum Work<'a> {
    /// No column is wanted: rows are only counted.
    Count,
    Decode(ColumnBuilders),
    Filter {
        filter: &'a Filter,
        columns: ColumnBuilders,
        kept: Kept,
    },
}

impl<'a> Decoder<'a> {
    pub fn new(scan: &'a Scan, rows_max: usize) -> Self {
        let layouts = &scan.table.layouts;
        let work = match &scan.filter {
            Some(filter) => Work::Filter {
                filter,
                columns: ColumnBuilders::new(layouts, &filter.columns, rows_max),
                kept: Kept::default(),
            },
            None if scan.projection.is_empty() => Work::Count,
            None => Work::Decode(ColumnBuilders::new(layouts, &scan.projection, rows_max)),
        };
        Self {
            scan,
            rows: 0,
            work,
        }
    }

    pub const fn rows(&self) -> usize {
        self.rows
    }

    pub fn push(&mut self, seq: SeqId, row: &[u8]) -> Result<(), Error> {
        self.rows += 1;
        match &mut self.work {
            Work::Count => Ok(()),
            Work::Decode(columns) => columns.append(seq, row),
            Work::Filter { columns, kept, .. } => {
                if !self.scan.projection.is_empty() {
                    kept.push(seq, row);
                }
                columns.append(seq, row)
            }
        }
    }

    /// At most `rows_max` rows that pass.
    pub fn finish(self, rows_max: usize) -> Result<RecordBatch> {
        let (scan, rows) = (self.scan, self.rows);
        match self.work {
            Work::Count => batch(&scan.schema, Vec::new(), rows),
            Work::Decode(columns) => batch(&scan.schema, decoded(columns)?, rows),
            Work::Filter {
                filter,
                columns,
                kept,
            } => {
                let needed = batch(&filter.schema, decoded(columns)?, rows)?;
                let passed = filter.evaluate(&needed)?;
                let passing = (0..rows)
                    .filter(|row| passed.is_valid(*row) && passed.value(*row))
                    .take(rows_max);
                if scan.projection.is_empty() {
                    return batch(&scan.schema, Vec::new(), passing.count());
                }
                let passing = passing.collect::<Vec<_>>();
                let mut wanted =
                    ColumnBuilders::new(&scan.table.layouts, &scan.projection, passing.len());
                for row in &passing {
                    let (seq, bytes) = kept.row(*row);
                    wanted.append(seq, bytes).map_err(external)?;
                }
                batch(&scan.schema, decoded(wanted)?, passing.len())
            }
        }
    }
}

impl Filter {
    fn evaluate(&self, needed: &RecordBatch) -> Result<BooleanArray> {
        let passed = self
            .condition
            .evaluate(needed)?
            .into_array(needed.num_rows())?;
        match passed.as_boolean_opt() {
            Some(passed) => Ok(passed.clone()),
            None => Err(DataFusionError::Plan(
                "a filter must be a BOOLEAN".to_owned(),
            )),
        }
    }
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}

fn decoded(mut columns: ColumnBuilders) -> Result<Vec<ArrayRef>> {
    Ok(columns.finish().map_err(external)?.columns().to_vec())
}

/// Copies of rows that may have to be decoded a second time.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    rows: Vec<(SeqId, usize)>,
}

impl Kept {
    fn push(&mut self, seq: SeqId, row: &[u8]) {
        self.bytes.extend_from_slice(row);
        self.rows.push((seq, self.bytes.len()));
    }

    fn row(&self, index: usize) -> (SeqId, &[u8]) {
        let start = index.checked_sub(1).map_or(0, |before| self.rows[before].1);
        let (seq, end) = self.rows[index];
        (seq, &self.bytes[start..end])
    }
}
