//! SQL over the socket: which queries wait to be sent, and which for their answer.

use std::collections::BTreeMap;

use super::{MESSAGE_BYTES_MAX, QUERIES_MAX, QueryError, QueryId, SocketQuery};
use crate::codec::Frame;
use crate::message::{ClientMessage, Query};

/// Queries without an answer, in the order in which they were asked.
#[derive(Debug, Default)]
pub(super) struct Queries {
    /// By a number that is not used again in the session, so that the answer to a cancelled query meets no other.
    open: BTreeMap<u64, OpenQuery>,
    number: u64,
}

#[derive(Debug)]
struct OpenQuery {
    query: SocketQuery,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Waiting,
    Sent,
    /// Sent on a connection that is gone, and to be sent again.
    WaitingAgain,
}

impl Queries {
    pub(super) fn add(&mut self, query: SocketQuery) -> Result<(), QueryError> {
        self.cancel(query.id);
        if self.open.len() >= QUERIES_MAX {
            return Err(QueryError::TooMany);
        }
        let frame = Frame::json(&message(u64::MAX, &query));
        if frame.as_bytes().len() > MESSAGE_BYTES_MAX {
            return Err(QueryError::TooLarge);
        }
        self.number += 1;
        let progress = Progress::Waiting;
        self.open.insert(self.number, OpenQuery { query, progress });
        Ok(())
    }

    pub(super) fn cancel(&mut self, id: QueryId) {
        self.open.retain(|_, open| open.query.id != id);
    }

    /// What is to be sent, once.
    pub(super) fn send(&mut self) -> Vec<ClientMessage> {
        let mut messages = Vec::new();
        for (number, open) in &mut self.open {
            if open.progress != Progress::Sent {
                open.progress = Progress::Sent;
                messages.push(message(*number, &open.query));
            }
        }
        messages
    }

    /// Which query an answer is for.
    pub(super) fn answered(&mut self, wire: &str) -> Option<QueryId> {
        let number = wire.parse().ok()?;
        Some(self.open.remove(&number)?.query.id)
    }

    /// The connection is gone. Returned are the queries that end with it; those that can be repeated wait again.
    pub(super) fn interrupt(&mut self) -> Vec<QueryId> {
        let mut ended = Vec::new();
        self.open.retain(|_, open| {
            if open.progress != Progress::Sent {
                return true;
            }
            open.progress = Progress::WaitingAgain;
            let keep = open.query.request_id.is_some();
            if !keep {
                ended.push(open.query.id);
            }
            keep
        });
        ended
    }

    /// The session stops: every query ends.
    pub(super) fn clear(&mut self) -> Vec<(QueryId, QueryError)> {
        let open = std::mem::take(&mut self.open);
        open.into_values()
            .map(|open| match open.progress {
                Progress::Waiting => (open.query.id, QueryError::NotSent),
                Progress::Sent | Progress::WaitingAgain => (open.query.id, QueryError::Interrupted),
            })
            .collect()
    }
}

fn message(number: u64, query: &SocketQuery) -> ClientMessage {
    ClientMessage::Query(Query {
        id: number.to_string(),
        sql: query.sql.clone(),
        params: query.params.clone(),
        namespace_id: query.namespace.clone(),
        request_id: query.request_id.clone(),
    })
}
