//! A server small enough to be seen through: one table, its history, and subscriptions that read it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use crate::codec::Frame;
use crate::session::ConnectionId;
use crate::testing::{Peer, PeerOutput};
use crate::time::Millis;

/// Which rows a subscription sees; its SQL is the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Every row.
    All,
    /// Rows with an even value.
    Even,
    /// Every row, highest value first.
    Ordered,
    /// The three rows with the highest values.
    Window,
}

impl View {
    pub(super) const ALL: [Self; 4] = [Self::All, Self::Even, Self::Ordered, Self::Window];

    pub(super) fn name(self) -> String {
        format!("{self:?}")
    }

    fn matches(self, value: i64) -> bool {
        self != Self::Even || value % 2 == 0
    }

    fn is_sorted(self) -> bool {
        matches!(self, Self::Ordered | Self::Window)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    value: i64,
    seq: u64,
}

type Table = BTreeMap<i64, Row>;

/// One commit: a row is put, or removed.
#[derive(Clone, Copy, Debug)]
struct Commit {
    seq: u64,
    id: i64,
    value: Option<i64>,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    history: Vec<Commit>,
    connections: BTreeMap<ConnectionId, Connection>,
    batch_size: usize,
}

#[derive(Debug, Default)]
struct Connection {
    subscriptions: BTreeMap<String, Subscription>,
    ready: Vec<PeerOutput>,
}

#[derive(Debug)]
struct Subscription {
    view: View,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The rows of a snapshot that are still to come.
    Loading {
        rest: Vec<(i64, Row)>,
        snapshot: u64,
    },
    /// What changed after `sent`, up to `snapshot`.
    Resuming {
        sent: u64,
        snapshot: u64,
    },
    Live {
        sent: u64,
    },
}

impl Model {
    pub(super) fn new(batch_size: usize) -> Self {
        Self {
            batch_size,
            ..Self::default()
        }
    }

    pub(super) fn commit(&mut self, id: i64, value: Option<i64>) {
        let seq = self.last() + 1;
        if value.is_some() || self.table(seq).contains_key(&id) {
            self.history.push(Commit { seq, id, value });
        }
    }

    fn last(&self) -> u64 {
        self.history.last().map_or(0, |commit| commit.seq)
    }

    fn table(&self, at: u64) -> Table {
        let mut table = Table::new();
        for commit in self.history.iter().take_while(|commit| commit.seq <= at) {
            match commit.value {
                Some(value) => drop(table.insert(
                    commit.id,
                    Row {
                        value,
                        seq: commit.seq,
                    },
                )),
                None => drop(table.remove(&commit.id)),
            }
        }
        table
    }

    /// The rows of a view, in its order.
    fn view(&self, view: View, at: u64) -> Vec<(i64, Row)> {
        let mut rows: Vec<(i64, Row)> = self
            .table(at)
            .into_iter()
            .filter(|(_, row)| view.matches(row.value))
            .collect();
        if view.is_sorted() {
            rows.sort_by_key(|(id, row)| (-row.value, *id));
        }
        if view == View::Window {
            rows.truncate(3);
        }
        rows
    }

    /// What a client should show.
    pub(super) fn expected(&self, view: View) -> Vec<(i64, i64)> {
        let rows = self.view(view, self.last());
        rows.into_iter().map(|(id, row)| (id, row.value)).collect()
    }

    /// Every subscription begins anew, as after ALTER TABLE.
    pub(super) fn resync(&mut self) {
        let last = self.last();
        let mut begun = Vec::new();
        for (connection, peer) in &mut self.connections {
            for (wire, subscription) in &mut peer.subscriptions {
                begun.push((*connection, wire.clone(), subscription.view));
            }
        }
        for (connection, wire, view) in begun {
            let message =
                json!({"type": "resync", "subscription_id": wire, "reason": "schema_changed"});
            self.push(connection, &message);
            self.begin(connection, &wire, view, None, last);
        }
    }

    /// Every live subscription fell behind: each key that changed comes once, in its latest state.
    pub(super) fn overflow(&mut self) {
        let last = self.last();
        let mut frames = Vec::new();
        for (connection, peer) in &self.connections {
            for (wire, subscription) in &peer.subscriptions {
                if let (State::Live { sent }, true) =
                    (&subscription.state, subscription.view != View::Window)
                {
                    for (seq, id, row) in self.changed(subscription.view, *sent, last) {
                        frames.push((*connection, change(wire, seq, id, row)));
                    }
                }
            }
        }
        for (connection, frame) in frames {
            self.push(connection, &frame);
        }
        for peer in self.connections.values_mut() {
            for subscription in peer.subscriptions.values_mut() {
                if let (State::Live { sent }, true) =
                    (&mut subscription.state, subscription.view != View::Window)
                {
                    *sent = last;
                }
            }
        }
    }

    /// Each key that changed after `from`, with its row if the view has one, in seq order.
    fn changed(&self, view: View, from: u64, at: u64) -> Vec<(u64, i64, Option<Row>)> {
        let table = self.table(at);
        let mut latest = BTreeMap::new();
        for commit in &self.history {
            if commit.seq > from && commit.seq <= at {
                latest.insert(commit.id, commit.seq);
            }
        }
        let mut changed: Vec<(u64, i64, Option<Row>)> = latest
            .into_iter()
            .map(|(id, seq)| {
                let row = table.get(&id).copied();
                (seq, id, row.filter(|row| view.matches(row.value)))
            })
            .collect();
        changed.sort_by_key(|(seq, ..)| *seq);
        changed
    }

    fn push(&mut self, connection: ConnectionId, message: &Json) {
        if let Some(peer) = self.connections.get_mut(&connection) {
            let frame = Frame::Text(message.to_string());
            peer.ready.push(PeerOutput::Frame(frame));
        }
    }

    fn begin(
        &mut self,
        connection: ConnectionId,
        wire: &str,
        view: View,
        from: Option<u64>,
        at: u64,
    ) {
        let mut ack = super::ack(wire);
        if view.is_sorted() {
            ack["order_by"] = json!([{"column": "value", "data_type": "BigInt", "descending": true, "nulls_first": false}]);
        }
        if view == View::Window {
            ack["limit"] = json!(3);
        }
        self.push(connection, &ack);
        let state = match from {
            Some(sent) => State::Resuming { sent, snapshot: at },
            None => {
                let mut rest = self.view(view, at);
                if !view.is_sorted() {
                    rest.sort_by_key(|(_, row)| row.seq);
                }
                State::Loading { rest, snapshot: at }
            }
        };
        if let Some(peer) = self.connections.get_mut(&connection) {
            peer.subscriptions
                .insert(wire.to_owned(), Subscription { view, state });
        }
        self.load(connection, wire);
    }

    /// One step of a load.
    fn load(&mut self, connection: ConnectionId, wire: &str) {
        let Some(peer) = self.connections.get_mut(&connection) else {
            return;
        };
        let Some(subscription) = peer.subscriptions.get_mut(wire) else {
            return;
        };
        let view = subscription.view;
        match &mut subscription.state {
            State::Live { .. } => {}
            State::Loading { rest, snapshot } => {
                let count = self.batch_size.min(rest.len());
                let rows: Vec<(i64, Row)> = rest.drain(..count).collect();
                let (has_more, snapshot) = (!rest.is_empty(), *snapshot);
                let last = match (has_more, view.is_sorted()) {
                    (false, _) => Some(snapshot),
                    (true, false) => rows.last().map(|(_, row)| row.seq),
                    (true, true) => None,
                };
                if !has_more {
                    subscription.state = State::Live { sent: snapshot };
                }
                self.push(connection, &batch(wire, &rows, has_more, last));
            }
            State::Resuming { sent, snapshot } => {
                let (from, at) = (*sent, *snapshot);
                let mut changed = self.changed(view, from, at);
                let has_more = changed.len() > self.batch_size;
                changed.truncate(self.batch_size);
                let last = match changed.last() {
                    Some((seq, ..)) if has_more => *seq,
                    _ => at,
                };
                for (seq, id, row) in &changed {
                    if row.is_none() {
                        self.push(connection, &change(wire, *seq, *id, None));
                    }
                }
                let rows: Vec<(i64, Row)> = changed
                    .into_iter()
                    .filter_map(|(_, id, row)| Some((id, row?)))
                    .collect();
                self.push(connection, &batch(wire, &rows, has_more, Some(last)));
                let state = if has_more {
                    State::Resuming {
                        sent: last,
                        snapshot: at,
                    }
                } else {
                    State::Live { sent: at }
                };
                if let Some(subscription) = self
                    .connections
                    .get_mut(&connection)
                    .and_then(|peer| peer.subscriptions.get_mut(wire))
                {
                    subscription.state = state;
                }
            }
        }
    }

    /// The changes that a live subscription has not been sent.
    fn pending(&self, wire: &str, view: View, sent: u64) -> Vec<Json> {
        let mut frames = Vec::new();
        for commit in self.history.iter().filter(|commit| commit.seq > sent) {
            let before = self.view(view, commit.seq - 1);
            let after = self.view(view, commit.seq);
            let ids =
                |rows: &[(i64, Row)]| -> BTreeSet<i64> { rows.iter().map(|(id, _)| *id).collect() };
            for id in ids(&before).difference(&ids(&after)) {
                frames.push(change(wire, commit.seq, *id, None));
            }
            for (id, row) in &after {
                if !before.contains(&(*id, *row)) {
                    frames.push(change(wire, commit.seq, *id, Some(*row)));
                }
            }
        }
        frames
    }
}

impl Peer for Model {
    fn opened(&mut self, connection: ConnectionId, _now: Millis) {
        self.connections.insert(connection, Connection::default());
    }

    fn frame(&mut self, connection: ConnectionId, frame: Frame, _now: Millis) {
        let message: Json = serde_json::from_slice(frame.as_bytes()).expect("clients send JSON");
        let wire = message["subscription_id"].as_str().unwrap_or_default();
        match message["type"].as_str().expect("messages have a type") {
            "authenticate" => self.push(connection, &super::auth_success()),
            "ping" => self.push(connection, &json!({"type": "pong"})),
            "next_batch" => self.load(connection, wire),
            "unsubscribe" => {
                if let Some(peer) = self.connections.get_mut(&connection) {
                    peer.subscriptions.remove(wire);
                }
            }
            "subscribe" => {
                let subscription = &message["subscription"];
                let wire = subscription["id"].as_str().unwrap_or_default();
                let view = View::ALL
                    .into_iter()
                    .find(|view| subscription["sql"] == view.name())
                    .expect("the SQL names a view");
                let from = subscription["options"]["from"].as_u64();
                self.begin(connection, wire, view, from, self.last());
            }
            other => panic!("{other}"),
        }
    }

    fn closed(&mut self, connection: ConnectionId, _now: Millis) {
        self.connections.remove(&connection);
    }

    fn poll(&mut self, connection: ConnectionId, _now: Millis) -> Vec<PeerOutput> {
        let last = self.last();
        let Some(peer) = self.connections.get(&connection) else {
            return Vec::new();
        };
        let mut frames = Vec::new();
        for (wire, subscription) in &peer.subscriptions {
            if let State::Live { sent } = subscription.state {
                frames.extend(self.pending(wire, subscription.view, sent));
            }
        }
        for frame in &frames {
            self.push(connection, frame);
        }
        let Some(peer) = self.connections.get_mut(&connection) else {
            return Vec::new();
        };
        for subscription in peer.subscriptions.values_mut() {
            if let State::Live { sent } = &mut subscription.state {
                *sent = last;
            }
        }
        std::mem::take(&mut peer.ready)
    }
}

fn cells((id, row): &(i64, Row)) -> Json {
    json!({"id": id.to_string(), "value": row.value.to_string(), "_seq": row.seq.to_string()})
}

fn batch(wire: &str, rows: &[(i64, Row)], has_more: bool, last: Option<u64>) -> Json {
    let mut message = super::batch(wire, &[], has_more, last);
    message["rows"] = rows.iter().map(cells).collect();
    message
}

fn change(wire: &str, seq: u64, id: i64, row: Option<Row>) -> Json {
    match row {
        Some(row) => json!({"type": "change", "subscription_id": wire, "change_type": "update",
            "rows": [cells(&(id, row))], "seq": seq}),
        None => json!({"type": "change", "subscription_id": wire, "change_type": "delete",
            "old_values": [{"id": id.to_string(), "_seq": seq.to_string()}], "seq": seq}),
    }
}
