//! What happened, as the JSON that the host parses once. The types of the events are in `link-ts/src/core.ts`.

use kalam_link_core::codec::append_schema;
use kalam_link_core::ids::{SeqId, SubscriptionId};
use kalam_link_core::json::Object;
use kalam_link_core::live_rows::{LiveRows, LiveStatus};
use kalam_link_core::message::{
    BatchControl, Change, ChangeReason, ChangeType, ResyncReason, Row, SubscriptionAck,
};
use kalam_link_core::session::{
    Load, QueryError, SessionError, SessionEvent, SubscriptionError, SubscriptionEvent,
};

use crate::mirror::Mirror;

pub fn of(event: &SessionEvent) -> String {
    let mut object = Object::new();
    match event {
        SessionEvent::Connected { user, role, .. } => {
            object.text("type", "connected");
            object.text("user", user.as_str());
            object.text("role", role.as_str());
        }
        SessionEvent::Disconnected { reason, retry_at } => {
            object.text("type", "disconnected");
            object.text("message", &reason.to_string());
            object.number("retry_at", retry_at.map(|at| at.0));
        }
        SessionEvent::Failed(error) => {
            object.text("type", "failed");
            object.text("code", session_code(error));
            object.text("message", &error.to_string());
        }
        SessionEvent::ServerRefused { code, message } => {
            object.text("type", "refused");
            object.text("code", code.as_str());
            object.text("message", message);
        }
        SessionEvent::Query { id, outcome } => {
            object.text("type", "query");
            object.number("query", Some(id.0));
            match outcome {
                Ok(response) => object.raw("response", response.as_str()),
                Err(error) => {
                    object.text("code", query_code(error));
                    object.text("message", &error.to_string());
                }
            }
        }
        SessionEvent::Subscription { id, event } => subscription(id, event, &mut object),
    }
    object.end()
}

fn subscription(id: &SubscriptionId, event: &SubscriptionEvent, object: &mut Object) {
    object.text("id", id.as_str());
    match event {
        SubscriptionEvent::Acknowledged { ack, load } => {
            object.text("type", "subscription_ack");
            object.raw(
                "resumed",
                if *load == Load::Resumed {
                    "true"
                } else {
                    "false"
                },
            );
            acknowledgement(ack, object);
        }
        SubscriptionEvent::Batch { rows, control } => {
            object.text("type", "initial_data_batch");
            object.raw("rows", &list(rows));
            object.raw("batch_control", &batch_control(control));
        }
        SubscriptionEvent::Change(change) => {
            object.text("type", "change");
            self::change(change, object);
        }
        SubscriptionEvent::Live => object.text("type", "live"),
        SubscriptionEvent::Offline => object.text("type", "offline"),
        SubscriptionEvent::Resync { reason } => {
            object.text("type", "resync");
            object.text("reason", resync_reason(*reason));
        }
        SubscriptionEvent::Ended(error) => {
            object.text("type", "ended");
            ended(error, object);
        }
        // Has a form of its own.
        SubscriptionEvent::RowsChanged => object.text("type", "rows"),
    }
}

/// What is new of rows that the core keeps: their status, and what the host has to do with its array.
pub fn of_rows(id: &SubscriptionId, rows: &LiveRows, mirror: &mut Mirror) -> String {
    let mut object = Object::new();
    object.text("type", "rows");
    object.text("id", id.as_str());
    object.text(
        "status",
        match rows.status() {
            LiveStatus::Loading => "loading",
            LiveStatus::Live => "live",
            LiveStatus::CatchingUp => "catching_up",
            LiveStatus::Offline => "offline",
            LiveStatus::Failed => "failed",
        },
    );
    let (name, value) = mirror.edits(rows);
    object.raw(name, &value);
    object.end()
}

fn acknowledgement(ack: &SubscriptionAck, object: &mut Object) {
    let mut schema = String::new();
    append_schema(&ack.schema, &mut schema);
    object.raw("schema", &schema);
    object.number("total_rows", Some(ack.total_rows));
    object.number("limit", ack.limit);
    object.number("ttl_ms", ack.ttl_ms);
    object.raw("batch_control", &batch_control(&ack.batch_control));
}

fn batch_control(control: &BatchControl) -> String {
    let mut object = Object::new();
    object.number("batch_num", Some(control.batch_num.into()));
    object.raw("has_more", if control.has_more { "true" } else { "false" });
    seq("last_seq_id", control.last_seq_id, &mut object);
    object.end()
}

fn change(change: &Change, object: &mut Object) {
    object.text(
        "change_type",
        match change.change_type {
            ChangeType::Insert => "insert",
            ChangeType::Update => "update",
            ChangeType::Delete => "delete",
        },
    );
    for (name, rows) in [("rows", &change.rows), ("old_values", &change.old_values)] {
        if let Some(rows) = rows {
            object.raw(name, &list(rows));
        }
    }
    seq("seq", change.seq, object);
    if let Some(reason) = change.reason {
        object.text(
            "reason",
            match reason {
                ChangeReason::LeftFilter => "left_filter",
                ChangeReason::EnteredFilter => "entered_filter",
                ChangeReason::LeftWindow => "left_window",
                ChangeReason::EnteredWindow => "entered_window",
                ChangeReason::Unknown => "unknown",
            },
        );
    }
}

fn ended(error: &SubscriptionError, object: &mut Object) {
    let (code, message) = match error {
        SubscriptionError::Server { code, message } => (code.as_str(), message.clone()),
        SubscriptionError::TooMany => ("SUBSCRIPTION_LIMIT_EXCEEDED", error.to_string()),
        SubscriptionError::InvalidId => ("INVALID_SUBSCRIPTION_ID", error.to_string()),
        SubscriptionError::TooLarge => ("MESSAGE_TOO_LARGE", error.to_string()),
    };
    object.text("code", code);
    object.text("message", &message);
    object.raw(
        "retryable",
        if error.is_retryable() {
            "true"
        } else {
            "false"
        },
    );
}

fn seq(name: &str, seq: Option<SeqId>, object: &mut Object) {
    object.number(name, seq.map(|seq| seq.0));
}

/// Rows as an array.
pub fn list(rows: &[Row]) -> String {
    let bytes: usize = rows.iter().map(|row| row.as_json().len() + 1).sum();
    let mut list = String::with_capacity(bytes + 2);
    list.push('[');
    for row in rows {
        if list.len() > 1 {
            list.push(',');
        }
        list.push_str(row.as_json());
    }
    list.push(']');
    list
}

const fn resync_reason(reason: ResyncReason) -> &'static str {
    match reason {
        ResyncReason::SchemaChanged => "schema_changed",
        ResyncReason::BelowResumeFloor => "below_resume_floor",
        ResyncReason::AheadOfServer => "ahead_of_server",
        ResyncReason::LoadInterrupted => "load_interrupted",
        ResyncReason::WindowReloaded => "window_reloaded",
        ResyncReason::Unknown => "unknown",
    }
}

const fn session_code(error: &SessionError) -> &'static str {
    match error {
        SessionError::CredentialsRefused { .. } => "INVALID_CREDENTIALS",
        SessionError::NoCredentials { .. } => "MISSING_AUTHORIZATION",
        SessionError::AttemptsExhausted { .. } => "UNREACHABLE",
        SessionError::NoAddress => "INVALID_INPUT",
    }
}

const fn query_code(error: &QueryError) -> &'static str {
    match error {
        QueryError::Interrupted => "INTERRUPTED",
        QueryError::NotSent => "DISCONNECTED",
        QueryError::TooMany => "RATE_LIMIT_EXCEEDED",
        QueryError::TooLarge => "STATEMENT_TOO_LARGE",
        QueryError::Unreadable(_) => "PROTOCOL",
    }
}
