//! Values of `$1`, `$2`, … as a client sends them.

use serde::Serialize;
use serde_json::Value as Json;

use crate::json::{JsonError, Reader};
use crate::json_text::JsonText;

/// A JSON array of cells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Params(JsonText);

impl Params {
    /// Takes the text of a JSON array.
    ///
    /// # Errors
    ///
    /// If it is anything else.
    pub fn from_json(text: &str) -> Result<Self, JsonError> {
        Reader::new(text).array(&mut |item| item.raw().map(drop))?;
        Ok(Self(JsonText::parse(text)?))
    }

    #[must_use]
    pub fn of(values: &[Json]) -> Self {
        Self(JsonText::of(&values))
    }

    /// None if there are none.
    #[must_use]
    pub fn some(values: &[Json]) -> Option<Self> {
        (!values.is_empty()).then(|| Self::of(values))
    }

    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.as_str()
    }
}
