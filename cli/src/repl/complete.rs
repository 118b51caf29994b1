//! What may come next: commands after a backslash, tables where a table is named, columns of the tables that the
//! statement names, keywords and functions elsewhere.

use std::collections::BTreeMap;

use kalam_link::core::statements::{Piece, pieces, split};
use reedline::{Completer, CompletionResult, Span, Suggestion};

use crate::repl::command::Command;
use crate::repl::schema::{Schema, Shared};
use crate::repl::words::{FUNCTIONS, KEYWORDS, TYPES, is_keyword};
use crate::shell::quoted;

/// Words after which a table is named.
const BEFORE_TABLE: &[&str] = &[
    "FROM", "JOIN", "INTO", "UPDATE", "TABLE", "DESCRIBE", "DESC", "TO", "VIEW",
];

pub struct SqlCompleter {
    schema: Shared,
}

impl SqlCompleter {
    #[must_use]
    pub fn new(schema: Shared) -> Self {
        Self { schema }
    }
}

impl Completer for SqlCompleter {
    fn complete(&mut self, line: &str, position: usize) -> CompletionResult {
        let found = candidates(line, position, &self.schema.get());
        let suggestions: Vec<Suggestion> = found
            .items
            .into_iter()
            .map(|(value, description)| Suggestion {
                value,
                description,
                span: Span::new(found.start, position),
                append_whitespace: false,
                ..Suggestion::default()
            })
            .collect();
        CompletionResult::fresh(suggestions)
    }
}

/// What may stand from `start` to the cursor.
#[derive(Debug, PartialEq, Eq)]
struct Candidates {
    start: usize,
    items: Vec<(String, Option<String>)>,
}

fn candidates(line: &str, position: usize, schema: &Schema) -> Candidates {
    let before = line.get(..position).unwrap_or(line);
    if let Some(command) = before.trim_start().strip_prefix('\\')
        && !command.contains(char::is_whitespace)
    {
        return commands(before, command);
    }
    let begin = split(before).last().map_or(0, |statement| statement.start);
    let statement = whole_statement(line, begin);
    let word = before
        .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
        .map_or(0, |at| {
            at + before[at..].chars().next().map_or(0, char::len_utf8)
        });
    let typed = &before[word..];
    let context = Context::at(&before[begin.min(word)..word]);
    let tables = tables_of(statement);
    let mut items: Vec<String> = match &context {
        Context::Member(of) => members(of, &tables, schema),
        Context::Table => table_names(schema),
        Context::Other => {
            let columns = columns_of(&tables, schema);
            let functions = FUNCTIONS.iter().map(|name| format!("{name}("));
            let words = KEYWORDS.iter().chain(TYPES).map(|word| (*word).to_owned());
            columns.into_iter().chain(functions).chain(words).collect()
        }
    };
    items.retain(|item| starts_with(item, typed) && item.len() > typed.len());
    items.dedup();
    let lower = !typed.is_empty() && typed.chars().all(|c| !c.is_uppercase());
    let in_case = |item: String| {
        if lower && is_keyword(&item) {
            item.to_lowercase()
        } else {
            item
        }
    };
    Candidates {
        start: word,
        items: items
            .into_iter()
            .map(|item| (in_case(item), None))
            .collect(),
    }
}

fn commands(before: &str, typed: &str) -> Candidates {
    let fitting = Command::names()
        .into_iter()
        .filter(|(name, _)| name.starts_with(typed));
    Candidates {
        start: before.len() - typed.len(),
        items: fitting.map(|(name, about)| (name, Some(about))).collect(),
    }
}

fn starts_with(item: &str, typed: &str) -> bool {
    item.get(..typed.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(typed))
}

/// The statement that begins at `begin`, with what follows the cursor: `SELECT | FROM t` knows the columns of t.
fn whole_statement(line: &str, begin: usize) -> &str {
    let rest = line.get(begin..).unwrap_or_default();
    split(rest).next().map_or(rest, |statement| statement.text)
}

#[derive(Debug, PartialEq, Eq)]
enum Context {
    /// After `name.`
    Member(String),
    Table,
    Other,
}

impl Context {
    fn at(before: &str) -> Self {
        let code: Vec<(Piece, &str)> = pieces(before)
            .filter(|(piece, _)| !matches!(piece, Piece::Space | Piece::Comment))
            .collect();
        match code.as_slice() {
            [.., (Piece::Word | Piece::QuotedName, name), (_, ".")] => Self::Member(unquoted(name)),
            [.., (Piece::Word, word)] if is_before_table(word) => Self::Table,
            _ => Self::Other,
        }
    }
}

fn is_before_table(word: &str) -> bool {
    BEFORE_TABLE
        .iter()
        .any(|known| known.eq_ignore_ascii_case(word))
}

/// Tables that a statement names, by alias, or by their own name.
fn tables_of(statement: &str) -> BTreeMap<String, (Option<String>, String)> {
    let code: Vec<(Piece, &str)> = pieces(statement)
        .filter(|(piece, _)| !matches!(piece, Piece::Space | Piece::Comment))
        .collect();
    let mut tables = BTreeMap::new();
    for (index, (piece, word)) in code.iter().enumerate() {
        if *piece != Piece::Word || !is_before_table(word) {
            continue;
        }
        let name = |at: usize| match code.get(at) {
            Some((Piece::Word | Piece::QuotedName, name)) if !is_keyword(name) => {
                Some(unquoted(name))
            }
            _ => None,
        };
        let Some(first) = name(index + 1) else {
            continue;
        };
        let dotted = matches!(code.get(index + 2), Some((_, ".")));
        let (table, mut next) = match name(index + 3) {
            Some(second) if dotted => ((Some(first), second), index + 4),
            // The table of that namespace is still to be written.
            None if dotted => continue,
            _ => ((None, first), index + 2),
        };
        if code
            .get(next)
            .is_some_and(|(_, word)| word.eq_ignore_ascii_case("AS"))
        {
            next += 1;
        }
        if let Some(alias) = name(next) {
            tables.insert(alias, table.clone());
        }
        tables.insert(table.1.clone(), table);
    }
    tables
}

/// A name as the server keeps it.
fn unquoted(name: &str) -> String {
    match name.strip_prefix('"') {
        Some(inner) => inner.trim_end_matches('"').replace("\"\"", "\""),
        None => name.to_lowercase(),
    }
}

/// Columns of the table called `of`, or tables of that namespace.
fn members(
    of: &str,
    tables: &BTreeMap<String, (Option<String>, String)>,
    schema: &Schema,
) -> Vec<String> {
    if let Some(table) = tables.get(of) {
        return columns(table, schema)
            .map(|column| quoted(column))
            .collect();
    }
    let found = schema
        .namespaces
        .get(of)
        .into_iter()
        .flat_map(BTreeMap::keys);
    found.map(|table| quoted(table)).collect()
}

fn columns<'a>(
    (namespace, table): &'a (Option<String>, String),
    schema: &'a Schema,
) -> impl Iterator<Item = &'a String> {
    let fits = move |name: &String| namespace.as_ref().is_none_or(|wanted| wanted == name);
    let found = schema.namespaces.iter().filter(move |(name, _)| fits(name));
    found
        .filter_map(move |(_, tables)| tables.get(table))
        .flatten()
}

fn columns_of(tables: &BTreeMap<String, (Option<String>, String)>, schema: &Schema) -> Vec<String> {
    let mut all: Vec<String> = tables
        .values()
        .flat_map(|table| columns(table, schema))
        .map(|column| quoted(column))
        .collect();
    all.sort();
    all.dedup();
    all
}

/// Whole names, and namespaces alone.
fn table_names(schema: &Schema) -> Vec<String> {
    let whole = schema.namespaces.iter().flat_map(|(namespace, tables)| {
        tables
            .keys()
            .map(move |table| format!("{}.{}", quoted(namespace), quoted(table)))
    });
    let bare = schema
        .namespaces
        .values()
        .flat_map(BTreeMap::keys)
        .map(|table| quoted(table));
    let namespaces = schema
        .namespaces
        .keys()
        .map(|name| format!("{}.", quoted(name)));
    let mut all: Vec<String> = whole.chain(bare).chain(namespaces).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        let table = |name: &str, columns: &[&str]| {
            (
                name.to_owned(),
                columns.iter().map(|column| (*column).to_owned()).collect(),
            )
        };
        let chat = BTreeMap::from([
            table("messages", &["id", "body", "Created"]),
            table("typing", &["who"]),
        ]);
        Schema {
            namespaces: BTreeMap::from([
                ("chat".to_owned(), chat),
                ("default".to_owned(), BTreeMap::new()),
            ]),
        }
    }

    /// `|` is the cursor. At least these come, and nothing of `not`.
    fn check(line: &str, expected: &[&str], not: &[&str]) {
        let position = line.find('|').unwrap();
        let line = line.replacen('|', "", 1);
        let found = candidates(&line, position, &schema());
        let items: Vec<&str> = found.items.iter().map(|(item, _)| item.as_str()).collect();
        for item in expected {
            assert!(items.contains(item), "{line:?}: {item} is not in {items:?}");
        }
        for item in not {
            assert!(!items.contains(item), "{line:?}: {item} is in {items:?}");
        }
    }

    #[test]
    fn tables_come_where_a_table_is_named() {
        check(
            "SELECT * FROM |",
            &["chat.messages", "messages", "chat."],
            &["SELECT", "id"],
        );
        check(
            "SELECT * FROM chat.|",
            &["messages", "typing"],
            &["chat.messages"],
        );
        check("INSERT INTO ch|", &["chat.messages"], &["messages"]);
    }

    #[test]
    fn columns_are_those_of_the_statements_tables() {
        check(
            "SELECT | FROM chat.messages",
            &["id", "body", "\"Created\"", "count("],
            &["who"],
        );
        check(
            "SELECT m.| FROM chat.messages m JOIN chat.typing t",
            &["id", "body"],
            &["who"],
        );
        check(
            "SELECT * FROM chat.messages AS m, x WHERE m.b|",
            &["body"],
            &["id"],
        );
        check(
            "SELECT who FROM chat.typing; SELECT b| FROM messages",
            &["body"],
            &["who"],
        );
    }

    #[test]
    fn words_keep_the_case_that_was_begun() {
        check("SEL|", &["SELECT"], &[]);
        check("sel|", &["select"], &["SELECT"]);
        check("\\sub|", &["subscribe"], &["set"]);
    }
}
