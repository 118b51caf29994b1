//! JSON that is kept as the text it came as.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::json::{JsonError, one_value};

/// One JSON value as text, read when somebody asks. Equal to another if the texts are.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonText(Box<str>);

impl JsonText {
    /// Takes text that is one JSON value.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        Ok(Self::checked(one_value(text)?))
    }

    /// Takes text that was checked.
    pub(crate) fn checked(text: &str) -> Self {
        Self(Box::from(text))
    }

    /// # Panics
    ///
    /// If the value's own `Serialize` fails, which that of plain data does not.
    #[must_use]
    pub fn of(value: &impl Serialize) -> Self {
        let text = serde_json::to_string(value);
        Self(text.expect("plain data is written to memory").into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Box<RawValue>> for JsonText {
    fn from(raw: Box<RawValue>) -> Self {
        Self(raw.into())
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        if serializer.is_human_readable() {
            let raw: &RawValue = serde_json::from_str(&self.0).map_err(S::Error::custom)?;
            return raw.serialize(serializer);
        }
        let value: Json = serde_json::from_str(&self.0).map_err(S::Error::custom)?;
        value.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Ok(Box::<RawValue>::deserialize(deserializer)?.into());
        }
        Ok(Self::of(&Json::deserialize(deserializer)?))
    }
}
