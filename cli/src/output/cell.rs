//! One cell as text: times in ISO 8601, bytes in hexadecimal, everything else as it is.

use std::borrow::Cow;
use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat};
use kalam_link::{DataType, Json};

const MICROS: i64 = 1_000_000;
const SECONDS_A_DAY: i64 = 86_400;

/// The text of a cell, in a form that the server takes back. None: NULL.
#[must_use]
pub fn text<'a>(cell: &'a Json, data_type: &DataType) -> Option<Cow<'a, str>> {
    let special = match data_type {
        DataType::Timestamp | DataType::DateTime => cell.as_i64().and_then(timestamp),
        DataType::Date => cell.as_i64().and_then(date),
        DataType::Time => cell.as_i64().and_then(time),
        DataType::Bytes => bytes(cell),
        _ => None,
    };
    if let Some(text) = special {
        return Some(Cow::Owned(text));
    }
    match cell {
        Json::Null => None,
        Json::String(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}

/// The text of a cell for a terminal: whatever could move its cursor or turn its direction is written as an escape.
#[must_use]
pub fn shown<'a>(cell: &'a Json, data_type: &DataType, null: &'a str) -> Cow<'a, str> {
    match text(cell, data_type) {
        Some(text) => harmless(text),
        None => Cow::Borrowed(null),
    }
}

fn harmless(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\t' => out.push_str("    "),
            '\r' => out.push_str("\\r"),
            _ if is_harmful(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Control characters but the end of a line, and those that turn the direction of what follows.
fn is_harmful(c: char) -> bool {
    (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// None beyond what the calendar of the library holds: the number of µs then stands for itself.
fn timestamp(micros: i64) -> Option<String> {
    let time = DateTime::from_timestamp_micros(micros)?;
    Some(time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn date(days: i64) -> Option<String> {
    let seconds = days.checked_mul(SECONDS_A_DAY)?;
    let date: NaiveDate = DateTime::from_timestamp(seconds, 0)?.date_naive();
    Some(date.to_string())
}

fn time(micros: i64) -> Option<String> {
    let seconds = u32::try_from(micros.div_euclid(MICROS)).ok()?;
    let nanos = u32::try_from(micros.rem_euclid(MICROS)).ok()? * 1_000;
    Some(NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos)?.to_string())
}

fn bytes(cell: &Json) -> Option<String> {
    let items = cell.as_array()?;
    let mut out = String::with_capacity(2 + items.len() * 2);
    out.push_str("\\x");
    for item in items {
        let byte = item.as_u64().and_then(|byte| u8::try_from(byte).ok())?;
        let _ = write!(out, "{byte:02x}");
    }
    Some(out)
}
