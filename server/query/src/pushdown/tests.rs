use datafusion::logical_expr::{col, lit};
use datafusion::prelude::random;

use kalam_model::{
    ColumnDef, ColumnId, Namespace, TableId, TableKind, TableNumber, TableOptions, Timestamp,
};

use super::*;

fn check_range(filters: &[Expr], first: u64, last: u64) {
    assert_eq!(
        seq_range(filters),
        SeqRange {
            first: SeqId(first),
            last: SeqId(last)
        },
        "{filters:?}"
    );
}

#[test]
fn bounds_of_seq_narrow_the_range() {
    check_range(&[], 0, u64::MAX);
    check_range(
        &[col("_seq").gt(lit(5_i64)), col("_seq").lt_eq(lit(9_i64))],
        6,
        9,
    );
    check_range(&[lit(5_i64).lt_eq(col("_seq"))], 5, u64::MAX);
    check_range(&[col("_seq").eq(lit(7_i64))], 7, 7);
    check_range(&[col("_seq").between(lit(2_i64), lit(3_i64))], 2, 3);
    check_range(&[col("_seq").gt(lit(-1_i64))], 0, u64::MAX);
    check_range(&[col("id").gt(lit(5_i64))], 0, u64::MAX);
    assert!(seq_range(&[col("_seq").lt(lit(0_i64))]).is_empty());
    assert!(seq_range(&[col("_seq").lt_eq(lit(-1_i64))]).is_empty());
}

fn keyed(data_type: DataType) -> TableDef {
    let columns = [("k", data_type), ("n", DataType::Int)];
    let columns = (1..).zip(columns).map(|(id, (name, data_type))| ColumnDef {
        id: ColumnId(id),
        name: name.into(),
        data_type,
        nullable: false,
        default: None,
        max_chars: None,
        initial: Value::Null,
        comment: None,
    });
    TableDef {
        number: TableNumber(1),
        id: TableId::new(Namespace::new("test").unwrap(), "keyed").unwrap(),
        kind: TableKind::Shared,
        columns: columns.collect(),
        primary_key: vec![ColumnId(1), ColumnId(2)],
        options: TableOptions::default(),
        schema_version: 1,
        next_column: ColumnId(3),
        comment: None,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

#[test]
fn comparisons_of_the_first_key_column_are_a_range_of_keys() {
    let key = |number: i64| kalam_store::key::encode_key(&[&Value::BigInt(number)]).unwrap();
    let table = keyed(DataType::BigInt);
    let range = key_range(
        &[
            col("k").gt_eq(lit(5_i64)),
            lit(9_i64).gt(col("k")),
            col("n").gt(lit(1)),
        ],
        &table,
    );
    let mut wanted = KeyRange::default();
    wanted.at_least(&key(5));
    wanted.below(&key(9));
    assert_eq!(range, Some(wanted));
    let range = key_range(&[col("k").between(lit(-3_i64), lit(3_i64))], &table);
    let mut wanted = KeyRange::default();
    wanted.at_least(&key(-3));
    wanted.at_most(&key(3));
    assert_eq!(range, Some(wanted));
}

#[test]
fn what_leaves_out_no_key_is_no_range() {
    let table = keyed(DataType::BigInt);
    for filter in [
        col("n").gt(lit(5)),
        col("k").not_eq(lit(5_i64)),
        col("k").gt(lit(ScalarValue::Int64(None))),
        // Of another type: only DataFusion knows how they compare.
        col("k").gt(lit(5.5)),
        col("k").not_between(lit(1_i64), lit(2_i64)),
    ] {
        assert_eq!(
            key_range(std::slice::from_ref(&filter), &table),
            None,
            "{filter}"
        );
    }
    let doubles = keyed(DataType::Double);
    assert_eq!(key_range(&[col("k").gt(lit(5.5))], &doubles), None);
}

#[test]
fn what_must_run_elsewhere_is_not_taken() {
    assert_eq!(
        placement(&col("a").eq(lit(1))),
        TableProviderFilterPushDown::Exact
    );
    assert_eq!(
        placement(&random().gt(lit(0.5))),
        TableProviderFilterPushDown::Unsupported
    );
}
