//! Runs `tests/sql/**/*.slt` through HTTP against one server. Each file starts in an empty namespace of its own,
//! `slt_<path>`. `connection NAME` runs the next record as the user NAME, who is made when first named: as service or
//! dba if the name begins so, else with role user. Without it records run as root. A last line `-- params: […]` gives
//! parameters. Errors are matched by code.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use sqllogictest::{AsyncDB, Connection, DBOutput, DefaultColumnType, Record, Runner};

use crate::harness::TestNode;
use crate::package_folder;

pub(crate) type SqlRecord = Record<DefaultColumnType>;

const ROOT: &str = "root";

/// Every file with its records, in order of path.
pub(crate) fn files() -> Vec<(PathBuf, Vec<SqlRecord>)> {
    let mut folders = vec![package_folder().join("tests/sql")];
    let mut paths = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "slt") {
                paths.insert(path);
            }
        }
    }
    let read = |path: PathBuf| {
        let records = sqllogictest::parse_file(&path).unwrap_or_else(|error| panic!("{error}"));
        (path, records)
    };
    paths.into_iter().map(read).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_behaves_as_recorded() {
    let node = Arc::new(TestNode::start().await);
    let mut failures = Vec::new();
    for (path, records) in files() {
        let namespace = namespace_of(&path);
        node.sql_ok(ROOT, &format!("CREATE NAMESPACE {namespace}"))
            .await;
        failures.extend(run_file(&node, &namespace, records).await);
    }
    assert!(
        failures.is_empty(),
        "{} records failed:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
    if let Ok(node) = Arc::try_unwrap(node) {
        node.stop().await;
    }
}

fn namespace_of(path: &Path) -> String {
    let root = package_folder().join("tests/sql");
    let relative = path.strip_prefix(root).unwrap().with_extension("");
    format!(
        "slt_{}",
        relative.to_string_lossy().replace(['/', '-'], "_")
    )
}

/// Runs all records, also after one that fails, and says which did.
async fn run_file(node: &Arc<TestNode>, namespace: &str, records: Vec<SqlRecord>) -> Vec<String> {
    // The runner makes a connection when its name first occurs, without telling the name.
    let user = Arc::new(Mutex::new(ROOT.to_owned()));
    let make = || {
        let session = Session {
            node: Arc::clone(node),
            user: user.lock().unwrap().clone(),
            namespace: namespace.to_owned(),
        };
        async move { Ok::<_, Refused>(session) }
    };
    let mut runner = Runner::new(make);
    runner.with_column_validator(sqllogictest::strict_column_validator);
    let mut failures = Vec::new();
    for record in records {
        if let Record::Statement { connection, .. } | Record::Query { connection, .. } = &record {
            *user.lock().unwrap() = match connection {
                Connection::Default => ROOT.to_owned(),
                Connection::Named(name) => name.clone(),
            };
        }
        if let Err(error) = runner.run_async(record).await {
            failures.push(error.to_string());
        }
    }
    failures
}

/// One user in one namespace.
struct Session {
    node: Arc<TestNode>,
    user: String,
    namespace: String,
}

/// An error as a record sees it: its code comes first.
#[derive(Debug)]
struct Refused {
    code: String,
    message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}
impl std::error::Error for Refused {}

#[async_trait]
impl AsyncDB for Session {
    type Error = Refused;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refused> {
        self.make_user().await;
        let (sql, params) = match sql.rsplit_once("-- params: ") {
            Some((sql, params)) => (sql, Some(serde_json::from_str::<Json>(params).unwrap())),
            None => (sql, None),
        };
        let mut body = json!({"sql": sql, "namespace_id": self.namespace});
        if let Some(params) = params {
            body["params"] = params;
        }
        let answer = self.node.post_sql(&self.user, &body).await;
        if answer["status"] == "success" {
            Ok(output_of(
                answer["results"]
                    .as_array()
                    .and_then(|results| results.last()),
            ))
        } else {
            let text = |field: &str| {
                answer["error"][field]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            Err(Refused {
                code: text("code"),
                message: text("message"),
            })
        }
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "kalamdb"
    }
}

impl Session {
    async fn make_user(&self) {
        if self.user != ROOT {
            let role = ["service", "dba"]
                .into_iter()
                .find(|role| self.user.starts_with(role));
            self.node
                .create_user(&self.user, role.unwrap_or("user"))
                .await;
        }
    }
}

/// What the last statement of a request gave.
fn output_of(result: Option<&Json>) -> DBOutput<DefaultColumnType> {
    let Some(result) = result else {
        return DBOutput::StatementComplete(0);
    };
    let Some(schema) = result["schema"].as_array() else {
        return DBOutput::StatementComplete(result["row_count"].as_u64().unwrap_or_default());
    };
    let types = schema
        .iter()
        .map(|field| column_type(&field["data_type"]))
        .collect();
    let rows = result["rows"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let rows = rows
        .iter()
        .map(|row| row.as_array().unwrap().iter().map(shown).collect())
        .collect();
    DBOutput::Rows { types, rows }
}

fn column_type(data_type: &Json) -> DefaultColumnType {
    match data_type.as_str() {
        Some("SmallInt" | "Int" | "BigInt" | "Date" | "Timestamp" | "DateTime" | "Time") => {
            DefaultColumnType::Integer
        }
        Some("Float" | "Double") => DefaultColumnType::FloatingPoint,
        Some(_) => DefaultColumnType::Text,
        None if data_type.get("Decimal").is_some() => DefaultColumnType::FloatingPoint,
        None => DefaultColumnType::Text,
    }
}

fn shown(cell: &Json) -> String {
    match cell {
        Json::Null => "NULL".to_owned(),
        Json::String(text) if text.is_empty() => "(empty)".to_owned(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
