//! Peers that break every rule: each gets its error or its close, and the server stays as it was.

use futures::StreamExt as _;
use serde_json::{Value, json};

use super::msgpack;
use super::raw::{
    BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, RawSocket, Received, TEXT, assert_known,
};
use crate::generator::{Numbers, message};
use crate::harness::ServerProcess;

/// Sequences of the short form; `KALAMDB_LONG_TESTS=1` sends ten times as many.
const SEQUENCES: u64 = 10_000;
/// Sequences before memory is looked at.
const WARM_UP: u64 = 1_000;
const PARALLEL: usize = 48;
const GROWTH_MAX_KIB: u64 = 64 * 1_024;

/// Codes with which the server may close a socket of a peer that breaks the rules.
const CLOSES: [u16; 5] = [1002, 1003, 1007, 1008, 1009];

const ALL: &str = "SELECT * FROM app.t";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_peers_get_their_error_and_leave_the_server_as_it_was() {
    let server = ServerProcess::start(&[]).await;
    server.sql_ok("CREATE NAMESPACE app").await;
    server
        .sql_ok("CREATE TABLE app.t (id BIGINT PRIMARY KEY, body TEXT, n INT)")
        .await;
    let rows: Vec<String> = (0..200)
        .map(|id| format!("({id}, repeat('x', 1000), {id})"))
        .collect();
    server
        .sql_ok(&format!("INSERT INTO app.t VALUES {}", rows.join(", ")))
        .await;
    // Connections that are half open until the end: nobody waits for them.
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(RawSocket::open(server.url(), "/v1/ws", &[]).await.unwrap());
    }
    run(&server, 0..WARM_UP).await;
    let before = server.memory_kib();
    let long = std::env::var_os("KALAMDB_LONG_TESTS").is_some();
    let sequences = if long { SEQUENCES * 10 } else { SEQUENCES };
    run(&server, WARM_UP..sequences).await;
    for mut socket in idle {
        let all = socket.rest().await;
        let message = all[0].message().unwrap();
        let expected = json!({"type": "auth_error", "message": "Authentication timeout"});
        assert_eq!(message, expected);
    }
    let after = server.memory_kib();
    println!("{sequences} sequences, {before} KiB before and {after} KiB after");
    assert!(
        after <= before + GROWTH_MAX_KIB,
        "memory grew from {before} to {after} KiB"
    );
    let answer = server.sql_ok("SELECT count(*) FROM app.t").await;
    assert_eq!(answer["results"][0]["rows"], json!([["200"]]));
    let metrics = server
        .client()
        .get(format!("{}/metrics", server.url()))
        .send()
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("kalamdb_panics_total 0\n"), "{metrics}");
    assert!(!server.log().contains("panicked"), "{}", server.log());
    server.stop().await;
}

async fn run(server: &ServerProcess, seeds: std::ops::Range<u64>) {
    futures::stream::iter(seeds)
        .for_each_concurrent(PARALLEL, |seed| async move {
            let mut sequence = Sequence {
                seed,
                numbers: Numbers::seeded(seed + 1),
                url: server.url(),
                token: server.token(),
            };
            sequence.run().await;
        })
        .await;
}

/// What one peer does.
struct Sequence<'a> {
    seed: u64,
    numbers: Numbers,
    url: &'a str,
    token: &'a str,
}

/// How a socket ended up.
#[derive(Debug)]
struct Outcome {
    messages: Vec<Value>,
    /// The code of the close frame; `None` if the socket still answers.
    closed: Option<u16>,
}

impl Outcome {
    fn codes(&self) -> Vec<&str> {
        self.messages
            .iter()
            .filter(|message| message["type"] == "error")
            .filter_map(|message| message["code"].as_str())
            .collect()
    }
}

impl Sequence<'_> {
    async fn run(&mut self) {
        match self.numbers.below(24) {
            0 => self.stranger_asks().await,
            1 => self.stranger_sends_garbage().await,
            2 => self.stranger_lies().await,
            3 => self.stranger_sends_too_much().await,
            4 => self.peer_breaks_off_the_upgrade().await,
            5 | 6 => self.known_peer_mutates_messages().await,
            7 => self.known_peer_sends_wrong_types().await,
            8 => self.known_peer_names_unknown_ids().await,
            9 => self.known_peer_names_invalid_ids().await,
            10 => self.known_peer_subscribes_twice().await,
            11 | 12 => self.known_peer_subscribes_to_garbage().await,
            13 => self.known_peer_floods().await,
            14 => self.known_peer_sends_random_bytes().await,
            15 => self.known_peer_breaks_frames().await,
            16 => self.known_peer_sends_too_much().await,
            17 => self.known_peer_stops_in_the_middle().await,
            18 => self.known_peer_leaves_a_load().await,
            19 | 20 => self.known_peer_sends_bad_messagepack().await,
            21 => self.known_peer_queries_garbage().await,
            22 => self.known_peer_does_not_read().await,
            _ => self.known_peer_sends_binary().await,
        }
    }

    async fn stranger(&self) -> RawSocket {
        RawSocket::open(self.url, "/v1/ws", &[]).await.unwrap()
    }

    /// A socket that is past authentication.
    async fn known(&self, serialization: &str) -> RawSocket {
        let mut socket = self.stranger().await;
        let protocol =
            json!({"serialization": serialization, "features": ["pong", "seq", "resync"]});
        socket.authenticate(self.token, &protocol).await;
        socket
    }

    /// Asks whether the socket still answers, and reads what came before.
    async fn outcome(&self, socket: &mut RawSocket) -> Outcome {
        socket.send_message(&json!({"type": "ping"})).await;
        let mut messages = Vec::new();
        let closed = loop {
            let received = socket.next().await;
            match received {
                Received::Close(code) => break Some(code.unwrap_or_default()),
                Received::Ping(_) | Received::Pong(_) => {}
                Received::End => panic!("{}: no close frame after {messages:?}", self.seed),
                received => {
                    let message = received.message().unwrap();
                    assert_known(&message);
                    if message["type"] == "pong" {
                        break None;
                    }
                    messages.push(message);
                }
            }
        };
        if let Some(code) = closed {
            assert!(CLOSES.contains(&code), "{}: {code} {messages:?}", self.seed);
        }
        Outcome { messages, closed }
    }

    /// The server closes with this code.
    async fn assert_closed(&self, socket: &mut RawSocket, wanted: u16) {
        let outcome = self.outcome(socket).await;
        assert_eq!(outcome.closed, Some(wanted), "{}: {outcome:?}", self.seed);
    }

    /// The server says one of these codes; whether it goes on is its choice.
    async fn assert_refused(&self, socket: &mut RawSocket, wanted: &[&str]) {
        let outcome = self.outcome(socket).await;
        let codes = outcome.codes();
        assert!(
            !codes.is_empty() || outcome.closed.is_some(),
            "{}: {outcome:?}",
            self.seed
        );
        for code in codes {
            assert!(wanted.contains(&code), "{}: {outcome:?}", self.seed);
        }
    }

    /// The socket goes on.
    async fn assert_open(&self, socket: &mut RawSocket) -> Outcome {
        let outcome = self.outcome(socket).await;
        assert_eq!(outcome.closed, None, "{}: {outcome:?}", self.seed);
        outcome
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.size(from.len())].clone()
    }

    /// Below `end`.
    fn size(&mut self, end: usize) -> usize {
        usize::try_from(self.numbers.below(end as u64)).unwrap()
    }

    fn bytes(&mut self, max: usize) -> Vec<u8> {
        (0..self.size(max))
            .map(|_| self.numbers.next().to_le_bytes()[0])
            .collect()
    }

    /// A message that is sound.
    fn sound(&mut self) -> Value {
        let sound = [
            json!({"type": "subscribe", "subscription": {"id": "s", "sql": ALL, "options": {"batch_size": 10, "last_rows": 5}}}),
            json!({"type": "subscribe", "subscription": {"id": "s", "sql": "SELECT * FROM app.t WHERE id = $1", "params": ["1"], "options": {"from": 0}}}),
            json!({"type": "next_batch", "subscription_id": "s", "last_seq_id": 1}),
            json!({"type": "unsubscribe", "subscription_id": "s"}),
            json!({"type": "query", "id": "q", "sql": "SELECT $1", "params": [1], "namespace_id": "app"}),
            json!({"type": "ping"}),
        ];
        self.pick(&sound)
    }

    fn mutated(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        for _ in 0..=self.size(4) {
            let at = self.size(bytes.len());
            match self.numbers.below(4) {
                0 => bytes[at] = self.numbers.next().to_le_bytes()[0],
                1 if bytes.len() > 1 => {
                    bytes.remove(at);
                }
                2 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, self.pick(b"\"{}[],:0\\'")),
            }
        }
        bytes
    }

    async fn stranger_asks(&mut self) {
        let mut socket = self.stranger().await;
        let message = self.sound();
        socket.send_message(&message).await;
        self.stranger_refused(&mut socket, &["AUTH_REQUIRED"]).await;
    }

    /// A stranger's ping is no sign of life, so the error or the close is awaited.
    async fn stranger_refused(&self, socket: &mut RawSocket, wanted: &[&str]) {
        let received = socket.next().await;
        match received {
            Received::Close(Some(code)) => assert!(CLOSES.contains(&code), "{}: {code}", self.seed),
            received => {
                let message = received
                    .message()
                    .unwrap_or_else(|| panic!("{}: {received:?}", self.seed));
                assert_known(&message);
                let code = message["code"].as_str().unwrap_or_default();
                assert!(
                    wanted.contains(&code) || message["type"] == "auth_error",
                    "{}: {message}",
                    self.seed
                );
            }
        }
    }

    async fn stranger_sends_garbage(&mut self) {
        let mut socket = self.stranger().await;
        let text = match self.numbers.below(4) {
            0 => message(&mut self.numbers),
            1 => r#"{"type":"authenticate","method":"jwt","tok"#.to_owned(),
            2 => "[".repeat(5_000),
            _ => String::new(),
        };
        socket.send_frame(&Frame::new(TEXT, text)).await;
        self.stranger_refused(&mut socket, &["PROTOCOL", "AUTH_REQUIRED"])
            .await;
    }

    async fn stranger_lies(&mut self) {
        let mut socket = self.stranger().await;
        let token = self.pick(&[
            "",
            "abc",
            "a.b.c",
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.",
        ]);
        let message = json!({"type": "authenticate", "method": "jwt", "token": token});
        socket.send_message(&message).await;
        let all = socket.rest().await;
        assert_eq!(
            all[0].message().unwrap()["type"],
            "auth_error",
            "{}",
            self.seed
        );
        assert!(
            matches!(all.last(), Some(Received::Close(_))),
            "{}: {all:?}",
            self.seed
        );
    }

    async fn stranger_sends_too_much(&mut self) {
        let mut socket = self.stranger().await;
        let bytes = self.pick(&[16_385, 100_000, 2_000_000, 1 << 40]);
        let opcode = self.pick(&[TEXT, BINARY]);
        socket
            .send_frame(&Frame::new(opcode, "").declared(bytes))
            .await;
        self.stranger_refused(&mut socket, &["MESSAGE_TOO_LARGE"])
            .await;
    }

    async fn peer_breaks_off_the_upgrade(&mut self) {
        use tokio::io::AsyncWriteExt as _;
        let address = self.url.trim_start_matches("http://");
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let upgrade = b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let end = self.size(upgrade.len() + 1);
        stream.write_all(&upgrade[..end]).await.unwrap();
    }

    async fn known_peer_mutates_messages(&mut self) {
        let mut socket = self.known("json").await;
        for _ in 0..=self.size(5) {
            let sound = self.sound().to_string().into_bytes();
            let bytes = self.mutated(sound);
            socket.send_frame(&Frame::new(TEXT, bytes)).await;
        }
        self.outcome(&mut socket).await;
    }

    async fn known_peer_sends_wrong_types(&mut self) {
        let mut socket = self.known("json").await;
        let mut message = self.sound();
        let values = [
            json!(null),
            json!(1.5),
            json!(-1),
            json!([]),
            json!({"a": {}}),
            json!(""),
            json!("x"),
        ];
        let wrong = self.pick(&values);
        let names: Vec<String> = message.as_object().unwrap().keys().cloned().collect();
        let name = self.pick(&names);
        message[name] = wrong;
        socket.send_message(&message).await;
        self.outcome(&mut socket).await;
    }

    async fn known_peer_names_unknown_ids(&mut self) {
        let mut socket = self.known("json").await;
        for _ in 0..=self.size(10) {
            let id = message(&mut self.numbers);
            let kind = self.pick(&["next_batch", "unsubscribe"]);
            socket
                .send_message(&json!({"type": kind, "subscription_id": id}))
                .await;
        }
        let outcome = self.assert_open(&mut socket).await;
        assert_eq!(outcome.messages, Vec::<Value>::new(), "{}", self.seed);
    }

    async fn known_peer_names_invalid_ids(&mut self) {
        let mut socket = self.known("json").await;
        let id = self.pick(&[String::new(), "x".repeat(257), "ü".repeat(1_000)]);
        let subscription = json!({"id": id, "sql": ALL});
        socket
            .send_message(&json!({"type": "subscribe", "subscription": subscription}))
            .await;
        let outcome = self.assert_open(&mut socket).await;
        assert_eq!(
            outcome.codes(),
            ["INVALID_SUBSCRIPTION_ID"],
            "{}",
            self.seed
        );
    }

    async fn known_peer_subscribes_twice(&mut self) {
        let mut socket = self.known("json").await;
        let options = self.pick(&[
            json!({"batch_size": 1}),
            json!({"last_rows": 0}),
            json!({"from": 0}),
        ]);
        for _ in 0..=self.size(20) {
            let subscription = json!({"id": "s", "sql": ALL, "options": options});
            socket
                .send_message(&json!({"type": "subscribe", "subscription": subscription}))
                .await;
            socket
                .send_message(&json!({"type": "next_batch", "subscription_id": "s"}))
                .await;
        }
        self.assert_open(&mut socket).await;
    }

    async fn known_peer_subscribes_to_garbage(&mut self) {
        const WORDS: &[&str] = &[
            "SELECT",
            "*",
            "FROM",
            "app.t",
            "WHERE",
            "id",
            "=",
            "'",
            "\"",
            "(",
            ")",
            ";",
            "--",
            "/*",
            "$1",
            "NULL",
            "ORDER BY",
            "LIMIT",
            "1e400",
            "9223372036854775808",
            "JOIN",
            "GROUP BY",
            "UNION",
            "SUBSCRIBE TO",
            "OPTIONS",
            "from_seq_id",
            "\u{0}",
            "😂",
            "LIKE",
            "CASE",
            "WHEN",
            "CAST",
            "[",
            "{",
            "system.users",
            "CURRENT_USER()",
            "NOW()",
            "_seq",
            "BETWEEN",
            "-1",
            "INSERT INTO",
            "DROP TABLE",
            "KILL LIVE QUERY",
        ];
        let mut socket = self.known("json").await;
        for n in 0..=self.size(5) {
            let words: Vec<&str> = (0..self.size(25)).map(|_| self.pick(WORDS)).collect();
            let sql = if n == 0 {
                format!("SELECT * FROM app.t {}", words.join(" "))
            } else {
                words.join(" ")
            };
            let subscription =
                json!({"id": n.to_string(), "sql": sql, "options": {"last_rows": 1}});
            socket
                .send_message(&json!({"type": "subscribe", "subscription": subscription}))
                .await;
        }
        let outcome = self.assert_open(&mut socket).await;
        for code in outcome.codes() {
            let wanted = ["INVALID_SQL", "UNSUPPORTED", "NOT_FOUND"];
            assert!(wanted.contains(&code), "{}: {outcome:?}", self.seed);
        }
    }

    async fn known_peer_floods(&mut self) {
        let mut socket = self.known("json").await;
        let mut bytes = Vec::new();
        let frame = match self.numbers.below(3) {
            0 => Frame::new(PING, "x"),
            1 => Frame::new(PONG, "x"),
            _ => Frame::new(TEXT, r#"{"type":"next_batch","subscription_id":"none"}"#),
        };
        for _ in 0..300 {
            bytes.extend(frame.bytes());
        }
        socket.send(&bytes).await;
        self.assert_open(&mut socket).await;
    }

    /// Whatever they mean: the connection ends, with or without a close frame.
    async fn known_peer_sends_random_bytes(&mut self) {
        let mut socket = self.known("json").await;
        let bytes = self.bytes(300);
        socket.send(&bytes).await;
        drop(socket);
    }

    async fn known_peer_breaks_frames(&mut self) {
        let mut socket = self.known("json").await;
        let opcode = self.pick(&[3, 4, 5, 6, 7, 11, 12, 13, 14, 15]);
        let bits = 1 + u8::try_from(self.size(7)).unwrap();
        let wrong = [
            vec![Frame::new(opcode, "x")],
            vec![Frame::new(TEXT, "x").reserved(bits)],
            vec![Frame::new(TEXT, "x").unmasked()],
            vec![Frame::new(CONTINUATION, "x")],
            vec![Frame::new(PING, "x").more()],
            vec![Frame::new(PING, vec![0; 126])],
            vec![Frame::new(CLOSE, "x")],
            vec![Frame::new(TEXT, "x").more(), Frame::new(TEXT, "x")],
            vec![
                Frame::new(TEXT, "x").more(),
                Frame::new(CONTINUATION, "x").more(),
                Frame::new(BINARY, "x"),
            ],
        ];
        for frame in self.pick(&wrong) {
            socket.send_frame(&frame).await;
        }
        self.assert_closed(&mut socket, 1002).await;
    }

    async fn known_peer_sends_too_much(&mut self) {
        let mut socket = self.known("json").await;
        if self.numbers.below(2) == 0 {
            let bytes = self.pick(&[1_048_577, 1 << 30, 1 << 62]);
            socket
                .send_frame(&Frame::new(TEXT, "").declared(bytes))
                .await;
        } else {
            let part = Frame::new(CONTINUATION, vec![b' '; 131_072]).more();
            socket.send_frame(&Frame::new(TEXT, "{").more()).await;
            for _ in 0..8 {
                socket.send_frame(&part).await;
            }
        }
        let outcome = self.outcome(&mut socket).await;
        assert_eq!(outcome.closed, Some(1009), "{}: {outcome:?}", self.seed);
        assert_eq!(outcome.codes(), ["MESSAGE_TOO_LARGE"], "{}", self.seed);
    }

    async fn known_peer_stops_in_the_middle(&mut self) {
        let mut socket = self.known("json").await;
        let whole = Frame::new(TEXT, self.sound().to_string()).bytes();
        let end = self.size(whole.len());
        socket.send(&whole[..end]).await;
        if self.numbers.below(2) == 0 {
            socket
                .send_frame(&Frame::new(TEXT, vec![b' '; 1_000_000]).more())
                .await;
        }
    }

    async fn known_peer_leaves_a_load(&mut self) {
        let mut socket = self.known("json").await;
        let batch_size = 1 + self.size(50);
        for n in 0..=self.size(5) {
            let subscription =
                json!({"id": n.to_string(), "sql": ALL, "options": {"batch_size": batch_size}});
            socket
                .send_message(&json!({"type": "subscribe", "subscription": subscription}))
                .await;
        }
        if self.numbers.below(2) == 0 {
            socket.next().await;
        }
    }

    async fn known_peer_sends_bad_messagepack(&mut self) {
        let mut socket = self.known("msgpack").await;
        let bytes = match self.numbers.below(3) {
            0 => self.bytes(200),
            1 => {
                let bomb = [0xdf_u8, 0xff, 0xff, 0xff, 0xff];
                bomb[..1 + self.size(5)].to_vec()
            }
            _ => {
                let sound = msgpack::write(&self.sound());
                self.mutated(sound)
            }
        };
        socket.send_frame(&Frame::new(BINARY, bytes)).await;
        self.outcome(&mut socket).await;
    }

    async fn known_peer_queries_garbage(&mut self) {
        let mut socket = self.known("json").await;
        let sql = message(&mut self.numbers);
        let params = self.pick(&[json!(null), json!([]), json!([1, "x", null, {"a": 1}])]);
        let query = json!({"type": "query", "id": sql, "sql": sql, "params": params, "namespace_id": "no\u{0}such"});
        socket.send_message(&query).await;
        loop {
            let received = socket.next().await;
            let message = received
                .message()
                .unwrap_or_else(|| panic!("{}: {received:?}", self.seed));
            assert_known(&message);
            if message["type"] == "query_result" {
                assert_eq!(message["status"], "error", "{}: {message}", self.seed);
                break;
            }
        }
        self.assert_open(&mut socket).await;
    }

    /// Answers pile up until it goes.
    async fn known_peer_does_not_read(&mut self) {
        let mut socket = self.known("json").await;
        for n in 0..5 {
            let subscription = json!({"id": n.to_string(), "sql": ALL, "options": {}});
            socket
                .send_message(&json!({"type": "subscribe", "subscription": subscription}))
                .await;
            let query = json!({"type": "query", "id": "q", "sql": "SELECT repeat('x', 50000)"});
            socket.send_message(&query).await;
        }
    }

    async fn known_peer_sends_binary(&mut self) {
        let mut socket = self.known("json").await;
        let bytes = self.bytes(100);
        socket.send_frame(&Frame::new(BINARY, bytes)).await;
        self.assert_refused(&mut socket, &["UNSUPPORTED_DATA"])
            .await;
    }
}
