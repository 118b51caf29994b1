//! Bytes written by released versions stay readable (I11): `fixtures/vN/` holds them as lines of name and hexadecimal
//! bytes. `KALAM_WRITE_FIXTURES=1` writes those of the current version; only what is new may change.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use kalam_link_core::{DataType, Role, SeqId, UserId, Value};
use kalam_model::{
    AuditRecord, Authentication, FlushPolicy, GroupId, Namespace, NamespaceDef, RefreshFamily,
    RequestRecord, Row, RowKey, Scope, Slot, TableDef, TableId, TableNumber, Timestamp, UserRecord,
    ViewDef, WriteOutcome,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::db::{Family, Reader, Store};
use crate::key::{self, Slice};
use crate::layout::Layouts;
use crate::testing::{column, commit, table};
use crate::{hot, meta, requests, row_codec, stream};

type Lines = BTreeMap<String, Vec<u8>>;

fn path(file: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is"))
        .join("fixtures/v1")
        .join(file)
}

fn read(file: &str) -> Lines {
    let text = std::fs::read_to_string(path(file)).unwrap();
    let parse = |line: &str| {
        let (name, digits) = line.split_once(" = ").unwrap();
        let digits = digits.as_bytes().as_chunks::<2>().0;
        let byte =
            |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        (name.to_owned(), digits.iter().map(byte).collect())
    };
    text.lines().map(parse).collect()
}

/// The committed lines, which must be what the current version writes.
fn committed(file: &str, written: &Lines) -> Lines {
    if std::env::var_os("KALAM_WRITE_FIXTURES").is_some() {
        let mut text = String::new();
        for (name, bytes) in written {
            let digits = bytes.iter().fold(String::new(), |mut digits, byte| {
                write!(digits, "{byte:02x}").unwrap();
                digits
            });
            writeln!(text, "{name} = {digits}").unwrap();
        }
        std::fs::create_dir_all(path(file).parent().unwrap()).unwrap();
        std::fs::write(path(file), text).unwrap();
    }
    let lines = read(file);
    assert_eq!(lines, *written, "{file}");
    lines
}

/// One value of each type, with its name.
fn samples() -> Vec<(&'static str, DataType, Value)> {
    let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
    let of = |precision, scale| DataType::Decimal { precision, scale };
    vec![
        ("id", DataType::BigInt, Value::BigInt(-2)),
        ("boolean", DataType::Boolean, Value::Boolean(true)),
        ("smallint", DataType::SmallInt, Value::SmallInt(-300)),
        ("int", DataType::Int, Value::Int(70_000)),
        ("float", DataType::Float, Value::Float(-1.5)),
        ("double", DataType::Double, Value::Double(0.1)),
        ("decimal", of(10, 2), decimal("-12.50")),
        (
            "decimal_long",
            of(38, 7),
            decimal("1234567890123456789012345.0000001"),
        ),
        ("text", DataType::Text, Value::Text("Zoë\0👋".into())),
        (
            "timestamp",
            DataType::Timestamp,
            Value::Timestamp(1_750_000_000_123_456),
        ),
        ("datetime", DataType::DateTime, Value::DateTime(-1)),
        ("date", DataType::Date, Value::Date(20_000)),
        ("time", DataType::Time, Value::Time(86_399_999_999)),
        (
            "json",
            DataType::Json,
            Value::Json("{\"a\":[1,null]}".into()),
        ),
        ("bytes", DataType::Bytes, Value::Bytes(vec![0, 0xff, 1])),
        ("uuid", DataType::Uuid, Value::Uuid([7; 16])),
        (
            "embedding",
            DataType::Embedding(2),
            Value::Embedding(vec![0.5, -1.0]),
        ),
    ]
}

/// The table of the fixtures, in two versions.
fn versions() -> (TableDef, TableDef) {
    let types: Vec<_> = samples()
        .iter()
        .map(|(_, data_type, _)| *data_type)
        .collect();
    let first = table(&types);
    let mut second = first.clone();
    second.schema_version = 2;
    second.columns.remove(1);
    second.columns[1].data_type = DataType::BigInt;
    second.columns.push(column(50, "added", DataType::Text));
    second.columns.last_mut().unwrap().initial = Value::Text("initial".into());
    second.options.flush_policy = Some(FlushPolicy {
        rows: Some(1_000),
        interval_s: None,
    });
    second.options.ttl_seconds = Some(30);
    (first, second)
}

#[test]
fn i11_rows_of_the_first_release_are_readable() {
    let (first, second) = versions();
    let old = Layouts::new(vec![first.clone()]);
    let new = Layouts::new(vec![first, second]);
    let values: Vec<_> = samples().into_iter().map(|(_, _, value)| value).collect();
    let full = Row(values.clone());
    let nulls = Row(values
        .iter()
        .enumerate()
        .map(|(i, v)| if i == 0 { v.clone() } else { Value::Null })
        .collect());
    let mut altered = values;
    altered.remove(1);
    altered[1] = Value::BigInt(-300);
    altered.push(Value::Text("initial".into()));
    let altered = Row(altered);
    let written = Lines::from([
        ("full".to_owned(), row_codec::encode(&old, &full).unwrap()),
        ("nulls".to_owned(), row_codec::encode(&old, &nulls).unwrap()),
        (
            "second_version".to_owned(),
            row_codec::encode(&new, &altered).unwrap(),
        ),
    ]);
    let lines = committed("rows.txt", &written);
    assert_eq!(row_codec::decode(&old, &lines["full"]).unwrap(), full);
    assert_eq!(row_codec::decode(&old, &lines["nulls"]).unwrap(), nulls);
    assert_eq!(row_codec::decode(&new, &lines["full"]).unwrap(), altered);
    assert_eq!(
        row_codec::decode(&new, &lines["second_version"]).unwrap(),
        altered
    );
}

#[test]
fn i11_primary_keys_of_the_first_release_are_readable() {
    let written: Lines = samples()
        .into_iter()
        .map(|(name, _, value)| (name.to_owned(), key::encode_key(&[&value]).unwrap().0))
        .collect();
    let lines = committed("primary_keys.txt", &written);
    for (name, data_type, value) in samples() {
        let decoded = key::decode_key(&RowKey(lines[name].clone()), &[data_type]).unwrap();
        assert_eq!(decoded, [value], "{name}");
    }
}

/// Keys and values of all families after some writes: the layouts as a whole.
#[test]
fn i11_families_of_the_first_release_are_laid_out_the_same() {
    let store = Store::open_in_memory().unwrap();
    let ann = UserId::new("ann").unwrap();
    let slices = [
        Slice::new(TableNumber(7), &Scope::User(ann.clone())),
        Slice::new(TableNumber(7), &Scope::Shared),
    ];
    let row_key = key::encode_key(&[&Value::BigInt(5)]).unwrap();
    let seq = SeqId(1 << 45);
    let request = RequestRecord {
        slot: Slot(9),
        user: ann,
        id: "r1".into(),
        hash: 1 << 60,
        answer: vec![1],
    };
    commit(&store, |batch| {
        for slice in &slices {
            hot::insert(batch, slice, seq, &row_key, b"row".to_vec());
            hot::remove(batch, slice, SeqId(1), SeqId(2), &RowKey(b"gone".to_vec()));
            stream::append(batch, slice, 60, seq, b"event".to_vec());
        }
        let outcome = WriteOutcome {
            first_seq: seq,
            last_seq: seq,
            rows: 1,
        };
        requests::put(batch, &request, Timestamp(77), outcome);
        meta::next_number(batch, meta::TABLE_COUNTER).unwrap();
        meta::LAST_SEQ.put(batch, &GroupId::LOCAL, &seq);
        meta::APPLIED.put(batch, &GroupId::Meta, &3);
        meta::SETTINGS.put(batch, "name", &("name".to_owned(), "value".to_owned()));
    });
    let snapshot = store.snapshot();
    let mut written = Lines::new();
    for family in Family::ALL {
        let mut visit = |key: &[u8], value: &[u8]| {
            let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            written.insert(format!("{} {digits}", family.name()), value.to_vec());
            Ok(std::ops::ControlFlow::Continue(()))
        };
        snapshot.scan(family, &[]..&[0xff], &mut visit).unwrap();
    }
    assert_eq!(written.len(), 2 + 2 + 2 + 2 + 2 + 5);
    committed("families.txt", &written);
}

fn check_record<V>(lines: &Lines, name: &str, expected: &V)
where
    V: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    assert_eq!(
        meta::decode::<V>("record", &lines[name]).unwrap(),
        *expected,
        "{name}"
    );
}

#[test]
fn i11_records_of_the_first_release_are_readable() {
    let user = |name| UserId::new(name).unwrap();
    let namespace = NamespaceDef {
        name: Namespace::new("chat").unwrap(),
        description: Some("text".into()),
        created_at: Timestamp(1),
    };
    let (_, table) = versions();
    let view = ViewDef {
        id: TableId::new(namespace.name.clone(), "v").unwrap(),
        columns: vec!["a".into()],
        query: "SELECT 1".into(),
        owner: user("root"),
        created_at: Timestamp(2),
    };
    let account = |authentication| UserRecord {
        id: user("ann"),
        role: Role::Service,
        email: Some("ann@example.com".into()),
        authentication,
        storage_id: None,
        version: 3,
        revision: 6,
        created_at: Timestamp(3),
        updated_at: Timestamp(4),
        deleted_at: Some(Timestamp(5)),
    };
    let password = account(Authentication::Password {
        hash: "$argon2id$".into(),
    });
    let oauth = account(Authentication::OAuth {
        identity: Some("{}".into()),
    });
    let internal = account(Authentication::Internal);
    let family = RefreshFamily {
        id: "00ff".into(),
        user: user("ann"),
        user_version: 4,
        generation: 2,
        expires_at: Timestamp(6),
        revoked: true,
    };
    let audit = AuditRecord {
        at: Timestamp(7),
        actor: user("root"),
        as_user: Some(user("ann")),
        action: "EXECUTE_AS".into(),
        target: "chat.t".into(),
        result: "success".into(),
        details: None,
        request_id: Some("r1".into()),
    };
    let written: Lines = [
        ("namespace", meta::encode(&namespace)),
        ("table", meta::encode(&table)),
        ("view", meta::encode(&view)),
        ("user_password", meta::encode(&password)),
        ("user_oauth", meta::encode(&oauth)),
        ("user_internal", meta::encode(&internal)),
        ("refresh_family", meta::encode(&family)),
        ("audit_record", meta::encode(&audit)),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into();
    let lines = committed("records.txt", &written);
    check_record(&lines, "namespace", &namespace);
    check_record(&lines, "table", &table);
    check_record(&lines, "view", &view);
    check_record(&lines, "user_password", &password);
    check_record(&lines, "user_oauth", &oauth);
    check_record(&lines, "user_internal", &internal);
    check_record(&lines, "refresh_family", &family);
    check_record(&lines, "audit_record", &audit);
}
