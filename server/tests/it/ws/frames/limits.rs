//! Section 9: large messages, many messages, many pieces. The server takes 1 MB in one message and no more.

use serde_json::json;

use super::{Case, End, Form, PING_JSON, run};
use crate::harness::TestNode;
use crate::ws::raw::{CONTINUATION, Frame, PING, RawSocket, Received, TEXT, fragments};

const MESSAGE_BYTES_MAX: usize = 1_048_576;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_9_large_messages() {
    let mut cases = Vec::new();
    for (number, form) in [1, 2].into_iter().zip(Form::BOTH) {
        for size in [65_536, 262_144, MESSAGE_BYTES_MAX] {
            cases.push(Case::new(format!("9.{number} {size} bytes"), form).ping(size));
        }
        let whole = form.ping(MESSAGE_BYTES_MAX);
        for size in [64, 256, 1_024, 4_096, 16_384, 65_536, 262_144] {
            let frames = fragments(form.opcode(), &whole, size);
            let case = Case::new(format!("9.{} in frames of {size}", number + 2), form);
            cases.push(case.frames(&frames).at_once().answers(1));
        }
        for size in [64, 128, 256, 512, 1_024, 2_048] {
            let case = Case::new(format!("9.{} in chops of {size}", number + 4), form);
            cases.push(case.ping(MESSAGE_BYTES_MAX).in_chops(size));
        }
        for size in [16, 64, 256, 1_024, 4_096, 16_384] {
            let case = Case::new(format!("9.{} 1,000 messages of {size}", number + 6), form);
            cases.push((0..1_000).fold(case, |case, _| case.ping(size)));
        }
    }
    println!("{} cases", run(cases).await);
}

/// Each waits for the answer to the one before, as over a slow line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_9_messages_one_after_another() {
    let node = TestNode::start().await;
    let mut socket = authenticated(&node).await;
    for n in 0..1_000 {
        let size = PING_JSON.len() + n * 7 % 5_000;
        socket
            .send_frame(&Frame::new(TEXT, Form::Json.ping(size)))
            .await;
        assert_eq!(socket.next().await, pong(), "{n}");
    }
    node.stop().await;
}

/// A message whose frames leave one for each round trip, which a ping makes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_9_messages_over_many_round_trips() {
    let node = TestNode::start().await;
    let mut socket = authenticated(&node).await;
    let frames = fragments(TEXT, &Form::Json.ping(20_000), 97);
    let (last, before) = frames.split_last().unwrap();
    for (n, frame) in before.iter().enumerate() {
        socket.send_frame(frame).await;
        let payload = n.to_string().into_bytes();
        socket
            .send_frame(&Frame::new(PING, payload.as_slice()))
            .await;
        assert_eq!(socket.next().await, Received::Pong(payload));
    }
    socket.send_frame(last).await;
    assert_eq!(socket.next().await, pong());
    node.stop().await;
}

async fn authenticated(node: &TestNode) -> RawSocket {
    let mut socket = RawSocket::open(&node.url(), "/v1/ws", &[]).await.unwrap();
    let protocol = json!({"features": ["pong"]});
    socket
        .authenticate(&node.token("root").await, &protocol)
        .await;
    socket
}

fn pong() -> Received {
    Received::Text(r#"{"type":"pong"}"#.to_owned())
}

/// Only what makes the message too large is left unsent: the answer must not get lost with bytes that nobody reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_9_messages_over_the_limit_are_refused() {
    const TOO_LARGE: End = End::Failed(&[1009]);
    let mut cases = Vec::new();
    for form in Form::BOTH {
        for bytes in [MESSAGE_BYTES_MAX + 1, 4 << 20, 8 << 20, 16 << 20, 1 << 40] {
            let frame = Frame::new(form.opcode(), "").declared(bytes as u64);
            let case = Case::new(format!("9 {form:?} {bytes} bytes"), form);
            cases.push(case.frame(&frame).ends(TOO_LARGE));
        }
        for size in [1_024, 65_536, MESSAGE_BYTES_MAX] {
            let mut frames = fragments(form.opcode(), &form.ping(MESSAGE_BYTES_MAX), size);
            let last = frames.pop().unwrap().more();
            let one_more = Frame::new(CONTINUATION, "x");
            let case = Case::new(format!("9 {form:?} too large in frames of {size}"), form);
            cases.push(
                case.frames(&frames)
                    .frames([&last, &one_more])
                    .at_once()
                    .ends(TOO_LARGE),
            );
        }
    }
    println!("{} cases", run(cases).await);
}

/// The code says what the close frame cannot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_over_the_limit_is_named() {
    let node = TestNode::start_with(&[("KALAMDB_WEBSOCKET_MESSAGE_BYTES_MAX", "100000")]).await;
    let mut socket = authenticated(&node).await;
    socket
        .send_frame(&Frame::new(TEXT, Form::Json.ping(100_000)))
        .await;
    assert_eq!(socket.next().await, pong(), "as large as allowed");
    let frame = Frame::new(TEXT, "").declared(100_001);
    socket.send_frame(&frame).await;
    let error = socket.next().await.message().unwrap();
    assert_eq!(error["type"], "error", "{error}");
    assert_eq!(error["code"], "MESSAGE_TOO_LARGE", "{error}");
    assert_eq!(error["subscription_id"], "protocol", "{error}");
    assert_eq!(socket.next().await, Received::Close(Some(1009)));
    assert_eq!(socket.next().await, Received::End);
    node.stop().await;
}
