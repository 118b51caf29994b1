//! Sections 1 to 4: frames of every size, pings and pongs, reserved bits and opcodes; and masks, which Autobahn cannot
//! leave out.

use serde_json::json;

use super::{Case, End, Form, PING_JSON, PROTOCOL_ERROR, run};
use crate::harness::TestNode;
use crate::ws::raw::{BINARY, CLOSE, Frame, PING, PONG, RawSocket, Received, TEXT};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_1_framing() {
    let mut cases = Vec::new();
    for (section, form) in [("1.1", Form::Json), ("1.2", Form::Msgpack)] {
        let empty = Frame::new(form.opcode(), "");
        // An empty frame is sound, and no message of the protocol.
        cases.push(
            Case::new(format!("{section}.1"), form)
                .frame(&empty)
                .ends(PROTOCOL_ERROR),
        );
        for (number, size) in (2..).zip([125, 126, 127, 128, 65_535, 65_536]) {
            cases.push(Case::new(format!("{section}.{number}"), form).ping(size));
        }
        for chop in [997, 1_000, 32_768] {
            let case = Case::new(format!("{section}.8 in chops of {chop}"), form);
            cases.push(case.ping(65_536).in_chops(chop));
        }
        cases.push(
            Case::new(format!("{section} byte by byte"), form)
                .ping(300)
                .in_chops(1),
        );
    }
    println!("{} cases", run(cases).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_2_pings_and_pongs() {
    let binary = [0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff];
    let ping = |payload: &[u8]| Frame::new(PING, payload);
    let answered =
        |number: &str, payload: &[u8]| Case::json(number).frame(&ping(payload)).pong(payload);
    let mut cases = vec![
        answered("2.1", b""),
        answered("2.2", b"Hello, world!"),
        answered("2.3", &binary),
        answered("2.4", &[0xfe; 125]),
        Case::json("2.5")
            .frame(&ping(&[0xfe; 126]))
            .ends(PROTOCOL_ERROR),
        answered("2.6", &[0xfe; 125]).in_chops(1),
        Case::json("2.7").frame(&Frame::new(PONG, "")),
        Case::json("2.8").frame(&Frame::new(PONG, "unsolicited pong payload")),
        Case::json("2.9")
            .frame(&Frame::new(PONG, "unsolicited pong payload"))
            .frame(&ping(b"ping payload"))
            .pong("ping payload"),
    ];
    let ten = (0..10).fold(Case::json("2.10"), |case, n| {
        let payload = format!("payload-{n}");
        case.frame(&ping(payload.as_bytes())).pong(payload)
    });
    for way in ten.in_each_way() {
        cases.push(way);
    }
    println!("{} cases", run(cases).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_3_reserved_bits() {
    let wrong = |opcode: u8, bits: u8| Frame::new(opcode, PING_JSON).reserved(bits);
    let then_ping = |case: Case, bits: u8| {
        case.ping(100)
            .frame(&wrong(TEXT, bits))
            .frame(&Frame::new(PING, ""))
            .ends(PROTOCOL_ERROR)
    };
    let mut cases = Vec::new();
    for bits in 1..=7 {
        let failing =
            |number: &str| Case::json(format!("{number} bits {bits}")).ends(PROTOCOL_ERROR);
        cases.extend([
            failing("3.1").frame(&wrong(TEXT, bits)),
            then_ping(failing("3.2"), bits).at_once(),
            then_ping(failing("3.3"), bits),
            then_ping(failing("3.4"), bits).in_chops(1),
            failing("3.5").frame(&wrong(BINARY, bits)),
            failing("3.6").frame(&wrong(PING, bits)),
            failing("3.7").frame(&Frame::close(1000, "").reserved(bits)),
        ]);
    }
    println!("{} cases", run(cases).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_4_reserved_opcodes() {
    let mut cases = Vec::new();
    for (section, opcodes) in [("4.1", 3..=7), ("4.2", 11..=15)] {
        for opcode in opcodes {
            let case = |number: u8, frame: &Frame| {
                Case::json(format!("{section}.{number} opcode {opcode}"))
                    .ends(PROTOCOL_ERROR)
                    .frame(frame)
            };
            let (empty, full) = (Frame::new(opcode, ""), Frame::new(opcode, PING_JSON));
            let after_a_ping = |number: u8, frame: &Frame| {
                Case::json(format!("{section}.{number} opcode {opcode}"))
                    .ping(100)
                    .frame(frame)
                    .frame(&Frame::new(PING, ""))
                    .ends(PROTOCOL_ERROR)
            };
            cases.extend([
                case(1, &empty),
                case(2, &full),
                after_a_ping(3, &empty),
                after_a_ping(4, &full).at_once(),
                after_a_ping(5, &full).in_chops(1),
            ]);
        }
    }
    println!("{} cases", run(cases).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_without_a_mask_are_refused() {
    let cases = [TEXT, BINARY, PING, PONG, CLOSE].map(|opcode| {
        Case::json(format!("opcode {opcode} without a mask"))
            .frame(&Frame::new(opcode, "").unmasked())
            .ends(PROTOCOL_ERROR)
    });
    run(cases.into()).await;
    let message = Case::json("a message without a mask")
        .frame(&Frame::new(TEXT, PING_JSON).unmasked())
        .ends(PROTOCOL_ERROR);
    run(vec![message]).await;
}

/// A length has 63 bits at most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_of_an_impossible_length_are_refused() {
    let cases = [1 << 63, u64::MAX, i64::MAX.unsigned_abs()].map(|bytes| {
        Case::json(format!("a frame of {bytes} bytes"))
            .frame(&Frame::new(TEXT, "{").declared(bytes))
            .ends(End::Failed(&[1002, 1009]))
    });
    run(cases.into()).await;
}

/// Sections 12 and 13: the server compresses by its own protocol and takes part in no extension.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_12_extensions_are_declined() {
    let node = TestNode::start().await;
    for offer in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits; server_no_context_takeover",
        "x-webkit-deflate-frame, permessage-bzip2",
    ] {
        let offers = [("Sec-WebSocket-Extensions", offer)];
        let mut socket = RawSocket::open(&node.url(), "/v1/ws", &offers)
            .await
            .unwrap();
        let head = socket.head.to_lowercase();
        assert!(!head.contains("sec-websocket-extensions"), "{head}");
        let protocol = json!({"features": ["pong"]});
        socket
            .authenticate(&node.token("root").await, &protocol)
            .await;
        socket.send_frame(&Frame::new(TEXT, PING_JSON)).await;
        assert_eq!(
            socket.next().await,
            Received::Text(r#"{"type":"pong"}"#.to_owned())
        );
    }
    node.stop().await;
}

/// A server that wants binary messages was asked for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn binary_frames_need_messagepack() {
    let node = TestNode::start().await;
    for payload in [
        Form::Msgpack.ping(14),
        Form::Json.ping(15),
        vec![0xc1],
        Vec::new(),
    ] {
        let mut socket = RawSocket::open(&node.url(), "/v1/ws", &[]).await.unwrap();
        let protocol = json!({"features": ["pong"]});
        socket
            .authenticate(&node.token("root").await, &protocol)
            .await;
        socket.send_frame(&Frame::new(BINARY, payload)).await;
        let answer = socket.next().await.message().unwrap();
        assert_eq!(answer["type"], "error", "{answer}");
        assert_eq!(answer["code"], "UNSUPPORTED_DATA", "{answer}");
        assert_eq!(answer["subscription_id"], "protocol", "{answer}");
    }
    node.stop().await;
}
