//! The table that rows go into, and the statement that puts them there.

use std::fmt::Write as _;

use kalam_link::core::value::FieldFlag;
use kalam_link::{Client, Field};

use super::error::Error;

/// A table as its server describes it.
#[derive(Clone, Debug)]
pub struct Table {
    /// As it stands in SQL.
    pub name: String,
    pub columns: Vec<Field>,
}

/// What to do with a row whose key is there.
#[derive(
    clap::ValueEnum,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// Refuse the row
    #[default]
    Error,
    /// Keep the one that is there
    Nothing,
    /// Overwrite it
    Update,
}

impl Table {
    pub async fn load(client: &Client, namespace: Option<&str>, name: &str) -> Result<Self, Error> {
        let name = table_name(namespace, name)?;
        let answer = client
            .query(format!("SELECT * FROM {name} LIMIT 0"), &[])
            .await?;
        let columns = answer.results.into_iter().next();
        let columns = columns.map(|result| result.schema).unwrap_or_default();
        Ok(Self { name, columns })
    }

    /// The columns of these names, else all, in the order given.
    pub fn choose(&self, names: &[String]) -> Result<Vec<Field>, Error> {
        let mut chosen: Vec<Field> = Vec::with_capacity(names.len());
        for name in names {
            let field = self.column(name).ok_or_else(|| Error::NoColumn {
                column: name.clone(),
            })?;
            if chosen.iter().any(|other| other.name == field.name) {
                let column = name.clone();
                return Err(Error::ColumnTwice { column });
            }
            chosen.push(field.clone());
        }
        Ok(chosen)
    }

    /// Exactly this name, else the same one in another case.
    pub fn column(&self, name: &str) -> Option<&Field> {
        let exact = self.columns.iter().find(|field| field.name == name);
        let folded = || {
            let mut like = self.columns.iter();
            like.find(|field| field.name.eq_ignore_ascii_case(name))
        };
        exact.or_else(folded)
    }

    pub fn key(&self) -> impl Iterator<Item = &Field> {
        let is_key = |field: &&Field| field.flags.contains(&FieldFlag::PrimaryKey);
        self.columns.iter().filter(is_key)
    }

    /// What follows the VALUES.
    pub fn conflict_clause(
        &self,
        columns: &[Field],
        on_conflict: OnConflict,
    ) -> Result<String, Error> {
        if on_conflict == OnConflict::Error {
            return Ok(String::new());
        }
        let key: Vec<String> = self.key().map(|field| quoted(&field.name)).collect();
        if key.is_empty() {
            return Err(Error::NoKey);
        }
        let assignments: Vec<String> = columns
            .iter()
            .map(|field| quoted(&field.name))
            .filter(|name| on_conflict == OnConflict::Update && !key.contains(name))
            .map(|name| format!("{name} = EXCLUDED.{name}"))
            .collect();
        let action = if assignments.is_empty() {
            "NOTHING".to_owned()
        } else {
            format!("UPDATE SET {}", assignments.join(", "))
        };
        Ok(format!(" ON CONFLICT ({}) DO {action}", key.join(", ")))
    }

    /// One statement that inserts `rows` rows of `columns`.
    pub fn insert(&self, columns: &[Field], rows: usize, conflict_clause: &str) -> String {
        let names: Vec<String> = columns.iter().map(|field| quoted(&field.name)).collect();
        let mut sql = format!("INSERT INTO {} ({}) VALUES ", self.name, names.join(", "));
        for row in 0..rows {
            sql.push_str(if row > 0 { ",(" } else { "(" });
            for column in 0..columns.len() {
                let comma = if column > 0 { "," } else { "" };
                let number = row * columns.len() + column + 1;
                write!(sql, "{comma}${number}").expect("writing to memory cannot fail");
            }
            sql.push(')');
        }
        sql.push_str(conflict_clause);
        sql
    }
}

/// Checks that `name` is one or two identifiers, so that nothing else comes into a statement with it. One alone gets
/// `namespace` before it.
pub fn table_name(namespace: Option<&str>, name: &str) -> Result<String, Error> {
    let bad = || Error::TableName {
        name: name.to_owned(),
    };
    let mut parts = 0;
    let mut rest = name.trim();
    loop {
        parts += 1;
        let end = identifier(rest).ok_or_else(bad)?;
        rest = &rest[end..];
        match rest.strip_prefix('.') {
            Some(after) if parts < 2 => rest = after,
            None if rest.is_empty() => {
                let name = name.trim();
                let namespace = namespace.filter(|_| parts == 1).map(quoted);
                return Ok(namespace.map_or(name.to_owned(), |space| format!("{space}.{name}")));
            }
            _ => return Err(bad()),
        }
    }
}

/// Length of the identifier at the beginning.
fn identifier(text: &str) -> Option<usize> {
    if let Some(inner) = text.strip_prefix('"') {
        return inner.find('"').filter(|end| *end > 0).map(|end| end + 2);
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let starts_well = !text.starts_with(|c: char| c.is_ascii_digit());
    (end > 0 && starts_well).then_some(end)
}

pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_names_of_tables() {
        for good in ["t", "a.b", "\"A b\".c", " chat.messages "] {
            assert!(table_name(None, good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a.b.c",
            "a;b",
            "a b",
            "1a",
            "a.",
            "\"\"",
            "t WHERE 1=1",
            "a\"b\"",
        ] {
            assert!(table_name(None, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_alone_gets_the_namespace() {
        assert_eq!(table_name(Some("chat"), "t").unwrap(), "\"chat\".t");
        assert_eq!(table_name(Some("chat"), "a.t").unwrap(), "a.t");
    }
}
