//! Calls of a [`Link`] and what it has its host do.

use kalam_link_wasm::{Host, Link};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test as test;

#[wasm_bindgen(module = "/tests/it/host.js")]
extern "C" {
    #[wasm_bindgen(extends = Host)]
    type KeepingHost;

    #[wasm_bindgen(constructor)]
    fn new() -> KeepingHost;

    /// Calls since the last time, a line each.
    #[wasm_bindgen(method)]
    fn take(this: &KeepingHost) -> String;

    #[wasm_bindgen(method, js_name = advanceTo)]
    fn advance_to(this: &KeepingHost, time: f64);

    #[wasm_bindgen(method)]
    fn deadline(this: &KeepingHost) -> f64;
}

const AUTHENTICATED: &str = r#"{"type":"auth_success","user_id":"alice","role":"user","protocol":{"serialization":"json","compression":"none","features":["resync","seq"]}}"#;
const ACKNOWLEDGED: &str = r#"{"type":"subscription_ack","subscription_id":"a","total_rows":0,"batch_control":{"batch_num":0,"has_more":true,"status":"loading","last_seq_id":null},"schema":[{"name":"id","data_type":"BigInt","index":0,"flags":["pk","nn"]},{"name":"body","data_type":"Text","index":1}]}"#;
const LOADED: &str = r#"{"type":"initial_data_batch","subscription_id":"a","rows":[{"id":"9007199254740993","body":"😀","_seq":"4503599627370497"}],"batch_control":{"batch_num":1,"has_more":false,"status":"ready","last_seq_id":4503599627370497}}"#;

struct Bench {
    link: Link,
    host: KeepingHost,
}

impl Bench {
    fn new() -> Self {
        let host = KeepingHost::new();
        let urls = "ws://one/v1/ws\nws://two/v1/ws";
        let same = JsValue::from(&host).unchecked_into();
        let link = Link::new(urls, 0.5, 100.0, 1_000.0, -1, same);
        Self { link, host }
    }

    /// Signed in.
    fn ready() -> Self {
        let mut bench = Self::new();
        bench.link.connect();
        bench.link.give_token("t".into());
        bench.link.opened(1.0);
        bench.link.frame(1.0, AUTHENTICATED.as_bytes().to_vec());
        assert!(bench.link.ready());
        bench.host.take();
        bench
    }

    fn check(&self, wanted: &[&str]) {
        let calls = self.host.take();
        let calls: Vec<&str> = calls.lines().collect();
        assert_eq!(calls.len(), wanted.len(), "{calls:#?}");
        for (call, wanted) in calls.iter().zip(wanted) {
            assert!(call.starts_with(wanted), "{call}\nis not {wanted}");
        }
    }
}

#[test]
fn a_connection_is_dialled_and_signed_in() {
    let mut bench = Bench::new();
    bench.check(&[]);
    bench.link.connect();
    bench.check(&["ask 0"]);
    bench.link.give_token("t".into());
    bench.check(&["dial 1 ws://one/v1/ws"]);
    bench.link.opened(1.0);
    bench.check(&[r#"send 1 {"type":"authenticate","method":"jwt","token":"t""#]);
    assert!(!bench.link.ready());
    bench.link.frame(1.0, AUTHENTICATED.as_bytes().to_vec());
    bench.check(&[r#"event {"type":"connected","user":"alice","role":"user"}"#]);
    assert!(bench.link.ready());
    bench.link.disconnect();
    bench.check(&["close 1 1000", r#"event {"type":"disconnected""#]);
}

#[test]
fn i6_rows_cross_as_they_came_and_edits_by_their_places() {
    let mut bench = Bench::ready();
    bench
        .link
        .live("a", "SELECT * FROM chat.messages".into(), None, None)
        .expect("no parameters to refuse");
    bench.check(&[r#"send 1 {"type":"subscribe","subscription":{"id":"a""#]);
    bench.link.frame(1.0, ACKNOWLEDGED.as_bytes().to_vec());
    bench.check(&[r#"event {"id":"a","type":"subscription_ack","resumed":false"#]);
    bench.link.frame(1.0, LOADED.as_bytes().to_vec());
    bench.check(&[
        r#"event {"id":"a","type":"live"}"#,
        r#"event {"type":"rows","id":"a","status":"live","reset":[{"id":"9007199254740993","body":"😀","_seq":"4503599627370497"}]}"#,
    ]);
    let change = r#"{"type":"change","subscription_id":"a","change_type":"insert","rows":[{"id":"-9","body":null,"_seq":"4503599627370498"}],"seq":4503599627370498}"#;
    bench.link.frame(1.0, change.as_bytes().to_vec());
    bench.check(&[
        r#"event {"type":"rows","id":"a","status":"live","edits":[[1,0,{"id":"-9","body":null,"_seq":"4503599627370498"}]]}"#,
    ]);
}

#[test]
fn a_lost_connection_is_sought_at_the_next_address_and_goes_on_where_it_was() {
    let mut bench = Bench::ready();
    bench
        .link
        .live("a", "SELECT * FROM chat.messages".into(), None, None)
        .expect("no parameters to refuse");
    bench.link.frame(1.0, ACKNOWLEDGED.as_bytes().to_vec());
    bench.link.frame(1.0, LOADED.as_bytes().to_vec());
    bench.host.take();
    bench.link.closed(1.0, None, "cut".into());
    bench.check(&[
        r#"event {"id":"a","type":"offline"}"#,
        r#"event {"type":"rows","id":"a","status":"offline","edits":[]}"#,
        r#"event {"type":"disconnected","message":"connection closed: cut","retry_at":"#,
    ]);
    bench.host.advance_to(bench.host.deadline());
    bench.link.timer();
    bench.check(&["ask 0"]);
    bench.link.give_token("t".into());
    bench.check(&["dial 2 ws://two/v1/ws"]);
    bench.link.opened(2.0);
    bench.host.take();
    bench.link.frame(2.0, AUTHENTICATED.as_bytes().to_vec());
    let calls = bench.host.take();
    assert!(calls.contains(r#""from":4503599627370497"#), "{calls}");
}

#[test]
fn what_is_no_array_is_no_parameters() {
    let mut bench = Bench::ready();
    let refused = bench
        .link
        .subscribe("a", "SELECT 1".into(), Some("{}".into()), None, None, None);
    assert!(refused.is_err());
}
