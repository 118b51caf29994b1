//! Section 6: text that is UTF-8, and every way in which it is not.

use super::{Case, NO_UTF8, PING_JSON, PROTOCOL_ERROR, run};
use crate::ws::raw::{CONTINUATION, Frame, TEXT, fragments};

const GREEK: &[u8] = "κόσμε".as_bytes();
const MANY: &str = "Hello-µ@ßöäüàá-UTF-8!!";

/// Bytes that are UTF-8, by Autobahn's number.
const VALID: &[(&str, &[u8])] = &[
    ("6.2", MANY.as_bytes()),
    ("6.5.1", b"hello$world"),
    ("6.5.2", b"hello\xc2\xa2world"),
    ("6.5.3", b"hello\xe2\x82\xacworld"),
    ("6.5.4", b"hello\xf0\xa4\xad\xa2world"),
    ("6.5.5", GREEK),
    ("6.7.2", b"\xc2\x80"),
    ("6.7.3", b"\xe0\xa0\x80"),
    ("6.7.4", b"\xf0\x90\x80\x80"),
    ("6.9.1", b"\x7f"),
    ("6.9.2", b"\xdf\xbf"),
    ("6.9.3", b"\xef\xbf\xbf"),
    ("6.9.4", b"\xf4\x8f\xbf\xbf"),
    ("6.11.1", b"\xed\x9f\xbf"),
    ("6.11.2", b"\xee\x80\x80"),
    ("6.11.3", b"\xef\xbf\xbd"),
    ("6.11.4", b"\xf4\x8f\xbf\xbf"),
    ("6.23.1", b"\xef\xbf\xb9"),
    ("6.23.2", b"\xef\xbf\xba"),
    ("6.23.3", b"\xef\xbf\xbb"),
    ("6.23.4", b"\xef\xbf\xbc"),
    ("6.23.5", b"\xef\xbf\xbd"),
    ("6.23.6", b"\xef\xbf\xbe"),
    ("6.23.7", b"\xef\xbf\xbf"),
];

/// Bytes that are not.
const INVALID: &[(&str, &[u8])] = &[
    (
        "6.3",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    ),
    (
        "6.4",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited",
    ),
    // First and last sequences of lengths that do not exist, and beyond U+10FFFF.
    ("6.8.1", b"\xf8\x88\x80\x80\x80"),
    ("6.8.2", b"\xfc\x84\x80\x80\x80\x80"),
    ("6.10.1", b"\xf7\xbf\xbf\xbf"),
    ("6.10.2", b"\xfb\xbf\xbf\xbf\xbf"),
    ("6.10.3", b"\xfd\xbf\xbf\xbf\xbf\xbf"),
    ("6.11.5", b"\xf4\x90\x80\x80"),
    // Continuation bytes alone.
    ("6.12.1", b"\x80"),
    ("6.12.2", b"\xbf"),
    ("6.12.3", b"\x80\xbf"),
    ("6.12.4", b"\x80\xbf\x80"),
    ("6.12.5", b"\x80\xbf\x80\xbf"),
    ("6.12.6", b"\x80\xbf\x80\xbf\x80"),
    ("6.12.7", b"\x80\xbf\x80\xbf\x80\xbf"),
    // The last byte is missing.
    ("6.14.1", b"\xc0"),
    ("6.14.2", b"\xe0\x80"),
    ("6.14.3", b"\xf0\x80\x80"),
    ("6.14.4", b"\xf8\x80\x80\x80"),
    ("6.14.5", b"\xfc\x80\x80\x80\x80"),
    ("6.14.6", b"\xdf"),
    ("6.14.7", b"\xef\xbf"),
    ("6.14.8", b"\xf7\xbf\xbf"),
    ("6.14.9", b"\xfb\xbf\xbf\xbf"),
    ("6.14.10", b"\xfd\xbf\xbf\xbf\xbf"),
    (
        "6.15.1",
        b"\xc0\xe0\x80\xf0\x80\x80\xdf\xef\xbf\xf7\xbf\xbf",
    ),
    // Bytes that stand nowhere.
    ("6.16.1", b"\xfe"),
    ("6.16.2", b"\xff"),
    ("6.16.3", b"\xfe\xfe\xff\xff"),
    // Longer than needed: a slash, the largest of each length, NUL.
    ("6.17.1", b"\xc0\xaf"),
    ("6.17.2", b"\xe0\x80\xaf"),
    ("6.17.3", b"\xf0\x80\x80\xaf"),
    ("6.17.4", b"\xf8\x80\x80\x80\xaf"),
    ("6.17.5", b"\xfc\x80\x80\x80\x80\xaf"),
    ("6.18.1", b"\xc1\xbf"),
    ("6.18.2", b"\xe0\x9f\xbf"),
    ("6.18.3", b"\xf0\x8f\xbf\xbf"),
    ("6.18.4", b"\xf8\x87\xbf\xbf\xbf"),
    ("6.18.5", b"\xfc\x83\xbf\xbf\xbf\xbf"),
    ("6.19.1", b"\xc0\x80"),
    ("6.19.2", b"\xe0\x80\x80"),
    ("6.19.3", b"\xf0\x80\x80\x80"),
    ("6.19.4", b"\xf8\x80\x80\x80\x80"),
    ("6.19.5", b"\xfc\x80\x80\x80\x80\x80"),
    // Halves of UTF-16, alone and in pairs.
    ("6.20.1", b"\xed\xa0\x80"),
    ("6.20.2", b"\xed\xad\xbf"),
    ("6.20.3", b"\xed\xae\x80"),
    ("6.20.4", b"\xed\xaf\xbf"),
    ("6.20.5", b"\xed\xb0\x80"),
    ("6.20.6", b"\xed\xbe\x80"),
    ("6.20.7", b"\xed\xbf\xbf"),
    ("6.21.1", b"\xed\xa0\x80\xed\xb0\x80"),
    ("6.21.2", b"\xed\xa0\x80\xed\xbf\xbf"),
    ("6.21.3", b"\xed\xad\xbf\xed\xb0\x80"),
    ("6.21.4", b"\xed\xad\xbf\xed\xbf\xbf"),
    ("6.21.5", b"\xed\xae\x80\xed\xb0\x80"),
    ("6.21.6", b"\xed\xae\x80\xed\xbf\xbf"),
    ("6.21.7", b"\xed\xaf\xbf\xed\xb0\x80"),
    ("6.21.8", b"\xed\xaf\xbf\xed\xbf\xbf"),
];

/// Numbers and bytes of [`VALID`], and of the code points that are no characters.
fn valid() -> Vec<(String, Vec<u8>)> {
    let ends = (0..=16).flat_map(|plane| [plane << 16 | 0xfffe, plane << 16 | 0xffff]);
    let others = (1..).zip(ends).map(|(number, code): (u32, u32)| {
        let text = char::from_u32(code).unwrap().to_string();
        (format!("6.22.{number}"), text.into_bytes())
    });
    listed(VALID).chain(others).collect()
}

/// Numbers and bytes of [`INVALID`], of all continuation bytes and of all starts without any.
fn invalid() -> Vec<(String, Vec<u8>)> {
    let continuations = ("6.12.8".to_owned(), (0x80..=0xbf).collect());
    let starts = [
        0xc0..=0xdf,
        0xe0..=0xef,
        0xf0..=0xf7,
        0xf8..=0xfb,
        0xfc..=0xfd,
    ];
    let lonely = (1..).zip(starts).map(|(number, starts)| {
        let bytes = starts.flat_map(|start: u8| [start, b' ']).collect();
        (format!("6.13.{number}"), bytes)
    });
    listed(INVALID)
        .chain([continuations])
        .chain(lonely)
        .collect()
}

fn listed(table: &[(&str, &[u8])]) -> impl Iterator<Item = (String, Vec<u8>)> {
    table
        .iter()
        .map(|(number, bytes)| ((*number).to_owned(), bytes.to_vec()))
}

/// A `ping` message that holds the bytes.
fn around(bytes: &[u8]) -> Vec<u8> {
    [&br#"{"type":"ping","x":""#[..], bytes, br#""}"#].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_6_text_is_utf8() {
    let mut cases = Vec::new();
    for (number, bytes) in valid() {
        let message = around(&bytes);
        assert!(std::str::from_utf8(&message).is_ok(), "{number}");
        let case = |how: &str| Case::json(format!("{number} {how}")).answers(1);
        cases.extend([
            case("whole").frame(&Frame::new(TEXT, message.as_slice())),
            case("in frames of a byte").frames(&fragments(TEXT, &message, 1)),
            case("in bytes")
                .frame(&Frame::new(TEXT, message.as_slice()))
                .in_chops(1),
        ]);
    }
    println!("{} cases", run(cases).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_6_text_that_is_no_utf8_closes_with_1007() {
    let mut cases = Vec::new();
    for (number, bytes) in invalid() {
        let message = around(&bytes);
        assert!(std::str::from_utf8(&message).is_err(), "{number}");
        let case = |how: &str| Case::json(format!("{number} {how}")).ends(NO_UTF8);
        cases.extend([
            case("whole").frame(&Frame::new(TEXT, message.as_slice())),
            case("alone").frame(&Frame::new(TEXT, bytes.as_slice())),
            case("in frames of a byte").frames(&fragments(TEXT, &message, 1)),
            case("in bytes")
                .frame(&Frame::new(TEXT, message.as_slice()))
                .in_chops(1),
        ]);
    }
    println!("{} cases", run(cases).await);
}

/// Sections 6.1 and 6.6: empty frames, and every beginning of a text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_6_text_that_is_cut() {
    let (nothing, end) = (Frame::new(TEXT, "").more(), Frame::new(CONTINUATION, ""));
    let middle = Frame::new(CONTINUATION, PING_JSON).more();
    let mut cases = vec![
        Case::json("6.1.1")
            .frame(&Frame::new(TEXT, ""))
            .ends(PROTOCOL_ERROR),
        Case::json("6.1.2")
            .frames([&nothing, &end])
            .ends(PROTOCOL_ERROR),
        Case::json("6.1.3")
            .frames([&nothing, &middle, &end])
            .answers(1),
        // NUL is UTF-8, but stands in no JSON.
        Case::json("6.7.1")
            .frame(&Frame::new(TEXT, around(b"\0")))
            .ends(PROTOCOL_ERROR),
    ];
    for length in 1..GREEK.len() {
        let bytes = &GREEK[..length];
        let end = if std::str::from_utf8(bytes).is_ok() {
            PROTOCOL_ERROR
        } else {
            NO_UTF8
        };
        let case = Case::json(format!("6.6.{length}")).ends(end);
        cases.push(case.frame(&Frame::new(TEXT, bytes)));
    }
    println!("{} cases", run(cases).await);
}
