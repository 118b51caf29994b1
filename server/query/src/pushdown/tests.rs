use datafusion::logical_expr::{col, lit};
use datafusion::prelude::random;

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
