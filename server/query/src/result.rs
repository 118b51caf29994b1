//! What a statement answers, in the form in which it leaves the server.

use futures::StreamExt;
use kalam_link_core::http::QueryResult;
use kalam_link_core::{DataType, Field, UserId, Value};
use serde_json::value::RawValue;

use crate::encode;
use crate::error::Error;
use crate::executor::Limits;
use crate::select::Selection;

/// One result, rows already encoded.
pub(crate) type Answer = QueryResult<Box<RawValue>>;

/// An answer that is only a sentence.
pub(crate) fn message(as_user: &UserId, text: impl Into<String>) -> Answer {
    QueryResult {
        schema: Vec::new(),
        rows: None,
        row_count: 0,
        message: Some(text.into()),
        as_user: as_user.clone(),
        truncated: false,
    }
}

/// An answer of rows. `encoded` holds them as JSON arrays with commas between.
pub(crate) fn encoded_rows(
    as_user: &UserId,
    fields: Vec<Field>,
    encoded: Vec<u8>,
    row_count: u64,
) -> Answer {
    QueryResult {
        rows: (!fields.is_empty()).then(|| encode::raw_rows(encoded)),
        schema: fields,
        row_count,
        message: None,
        as_user: as_user.clone(),
        truncated: false,
    }
}

/// An answer of rows of values.
pub(crate) fn rows(as_user: &UserId, fields: Vec<Field>, rows: &[Vec<Value>]) -> Answer {
    let mut encoded = Vec::new();
    encode::json_value_rows(rows, &mut encoded);
    encoded_rows(as_user, fields, encoded, rows.len() as u64)
}

/// Names and types of the columns of SHOW and DESCRIBE.
pub(crate) fn fields(columns: &[(&str, DataType)]) -> Vec<Field> {
    columns
        .iter()
        .enumerate()
        .map(|(index, (name, data_type))| Field {
            name: (*name).to_owned(),
            data_type: *data_type,
            index,
            flags: Vec::new(),
        })
        .collect()
}

/// Runs a query to its end. A result beyond the limits is an error and never a shorter one (I13).
pub(crate) async fn collect(
    as_user: &UserId,
    selection: Selection,
    limits: &Limits,
) -> Result<Answer, Error> {
    let Selection {
        fields, mut stream, ..
    } = selection;
    let mut encoded = Vec::new();
    let mut row_count = 0_u64;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        row_count += batch.num_rows() as u64;
        encode::json_rows(&batch, &mut encoded)?;
        check_size(row_count, encoded.len(), limits)?;
    }
    Ok(encoded_rows(as_user, fields, encoded, row_count))
}

/// Refuses a result beyond the limits while it is gathered.
pub(crate) fn check_size(rows: u64, bytes: usize, limits: &Limits) -> Result<(), Error> {
    if rows > limits.result_rows_max {
        return Err(Error::TooManyRows {
            rows_max: limits.result_rows_max,
        });
    }
    if bytes as u64 > limits.result_bytes_max {
        return Err(Error::ResultTooLarge {
            bytes_max: limits.result_bytes_max,
        });
    }
    Ok(())
}
