//! Section 5: messages in several frames, with others between them; section 10: messages that a client's library cuts.

use super::{Case, Form, PING_JSON, PROTOCOL_ERROR, run};
use crate::ws::raw::{CONTINUATION, Frame, PING, PONG, TEXT, fragments};

/// A `ping` message in two frames.
fn halves() -> [Frame; 2] {
    let (first, second) = PING_JSON.split_at(7);
    [
        Frame::new(TEXT, first).more(),
        Frame::new(CONTINUATION, second),
    ]
}

/// A frame that continues nothing.
fn stray() -> Frame {
    Frame::new(CONTINUATION, "non-continuation payload")
}

fn whole() -> Frame {
    Frame::new(TEXT, PING_JSON)
}

fn control(opcode: u8) -> Frame {
    Frame::new(opcode, "control")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_5_fragmentation() {
    let [first, second] = halves();
    let fragmented_control = |number: &str, opcode: u8| {
        Case::json(number)
            .frame(&Frame::new(opcode, "frag").more())
            .frame(&Frame::new(CONTINUATION, "ment"))
            .ends(PROTOCOL_ERROR)
    };
    let with_ping_between = Case::json("5.6 to 5.8")
        .frames([&first, &control(PING), &second])
        .pong("control")
        .answers(1);
    let continues_nothing = |number: &str, stray: &Frame| {
        Case::json(number)
            .frames([stray, &whole()])
            .ends(PROTOCOL_ERROR)
    };
    let five_frames = {
        let frames = fragments(TEXT, PING_JSON.as_bytes(), 3);
        assert_eq!(frames.len(), 5);
        Case::json("5.19 and 5.20")
            .frames(&frames[..2])
            .frame(&Frame::new(PING, "pongme 1!"))
            .frames(&frames[2..4])
            .frame(&Frame::new(PING, "pongme 2!"))
            .frame(&frames[4])
            .pong("pongme 1!")
            .pong("pongme 2!")
            .answers(1)
    };
    let groups = [
        fragmented_control("5.1", PING),
        fragmented_control("5.2", PONG),
        Case::json("5.3 to 5.5")
            .frames(&[first.clone(), second.clone()])
            .answers(1),
        with_ping_between,
        continues_nothing("5.9 to 5.11", &stray()),
        continues_nothing("5.12 to 5.14", &stray().more()),
        Case::json("5.15")
            .frames([&first, &second, &stray().more(), &whole()])
            .answers(1)
            .ends(PROTOCOL_ERROR),
        Case::json("5.16")
            .frames([
                &stray().more(),
                &first,
                &second,
                &stray().more(),
                &first,
                &second,
            ])
            .ends(PROTOCOL_ERROR),
        Case::json("5.17")
            .frames([&stray(), &first, &second, &stray(), &first, &second])
            .ends(PROTOCOL_ERROR),
        Case::json("5.18")
            .frames([&first, &Frame::new(TEXT, "second")])
            .ends(PROTOCOL_ERROR),
        five_frames,
    ];
    let mut cases: Vec<Case> = groups.into_iter().flat_map(Case::in_each_way).collect();
    cases.extend(more_fragmentation());
    println!("{} cases", run(cases).await);
}

/// Beyond Autobahn's list, by the same rules.
fn more_fragmentation() -> Vec<Case> {
    let [first, second] = halves();
    let mut cases = vec![
        Case::json("a message that never ends").frame(&first),
        Case::json("pongs between fragments")
            .frames([&first, &control(PONG), &control(PONG), &second])
            .answers(1),
        Case::json("a whole message inside another")
            .frames([&first, &whole(), &second])
            .ends(PROTOCOL_ERROR),
        Case::json("a close in fragments")
            .frame(&Frame::close(1000, "").more())
            .ends(PROTOCOL_ERROR),
        Case::json("an end without a beginning")
            .frames([&second])
            .ends(PROTOCOL_ERROR),
        Case::json("a ping after every byte")
            .frames(&interleaved(&fragments(TEXT, PING_JSON.as_bytes(), 1)))
            .answers(1),
    ];
    let pongs = PING_JSON.len() - 1;
    let last = cases.last_mut().unwrap();
    last.pongs = vec![b"control".to_vec(); pongs];
    for form in Form::BOTH {
        let payload = form.ping(200);
        for size in [1, 2, 3, 199] {
            let case = Case::new(format!("{form:?} in frames of {size}"), form);
            cases.push(
                case.frames(&fragments(form.opcode(), &payload, size))
                    .answers(1),
            );
        }
    }
    cases
}

/// With a ping between each two frames.
fn interleaved(frames: &[Frame]) -> Vec<Frame> {
    let mut all = Vec::new();
    for frame in frames {
        all.extend([frame.clone(), control(PING)]);
    }
    all.pop();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_10_automatic_fragmentation() {
    let mut cases = Vec::new();
    for form in Form::BOTH {
        for size in [1_300, 4_096, 65_535] {
            let frames = fragments(form.opcode(), &form.ping(65_536), size);
            let case = Case::new(format!("10.1.1 {form:?} in frames of {size}"), form);
            cases.push(case.frames(&frames).answers(1));
        }
    }
    println!("{} cases", run(cases).await);
}
