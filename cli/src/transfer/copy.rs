//! `\copy`, as psql has it: `ns.table [(columns)] from|to 'file' [(option [value], …)]`, and `(SELECT …) to 'file'`.

use std::iter::Peekable;
use std::path::PathBuf;
use std::str::CharIndices;

use clap::ValueEnum as _;
use kalam_link::Client;

use super::error::Error;
use super::export::{self, export};
use super::files::{self, CsvOptions, Format};
use super::import::{self, import};
use super::{Report, table};

/// What the text asks for.
#[derive(Clone, Debug)]
enum Order {
    Import(Box<import::Args>),
    Export(export::Args),
}

/// Does what `text`, the part after `\copy`, says. `namespace` is that of names without one.
pub async fn copy(text: &str, namespace: Option<&str>, client: &Client) -> Result<Report, Error> {
    let namespace = namespace.map(str::to_owned);
    match parse(text)? {
        Order::Import(args) => import(import::Args { namespace, ..*args }, client).await,
        Order::Export(args) => export(export::Args { namespace, ..args }, client).await,
    }
}

fn parse(text: &str) -> Result<Order, Error> {
    let mut words = Words {
        text,
        rest: text.char_indices().peekable(),
    };
    let subject = words.subject()?;
    let columns = words.parenthesised()?.unwrap_or_default();
    let columns = list(columns)
        .map(|name| unquoted(name).to_owned())
        .collect::<Vec<_>>();
    let direction = words.word()?.to_ascii_lowercase();
    let file = PathBuf::from(words.file()?);
    let mut options = Options::default();
    options.read(&mut words)?;
    match direction.as_str() {
        "from" => {
            let Subject::Table(table) = subject else {
                return Err(problem("a query has no place for rows"));
            };
            let mut args = import::Args::new(file, table);
            args.columns = columns;
            args.format = options.format;
            args.csv = options.csv;
            args.resume = options.resume;
            args.rejects = options.rejects;
            Ok(Order::Import(Box::new(args)))
        }
        "to" => {
            if options.resume || options.rejects.is_some() {
                return Err(problem("resume and rejects belong to an import"));
            }
            let (table, query) = match subject {
                Subject::Query(query) if columns.is_empty() => (None, Some(query)),
                Subject::Query(_) => return Err(problem("columns belong to a table")),
                Subject::Table(table) if columns.is_empty() => (Some(table), None),
                Subject::Table(table) => (None, Some(select(&table, &columns)?)),
            };
            let (format, csv) = (options.format, options.csv);
            Ok(Order::Export(export::Args {
                table,
                namespace: None,
                query,
                to: file,
                format,
                csv,
            }))
        }
        other => Err(problem(&format!(
            "`from` or `to` is wanted instead of `{other}`"
        ))),
    }
}

fn problem(text: &str) -> Error {
    Error::Copy {
        problem: text.to_owned(),
    }
}

fn select(table: &str, columns: &[String]) -> Result<String, Error> {
    let names: Vec<String> = columns.iter().map(|name| table::quoted(name)).collect();
    let table = table::table_name(None, table)?;
    Ok(format!("SELECT {} FROM {table}", names.join(", ")))
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

fn unquoted(name: &str) -> &str {
    let inner = name
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(name)
}

enum Subject {
    Table(String),
    Query(String),
}

#[derive(Default)]
struct Options {
    format: Option<Format>,
    csv: CsvOptions,
    resume: bool,
    rejects: Option<PathBuf>,
}

impl Options {
    fn read(&mut self, words: &mut Words<'_>) -> Result<(), Error> {
        if words.peek_is_word() {
            let word = words.word()?;
            if !word.eq_ignore_ascii_case("with") {
                return Err(problem(&format!("`{word}` is not understood")));
            }
        }
        let Some(inside) = words.parenthesised()? else {
            return words.end();
        };
        let mut inner = Words {
            text: inside,
            rest: inside.char_indices().peekable(),
        };
        while !inner.is_at_end() {
            let name = inner.word()?.to_ascii_lowercase();
            let value = if inner.is_at_end() || inner.next_is(',') {
                None
            } else {
                Some(inner.file()?)
            };
            self.set(&name, value)?;
            if !inner.is_at_end() && !inner.take(',') {
                return Err(problem("a comma is wanted between options"));
            }
        }
        words.end()
    }

    fn set(&mut self, name: &str, value: Option<String>) -> Result<(), Error> {
        let needed = || {
            value
                .clone()
                .ok_or_else(|| problem(&format!("`{name}` needs a value")))
        };
        match name {
            "format" => {
                let format = Format::from_str(&needed()?, true).map_err(|error| problem(&error))?;
                self.format = Some(format);
            }
            "header" => self.csv.no_header = !flag(name, value.as_deref())?,
            "delimiter" => self.csv.delimiter = files::delimiter(&needed()?)?,
            "null" => self.csv.null = needed()?,
            "resume" => self.resume = flag(name, value.as_deref())?,
            "rejects" => self.rejects = Some(PathBuf::from(needed()?)),
            _ => return Err(problem(&format!("there is no option `{name}`"))),
        }
        Ok(())
    }
}

fn flag(name: &str, value: Option<&str>) -> Result<bool, Error> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        None | Some("true" | "on" | "1") => Ok(true),
        Some("false" | "off" | "0") => Ok(false),
        Some(other) => Err(problem(&format!(
            "`{name}` is true or false, not `{other}`"
        ))),
    }
}

struct Words<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl<'a> Words<'a> {
    fn skip_space(&mut self) {
        while self.rest.next_if(|(_, c)| c.is_whitespace()).is_some() {}
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.rest.peek().is_none()
    }

    fn next_is(&mut self, wanted: char) -> bool {
        self.skip_space();
        self.rest.peek().is_some_and(|(_, c)| *c == wanted)
    }

    fn take(&mut self, wanted: char) -> bool {
        let there = self.next_is(wanted);
        if there {
            self.rest.next();
        }
        there
    }

    fn peek_is_word(&mut self) -> bool {
        self.skip_space();
        self.rest.peek().is_some_and(|(_, c)| *c != '(')
    }

    fn end(&mut self) -> Result<(), Error> {
        match self.is_at_end() {
            true => Ok(()),
            false => Err(problem("there is more text than is understood")),
        }
    }

    /// Up to white space, a comma or a parenthesis, quoted names included.
    fn word(&mut self) -> Result<&'a str, Error> {
        self.skip_space();
        let Some(&(begin, _)) = self.rest.peek() else {
            return Err(problem("it is not complete"));
        };
        let mut in_quotes = false;
        let mut end = begin;
        while let Some((at, c)) = self
            .rest
            .next_if(|&(_, c)| in_quotes || !(c.is_whitespace() || matches!(c, ',' | '(' | ')')))
        {
            in_quotes ^= c == '"';
            end = at + c.len_utf8();
        }
        match end > begin {
            true => Ok(&self.text[begin..end]),
            false => Err(problem("a word is wanted")),
        }
    }

    /// A word, or text in single quotes.
    fn file(&mut self) -> Result<String, Error> {
        if !self.take('\'') {
            return self.word().map(str::to_owned);
        }
        let mut value = String::new();
        while let Some((_, c)) = self.rest.next() {
            if c == '\'' && self.rest.next_if(|(_, next)| *next == '\'').is_none() {
                return Ok(value);
            }
            value.push(c);
        }
        Err(problem("a quote is not closed"))
    }

    fn subject(&mut self) -> Result<Subject, Error> {
        match self.parenthesised()? {
            Some(query) => Ok(Subject::Query(query.trim().to_owned())),
            None => Ok(Subject::Table(self.word()?.to_owned())),
        }
    }

    /// What stands between parentheses, if they come next. Those in quotes do not count.
    fn parenthesised(&mut self) -> Result<Option<&'a str>, Error> {
        if !self.take('(') {
            return Ok(None);
        }
        let begin = self.rest.peek().map_or(self.text.len(), |(at, _)| *at);
        let mut depth = 1;
        let mut quote = None;
        for (at, c) in self.rest.by_ref() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(c),
                (None, '(') => depth += 1,
                (None, ')') => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(Some(&self.text[begin..at]));
                    }
                }
                _ => {}
            }
        }
        Err(problem("a parenthesis is not closed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_read_as_psql_reads_them() {
        let text = "chat.messages (id, \"Body\") FROM 'it''s.csv' WITH (format csv, header false, delimiter ';', null 'NULL')";
        let Order::Import(args) = parse(text).unwrap() else {
            panic!("{text}");
        };
        assert_eq!(args.into, "chat.messages");
        assert_eq!(args.columns, ["id", "Body"]);
        assert_eq!(args.file, PathBuf::from("it's.csv"));
        assert_eq!(args.format, Some(Format::Csv));
        let csv = CsvOptions {
            no_header: true,
            delimiter: ';',
            null: "NULL".to_owned(),
        };
        assert_eq!(args.csv, csv);
    }

    #[test]
    fn exports_take_tables_columns_and_queries() {
        for (text, table, query) in [
            ("a.b to out.csv", Some("a.b"), None),
            ("a.b (c) to out.csv", None, Some("SELECT \"c\" FROM a.b")),
            (
                "(SELECT ')', f(1) FROM t) to 'x y.ndjson'",
                None,
                Some("SELECT ')', f(1) FROM t"),
            ),
        ] {
            let Order::Export(args) = parse(text).unwrap() else {
                panic!("{text}");
            };
            assert_eq!(
                (args.table.as_deref(), args.query.as_deref()),
                (table, query)
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, part) in [
            ("", "not complete"),
            ("a.b into x", "`into`"),
            ("a.b to", "not complete"),
            ("a.b to 'x", "quote"),
            ("a.b to x (zip)", "`zip`"),
            ("a.b to x csv", "`csv`"),
            ("a.b to x (header maybe)", "`maybe`"),
            ("(SELECT 1) from x", "query"),
            ("a.b to x (resume)", "resume"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
