//! Reads what a server sent, field by field: what this version does not know is passed over, and rows stay the text that
//! they are.

use std::borrow::Cow;

use super::{Frame, msgpack};
use crate::ids::{SeqId, SubscriptionId, UserId};
use crate::json::{JsonError, JsonErrorKind, Reader};
use crate::json_text::JsonText;
use crate::message::{
    BatchControl, BatchStatus, Change, ChangeReason, ChangeType, Compression, Feature, KeyField,
    LiveErrorCode, OrderBy, Protocol, QueryReply, ResyncReason, Row, Serialization, ServerMessage,
    SubscriptionAck,
};
use crate::value::{DataType, Field, FieldFlag};

/// Why a frame is no message of a server.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("not a message of the protocol: {0}")]
    Unreadable(#[from] JsonError),
    #[error("not a MessagePack message of the protocol: {0}")]
    Msgpack(#[from] msgpack::Error),
    /// What was inflated, or came in a binary frame, is no text.
    #[error("not UTF-8")]
    NotText,
    /// Of a newer server: it can be missed. Any other error means that something was.
    #[error("`{0}` is not a message that this version knows")]
    UnknownKind(String),
}

/// Reads what a server sent. Inflate it first if [`is_gzip`](super::is_gzip); `binary` JSON is what was inflated.
///
/// # Errors
///
/// If it is not a message that this version knows.
pub fn decode_server(
    frame: &Frame,
    serialization: Serialization,
) -> Result<ServerMessage, DecodeError> {
    let text = match (frame, serialization) {
        (Frame::Text(text), _) => Cow::Borrowed(text.as_str()),
        // A text message that was compressed comes in a binary frame.
        (Frame::Binary(bytes), Serialization::Json) => {
            Cow::Borrowed(str::from_utf8(bytes).map_err(|_| DecodeError::NotText)?)
        }
        (Frame::Binary(bytes), Serialization::Msgpack) => Cow::Owned(msgpack::to_json(bytes)?),
    };
    read(&text)
}

/// All fields that messages have. Those of one kind never clash with those of another.
#[derive(Default)]
struct Fields<'a> {
    kind: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    subscription_id: Option<Cow<'a, str>>,
    message: Option<Cow<'a, str>>,
    code: Option<Cow<'a, str>>,
    reason: Option<Cow<'a, str>>,
    user_id: Option<Cow<'a, str>>,
    role: Option<Cow<'a, str>>,
    expires_at: Option<Cow<'a, str>>,
    change_type: Option<Cow<'a, str>>,
    protocol: Option<Protocol>,
    batch_control: Option<BatchControl>,
    rows: Option<Vec<Row>>,
    old_values: Option<Vec<Row>>,
    seq: Option<SeqId>,
    old_seq: Option<SeqId>,
    total_rows: Option<u64>,
    schema: Option<Vec<Field>>,
    key: Vec<KeyField>,
    order_by: Vec<OrderBy>,
    limit: Option<u64>,
    ttl_ms: Option<u64>,
    server_time_ms: Option<u64>,
}

fn read(text: &str) -> Result<ServerMessage, DecodeError> {
    let mut fields = Fields::default();
    let mut reader = Reader::new(text);
    reader.object(&mut |name, value| fields.take(name, value))?;
    reader.end()?;
    let kind = fields.kind.take().ok_or_else(|| missing("type"))?;
    Ok(match &*kind {
        "change" => ServerMessage::Change(fields.change()?),
        "initial_data_batch" => ServerMessage::InitialDataBatch {
            subscription_id: fields.subscription()?,
            rows: fields.rows.ok_or_else(|| missing("rows"))?,
            batch_control: fields
                .batch_control
                .ok_or_else(|| missing("batch_control"))?,
        },
        "subscription_ack" => ServerMessage::SubscriptionAck(fields.acknowledgement()?),
        "query_result" => ServerMessage::QueryResult(QueryReply {
            id: required(fields.id, "id")?,
            text: JsonText::checked(text),
        }),
        "pong" => ServerMessage::Pong,
        "resync" => ServerMessage::Resync {
            subscription_id: fields.subscription()?,
            reason: resync_reason(&required(fields.reason, "reason")?),
        },
        "error" => ServerMessage::Error {
            subscription_id: fields.subscription()?,
            code: LiveErrorCode::of(&required(fields.code, "code")?),
            message: required(fields.message, "message")?,
        },
        "auth_success" => {
            let user = required(fields.user_id, "user_id")?;
            let user = UserId::new(user).ok_or_else(|| missing("user_id"))?;
            ServerMessage::AuthSuccess {
                user_id: user.clone(),
                user,
                role: required(fields.role, "role")?
                    .parse()
                    .map_err(|_| missing("role"))?,
                protocol: fields.protocol.ok_or_else(|| missing("protocol"))?,
            }
        }
        "auth_error" => ServerMessage::AuthError {
            message: required(fields.message, "message")?,
        },
        "auth_expiring" => ServerMessage::AuthExpiring {
            expires_at: required(fields.expires_at, "expires_at")?,
        },
        _ => return Err(DecodeError::UnknownKind(kind.into_owned())),
    })
}

fn missing(expected: &'static str) -> JsonError {
    JsonError {
        expected,
        at: 0,
        kind: JsonErrorKind::Shape,
    }
}

fn required(text: Option<Cow<'_, str>>, name: &'static str) -> Result<String, JsonError> {
    text.map(Cow::into_owned).ok_or_else(|| missing(name))
}

impl<'a> Fields<'a> {
    fn take(&mut self, name: &str, value: &mut Reader<'a>) -> Result<(), JsonError> {
        if value.null() {
            return Ok(());
        }
        match name {
            "type" => self.kind = Some(value.text()?),
            "id" => self.id = Some(value.text()?),
            "subscription_id" => self.subscription_id = Some(value.text()?),
            "message" => self.message = Some(value.text()?),
            "code" => self.code = Some(value.text()?),
            "reason" => self.reason = Some(value.text()?),
            "user_id" => self.user_id = Some(value.text()?),
            "role" => self.role = Some(value.text()?),
            "expires_at" => self.expires_at = Some(value.text()?),
            "change_type" => self.change_type = Some(value.text()?),
            "protocol" => self.protocol = Some(protocol(value)?),
            "batch_control" => self.batch_control = Some(batch_control(value)?),
            "rows" => self.rows = Some(list(value, Row::read)?),
            "old_values" => self.old_values = Some(list(value, Row::read)?),
            "seq" => self.seq = Some(SeqId(value.unsigned()?)),
            "old_seq" => self.old_seq = Some(SeqId(value.unsigned()?)),
            "total_rows" => self.total_rows = Some(value.unsigned()?),
            "schema" => self.schema = Some(list(value, field)?),
            "key" => self.key = list(value, key_field)?,
            "order_by" => self.order_by = list(value, order_by)?,
            "limit" => self.limit = Some(value.unsigned()?),
            "ttl_ms" => self.ttl_ms = Some(value.unsigned()?),
            "server_time_ms" => self.server_time_ms = Some(value.unsigned()?),
            _ => drop(value.raw()?),
        }
        Ok(())
    }

    fn subscription(&mut self) -> Result<SubscriptionId, JsonError> {
        let id = self.subscription_id.take();
        Ok(SubscriptionId::new(
            id.ok_or_else(|| missing("subscription_id"))?,
        ))
    }

    fn change(mut self) -> Result<Change, JsonError> {
        Ok(Change {
            subscription_id: self.subscription()?,
            change_type: match self.change_type.as_deref() {
                Some("insert") => ChangeType::Insert,
                Some("update") => ChangeType::Update,
                Some("delete") => ChangeType::Delete,
                _ => return Err(missing("change_type")),
            },
            rows: self.rows,
            old_values: self.old_values,
            seq: self.seq,
            old_seq: self.old_seq,
            reason: self.reason.as_deref().map(|reason| match reason {
                "left_filter" => ChangeReason::LeftFilter,
                "entered_filter" => ChangeReason::EnteredFilter,
                "left_window" => ChangeReason::LeftWindow,
                "entered_window" => ChangeReason::EnteredWindow,
                _ => ChangeReason::Unknown,
            }),
        })
    }

    fn acknowledgement(mut self) -> Result<SubscriptionAck, JsonError> {
        Ok(SubscriptionAck {
            subscription_id: self.subscription()?,
            total_rows: self.total_rows.ok_or_else(|| missing("total_rows"))?,
            batch_control: self.batch_control.ok_or_else(|| missing("batch_control"))?,
            schema: self.schema.ok_or_else(|| missing("schema"))?,
            key: self.key,
            order_by: self.order_by,
            limit: self.limit,
            ttl_ms: self.ttl_ms,
            server_time_ms: self.server_time_ms,
        })
    }
}

fn list<'a, T>(
    reader: &mut Reader<'a>,
    item: fn(&mut Reader<'a>) -> Result<T, JsonError>,
) -> Result<Vec<T>, JsonError> {
    let mut items = Vec::new();
    reader.array(&mut |reader| {
        items.push(item(reader)?);
        Ok(())
    })?;
    Ok(items)
}

fn resync_reason(text: &str) -> ResyncReason {
    match text {
        "schema_changed" => ResyncReason::SchemaChanged,
        "below_resume_floor" => ResyncReason::BelowResumeFloor,
        "ahead_of_server" => ResyncReason::AheadOfServer,
        "load_interrupted" => ResyncReason::LoadInterrupted,
        "window_reloaded" => ResyncReason::WindowReloaded,
        _ => ResyncReason::Unknown,
    }
}

fn protocol(reader: &mut Reader<'_>) -> Result<Protocol, JsonError> {
    let mut protocol = Protocol::default();
    reader.object(&mut |name, value| {
        match name {
            "serialization" => {
                protocol.serialization = match &*value.text()? {
                    "json" => Serialization::Json,
                    "msgpack" => Serialization::Msgpack,
                    _ => return Err(missing("a serialization that was asked for")),
                }
            }
            "compression" => {
                protocol.compression = match &*value.text()? {
                    "none" => Compression::None,
                    "gzip" => Compression::Gzip,
                    _ => return Err(missing("a compression that was asked for")),
                }
            }
            "features" => protocol.features = list(value, feature)?,
            _ => drop(value.raw()?),
        }
        Ok(())
    })?;
    Ok(protocol)
}

fn feature(reader: &mut Reader<'_>) -> Result<Feature, JsonError> {
    const KNOWN: [Feature; 4] = [
        Feature::Resync,
        Feature::AuthExpiring,
        Feature::Pong,
        Feature::Seq,
    ];
    let name = reader.text()?;
    let known = KNOWN.into_iter().find(|feature| feature.as_str() == name);
    Ok(known.unwrap_or(Feature::Unknown))
}

fn batch_control(reader: &mut Reader<'_>) -> Result<BatchControl, JsonError> {
    let mut control = BatchControl::new(0, false, None);
    let mut has_status = false;
    reader.object(&mut |name, value| {
        match name {
            "batch_num" => {
                let number = value.unsigned()?;
                control.batch_num = u32::try_from(number).map_err(|_| missing("batch_num"))?;
            }
            "has_more" => control.has_more = value.boolean()?,
            "status" => {
                has_status = true;
                control.status = match &*value.text()? {
                    "loading" => BatchStatus::Loading,
                    "loading_batch" => BatchStatus::LoadingBatch,
                    "ready" => BatchStatus::Ready,
                    _ => return Err(missing("a status of a batch")),
                }
            }
            "last_seq_id" if !value.null() => control.last_seq_id = Some(SeqId(value.unsigned()?)),
            "last_seq_id" => {}
            _ => drop(value.raw()?),
        }
        Ok(())
    })?;
    if has_status {
        Ok(control)
    } else {
        Err(missing("status"))
    }
}

fn field(reader: &mut Reader<'_>) -> Result<Field, JsonError> {
    let (mut found_name, mut found_type) = (None, None);
    let (mut index, mut flags) = (None, Vec::new());
    reader.object(&mut |name, value| {
        match name {
            "name" => found_name = Some(value.text()?.into_owned()),
            "data_type" => found_type = Some(data_type(value)?),
            "index" => index = Some(value.unsigned()?),
            "flags" => flags = list(value, flag)?.into_iter().flatten().collect(),
            _ => drop(value.raw()?),
        }
        Ok(())
    })?;
    let index = index.and_then(|index| usize::try_from(index).ok());
    Ok(Field {
        name: found_name.ok_or_else(|| missing("name"))?,
        data_type: found_type.ok_or_else(|| missing("data_type"))?,
        index: index.ok_or_else(|| missing("index"))?,
        flags,
    })
}

/// None for one that a newer server knows.
fn flag(reader: &mut Reader<'_>) -> Result<Option<FieldFlag>, JsonError> {
    Ok(match &*reader.text()? {
        "pk" => Some(FieldFlag::PrimaryKey),
        "nn" => Some(FieldFlag::NotNull),
        "uq" => Some(FieldFlag::Unique),
        _ => None,
    })
}

fn key_field(reader: &mut Reader<'_>) -> Result<KeyField, JsonError> {
    let term = order_by(reader)?;
    Ok(KeyField {
        name: term.column,
        data_type: term.data_type,
    })
}

/// A term of ORDER BY, whose column is called `column`, or a column of the key, where it is called `name`.
fn order_by(reader: &mut Reader<'_>) -> Result<OrderBy, JsonError> {
    let (mut column, mut found_type) = (None, None);
    let (mut descending, mut nulls_first) = (false, false);
    reader.object(&mut |name, value| {
        match name {
            "column" | "name" => column = Some(value.text()?.into_owned()),
            "data_type" => found_type = Some(data_type(value)?),
            "descending" => descending = value.boolean()?,
            "nulls_first" => nulls_first = value.boolean()?,
            _ => drop(value.raw()?),
        }
        Ok(())
    })?;
    Ok(OrderBy {
        column: column.ok_or_else(|| missing("column"))?,
        data_type: found_type.ok_or_else(|| missing("data_type"))?,
        descending,
        nulls_first,
    })
}

/// `"BigInt"`, `{"Decimal":{"precision":10,"scale":2}}`, `{"Embedding":3}`.
fn data_type(reader: &mut Reader<'_>) -> Result<DataType, JsonError> {
    let mut found = None;
    if reader.is_text() {
        let name = reader.text()?;
        let mut plain = DataType::PLAIN.into_iter();
        found = plain.find(|data_type| data_type.wire_name() == name);
    } else {
        reader.object(&mut |name, value| {
            found = match name {
                "Decimal" => Some(decimal_type(value)?),
                "Embedding" => u32::try_from(value.unsigned()?)
                    .ok()
                    .map(DataType::Embedding),
                _ => return Err(missing("a data type")),
            };
            Ok(())
        })?;
    }
    found.ok_or_else(|| missing("a data type"))
}

fn decimal_type(reader: &mut Reader<'_>) -> Result<DataType, JsonError> {
    let (mut precision, mut scale) = (None, None);
    reader.object(&mut |name, value| {
        let number = u8::try_from(value.unsigned()?).map_err(|_| missing("a small number"))?;
        match name {
            "precision" => precision = Some(number),
            "scale" => scale = Some(number),
            _ => {}
        }
        Ok(())
    })?;
    match (precision, scale) {
        (Some(precision), Some(scale)) => Ok(DataType::Decimal { precision, scale }),
        _ => Err(missing("precision and scale")),
    }
}
