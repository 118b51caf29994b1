//! The statements of the language: every form, every refusal, and what hostile text can do.

mod ddl;
mod fuzz;
mod limits;
mod refusals;
mod statements;

use kalam_sql::Error;
use kalam_sql::statement::Statement;

fn parse_one(text: &str) -> Result<Statement, Error> {
    kalam_sql::parse(text).map(|mut parsed| {
        assert_eq!(parsed.len(), 1, "{text}");
        parsed.remove(0).statement
    })
}

#[track_caller]
fn parsed(text: &str) -> Statement {
    parse_one(text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

#[track_caller]
fn refused(text: &str) -> Error {
    match parse_one(text) {
        Ok(statement) => panic!("{text}\nwas read as {statement:?}"),
        Err(error) => error,
    }
}

/// Code, message and hint, as a user sees them.
#[track_caller]
fn shown(text: &str) -> String {
    let error = refused(text);
    match error.hint() {
        Some(hint) => format!("{} {error} ({hint})", error.code()),
        None => format!("{} {error}", error.code()),
    }
}
