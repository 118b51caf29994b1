//! Whole requests and their whole answers.

use kalam_link_core::http::SqlRequest;
use kalam_link_core::{ErrorCode, Role, ServerError};
use kalam_model::Caller;
use kalam_query::RequestMeta;

use crate::plan_support::{Db, caller};

pub fn root() -> Caller {
    caller("root", Role::System)
}

pub fn alice() -> Caller {
    caller("alice", Role::User)
}

/// A request, with all results as the JSON that a client gets.
pub async fn send(db: &Db, caller: &Caller, request: &SqlRequest) -> Result<String, ServerError> {
    let outcome = db
        .executor
        .execute(caller, request, &RequestMeta::default())
        .await;
    match outcome.error {
        Some(error) => Err(error),
        None => Ok(serde_json::to_string(&outcome.results).unwrap()),
    }
}

/// SQL with a request id.
pub async fn send_once(
    db: &Db,
    caller: &Caller,
    id: &str,
    sql: &str,
) -> Result<String, ServerError> {
    let request = SqlRequest {
        sql: sql.to_owned(),
        request_id: Some(id.to_owned()),
        ..SqlRequest::default()
    };
    send(db, caller, &request).await
}

/// `Ok` or the code of the error.
pub async fn verdict(db: &Db, caller: &Caller, sql: &str) -> Result<(), ErrorCode> {
    match db.ask(caller, sql, &[]).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error.code),
    }
}

/// The code of a request that must fail.
pub async fn code(db: &Db, caller: &Caller, sql: &str) -> ErrorCode {
    db.error(caller, sql).await.code
}
