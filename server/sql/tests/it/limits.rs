//! Large and hostile statements: each is read or refused, in time and on the stack of a worker thread.

use std::time::{Duration, Instant};

use kalam_sql::statement::Statement;
use kalam_sql::{CODE_BYTES_MAX, EXPRESSION_DEPTH_MAX, Error, NESTING_MAX, canonical_query, parse};

/// Half of what tokio gives a worker, because callers need some as well.
const STACK_BYTES: usize = 1 << 20;

/// Far more than any of these takes, even on a busy machine without optimisation.
const TIME_MAX: Duration = Duration::from_secs(20);

/// Reads, and if that works also clones, compares, shows and drops, on a small stack. The code of the error, or `ok`.
#[track_caller]
fn outcome(text: String) -> String {
    let started = Instant::now();
    let thread = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || match parse(&text) {
            Ok(parsed) => {
                let again = parsed.clone();
                assert_eq!(again, parsed);
                if let Statement::Select(query) = &parsed[0].statement {
                    let stored = canonical_query(query);
                    match kalam_sql::parse_query(&stored) {
                        Ok(reread) => assert_eq!(canonical_query(&reread), stored),
                        // Written out, nested operators have parentheses and nest deeper.
                        Err(error) => assert!(matches!(error, Error::TooDeep { .. }), "{error}"),
                    }
                    assert!(!format!("{query:?}").is_empty());
                }
                "ok".to_owned()
            }
            Err(error) => match error {
                Error::TooDeep { .. } => "too deep".to_owned(),
                Error::TooMany { what, .. } => format!("too many {what}"),
                other => other.code().to_string(),
            },
        });
    let outcome = thread
        .expect("a thread starts")
        .join()
        .expect("it does not panic");
    let took = started.elapsed();
    assert!(took < TIME_MAX, "took {took:?}");
    outcome
}

fn chain(count: usize, term: impl Fn(usize) -> String, operator: &str) -> String {
    (0..count).map(term).collect::<Vec<_>>().join(operator)
}

#[test]
fn long_conditions_are_read() {
    for operator in [" OR ", " AND "] {
        let condition = chain(10_000, |n| format!("id = {n}"), operator);
        assert_eq!(outcome(format!("SELECT * FROM t WHERE {condition}")), "ok");
        assert_eq!(outcome(format!("DELETE FROM t WHERE {condition}")), "ok");
        assert_eq!(
            outcome(format!("UPDATE t SET a = 1 WHERE NOT ({condition})")),
            "ok"
        );
    }
    let mixed = chain(
        10_000,
        |n| format!("a = {n} AND b BETWEEN {n} AND 9 AND NOT c"),
        " OR ",
    );
    assert_eq!(outcome(format!("SELECT * FROM t WHERE {mixed}")), "ok");
    let nested = chain(
        200,
        |_| format!("({})", chain(50, |n| format!("a = {n}"), " AND ")),
        " OR ",
    );
    assert_eq!(outcome(format!("SELECT * FROM t WHERE {nested}")), "ok");
}

#[test]
fn a_balanced_condition_keeps_its_order() {
    let condition = chain(1_000, |n| format!("a = {n}"), " OR ");
    let Statement::Select(query) = crate::parsed(&format!("SELECT * FROM t WHERE {condition}"))
    else {
        panic!()
    };
    assert!(query.to_string().ends_with(&condition));
}

#[test]
fn long_lists_are_read() {
    let rows = chain(20_000, |n| format!("({n}, 'text', NULL, 1.5)"), ", ");
    assert_eq!(outcome(format!("INSERT INTO t VALUES {rows}")), "ok");
    let list = chain(50_000, |n| n.to_string(), ",");
    assert_eq!(
        outcome(format!("SELECT * FROM t WHERE id IN ({list})")),
        "ok"
    );
    assert_eq!(outcome(format!("SELECT coalesce({list})")), "ok");
    let branches = chain(5_000, |n| format!("WHEN a = {n} THEN {n} + 1"), " ");
    assert_eq!(
        outcome(format!("SELECT CASE {branches} ELSE 0 END FROM t")),
        "ok"
    );
    let text = "x''".repeat(1_500_000);
    assert_eq!(outcome(format!("INSERT INTO t VALUES ('{text}')")), "ok");
}

#[test]
fn chains_of_other_operators_are_bounded() {
    for operator in [" + ", " || ", " - ", " = ", " :: ", " -> "] {
        let term = |n: usize| {
            if operator == " :: " {
                "INT".to_owned()
            } else {
                n.to_string()
            }
        };
        for (count, expected) in [
            (EXPRESSION_DEPTH_MAX - 10, "ok"),
            (10_000, "too deep"),
            (100_000, "too deep"),
        ] {
            assert_eq!(
                outcome(format!(
                    "SELECT 1{operator}{}",
                    chain(count, term, operator)
                )),
                expected,
                "{operator}"
            );
        }
    }
    for suffix in [
        " IS NULL",
        " NOT IN (1)",
        " BETWEEN 1 AND 2",
        " LIKE 'x'",
        " AT TIME ZONE 'UTC'",
        " NOT LIKE 'x'",
    ] {
        assert_eq!(
            outcome(format!("SELECT 1{}", suffix.repeat(50_000))),
            "too deep",
            "{suffix}"
        );
    }
    assert_eq!(
        outcome(format!("SELECT a{}", "[1]".repeat(50_000))),
        "too deep"
    );
    let sum = chain(100, |n| n.to_string(), " + ");
    assert_eq!(
        outcome(format!("SELECT {}", chain(50, |_| sum.clone(), ", "))),
        "ok"
    );
    let cases = chain(400, |_| "CASE WHEN a THEN 1 END".to_owned(), " + ");
    assert_eq!(outcome(format!("SELECT {cases}")), "too deep");
    let words = chain(400, |_| "case + end".to_owned(), " + ");
    assert_eq!(outcome(format!("SELECT {words}")), "too deep");
    let words = chain(400, |_| "select".to_owned(), " + ");
    assert_eq!(outcome(format!("SELECT {words}")), "too deep");
}

/// A statement nested to any depth: read while shallow, refused when deep, never a crash.
#[track_caller]
fn check_nesting(open: &str, core: &str, close: &str) {
    let nested = |depth: usize| format!("{}{core}{}", open.repeat(depth), close.repeat(depth));
    assert_eq!(outcome(format!("SELECT {}", nested(10))), "ok", "{open}");
    for depth in [NESTING_MAX / 2, NESTING_MAX, 1_000, 20_000] {
        let result = outcome(format!("SELECT {}", nested(depth)));
        assert!(
            result == "too deep" || (depth <= NESTING_MAX && result == "ok"),
            "{open} {depth}: {result}"
        );
        // Without an end the parser looks for another meaning at each level.
        let result = outcome(format!("SELECT {}", open.repeat(depth)));
        assert!(
            result == "too deep" || result == "INVALID_SQL",
            "{open} {depth}: {result}"
        );
    }
}

#[test]
fn deep_nesting_is_refused() {
    for (open, core, close) in [
        ("(", "1", ")"),
        ("- ", "1", ""),
        ("+ - ", "1", ""),
        ("NOT ", "a", ""),
        ("NOT (", "a", ")"),
        ("abs(", "1", ")"),
        ("floor(", "1", ")"),
        ("CAST(", "1", " AS INT)"),
        ("EXTRACT(year FROM ", "a", ")"),
        ("CASE WHEN ", "a", " THEN 1 END"),
        ("CASE (", "a", ") WHEN 1 THEN 1 END"),
        ("a OR (b AND ", "c", ")"),
        ("1 + (2 * ", "3", ")"),
        ("a IN (", "1", ")"),
        ("[", "1", "]"),
        ("(SELECT ", "1", ")"),
        ("EXISTS (SELECT ", "1", ")"),
        ("trim(", "a", ")"),
        ("substring(", "a", " FROM 1)"),
        ("position(a IN ", "b", ")"),
        ("coalesce(1, ", "b", ")"),
        ("a BETWEEN 1 AND (", "2", ")"),
    ] {
        check_nesting(open, core, close);
    }
}

#[test]
fn deep_nesting_of_other_kinds_is_refused() {
    for depth in [20, 5_000, 50_000] {
        for text in [
            format!("SELECT * FROM {}t{}", "(".repeat(depth), ")".repeat(depth)),
            format!(
                "SELECT * FROM {}t{}",
                "(SELECT * FROM ".repeat(depth),
                ") AS x".repeat(depth)
            ),
            format!(
                "SELECT * FROM {}t{}",
                "((SELECT * FROM ".repeat(depth),
                ") x NATURAL JOIN b)".repeat(depth)
            ),
            format!("SELECT * FROM {}t", "(a JOIN ".repeat(depth)),
            format!("{}SELECT 1{}", "(".repeat(depth), ")".repeat(depth)),
            format!("SELECT {} 1", "INTERVAL ".repeat(depth)),
            format!("SELECT {}'1'", "INTERVAL (".repeat(depth)),
            format!(
                "SELECT CAST(1 AS {}INT{})",
                "ARRAY<".repeat(depth),
                ">".repeat(depth)
            ),
            format!("SELECT 1::INT{}", "[]".repeat(depth)),
            format!("SELECT {}", "TABLE(a ".repeat(depth)),
            format!("SELECT a{}", ".a".repeat(depth)),
            format!("SELECT {{{}", "fn {".repeat(depth)),
            format!(
                "WITH {}SELECT 1{}",
                "x AS (WITH ".repeat(depth),
                ") SELECT 1".repeat(depth)
            ),
            format!(
                "CREATE TABLE t (id INT PRIMARY KEY DEFAULT {}1{})",
                "(".repeat(depth),
                ")".repeat(depth)
            ),
            format!("CREATE TABLE t (id {}INT", "ARRAY<".repeat(depth)),
            format!(
                "{}SELECT 1{}",
                "EXECUTE AS USER 'u' (".repeat(depth),
                ")".repeat(depth)
            ),
            format!("{}SELECT 1", "EXPLAIN ".repeat(depth)),
            format!("SELECT 1 {}", "UNION ALL (SELECT 1 ".repeat(depth)),
            format!("SELECT {}", "a < (b > ".repeat(depth)),
            "/*".repeat(depth),
            "'".repeat(depth * 2 + 1),
            "$$".repeat(depth),
            ";".repeat(depth),
            ",".repeat(depth),
            ")".repeat(depth),
        ] {
            let started = Instant::now();
            let result = outcome(text.clone());
            if depth > 20 {
                assert_ne!(result, "ok", "{}", &text[..60.min(text.len())]);
            }
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "{}",
                &text[..60.min(text.len())]
            );
        }
    }
}

#[test]
fn set_operations_and_tables_are_bounded() {
    let union = |count| chain(count, |n| format!("SELECT {n}"), " UNION ALL ");
    assert_eq!(outcome(union(200)), "ok");
    assert_eq!(outcome(union(10_000)), "too many set operations");
    let joins = |count| format!("SELECT * FROM t{}", " JOIN t USING (id)".repeat(count));
    assert_eq!(outcome(joins(100)), "ok");
    assert!(outcome(joins(10_000)).starts_with("too many tables"));
    let doubling = |count: usize| {
        let steps = chain(
            count,
            |n| format!("x{} AS (SELECT * FROM x{n} AS a, x{n} AS b)", n + 1),
            ", ",
        );
        format!("WITH x0 AS (SELECT * FROM t), {steps} SELECT * FROM x{count}")
    };
    assert_eq!(outcome(doubling(7)), "ok");
    assert!(outcome(doubling(40)).starts_with("too many tables"));
}

#[test]
fn the_size_of_a_statement_is_bounded() {
    let list = |bytes: usize| format!("SELECT {}1", "1,".repeat(bytes / 2));
    assert_eq!(outcome(list(CODE_BYTES_MAX - 100)), "ok");
    assert_eq!(outcome(list(CODE_BYTES_MAX + 100)), "STATEMENT_TOO_LARGE");
    assert_eq!(
        outcome("SELECT 1;".repeat(1_001)),
        "too many statements in one request"
    );
    let columns = chain(1_001, |n| format!("c{n} INT"), ", ");
    assert_eq!(
        outcome(format!("CREATE TABLE t (id INT PRIMARY KEY, {columns})")),
        "too many columns"
    );
}
