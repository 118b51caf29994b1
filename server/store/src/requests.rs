//! Answers of requests that carried an id, so that a repeated write is answered and not applied again.

use std::ops::ControlFlow;

use kalam_link_core::UserId;
use kalam_model::{RequestRecord, SLOTS, Slot, Timestamp, WriteOutcome};
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::db::{Family, Reader};
use crate::error::Error;
use crate::key;
use crate::meta;

/// What is kept of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRequest {
    pub time: Timestamp,
    /// Hash of what was asked for.
    pub hash: u64,
    pub outcome: WriteOutcome,
    pub answer: Vec<u8>,
}

/// The request of a user with this id, kept in the slot of its write.
pub fn get(
    reader: &impl Reader,
    slot: Slot,
    user: &UserId,
    id: &str,
) -> Result<Option<StoredRequest>, Error> {
    let record = reader.get(Family::Requests, &key::request_key(slot, user, id))?;
    record
        .map(|bytes| meta::decode("request", &bytes))
        .transpose()
}

/// Keeps the answer of a request that was applied at `time`.
pub fn put(batch: &mut Batch, request: &RequestRecord, time: Timestamp, outcome: WriteOutcome) {
    let record = StoredRequest {
        time,
        hash: request.hash,
        outcome,
        answer: request.answer.clone(),
    };
    let (slot, user, id) = (request.slot, &request.user, &request.id);
    batch.put(
        Family::Requests,
        key::request_key(slot, user, id),
        meta::encode(&record),
    );
    batch.put(
        Family::Requests,
        key::request_time_key(slot, time, user, id),
        Vec::new(),
    );
}

/// Forgets requests older than `before`; says how many.
pub fn purge(batch: &mut Batch, before: Timestamp) -> Result<usize, Error> {
    let mut old = Vec::new();
    for slot in (0..SLOTS).map(Slot) {
        let from = key::request_time_prefix(slot, Timestamp(i64::MIN));
        let to = key::request_time_prefix(slot, before);
        batch.scan(Family::Requests, &from..&to, &mut |key, _| {
            old.push(key.to_vec());
            Ok(ControlFlow::Continue(()))
        })?;
    }
    let removed = old.len();
    for time_key in old {
        batch.delete(Family::Requests, key::request_key_of_time(&time_key)?);
        batch.delete(Family::Requests, time_key);
    }
    Ok(removed)
}

#[cfg(test)]
mod tests;
