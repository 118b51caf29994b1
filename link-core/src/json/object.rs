//! Writes objects.

use super::append_string;

/// An object that is being written.
pub struct Object(String);

impl Object {
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "an object without an end is no value"
    )]
    pub fn new() -> Self {
        Self(String::from("{"))
    }

    /// Adds a string.
    pub fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        append_string(value, &mut self.0);
    }

    /// Adds a value that is JSON.
    pub fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.0.push_str(json);
    }

    /// Adds a number, if there is one.
    pub fn number(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.raw(name, &value.to_string());
        }
    }

    #[must_use]
    pub fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        append_string(name, &mut self.0);
        self.0.push(':');
    }
}
