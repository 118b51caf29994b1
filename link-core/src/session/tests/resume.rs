//! Where a subscription goes on after its connection was lost, and which changes it takes.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The options of the last subscribe.
fn options(bench: &mut Bench) -> serde_json::Value {
    let sent = bench.sent();
    let subscribe = sent.iter().rfind(|sent| sent["type"] == "subscribe");
    subscribe.expect("it subscribed")["subscription"]["options"].clone()
}

fn subscribed(options: SubscribeOptions) -> Bench {
    let mut bench = Bench::ready();
    bench.input(Input::Subscribe(Subscribe {
        options,
        ..subscribe()
    }));
    bench
}

fn loading() -> Bench {
    let mut bench = subscribed(SubscribeOptions {
        batch_size: Some(2),
        last_rows: Some(9),
        from: None,
    });
    bench.receive(&ack("s"));
    bench
}

fn ordered() -> serde_json::Value {
    let mut ack = ack("s");
    ack["order_by"] =
        json!([{"column": "id", "data_type": "BigInt", "descending": true, "nulls_first": false}]);
    ack
}

#[test]
fn options_are_sent_even_if_there_are_none() {
    assert_eq!(
        options(&mut subscribed(SubscribeOptions::default())),
        json!({})
    );
}

#[test]
fn without_a_batch_the_load_begins_again_as_it_was_asked_for() {
    let mut bench = loading();
    assert_eq!(
        options(&mut bench),
        json!({"batch_size": 2, "last_rows": 9})
    );
    bench.reconnect();
    assert_eq!(
        options(&mut bench),
        json!({"batch_size": 2, "last_rows": 9})
    );
}

#[test]
fn i6_a_load_in_seq_order_goes_on_after_its_last_batch() {
    let mut bench = loading();
    bench.receive(&batch("s", &[1, 2], true, Some(2)));
    bench.receive(&batch("s", &[3, 4], true, Some(4)));
    bench.reconnect();
    assert_eq!(options(&mut bench), json!({"batch_size": 2, "from": 4}));
}

#[test]
fn i6_a_live_subscription_goes_on_after_its_last_change() {
    let mut bench = loading();
    bench.receive(&batch("s", &[1, 2], false, Some(10)));
    bench.reconnect();
    assert_eq!(options(&mut bench)["from"], 10);
    bench.receive(&ack("s"));
    bench.receive(&batch("s", &[], false, Some(10)));
    bench.receive(&insert("s", 3, 12));
    bench.receive(&delete("s", 1, 15));
    bench.reconnect();
    assert_eq!(options(&mut bench)["from"], 15);
}

#[test]
fn i6_a_change_that_was_received_is_not_taken_twice() {
    let mut bench = loading();
    bench.receive(&batch("s", &[1], false, Some(10)));
    bench.receive(&insert("s", 2, 11));
    bench.take();
    for seq in [9, 10, 11] {
        bench.receive(&insert("s", 2, seq));
    }
    assert_eq!(bench.told(), [""; 0]);
    bench.receive(&insert("s", 2, 12));
    assert_eq!(bench.told(), ["change 12"]);
}

#[test]
fn c1_deletes_of_a_resumed_load_do_not_move_the_resume_point() {
    let mut bench = loading();
    bench.receive(&batch("s", &[1, 2], false, Some(10)));
    bench.reconnect();
    bench.receive(&ack("s"));
    bench.take();
    bench.receive(&delete("s", 1, 18));
    assert_eq!(bench.told(), ["change 18"]);
    bench.reconnect();
    assert_eq!(options(&mut bench)["from"], 10);
    bench.receive(&ack("s"));
    bench.receive(&delete("s", 1, 18));
    bench.receive(&batch("s", &[12], true, Some(20)));
    bench.receive(&delete("s", 2, 25));
    bench.reconnect();
    assert_eq!(options(&mut bench)["from"], 20);
}

#[test]
fn c1_part_of_a_load_by_order_is_worth_nothing() {
    let mut bench = loading();
    // Another acknowledgement: the server began anew.
    bench.receive(&ordered());
    bench.receive(&batch("s", &[9, 8], true, None));
    bench.reconnect();
    assert_eq!(
        options(&mut bench),
        json!({"batch_size": 2, "last_rows": 9})
    );
    bench.receive(&ordered());
    // Even if a server says how far the seqs of a batch go.
    bench.receive(&batch("s", &[9, 8], true, Some(9)));
    bench.reconnect();
    assert_eq!(
        options(&mut bench),
        json!({"batch_size": 2, "last_rows": 9})
    );
    bench.receive(&ordered());
    bench.receive(&batch("s", &[9, 8], true, None));
    bench.receive(&batch("s", &[1], false, Some(20)));
    bench.reconnect();
    assert_eq!(options(&mut bench), json!({"batch_size": 2, "from": 20}));
    // A resumed load is in seq order, whatever the query's is.
    bench.receive(&ordered());
    bench.receive(&batch("s", &[21], true, Some(21)));
    bench.reconnect();
    assert_eq!(options(&mut bench)["from"], 21);
}

#[test]
fn i6_a_window_is_always_loaded_afresh_and_takes_every_change() {
    let mut bench = loading();
    let mut window = ack("s");
    window["limit"] = json!(2);
    bench.receive(&window);
    bench.receive(&batch("s", &[1, 2], false, Some(10)));
    bench.take();
    // One commit: a row leaves, an older one enters.
    bench.receive(&delete("s", 1, 11));
    bench.receive(&insert("s", 3, 11));
    assert_eq!(bench.told(), ["change 11", "change 11"]);
    bench.reconnect();
    assert_eq!(
        options(&mut bench),
        json!({"batch_size": 2, "last_rows": 9})
    );
    bench.receive(&window);
    assert_eq!(bench.told(), ["fresh"]);
}

#[test]
fn i6_without_initial_rows_the_acknowledgement_is_the_resume_point() {
    let mut bench = subscribed(SubscribeOptions {
        last_rows: Some(0),
        ..SubscribeOptions::default()
    });
    let mut ready = ack("s");
    ready["batch_control"] =
        json!({"batch_num": 0, "has_more": false, "status": "ready", "last_seq_id": 30});
    bench.receive(&ready);
    assert_eq!(bench.told(), ["fresh", "live"]);
    bench.receive(&insert("s", 1, 30));
    assert_eq!(bench.told(), [""; 0]);
    bench.reconnect();
    assert_eq!(options(&mut bench), json!({"from": 30}));
}

#[test]
fn i6_after_a_resync_everything_is_loaded_again() {
    let mut bench = subscribed(SubscribeOptions {
        from: Some(SeqId(5)),
        ..SubscribeOptions::default()
    });
    assert_eq!(options(&mut bench), json!({"from": 5}));
    bench.receive(&resync("s"));
    // Void, since the acknowledgement has not come.
    bench.receive(&insert("s", 1, 50));
    bench.receive(&batch("s", &[1], true, Some(50)));
    assert_eq!(bench.told(), ["resync"]);
    bench.reconnect();
    assert_eq!(options(&mut bench), json!({}));
    bench.receive(&resync("s"));
    bench.receive(&ack("s"));
    bench.receive(&batch("s", &[1], true, Some(3)));
    assert_eq!(bench.told(), ["resync", "fresh", "batch 1"]);
    bench.reconnect();
    assert_eq!(options(&mut bench), json!({"from": 3}));
}

#[test]
fn c1_a_server_that_does_not_promise_seqs_is_never_resumed() {
    let mut bench = loading();
    bench.receive(&batch("s", &[1], false, Some(10)));
    let connection = bench.connection();
    bench.input(Input::Closed {
        connection,
        code: None,
        reason: "cut".into(),
    });
    bench.wait();
    bench.input(credentials("token"));
    let connection = bench.connection();
    bench.input(Input::Opened { connection });
    let mut success = auth_success();
    success["protocol"]["features"] = json!([]);
    bench.receive(&success);
    assert_eq!(
        options(&mut bench),
        json!({"batch_size": 2, "last_rows": 9})
    );
    bench.receive(&ack("s"));
    bench.receive(&batch("s", &[1], false, Some(10)));
    bench.take();
    let mut change = insert("s", 1, 9);
    change.as_object_mut().unwrap().remove("seq");
    bench.receive(&change);
    assert_eq!(bench.told(), ["change"]);
}

#[test]
fn batches_are_asked_for_as_they_arrive() {
    let mut bench = loading();
    bench.take();
    bench.receive(&batch("s", &[1], true, Some(1)));
    assert_eq!(
        bench.sent(),
        [json!({"type": "next_batch", "subscription_id": "s", "last_seq_id": 1})]
    );
    bench.receive(&batch("s", &[2], false, Some(9)));
    assert_eq!(bench.sent(), [json!(null); 0]);
}

#[test]
fn c8_a_paused_load_goes_on_when_the_application_says_so() {
    let id = SubscriptionId::new("s");
    let mut bench = loading();
    bench.input(Input::Pause { id: id.clone() });
    bench.take();
    bench.receive(&batch("s", &[1], true, Some(1)));
    assert_eq!(bench.sent(), [json!(null); 0]);
    bench.input(Input::Resume { id: id.clone() });
    bench.input(Input::Resume { id: id.clone() });
    assert_eq!(
        bench.sent(),
        [json!({"type": "next_batch", "subscription_id": "s", "last_seq_id": 1})]
    );
    // What was owed on a lost connection is not asked for on the next.
    bench.input(Input::Pause { id: id.clone() });
    bench.receive(&batch("s", &[2], true, Some(2)));
    bench.reconnect();
    bench.take();
    bench.input(Input::Resume { id });
    assert_eq!(bench.sent(), [json!(null); 0]);
}

use crate::ids::SeqId;
use crate::message::SubscribeOptions;
