use serde_json::{Value as Json, json};

use super::*;
use crate::ids::SeqId;
use crate::message::{BatchControl, ResyncReason};
use crate::session::SubscriptionError;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const MADE_MS: u64 = 1_767_225_600_000;

/// Rows on a clock, fed with messages as a server writes them.
struct Table {
    rows: LiveRows,
    now: Millis,
}

impl Table {
    /// Acknowledged, with `extra` fields in the acknowledgement.
    fn new(extra: &Json) -> Self {
        let mut table = Self {
            rows: LiveRows::new(),
            now: Millis(0),
        };
        table.begin(extra, Load::Fresh);
        table
    }

    fn apply(&mut self, event: SubscriptionEvent) {
        self.rows.apply(event, self.now);
    }

    fn begin(&mut self, extra: &Json, load: Load) {
        let mut ack = json!({"subscription_id": "s", "total_rows": 0,
            "batch_control": {"batch_num": 0, "has_more": true, "status": "loading", "last_seq_id": null},
            "schema": [{"name": "id", "data_type": "BigInt", "index": 0},
                {"name": "body", "data_type": "Text", "index": 1}],
            "key": [{"name": "id", "data_type": "BigInt"}]});
        for (name, value) in extra.as_object().unwrap() {
            ack[name] = value.clone();
        }
        let ack = serde_json::from_value(ack).unwrap();
        self.apply(SubscriptionEvent::Acknowledged { ack, load });
    }

    fn load(&mut self, rows: &[Json]) {
        self.batch(rows);
        self.apply(SubscriptionEvent::Live);
    }

    fn batch(&mut self, rows: &[Json]) {
        let rows = serde_json::from_value(json!(rows)).unwrap();
        let control = BatchControl::new(0, true, None);
        self.apply(SubscriptionEvent::Batch { rows, control });
    }

    fn change(&mut self, mut change: Json) {
        change["subscription_id"] = json!("s");
        let change = serde_json::from_value(change).unwrap();
        self.apply(SubscriptionEvent::Change(change));
    }

    fn put(&mut self, new: &Json) {
        self.change(json!({"change_type": "insert", "rows": [new]}));
    }

    fn delete(&mut self, old: &Json, old_seq: Option<u64>) {
        self.change(json!({"change_type": "delete", "old_values": [old], "old_seq": old_seq}));
    }

    fn bodies(&self) -> Vec<String> {
        let rows = self.rows.rows();
        rows.map(|(_, row)| row.get("body").unwrap().as_str().unwrap().to_owned())
            .collect()
    }
}

fn row(id: i64, body: &str, seq: u64) -> Json {
    json!({"id": id.to_string(), "body": body, "_seq": seq.to_string()})
}

fn by_body() -> Json {
    json!({"order_by":
        [{"column": "body", "data_type": "Text", "descending": false, "nulls_first": false}]})
}

#[test]
fn rows_stand_in_the_order_of_the_key() {
    let mut table = Table::new(&json!({}));
    table.load(&[row(10, "ten", 1), row(-1, "minus", 2), row(9, "nine", 3)]);
    assert_eq!(table.bodies(), ["minus", "nine", "ten"]);
    assert_eq!(table.rows.len(), 3);
    assert_eq!(table.rows.schema().len(), 2);
}

#[test]
fn a_row_that_changes_its_place_stands_once() {
    let mut table = Table::new(&by_body());
    table.load(&[row(1, "b", 1), row(2, "c", 2), row(3, "c", 3)]);
    let version = table.rows.version();
    table.put(&row(1, "d", 4));
    assert_eq!(table.bodies(), ["c", "c", "d"]);
    let changes: Vec<_> = table.rows.changes_since(version).unwrap().collect();
    assert!(matches!(
        changes[..],
        [RowChange::Removed { .. }, RowChange::Put { .. }]
    ));
    // Equal cells: the key decides.
    let ids: Vec<_> = table
        .rows
        .rows()
        .map(|(_, row)| row.get("id").unwrap())
        .collect();
    assert_eq!(ids, ["2", "3", "1"]);
}

#[test]
fn a_delete_needs_no_more_than_the_key() {
    let mut table = Table::new(&by_body());
    table.load(&[row(1, "a", 1), row(2, "b", 2)]);
    table.delete(&json!({"id": "1", "_seq": "3"}), None);
    table.delete(&json!({"id": "7", "_seq": "4"}), None);
    assert_eq!(table.bodies(), ["b"]);
}

#[test]
fn without_a_key_rows_are_told_apart_by_their_seq() {
    let mut table = Table::new(&json!({"key": []}));
    table.load(&[row(1, "a", 1), row(1, "b", 2)]);
    assert_eq!(table.bodies(), ["a", "b"]);
    table.change(
        json!({"change_type": "update", "rows": [row(1, "c", 3)], "old_values": [row(1, "a", 1)]}),
    );
    assert_eq!(table.bodies(), ["b", "c"]);
    // `_seq` of the old values is that of the delete.
    table.delete(&row(1, "b", 4), Some(2));
    assert_eq!(table.bodies(), ["c"]);
}

#[test]
fn servers_of_the_first_generation_name_the_key_by_flags() {
    let schema = json!([{"name": "id", "data_type": "BigInt", "index": 0, "flags": ["pk", "nn"]}]);
    let mut table = Table::new(&json!({"key": [], "schema": schema}));
    table.load(&[row(1, "a", 1)]);
    table.put(&row(1, "b", 2));
    assert_eq!(table.bodies(), ["b"]);
}

#[test]
fn c4_a_new_load_takes_the_place_of_the_rows_when_it_is_complete() {
    let mut table = Table::new(&json!({}));
    table.load(&[row(1, "a", 1), row(2, "b", 2), row(3, "c", 3)]);
    let version = table.rows.version();
    table.apply(SubscriptionEvent::Resync {
        reason: ResyncReason::SchemaChanged,
    });
    table.begin(&json!({}), Load::Fresh);
    assert_eq!(table.rows.status(), LiveStatus::CatchingUp);
    table.batch(&[row(1, "a", 1), row(2, "B", 9)]);
    table.put(&row(4, "d", 10));
    assert_eq!(table.bodies(), ["a", "b", "c"]);
    table.apply(SubscriptionEvent::Live);
    assert_eq!(table.bodies(), ["a", "B", "d"]);
    assert_eq!(table.rows.status(), LiveStatus::Live);
    // A reader with a copy learns what is different, and no more.
    let changes = table.rows.changes_since(version).unwrap();
    assert_eq!(changes.count(), 3);
}

#[test]
fn a_resumed_load_adds_to_the_rows() {
    let mut table = Table::new(&json!({}));
    table.load(&[row(1, "a", 1), row(2, "b", 2)]);
    table.apply(SubscriptionEvent::Offline);
    assert_eq!(table.rows.status(), LiveStatus::Offline);
    table.begin(&json!({}), Load::Resumed);
    table.delete(&json!({"id": "1", "_seq": "5"}), None);
    table.load(&[row(3, "c", 6)]);
    assert_eq!(table.bodies(), ["b", "c"]);
}

#[test]
fn other_columns_make_readers_begin_anew() {
    let mut table = Table::new(&json!({}));
    table.load(&[row(1, "a", 1)]);
    let version = table.rows.version();
    table.begin(&by_body(), Load::Fresh);
    table.load(&[row(1, "a", 1)]);
    assert!(table.rows.changes_since(version).is_none());
}

#[test]
fn a_reader_that_is_too_far_behind_begins_anew() {
    let mut table = Table::new(&json!({}));
    table.load(&[]);
    let begin = table.rows.version();
    table.put(&row(0, "first", 1));
    let version = table.rows.version();
    assert_eq!(table.rows.changes_since(begin).unwrap().count(), 1);
    for id in 0..5_000 {
        table.put(&row(id, "more", 2));
    }
    assert!(table.rows.changes_since(begin).is_none());
    assert!(table.rows.changes_since(version).is_none());
    let last = table.rows.version();
    assert_eq!(table.rows.changes_since(last).unwrap().count(), 0);
    assert!(table.rows.changes_since(last + 1).is_none());
}

#[test]
fn a_stream_shows_the_newest_row_of_each_key_until_its_time_is_over() {
    let at = |ms: u64| SeqId::at_time(MADE_MS + ms).0;
    let mut table = Table::new(&json!({"ttl_ms": 5_000, "server_time_ms": MADE_MS}));
    table.load(&[
        row(1, "new", at(200)),
        row(1, "old", at(100)),
        row(2, "two", at(300)),
    ]);
    assert_eq!(table.bodies(), ["new", "two"]);
    // One of several rows of a key, named by the seq that it had: the row before it is shown again.
    table.delete(&row(1, "new", at(400)), Some(at(200)));
    assert_eq!(table.bodies(), ["old", "two"]);
    assert_eq!(table.rows.next_expiry(), Some(Millis(5_100)));
    table.rows.expire(Millis(5_099));
    assert_eq!(table.bodies(), ["old", "two"]);
    table.rows.expire(Millis(5_100));
    assert_eq!(table.bodies(), ["two"]);
    table.rows.expire(Millis(5_300));
    assert_eq!(table.rows.next_expiry(), None);
    assert!(table.rows.is_empty());
}

#[test]
fn rows_of_an_ended_subscription_stay() {
    let mut table = Table::new(&json!({}));
    table.load(&[row(1, "a", 1)]);
    table.apply(SubscriptionEvent::Ended(SubscriptionError::TooMany));
    assert_eq!(table.rows.status(), LiveStatus::Failed);
    assert_eq!(table.bodies(), ["a"]);
}
