//! The examples of `docs/sdk/sdk.md`: each stands here word for word, and works.

use std::time::Duration;

use futures::StreamExt as _;
use kalam_link::{
    Auth, Client, Compression, Error, Json, Link, ProviderError, Serialization, SqlRequest,
    SubscribeOptions, SubscriptionEvent, Transport, json,
};

use crate::server::{Arrival, Exchange, Peer, Server, ack, batch, insert, row, success};

/// A server that is content with everything. A subscription gets a row, a change, and is killed.
async fn start() -> String {
    let mut server = Server::start().await;
    let url = server.url.clone();
    tokio::spawn(async move {
        loop {
            match server.next().await {
                Arrival::Request(request) => answer(request),
                Arrival::Socket(peer) => drop(tokio::spawn(attend(peer))),
            }
        }
    });
    url
}

fn answer(request: Exchange) {
    if request.path == "/v1/api/auth/login" {
        request.sign_in("token", "refresh");
    } else if request.body["sql"]
        .as_str()
        .is_some_and(|sql| sql.contains("mesages"))
    {
        request.fail(404, "TABLE_NOT_FOUND");
    } else {
        request.succeed(&results());
    }
}

fn results() -> Json {
    json!([{"rows": [["1", "hi"]], "row_count": 1, "as_user": "alice"}])
}

async fn attend(mut peer: Box<Peer>) {
    peer.authenticate().await;
    while let Some(message) = peer.next().await {
        match message["type"].as_str() {
            Some("query") => {
                let mut answer = success(&results());
                answer["type"] = json!("query_result");
                answer["id"] = message["id"].clone();
                peer.send(&answer).await;
            }
            Some("subscribe") => {
                let id = message["subscription"]["id"]
                    .as_str()
                    .expect("it has an id");
                peer.send(&ack(id)).await;
                peer.send(&batch(id, &[row(1, "a", 1)], Some(1), false))
                    .await;
                peer.send(&insert(id, 2, "b", 2)).await;
                peer.send(&json!({"type": "error", "subscription_id": id,
                    "code": "SUBSCRIPTION_KILLED", "message": "killed"}))
                    .await;
            }
            _ => {}
        }
    }
}

fn code(result: Result<(), Error>) -> Option<String> {
    result.err()?.code().map(str::to_owned)
}

#[tokio::test]
async fn statements() -> Result<(), Error> {
    let url = start().await;
    let client = Client::connect(url, Auth::basic("alice", "secret")).await?;

    let answer = client
        .query(
            "SELECT id, content FROM chat.messages WHERE role = $1",
            &[json!("user")],
        )
        .await?;
    for row in answer.results[0].rows.iter().flatten() {
        println!("{}: {}", row[0], row[1]);
    }

    let request = SqlRequest {
        sql: "INSERT INTO chat.messages (role, content) VALUES ('user', 'hi')".into(),
        request_id: Some("order-4711".into()),
        ..SqlRequest::default()
    };
    client.request(request, Transport::Socket).await?;

    match client.query("SELECT * FROM chat.mesages", &[]).await {
        Ok(answer) => println!("{} rows", answer.results[0].row_count),
        Err(error) if error.code() == Some("TABLE_NOT_FOUND") => {
            println!("{error}: {}", error.hint().unwrap_or("no hint"));
        }
        Err(error) => return Err(error),
    }

    client.close().await;
    Ok(())
}

#[tokio::test]
async fn rows() -> Result<(), Error> {
    let client = Client::connect(start().await, Auth::basic("alice", "secret")).await?;
    let read = async {
        let mut messages = client
            .live("SELECT * FROM chat.messages ORDER BY id", &[])
            .await?;
        while let Some(snapshot) = messages.next().await {
            let snapshot = snapshot?;
            println!("{} messages, {:?}", snapshot.rows.len(), snapshot.status);
        }
        Ok(())
    };
    assert_eq!(code(read.await).as_deref(), Some("SUBSCRIPTION_KILLED"));
    Ok(())
}

#[tokio::test]
async fn changes() -> Result<(), Error> {
    let client = Client::connect(start().await, Auth::basic("alice", "secret")).await?;
    let read = async {
        let options = SubscribeOptions {
            last_rows: Some(100),
            ..SubscribeOptions::default()
        };
        let mut events = client
            .subscribe("SELECT * FROM chat.messages", &[], options)
            .await?;
        while let Some(event) = events.next().await {
            match event? {
                SubscriptionEvent::Batch { rows, .. } => println!("{} rows", rows.len()),
                SubscriptionEvent::Change(change) => println!("{:?}", change.change_type),
                _ => {}
            }
        }
        Ok(())
    };
    assert_eq!(code(read.await).as_deref(), Some("SUBSCRIPTION_KILLED"));
    Ok(())
}

#[tokio::test]
async fn credentials_and_the_link() -> Result<(), Error> {
    async fn fetch_token() -> Result<String, std::io::Error> {
        Ok("token".to_owned())
    }
    let url = start().await;
    let auth = Auth::provider(|_reason| async {
        fetch_token()
            .await
            .map_err(|error| ProviderError::Temporary(error.to_string()))
    });
    let client = Client::builder(url).auth(auth).build()?;

    let watch = async {
        let mut link = client.link();
        while link.changed().await.is_ok() {
            match &*link.borrow_and_update() {
                Link::Ready { user, .. } => println!("connected as {user}"),
                Link::Waiting { error, .. } => println!("not connected: {error}"),
                Link::Failed { error } => println!("gave up: {error}"),
                Link::Offline | Link::Connecting => {}
            }
        }
    };
    let (answer, ()) = tokio::join!(
        async {
            let answer = client.query_over_socket("SELECT 1", &[]).await;
            client.close().await;
            answer
        },
        watch
    );
    answer.map(drop)
}

#[tokio::test]
async fn settings() -> Result<(), Error> {
    let token = "token";
    let client = Client::builder("http://db1.example.com:8080")
        .url("http://db2.example.com:8080")
        .auth(Auth::jwt(token))
        .serialization(Serialization::Msgpack)
        .compression(Compression::Gzip)
        .request_timeout(Duration::from_secs(10))
        .build()?;
    assert!(matches!(&*client.link().borrow(), Link::Offline));
    Ok(())
}

/// Without what formatting changes.
fn essence(code: &str) -> String {
    let code: String = code.split_whitespace().collect();
    code.replace(",)", ")")
}

#[test]
fn every_example_of_the_guide_is_one_of_these() {
    let here = essence(include_str!("guide.rs"));
    let guide = include_str!("../../../../docs/sdk/sdk.md");
    let mut examples = 0;
    for block in guide.split("```rust\n").skip(1) {
        let (example, _) = block.split_once("```").expect("a block ends");
        examples += 1;
        // What an application imports stands at the head of its file.
        if !example.starts_with("use ") {
            assert!(here.contains(&essence(example)), "{example}");
        }
    }
    assert!(examples > 0);
}
