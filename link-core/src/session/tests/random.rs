//! A session against a model of the server on a bad network, from many seeds.

use std::collections::BTreeMap;

use super::model::{Model, View};
use super::*;
use crate::live_rows::{LiveRows, LiveStatus};
use crate::random::Random;
use crate::testing::{Faults, Wire};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const SEEDS: u64 = 300;
const STEPS: u64 = 120;

/// Rows that the application keeps from events, and what it checks on the way.
#[derive(Default)]
struct Copy {
    rows: LiveRows,
    /// Of the connection in use.
    last_seq: Option<u64>,
    is_live: bool,
}

impl Copy {
    fn apply(&mut self, view: View, event: SubscriptionEvent, now: Millis) {
        match &event {
            SubscriptionEvent::Acknowledged { .. } | SubscriptionEvent::Offline => {
                (self.last_seq, self.is_live) = (None, false);
            }
            SubscriptionEvent::Live => self.is_live = true,
            SubscriptionEvent::Change(change) if self.is_live && view != View::Window => {
                let seq = change.seq.map(|seq| seq.0);
                assert!(seq > self.last_seq, "changes come in order, once");
                self.last_seq = seq;
            }
            _ => {}
        }
        self.rows.apply(event, now);
    }
}

fn shown(rows: &LiveRows) -> Vec<(i64, i64)> {
    let number = |row: &Row, column| cell(row, column).parse().unwrap();
    rows.rows()
        .map(|(_, row)| (number(row, "id"), number(row, "value")))
        .collect()
}

/// A reader that follows `changes_since` has what a reader of everything has.
fn follow(copy: &mut BTreeMap<Vec<u8>, (i64, i64)>, seen: &mut u64, rows: &LiveRows) {
    use crate::live_rows::RowChange;
    let number = |row: &Row, column| cell(row, column).parse().unwrap();
    if let Some(changes) = rows.changes_since(*seen) {
        for change in changes {
            match change {
                RowChange::Put { position, row } => {
                    let cells = (number(row, "id"), number(row, "value"));
                    copy.insert(position.as_bytes().to_vec(), cells);
                }
                RowChange::Removed { position } => {
                    assert!(copy.remove(position.as_bytes()).is_some());
                }
            }
        }
    } else {
        *copy = rows
            .rows()
            .zip(shown(rows))
            .map(|((position, _), cells)| (position.as_bytes().to_vec(), cells))
            .collect();
    }
    *seen = rows.version();
    assert!(copy.values().copied().eq(shown(rows)));
}

fn kept(view: View) -> SubscriptionId {
    SubscriptionId::new(format!("{} kept", view.name()))
}

fn run(seed: u64) {
    let mut random = Random::new(seed);
    let mut options = SessionOptions::new("ws://server/v1/ws");
    options.backoff.delay_max_ms = 2_000;
    let model = Model::new(1 + random.up_to(3) as usize);
    let mut wire = Wire::new(Session::new(options, seed), model, seed);
    wire.faults = Faults::many();
    wire.input(Input::Connect);
    let mut copies: BTreeMap<SubscriptionId, (View, Copy)> = BTreeMap::new();
    for view in View::ALL {
        let id = SubscriptionId::new(view.name());
        copies.insert(id.clone(), (view, Copy::default()));
        wire.input(Input::Subscribe(Subscribe::new(id.as_str(), view.name())));
        wire.input(Input::Subscribe(Subscribe {
            delivery: Delivery::Rows,
            ..Subscribe::new(kept(view).as_str(), view.name())
        }));
    }
    let mut follower = (BTreeMap::new(), 0);
    for _ in 0..STEPS {
        disturb(&mut wire, &mut random, &mut copies);
        wire.poll_peer();
        wire.advance_ms(random.up_to(60));
        take_events(&mut wire, &mut copies);
        let rows = wire.session.rows(&kept(View::Ordered)).unwrap();
        follow(&mut follower.0, &mut follower.1, rows);
    }
    for id in copies.keys().chain(&View::ALL.map(kept)) {
        wire.input(Input::Resume { id: id.clone() });
    }
    assert!(wire.settle(600_000), "seed {seed}: it connects");
    take_events(&mut wire, &mut copies);
    for (view, copy) in copies.values() {
        let expected = wire.peer.expected(*view);
        assert_eq!(copy.rows.status(), LiveStatus::Live, "seed {seed} {view:?}");
        assert_eq!(shown(&copy.rows), expected, "seed {seed} {view:?}");
        let kept = wire.session.rows(&kept(*view)).unwrap();
        assert_eq!(kept.status(), LiveStatus::Live, "seed {seed} {view:?}");
        assert_eq!(shown(kept), expected, "seed {seed} {view:?}, kept");
    }
}

/// Something that a server, a network or an application does.
fn disturb(
    wire: &mut Wire<Model>,
    random: &mut Random,
    copies: &mut BTreeMap<SubscriptionId, (View, Copy)>,
) {
    match random.up_to(39) {
        0 => wire.peer.resync(),
        1 => wire.cut(),
        2 => {
            wire.peer.overflow();
        }
        3 => wire.input(Input::Connect),
        4 => wire.input(Input::Network(NetworkHint::Offline)),
        5 => {
            let view = View::ALL[random.up_to(3) as usize];
            let id = SubscriptionId::new(view.name());
            wire.input(Input::Pause { id: id.clone() });
            wire.advance_ms(random.up_to(500));
            wire.input(Input::Resume { id });
        }
        6 => {
            // The same id again, while frames of the old one may be on their way.
            take_events(wire, copies);
            let view = View::ALL[random.up_to(3) as usize];
            let id = SubscriptionId::new(view.name());
            wire.input(Input::Unsubscribe { id: id.clone() });
            copies.insert(id.clone(), (view, Copy::default()));
            wire.input(Input::Subscribe(Subscribe::new(id.as_str(), view.name())));
        }
        7 => {
            wire.input(Input::Disconnect);
            wire.input(Input::Connect);
        }
        _ => {
            for _ in 0..random.up_to(3) {
                let id = random.up_to(11) as i64;
                let value = (random.up_to(3) > 0).then(|| random.up_to(20) as i64);
                wire.peer.commit(id, value);
            }
        }
    }
}

fn take_events(wire: &mut Wire<Model>, copies: &mut BTreeMap<SubscriptionId, (View, Copy)>) {
    let now = wire.now();
    for event in wire.take_events() {
        match event {
            SessionEvent::Subscription { id, event } => {
                if let Some((view, copy)) = copies.get_mut(&id) {
                    copy.apply(*view, event, now);
                }
            }
            SessionEvent::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
}

#[test]
fn i6_c2_rows_are_those_of_the_server_whatever_was_lost() {
    for seed in 0..SEEDS {
        run(seed);
    }
}

#[test]
fn c2_without_faults_nothing_is_disconnected() {
    let options = SessionOptions::new("ws://server/v1/ws");
    let mut wire = Wire::new(Session::new(options, 1), Model::new(2), 1);
    wire.input(Input::Subscribe(Subscribe::new("All", "All")));
    wire.input(Input::Connect);
    for id in 0..9 {
        wire.peer.commit(id, Some(id));
    }
    wire.advance_ms(600_000);
    let events = wire.take_events();
    assert!(matches!(events[0], SessionEvent::Connected { .. }));
    let is_offline = |event: &SessionEvent| matches!(event, SessionEvent::Disconnected { .. });
    assert!(!events.iter().any(is_offline));
}
