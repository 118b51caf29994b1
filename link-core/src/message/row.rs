//! Rows as they came: JSON text that is read when somebody asks.
//!
//! A client that only passes rows on never takes them apart, and one that keeps them keeps one piece of memory each.

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value as Json;

use crate::json::{JsonError, Reader};
use crate::json_text::JsonText;

/// Cells by column name.
pub type RowObject = serde_json::Map<String, Json>;

/// Name of the cell that every row has.
pub(crate) const SEQ: &str = "_seq";

/// A row: an object with a cell for each column, and always `_seq`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Row(JsonText);

impl Row {
    /// Takes the text of a JSON object.
    ///
    /// # Errors
    ///
    /// If it is anything else.
    pub fn from_json(text: &str) -> Result<Self, JsonError> {
        let mut reader = Reader::new(text);
        let row = Self::read(&mut reader)?;
        reader.end()?;
        Ok(row)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, JsonError> {
        let text = reader.raw()?;
        if text.starts_with('{') {
            Ok(Self(JsonText::checked(text)))
        } else {
            Err(reader.wrong("an object before this"))
        }
    }

    /// The row as it came.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.as_str()
    }

    /// The JSON text of a cell.
    #[must_use]
    pub fn raw(&self, column: &str) -> Option<&str> {
        let mut found = None;
        let mut reader = Reader::new(self.as_json());
        let read = reader.object(&mut |name, value| {
            let cell = value.raw()?;
            if name == column {
                found = Some(cell);
                // Enough: what follows was checked when the row came.
                return Err(value.wrong("nothing more"));
            }
            Ok(())
        });
        debug_assert!(read.is_ok() || found.is_some(), "a row is an object");
        found
    }

    /// One cell.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<Json> {
        serde_json::from_str(self.raw(column)?).ok()
    }

    /// All cells.
    #[must_use]
    pub fn cells(&self) -> RowObject {
        serde_json::from_str(self.as_json()).unwrap_or_default()
    }
}

impl From<&RowObject> for Row {
    fn from(cells: &RowObject) -> Self {
        Self(JsonText::of(cells))
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = JsonText::deserialize(deserializer)?;
        if text.as_str().starts_with('{') {
            Ok(Self(text))
        } else {
            Err(de::Error::custom("a row is not an object"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn cells_are_found_by_name_whatever_stands_around_them() {
        let row =
            Row::from_json(r#"{"a\"b":"x","n":{"n":1, "c":2},"c":[1,"}"],"_seq":"5"}"#).unwrap();
        assert_eq!(row.raw("a\"b"), Some("\"x\""));
        assert_eq!(row.raw("c"), Some(r#"[1,"}"]"#));
        assert_eq!(row.raw(SEQ), Some("\"5\""));
        assert_eq!(row.raw("d"), None);
        assert_eq!(row.get("n"), Some(serde_json::json!({"n": 1, "c": 2})));
        assert_eq!(Row::from(&row.cells()).cells(), row.cells());
    }

    #[test]
    fn what_is_no_object_is_no_row() {
        for text in ["[]", "1", "null", "\"{}\"", "{", "{}x"] {
            assert!(Row::from_json(text).is_err(), "{text}");
        }
    }
}
