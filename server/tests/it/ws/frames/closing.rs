//! Section 7: how sockets close.

use super::{Case, End, Form, PING_JSON, PROTOCOL_ERROR, hex, run};
use crate::ws::raw::{CLOSE, CONTINUATION, Frame, PING, TEXT};

const ECHOED: [u16; 13] = [
    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
];

/// What stands for something else on the wire, is reserved, or is no code.
const REFUSED: [u16; 13] = [
    0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_534, 65_535,
];

const NORMAL: End = End::Closed(Some(1000));

fn close() -> Frame {
    Frame::close(1000, "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_7_closing() {
    let ping = Frame::new(TEXT, PING_JSON);
    let (begun, ended) = (
        Frame::new(TEXT, "fragment1").more(),
        Frame::new(CONTINUATION, "fragment2"),
    );
    let cases = vec![
        Case::json("7.1.1").ping(100).frame(&close()).ends(NORMAL),
        Case::json("7.1.2")
            .frames([&close(), &close()])
            .at_once()
            .ends(NORMAL),
        Case::json("7.1.3")
            .frames([&close(), &Frame::new(PING, "")])
            .at_once()
            .ends(NORMAL),
        Case::json("7.1.4")
            .frames([&close(), &ping])
            .at_once()
            .ends(NORMAL),
        Case::json("7.1.5")
            .frames([&begun, &close(), &ended])
            .at_once()
            .ends(NORMAL),
        Case::json("7.1.6")
            .ping(262_144)
            .ping(100)
            .frame(&close())
            .frame(&Frame::new(PING, ""))
            .ends(NORMAL),
        Case::json("7.3.1")
            .frame(&Frame::new(CLOSE, ""))
            .ends(End::Closed(None)),
        Case::json("7.3.2")
            .frame(&Frame::new(CLOSE, "a"))
            .ends(PROTOCOL_ERROR),
        Case::json("7.3.3").frame(&close()).ends(NORMAL),
        Case::json("7.3.4")
            .frame(&Frame::close(1000, "Hello World!"))
            .ends(NORMAL),
        Case::json("7.3.5")
            .frame(&Frame::close(1000, "*".repeat(123)))
            .ends(NORMAL),
        Case::json("7.3.6")
            .frame(&Frame::close(1000, "*".repeat(124)))
            .ends(PROTOCOL_ERROR),
        Case::json("a close byte by byte")
            .frame(&Frame::close(1000, "Hello World!"))
            .in_chops(1)
            .ends(NORMAL),
        Case::new("a close of a socket that speaks MessagePack", Form::Msgpack)
            .ping(100)
            .frame(&close())
            .ends(NORMAL),
    ];
    println!("{} cases", run(cases).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_7_close_codes() {
    let mut cases = Vec::new();
    for code in ECHOED {
        let case = |how: &str| Case::json(format!("7.7 code {code} {how}"));
        cases.extend(
            [
                case("alone").frame(&Frame::close(code, "")),
                case("with a reason").frame(&Frame::close(code, "a reason")),
            ]
            .map(|case| case.ends(End::Closed(Some(code)))),
        );
    }
    for code in REFUSED {
        let case = |how: &str| Case::json(format!("7.9 and 7.13 code {code} {how}"));
        cases.extend(
            [
                case("alone").frame(&Frame::close(code, "")),
                case("with a reason").frame(&Frame::close(code, "a reason")),
            ]
            .map(|case| case.ends(PROTOCOL_ERROR)),
        );
    }
    for reason in [
        &b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited"[..],
        b"\xff",
        b"\xc3",
    ] {
        let case = Case::json(format!("7.5.1 reason {}", hex(reason)));
        // That the reason is no text and that the frame is malformed are both true.
        cases.push(
            case.frame(&Frame::close(1000, reason))
                .ends(End::Failed(&[1007, 1002])),
        );
    }
    println!("{} cases", run(cases).await);
}
