//! `kalam gen ts`: the types of a namespace's rows for TypeScript. The same tables give the same bytes.

mod typescript;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use kalam_link::{Client, Json, json};

use crate::args::Connection;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Link(#[from] kalam_link::Error),
    #[error("there is no table in namespace `{namespace}`, or none that you may see")]
    NoTables { namespace: String },
    #[error("column `{column}` has type {kind}, which this client does not know")]
    UnknownType { column: String, kind: String },
    #[error("tables `{first}` and `{second}` would both be called `{name}`")]
    SameName {
        first: String,
        second: String,
        name: String,
    },
    #[error("the server described its columns in an unexpected way")]
    Unexpected,
    #[error("cannot write {name}: {source}")]
    Write { name: String, source: io::Error },
}

/// Generate code from the schema
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(subcommand)]
    pub language: Language,
}

#[derive(Subcommand, Clone, Debug)]
pub enum Language {
    Ts(TypeScript),
}

/// TypeScript: an interface per table, and `Tables` with all of them
#[derive(clap::Args, Clone, Debug)]
pub struct TypeScript {
    /// The namespace whose tables are described
    #[arg(long, value_name = "NAME")]
    pub namespace: String,
    /// Where to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What TIMESTAMP and DATETIME are: a Date, or the number of microseconds since 1970
    #[arg(long, value_enum, default_value = "date", value_name = "FORM")]
    pub timestamps: Timestamps,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamps {
    Date,
    Number,
}

/// A column as the schema describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// In SQL: `DECIMAL(10,2)`.
    pub kind: String,
    pub nullable: bool,
}

/// Tables by name, columns in their order.
pub type Tables = BTreeMap<String, Vec<Column>>;

pub async fn run(args: Args, connection: &Connection) -> Result<ExitCode, crate::error::Error> {
    let Language::Ts(wanted) = args.language;
    let client = crate::settings::connect(connection).await?;
    let tables = tables(&client, &wanted.namespace).await?;
    let code = typescript::code(&wanted.namespace, &tables, wanted.timestamps)?;
    write(&code, wanted.out.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

async fn tables(client: &Client, namespace: &str) -> Result<Tables, Error> {
    let sql = "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns \
        WHERE table_schema = $1 ORDER BY table_name, ordinal_position";
    let answer = client.query(sql, &[json!(namespace)]).await?;
    let result = answer.results.into_iter().next().ok_or(Error::Unexpected)?;
    let mut tables = Tables::new();
    for row in result.rows.unwrap_or_default() {
        let [
            Json::String(table),
            Json::String(name),
            Json::String(kind),
            Json::String(nullable),
        ] = row.as_slice()
        else {
            return Err(Error::Unexpected);
        };
        tables.entry(table.clone()).or_default().push(Column {
            name: name.clone(),
            kind: kind.clone(),
            nullable: nullable == "YES",
        });
    }
    if tables.is_empty() {
        let namespace = namespace.to_owned();
        return Err(Error::NoTables { namespace });
    }
    Ok(tables)
}

/// A file with the same content stays as it is, so that whoever watches it is not woken.
fn write(code: &str, out: Option<&Path>) -> Result<(), Error> {
    let Some(path) = out else {
        let mut stdout = io::stdout().lock();
        let written = stdout
            .write_all(code.as_bytes())
            .and_then(|()| stdout.flush());
        let name = "standard output".to_owned();
        return written.map_err(|source| Error::Write { name, source });
    };
    if std::fs::read(path).is_ok_and(|there| there == code.as_bytes()) {
        return Ok(());
    }
    std::fs::write(path, code).map_err(|source| Error::Write {
        name: path.display().to_string(),
        source,
    })
}
