use super::*;
use crate::ids::{Role, SeqId, SubscriptionId, UserId};
use crate::message::*;
use crate::value::{DataType, Field, Value};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn id(text: &str) -> SubscriptionId {
    SubscriptionId::new(text)
}

fn client_messages() -> Vec<(&'static str, ClientMessage)> {
    let basic = Credentials::Basic {
        username: "alice".into(),
        password: "secret".into(),
    };
    vec![
        (
            r#"{"type":"authenticate","method":"basic","username":"alice","password":"secret"}"#,
            ClientMessage::Authenticate(Authenticate {
                credentials: basic,
                protocol: None,
            }),
        ),
        (
            r#"{"type":"authenticate","method":"jwt","token":"t","protocol":{"serialization":"msgpack","compression":"gzip","features":["resync","seq"]}}"#,
            ClientMessage::Authenticate(Authenticate {
                credentials: Credentials::Jwt { token: "t".into() },
                protocol: Some(Protocol {
                    serialization: Serialization::Msgpack,
                    compression: Compression::Gzip,
                    features: vec![Feature::Resync, Feature::Seq],
                }),
            }),
        ),
        (
            r#"{"type":"subscribe","subscription":{"id":"s1","sql":"SELECT * FROM t","params":[1,"x"],"options":{"batch_size":10,"last_rows":5,"from":7}}}"#,
            ClientMessage::Subscribe {
                subscription: SubscriptionRequest {
                    id: id("s1"),
                    sql: "SELECT * FROM t".into(),
                    params: Some(vec![1.into(), "x".into()]),
                    options: Some(SubscribeOptions {
                        batch_size: Some(10),
                        last_rows: Some(5),
                        from: Some(SeqId(7)),
                    }),
                },
            },
        ),
        (
            r#"{"type":"next_batch","subscription_id":"s1","last_seq_id":12}"#,
            ClientMessage::NextBatch {
                subscription_id: id("s1"),
                last_seq_id: Some(SeqId(12)),
            },
        ),
        (
            r#"{"type":"unsubscribe","subscription_id":"s1"}"#,
            ClientMessage::Unsubscribe {
                subscription_id: id("s1"),
            },
        ),
        (r#"{"type":"ping"}"#, ClientMessage::Ping),
        (
            r#"{"type":"query","id":"q1","sql":"SELECT $1","params":["a"],"namespace_id":"chat"}"#,
            ClientMessage::Query(Query {
                id: "q1".into(),
                sql: "SELECT $1".into(),
                params: Some(vec!["a".into()]),
                namespace_id: Some("chat".into()),
                request_id: None,
            }),
        ),
    ]
}

#[test]
fn client_messages_have_their_documented_form_and_survive_both_serializations() {
    for (json, message) in client_messages() {
        assert_eq!(
            Frame::encode(&message, Serialization::Json),
            Frame::Text(json.into())
        );
        for serialization in [Serialization::Json, Serialization::Msgpack] {
            let frame = Frame::encode(&message, serialization);
            assert_eq!(decode_client(&frame, serialization).unwrap(), message);
        }
    }
}

#[test]
fn the_older_name_of_the_resume_point_is_read() {
    let text =
        r#"{"type":"subscribe","subscription":{"id":"a","sql":"x","options":{"from_seq_id":9}}}"#;
    let ClientMessage::Subscribe { subscription } =
        decode_client(&Frame::Text(text.into()), Serialization::Json).unwrap()
    else {
        panic!("not a subscribe");
    };
    assert_eq!(subscription.options.unwrap().from, Some(SeqId(9)));
}

#[test]
fn binary_frames_need_messagepack() {
    let frame = Frame::Binary(vec![0x80]);
    assert!(matches!(
        decode_client(&frame, Serialization::Json),
        Err(CodecError::UnsupportedData)
    ));
}

#[test]
fn every_error_code_is_read_as_it_is_written() {
    for code in LiveErrorCode::ALL {
        let json = serde_json::to_string(code).unwrap();
        assert_eq!(json, format!("\"{}\"", code.as_str()));
        assert_eq!(&serde_json::from_str::<LiveErrorCode>(&json).unwrap(), code);
    }
    assert_eq!(
        serde_json::from_str::<LiveErrorCode>("\"NEWER\"").unwrap(),
        LiveErrorCode::Unknown
    );
}

fn row() -> (RowEncoder, Vec<Value>) {
    let encoder = RowEncoder::new(["id", "bo\"dy", "score"]);
    let values = vec![
        Value::BigInt(i64::MAX),
        Value::Text("héllo \"x\"".into()),
        Value::Double(f64::NAN),
    ];
    (encoder, values)
}

fn written(serialization: Serialization) -> Vec<u8> {
    let (encoder, values) = row();
    let mut out = Vec::new();
    encoder.append(serialization, &values, SeqId(5), &mut out);
    out
}

fn expected_row(serialization: Serialization) -> Row {
    let row = Row::from_json(
        r#"{"id":"9223372036854775807","bo\"dy":"héllo \"x\"","score":"NaN","_seq":"5"}"#,
    )
    .unwrap();
    match serialization {
        Serialization::Json => row,
        // Written anew, in the order of the names.
        Serialization::Msgpack => Row::from(&row.cells()),
    }
}

#[test]
fn written_batches_are_read_as_messages() {
    let control = BatchControl::new(0, true, Some(SeqId(5)));
    for serialization in [Serialization::Json, Serialization::Msgpack] {
        let bytes = batch_frame(
            serialization,
            &id("s\"1"),
            &written(serialization),
            1,
            &control,
        );
        let frame = Frame::from_bytes(bytes, serialization);
        assert_eq!(
            decode_server(&frame, serialization).unwrap(),
            ServerMessage::InitialDataBatch {
                subscription_id: id("s\"1"),
                rows: vec![expected_row(serialization)],
                batch_control: control,
            }
        );
    }
}

#[test]
fn written_changes_carry_positions_only_for_clients_that_know_them() {
    for serialization in [Serialization::Json, Serialization::Msgpack] {
        let row = written(serialization);
        let body = ChangeBody::new(
            serialization,
            &ChangeParts {
                change_type: ChangeType::Update,
                new: Some(&row),
                old: Some(&row),
                seq: SeqId(5),
                old_seq: Some(SeqId(4)),
                reason: Some(ChangeReason::EnteredFilter),
            },
        );
        for with_seq in [true, false] {
            let frame = Frame::from_bytes(body.frame(&id("s"), with_seq), serialization);
            let expected = Change {
                subscription_id: id("s"),
                change_type: ChangeType::Update,
                rows: Some(vec![expected_row(serialization)]),
                old_values: Some(vec![expected_row(serialization)]),
                seq: with_seq.then_some(SeqId(5)),
                old_seq: with_seq.then_some(SeqId(4)),
                reason: with_seq.then_some(ChangeReason::EnteredFilter),
            };
            assert_eq!(
                decode_server(&frame, serialization).unwrap(),
                ServerMessage::Change(expected)
            );
        }
    }
}

#[test]
fn server_messages_survive_both_serializations() {
    let ack = SubscriptionAck {
        subscription_id: id("s"),
        total_rows: 0,
        batch_control: BatchControl::new(0, true, None),
        schema: vec![Field {
            name: "price".into(),
            data_type: DataType::Decimal {
                precision: 10,
                scale: 2,
            },
            index: 0,
            flags: vec![],
        }],
        key: vec![KeyField {
            name: "id".into(),
            data_type: DataType::BigInt,
        }],
        order_by: vec![],
        limit: Some(3),
        ttl_ms: None,
        server_time_ms: Some(1),
    };
    let messages = [
        ServerMessage::AuthSuccess {
            user_id: UserId::new("a").unwrap(),
            user: UserId::new("a").unwrap(),
            role: Role::Dba,
            protocol: Protocol::default(),
        },
        ServerMessage::SubscriptionAck(ack),
        ServerMessage::Resync {
            subscription_id: id("s"),
            reason: ResyncReason::SchemaChanged,
        },
        ServerMessage::Error {
            subscription_id: id("s"),
            code: LiveErrorCode::NotFound,
            message: "x".into(),
        },
        ServerMessage::Pong,
    ];
    for message in messages {
        for serialization in [Serialization::Json, Serialization::Msgpack] {
            let frame = Frame::encode(&message, serialization);
            assert_eq!(decode_server(&frame, serialization).unwrap(), message);
        }
    }
}
