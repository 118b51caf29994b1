//! What a connection has read from storage: the beginning of a subscription, the next rows of a load, and what a
//! subscription missed. A job blocks; it runs beside the connection and makes the frames that the connection sends.

use std::sync::Arc;

use kalam_link_core::codec::{ChangeBody, ChangeParts, Frame, batch_frame};
use kalam_link_core::message::{
    BatchControl, ChangeType, Feature, KeyField, LiveErrorCode, OrderBy, Protocol, ResyncReason,
    ServerMessage, SubscribeOptions, SubscriptionAck,
};
use kalam_link_core::{DataType, ErrorCode, Field, Role, SubscriptionId};
use kalam_model::{Caller, GroupId, Namespace, SeqId, TableId, Timestamp};
use kalam_sql::{LiveQuery, SelectedColumn, Subscription};
use kalam_store::{Slice, meta};

use super::Live;
use super::feed::{Feed, FeedKey, Shape, Subscriber};
use super::hub::Membership;
use super::load::{Gone, Interleaving, Load, LoadError, Step, seq_of};
use super::queue::{ConnQueue, Slot};
use super::window::{Placed, Shift, Window, check_limit};
use crate::catalog::Table;

/// Rows of a batch that a client may ask for.
const BATCH_ROWS_MAX: u32 = 10_000;

/// What a job knows of its connection.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) connection: u64,
    pub(crate) queue: Arc<ConnQueue>,
    pub(crate) protocol: Protocol,
    /// Whether the client asked for a protocol at all.
    pub(crate) negotiated: bool,
    pub(crate) caller: Caller,
    pub(crate) batch_rows: u32,
}

/// The subscription as the client asked for it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) id: SubscriptionId,
    pub(crate) sql: Box<str>,
    pub(crate) params: Vec<serde_json::Value>,
    pub(crate) options: Option<SubscribeOptions>,
}

pub(crate) enum Work {
    /// `resync` if the client had rows of it before.
    Begin {
        request: Box<Request>,
        resync: Option<ResyncReason>,
    },
    /// The next batch that the client asked for.
    Batch {
        subscriber: Arc<Subscriber>,
        feed: Arc<Feed>,
        load: Box<Load>,
        batch_num: u32,
    },
    /// A batch after the snapshot was given back.
    Resume {
        subscriber: Arc<Subscriber>,
        feed: Arc<Feed>,
        rows_after: SeqId,
        deletes_after: SeqId,
        batch_num: u32,
    },
    /// What was left out, sent as changes.
    CatchUp {
        subscriber: Arc<Subscriber>,
        feed: Arc<Feed>,
        load: CatchUp,
    },
    /// The window, read again.
    Refresh {
        subscriber: Arc<Subscriber>,
        feed: Arc<Feed>,
        shown: Vec<Placed>,
    },
}

pub(crate) enum CatchUp {
    After(SeqId),
    Rest(Box<Load>),
}

/// Reads from storage. [`run`](Self::run) it on a thread that may block and give the result to its connection.
pub struct LoadJob {
    pub(crate) live: Arc<Live>,
    pub(crate) client: Client,
    pub(crate) slot: Slot,
    pub(crate) work: Work,
    pub(crate) now: Timestamp,
}

/// What a job found.
pub struct Loaded {
    pub(crate) slot: Slot,
    pub(crate) outcome: Outcome,
}

pub(crate) enum Outcome {
    Refused {
        code: LiveErrorCode,
        message: String,
    },
    Begun {
        membership: Membership,
        frames: Vec<Frame>,
        next: Next,
    },
    Went {
        frames: Vec<Frame>,
        next: Next,
    },
}

/// How the subscription goes on.
pub(crate) enum Next {
    /// The client asks for the next batch.
    Wait { load: Box<Load>, batch_num: u32 },
    /// There is more to catch up.
    Again(Box<Load>),
    /// What was missed cannot be told any more.
    Anew(ResyncReason),
    /// Changes after this.
    Live(SeqId),
    /// Changes after this, through a window.
    Window(Box<Window>, SeqId),
}

/// Why a subscription does not begin.
struct Refusal {
    code: LiveErrorCode,
    message: String,
}

impl Refusal {
    fn new(code: LiveErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<LoadError> for Refusal {
    fn from(error: LoadError) -> Self {
        if let LoadError::Engine(cause) = &error
            && matches!(
                cause.code(),
                ErrorCode::InternalError | ErrorCode::DataCorrupt
            )
        {
            tracing::error!(error = %cause, "rows of a subscription could not be read");
            return Self::new(LiveErrorCode::SubscriptionFailed, "internal error");
        }
        Self::new(LiveErrorCode::SubscriptionFailed, error.to_string())
    }
}

impl From<kalam_store::Error> for Refusal {
    fn from(error: kalam_store::Error) -> Self {
        LoadError::from(error).into()
    }
}

impl From<kalam_sql::Error> for Refusal {
    fn from(error: kalam_sql::Error) -> Self {
        let code = match error.code() {
            ErrorCode::Unsupported => LiveErrorCode::Unsupported,
            _ => LiveErrorCode::InvalidSql,
        };
        Self::new(code, error.to_string())
    }
}

impl LoadJob {
    /// Blocks.
    #[must_use]
    pub fn run(self) -> Loaded {
        let slot = self.slot;
        let outcome = self.work().unwrap_or_else(|refusal| Outcome::Refused {
            code: refusal.code,
            message: refusal.message,
        });
        Loaded { slot, outcome }
    }

    fn work(self) -> Result<Outcome, Refusal> {
        let Self {
            live,
            client,
            slot,
            work,
            now,
        } = self;
        let context = Context {
            live: &live,
            client: &client,
            now,
        };
        let (frames, next) = match work {
            Work::Begin { request, resync } => return context.begin(slot, *request, resync),
            Work::Batch {
                subscriber,
                feed,
                load,
                batch_num,
            } => context.batch(&subscriber, &feed, load, batch_num)?,
            Work::Resume {
                subscriber,
                feed,
                rows_after,
                deletes_after,
                batch_num,
            } => {
                let snapshot = live.store.snapshot();
                if let Some(reason) = cannot_resume(&feed, &snapshot, deletes_after)? {
                    let (frames, next) = (Vec::new(), Next::Anew(reason));
                    return Ok(Outcome::Went { frames, next });
                }
                let load = Load::since(snapshot, rows_after, deletes_after)?;
                context.batch(&subscriber, &feed, Box::new(load), batch_num)?
            }
            Work::CatchUp {
                subscriber,
                feed,
                load,
            } => context.catch_up(&subscriber, &feed, load)?,
            Work::Refresh {
                subscriber,
                feed,
                shown,
            } => context.refresh(&subscriber, &feed, &shown)?,
        };
        Ok(Outcome::Went { frames, next })
    }
}

struct Context<'a> {
    live: &'a Arc<Live>,
    client: &'a Client,
    now: Timestamp,
}

type Progress = (Vec<Frame>, Next);

impl Context<'_> {
    fn begin(
        &self,
        slot: Slot,
        request: Request,
        resync: Option<ResyncReason>,
    ) -> Result<Outcome, Refusal> {
        let parsed = kalam_sql::parse_subscription(&request.sql)?;
        let table = self.table(&parsed)?;
        let scope = self
            .client
            .caller
            .may_read(&table.def)
            .map_err(|_| not_found(&parsed))?;
        let query = parsed.bind(&table.def, &request.params, &self.client.caller.user)?;
        check_limit(&query)?;
        let options = self.options(&request, &parsed);
        let key = FeedKey {
            table: table.def.number,
            schema_version: table.def.schema_version,
            text: self.feed_text(&request),
            scope,
        };
        let subscriber = Arc::new(Subscriber::new(
            (self.client.connection, Arc::clone(&self.client.queue)),
            slot,
            request.id.clone(),
            self.client.caller.user.clone(),
            options,
            self.now,
        ));
        let membership = Membership::join(&self.live.hub, &key, subscriber, |index| Feed {
            slice: Slice::new(table.def.number, &key.scope),
            shape: index.shape(&table, &query.carried),
            key: key.clone(),
            sql: request.sql,
            params: request.params,
            subscribers: Default::default(),
            table,
            query,
        });
        let (frames, next) = self.first(&membership, options, resync)?;
        Ok(Outcome::Begun {
            membership,
            frames,
            next,
        })
    }

    fn table(&self, parsed: &Subscription) -> Result<Arc<Table>, Refusal> {
        let is_system = parsed.table.namespace.as_deref() == Some("system");
        if is_system && matches!(self.client.caller.role, Role::Dba | Role::System) {
            return Err(Refusal::new(
                LiveErrorCode::Unsupported,
                "live queries of system tables are not supported: read them with SELECT",
            ));
        }
        let id = table_id(parsed).ok_or_else(|| not_found(parsed))?;
        let catalog = self.live.catalog();
        catalog
            .table(&id)
            .map(Arc::clone)
            .ok_or_else(|| not_found(parsed))
    }

    /// Options in the message win over those in the SQL, field by field.
    fn options(&self, request: &Request, parsed: &Subscription) -> SubscribeOptions {
        let written = parsed.options;
        let mut options = match request.options {
            Some(sent) => SubscribeOptions {
                batch_size: sent.batch_size.or(written.batch_size),
                last_rows: sent.last_rows.or(written.last_rows),
                from: sent.from.or(written.from),
            },
            None => written,
        };
        let asked = request.options.is_some() || written != SubscribeOptions::default();
        // The second generation, which sends no options unless it wants rows.
        if !asked && self.client.negotiated && self.client.protocol.features.is_empty() {
            options.last_rows = Some(0);
        }
        options
    }

    /// Two subscriptions share a feed if their text says the same to both. A query that may name the caller is not
    /// shared between users; in a slice of one user it always may.
    fn feed_text(&self, request: &Request) -> Arc<str> {
        let mut text = String::from(&*request.sql);
        for param in &request.params {
            text.push('\0');
            text.push_str(&param.to_string());
        }
        if request.sql.to_ascii_lowercase().contains("current_user") {
            text.push('\0');
            text.push_str(self.client.caller.user.as_str());
        }
        text.into()
    }

    /// Acknowledgement and first rows.
    fn first(
        &self,
        membership: &Membership,
        options: SubscribeOptions,
        resync: Option<ResyncReason>,
    ) -> Result<Progress, Refusal> {
        let (feed, subscriber) = (&membership.feed, &membership.subscriber);
        let snapshot = self.live.store.snapshot();
        let mut frames = Vec::new();
        let mut from = options.from;
        let mut reason = resync;
        if let Some(seq) = from
            && reason.is_none()
        {
            reason = cannot_resume(feed, &snapshot, seq)?;
        }
        if let Some(reason) = reason {
            from = None;
            if !self.client.protocol.has(Feature::Resync) {
                return Err(Refusal::new(
                    LiveErrorCode::SubscriptionFailed,
                    resync_message(reason),
                ));
            }
            let resync = ServerMessage::Resync {
                subscription_id: subscriber.id.clone(),
                reason,
            };
            frames.push(self.encode(&resync));
        }
        if from.is_none() && options.last_rows == Some(0) {
            let mut load = Load::all(snapshot)?;
            let seq = load.snapshot_seq;
            frames.push(self.ack(feed, subscriber, BatchControl::new(0, false, Some(seq))));
            if !feed.is_window() {
                return Ok((frames, Next::Live(seq)));
            }
            load.window(feed, self.now)?;
            return Ok((frames, live_after(load)));
        }
        let mut load = match from {
            Some(seq) => Load::since(snapshot, seq, seq)?,
            None => Load::all(snapshot)?,
        };
        if from.is_none() {
            if let Some(count) = options.last_rows {
                load.keep_last(feed, count, self.now)?;
            }
            if feed.is_window() {
                load.window(feed, self.now)?;
            } else if !feed.query.order_by.is_empty() {
                load.order(feed, self.now)?;
            }
        }
        frames.push(self.ack(feed, subscriber, BatchControl::new(0, true, None)));
        let (batch, next) = self.batch(subscriber, feed, Box::new(load), 0)?;
        frames.extend(batch);
        Ok((frames, next))
    }

    fn batch(
        &self,
        subscriber: &Subscriber,
        feed: &Feed,
        mut load: Box<Load>,
        batch_num: u32,
    ) -> Result<Progress, Refusal> {
        let rows_max = subscriber
            .options
            .batch_size
            .unwrap_or(self.client.batch_rows)
            .clamp(1, BATCH_ROWS_MAX);
        let step = load.step(feed, rows_max as usize, self.interleaving(), self.now)?;
        let mut frames = Vec::with_capacity(step.gone.len() + 1);
        for gone in &step.gone {
            frames.push(self.gone(feed, subscriber, gone));
        }
        let control = BatchControl::new(batch_num, step.more, step.last);
        frames.push(self.rows(feed, subscriber, &step, &control));
        if let Some(last) = step.last {
            subscriber.sent(last);
        }
        let next = if step.more {
            Next::Wait {
                load,
                batch_num: batch_num + 1,
            }
        } else {
            live_after(*load)
        };
        Ok((frames, next))
    }

    /// Changed rows are sent as inserts, which the receiver puts in the place of what it has.
    fn catch_up(
        &self,
        subscriber: &Subscriber,
        feed: &Feed,
        load: CatchUp,
    ) -> Result<Progress, Refusal> {
        let mut load = match load {
            CatchUp::Rest(load) => load,
            CatchUp::After(seq) => {
                let snapshot = self.live.store.snapshot();
                if let Some(reason) = cannot_resume(feed, &snapshot, seq)? {
                    return Ok((Vec::new(), Next::Anew(reason)));
                }
                Box::new(Load::since(snapshot, seq, seq)?)
            }
        };
        let rows_max = self.client.batch_rows as usize;
        let step = load.step(feed, rows_max, Interleaving::Strict, self.now)?;
        let mut frames = Vec::with_capacity(step.gone.len() + step.rows.len());
        for gone in &step.gone {
            frames.push(self.gone(feed, subscriber, gone));
        }
        for (seq, row) in &step.rows {
            let mut new = Vec::new();
            feed.shape
                .append_row(self.client.protocol.serialization, row, *seq, &mut new);
            let parts = ChangeParts {
                change_type: ChangeType::Insert,
                new: Some(&new),
                old: None,
                seq: *seq,
                old_seq: None,
                reason: None,
            };
            frames.push(self.change(subscriber, &parts));
        }
        if let Some(last) = step.last {
            subscriber.sent(last);
        }
        let next = if step.more {
            Next::Again(load)
        } else {
            Next::Live(load.snapshot_seq)
        };
        Ok((frames, next))
    }

    fn refresh(
        &self,
        subscriber: &Subscriber,
        feed: &Feed,
        shown: &[Placed],
    ) -> Result<Progress, Refusal> {
        let load = Load::all(self.live.store.snapshot())?;
        let seq = load.snapshot_seq;
        let window = Window::load(&load, feed, self.now)?;
        let shifts = Window::difference(feed, shown, window.visible());
        let encoder = ShiftEncoder {
            feed,
            id: &subscriber.id,
            protocol: &self.client.protocol,
        };
        let frames = shifts
            .iter()
            .map(|shift| encoder.frame(shift, seq))
            .collect();
        Ok((frames, Next::Window(Box::new(window), seq)))
    }

    fn interleaving(&self) -> Interleaving {
        if self.client.protocol.has(Feature::Seq) {
            Interleaving::Grouped
        } else {
            Interleaving::Strict
        }
    }

    fn encode(&self, message: &ServerMessage) -> Frame {
        Frame::encode(message, self.client.protocol.serialization)
    }

    fn ack(&self, feed: &Feed, subscriber: &Subscriber, control: BatchControl) -> Frame {
        let ack = acknowledgement(feed, subscriber.id.clone(), control, self.now);
        self.encode(&ServerMessage::SubscriptionAck(ack))
    }

    fn rows(
        &self,
        feed: &Feed,
        subscriber: &Subscriber,
        step: &Step,
        control: &BatchControl,
    ) -> Frame {
        let serialization = self.client.protocol.serialization;
        let mut rows = Vec::new();
        for (index, (seq, row)) in step.rows.iter().enumerate() {
            if index > 0 && serialization == kalam_link_core::message::Serialization::Json {
                rows.push(b',');
            }
            feed.shape.append_row(serialization, row, *seq, &mut rows);
        }
        let bytes = batch_frame(
            serialization,
            &subscriber.id,
            &rows,
            step.rows.len(),
            control,
        );
        Frame::from_bytes(bytes, serialization)
    }

    fn gone(&self, feed: &Feed, subscriber: &Subscriber, gone: &Gone) -> Frame {
        let mut old = Vec::new();
        let serialization = self.client.protocol.serialization;
        feed.shape
            .append_key(serialization, &gone.key, gone.seq, &mut old);
        let parts = ChangeParts {
            change_type: ChangeType::Delete,
            new: None,
            old: Some(&old),
            seq: gone.seq,
            old_seq: gone.old_seq,
            reason: None,
        };
        self.change(subscriber, &parts)
    }

    fn change(&self, subscriber: &Subscriber, parts: &ChangeParts<'_>) -> Frame {
        let serialization = self.client.protocol.serialization;
        let with_seq = self.client.protocol.has(Feature::Seq);
        let body = ChangeBody::new(serialization, parts);
        Frame::from_bytes(body.frame(&subscriber.id, with_seq), serialization)
    }
}

fn live_after(load: Load) -> Next {
    match load.window {
        Some(window) => Next::Window(Box::new(window), load.snapshot_seq),
        None => Next::Live(load.snapshot_seq),
    }
}

fn table_id(parsed: &Subscription) -> Option<TableId> {
    let namespace = match &parsed.table.namespace {
        Some(name) => Namespace::new(name).ok()?,
        None => Namespace::default_namespace(),
    };
    TableId::new(namespace, &parsed.table.name).ok()
}

/// The same words for a table that is missing and one that the caller may not see.
fn not_found(parsed: &Subscription) -> Refusal {
    let namespace = parsed.table.namespace.as_deref();
    let namespace =
        namespace.map_or_else(|| Namespace::default_namespace().to_string(), str::to_owned);
    Refusal::new(
        LiveErrorCode::NotFound,
        format!("table not found: `{namespace}.{}`", parsed.table.name),
    )
}

/// Why nobody can say what has changed since `from`, if so (I6).
fn cannot_resume(
    feed: &Feed,
    snapshot: &kalam_store::Snapshot,
    from: SeqId,
) -> Result<Option<ResyncReason>, Refusal> {
    if feed.is_window() {
        return Ok(Some(ResyncReason::WindowReloaded));
    }
    let group = meta::RESUME_FLOOR
        .get(snapshot, &GroupId::LOCAL)?
        .unwrap_or_default();
    let table = meta::TABLE_FLOORS
        .get(snapshot, &feed.key.table)?
        .unwrap_or_default();
    Ok(if from > seq_of(snapshot)? {
        Some(ResyncReason::AheadOfServer)
    } else if from < table.schema {
        Some(ResyncReason::SchemaChanged)
    } else if from < group || from < table.tombstones {
        Some(ResyncReason::BelowResumeFloor)
    } else {
        None
    })
}

/// What a client that does not know `resync` is told.
pub(crate) const fn resync_message(reason: ResyncReason) -> &'static str {
    match reason {
        ResyncReason::SchemaChanged => "the table was altered: subscribe again",
        ResyncReason::BelowResumeFloor => {
            "the resume point is older than what is kept of deleted rows: subscribe again"
        }
        ResyncReason::AheadOfServer => {
            "the resume point is not one of this server: subscribe again"
        }
        ResyncReason::LoadInterrupted => "the load waited too long: subscribe again",
        ResyncReason::WindowReloaded => "a query with LIMIT cannot be resumed: subscribe again",
        ResyncReason::Unknown => "subscribe again",
    }
}

fn acknowledgement(
    feed: &Feed,
    subscription_id: SubscriptionId,
    batch_control: BatchControl,
    now: Timestamp,
) -> SubscriptionAck {
    let def = &feed.table.def;
    let name_of = |column: &SelectedColumn| match column {
        SelectedColumn::Column(index) => {
            let column = &def.columns[*index];
            (column.name.clone(), column.data_type)
        }
        SelectedColumn::Seq => ("_seq".to_owned(), DataType::BigInt),
    };
    SubscriptionAck {
        subscription_id,
        total_rows: 0,
        batch_control,
        schema: schema(&feed.query, def),
        key: def
            .key_indexes()
            .map(|index| KeyField {
                name: def.columns[index].name.clone(),
                data_type: def.columns[index].data_type,
            })
            .collect(),
        order_by: feed
            .query
            .order_by
            .iter()
            .map(|term| {
                let (column, data_type) = name_of(&term.column);
                OrderBy {
                    column,
                    data_type,
                    descending: term.descending,
                    nulls_first: term.nulls_first,
                }
            })
            .collect(),
        limit: feed.query.limit,
        ttl_ms: feed.ttl_seconds().map(|seconds| u64::from(seconds) * 1_000),
        server_time_ms: Some(now.unix_ms()),
    }
}

fn schema(query: &LiveQuery, def: &kalam_model::TableDef) -> Vec<Field> {
    use kalam_link_core::value::FieldFlag;
    query
        .selected
        .iter()
        .enumerate()
        .map(|(index, column)| match column {
            SelectedColumn::Seq => Field {
                name: "_seq".to_owned(),
                data_type: DataType::BigInt,
                index,
                flags: vec![FieldFlag::NotNull],
            },
            SelectedColumn::Column(at) => {
                let column = &def.columns[*at];
                let mut flags = Vec::new();
                if def.is_key(column.id) {
                    flags.push(FieldFlag::PrimaryKey);
                }
                if !column.nullable {
                    flags.push(FieldFlag::NotNull);
                }
                Field {
                    name: column.name.clone(),
                    data_type: column.data_type,
                    index,
                    flags,
                }
            }
        })
        .collect()
}

/// Writes what happens to a window.
pub(crate) struct ShiftEncoder<'a> {
    pub(crate) feed: &'a Feed,
    pub(crate) id: &'a SubscriptionId,
    pub(crate) protocol: &'a Protocol,
}

impl ShiftEncoder<'_> {
    /// `seq` is that of the change behind it, or of the snapshot that it was found in.
    pub(crate) fn frame(&self, shift: &Shift, seq: SeqId) -> Frame {
        let serialization = self.protocol.serialization;
        let shape: &Shape = &self.feed.shape;
        let row = |(seq, row): &Placed| {
            let mut out = Vec::new();
            shape.append_row(serialization, row, *seq, &mut out);
            out
        };
        let (change_type, new, old, old_seq, reason) = match shift {
            Shift::Insert { row: new, reason } => {
                (ChangeType::Insert, Some(row(new)), None, None, *reason)
            }
            Shift::Update { old, new } => (
                ChangeType::Update,
                Some(row(new)),
                Some(row(old)),
                None,
                None,
            ),
            Shift::Delete { row: old, reason } => {
                let mut out = Vec::new();
                shape.append_row(serialization, &old.1, seq, &mut out);
                (ChangeType::Delete, None, Some(out), Some(old.0), *reason)
            }
        };
        let parts = ChangeParts {
            change_type,
            new: new.as_deref(),
            old: old.as_deref(),
            seq,
            old_seq,
            reason,
        };
        let body = ChangeBody::new(serialization, &parts);
        let bytes = body.frame(self.id, self.protocol.has(Feature::Seq));
        Frame::from_bytes(bytes, serialization)
    }
}
