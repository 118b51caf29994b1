//! Rows that the session keeps.

use super::*;
use crate::live_rows::LiveStatus;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn live(ids: &[u64]) -> Bench {
    let mut bench = Bench::ready();
    bench.input(Input::Subscribe(Subscribe {
        delivery: Delivery::Rows,
        ..subscribe()
    }));
    bench.receive(&ack("s"));
    bench.receive(&batch("s", ids, false, Some(10)));
    bench.take();
    bench
}

#[test]
fn the_application_is_told_that_rows_changed_and_reads_them() {
    let mut bench = live(&[2, 1]);
    assert_eq!(bench.ids(), ["1", "2"]);
    assert_eq!(bench.status(), LiveStatus::Live);
    bench.receive(&insert("s", 3, 11));
    assert_eq!(bench.told(), ["rows"]);
    bench.receive(&delete("s", 1, 12));
    assert_eq!(bench.ids(), ["2", "3"]);
    bench.take();
    // What is not there needs nothing.
    bench.receive(&delete("s", 9, 13));
    assert_eq!(bench.take(), []);
}

#[test]
fn c4_rows_of_a_void_load_stay_until_the_next_is_complete() {
    let mut bench = live(&[1, 2]);
    bench.receive(&resync("s"));
    bench.receive(&ack("s"));
    assert_eq!(bench.status(), LiveStatus::CatchingUp);
    bench.receive(&batch("s", &[5], true, Some(11)));
    assert_eq!(bench.ids(), ["1", "2"]);
    // The new load is cut and resumed, and still nothing is shown of it.
    bench.reconnect();
    assert_eq!(
        bench.sent().last().unwrap()["subscription"]["options"]["from"],
        11
    );
    bench.receive(&ack("s"));
    bench.receive(&batch("s", &[6], true, Some(12)));
    assert_eq!(bench.ids(), ["1", "2"]);
    bench.take();
    bench.receive(&batch("s", &[7], false, Some(13)));
    assert_eq!(bench.ids(), ["5", "6", "7"]);
    assert_eq!(bench.told(), ["live", "rows"]);
}

#[test]
fn c4_a_window_is_replaced_as_a_whole() {
    let mut bench = live(&[1, 2]);
    let mut window = ack("s");
    window["limit"] = json!(2);
    bench.receive(&window);
    bench.receive(&batch("s", &[3, 4], false, Some(11)));
    let connection = bench.connection();
    bench.input(Input::Closed {
        connection,
        code: None,
        reason: "cut".into(),
    });
    assert_eq!(bench.status(), LiveStatus::Offline);
    bench.connect();
    bench.receive(&window);
    bench.receive(&batch("s", &[5], true, None));
    assert_eq!(bench.ids(), ["3", "4"]);
    assert_eq!(bench.status(), LiveStatus::CatchingUp);
    bench.receive(&batch("s", &[6], false, Some(20)));
    assert_eq!(bench.ids(), ["5", "6"]);
}

#[test]
fn the_first_rows_are_shown_as_they_come() {
    let mut bench = Bench::ready();
    bench.input(Input::Subscribe(Subscribe {
        delivery: Delivery::Rows,
        ..subscribe()
    }));
    bench.receive(&ack("s"));
    bench.receive(&batch("s", &[1], true, Some(1)));
    assert_eq!(bench.ids(), ["1"]);
    assert_eq!(bench.status(), LiveStatus::Loading);
}

#[test]
fn rows_of_an_ended_subscription_stay_readable_until_it_is_forgotten() {
    let mut bench = live(&[1]);
    bench.receive(&error("s", "SUBSCRIPTION_KILLED"));
    assert_eq!(bench.told(), ["ended: SUBSCRIPTION_KILLED: no", "rows"]);
    assert_eq!(
        (bench.ids(), bench.status()),
        (vec!["1".to_owned()], LiveStatus::Failed)
    );
    bench.reconnect();
    assert!(
        bench
            .sent()
            .iter()
            .all(|sent| sent["type"] == "authenticate")
    );
    let id = SubscriptionId::new("s");
    bench.input(Input::Unsubscribe { id: id.clone() });
    assert!(bench.session.rows(&id).is_none());
}

#[test]
fn rows_of_a_stream_end_by_the_servers_clock() {
    let mut bench = Bench::ready();
    bench.input(Input::Subscribe(Subscribe {
        delivery: Delivery::Rows,
        ..subscribe()
    }));
    let made_ms = 1_767_225_600_000;
    let mut stream = ack("s");
    stream["ttl_ms"] = json!(5_000);
    stream["server_time_ms"] = json!(made_ms + 1_000);
    bench.receive(&stream);
    let seq = crate::ids::SeqId::at_time(made_ms).0;
    bench.receive(&batch("s", &[seq], false, Some(seq)));
    bench.take();
    let begin = bench.now;
    bench.wait();
    assert_eq!(bench.now, begin.plus_ms(4_000));
    assert_eq!(bench.told(), ["rows"]);
    assert_eq!(bench.ids(), [""; 0]);
}
