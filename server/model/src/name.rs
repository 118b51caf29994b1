//! Names of namespaces, tables and columns.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest identifier in bytes, as in PostgreSQL.
pub const IDENTIFIER_BYTES_MAX: usize = 63;

/// Namespaces that belong to the server.
pub const RESERVED_NAMESPACES: [&str; 3] = ["system", "information_schema", "pg_catalog"];

/// Namespace of names without one, unless the request says otherwise. Exists from the first start.
pub const DEFAULT_NAMESPACE: &str = "default";

/// The text cannot name anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("invalid name `{0}`: letters, digits and underscores, not beginning with a digit")]
    Malformed(String),
    #[error("name `{0}` is longer than 63 bytes")]
    TooLong(String),
    #[error("name `{0}` is reserved: names of users do not begin with an underscore")]
    Underscore(String),
    #[error("namespace `{0}` is reserved")]
    ReservedNamespace(String),
}

/// Accepts `[A-Za-z_][A-Za-z0-9_]*` up to 63 bytes. Case is kept: folding unquoted names is the parser's work.
pub fn check_identifier(name: &str) -> Result<(), NameError> {
    let mut characters = name.chars();
    let sound = characters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !sound {
        return Err(NameError::Malformed(name.to_owned()));
    }
    if name.len() > IDENTIFIER_BYTES_MAX {
        return Err(NameError::TooLong(name.to_owned()));
    }
    Ok(())
}

/// [`check_identifier`], and no leading underscore: for names that a user gives to something new.
pub fn check_new_identifier(name: &str) -> Result<(), NameError> {
    check_identifier(name)?;
    if name.starts_with('_') {
        return Err(NameError::Underscore(name.to_owned()));
    }
    Ok(())
}

/// Name of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Namespace(Arc<str>);

impl Namespace {
    pub fn new(name: &str) -> Result<Self, NameError> {
        check_identifier(name)?;
        Ok(Self(Arc::from(name)))
    }

    /// For CREATE NAMESPACE: neither reserved nor beginning with an underscore.
    pub fn new_for_user(name: &str) -> Result<Self, NameError> {
        check_new_identifier(name)?;
        if RESERVED_NAMESPACES
            .iter()
            .any(|reserved| reserved.eq_ignore_ascii_case(name))
        {
            return Err(NameError::ReservedNamespace(name.to_owned()));
        }
        Ok(Self(Arc::from(name)))
    }

    #[must_use]
    pub fn default_namespace() -> Self {
        Self(Arc::from(DEFAULT_NAMESPACE))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Belongs to the server.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        RESERVED_NAMESPACES.contains(&self.as_str())
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Full name of a table or view: `namespace.name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableId {
    pub namespace: Namespace,
    pub name: Arc<str>,
}

impl TableId {
    pub fn new(namespace: Namespace, name: &str) -> Result<Self, NameError> {
        check_identifier(name)?;
        Ok(Self {
            namespace,
            name: Arc::from(name),
        })
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_plain_words() {
        for good in ["a", "_seq", "Messages2", &"x".repeat(63)] {
            assert_eq!(check_identifier(good), Ok(()));
        }
        for bad in ["", "1a", "a-b", "a b", "ä", "a.b", "../x", &"x".repeat(64)] {
            assert!(check_identifier(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn reserved_names_are_refused_for_new_things() {
        assert_eq!(
            Namespace::new_for_user("System"),
            Err(NameError::ReservedNamespace("System".into()))
        );
        assert_eq!(
            check_new_identifier("_x"),
            Err(NameError::Underscore("_x".into()))
        );
    }
}
