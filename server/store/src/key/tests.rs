use std::cmp::Ordering;

use kalam_model::TableNumber;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::testing::{data_type, user, value, values};

fn encode(values: &[Value]) -> RowKey {
    encode_key(&values.iter().collect::<Vec<_>>()).unwrap()
}

fn compare(a: &[Value], b: &[Value]) -> Ordering {
    a.iter()
        .zip(b)
        .map(|(a, b)| a.compare(b).unwrap())
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// The types of a key, and two keys of these types.
fn two_keys() -> impl Strategy<Value = (Vec<DataType>, Vec<Value>, Vec<Value>)> {
    vec(data_type(), 1..4)
        .prop_flat_map(|types| (Just(types.clone()), values(&types), values(&types)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn i5_key_order_is_value_order((_, a, b) in two_keys()) {
        prop_assert_eq!(encode(&a).cmp(&encode(&b)), compare(&a, &b));
    }

    /// Neighbours by one changed column: what random pairs rarely are.
    #[test]
    fn i5_key_order_is_value_order_in_each_column(
        (a, b) in vec(data_type(), 1..4)
            .prop_flat_map(|types| (values(&types), 0..types.len(), Just(types)))
            .prop_flat_map(|(a, at, types)| (Just(a), Just(at), value(types[at])))
            .prop_map(|(a, at, other)| { let mut b = a.clone(); b[at] = other; (a, b) })
    ) {
        prop_assert_eq!(encode(&a).cmp(&encode(&b)), compare(&a, &b));
    }

    #[test]
    fn keys_round_trip((types, a, _) in two_keys()) {
        prop_assert_eq!(decode_key(&encode(&a), &types).unwrap(), a);
    }

    #[test]
    fn no_key_begins_with_another((_, a, b) in two_keys()) {
        let (a, b) = (encode(&a), encode(&b));
        prop_assert!(a == b || !a.0.starts_with(&b.0) && !b.0.starts_with(&a.0));
    }

    #[test]
    fn equal_decimals_have_equal_keys(a in any::<i64>(), scale_a in 0_u8..=38, b in any::<i64>(), scale_b in 0_u8..=38) {
        let a = Decimal::new(a.into(), scale_a).unwrap();
        let b = Decimal::new(b.into(), scale_b).unwrap();
        let keys = [Value::Decimal(a), Value::Decimal(b)].map(|value| encode(&[value]));
        prop_assert_eq!(keys[0].cmp(&keys[1]), a.cmp(&b));
    }

    #[test]
    fn corrupt_keys_are_errors(bytes in vec(any::<u8>(), 0..40), types in vec(data_type(), 0..4)) {
        if let Ok(values) = decode_key(&RowKey(bytes), &types) {
            prop_assert_eq!(values.len(), types.len());
        }
    }

    #[test]
    fn i8_no_slice_begins_with_another(a in "[a-c@\u{e9}]{1,4}", b in "[a-c@\u{e9}]{1,4}", number in 1_u32..3) {
        let first = Slice::new(TableNumber(1), &user(&a));
        let second = Slice::new(TableNumber(number), &user(&b));
        prop_assert_eq!(first == second, a == b && number == 1);
        prop_assert!(first == second || !first.prefix().starts_with(second.prefix()));
        prop_assert!(!first.prefix().starts_with(Slice::new(TableNumber(1), &Scope::Shared).prefix()));
    }
}

#[test]
fn null_is_in_no_key() {
    assert_eq!(encode_key(&[&Value::Int(1), &Value::Null]), None);
}

#[test]
fn a_key_with_bytes_left_over_is_corrupt() {
    let error = decode_key(&RowKey(vec![1, 1]), &[DataType::Boolean]).unwrap_err();
    assert_eq!(error.code(), kalam_link_core::ErrorCode::DataCorrupt);
}

#[test]
fn a_range_ends_above_every_key_with_its_prefix() {
    assert_eq!(prefix_end(&[1, 2]), [1, 3]);
    assert_eq!(prefix_end(&[1, 0xff, 0xff]), [2]);
}

#[test]
fn a_request_is_found_by_its_time() {
    let alice = UserId::new("alice").unwrap();
    let time = request_time_key(Slot(3), Timestamp(-5), &alice, "r1");
    assert_eq!(
        request_key_of_time(&time).unwrap(),
        request_key(Slot(3), &alice, "r1")
    );
    assert!(time >= request_time_prefix(Slot(3), Timestamp(-5)));
    assert!(time < request_time_prefix(Slot(3), Timestamp(-4)));
}
