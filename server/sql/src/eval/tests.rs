use kalam_link_core::{DataType as D, SeqId, Value as V};
use proptest::prelude::*;

use super::*;
use crate::expr::{ColumnScope, OnFailure, compile};
use crate::testing::{column, row, table, with_context};

/// By definition: `%` takes any number of characters.
fn naive_like(text: &[char], pattern: &[char], escape: char) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((first, rest)) if *first == escape => match rest.split_first() {
            Some((literal, rest)) => {
                text.first() == Some(literal) && naive_like(&text[1..], rest, escape)
            }
            None => text == [escape],
        },
        Some(('%', rest)) => (0..=text.len()).any(|taken| naive_like(&text[taken..], rest, escape)),
        Some(('_', rest)) => !text.is_empty() && naive_like(&text[1..], rest, escape),
        Some((literal, rest)) => {
            text.first() == Some(literal) && naive_like(&text[1..], rest, escape)
        }
    }
}

fn any_value() -> impl Strategy<Value = V> {
    let text = prop_oneof![
        "[0-9.eE+-]{0,6}",
        "\\PC{0,6}",
        Just("2024-02-29".to_owned()),
        Just("2024-02-29T12:00:00.5Z".to_owned()),
        Just("12:30:00".to_owned()),
        Just("[0.5, -1]".to_owned()),
        Just("67e55044-10b1-426f-9247-bb680e5fe0c8".to_owned()),
    ];
    let integer = prop_oneof![
        Just(0_i64),
        Just(1),
        Just(-1),
        Just(i64::MAX),
        Just(i64::MIN),
        any::<i64>()
    ];
    let float = prop_oneof![
        Just(0.0_f64),
        Just(-0.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(f64::MAX),
        Just(f64::MIN_POSITIVE),
        any::<f64>()
    ];
    let unscaled = prop_oneof![
        Just(10_i128.pow(38) - 1),
        Just(1 - 10_i128.pow(38)),
        any::<i64>().prop_map(i128::from)
    ];
    prop_oneof![
        Just(V::Null),
        any::<bool>().prop_map(V::Boolean),
        any::<i16>().prop_map(V::SmallInt),
        prop_oneof![Just(i32::MIN), Just(i32::MAX), any::<i32>()].prop_map(V::Int),
        integer.clone().prop_map(V::BigInt),
        any::<f32>().prop_map(V::Float),
        float.prop_map(V::Double),
        (unscaled, 0_u8..=38).prop_map(|(unscaled, scale)| {
            V::Decimal(kalam_link_core::Decimal::new(unscaled, scale).unwrap())
        }),
        text.prop_map(V::Text),
        integer.clone().prop_map(V::Timestamp),
        integer.clone().prop_map(V::DateTime),
        prop_oneof![Just(i32::MIN), Just(i32::MAX), any::<i32>()].prop_map(V::Date),
        integer.prop_map(V::Time),
        Just(V::Json("{\"a\":1}".to_owned())),
        proptest::collection::vec(any::<u8>(), 0..4).prop_map(V::Bytes),
        any::<[u8; 16]>().prop_map(V::Uuid),
        proptest::collection::vec(any::<f32>(), 0..3).prop_map(V::Embedding),
    ]
}

fn any_type() -> impl Strategy<Value = D> {
    prop_oneof![
        Just(D::Boolean),
        Just(D::SmallInt),
        Just(D::Int),
        Just(D::BigInt),
        Just(D::Float),
        Just(D::Double),
        (1_u8..=38)
            .prop_flat_map(|precision| (Just(precision), 0..=precision))
            .prop_map(|(precision, scale)| D::Decimal { precision, scale }),
        Just(D::Text),
        Just(D::Timestamp),
        Just(D::DateTime),
        Just(D::Date),
        Just(D::Time),
        Just(D::Json),
        Just(D::Bytes),
        Just(D::Uuid),
        (0_u32..3).prop_map(D::Embedding),
    ]
}

/// Text of an expression over the columns of the test table.
fn any_expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        proptest::sample::select(vec![
            "flag",
            "small",
            "int",
            "big",
            "single",
            "double",
            "price",
            "name",
            "at",
            "utc",
            "day",
            "clock",
            "json",
            "data",
            "uuid",
            "vector",
            "absent",
            "nothing",
            "not_a_number",
            "_seq",
            "NULL",
            "TRUE",
            "0",
            "1",
            "-1",
            "1.5",
            "9223372036854775807",
            "''",
            "'5'",
            "'2024-02-29'",
            "X'00'",
            "$1",
            "$2",
            "$3",
            "NOW()",
            "ULID()",
        ])
        .prop_map(str::to_owned),
        any::<i64>().prop_map(|number| number.to_string()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let operator = proptest::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "%",
            "||",
            "=",
            "<>",
            "<",
            "<=",
            ">",
            ">=",
            "AND",
            "OR",
            "IS DISTINCT FROM",
            "LIKE",
            "ILIKE",
        ]);
        let cast = proptest::sample::select(vec![
            "BOOLEAN",
            "SMALLINT",
            "INT",
            "BIGINT",
            "FLOAT",
            "DOUBLE",
            "DECIMAL(10,2)",
            "TEXT",
            "TIMESTAMP",
            "DATE",
            "TIME",
            "JSON",
            "BYTEA",
            "UUID",
        ]);
        let call = proptest::sample::select(vec![
            "LOWER", "UPPER", "LENGTH", "ABS", "COALESCE", "CONCAT", "GREATEST",
        ]);
        prop_oneof![
            (inner.clone(), operator, inner.clone())
                .prop_map(|(a, operator, b)| format!("({a}) {operator} ({b})")),
            (inner.clone(), cast).prop_map(|(a, cast)| format!("TRY_CAST({a} AS {cast})")),
            (call, inner.clone()).prop_map(|(call, a)| format!("{call}({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("COALESCE({a}, {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("NULLIF({a}, {b})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a}) IN ({b}, {c})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a}) NOT BETWEEN ({b}) AND ({c})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("CASE WHEN {a} THEN {b} ELSE {c} END")),
            inner.clone().prop_map(|a| format!("NOT ({a})")),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.prop_map(|a| format!("({a}) IS NOT NULL")),
        ]
    })
}

fn any_param() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::json;
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|flag| json!(flag)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<u64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        "\\PC{0,6}".prop_map(|text| json!(text)),
        Just(json!([1, 2])),
        Just(json!({"a": 1})),
    ]
}

/// Whether a value can be what an expression of that type gives.
fn belongs(value: &V, data_type: D) -> bool {
    match (value.data_type(), data_type) {
        (None, _) => true,
        (Some(D::Decimal { scale: actual, .. }), D::Decimal { scale, .. }) => actual == scale,
        (Some(actual), declared) => actual == declared,
    }
}

proptest! {
    #[test]
    fn like_agrees_with_its_definition(text in "[ab%_!]{0,8}", pattern in "[ab%_!\\\\]{0,6}", escape in "[!\\\\]") {
        let escape = escape.chars().next().unwrap();
        let characters = |text: &str| text.chars().collect::<Vec<_>>();
        let expected = naive_like(&characters(&text), &characters(&pattern), escape);
        prop_assert_eq!(like::matches(&text, &pattern, escape, crate::expr::Letters::Exact), expected);
    }

    #[test]
    fn no_pair_of_values_panics(a in any_value(), b in any_value()) {
        use crate::expr::Arithmetic as A;
        for operator in [A::Add, A::Subtract, A::Multiply, A::Divide, A::Remainder] {
            let _ = arithmetic::apply(operator, &a, &b);
        }
        let _ = arithmetic::negate(&a);
        let _ = arithmetic::absolute(&a);
        if let (Ok(Some(forth)), Ok(Some(back))) = (compare(&a, &b), compare(&b, &a)) {
            prop_assert_eq!(forth, back.reverse());
        }
    }

    #[test]
    fn comparing_values_of_one_type_is_their_order(a in any_value(), b in any_value()) {
        if a.data_type() == b.data_type() && !a.is_null() && !matches!(a, V::Embedding(_)) {
            prop_assert_eq!(compare(&a, &b), Ok(a.compare(&b)));
        }
    }

    #[test]
    fn casts_and_assignments_do_not_panic(value in any_value(), data_type in any_type()) {
        for on_failure in [OnFailure::Error, OnFailure::Null] {
            if let Ok(cast) = cast::cast(Cow::Borrowed(&value), data_type, on_failure) {
                prop_assert!(belongs(&cast, data_type), "{:?} as {}", cast, data_type);
            }
        }
        if let Ok(stored) = crate::coerce(value, &column("c", data_type)) {
            prop_assert!(belongs(&stored, data_type), "{:?} in {}", stored, data_type);
            let again = crate::coerce(stored.clone(), &column("c", data_type));
            prop_assert_eq!(again, Ok(stored));
        }
    }

    #[test]
    fn text_of_a_value_reads_back(value in any_value(), data_type in any_type()) {
        if let Ok(stored) = crate::coerce(value, &column("c", data_type))
            && matches!(stored, V::SmallInt(_) | V::Int(_) | V::BigInt(_) | V::Float(_) | V::Double(_) | V::Uuid(_))
        {
            let text = V::Text(cast::to_text(&stored).unwrap());
            prop_assert_eq!(cast::cast(Cow::Owned(text), data_type, OnFailure::Error), Ok(stored));
        }
    }

    #[test]
    fn no_expression_panics_and_types_are_kept(
        expression in any_expression(),
        params in proptest::collection::vec(any_param(), 3),
    ) {
        let table = table();
        let Ok(ast) = crate::parse_expr(&expression) else { return Ok(()) };
        let scope = ColumnScope::Table { table: &table, alias: None };
        let Ok(compiled) = compile(&ast, &scope) else { return Ok(()) };
        let row = row();
        let value = with_context(&params, |context| compiled.eval(&RowValues::new(&row, SeqId(42)), context));
        if let (Ok(value), Some(data_type)) = (value, compiled.data_type()) {
            prop_assert!(belongs(&value, data_type), "{} gives {:?}, not {}", expression, value, data_type);
        }
    }
}

#[test]
fn like_is_not_exponential() {
    let text = "a".repeat(2_000);
    let pattern = "%a".repeat(200) + "b";
    assert!(!like::matches(&text, &pattern, '\\', Letters::Exact));
}

#[test]
fn columns_and_constants_are_not_copied() {
    let table = table();
    let scope = ColumnScope::Table {
        table: &table,
        alias: None,
    };
    let row = row();
    for expression in [
        "name",
        "'x'",
        "COALESCE(nothing, name)",
        "CASE WHEN flag THEN name ELSE 'x' END",
    ] {
        let compiled = compile(&crate::parse_expr(expression).unwrap(), &scope).unwrap();
        let value = compiled
            .root
            .eval(&RowValues::new(&row, SeqId(1)), None)
            .unwrap();
        assert!(matches!(value, Cow::Borrowed(_)), "{expression}");
    }
}
