//! SQL text and parameters in, results out.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::{Stream, StreamExt};
use kalam_engine::Engine;
use kalam_link_core::http::{QueryResult, SqlRequest};
use kalam_link_core::{Field, ServerError};
use kalam_model::{AuditRecord, Caller, Namespace, Timestamp};
use kalam_sql::EvalContext;
use kalam_sql::statement::Statement;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::cache::{Prepared, Script, StatementCache};
use crate::context::StatementContext;
use crate::error::Error;
use crate::ids::Ids;
use crate::requests::RequestKey;
use crate::result::{self, Answer};
use crate::select::{ExplainMode, Planner, Selection};
use crate::{ddl, dml, live, point, transaction, users};

/// What stops a statement. Each limit is an error of its own (I13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Milliseconds for one statement. A write that was handed to the engine is waited for all the same.
    pub statement_timeout_ms: u64,
    /// Rows of one result.
    pub result_rows_max: u64,
    /// Bytes of one result in its encoded form.
    pub result_bytes_max: u64,
    /// Memory of all running queries together.
    pub query_memory_bytes: u64,
    /// Bytes of rows that one statement or transaction writes.
    pub command_bytes_max: usize,
    /// Bytes of SQL text of one request.
    pub sql_bytes_max: usize,
    /// Memory of parsed statements that are kept for their next use.
    pub statement_cache_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            statement_timeout_ms: 30_000,
            result_rows_max: 1_000_000,
            result_bytes_max: 64 << 20,
            query_memory_bytes: 256 << 20,
            command_bytes_max: 16 << 20,
            sql_bytes_max: 4 << 20,
            statement_cache_bytes: 8 << 20,
        }
    }
}

/// What `system.settings` and `system.stats` say about this server.
#[derive(Clone, Debug, Default)]
pub struct ServerFacts {
    pub version: String,
    pub started_at: Timestamp,
    pub settings: Vec<SettingRow>,
}

/// One row of `system.settings`. Secrets never stand here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingRow {
    pub name: String,
    pub value: String,
    pub description: String,
    pub category: String,
    /// `default`, `file`, `environment`, `flag`.
    pub origin: String,
}

/// What is known about a request beyond its body.
#[derive(Clone, Debug, Default)]
pub struct RequestMeta {
    /// `X-Request-ID`, for logs and the audit log.
    pub x_request_id: Option<String>,
    pub client_ip: Option<String>,
    /// `ws://host:port` as the client reaches the server. Without it addresses are relative to that of the request.
    pub ws_origin: Option<String>,
}

/// What a request gave: a result per statement, up to the one that failed.
#[derive(Debug)]
pub struct Outcome {
    pub results: Vec<QueryResult<Box<RawValue>>>,
    pub error: Option<ServerError>,
}

/// The batches of one SELECT. Limits end it with an error, never silently.
pub struct RowStream {
    pub schema: SchemaRef,
    pub fields: Vec<Field>,
    pub batches: Pin<Box<dyn Stream<Item = Result<RecordBatch, ServerError>> + Send>>,
}

/// Runs statements. Cheap to clone.
#[derive(Clone)]
pub struct Executor {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub engine: Arc<Engine>,
    pub limits: Limits,
    pub planner: Planner,
    pub ids: Ids,
    cache: StatementCache,
}

/// What one statement runs in.
#[derive(Clone)]
pub(crate) struct Call<'a> {
    pub inner: &'a Inner,
    pub caller: &'a Caller,
    pub namespace: Namespace,
    pub params: &'a [Json],
    pub now: Timestamp,
    pub deadline: Instant,
    pub meta: &'a RequestMeta,
}

impl Executor {
    #[must_use]
    pub fn new(engine: Arc<Engine>, limits: Limits, facts: ServerFacts) -> Self {
        let planner = Planner::new(Arc::clone(&engine), limits.clone(), facts);
        let cache = StatementCache::new(limits.statement_cache_bytes);
        let ids = Ids::new(Arc::clone(&engine));
        Self {
            inner: Arc::new(Inner {
                engine,
                limits,
                planner,
                ids,
                cache,
            }),
        }
    }

    /// Runs every statement of the request, rows encoded as JSON. The first failure stops it. Dropping the future
    /// cancels the statement, except for a write that the engine has already taken.
    pub async fn execute(
        &self,
        caller: &Caller,
        request: &SqlRequest,
        meta: &RequestMeta,
    ) -> Outcome {
        let mut results = Vec::new();
        let ran = self.inner.run(caller, request, meta, &mut results).await;
        Outcome {
            results,
            error: ran.err().map(|error| error.to_server_error()),
        }
    }

    /// Runs the one SELECT of the request as a stream of batches.
    pub async fn stream(
        &self,
        caller: &Caller,
        request: &SqlRequest,
        meta: &RequestMeta,
    ) -> Result<RowStream, ServerError> {
        let opened = self.inner.stream(caller, request, meta).await;
        opened.map_err(|error| error.to_server_error())
    }
}

impl Inner {
    async fn run(
        &self,
        caller: &Caller,
        request: &SqlRequest,
        meta: &RequestMeta,
        results: &mut Vec<Answer>,
    ) -> Result<(), Error> {
        let (script, mut call) = self.open(caller, request, meta)?;
        let several = script.statements.len() > 1;
        let mut index = 0;
        while index < script.statements.len() {
            call.restart();
            let part = several.then_some(index);
            let text = &request.sql[script.statements[index].parsed.range.clone()];
            let key = call.request_key(request, part, text)?;
            let done = match &script.statements[index].parsed.statement {
                Statement::Begin => {
                    let ran =
                        transaction::run(&mut call, &script.statements, index, request, results)
                            .await;
                    ran.map(|next| index = next)
                }
                Statement::UseNamespace { name } => {
                    ddl::namespaces::switch(&call, name).map(|(namespace, answer)| {
                        call.namespace = namespace;
                        results.push(answer);
                        index += 1;
                    })
                }
                _ => call
                    .run(&script.statements[index], key.as_ref())
                    .await
                    .map(|answer| {
                        results.push(answer);
                        index += 1;
                    }),
            };
            done.map_err(|error| if several { number(error, index) } else { error })?;
        }
        Ok(())
    }

    /// Parses the request and checks what concerns it as a whole.
    fn open<'a>(
        &'a self,
        caller: &'a Caller,
        request: &'a SqlRequest,
        meta: &'a RequestMeta,
    ) -> Result<(Arc<Script>, Call<'a>), Error> {
        let bytes_max = self.limits.sql_bytes_max;
        if request.sql.len() > bytes_max {
            return Err(Error::SqlTooLarge {
                bytes: request.sql.len(),
                bytes_max,
            });
        }
        let namespace = match &request.namespace_id {
            Some(name) => Namespace::new(name)?,
            None => Namespace::default_namespace(),
        };
        let script = self.cache.script(&namespace, &request.sql)?;
        let params = request.params.as_deref().unwrap_or_default();
        if script.statements.len() > 1 && !params.is_empty() {
            return Err(Error::ParamsWithBatch {
                statements: script.statements.len(),
            });
        }
        let now = Timestamp::now();
        let mut call = Call {
            inner: self,
            caller,
            namespace,
            params,
            now,
            deadline: Instant::now(),
            meta,
        };
        call.restart();
        Ok((script, call))
    }

    async fn stream(
        &self,
        caller: &Caller,
        request: &SqlRequest,
        meta: &RequestMeta,
    ) -> Result<RowStream, Error> {
        let (script, call) = self.open(caller, request, meta)?;
        let [prepared] = script.statements.as_slice() else {
            return Err(Error::NotStreamable);
        };
        let (acting, statement) = call.acting(&prepared.parsed.statement).await?;
        let call = Call {
            caller: acting.as_ref().unwrap_or(caller),
            ..call
        };
        prepared.check_params(call.params)?;
        let selection = match statement {
            Statement::Select(query) => {
                self.planner
                    .select(call.caller, query, &call.context())
                    .await?
            }
            Statement::Explain { .. } => call.explain(statement).await?,
            _ => return Err(Error::NotStreamable),
        };
        let Selection {
            fields,
            schema,
            stream,
        } = selection;
        let batches = stream.map(|batch| batch.map_err(|error| error.to_server_error()));
        Ok(RowStream {
            schema,
            fields,
            batches: Box::pin(batches),
        })
    }
}

/// Statements count from 1.
fn number(error: Error, index: usize) -> Error {
    match error {
        numbered @ Error::Statement { .. } => numbered,
        error => Error::Statement {
            statement: index + 1,
            source: Box::new(error),
        },
    }
}

impl<'a> Call<'a> {
    /// Sets clock and deadline for the next statement.
    fn restart(&mut self) {
        self.now = Timestamp::now();
        self.deadline =
            Instant::now() + Duration::from_millis(self.inner.limits.statement_timeout_ms);
    }

    /// What the planner needs.
    pub fn context(&self) -> StatementContext {
        StatementContext {
            namespace: self.namespace.clone(),
            params: self.params.to_vec(),
            now: self.now,
            deadline: self.deadline,
        }
    }

    /// What compiled expressions need.
    pub fn eval(&self) -> EvalContext<'a> {
        EvalContext {
            now: self.now,
            user: &self.caller.user,
            params: self.params,
            ids: &self.inner.ids,
        }
    }

    pub fn message(&self, text: impl Into<String>) -> Answer {
        result::message(&self.caller.user, text)
    }

    pub fn timeout(&self) -> Error {
        Error::Timeout {
            limit_ms: self.inner.limits.statement_timeout_ms,
        }
    }

    /// Fails if the statement's time is over.
    pub fn check_time(&self) -> Result<(), Error> {
        if Instant::now() > self.deadline {
            Err(self.timeout())
        } else {
            Ok(())
        }
    }

    /// Waits for `future`, at most until the deadline.
    pub async fn within<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        tokio::time::timeout_at(self.deadline.into(), future)
            .await
            .map_err(|_| self.timeout())
    }

    /// The id under which a statement of the request is repeatable, if the request has one.
    pub fn request_key(
        &self,
        request: &SqlRequest,
        part: Option<usize>,
        text: &str,
    ) -> Result<Option<RequestKey>, Error> {
        let make = |id: &String| {
            RequestKey::new(
                self.caller,
                id,
                part,
                text,
                self.namespace.as_str(),
                self.params,
            )
        };
        request.request_id.as_ref().map(make).transpose()
    }

    /// Adds a line to the audit log, with both identities inside EXECUTE AS.
    pub async fn audit(&self, action: &str, target: &str, result: &str) -> Result<(), Error> {
        let as_user = self
            .caller
            .actor
            .is_some()
            .then(|| self.caller.user.clone());
        let record = AuditRecord {
            at: self.now,
            actor: self
                .caller
                .actor
                .as_ref()
                .unwrap_or(&self.caller.user)
                .clone(),
            as_user,
            action: action.to_owned(),
            target: target.to_owned(),
            result: result.to_owned(),
            details: self
                .meta
                .client_ip
                .as_ref()
                .map(|ip| format!("client {ip}")),
            request_id: self.meta.x_request_id.clone(),
        };
        Ok(self.inner.engine.audit(record).await?)
    }

    /// The caller inside EXECUTE AS USER and the statement there; the statement itself without one. Whoever may not act
    /// as anybody learns nothing about the account.
    pub async fn acting<'s>(
        &self,
        statement: &'s Statement,
    ) -> Result<(Option<Caller>, &'s Statement), Error> {
        let Statement::ExecuteAs { user, statement } = statement else {
            return Ok((None, statement));
        };
        let denied = || Error::PermissionDenied {
            action: format!("execute as user '{user}'"),
        };
        let id = users::user_id(user);
        let account = match &id {
            Ok(id) if self.caller.may_act_as(kalam_model::Role::User) => {
                self.inner.engine.users().active(id)?
            }
            _ => None,
        };
        if account.is_none() && self.caller.role.is_admin() {
            return Err(Error::UserNotFound { name: user.clone() });
        }
        // To others a missing account and one that is out of reach give the same answer.
        let Some(account) = account.filter(|account| self.caller.may_act_as(account.role)) else {
            self.audit("EXECUTE_AS", user, "denied").await?;
            return Err(denied());
        };
        let acting = self.caller.acting_as(account.id.clone(), account.role);
        Call {
            caller: &acting,
            ..self.clone()
        }
        .audit("EXECUTE_AS", user, "allowed")
        .await?;
        Ok((Some(acting), statement))
    }

    /// Runs one statement that is neither part of a transaction nor USE.
    async fn run(&self, prepared: &Prepared, key: Option<&RequestKey>) -> Result<Answer, Error> {
        let statement = &prepared.parsed.statement;
        if let Statement::ExecuteAs { .. } = statement {
            let (acting, inner) = self.acting(statement).await?;
            let call = Call {
                caller: acting.as_ref().unwrap_or(self.caller),
                ..self.clone()
            };
            return call.run_plain(prepared, inner, key).await;
        }
        self.run_plain(prepared, statement, key).await
    }

    async fn run_plain(
        &self,
        prepared: &Prepared,
        statement: &Statement,
        key: Option<&RequestKey>,
    ) -> Result<Answer, Error> {
        match statement {
            Statement::Select(_) | Statement::Explain { .. } => {
                prepared.check_params(self.params)?;
                self.read(prepared, statement).await
            }
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
                prepared.check_params(self.params)?;
                dml::run_one(self, prepared, statement, key).await
            }
            Statement::Subscribe(subscription) => {
                prepared.check_params(self.params)?;
                live::subscribe(self, subscription)
            }
            // Boxed, so that the rare statements do not make the future of the frequent ones larger.
            other => Box::pin(self.run_rare(other)).await,
        }
    }

    /// SELECT and EXPLAIN.
    pub async fn read(&self, prepared: &Prepared, statement: &Statement) -> Result<Answer, Error> {
        if let Statement::Select(query) = statement
            && let Some(answer) = point::select(self, prepared, query)?
        {
            return Ok(answer);
        }
        Box::pin(async {
            let selection = match statement {
                Statement::Select(query) => {
                    self.inner
                        .planner
                        .select(self.caller, query, &self.context())
                        .await?
                }
                _ => self.explain(statement).await?,
            };
            result::collect(&self.caller.user, selection, &self.inner.limits).await
        })
        .await
    }

    async fn explain(&self, statement: &Statement) -> Result<Selection, Error> {
        let Statement::Explain {
            analyze,
            verbose,
            query,
        } = statement
        else {
            return Err(Error::internal("EXPLAIN of another statement"));
        };
        let mode = match (analyze, verbose) {
            (true, _) => ExplainMode::Analyze,
            (false, true) => ExplainMode::Verbose,
            (false, false) => ExplainMode::Plan,
        };
        self.inner
            .planner
            .explain(self.caller, query, mode, &self.context())
            .await
    }

    async fn run_rare(&self, statement: &Statement) -> Result<Answer, Error> {
        if !self.params.is_empty() {
            return Err(kalam_sql::Error::SuperfluousParameters {
                given: self.params.len(),
                used: 0,
            }
            .into());
        }
        match statement {
            Statement::CreateNamespace { name, if_exists } => {
                ddl::namespaces::create(self, name, *if_exists).await
            }
            Statement::AlterNamespace { name, description } => {
                ddl::namespaces::alter(self, name, description.as_deref()).await
            }
            Statement::DropNamespace {
                name,
                if_exists,
                cascade,
            } => ddl::namespaces::remove(self, name, *if_exists, *cascade).await,
            Statement::ShowNamespaces => Ok(ddl::namespaces::show(self)),
            Statement::CreateTable(create) => ddl::tables::create(self, create).await,
            Statement::AlterTable { table, change } => ddl::alter::run(self, table, change).await,
            Statement::DropTable {
                table,
                kind,
                if_exists,
            } => ddl::tables::remove(self, table, *kind, *if_exists).await,
            Statement::CreateView(create) => ddl::views::create(self, create).await,
            Statement::DropView { view, if_exists } => {
                ddl::views::remove(self, view, *if_exists).await
            }
            Statement::ShowTables { namespace } => ddl::show::tables(self, namespace.as_deref()),
            Statement::Describe { table, history } => {
                ddl::show::describe(self, table, *history).await
            }
            Statement::ShowStats { table } => ddl::show::stats(self, table).await,
            Statement::CreateUser(create) => users::create(self, create).await,
            Statement::AlterUser { user, change } => users::alter(self, user, change).await,
            Statement::DropUser { user, if_exists } => users::remove(self, user, *if_exists).await,
            Statement::RestoreUser { user } => users::restore(self, user).await,
            Statement::KillLiveQuery { id } => live::kill(self, id).await,
            Statement::Unsupported { what } => Err(Error::unsupported(what.clone())),
            Statement::Commit => Err(Error::NoTransaction { word: "COMMIT" }),
            Statement::Rollback => Err(Error::NoTransaction { word: "ROLLBACK" }),
            Statement::UseNamespace { .. } => Err(Error::unsupported("USE inside EXECUTE AS USER")),
            Statement::Begin => Err(Error::unsupported("BEGIN inside EXECUTE AS USER")),
            Statement::ExecuteAs { .. } => {
                Err(Error::unsupported("EXECUTE AS USER inside EXECUTE AS USER"))
            }
            Statement::Select(_)
            | Statement::Explain { .. }
            | Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Subscribe(_) => {
                Err(Error::internal("a statement about rows took the wrong way"))
            }
        }
    }
}
