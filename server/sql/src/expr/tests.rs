use kalam_link_core::{DataType as D, Value as V};

use super::*;
use crate::testing::{Ids, eval, eval_with, fails, now, table, type_of};

fn text(text: &str) -> V {
    V::Text(text.to_owned())
}

fn decimal(text: &str) -> V {
    V::Decimal(text.parse().unwrap())
}

/// Compares by type and by text, so that NaN and -0 are told apart too.
fn check(expression: &str, expected: V) {
    let shown = |value: &V| format!("{value:?}");
    match eval(expression) {
        Ok(value) => assert_eq!(shown(&value), shown(&expected), "{expression}"),
        Err(error) => panic!("{expression}: {error:?}"),
    }
}

fn check_all(cases: &[(&str, V)]) {
    for (expression, expected) in cases {
        check(expression, expected.clone());
    }
}

fn truths(cases: &[(&str, Option<bool>)]) {
    for (expression, expected) in cases {
        check(expression, expected.map_or(V::Null, V::Boolean));
    }
}

fn check_not_simple(expressions: &[&str]) {
    for expression in expressions {
        assert!(
            matches!(fails(expression), Error::NotSimple(_)),
            "{expression}: {:?}",
            eval(expression)
        );
    }
}

#[test]
fn literals_have_the_types_of_datafusion() {
    check_all(&[
        ("1", V::BigInt(1)),
        ("-9223372036854775808", V::BigInt(i64::MIN)),
        ("9223372036854775807", V::BigInt(i64::MAX)),
        ("9223372036854775808", decimal("9223372036854775808")),
        ("(-1)", V::BigInt(-1)),
        ("1.5", V::Double(1.5)),
        ("-1.5", V::Double(-1.5)),
        ("1e3", V::Double(1000.0)),
        (".5", V::Double(0.5)),
        ("'it''s'", text("it's")),
        ("$$a'b$$", text("a'b")),
        ("X'00ff'", V::Bytes(vec![0, 255])),
        ("X''", V::Bytes(vec![])),
        ("TRUE", V::Boolean(true)),
        ("false", V::Boolean(false)),
        ("NULL", V::Null),
        ("DATE '1970-01-02'", V::Date(1)),
        ("TIME '00:00:01.5'", V::Time(1_500_000)),
        ("TIMESTAMP '1970-01-01 00:00:01'", V::Timestamp(1_000_000)),
        ("TIMESTAMP '1970-01-01T02:00:00+02:00'", V::Timestamp(0)),
        ("-(9223372036854775807)", V::BigInt(-i64::MAX)),
        ("- -1", V::BigInt(1)),
        ("+1", V::BigInt(1)),
    ]);
    assert!(matches!(
        fails("X'0'"),
        Error::InvalidValue { .. } | Error::Syntax { .. }
    ));
    assert!(matches!(fails("1e999"), Error::OutOfRange { .. }));
    check_not_simple(&[
        "9223372036854775808 + 1",
        "1 = 9223372036854775808",
        "INTERVAL '1 day'",
        "DATE '2024-1-5'",
        "TIMESTAMP '2024-01-01 00:00:00.123456789'",
        "random()",
        "(SELECT 1)",
    ]);
}

#[test]
fn integer_arithmetic_is_checked() {
    check_all(&[
        ("1 + 2 * 3", V::BigInt(7)),
        ("7 / 2", V::BigInt(3)),
        ("-7 / 2", V::BigInt(-3)),
        ("-7 % 3", V::BigInt(-1)),
        ("7 % -3", V::BigInt(1)),
        ("-9223372036854775808 % -1", V::BigInt(0)),
        ("small + small", V::SmallInt(14)),
        ("small + int", V::Int(107)),
        ("small + 1", V::BigInt(8)),
        ("int - big", V::BigInt(-900)),
        ("NULL + 1", V::Null),
        ("absent + 1", V::Null),
        ("NULL + NULL", V::Null),
        ("_seq + 0", V::BigInt(42)),
    ]);
    for expression in [
        "9223372036854775807 + 1",
        "-9223372036854775808 - 1",
        "9223372036854775807 * 2",
        "-9223372036854775808 / -1",
        "CAST(32767 AS SMALLINT) + CAST(1 AS SMALLINT)",
        "CAST(-32768 AS SMALLINT) / CAST(-1 AS SMALLINT)",
        "CAST(2147483647 AS INT) * small",
        "-CAST(-32768 AS SMALLINT)",
        "-(-9223372036854775808)",
        "ABS(-9223372036854775808)",
    ] {
        assert_eq!(fails(expression), Error::Overflow, "{expression}");
    }
    for expression in [
        "1 / 0",
        "1 % 0",
        "small / CAST(0 AS SMALLINT)",
        "price / 0",
        "price % 0",
    ] {
        assert_eq!(fails(expression), Error::DivisionByZero, "{expression}");
    }
    check_not_simple(&[
        "'a' + 1",
        "TRUE + 1",
        "at - at",
        "data + 1",
        "vector + vector",
        "-name",
        "1 | 2",
    ]);
}

#[test]
fn float_arithmetic_follows_ieee() {
    check_all(&[
        ("1 / 2.0", V::Double(0.5)),
        ("1.0 / 0", V::Double(f64::INFINITY)),
        ("-1.0 / 0", V::Double(f64::NEG_INFINITY)),
        ("5.5 % 2", V::Double(1.5)),
        ("single * single", V::Float(2.25)),
        ("single + 1", V::Float(2.5)),
        ("single + double", V::Double(4.0)),
        ("-double", V::Double(-2.5)),
        ("price / 2.0", V::Double(6.25)),
        ("price + single", V::Float(14.0)),
    ]);
    assert!(matches!(eval("0.0 / 0"), Ok(V::Double(nan)) if nan.is_nan()));
}

#[test]
fn decimal_arithmetic_has_the_scales_of_datafusion() {
    check_all(&[
        ("price + price", decimal("25.00")),
        ("price + 1", decimal("13.50")),
        ("price + 0.125", decimal("12.625")),
        ("1.1 * price", decimal("13.750")),
        ("price - 1e-3", decimal("12.499")),
        ("price - CAST(0.125 AS DECIMAL(5,3))", decimal("12.375")),
        ("price * price", decimal("156.2500")),
        ("price / 3", decimal("4.166666")),
        ("1 / price", decimal("0.0800")),
        ("-price / 3", decimal("-4.166666")),
        ("price % 5", decimal("2.50")),
        ("-price", decimal("-12.50")),
        ("ABS(-price)", decimal("12.50")),
    ]);
    for (expression, precision, scale) in [
        ("price + price", 11, 2),
        ("price + small", 11, 2),
        ("price + big", 23, 2),
        ("price * price", 21, 4),
        ("price / price", 16, 6),
        ("big / price", 26, 4),
        ("price % price", 10, 2),
        ("price + NULL", 11, 2),
    ] {
        assert_eq!(
            type_of(expression),
            Some(D::Decimal { precision, scale }),
            "{expression}"
        );
    }
    let wide = "CAST('99999999999999999999999999999999999999' AS DECIMAL(38,0))";
    for operator in ["+", "*"] {
        assert_eq!(fails(&format!("{wide} {operator} {wide}")), Error::Overflow);
    }
    assert_eq!(fails(&format!("{wide} / price")), Error::Overflow);
    check_not_simple(&["CAST(1 AS DECIMAL(38,20)) * CAST(1 AS DECIMAL(38,20))"]);
}

#[test]
fn dates_count_in_days() {
    check_all(&[
        ("day + 1", V::Date(19_783)),
        ("1 + day", V::Date(19_783)),
        ("day - small", V::Date(19_775)),
        ("day - DATE '2024-02-01'", V::BigInt(28)),
    ]);
    assert_eq!(
        fails("day + 2147483647"),
        Error::OutOfRange { data_type: D::Date }
    );
    assert_eq!(
        fails("day + 9223372036854775807"),
        Error::OutOfRange { data_type: D::Date }
    );
    check_not_simple(&["day + day", "1 - day", "day + 1.5", "day + NULL"]);
}

#[test]
fn comparisons_bring_both_sides_to_one_type() {
    truths(&[
        ("1 = 1", Some(true)),
        ("1 <> 1", Some(false)),
        ("small = 7", Some(true)),
        ("small < int AND int <= big", Some(true)),
        ("big = 1000.0", Some(true)),
        ("double > 2", Some(true)),
        ("price = 12.5", Some(true)),
        ("price > 12.49", Some(true)),
        ("price = CAST('12.500' AS DECIMAL(10,3))", Some(true)),
        ("price < big", Some(true)),
        ("small = '7'", Some(true)),
        ("'7' = small", Some(true)),
        ("double = '2.5'", Some(true)),
        ("price = '12.50'", Some(true)),
        ("price = 12.50", Some(true)),
        ("price IS DISTINCT FROM 12.5 OR TRUE", Some(true)),
        ("price IS NOT DISTINCT FROM 12.5 AND price > 0", Some(true)),
        ("price = 12.501", Some(false)),
        ("price < 12.501", Some(true)),
        ("price IN (1, 12.5)", Some(true)),
        ("price BETWEEN 12.499 AND 1e20", Some(true)),
        ("name = 'alice'", Some(true)),
        ("name < 'b'", Some(true)),
        ("'Z' < 'a'", Some(true)),
        ("'é' > 'z'", Some(true)),
        ("'' < 'a'", Some(true)),
        ("flag = TRUE", Some(true)),
        ("FALSE < flag", Some(true)),
        ("at > '2024-01-01'", Some(true)),
        ("at = '2024-02-29T12:00:00Z'", Some(true)),
        ("at = utc", Some(true)),
        ("at > day", Some(true)),
        ("day = '2024-02-29'", Some(true)),
        ("clock = '01:00:00'", Some(true)),
        ("uuid = '67e55044-10b1-426f-9247-bb680e5fe0c8'", Some(true)),
        ("uuid = '67E55044-10B1-426F-9247-BB680E5FE0C8'", Some(true)),
        ("json = '{\"a\":1}'", Some(true)),
        ("data = X'00ff'", Some(true)),
        ("data < X'01'", Some(true)),
        ("absent = 1", None),
        ("NULL = NULL", None),
        ("_seq = 42", Some(true)),
        ("not_a_number = not_a_number", Some(true)),
        ("not_a_number > 1e308", Some(true)),
        ("0.0 = -0.0", Some(true)),
        ("1 = single", Some(false)),
    ]);
    for expression in ["small = 'x'", "day = 'x' OR FALSE", "double = ''"] {
        let error = eval(expression);
        assert!(
            matches!(error, Err(Error::InvalidValue { .. } | Error::NotSimple(_))),
            "{expression}: {error:?}"
        );
    }
    check_not_simple(&[
        "flag = 1",
        "flag = 'true'",
        "vector = vector",
        "at = 1",
        "day = 1",
        "at > '2024-1-1'",
        "at = '2024-02-29T12:00:00.123456789'",
        "data = 1",
    ]);
}

#[test]
fn distinct_treats_null_as_a_value() {
    truths(&[
        ("NULL IS DISTINCT FROM NULL", Some(false)),
        ("NULL IS NOT DISTINCT FROM NULL", Some(true)),
        ("absent IS DISTINCT FROM 1", Some(true)),
        ("1 IS DISTINCT FROM 1", Some(false)),
        ("small IS NOT DISTINCT FROM 7.0", Some(true)),
    ]);
}

#[test]
fn logic_has_three_values() {
    let values = [
        ("TRUE", Some(true)),
        ("FALSE", Some(false)),
        ("(NULL = 1)", None),
    ];
    for (a, x) in values {
        truths(&[(&format!("NOT {a}"), x.map(|x| !x))]);
        for (b, y) in values {
            let and = match (x, y) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
            let or = match (x, y) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
            truths(&[(&format!("{a} AND {b}"), and), (&format!("{a} OR {b}"), or)]);
        }
        truths(&[
            (&format!("{a} IS TRUE"), Some(x == Some(true))),
            (&format!("{a} IS NOT TRUE"), Some(x != Some(true))),
            (&format!("{a} IS FALSE"), Some(x == Some(false))),
            (&format!("{a} IS NOT FALSE"), Some(x != Some(false))),
            (&format!("{a} IS UNKNOWN"), Some(x.is_none())),
            (&format!("{a} IS NOT UNKNOWN"), Some(x.is_some())),
            (&format!("{a} IS NULL"), Some(x.is_none())),
            (&format!("{a} IS NOT NULL"), Some(x.is_some())),
        ]);
    }
    truths(&[
        ("FALSE AND 1 / 0 = 1", Some(false)),
        ("TRUE OR 1 / 0 = 1", Some(true)),
    ]);
    check_not_simple(&["1 AND TRUE", "NOT 1", "name OR TRUE", "1 IS TRUE"]);
}

#[test]
fn long_chains_need_no_stack() {
    let chain = vec!["big = 1"; 300].join(" OR ");
    check(&format!("{chain} OR big = 1000"), V::Boolean(true));
}

#[test]
fn in_lists_know_null() {
    truths(&[
        ("small IN (1, 7)", Some(true)),
        ("small IN (1, 2)", Some(false)),
        ("small IN (1, NULL)", None),
        ("small IN (7, NULL)", Some(true)),
        ("absent IN (1)", None),
        ("small NOT IN (1, 2)", Some(true)),
        ("small NOT IN (1, NULL)", None),
        ("small NOT IN (7, NULL)", Some(false)),
        ("name IN ('bob', 'alice')", Some(true)),
        ("small IN ('1', '7')", Some(true)),
        ("small IN (6.5, 7.0)", Some(true)),
        ("at IN ('2024-02-29T12:00:00')", Some(true)),
        ("price IN (12.5)", Some(true)),
    ]);
    check_not_simple(&["small IN (TRUE)", "small IN (SELECT 1)", "flag IN (1)"]);
}

#[test]
fn between_includes_its_bounds() {
    truths(&[
        ("small BETWEEN 7 AND 7", Some(true)),
        ("small BETWEEN 8 AND 9", Some(false)),
        ("small NOT BETWEEN 8 AND 9", Some(true)),
        ("small BETWEEN NULL AND 6", Some(false)),
        ("small BETWEEN NULL AND 7", None),
        ("small BETWEEN 8 AND NULL", Some(false)),
        ("small NOT BETWEEN 7 AND NULL", None),
        ("at BETWEEN '2024-01-01' AND '2025-01-01'", Some(true)),
        ("name BETWEEN 'a' AND 'b'", Some(true)),
    ]);
}

#[test]
fn like_matches_patterns() {
    truths(
        &[
            ("name LIKE 'ali%'", Some(true)),
            ("name LIKE '%ice'", Some(true)),
            ("name LIKE '%lic%'", Some(true)),
            ("name LIKE 'a_i_e'", Some(true)),
            ("name LIKE 'ALICE'", Some(false)),
            ("name ILIKE 'AL%E'", Some(true)),
            ("name NOT LIKE 'b%'", Some(true)),
            ("'a%b' LIKE 'a\\%b'", Some(true)),
            ("'axb' LIKE 'a\\%b'", Some(false)),
            ("'a%b' LIKE 'a!%b' ESCAPE '!'", Some(true)),
            ("'a_b' NOT LIKE 'a!_b' ESCAPE '!'", Some(false)),
            ("'a\\b' LIKE 'a\\\\b'", Some(true)),
            ("'' LIKE ''", Some(true)),
            ("'' LIKE '%'", Some(true)),
            ("'' LIKE '_'", Some(false)),
            ("absent LIKE 'a'", None),
            ("name LIKE NULL", None),
            ("'ÄÖ' ILIKE 'äö'", Some(true)),
            ("uuid LIKE '67e%'", Some(true)),
        ]
        .map(|(expression, truth)| {
            (
                if expression.starts_with("absent") {
                    "nothing LIKE 'a'"
                } else {
                    expression
                },
                truth,
            )
        }),
    );
    check_not_simple(&[
        "1 LIKE '1'",
        "name LIKE 1",
        "data LIKE 'a'",
        "name SIMILAR TO 'a'",
    ]);
    assert!(matches!(
        fails("name LIKE 'a' ESCAPE 'xy'"),
        Error::Invalid { .. } | Error::Syntax { .. }
    ));
}

#[test]
fn case_takes_the_first_branch_that_holds() {
    check_all(&[
        (
            "CASE WHEN small > 5 THEN 'many' ELSE 'few' END",
            text("many"),
        ),
        ("CASE WHEN NULL THEN 1 WHEN FALSE THEN 2 END", V::Null),
        (
            "CASE small WHEN 1 THEN 'one' WHEN 7 THEN 'seven' END",
            text("seven"),
        ),
        ("CASE absent WHEN NULL THEN 1 ELSE 2 END", V::BigInt(2)),
        ("CASE WHEN TRUE THEN small ELSE 1.5 END", V::Double(7.0)),
        ("CASE WHEN TRUE THEN small ELSE name END", text("7")),
        ("CASE WHEN FALSE THEN 1 / 0 ELSE 3 END", V::BigInt(3)),
        ("CASE WHEN TRUE THEN price ELSE 1 END", decimal("12.50")),
    ]);
    assert_eq!(
        type_of("CASE WHEN flag THEN small ELSE int END"),
        Some(D::Int)
    );
    assert_eq!(
        type_of("CASE WHEN flag THEN NULL ELSE int END"),
        Some(D::Int)
    );
    check_not_simple(&[
        "CASE WHEN 1 THEN 2 END",
        "CASE WHEN TRUE THEN flag ELSE 1 END",
    ]);
}

#[test]
fn concatenation_makes_text() {
    check_all(&[
        ("'a' || 'b'", text("ab")),
        ("'n' || 1", text("n1")),
        ("small || '!'", text("7!")),
        ("'a' || NULL", V::Null),
        ("name || absent", V::Null),
        ("'p' || price", text("p12.50")),
        ("'t' || flag", text("ttrue")),
        ("CONCAT('a', NULL, 2, TRUE)", text("a2true")),
    ]);
    check_not_simple(&["1 || 2", "data || 'a'", "vector || 'a'", "CONCAT(data)"]);
}

#[test]
fn functions_of_text_and_numbers() {
    check_all(&[
        ("LOWER('ÀB')", text("àb")),
        ("UPPER('straße')", text("STRASSE")),
        ("LENGTH('añb')", V::Int(3)),
        ("CHAR_LENGTH('')", V::Int(0)),
        ("character_length('😀')", V::Int(1)),
        ("LENGTH(NULL)", V::Null),
        ("LOWER(NULL)", V::Null),
        ("ABS(-5)", V::BigInt(5)),
        ("ABS(CAST(-5 AS SMALLINT))", V::SmallInt(5)),
        ("ABS(-1.5)", V::Double(1.5)),
        ("COALESCE(absent, 2, 1 / 0)", V::BigInt(2)),
        ("COALESCE(NULL, NULL)", V::Null),
        ("COALESCE(small, 1.5)", V::Double(7.0)),
        ("NULLIF(1, 1)", V::Null),
        ("NULLIF(small, 8)", V::BigInt(7)),
        ("NULLIF(NULL, 1)", V::Null),
        ("NULLIF(1, NULL)", V::BigInt(1)),
        ("GREATEST(1, NULL, 3, 2)", V::BigInt(3)),
        ("LEAST(small, int, big)", V::BigInt(7)),
        ("GREATEST('a', 'b')", text("b")),
        ("LEAST(NULL)", V::Null),
    ]);
    check_not_simple(&[
        "LOWER(1)",
        "LENGTH(data)",
        "ABS('1')",
        "COALESCE(name, 1)",
        "now() OVER ()",
    ]);
    for expression in ["LOWER()", "LOWER('a', 'b')", "NULLIF(1)", "UUID_V7(1)"] {
        assert!(
            matches!(fails(expression), Error::ArgumentCount { .. }),
            "{expression}"
        );
    }
}

#[test]
fn functions_of_the_statement_come_from_its_context() {
    check_all(&[
        ("NOW()", V::Timestamp(now().0)),
        ("CURRENT_TIMESTAMP", V::Timestamp(now().0)),
        ("CURRENT_DATE", V::Date(20_000)),
        ("CURRENT_USER()", text("alice")),
        ("CURRENT_USER", text("alice")),
        ("SNOWFLAKE_ID()", V::BigInt(Ids::SNOWFLAKE)),
        ("UUID_V7()", V::Uuid(Ids::UUID)),
        ("ULID()", text(Ids::ULID)),
    ]);
}

#[test]
fn casts_convert_as_arrow_does() {
    check_all(&[
        ("CAST(1.9 AS INT)", V::Int(1)),
        ("CAST(-1.9 AS INT)", V::Int(-1)),
        ("'42'::BIGINT", V::BigInt(42)),
        ("CAST(' 42 ' AS BIGINT)", V::BigInt(42)),
        ("CAST(TRUE AS INT)", V::Int(1)),
        ("CAST(0 AS BOOLEAN)", V::Boolean(false)),
        ("CAST('yes' AS BOOLEAN)", V::Boolean(true)),
        ("CAST(price AS INT)", V::Int(12)),
        ("CAST(price AS DOUBLE)", V::Double(12.5)),
        ("CAST(price AS DECIMAL(10,1))", decimal("12.5")),
        ("CAST(12.345 AS DECIMAL(10,2))", decimal("12.35")),
        ("CAST('-12.345' AS DECIMAL(10,2))", decimal("-12.35")),
        ("CAST(1 AS DECIMAL)", decimal("1.0000000000")),
        ("CAST(1 AS TEXT)", text("1")),
        ("CAST(1.0 AS TEXT)", text("1.0")),
        ("CAST(1e16 AS TEXT)", text("1e16")),
        ("CAST(123456789012345.0 AS TEXT)", text("123456789012345.0")),
        ("CAST(0.00001 AS TEXT)", text("0.00001")),
        ("CAST(0.000001 AS TEXT)", text("1e-6")),
        ("CAST(single AS TEXT)", text("1.5")),
        ("CAST(TRUE AS TEXT)", text("true")),
        ("CAST(day AS TEXT)", text("2024-02-29")),
        ("CAST(at AS TEXT)", text("2024-02-29T12:00:00")),
        ("CAST(utc AS TEXT)", text("2024-02-29T12:00:00Z")),
        ("CAST(clock AS TEXT)", text("01:00:00")),
        (
            "CAST(uuid AS TEXT)",
            text("67e55044-10b1-426f-9247-bb680e5fe0c8"),
        ),
        ("CAST(X'6869' AS TEXT)", text("hi")),
        ("CAST('hi' AS BYTEA)", V::Bytes(b"hi".to_vec())),
        ("CAST(at AS DATE)", V::Date(19_782)),
        (
            "CAST(day AS TIMESTAMP)",
            V::Timestamp(19_782 * 86_400_000_000),
        ),
        ("CAST(at AS TIME)", V::Time(43_200_000_000)),
        (
            "CAST(at AS BIGINT)",
            V::BigInt(19_782 * 86_400_000_000 + 43_200_000_000),
        ),
        ("CAST(day AS INT)", V::Int(19_782)),
        ("CAST(19782 AS DATE)", V::Date(19_782)),
        ("CAST(NULL AS INT)", V::Null),
        (
            "CAST('67E55044-10B1-426F-9247-BB680E5FE0C8' AS UUID) = uuid",
            V::Boolean(true),
        ),
        ("CAST('[1]' AS JSON)", V::Json("[1]".to_owned())),
        ("TRY_CAST('x' AS INT)", V::Null),
        ("TRY_CAST(99999 AS SMALLINT)", V::Null),
        ("TRY_CAST('5' AS INT)", V::Int(5)),
        ("CAST('NaN' AS DOUBLE) > 1", V::Boolean(true)),
        ("CAST('1e3' AS FLOAT)", V::Float(1000.0)),
    ]);
    for expression in [
        "CAST('x' AS INT)",
        "CAST(99999 AS SMALLINT)",
        "CAST(1e30 AS BIGINT)",
        "CAST('NaN' AS DOUBLE)::INT",
        "CAST(123.45 AS DECIMAL(3,1))",
        "CAST('{' AS JSON)",
        "CAST('x' AS UUID)",
        "CAST(X'ff' AS TEXT)",
    ] {
        let error = eval(expression);
        assert!(
            matches!(
                error,
                Err(Error::InvalidValue { .. } | Error::OutOfRange { .. } | Error::Type { .. })
            ),
            "{expression}: {error:?}"
        );
    }
    check_not_simple(&[
        "CAST(1 AS TIMESTAMP)",
        "CAST(flag AS DATE)",
        "CAST(vector AS TEXT)",
    ]);
}

#[test]
fn columns_are_found_by_name_alias_and_table() {
    let table = table();
    let found = |expression: &str, alias: Option<&str>| {
        compile(
            &crate::parse_expr(expression).unwrap(),
            &ColumnScope::Table {
                table: &table,
                alias,
            },
        )
        .map(|compiled| compiled.column())
    };
    assert_eq!(found("small", None), Ok(Some(1)));
    assert_eq!(found("SMALL", None), Ok(Some(1)));
    assert_eq!(found("\"small\"", None), Ok(Some(1)));
    assert_eq!(found("things.small", None), Ok(Some(1)));
    assert_eq!(found("test.things.small", None), Ok(Some(1)));
    assert_eq!(found("t.small", Some("t")), Ok(Some(1)));
    for (unknown, alias) in [
        ("nope", None),
        ("\"SMALL\"", None),
        ("t.small", None),
        ("other.things.small", None),
        ("things.small", Some("t")),
        ("excluded.small", None),
    ] {
        assert!(
            matches!(found(unknown, alias), Err(Error::UnknownColumn { .. })),
            "{unknown}"
        );
    }
    let none = compile(&crate::parse_expr("small").unwrap(), &ColumnScope::None);
    assert_eq!(
        none.map(|_| ()),
        Err(Error::UnknownColumn {
            column: "small".to_owned()
        })
    );
}

#[test]
fn excluded_is_the_other_row() {
    let table = table();
    let scope = ColumnScope::TableAndExcluded {
        table: &table,
        alias: None,
    };
    let compiled = compile(&crate::parse_expr("big + excluded.big").unwrap(), &scope).unwrap();
    let (current, mut excluded) = (crate::testing::row(), crate::testing::row());
    excluded[3] = V::BigInt(1);
    let rows = RowValues::new(&current, SeqId(1)).with_excluded(&excluded);
    let value = crate::testing::with_context(&[], |context| compiled.eval(&rows, context));
    assert_eq!(value, Ok(V::BigInt(1_001)));
}

#[test]
fn parameters_are_literals_of_their_json_type() {
    use serde_json::json;
    let cases = [
        ("$1 + 1", json!([41]), V::BigInt(42)),
        ("$1 + 1", json!([1.5]), V::Double(2.5)),
        ("$1 || 'b'", json!(["a"]), text("ab")),
        ("big = $1", json!([1000]), V::Boolean(true)),
        ("big = $1", json!(["1000"]), V::Boolean(true)),
        ("price = $1", json!(["12.50"]), V::Boolean(true)),
        ("price = $1", json!([12.5]), V::Boolean(true)),
        ("price < $1", json!([12.501]), V::Boolean(true)),
        ("at > $1", json!(["2024-01-01"]), V::Boolean(true)),
        ("at > $1", json!([0]), V::Boolean(true)),
        ("data = $1", json!(["AP8="]), V::Boolean(true)),
        ("data = $1", json!([[0, 255]]), V::Boolean(true)),
        (
            "uuid = $1",
            json!(["67e55044-10b1-426f-9247-bb680e5fe0c8"]),
            V::Boolean(true),
        ),
        ("small IN ($1, $2)", json!([1, 7]), V::Boolean(true)),
        ("small BETWEEN $1 AND $2", json!([1, null]), V::Null),
        ("name LIKE $1", json!(["a%"]), V::Boolean(true)),
        ("COALESCE($1, 5)", json!([null]), V::BigInt(5)),
        ("$1 AND TRUE", json!([true]), V::Boolean(true)),
        (
            "CASE WHEN $1 THEN $2 ELSE $2 END",
            json!([true, "x"]),
            text("x"),
        ),
        ("$1::INT", json!(["5"]), V::Int(5)),
        ("$2", json!([1, 2]), V::BigInt(2)),
    ];
    for (expression, params, expected) in cases {
        let params = params.as_array().unwrap();
        let value = eval_with(expression, params);
        assert_eq!(
            value.as_ref().map(|v| format!("{v:?}")),
            Ok(format!("{expected:?}")),
            "{expression} {params:?}"
        );
    }
    assert_eq!(
        eval_with("$2", &[json!(1)]),
        Err(Error::MissingParameter { index: 2 })
    );
    assert!(matches!(
        eval_with("$1 + 1", &[json!("a")]),
        Err(Error::Type { .. })
    ));
    assert!(matches!(
        eval_with("$1 AND TRUE", &[json!(1)]),
        Err(Error::Type { .. })
    ));
    assert!(matches!(
        eval_with("at > $1", &[json!("soon")]),
        Err(Error::Parameter { index: 1, .. })
    ));
}

#[test]
fn numbers_are_assigned_as_written() {
    use crate::testing::assign;
    let decimal_column = D::Decimal {
        precision: 38,
        scale: 10,
    };
    assert_eq!(
        assign("1234567890123456789.0123456789", decimal_column, &[]),
        Ok(decimal("1234567890123456789.0123456789"))
    );
    assert_eq!(
        assign(
            "-0.10",
            D::Decimal {
                precision: 4,
                scale: 2
            },
            &[]
        ),
        Ok(decimal("-0.10"))
    );
    assert_eq!(
        assign("12345678901234567890", decimal_column, &[]),
        Ok(decimal("12345678901234567890"))
    );
    assert_eq!(assign("5.0", D::BigInt, &[]), Ok(V::BigInt(5)));
    assert_eq!(
        assign("9007199254740993.0", D::BigInt, &[]),
        Ok(V::BigInt(9_007_199_254_740_993))
    );
    assert_eq!(assign("1.5", D::Double, &[]), Ok(V::Double(1.5)));
    assert_eq!(assign("0.1", D::Float, &[]), Ok(V::Float(0.1)));
    assert!(
        assign(
            "0.125",
            D::Decimal {
                precision: 4,
                scale: 2
            },
            &[]
        )
        .is_err()
    );
    assert!(assign("12345678901234567890", D::BigInt, &[]).is_err());
    assert_eq!(
        assign("$1", D::Bytes, &[serde_json::json!("AP8=")]),
        Ok(V::Bytes(vec![0, 255]))
    );
    assert_eq!(
        assign("$1", D::Timestamp, &[serde_json::json!(5)]),
        Ok(V::Timestamp(5))
    );
    assert!(matches!(
        assign("$1", D::Int, &[serde_json::json!("x")]),
        Err(Error::Parameter { index: 1, .. })
    ));
}

#[test]
fn flags_tell_what_an_expression_uses() {
    let table = table();
    let flags = |expression: &str| {
        let scope = ColumnScope::Table {
            table: &table,
            alias: None,
        };
        let compiled = compile(&crate::parse_expr(expression).unwrap(), &scope).unwrap();
        (compiled.is_constant(), compiled.is_volatile())
    };
    assert_eq!(flags("1 + 1"), (true, false));
    assert_eq!(flags("NOW()"), (true, false));
    assert_eq!(flags("SNOWFLAKE_ID() + 1"), (true, true));
    assert_eq!(flags("small + 1"), (false, false));
    assert_eq!(flags("$1"), (false, false));
    assert_eq!(flags("_seq"), (false, false));
}

#[test]
fn types_are_known_before_evaluation() {
    for (expression, data_type) in [
        ("small", Some(D::SmallInt)),
        ("small + 1", Some(D::BigInt)),
        ("name || 1", Some(D::Text)),
        ("uuid", Some(D::Uuid)),
        ("vector", Some(D::Embedding(2))),
        ("1 = 1", Some(D::Boolean)),
        ("absent IS NULL", Some(D::Boolean)),
        ("NULL", None),
        ("$1", None),
        ("$1 + 1", None),
        ("LENGTH(name)", Some(D::Int)),
        ("NOW()", Some(D::Timestamp)),
        ("COALESCE(NULL, small)", Some(D::SmallInt)),
        ("CAST(NULL AS DATE)", Some(D::Date)),
        ("_seq", Some(D::BigInt)),
    ] {
        assert_eq!(type_of(expression), data_type, "{expression}");
    }
}

#[test]
fn constants_are_computed_once() {
    let compiled = compile(
        &crate::parse_expr("1 + 2 * 3 = 7").unwrap(),
        &ColumnScope::None,
    )
    .unwrap();
    assert!(matches!(
        compiled.root.node,
        Node::Constant(V::Boolean(true))
    ));
}
