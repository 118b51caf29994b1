//! Tables, values and stores for tests.

use kalam_link_core::{DataType, Decimal, UserId, Value};
use kalam_model::{
    ColumnDef, ColumnId, Namespace, Scope, TableDef, TableId, TableKind, TableNumber, TableOptions,
    Timestamp,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::batch::{Batch, Sync};
use crate::db::Store;

pub(crate) const TYPES: [DataType; 20] = [
    DataType::Boolean,
    DataType::SmallInt,
    DataType::Int,
    DataType::BigInt,
    DataType::Float,
    DataType::Double,
    DataType::Decimal {
        precision: 10,
        scale: 2,
    },
    DataType::Decimal {
        precision: 18,
        scale: 0,
    },
    DataType::Decimal {
        precision: 38,
        scale: 7,
    },
    DataType::Decimal {
        precision: 38,
        scale: 38,
    },
    DataType::Text,
    DataType::Timestamp,
    DataType::DateTime,
    DataType::Date,
    DataType::Time,
    DataType::Json,
    DataType::Bytes,
    DataType::Uuid,
    DataType::Embedding(1),
    DataType::Embedding(3),
];

pub(crate) fn data_type() -> impl Strategy<Value = DataType> {
    proptest::sample::select(TYPES.to_vec())
}

fn long() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -2_i64..3, Just(i64::MIN), Just(i64::MAX)]
}

fn int() -> impl Strategy<Value = i32> {
    prop_oneof![any::<i32>(), -2..3, Just(i32::MIN), Just(i32::MAX)]
}

fn float() -> impl Strategy<Value = f32> {
    use proptest::num::f32::ANY;
    let special = [
        0.0,
        -0.0,
        f32::NAN,
        -f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MIN_POSITIVE,
    ];
    prop_oneof![
        ANY,
        proptest::sample::select(special.to_vec()),
        -2.0_f32..2.0
    ]
}

fn double() -> impl Strategy<Value = f64> {
    use proptest::num::f64::ANY;
    let special = [
        0.0,
        -0.0,
        f64::NAN,
        -f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN,
        f64::MAX,
    ];
    prop_oneof![
        ANY,
        proptest::sample::select(special.to_vec()),
        -2.0_f64..2.0
    ]
}

fn text() -> impl Strategy<Value = String> {
    let awkward = [
        "",
        "\0",
        "\0\0",
        "a",
        "a\0",
        "a\0b",
        "ab",
        "ä",
        "\u{10ffff}",
        "\u{ffff}",
        "שלום",
        "👩‍👩‍👧",
    ];
    prop_oneof![
        proptest::sample::select(awkward.to_vec()).prop_map(str::to_owned),
        vec(
            proptest::sample::select(vec!['\0', '\u{1}', 'a', '\u{ff}', '😀']),
            0..4
        )
        .prop_map(|characters| characters.into_iter().collect()),
        ".*"
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(proptest::sample::select(vec![0, 1, 0xff]), 0..4),
        vec(any::<u8>(), 0..40)
    ]
}

/// A decimal of at most this many digits.
fn decimal(precision: u8, scale: u8) -> impl Strategy<Value = Decimal> {
    let limit = 10_i128.pow(u32::from(precision)) - 1;
    prop_oneof![
        -limit..=limit,
        -300_i128..300,
        Just(limit),
        Just(-limit),
        Just(0)
    ]
    .prop_map(move |n| Decimal::new(n.clamp(-limit, limit), scale).unwrap())
}

/// A value of the type, never NULL.
pub(crate) fn value(data_type: DataType) -> BoxedStrategy<Value> {
    match data_type {
        DataType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        DataType::SmallInt => any::<i16>().prop_map(Value::SmallInt).boxed(),
        DataType::Int => int().prop_map(Value::Int).boxed(),
        DataType::BigInt => long().prop_map(Value::BigInt).boxed(),
        DataType::Float => float().prop_map(Value::Float).boxed(),
        DataType::Double => double().prop_map(Value::Double).boxed(),
        DataType::Decimal { precision, scale } => {
            decimal(precision, scale).prop_map(Value::Decimal).boxed()
        }
        DataType::Text => text().prop_map(Value::Text).boxed(),
        DataType::Timestamp => long().prop_map(Value::Timestamp).boxed(),
        DataType::DateTime => long().prop_map(Value::DateTime).boxed(),
        DataType::Date => int().prop_map(Value::Date).boxed(),
        DataType::Time => long().prop_map(Value::Time).boxed(),
        DataType::Json => text().prop_map(Value::Json).boxed(),
        DataType::Bytes => bytes().prop_map(Value::Bytes).boxed(),
        DataType::Uuid => any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        DataType::Embedding(length) => vec(float(), length as usize)
            .prop_map(Value::Embedding)
            .boxed(),
    }
}

/// Values of several columns.
pub(crate) fn values(types: &[DataType]) -> BoxedStrategy<Vec<Value>> {
    types
        .iter()
        .map(|data_type| value(*data_type))
        .collect::<Vec<_>>()
        .boxed()
}

/// A value of the type or NULL.
pub(crate) fn cell(data_type: DataType) -> BoxedStrategy<Value> {
    prop_oneof![1 => Just(Value::Null), 4 => value(data_type)].boxed()
}

pub(crate) fn column(id: u32, name: &str, data_type: DataType) -> ColumnDef {
    ColumnDef {
        id: ColumnId(id),
        name: name.to_owned(),
        data_type,
        nullable: true,
        default: None,
        max_chars: None,
        initial: Value::Null,
        comment: None,
    }
}

/// A table with columns c0, c1 … of which the first is the key.
pub(crate) fn table(types: &[DataType]) -> TableDef {
    let columns: Vec<_> = types
        .iter()
        .enumerate()
        .map(|(index, data_type)| column(index as u32, &format!("c{index}"), *data_type))
        .collect();
    TableDef {
        number: TableNumber(7),
        id: TableId::new(Namespace::new("test").unwrap(), "t").unwrap(),
        kind: TableKind::User,
        primary_key: columns
            .first()
            .map(|column| column.id)
            .into_iter()
            .collect(),
        next_column: ColumnId(columns.len() as u32),
        columns,
        options: TableOptions::default(),
        schema_version: 1,
        comment: None,
        created_at: Timestamp(1),
        updated_at: Timestamp(2),
    }
}

pub(crate) fn user(name: &str) -> Scope {
    Scope::User(UserId::new(name).unwrap())
}

/// Writes in one commit.
pub(crate) fn commit(store: &Store, write: impl FnOnce(&mut Batch)) {
    let mut batch = store.batch();
    write(&mut batch);
    batch.commit(Sync::No).unwrap();
}
