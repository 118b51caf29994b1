//! PostgreSQL by its own protocol, with prepared statements: as pgbench does it.

use std::fmt::Write as _;

use bytes::Bytes;
use futures::SinkExt as _;
use tokio_postgres::{Client, NoTls, Statement, types::ToSql};

use super::{Durability, RANGE, Work, parent_of, spread, spread_range};
use crate::bench::Failure;
use crate::bench::marker::TEXT;

const COLUMNS: &str = "id BIGINT PRIMARY KEY, conversation_id BIGINT, author TEXT, body TEXT, \
     created_at TIMESTAMPTZ DEFAULT now()";

const SCHEMA: &str = "kalam_bench";

/// A server that answers.
pub struct Postgres {
    config: String,
    pub postmaster: u32,
}

impl Postgres {
    pub async fn open(config: &str, rows: u64) -> Result<Self, Failure> {
        let client = connect(config).await?;
        let backend: i32 = client
            .query_one("SELECT pg_backend_pid()", &[])
            .await?
            .get(0);
        let postgres = Self {
            config: config.to_owned(),
            postmaster: parent_of(u32::try_from(backend)?)?,
        };
        let fsync: String = client.query_one("SHOW fsync", &[]).await?.get(0);
        if fsync != "on" {
            return Err("`fsync` is off: what it acknowledges is nowhere".into());
        }
        client
            .batch_execute(&format!(
                "DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA};
                 CREATE TABLE {SCHEMA}.messages ({COLUMNS}); CREATE TABLE {SCHEMA}.big ({COLUMNS});
                 INSERT INTO {SCHEMA}.big (id, conversation_id, author, body)
                 SELECT n, n % 100, 'author-' || n % 50, '{}' FROM generate_series(0, {rows} - 1) n;",
                TEXT.replace('\'', "''")
            ))
            .await?;
        client
            .batch_execute(&format!("VACUUM ANALYZE {SCHEMA}.big"))
            .await?;
        Ok(postgres)
    }

    pub async fn worker(&self, work: Work, rows: u64) -> Result<PostgresWorker, Failure> {
        let client = connect(&self.config).await?;
        let mode = match work {
            Work::Insert(Durability::Sync) => "on",
            _ => "off",
        };
        let settings = format!("SET search_path = {SCHEMA}; SET synchronous_commit = {mode}");
        client.batch_execute(&settings).await?;
        let statements = match work {
            Work::Insert(_) => vec![insert("messages")],
            Work::Get => vec!["SELECT * FROM big WHERE id = $1".to_owned()],
            Work::Update => vec!["UPDATE big SET body = $2 WHERE id = $1".to_owned()],
            Work::ComeAndGo => vec![insert("big"), "DELETE FROM big WHERE id = $1".to_owned()],
            Work::UpdateRange => {
                vec!["UPDATE big SET author = $3 WHERE id >= $1 AND id < $2".to_owned()]
            }
        };
        let mut prepared = Vec::new();
        for statement in &statements {
            prepared.push(client.prepare(statement).await?);
        }
        Ok(PostgresWorker {
            client,
            prepared,
            work,
            rows,
        })
    }

    /// COPY of rows into an empty table, which is emptied again.
    pub async fn copy(&self, rows: u64) -> Result<(), Failure> {
        /// Rows that are sent together.
        const CHUNK: u64 = 1_000;
        let client = connect(&self.config).await?;
        let sql = format!(
            "COPY {SCHEMA}.messages (id, conversation_id, author, body) FROM STDIN (FORMAT text)"
        );
        let sink = client.copy_in(&sql).await?;
        let mut sink = std::pin::pin!(sink);
        for first in (0..rows).step_by(usize::try_from(CHUNK)?) {
            let mut lines = String::new();
            for id in first..rows.min(first + CHUNK) {
                let _ = writeln!(lines, "{id}\t{}\tauthor-{}\t{TEXT}", id % 100, id % 50);
            }
            sink.send(Bytes::from(lines)).await?;
        }
        let copied = sink.finish().await?;
        if copied != rows {
            return Err(format!("{copied} rows instead of {rows} were copied").into());
        }
        client
            .batch_execute(&format!("TRUNCATE {SCHEMA}.messages"))
            .await?;
        Ok(())
    }

    pub async fn row(&self, id: u64) -> Result<[String; 3], Failure> {
        let client = connect(&self.config).await?;
        let sql = format!("SELECT conversation_id, author, body FROM {SCHEMA}.big WHERE id = $1");
        let row = client.query_one(&sql, &[&i64::try_from(id)?]).await?;
        Ok([row.get::<_, i64>(0).to_string(), row.get(1), row.get(2)])
    }
}

async fn connect(config: &str) -> Result<Client, Failure> {
    let (client, connection) = tokio_postgres::connect(config, NoTls).await?;
    // It ends with its client, which gets the error.
    tokio::spawn(connection);
    Ok(client)
}

fn insert(table: &str) -> String {
    format!("INSERT INTO {table} (id, conversation_id, author, body) VALUES ($1, $2, $3, $4)")
}

/// One connection.
pub struct PostgresWorker {
    client: Client,
    prepared: Vec<Statement>,
    work: Work,
    rows: u64,
}

impl PostgresWorker {
    pub async fn operate(&self, n: u64) -> Result<(), Failure> {
        let Self { work, rows, .. } = *self;
        let key = i64::try_from(spread(n, rows))?;
        match work {
            Work::Insert(_) => self.insert(n).await,
            Work::Get => {
                self.client.query_one(&self.prepared[0], &[&key]).await?;
                Ok(())
            }
            Work::Update => {
                let text = format!("{TEXT} {n}");
                self.execute(0, &[&key, &text]).await
            }
            Work::ComeAndGo if n.is_multiple_of(2) => self.insert(rows + n / 2).await,
            Work::ComeAndGo => self.execute(1, &[&i64::try_from(rows + n / 2)?]).await,
            Work::UpdateRange => {
                let first = i64::try_from(spread_range(n, rows))?;
                let end = first + i64::try_from(RANGE)?;
                self.execute(0, &[&first, &end, &format!("author-{n}")])
                    .await
            }
        }
    }

    async fn insert(&self, id: u64) -> Result<(), Failure> {
        let conversation = i64::try_from(id % 100)?;
        let author = format!("author-{}", id % 50);
        self.execute(0, &[&i64::try_from(id)?, &conversation, &author, &TEXT])
            .await
    }

    async fn execute(
        &self,
        statement: usize,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<(), Failure> {
        self.client
            .execute(&self.prepared[statement], parameters)
            .await?;
        Ok(())
    }
}
