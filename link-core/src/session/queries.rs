//! SQL over the socket: which queries wait to be sent, and which for their answer.

use super::{MESSAGE_BYTES_MAX, QUERIES_MAX, QueryError, QueryId, SocketQuery};
use crate::codec::text_of;
use crate::message::{ClientMessage, Params, Query};

/// Queries without an answer, in the order in which they were asked.
#[derive(Debug, Default)]
pub(super) struct Queries {
    open: Vec<OpenQuery>,
    number: u64,
}

#[derive(Debug)]
struct OpenQuery {
    /// Not used again in the session, so that the answer to a cancelled query meets no other.
    number: u64,
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
        if text_of(&message(u64::MAX, &query)).len() > MESSAGE_BYTES_MAX {
            return Err(QueryError::TooLarge);
        }
        self.number += 1;
        let progress = Progress::Waiting;
        self.open.push(OpenQuery {
            number: self.number,
            query,
            progress,
        });
        Ok(())
    }

    pub(super) fn cancel(&mut self, id: QueryId) {
        self.open.retain(|open| open.query.id != id);
    }

    /// What is to be sent, once.
    pub(super) fn send(&mut self) -> Vec<ClientMessage<Params>> {
        let mut messages = Vec::new();
        for open in &mut self.open {
            if open.progress != Progress::Sent {
                open.progress = Progress::Sent;
                messages.push(message(open.number, &open.query));
            }
        }
        messages
    }

    /// Which query an answer is for.
    pub(super) fn answered(&mut self, wire: &str) -> Option<QueryId> {
        let number: u64 = wire.parse().ok()?;
        let index = self.open.iter().position(|open| open.number == number)?;
        Some(self.open.remove(index).query.id)
    }

    /// The connection is gone. Returned are the queries that end with it; those that can be repeated wait again.
    pub(super) fn interrupt(&mut self) -> Vec<QueryId> {
        let mut ended = Vec::new();
        self.open.retain_mut(|open| {
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
        open.into_iter()
            .map(|open| match open.progress {
                Progress::Waiting => (open.query.id, QueryError::NotSent),
                Progress::Sent | Progress::WaitingAgain => (open.query.id, QueryError::Interrupted),
            })
            .collect()
    }
}

fn message(number: u64, query: &SocketQuery) -> ClientMessage<Params> {
    ClientMessage::Query(Query {
        id: number.to_string(),
        sql: query.sql.clone(),
        params: query.params.clone(),
        namespace_id: query.namespace.clone(),
        request_id: query.request_id.clone(),
    })
}
