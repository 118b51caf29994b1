//! SQL over the socket.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn query(id: u64, request_id: Option<&str>) -> Input {
    Input::Query(SocketQuery {
        id: QueryId(id),
        sql: "SELECT 1".into(),
        params: None,
        namespace: Some("chat".into()),
        request_id: request_id.map(Into::into),
    })
}

fn result(wire: &str) -> serde_json::Value {
    json!({"type": "query_result", "id": wire, "status": "success", "results": [], "took": 1.0})
}

fn answers(bench: &mut Bench) -> Vec<(u64, Result<(), QueryError>)> {
    bench
        .events()
        .into_iter()
        .filter_map(|event| match event {
            SessionEvent::Query { id, outcome } => Some((id.0, outcome.map(drop))),
            _ => None,
        })
        .collect()
}

#[test]
fn a_query_waits_for_a_connection_and_gets_its_answer() {
    let mut bench = Bench::new();
    bench.input(query(7, None));
    bench.connect();
    assert_eq!(
        bench.sent()[1],
        json!({"type": "query", "id": "1", "sql": "SELECT 1", "namespace_id": "chat"})
    );
    bench.receive(&result("1"));
    assert_eq!(answers(&mut bench), [(7, Ok(()))]);
    bench.receive(&result("1"));
    assert_eq!(bench.take(), []);
}

#[test]
fn c7_a_query_that_was_sent_ends_with_its_connection_unless_it_can_be_repeated() {
    let mut bench = Bench::ready();
    bench.input(query(1, None));
    bench.input(query(2, Some("once")));
    bench.take();
    let connection = bench.connection();
    bench.input(Input::Closed {
        connection,
        code: None,
        reason: "cut".into(),
    });
    assert_eq!(answers(&mut bench), [(1, Err(QueryError::Interrupted))]);
    bench.connect();
    let sent = bench.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1]["request_id"], "once");
    bench.receive(&result("2"));
    assert_eq!(answers(&mut bench), [(2, Ok(()))]);
}

#[test]
fn the_answer_to_a_cancelled_query_is_not_taken_for_another() {
    let mut bench = Bench::ready();
    bench.input(query(1, None));
    bench.input(Input::CancelQuery { id: QueryId(1) });
    bench.input(query(1, None));
    bench.take();
    bench.receive(&result("1"));
    assert_eq!(bench.take(), []);
    bench.receive(&result("2"));
    assert_eq!(answers(&mut bench), [(1, Ok(()))]);
}

#[test]
fn every_query_ends_with_the_session() {
    let mut bench = Bench::new();
    bench.input(query(1, None));
    bench.input(Input::Connect);
    bench.input(Input::CredentialsFailed {
        failure: CredentialsFailure::Permanent,
        message: "no".into(),
    });
    assert_eq!(answers(&mut bench), [(1, Err(QueryError::NotSent))]);
    let mut bench = Bench::ready();
    bench.input(query(1, None));
    bench.input(query(2, Some("once")));
    bench.input(Input::Disconnect);
    assert_eq!(
        answers(&mut bench),
        [
            (1, Err(QueryError::Interrupted)),
            (2, Err(QueryError::Interrupted))
        ]
    );
}

#[test]
fn queries_are_bounded() {
    let mut bench = Bench::new();
    for id in 0..=QUERIES_MAX {
        bench.input(query(id as u64, None));
    }
    assert_eq!(
        answers(&mut bench),
        [(QUERIES_MAX as u64, Err(QueryError::TooMany))]
    );
}
