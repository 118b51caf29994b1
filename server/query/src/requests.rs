//! Repeatable writes: a request id makes the second try of a write return the first answer.
//!
//! An answer is complete before the write is ordered, except for the sequence numbers that ordering gives out. Their
//! cells are holes in the encoded rows, which are filled when the numbers are known, also when a stored answer is used.

use std::fmt::Write as _;

use kalam_link_core::http::QueryResult;
use kalam_link_core::{Field, SeqId, UserId};
use kalam_model::{Caller, RequestRecord, Slot};
use kalam_store::{Snapshot, requests};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use twox_hash::XxHash64;

use crate::encode;
use crate::error::Error;
use crate::result::Answer;

/// Stands where a sequence number will. JSON text never holds this byte: it must be escaped in strings.
pub(crate) const HOLE: u8 = 0;

/// Longest request id in bytes.
const ID_BYTES_MAX: usize = 128;

/// First byte of a stored answer (I11).
const ANSWER_VERSION: u8 = 1;

/// The id under which one statement or transaction is repeatable.
#[derive(Clone, Debug)]
pub(crate) struct RequestKey {
    pub id: String,
    /// Who really asks: inside EXECUTE AS the actor.
    pub user: UserId,
    pub hash: u64,
}

impl RequestKey {
    /// `part` tells the statements of one request apart.
    pub fn new(
        caller: &Caller,
        id: &str,
        part: Option<usize>,
        text: &str,
        namespace: &str,
        params: &[Json],
    ) -> Result<Self, Error> {
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return Err(Error::RequestId {
                bytes_max: ID_BYTES_MAX,
            });
        }
        let id = match part {
            Some(part) => format!("{id}#{part}"),
            None => id.to_owned(),
        };
        let mut bytes = format!("{namespace}\0{text}\0").into_bytes();
        for param in params {
            bytes.extend_from_slice(param.to_string().as_bytes());
            bytes.push(0);
        }
        let user = caller.actor.as_ref().unwrap_or(&caller.user).clone();
        Ok(Self {
            id,
            user,
            hash: XxHash64::oneshot(0, &bytes),
        })
    }

    /// The answers of the first try, if there was one.
    pub fn stored(
        &self,
        snapshot: &Snapshot,
        slot: Slot,
    ) -> Result<Option<(SeqId, Vec<WriteAnswer>)>, Error> {
        let Some(stored) = requests::get(snapshot, slot, &self.user, &self.id)? else {
            return Ok(None);
        };
        if stored.hash != self.hash {
            return Err(self.reused());
        }
        Ok(Some((
            stored.outcome.first_seq,
            WriteAnswer::decode_all(&stored.answer)?,
        )))
    }

    pub fn record(&self, slot: Slot, answers: &[WriteAnswer]) -> RequestRecord {
        RequestRecord {
            slot,
            user: self.user.clone(),
            id: self.id.clone(),
            hash: self.hash,
            answer: WriteAnswer::encode_all(answers),
        }
    }

    pub fn reused(&self) -> Error {
        Error::RequestReused {
            id: self.id.clone(),
        }
    }
}

/// The answer of one statement that writes, complete but for sequence numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct WriteAnswer {
    pub message: Option<String>,
    pub row_count: u64,
    pub as_user: UserId,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schema: Vec<Field>,
    /// Encoded rows with a [`HOLE`] for each number that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rows: String,
    /// For each hole the place of its mutation in the command; `None` if the row did not stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holes: Vec<Option<u64>>,
}

impl WriteAnswer {
    fn encode_all(answers: &[Self]) -> Vec<u8> {
        let mut bytes = vec![ANSWER_VERSION];
        serde_json::to_writer(&mut bytes, answers)
            .expect("an answer holds only what JSON can hold");
        bytes
    }

    /// Reads what a command carried.
    pub fn decode_all(bytes: &[u8]) -> Result<Vec<Self>, Error> {
        let corrupt = || Error::internal("a stored answer cannot be read");
        match bytes.split_first() {
            Some((&ANSWER_VERSION, json)) => serde_json::from_slice(json).map_err(|_| corrupt()),
            _ => Err(corrupt()),
        }
    }

    /// The answer as the client gets it. `first_seq` is the number of the command's first mutation.
    pub fn finish(self, first_seq: SeqId) -> Answer {
        let rows = if self.schema.is_empty() {
            None
        } else {
            Some(encode::raw_rows(fill(self.rows, &self.holes, first_seq)))
        };
        QueryResult {
            schema: self.schema,
            rows,
            row_count: self.row_count,
            message: self.message,
            as_user: self.as_user,
            truncated: false,
        }
    }
}

fn fill(rows: String, holes: &[Option<u64>], first_seq: SeqId) -> Vec<u8> {
    if holes.is_empty() {
        return rows.into_bytes();
    }
    let mut filled = String::with_capacity(rows.len() + holes.len() * 18);
    let mut holes = holes.iter();
    for (index, part) in rows.split(char::from(HOLE)).enumerate() {
        if index > 0 {
            match holes.next() {
                Some(Some(offset)) => {
                    write!(filled, "\"{}\"", first_seq.0 + offset)
                        .expect("writing to memory cannot fail");
                }
                _ => filled.push_str("null"),
            }
        }
        filled.push_str(part);
    }
    filled.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_in_order() {
        let rows = "[1,\0],[2,\0],[3,\0]".to_owned();
        let filled = fill(rows, &[Some(0), None, Some(2)], SeqId(40));
        assert_eq!(
            String::from_utf8(filled).unwrap(),
            "[1,\"40\"],[2,null],[3,\"42\"]"
        );
    }
}
