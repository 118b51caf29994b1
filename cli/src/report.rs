//! Errors for people: the message with its code, the place under the statement, a hint.

use std::fmt::Write as _;

use nu_ansi_term::{Color, Style as Ansi};
use unicode_width::UnicodeWidthStr as _;

use crate::error::Error;
use crate::output::Paint;

/// Where a statement comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The file's name, where there is one.
    pub file: Option<&'a str>,
    /// Line of the file at which the statement begins, from 1.
    pub line: u64,
}

/// The text of an error, with a line feed at its end. `sql` is the statement to which places in it refer.
#[must_use]
pub fn render(error: &Error, sql: Option<&str>, origin: Origin<'_>, paint: Paint) -> String {
    let mut out = String::new();
    let code = error.link().and_then(kalam_link::Error::code);
    let message = message(error);
    // It stands behind the message, wherever the message came from.
    let message = match code.and_then(|code| message.strip_prefix(code)?.strip_prefix(": ")) {
        Some(rest) => rest.to_owned(),
        None => message,
    };
    let place = sql.and_then(|sql| place(&message).map(|place| (sql, place)));
    if let Some(file) = origin.file {
        let line = origin.line + place.map_or(0, |(_, (line, _))| line - 1);
        let _ = write!(out, "{file}:{line}: ");
    }
    let label = paint.apply(Ansi::new().fg(Color::Red).bold(), "error:");
    let _ = write!(out, "{label} {message}");
    if let Some(code) = code {
        let code = paint.apply(Ansi::new().dimmed(), &format!("[{code}]"));
        let _ = write!(out, " {code}");
    }
    out.push('\n');
    if let Some((sql, (line, column))) = place {
        out.push_str(&excerpt(sql, line, column, paint));
    }
    if let Some(hint) = error.hint() {
        let label = paint.apply(Ansi::new().fg(Color::Cyan), "hint:");
        let _ = writeln!(out, "{label} {hint}");
    }
    out
}

/// The message with what caused it, where that says more.
fn message(error: &Error) -> String {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    // A transparent error gives the source of what is in it.
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            let _ = write!(message, ": {text}");
        }
        source = cause.source();
    }
    message
}

/// `… line 1, column 15 …` as numbers.
fn place(message: &str) -> Option<(u64, u64)> {
    const LINE: &str = "line ";
    const COLUMN: &str = ", column ";
    let number = |text: &str| -> Option<(u64, usize)> {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        Some((text[..end].parse().ok()?, end))
    };
    message.match_indices(LINE).find_map(|(at, _)| {
        let rest = &message[at + LINE.len()..];
        let (line, length) = number(rest)?;
        let (column, _) = number(rest[length..].strip_prefix(COLUMN)?)?;
        (line > 0 && column > 0).then_some((line, column))
    })
}

/// The line of the statement with a mark under the column.
fn excerpt(sql: &str, line: u64, column: u64, paint: Paint) -> String {
    let index = |number: u64| usize::try_from(number - 1).unwrap_or(usize::MAX);
    let Some(text) = sql.lines().nth(index(line)) else {
        return String::new();
    };
    let before: String = text
        .chars()
        .take(index(column))
        .map(|c| if c == '\t' { ' ' } else { c })
        .collect();
    let number = line.to_string();
    let gutter = " ".repeat(number.width());
    let mark = paint.apply(Ansi::new().fg(Color::Red).bold(), "^");
    let text = text.replace('\t', " ");
    format!(
        "{number} │ {text}\n{gutter} │ {}{mark}\n",
        " ".repeat(before.width())
    )
}

#[cfg(test)]
mod tests {
    use kalam_link::{ErrorCode, ServerError};

    use super::*;

    fn server(message: &str) -> Error {
        let error = ServerError::new(ErrorCode::InvalidSql, message).with_hint("a hint");
        Error::Link(kalam_link::Error::Server {
            error,
            completed: Vec::new(),
        })
    }

    fn check(message: &str, sql: &str, file: Option<&str>, expected: &str) {
        let origin = Origin { file, line: 10 };
        let text = render(&server(message), Some(sql), origin, Paint::Plain);
        assert_eq!(text, expected);
    }

    #[test]
    fn the_place_is_marked_under_the_statement() {
        check(
            "expected an expression at line 2, column 4",
            "SELECT 1,\n日 x",
            Some("a.sql"),
            "a.sql:11: error: expected an expression at line 2, column 4 [INVALID_SQL]\n\
             2 │ 日 x\n  │     ^\nhint: a hint\n",
        );
    }

    #[test]
    fn a_message_without_a_place_stands_alone() {
        check(
            "table not found: `t`",
            "SELECT 1",
            None,
            "error: table not found: `t` [INVALID_SQL]\nhint: a hint\n",
        );
        check(
            "line 7, column 1 is beyond",
            "SELECT 1",
            None,
            "error: line 7, column 1 is beyond [INVALID_SQL]\nhint: a hint\n",
        );
    }
}
