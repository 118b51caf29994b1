//! What is typed or stands in a script, cut into what can be run: statements, transactions as a whole, and `\commands`.
//!
//! Lexical only. `:name` is replaced by the value of a variable outside strings, quoted names and comments.

use std::collections::BTreeMap;

use kalam_link::core::statements::{Ending, Piece, pieces, split};

use crate::error::Error;

/// One thing to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A statement, or `BEGIN; …; COMMIT` as one.
    Sql {
        text: &'a str,
        /// Byte of the whole at which it begins.
        start: usize,
    },
    /// A line that begins with a backslash, without it.
    Command(&'a str),
    /// A statement that ends in a command on the same line: `SELECT 1 \g`, `SELECT 1 \watch 2`.
    Piped {
        text: &'a str,
        start: usize,
        command: &'a str,
    },
}

/// Cuts `text` into steps. What is not closed at its end is a step as well: the server says what is missing.
///
/// # Errors
///
/// [`Error::OpenTransaction`] if a BEGIN finds no end.
pub fn steps(text: &str) -> Result<Vec<Step<'_>>, Error> {
    let mut steps = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let blank = blank(rest);
        if blank > 0 {
            at += blank;
        } else if rest.starts_with(';') {
            at += 1;
        } else if let Some(command) = rest.strip_prefix('\\') {
            let end = command.find('\n').unwrap_or(command.len());
            steps.push(Step::Command(command[..end].trim_end()));
            at += 1 + end;
        } else {
            let (step, length) = sql_step(rest, at)?;
            steps.push(step);
            at += length;
        }
    }
    Ok(steps)
}

/// Bytes of white space and comments at the beginning.
fn blank(text: &str) -> usize {
    pieces(text)
        .take_while(|(piece, _)| matches!(piece, Piece::Space | Piece::Comment))
        .map(|(_, text)| text.len())
        .sum()
}

/// The step at the beginning of `rest`, which is at byte `at` of the whole, and its length.
fn sql_step(rest: &str, at: usize) -> Result<(Step<'_>, usize), Error> {
    let mut end = 0;
    let mut transaction = Transaction::None;
    for (piece, text) in pieces(rest) {
        if piece == Piece::Symbol && text == "\\" {
            let command = &rest[end + 1..];
            let length = command.find('\n').unwrap_or(command.len());
            let step = Step::Piped {
                text: rest[..end].trim_end(),
                start: at,
                command: command[..length].trim_end(),
            };
            return Ok((step, end + 1 + length));
        }
        end += text.len();
        transaction = transaction.after(piece, text);
        if piece == Piece::Semicolon && transaction.is_over() {
            let text = rest[..end - 1].trim_end();
            return Ok((Step::Sql { text, start: at }, end));
        }
    }
    if transaction.is_over() {
        let text = rest.trim_end();
        return Ok((Step::Sql { text, start: at }, rest.len()));
    }
    Err(Error::OpenTransaction)
}

/// Where in a transaction the text is, by the first words of its statements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transaction {
    /// Nothing but white space so far.
    None,
    /// The first statement is no BEGIN.
    Not,
    /// At the beginning of a statement within it.
    Begin,
    Within,
    /// Behind COMMIT or ROLLBACK.
    Over,
}

impl Transaction {
    fn after(self, piece: Piece, text: &str) -> Self {
        let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
        match (self, piece) {
            (state, Piece::Space | Piece::Comment) => state,
            (Self::None, Piece::Word) if is(&["BEGIN", "START"]) => Self::Within,
            (Self::None, _) => Self::Not,
            (Self::Within, Piece::Semicolon) => Self::Begin,
            (Self::Begin, Piece::Semicolon) => Self::Begin,
            (Self::Begin, Piece::Word) if is(&["COMMIT", "ROLLBACK", "END"]) => Self::Over,
            (Self::Begin, _) => Self::Within,
            (state, _) => state,
        }
    }

    fn is_over(self) -> bool {
        matches!(self, Self::None | Self::Not | Self::Over)
    }
}

/// Whether a terminal may send this, or waits for more lines.
#[must_use]
pub fn is_complete(text: &str) -> bool {
    let Ok(steps) = steps(text) else {
        return false;
    };
    match steps.last() {
        Some(Step::Sql { start, .. }) => {
            split(&text[*start..]).all(|statement| statement.ending == Ending::Semicolon)
        }
        Some(Step::Command(_) | Step::Piped { .. }) | None => true,
    }
}

#[must_use]
pub fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Replaces `:name` by the value, `:'name'` by it as a string, `:"name"` by it as a quoted name.
///
/// # Errors
///
/// [`Error::UnknownVariable`]. Without any variable set, no colon means anything.
pub fn substitute(text: &str, variables: &BTreeMap<String, String>) -> Result<String, Error> {
    if variables.is_empty() {
        return Ok(text.to_owned());
    }
    let all: Vec<(Piece, &str)> = pieces(text).collect();
    let mut out = String::with_capacity(text.len());
    let mut index = 0;
    while let Some((_, piece)) = all.get(index) {
        if *piece == ":" && all.get(index + 1).is_some_and(|(_, next)| *next == ":") {
            out.push_str("::");
            index += 2;
        } else if *piece == ":"
            && let Some((kind, name)) = all.get(index + 1)
            && let Some(value) = value(*kind, name, variables)?
        {
            out.push_str(&value);
            index += 2;
        } else {
            out.push_str(piece);
            index += 1;
        }
    }
    Ok(out)
}

fn value(
    kind: Piece,
    name: &str,
    variables: &BTreeMap<String, String>,
) -> Result<Option<String>, Error> {
    let find = |name: &str| {
        variables.get(name).ok_or_else(|| Error::UnknownVariable {
            name: name.to_owned(),
        })
    };
    let inner = || name.get(1..name.len() - 1).unwrap_or_default();
    Ok(match kind {
        Piece::Word => Some(find(name)?.clone()),
        Piece::String if is_variable_name(inner()) => {
            Some(format!("'{}'", find(inner())?.replace('\'', "''")))
        }
        Piece::QuotedName if is_variable_name(inner()) => {
            Some(format!("\"{}\"", find(inner())?.replace('"', "\"\"")))
        }
        _ => None,
    })
}

/// Statements that one should not type by accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Danger {
    WholeTable,
    Drop,
}

/// What is dangerous about a statement, by its words.
#[must_use]
pub fn danger(sql: &str) -> Option<Danger> {
    split(sql).find_map(|statement| {
        let mut words = pieces(statement.text)
            .filter(|(piece, _)| *piece == Piece::Word)
            .map(|(_, word)| word.to_ascii_uppercase());
        match words.next()?.as_str() {
            "DROP" => Some(Danger::Drop),
            "UPDATE" | "DELETE" if !words.any(|word| word == "WHERE") => Some(Danger::WholeTable),
            _ => None,
        }
    })
}

/// The namespace that a `USE ns`, `USE NAMESPACE ns` or `SET NAMESPACE ns` chooses.
#[must_use]
pub fn chosen_namespace(sql: &str) -> Option<String> {
    let mut words =
        pieces(sql).filter(|(piece, _)| !matches!(piece, Piece::Space | Piece::Comment));
    let first = words.next()?.1.to_ascii_uppercase();
    let mut name = words.next()?;
    let is_keyword = name.1.eq_ignore_ascii_case("NAMESPACE");
    match first.as_str() {
        "USE" if !is_keyword => {}
        "USE" | "SET" if is_keyword => {
            name = words.find(|(piece, text)| !(*piece == Piece::Symbol && *text == "="))?;
        }
        _ => return None,
    }
    match name {
        (Piece::Word, text) => Some(text.to_lowercase()),
        (Piece::QuotedName, text) => Some(text[1..text.len() - 1].replace("\"\"", "\"")),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
