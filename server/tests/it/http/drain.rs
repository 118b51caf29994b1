//! A server that stops lets requests end and takes no new ones.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::harness::{Answer, TestNode, client};

/// A route that answers when the test says so.
struct Gate {
    entered: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self {
            entered: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
        }
    }

    fn routes(&self) -> Router {
        let (entered, open) = (Arc::clone(&self.entered), Arc::clone(&self.open));
        let handler = move || {
            let (entered, open) = (Arc::clone(&entered), Arc::clone(&open));
            async move {
                entered.add_permits(1);
                open.acquire().await.unwrap().forget();
                "done"
            }
        };
        Router::new().route("/test/gate", get(handler))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_server_ends_what_runs_and_refuses_the_rest() {
    let gate = Gate::new();
    let node = TestNode::start_with_routes(
        &[("KALAMDB_SERVER_DRAIN_TIMEOUT_MS", "3600000")],
        gate.routes(),
    )
    .await;
    let url = node.url();
    let running = tokio::spawn(Answer::of(node.get("/test/gate")));
    gate.entered.acquire().await.unwrap().forget();
    let stopping = tokio::spawn(node.stop());

    // A client of its own: connections from before the stop are closed when they are idle.
    let get = |path: &str| client().get(format!("{url}{path}"));
    let ready = loop {
        // A connection on which nothing was asked yet may be closed when the stop begins.
        let Ok(response) = get("/readyz").send().await else {
            continue;
        };
        if response.status() != 200 {
            break (
                response.status().as_u16(),
                response.json::<Value>().await.unwrap(),
            );
        }
    };
    assert_eq!(ready, (503, json!({"status": "stopping"})));
    let refused = Answer::of(
        client()
            .post(format!("{url}/v1/api/sql"))
            .json(&json!({"sql": "SELECT 1"})),
    )
    .await;
    assert_eq!(refused.refusal(), (503, "SHUTTING_DOWN".to_owned()));
    assert_eq!(refused.json()["results"], json!([]));
    assert_eq!(refused.header("connection"), Some("close"));
    let refused = Answer::of(get("/v1/api/auth/me")).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]),
        (503, &json!("shutting_down"))
    );
    assert_eq!(
        Answer::of(get("/livez")).await.status,
        200,
        "it still lives"
    );

    gate.open.add_permits(1);
    let answer = running.await.unwrap();
    assert_eq!((answer.status, answer.text()), (200, "done"));
    stopping.await.unwrap();
    assert!(
        get("/livez").send().await.unwrap_err().is_connect(),
        "nobody listens any more"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_does_not_end_does_not_hold_the_server() {
    let gate = Gate::new();
    let node =
        TestNode::start_with_routes(&[("KALAMDB_SERVER_DRAIN_TIMEOUT_MS", "0")], gate.routes())
            .await;
    let running = tokio::spawn(node.get("/test/gate").send());
    gate.entered.acquire().await.unwrap().forget();
    node.stop().await;
    assert!(running.await.unwrap().is_err(), "its connection was cut");
}
