//! Batches of rows on their way to the server: one INSERT each, several at a time, each under an id of its own so that
//! it is written once however often it is sent. A batch that is refused is halved until the rows that are at fault stand
//! alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kalam_link::{Client, Error as LinkError, ErrorCode, Field, Json, SqlRequest, Transport};
use tokio::sync::mpsc;

use super::error::Error;
use super::progress::{Progress, Refused, Written};
use super::source::{Row, Source};
use super::table::{Table, quoted};

/// What the server takes in one statement.
pub const PARAMETERS_MAX: usize = 65_535;
// Leaves room in a request of 10 MB for what JSON adds, and in a command of 16 MB.
const BATCH_BYTES_MAX: usize = 4 << 20;
// Half a minute in all, after which a person should look.
const ATTEMPTS_MAX: u32 = 9;
const DELAY_FIRST: Duration = Duration::from_millis(100);

/// Rows that go into one statement.
pub struct Batch {
    pub number: u64,
    pub rows: Vec<ReadyRow>,
    /// Rows among them that are none.
    pub refused: Vec<Refused>,
    pub last_line: u64,
}

pub struct ReadyRow {
    pub line: u64,
    pub params: Vec<Json>,
    pub input: String,
}

/// Cuts the input into batches until it ends or nobody takes them. The same input is always cut the same way.
pub fn cut(
    source: &mut Source,
    rows_max: usize,
    finished: u64,
    sender: &mpsc::Sender<Batch>,
) -> Result<(), Error> {
    let mut number = 0;
    let mut batch = Vec::new();
    let mut bytes = 0;
    loop {
        let row = source.next()?;
        let ended = row.is_none();
        if let Some(row) = row {
            bytes += row.input.len();
            batch.push(row);
        }
        let full = batch.len() >= rows_max || bytes >= BATCH_BYTES_MAX;
        if batch.is_empty() || !(full || ended) {
            if ended {
                return Ok(());
            }
            continue;
        }
        let rows = std::mem::take(&mut batch);
        bytes = 0;
        if number >= finished && sender.blocking_send(ready(number, rows)).is_err() {
            return Ok(());
        }
        number += 1;
    }
}

fn ready(number: u64, all: Vec<Row>) -> Batch {
    let last_line = all.last().map_or(0, |row| row.line);
    let mut rows = Vec::with_capacity(all.len());
    let mut refused = Vec::new();
    for Row {
        line,
        params,
        input,
    } in all
    {
        match params {
            Ok(params) => rows.push(ReadyRow {
                line,
                params,
                input,
            }),
            Err(reason) => refused.push(Refused {
                line,
                reason,
                input,
            }),
        }
    }
    Batch {
        number,
        rows,
        refused,
        last_line,
    }
}

/// Sends batches.
pub struct Writer {
    pub client: Client,
    pub table: Table,
    pub columns: Vec<Field>,
    pub conflict_clause: String,
    /// Whether the server may have forgotten the request ids of the run that is resumed.
    pub ids_forgotten: bool,
    pub progress: Arc<Mutex<Progress>>,
}

/// A batch, or a part of one that was refused.
struct Piece<'a> {
    id: String,
    rows: &'a [ReadyRow],
}

enum Answer {
    /// How many rows were written.
    Written(u64),
    Refused(String, ErrorCode),
}

impl Writer {
    pub async fn write(&self, batch: Batch) -> Result<(u64, Written), Error> {
        let mut written = Written {
            last_line: batch.last_line,
            refused: batch.refused,
            ..Written::default()
        };
        let mut pieces = vec![Piece {
            id: batch.number.to_string(),
            rows: &batch.rows,
        }];
        while let Some(piece) = pieces.pop() {
            if piece.rows.is_empty() {
                continue;
            }
            let is_halved = self.progress().state.halved.contains(&piece.id);
            if !is_halved {
                match (self.send(&piece).await?, piece.rows) {
                    (Answer::Written(rows), all) => {
                        written.rows += rows;
                        written.skipped += (all.len() as u64).saturating_sub(rows);
                        continue;
                    }
                    (Answer::Refused(reason, code), [row]) => {
                        if self.is_there(row, code).await? {
                            written.skipped += 1;
                        } else {
                            written.refused.push(Refused {
                                line: row.line,
                                reason,
                                input: row.input.clone(),
                            });
                        }
                        continue;
                    }
                    (Answer::Refused(..), _) => self.progress().halve(&piece.id)?,
                }
            }
            let (first, second) = piece.rows.split_at(piece.rows.len() / 2);
            let id = &piece.id;
            // The first half is taken first: of two rows with one key the earlier stays.
            pieces.push(Piece {
                id: format!("{id}.1"),
                rows: second,
            });
            pieces.push(Piece {
                id: format!("{id}.0"),
                rows: first,
            });
        }
        written.refused.sort_by_key(|refused| refused.line);
        Ok((batch.number, written))
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends until there is an answer that says something about the rows.
    async fn send(&self, piece: &Piece<'_>) -> Result<Answer, Error> {
        let rows = piece.rows;
        let import_id = self.progress().state.import_id.clone();
        let request = SqlRequest {
            sql: self
                .table
                .insert(&self.columns, rows.len(), &self.conflict_clause),
            params: Some(
                rows.iter()
                    .flat_map(|row| row.params.iter().cloned())
                    .collect(),
            ),
            namespace_id: None,
            request_id: Some(format!("{import_id}-{}", piece.id)),
        };
        let mut delay = DELAY_FIRST;
        let mut attempt = 1;
        loop {
            let answer = self.client.request(request.clone(), Transport::Http).await;
            let error = match answer {
                Ok(response) => {
                    let rows = response
                        .results
                        .first()
                        .map_or(0, |result| result.row_count);
                    return Ok(Answer::Written(rows));
                }
                Err(error) => error,
            };
            match fate(&error) {
                Fate::Rows(code) => return Ok(Answer::Refused(reason(&error), code)),
                Fate::Again if attempt < ATTEMPTS_MAX => {
                    tokio::time::sleep(delay).await;
                    delay *= 2;
                    attempt += 1;
                }
                Fate::Again | Fate::End => return Err(error.into()),
            }
        }
    }

    /// Whether a row that violates its key was written by the run that is resumed. Only where the server no longer
    /// knows that by the request id.
    async fn is_there(&self, row: &ReadyRow, code: ErrorCode) -> Result<bool, Error> {
        if !self.ids_forgotten || code != ErrorCode::ConstraintViolation {
            return Ok(false);
        }
        let mut params = Vec::new();
        let mut conditions = Vec::new();
        for key in self.table.key() {
            let Some(place) = self.columns.iter().position(|field| field.name == key.name) else {
                return Ok(false);
            };
            params.push(row.params[place].clone());
            conditions.push(format!("{} = ${}", quoted(&key.name), params.len()));
        }
        if params.is_empty() {
            return Ok(false);
        }
        let sql = format!(
            "SELECT 1 FROM {} WHERE {}",
            self.table.name,
            conditions.join(" AND ")
        );
        let answer = self.client.query(sql, &params).await?;
        Ok(answer
            .results
            .first()
            .is_some_and(|result| result.row_count > 0))
    }
}

fn reason(error: &LinkError) -> String {
    match error.code() {
        Some(code) => format!("{code}: {error}"),
        None => error.to_string(),
    }
}

/// What a failed request means for its rows.
enum Fate {
    /// Some of them are at fault.
    Rows(ErrorCode),
    /// None are, and it may pass.
    Again,
    End,
}

fn fate(error: &LinkError) -> Fate {
    match error {
        LinkError::Server { error, .. } => match error.code {
            code @ (ErrorCode::ConstraintViolation
            | ErrorCode::InvalidInput
            | ErrorCode::InvalidParameter
            | ErrorCode::SqlExecutionError
            | ErrorCode::StatementTooLarge
            | ErrorCode::BodyTooLarge) => Fate::Rows(code),
            ErrorCode::Conflict | ErrorCode::RateLimitExceeded | ErrorCode::StatementTimeout => {
                Fate::Again
            }
            code if code.http_status() == 503 => Fate::Again,
            _ => Fate::End,
        },
        LinkError::Unreachable { .. } | LinkError::Timeout { .. } => Fate::Again,
        _ => Fate::End,
    }
}
