//! What the tests of expressions share: one table with a column of each type, one row of it, fixed time and ids.

use kalam_link_core::{DataType, SeqId, UserId, Value};
use kalam_model::{
    ColumnDef, ColumnId, Namespace, TableDef, TableId, TableKind, TableNumber, TableOptions,
    Timestamp,
};
use serde_json::Value as Json;

use crate::error::Error;
use crate::expr::{ColumnScope, EvalContext, Expr, IdSource, RowValues, compile};

pub(crate) fn column(name: &str, data_type: DataType) -> ColumnDef {
    ColumnDef {
        id: ColumnId(0),
        name: name.to_owned(),
        data_type,
        nullable: true,
        default: None,
        max_chars: None,
        initial: Value::Null,
        comment: None,
    }
}

/// Columns and the values of the one row.
fn cells() -> Vec<(&'static str, DataType, Value)> {
    use DataType as D;
    use Value as V;
    let noon = 19_782 * 86_400_000_000 + 43_200_000_000;
    let uuid = kalam_link_core::cell::parse_uuid("67e55044-10b1-426f-9247-bb680e5fe0c8").unwrap();
    vec![
        ("flag", D::Boolean, V::Boolean(true)),
        ("small", D::SmallInt, V::SmallInt(7)),
        ("int", D::Int, V::Int(100)),
        ("big", D::BigInt, V::BigInt(1_000)),
        ("single", D::Float, V::Float(1.5)),
        ("double", D::Double, V::Double(2.5)),
        (
            "price",
            D::Decimal {
                precision: 10,
                scale: 2,
            },
            V::Decimal("12.50".parse().unwrap()),
        ),
        ("name", D::Text, V::Text("alice".to_owned())),
        ("at", D::Timestamp, V::Timestamp(noon)),
        ("utc", D::DateTime, V::DateTime(noon)),
        ("day", D::Date, V::Date(19_782)),
        ("clock", D::Time, V::Time(3_600_000_000)),
        ("json", D::Json, V::Json("{\"a\":1}".to_owned())),
        ("data", D::Bytes, V::Bytes(vec![0, 255])),
        ("uuid", D::Uuid, V::Uuid(uuid)),
        ("vector", D::Embedding(2), V::Embedding(vec![0.5, -1.0])),
        ("absent", D::Int, V::Null),
        ("nothing", D::Text, V::Null),
        ("not_a_number", D::Double, V::Double(f64::NAN)),
    ]
}

pub(crate) fn table() -> TableDef {
    table_with_key(&["big"])
}

pub(crate) fn table_with_key(key: &[&str]) -> TableDef {
    let mut columns: Vec<ColumnDef> = cells()
        .into_iter()
        .map(|(name, data_type, _)| column(name, data_type))
        .collect();
    for (number, column) in (1..).zip(&mut columns) {
        column.id = ColumnId(number);
    }
    let id_of = |name: &&str| {
        columns
            .iter()
            .find(|column| column.name == **name)
            .unwrap()
            .id
    };
    TableDef {
        number: TableNumber(1),
        id: TableId::new(Namespace::new("test").unwrap(), "things").unwrap(),
        kind: TableKind::Shared,
        primary_key: key.iter().map(id_of).collect(),
        columns,
        options: TableOptions::default(),
        schema_version: 1,
        next_column: ColumnId(100),
        comment: None,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

pub(crate) fn row() -> Vec<Value> {
    cells().into_iter().map(|(_, _, value)| value).collect()
}

/// Noon of day 20,000.
pub(crate) fn now() -> Timestamp {
    Timestamp(20_000 * 86_400_000_000 + 43_200_000_000)
}

pub(crate) struct Ids;

impl Ids {
    pub(crate) const SNOWFLAKE: i64 = 77;
    pub(crate) const UUID: [u8; 16] = [9; 16];
    pub(crate) const ULID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
}

impl IdSource for Ids {
    fn snowflake(&self, _: Timestamp) -> i64 {
        Self::SNOWFLAKE
    }
    fn uuid_v7(&self, _: Timestamp) -> [u8; 16] {
        Self::UUID
    }
    fn ulid(&self, _: Timestamp) -> String {
        Self::ULID.to_owned()
    }
}

pub(crate) fn with_context<T>(params: &[Json], run: impl FnOnce(&EvalContext<'_>) -> T) -> T {
    let user = UserId::new("alice").unwrap();
    run(&EvalContext {
        now: now(),
        user: &user,
        params,
        ids: &Ids,
    })
}

pub(crate) fn compiled(expression: &str) -> Result<Expr, Error> {
    let table = table();
    compile(
        &crate::parse_expr(expression)?,
        &ColumnScope::Table {
            table: &table,
            alias: None,
        },
    )
}

pub(crate) fn eval_with(expression: &str, params: &[Json]) -> Result<Value, Error> {
    let compiled = compiled(expression)?;
    let row = row();
    with_context(params, |context| {
        compiled.eval(&RowValues::new(&row, SeqId(42)), context)
    })
}

pub(crate) fn eval(expression: &str) -> Result<Value, Error> {
    eval_with(expression, &[])
}

pub(crate) fn fails(expression: &str) -> Error {
    match eval(expression) {
        Err(error) => error,
        Ok(value) => panic!("{expression} gives {value:?}"),
    }
}

pub(crate) fn type_of(expression: &str) -> Option<DataType> {
    compiled(expression).unwrap().data_type()
}

pub(crate) fn assign(
    expression: &str,
    data_type: DataType,
    params: &[Json],
) -> Result<Value, Error> {
    let compiled = compiled(expression)?;
    with_context(params, |context| {
        compiled.assign(&RowValues::NONE, context, &column("c", data_type))
    })
}
