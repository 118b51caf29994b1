//! Statements over HTTP: what is sent, and what becomes of every kind of answer.

use std::time::Duration;

use kalam_link::{Auth, Client, Error, ErrorCode, SqlRequest, Transport, json};
use tokio::join;

use crate::server::{ClosedPort, Server};
use crate::{builder, client};

#[tokio::test]
async fn a_statement_is_sent_with_its_parameters_and_answered_with_rows() {
    let mut server = Server::start().await;
    let client = client(&server);
    let params = [json!(7)];
    let (answer, ()) = join!(client.query("SELECT $1 AS n", &params), async {
        let request = server.request().await;
        assert_eq!(request.path, "/v1/api/sql");
        assert_eq!(request.authorization, "Bearer token");
        assert_eq!(
            request.body,
            json!({"sql": "SELECT $1 AS n", "params": [7]})
        );
        request.succeed(
            &json!([{"schema": [{"name": "n", "data_type": "BigInt", "index": 0}],
            "rows": [["7"]], "row_count": 1, "as_user": "alice", "truncated": false}]),
        );
    });
    let answer = answer.unwrap();
    assert_eq!(answer.results[0].rows, Some(vec![vec![json!("7")]]));
    assert_eq!(answer.results[0].schema[0].name, "n");
}

#[tokio::test]
async fn a_request_says_everything_that_can_be_said() {
    let mut server = Server::start().await;
    let client = Client::builder(&server.url).build().unwrap();
    let request = SqlRequest {
        sql: "DELETE FROM t".to_owned(),
        params: None,
        namespace_id: Some("chat".to_owned()),
        request_id: Some("once".to_owned()),
    };
    let (answer, ()) = join!(client.request(request, Transport::Http), async {
        let request = server.request().await;
        // Nobody is signed in.
        assert_eq!(request.authorization, "");
        assert_eq!(
            request.body,
            json!({"sql": "DELETE FROM t", "namespace_id": "chat", "request_id": "once"})
        );
        request.succeed(&json!([]));
    });
    assert!(answer.unwrap().results.is_empty());
}

#[tokio::test]
async fn an_error_of_the_server_keeps_its_code_its_hint_and_what_was_completed() {
    let mut server = Server::start().await;
    let client = client(&server);
    let (answer, ()) = join!(client.query("SELECT 1; SELECT x", &[]), async {
        server.request().await.fail(404, "TABLE_NOT_FOUND");
    });
    let error = answer.unwrap_err();
    assert_eq!(error.code(), Some("TABLE_NOT_FOUND"));
    assert_eq!(error.hint(), Some("try another"));
    assert_eq!(error.to_string(), "it failed");
    match error {
        Error::Server { error, completed } => {
            assert_eq!(error.code, ErrorCode::TableNotFound);
            assert_eq!(completed.len(), 1);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_that_no_server_of_ours_gives_is_shown() {
    let mut server = Server::start().await;
    let client = client(&server);
    let (answer, ()) = join!(client.query("SELECT 1", &[]), async {
        let request = server.request().await;
        request.reply_text(502, "<html>Bad Gateway</html>");
    });
    match answer.unwrap_err() {
        Error::UnexpectedAnswer {
            address,
            status: 502,
            body,
        } => assert_eq!(
            (address, &*body),
            (server.url.clone(), "<html>Bad Gateway</html>")
        ),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let port = ClosedPort::new();
    let client = Client::builder(&port.url).build().unwrap();
    match client.query("SELECT 1", &[]).await.unwrap_err() {
        Error::Unreachable { address, .. } => assert_eq!(address, port.url),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_next_server_is_asked_if_one_cannot_be_reached() {
    let port = ClosedPort::new();
    let mut server = Server::start().await;
    let client = Client::builder(&port.url).url(&server.url).build().unwrap();
    for _ in 0..2 {
        let (answer, ()) = join!(client.query("SELECT 1", &[]), async {
            server.request().await.succeed(&json!([]));
        });
        answer.unwrap();
    }
}

#[tokio::test]
async fn a_request_that_may_have_been_executed_is_not_sent_to_another_server() {
    let mut first = Server::start().await;
    let mut second = Server::start().await;
    let client = Client::builder(&first.url)
        .url(&second.url)
        .build()
        .unwrap();
    let (answer, ()) = join!(client.query("DELETE FROM t", &[]), async {
        first.request().await.break_off();
    });
    assert!(
        matches!(answer, Err(Error::Unreachable { .. })),
        "{answer:?}"
    );
    assert!(first.is_idle() && second.is_idle());
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_not_waited_for() {
    let server = Server::start().await;
    let client = builder(&server)
        .request_timeout(Duration::from_millis(20))
        .build()
        .unwrap();
    let answer = client.query("SELECT 1", &[]).await;
    assert!(
        matches!(answer, Err(Error::Timeout { timeout_ms: 20 })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_token_goes_to_nobody_but_its_server() {
    let mut server = Server::start().await;
    let client = client(&server);
    let (answer, ()) = join!(client.query("SELECT 1", &[]), async {
        server.request().await.reply_text(307, "elsewhere");
    });
    assert!(matches!(
        answer,
        Err(Error::UnexpectedAnswer { status: 307, .. })
    ));
    assert!(server.is_idle());
}

#[test]
fn without_a_runtime_there_is_no_client() {
    let built = Client::builder("http://127.0.0.1:1")
        .auth(Auth::none())
        .build();
    assert!(matches!(built, Err(Error::NoRuntime)));
}
