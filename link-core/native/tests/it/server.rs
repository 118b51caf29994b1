//! A server without behaviour: whatever arrives is handed to the test, which answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use futures::StreamExt as _;
use kalam_link::{Json, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub struct Server {
    pub url: String,
    requests: mpsc::UnboundedReceiver<Exchange>,
    sockets: mpsc::UnboundedReceiver<Peer>,
    refusals: Arc<Mutex<VecDeque<StatusCode>>>,
    task: JoinHandle<()>,
}

/// An HTTP request that waits for its answer.
#[derive(Debug)]
pub struct Exchange {
    pub path: String,
    pub authorization: String,
    pub accept: String,
    pub body: Json,
    reply: oneshot::Sender<Response>,
}

/// The server's end of a socket. Dropping it cuts the connection.
pub struct Peer {
    socket: WebSocket,
    /// Of the upgrade.
    pub authorization: String,
    pub query: String,
}

/// Whichever comes first.
pub enum Arrival {
    Request(Exchange),
    Socket(Box<Peer>),
}

#[derive(Clone)]
struct Doors {
    requests: mpsc::UnboundedSender<Exchange>,
    sockets: mpsc::UnboundedSender<Peer>,
    refusals: Arc<Mutex<VecDeque<StatusCode>>>,
}

impl Server {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (requests, requests_in) = mpsc::unbounded_channel();
        let (sockets, sockets_in) = mpsc::unbounded_channel();
        let refusals = Arc::default();
        let doors = Doors {
            requests,
            sockets,
            refusals: Arc::clone(&refusals),
        };
        let routes = Router::new()
            .route("/v1/ws", any(upgrade))
            .fallback(exchange)
            .with_state(doors);
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            url,
            requests: requests_in,
            sockets: sockets_in,
            refusals,
            task,
        }
    }

    /// The next HTTP request.
    pub async fn request(&mut self) -> Exchange {
        self.requests.recv().await.expect("the server runs")
    }

    pub async fn next(&mut self) -> Arrival {
        tokio::select! {
            Some(request) = self.requests.recv() => Arrival::Request(request),
            Some(peer) = self.sockets.recv() => Arrival::Socket(Box::new(peer)),
        }
    }

    /// Whether there was no HTTP request that the test has not seen.
    pub fn is_idle(&mut self) -> bool {
        self.requests.try_recv().is_err()
    }

    /// The next socket, before authentication.
    pub async fn socket(&mut self) -> Peer {
        self.sockets.recv().await.expect("the server runs")
    }

    /// The next socket, whose token is accepted whatever it is.
    pub async fn ready(&mut self) -> Peer {
        let mut peer = self.socket().await;
        peer.authenticate().await;
        peer
    }

    /// The next upgrade fails.
    pub fn refuse_upgrade(&self, status: u16) {
        let status = StatusCode::from_u16(status).unwrap();
        self.refusals.lock().unwrap().push_back(status);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn exchange(State(doors): State<Doors>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let authorization = header(&request);
    let accept = request.headers().get(axum::http::header::ACCEPT);
    let accept = accept.map_or_else(String::new, |value| value.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await;
    let (reply, answer) = oneshot::channel();
    let _ = doors.requests.send(Exchange {
        path,
        authorization,
        accept,
        body: serde_json::from_slice(&body.unwrap()).unwrap_or(Json::Null),
        reply,
    });
    match answer.await {
        Ok(response) => response,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn upgrade(State(doors): State<Doors>, request: Request) -> Response {
    use axum::extract::FromRequest as _;
    let refusal = doors.refusals.lock().unwrap().pop_front();
    if let Some(status) = refusal {
        return status.into_response();
    }
    let authorization = header(&request);
    let query = request.uri().query().unwrap_or_default().to_owned();
    let upgrade = WebSocketUpgrade::from_request(request, &()).await.unwrap();
    upgrade.on_upgrade(move |socket| async move {
        let _ = doors.sockets.send(Peer {
            socket,
            authorization,
            query,
        });
    })
}

fn header(request: &Request) -> String {
    let value = request.headers().get(AUTHORIZATION);
    value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

impl Exchange {
    pub fn reply(self, status: u16, body: &Json) {
        self.reply_text(status, &body.to_string());
    }

    pub fn reply_text(self, status: u16, body: &str) {
        let status = StatusCode::from_u16(status).unwrap();
        let _ = self.reply.send((status, body.to_owned()).into_response());
    }

    /// An answer of `/v1/api/sql` with these results.
    pub fn succeed(self, results: &Json) {
        self.reply(200, &success(results));
    }

    /// An answer of `/v1/api/sql` with an error.
    pub fn fail(self, status: u16, code: &str) {
        self.reply(status, &failure(code));
    }

    /// An answer of `/v1/api/auth/login` or `refresh`.
    pub fn sign_in(self, access: &str, refresh: &str) {
        let time = "2026-01-31T10:00:00Z";
        self.reply(
            200,
            &json!({
                "user": {"id": "alice", "username": "alice", "role": "user", "email": null,
                    "created_at": time, "updated_at": time},
                "admin_ui_access": false, "expires_at": time, "access_token": access,
                "refresh_token": refresh, "refresh_expires_at": time,
            }),
        );
    }

    pub fn refuse_sign_in(self, status: u16, word: &str) {
        self.reply(status, &json!({"error": word, "message": "no"}));
    }

    /// An answer in pieces. Without an end, the connection breaks after the last one.
    pub fn stream(self, content_type: &'static str, pieces: &[&str], whole: bool) {
        let cut = (!whole).then(|| Err(std::io::Error::other("cut")));
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok((*piece).to_owned())).collect();
        let pieces = futures::stream::iter(pieces.into_iter().chain(cut));
        // Each piece leaves before the next one is there: else the cut takes those before it along.
        let pieces = pieces.then(async |piece| {
            tokio::task::yield_now().await;
            piece
        });
        let body = Body::from_stream(pieces);
        let headers = [(axum::http::header::CONTENT_TYPE, content_type)];
        let _ = self.reply.send((headers, body).into_response());
    }

    /// The connection breaks in the middle of the answer.
    pub fn break_off(self) {
        let broken =
            futures::stream::once(async { Err::<String, _>(std::io::Error::other("cut")) });
        let _ = self.reply.send(Response::new(Body::from_stream(broken)));
    }
}

impl Peer {
    /// The next message from the client.
    pub async fn receive(&mut self) -> Json {
        self.next().await.expect("the client is there")
    }

    /// The next message from the client, until it has gone.
    pub async fn next(&mut self) -> Option<Json> {
        loop {
            match self.socket.recv().await? {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(Message::Binary(bytes)) => panic!("not text: {bytes:?}"),
            }
        }
    }

    pub async fn frame(&mut self) -> Message {
        let frame = self.socket.recv().await;
        frame.expect("the client is there").unwrap()
    }

    pub async fn send(&mut self, message: &Json) {
        self.send_frame(Message::text(message.to_string())).await;
    }

    pub async fn send_frame(&mut self, frame: Message) {
        self.socket.send(frame).await.unwrap();
    }

    /// Takes `authenticate`, returns its token, and accepts it.
    pub async fn authenticate(&mut self) -> String {
        let token = self.token().await;
        self.accept().await;
        token
    }

    /// The token of `authenticate`.
    pub async fn token(&mut self) -> String {
        let message = self.receive().await;
        assert_eq!(message["type"], "authenticate");
        text(&message["token"])
    }

    pub async fn accept(&mut self) {
        self.accept_with("json", "none").await;
    }

    pub async fn accept_with(&mut self, serialization: &str, compression: &str) {
        self.send(
            &json!({"type": "auth_success", "user_id": "alice", "user": "alice", "role": "user",
            "protocol": {"serialization": serialization, "compression": compression,
                "features": ["resync", "auth_expiring", "pong", "seq"]}}),
        )
        .await;
    }

    pub async fn refuse(mut self) {
        self.send(&json!({"type": "auth_error", "message": "invalid token"}))
            .await;
    }

    /// Takes `subscribe`: its id on the wire, and the whole of it.
    pub async fn subscribe(&mut self) -> (String, Json) {
        let mut message = self.receive().await;
        assert_eq!(message["type"], "subscribe", "{message}");
        let subscription = message["subscription"].take();
        (text(&subscription["id"]), subscription)
    }

    /// Takes `subscribe` and answers it with a load of one batch.
    pub async fn serve(&mut self, rows: &[Json], seq: u64) -> String {
        let (id, _) = self.subscribe().await;
        self.send(&ack(&id)).await;
        self.send(&batch(&id, rows, Some(seq), false)).await;
        id
    }

    pub async fn close(mut self, code: u16) {
        let reason = "".into();
        let frame = Message::Close(Some(CloseFrame { code, reason }));
        self.send_frame(frame).await;
    }

    /// Waits until the client has gone. The code of its goodbye, if it said one.
    pub async fn gone(mut self) -> Option<u16> {
        let mut code = None;
        while let Some(Ok(frame)) = self.socket.recv().await {
            if let Message::Close(frame) = frame {
                code = frame.map(|frame| frame.code);
            }
        }
        code
    }
}

/// A port at which nobody listens, for as long as it is held.
pub struct ClosedPort {
    pub url: String,
    _socket: tokio::net::TcpSocket,
}

impl ClosedPort {
    pub fn new() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self {
            url: format!("http://{}", socket.local_addr().unwrap()),
            _socket: socket,
        }
    }
}

pub fn text(value: &Json) -> String {
    value.as_str().expect("it is text").to_owned()
}

pub fn success(results: &Json) -> Json {
    json!({"status": "success", "results": results, "took": 0.5})
}

pub fn failure(code: &str) -> Json {
    json!({"status": "error", "results": [{"row_count": 1, "as_user": "alice"}], "took": 0.5,
        "error": {"code": code, "message": "it failed", "details": null, "hint": "try another"}})
}

pub fn ack(id: &str) -> Json {
    json!({"type": "subscription_ack", "subscription_id": id, "total_rows": 0,
        "batch_control": {"batch_num": 0, "has_more": true, "status": "loading", "last_seq_id": null},
        "schema": [{"name": "id", "data_type": "BigInt", "index": 0, "flags": ["pk", "nn"]},
            {"name": "value", "data_type": "Text", "index": 1}],
        "key": [{"name": "id", "data_type": "BigInt"}]})
}

/// Of a query with LIMIT.
pub fn window_ack(id: &str) -> Json {
    let mut ack = ack(id);
    ack["limit"] = json!(2);
    ack
}

pub fn row(id: u64, value: &str, seq: u64) -> Json {
    json!({"id": id.to_string(), "value": value, "_seq": seq.to_string()})
}

pub fn batch(id: &str, rows: &[Json], last: Option<u64>, has_more: bool) -> Json {
    let status = if has_more { "loading" } else { "ready" };
    json!({"type": "initial_data_batch", "subscription_id": id, "rows": rows, "batch_control":
        {"batch_num": 0, "has_more": has_more, "status": status, "last_seq_id": last}})
}

pub fn insert(id: &str, key: u64, value: &str, seq: u64) -> Json {
    json!({"type": "change", "subscription_id": id, "change_type": "insert",
        "rows": [row(key, value, seq)], "seq": seq})
}

pub fn delete(id: &str, key: u64, seq: u64) -> Json {
    json!({"type": "change", "subscription_id": id, "change_type": "delete",
        "old_values": [{"id": key.to_string(), "_seq": seq.to_string()}], "seq": seq})
}
