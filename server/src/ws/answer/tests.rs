use kalam_link_core::UserId;
use kalam_link_core::codec::decode_server;
use kalam_link_core::message::{self, ServerMessage};
use serde_json::{Value as Json, json};

use super::*;

fn answer_of(rows: &str) -> Answer {
    Answer {
        status: Status::Success,
        results: vec![QueryResult {
            schema: Vec::new(),
            rows: Some(RawValue::from_string(rows.to_owned()).unwrap()),
            row_count: 1,
            message: None,
            as_user: UserId::new("alice").unwrap(),
            truncated: false,
        }],
        took: 1.5,
        error: None,
    }
}

fn decode(frame: &Frame, serialization: Serialization) -> message::QueryResult {
    let ServerMessage::QueryResult(reply) = decode_server(frame, serialization).unwrap() else {
        panic!("{frame:?}");
    };
    serde_json::from_str(reply.text.as_str()).unwrap()
}

/// What a client reads of the rows.
fn read(rows: &str, serialization: Serialization) -> Json {
    let frame = encode("7".to_owned(), answer_of(rows), serialization);
    let result = decode(&frame, serialization);
    assert_eq!((result.id.as_str(), result.took), ("7", 1.5));
    json!(result.results[0].rows)
}

#[test]
fn both_serializations_say_the_same() {
    for rows in [
        "[]",
        "[[]]",
        r#"[["1", -1, 1.5, true, false, null], ["a \"quoted\" \u00fc\n", 9007199254740993, 0, "", " "]]"#,
        r#"[[[1, 2, [3]], {"b": {"x": null}, "a": ["NaN"]}]]"#,
        "[[ 18446744073709551615 , -9223372036854775808 ]]",
    ] {
        let wanted: Json = serde_json::from_str(rows).unwrap();
        for serialization in [Serialization::Json, Serialization::Msgpack] {
            assert_eq!(read(rows, serialization), wanted, "{rows}");
        }
    }
}

/// The shortest text that reads back as the number is not always read back by the fast way.
#[test]
fn numbers_keep_their_last_bit() {
    let mut bits = 0x3ff0_0000_0000_0001_u64;
    for _ in 0..20_000 {
        bits = bits
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let number = f64::from_bits(bits);
        if !number.is_finite() {
            continue;
        }
        let rows = format!("[[{}]]", serde_json::to_string(&number).unwrap());
        let frame = encode(String::new(), answer_of(&rows), Serialization::Msgpack);
        let result = decode(&frame, Serialization::Msgpack);
        let read = result.results[0].rows.as_ref().unwrap()[0][0].as_f64();
        assert_eq!(read.map(f64::to_bits), Some(bits), "{rows}");
    }
}
