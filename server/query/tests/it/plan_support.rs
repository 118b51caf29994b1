//! A database in memory, and its answers as text.

use std::sync::Arc;

use kalam_engine::{Engine, EngineOptions};
use kalam_link_core::http::SqlRequest;
use kalam_link_core::{Role, ServerError, UserId};
use kalam_model::{Caller, Timestamp};
use kalam_query::{Executor, Limits, RequestMeta, ServerFacts, SettingRow};
use kalam_store::Store;
use serde_json::Value as Json;

pub struct Db {
    pub executor: Executor,
    pub engine: Arc<Engine>,
}

pub fn caller(name: &str, role: Role) -> Caller {
    Caller::new(UserId::new(name).unwrap(), role)
}

impl Db {
    pub fn open() -> Self {
        Self::with_limits(Limits::default())
    }

    pub fn with_limits(limits: Limits) -> Self {
        let engine =
            Engine::open(Store::open_in_memory().unwrap(), EngineOptions::default()).unwrap();
        let facts = ServerFacts {
            version: "1.2.3".to_owned(),
            started_at: Timestamp::now(),
            settings: vec![SettingRow {
                name: "data_dir".to_owned(),
                value: "/data".to_owned(),
                description: String::new(),
                category: "server".to_owned(),
                origin: "default".to_owned(),
            }],
        };
        let executor = Executor::new(Arc::clone(&engine), limits, facts);
        Self { executor, engine }
    }

    /// The last result of a request, or why it failed.
    pub async fn ask(
        &self,
        caller: &Caller,
        sql: &str,
        params: &[Json],
    ) -> Result<Reply, ServerError> {
        let params = (!params.is_empty()).then(|| params.to_vec());
        let request = SqlRequest {
            sql: sql.to_owned(),
            params,
            ..SqlRequest::default()
        };
        let mut outcome = self
            .executor
            .execute(caller, &request, &RequestMeta::default())
            .await;
        if let Some(error) = outcome.error {
            return Err(error);
        }
        let last = outcome.results.pop().expect("a request has a statement");
        let names = last.schema.iter().map(|field| field.name.clone()).collect();
        let types = last
            .schema
            .iter()
            .map(|field| serde_json::to_value(field.data_type).unwrap())
            .collect();
        let rows = last
            .rows
            .map_or_else(|| "[]".to_owned(), |rows| rows.get().to_owned());
        Ok(Reply {
            names,
            types,
            rows,
            row_count: last.row_count,
        })
    }

    /// Runs statements that must work.
    pub async fn run(&self, caller: &Caller, sql: &str) {
        if let Err(error) = self.ask(caller, sql, &[]).await {
            panic!("{sql}: {error:?}");
        }
    }

    /// The rows of a query as JSON.
    pub async fn rows(&self, caller: &Caller, sql: &str) -> String {
        self.rows_with(caller, sql, &[]).await
    }

    pub async fn rows_with(&self, caller: &Caller, sql: &str, params: &[Json]) -> String {
        match self.ask(caller, sql, params).await {
            Ok(reply) => reply.rows,
            Err(error) => panic!("{sql}: {error:?}"),
        }
    }

    /// Code and message of a query that must fail.
    pub async fn error(&self, caller: &Caller, sql: &str) -> ServerError {
        match self.ask(caller, sql, &[]).await {
            Ok(reply) => panic!("{sql} gave {}", reply.rows),
            Err(error) => error,
        }
    }
}

#[derive(Debug)]
pub struct Reply {
    pub names: Vec<String>,
    pub types: Vec<Json>,
    pub rows: String,
    pub row_count: u64,
}
