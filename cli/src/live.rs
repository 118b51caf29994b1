//! Queries that stay: each change as it comes, or the rows as they are.

mod changes;
mod screen;

use kalam_link::core::statements::{Piece, pieces};

use crate::error::Error;
use crate::shell::Shell;

pub use changes::follow;
pub use screen::screen;

/// Whether a statement is one that follows a query.
#[must_use]
pub fn is_subscription(sql: &str) -> bool {
    let mut words = words(sql);
    words
        .next()
        .is_some_and(|word| word.eq_ignore_ascii_case("SUBSCRIBE"))
}

/// What `\subscribe` was given, as a statement.
#[must_use]
pub fn subscription_of(sql: &str) -> String {
    let sql = sql.trim().trim_end_matches(';');
    if is_subscription(sql) {
        return sql.to_owned();
    }
    format!("SUBSCRIBE TO {sql}")
}

fn words(sql: &str) -> impl Iterator<Item = &str> {
    pieces(sql)
        .filter(|(piece, _)| *piece == Piece::Word)
        .map(|(_, word)| word)
}

/// Live queries go without a namespace of their own: puts it before the name of the table if that has none.
fn qualified(sql: &str, shell: &Shell) -> Result<String, Error> {
    let sql = crate::input::substitute(sql, &shell.variables)?;
    let Some(namespace) = &shell.namespace else {
        return Ok(sql);
    };
    let namespace = crate::shell::quoted(namespace);
    Ok(qualify(&sql, &namespace).unwrap_or(sql))
}

/// None if the name has a namespace, or no name is found.
fn qualify(sql: &str, namespace: &str) -> Option<String> {
    let selects = words(sql).any(|word| word.eq_ignore_ascii_case("SELECT"));
    let before = if selects { "FROM" } else { "TO" };
    let mut at = 0;
    let mut found = None;
    let mut next = Next::Keyword;
    for (piece, text) in pieces(sql) {
        let begin = at;
        at += text.len();
        next = match (next, piece) {
            (next, Piece::Space | Piece::Comment) => next,
            (Next::Keyword, Piece::Word) if text.eq_ignore_ascii_case(before) => Next::Name,
            (Next::Name, Piece::Word | Piece::QuotedName) => {
                found = Some(begin);
                Next::Dot
            }
            (Next::Dot, Piece::Symbol) if text == "." => return None,
            (Next::Dot, _) => break,
            (Next::Name, _) => return None,
            (Next::Keyword, _) => Next::Keyword,
        };
    }
    let found = found?;
    Some(format!("{}{namespace}.{}", &sql[..found], &sql[found..]))
}

#[derive(Clone, Copy)]
enum Next {
    Keyword,
    Name,
    Dot,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_namespace_gets_one() {
        let check = |sql: &str, expected: Option<&str>| {
            assert_eq!(qualify(sql, "chat").as_deref(), expected);
        };
        check(
            "SELECT * FROM messages WHERE a = 1",
            Some("SELECT * FROM chat.messages WHERE a = 1"),
        );
        check(
            "SELECT * FROM /* x */ \"M\"",
            Some("SELECT * FROM /* x */ chat.\"M\""),
        );
        check("SELECT * FROM other.messages", None);
        check(
            "SUBSCRIBE TO messages OPTIONS (last_rows=1)",
            Some("SUBSCRIBE TO chat.messages OPTIONS (last_rows=1)"),
        );
        check(
            "SUBSCRIBE TO SELECT a FROM t",
            Some("SUBSCRIBE TO SELECT a FROM chat.t"),
        );
        check("SELECT 1", None);
    }

    #[test]
    fn subscribe_is_put_before_a_select() {
        assert_eq!(subscription_of("SELECT 1;"), "SUBSCRIBE TO SELECT 1");
        assert_eq!(subscription_of("subscribe to t"), "subscribe to t");
        assert_eq!(
            subscription_of("chat.t WHERE a"),
            "SUBSCRIBE TO chat.t WHERE a"
        );
    }
}
