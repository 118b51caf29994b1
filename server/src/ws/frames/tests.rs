use proptest::prelude::*;

use super::*;

const MAX: usize = 1 << 20;

/// A frame as a client sends it.
fn frame(opcode: u8, is_final: bool, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![u8::from(is_final) << 7 | opcode];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
    bytes
}

fn whole(opcode: u8, payload: &[u8]) -> Vec<u8> {
    frame(opcode, true, [1, 2, 3, 4], payload)
}

/// Everything that is read of `bytes` when `chop` of them come at a time.
fn read(bytes: &[u8], chop: usize, max: usize) -> (Vec<Incoming>, Option<Violation>) {
    let mut reader = Reader::default();
    let mut all = Vec::new();
    for piece in bytes.chunks(chop) {
        reader.room().extend_from_slice(piece);
        loop {
            match reader.next(max) {
                Ok(Some(incoming)) => all.push(incoming),
                Ok(None) => break,
                Err(violation) => return (all, Some(violation)),
            }
        }
    }
    assert_eq!(reader.input.capacity(), reader.input.len());
    (all, None)
}

fn text(text: &str) -> Incoming {
    Incoming::Message(Frame::Text(text.to_owned()))
}

fn check(bytes: &[u8], expected: &[Incoming], violation: Option<Violation>) {
    for chop in [1, 2, 3, 7, 1_000] {
        let (all, found) = read(bytes, chop, MAX);
        assert_eq!(all, expected, "{chop} bytes at a time");
        assert_eq!(found, violation, "{chop} bytes at a time");
    }
}

#[test]
fn frames_become_messages() {
    check(&whole(1, b"hello"), &[text("hello")], None);
    check(&whole(1, b""), &[text("")], None);
    check(
        &whole(2, &[0, 255]),
        &[Incoming::Message(Frame::Binary(vec![0, 255]))],
        None,
    );
    let long = "x".repeat(70_000);
    check(&whole(1, long.as_bytes()), &[text(&long)], None);
    check(
        &[whole(9, b"now"), whole(10, b""), whole(8, b"\x03\xe8bye")].concat(),
        &[
            Incoming::Ping(b"now".to_vec()),
            Incoming::Pong,
            Incoming::Close(Some(1_000)),
        ],
        None,
    );
    check(&whole(8, b""), &[Incoming::Close(None)], None);
}

#[test]
fn what_breaks_the_protocol_is_named_by_its_code() {
    let mut unmasked = whole(1, b"");
    unmasked[1] &= 0x7f;
    let mut reserved = whole(1, b"x");
    reserved[0] |= 0x40;
    for bytes in [
        unmasked,
        reserved,
        whole(3, b""),
        whole(11, b""),
        whole(0, b"x"),
        frame(9, false, [0; 4], b"x"),
        whole(9, &[0; 126]),
        whole(8, b"x"),
        whole(8, &999_u16.to_be_bytes()),
        [frame(1, false, [0; 4], b"x"), whole(1, b"y")].concat(),
    ] {
        let (all, violation) = read(&bytes, 1, MAX);
        assert_eq!(all, []);
        let code = violation.map(Violation::close_code);
        assert_eq!(code, Some(close::PROTOCOL), "{bytes:x?}");
    }
    for bytes in [whole(1, b"\xff"), whole(8, b"\x03\xe8\xff")] {
        assert_eq!(read(&bytes, 1, MAX), (vec![], Some(Violation::NotUtf8)));
    }
}

#[test]
fn a_message_is_refused_by_its_header_and_takes_no_memory() {
    let mut reader = Reader::default();
    reader.feed(&whole(1, &[b'x'; 11])[..6]);
    assert_eq!(reader.next(10), Err(Violation::TooLarge));
    let declared = [
        0x81, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0,
    ];
    let mut reader = Reader::default();
    reader.feed(&declared);
    assert_eq!(reader.next(MAX), Err(Violation::TooLarge));
    let mut declared = [0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    declared[8] = 0xff;
    let mut reader = Reader::default();
    reader.feed(&declared);
    assert_eq!(reader.next(MAX), Ok(None));
    assert_eq!(reader.message.unwrap().bytes.capacity(), 0);
}

#[test]
fn the_limit_is_that_of_all_frames_of_a_message() {
    let part = |opcode, is_final, bytes| frame(opcode, is_final, [9; 4], &vec![b'x'; bytes]);
    let fits = [part(1, false, 6), part(0, true, 4)].concat();
    assert_eq!(read(&fits, 1, 10).0, [text(&"x".repeat(10))]);
    let over = [part(1, false, 6), part(0, false, 4), part(0, true, 1)].concat();
    assert_eq!(read(&over, 1, 10), (vec![], Some(Violation::TooLarge)));
    let two = [part(1, true, 10), part(1, true, 10)].concat();
    assert_eq!(read(&two, 1, 10).0.len(), 2);
}

#[test]
fn headers_have_the_length_that_they_need() {
    for (kind, bytes, expected) in [
        (Kind::Text, 125, &[0x81, 125][..]),
        (Kind::Binary, 126, &[0x82, 126, 0, 126]),
        (Kind::Text, 65_535, &[0x81, 126, 255, 255]),
        (Kind::Text, 65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        (Kind::Ping, 0, &[0x89, 0]),
        (Kind::Pong, 3, &[0x8a, 3]),
        (Kind::Close, 2, &[0x88, 2]),
    ] {
        let (header, length) = header(kind, bytes);
        assert_eq!(&header[..length], expected);
    }
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    assert_eq!(close_payload(1_001, "bye"), b"\x03\xe9bye");
    let payload = close_payload(1_001, &"ü".repeat(100));
    assert_eq!(payload.len(), 124);
    assert!(std::str::from_utf8(&payload[2..]).is_ok());
}

/// A message and how it is cut, or a control frame that may stand anywhere.
#[derive(Clone, Debug)]
enum Piece {
    Message { is_text: bool, payload: String },
    Ping(Vec<u8>),
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        (any::<bool>(), ".{0,40}|[a-z]{100,400}")
            .prop_map(|(is_text, payload)| Piece::Message { is_text, payload }),
        prop::collection::vec(any::<u8>(), 0..125).prop_map(Piece::Ping),
    ]
}

proptest! {
    #[test]
    fn messages_are_the_same_however_they_are_cut(
        pieces in prop::collection::vec(piece(), 0..8),
        size in 1_usize..60,
        chop in 1_usize..80,
        mask in any::<[u8; 4]>(),
        with_pings in any::<bool>(),
    ) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for piece in pieces {
            match piece {
                Piece::Ping(payload) => {
                    bytes.extend(frame(9, true, mask, &payload));
                    expected.push(Incoming::Ping(payload));
                }
                Piece::Message { is_text, payload } => {
                    let mut opcode = if is_text { 1 } else { 2 };
                    for part in payload.as_bytes().chunks(size) {
                        bytes.extend(frame(opcode, false, mask, part));
                        opcode = 0;
                        if with_pings {
                            bytes.extend(frame(9, true, mask, b"between"));
                            expected.push(Incoming::Ping(b"between".to_vec()));
                        }
                    }
                    bytes.extend(frame(opcode, true, mask, b""));
                    expected.push(Incoming::Message(if is_text {
                        Frame::Text(payload)
                    } else {
                        Frame::Binary(payload.into_bytes())
                    }));
                }
            }
        }
        prop_assert_eq!(read(&bytes, chop, MAX), (expected, None));
    }

    #[test]
    fn whatever_comes_is_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        chop in 1_usize..50,
    ) {
        let (all, violation) = read(&bytes, chop, 64);
        prop_assert_eq!((all, violation), read(&bytes, bytes.len().max(1), 64));
    }
}
