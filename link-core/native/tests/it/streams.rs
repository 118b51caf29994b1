//! Answers that come in pieces: whole, refused, and cut on the way.

use futures::{StreamExt as _, TryStreamExt as _};
use kalam_link::{Error, SqlRequest, StreamFormat, json};
use tokio::join;

use crate::client;
use crate::server::{Exchange, Server};

async fn rows_of(format: StreamFormat, answer: impl FnOnce(Exchange)) -> Result<String, Error> {
    let mut server = Server::start().await;
    let client = client(&server);
    let request = SqlRequest {
        sql: "SELECT 1".to_owned(),
        ..SqlRequest::default()
    };
    let (stream, ()) = join!(client.query_stream(request, format), async {
        let request = server.request().await;
        assert_eq!(request.path, "/v1/api/sql");
        assert_eq!(request.authorization, "Bearer token");
        assert_eq!(request.accept, format.content_type());
        assert_eq!(request.body, json!({"sql": "SELECT 1"}));
        answer(request);
    });
    let mut stream = stream?;
    let mut text = String::new();
    while let Some(piece) = stream.try_next().await? {
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert!(stream.next().await.is_none());
    Ok(text)
}

#[tokio::test]
async fn a_streamed_answer_is_read_to_its_end() {
    for format in [StreamFormat::Arrow, StreamFormat::Ndjson] {
        let text = rows_of(format, |request| {
            request.stream(format.content_type(), &["[1]\n", "[2]\n"], true);
        });
        assert_eq!(text.await.unwrap(), "[1]\n[2]\n");
    }
}

#[tokio::test]
async fn i13_an_answer_that_breaks_off_is_an_error() {
    let format = StreamFormat::Ndjson;
    let text = rows_of(format, |request| {
        request.stream(format.content_type(), &["[1]\n"], false);
    });
    let error = text.await.unwrap_err();
    assert!(matches!(error, Error::BrokenOff { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_refused_before_the_first_row_keeps_its_code() {
    let refused = rows_of(StreamFormat::Arrow, |request| {
        request.fail(404, "TABLE_NOT_FOUND");
    });
    let error = refused.await.unwrap_err();
    assert_eq!(error.code(), Some("TABLE_NOT_FOUND"));
    assert!(matches!(error, Error::Server { .. }), "{error:?}");
}

#[tokio::test]
async fn rows_in_another_form_are_no_answer() {
    let other = rows_of(StreamFormat::Arrow, |request| request.succeed(&json!([])));
    let error = other.await.unwrap_err();
    assert!(matches!(error, Error::UnexpectedAnswer { .. }), "{error:?}");
}

#[tokio::test]
async fn health_is_asked_for_without_credentials() {
    let mut server = Server::start().await;
    let client = client(&server);
    let (health, ()) = join!(client.health(), async {
        let request = server.request().await;
        assert_eq!(request.path, "/v1/api/healthcheck");
        assert_eq!(request.authorization, "");
        request.reply(
            200,
            &json!({"status": "healthy", "version": "1.2.3", "api_version": "v1", "build_date": "x"}),
        );
    });
    assert_eq!(health.unwrap().version, "1.2.3");
}
