use kalam_link_core::{ErrorCode, SeqId};

use super::*;

#[track_caller]
fn read(text: &str) -> Subscription {
    parse_subscription(text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// The text is refused with INVALID_SQL, and the message has `named` in it.
#[track_caller]
fn check_refused(text: &str, named: &str) {
    let error = match parse_subscription(text) {
        Ok(subscription) => panic!("{text}\nwas read as {subscription:?}"),
        Err(error) => error,
    };
    let message = error.to_string();
    assert_eq!(error.code(), ErrorCode::InvalidSql, "{text}\n{message}");
    assert!(message.contains(named), "{text}\n{message}");
}

/// The text of the SELECT, which means the same again.
#[track_caller]
fn selects(text: &str) -> String {
    let first = read(text);
    let written = first.to_select("ns");
    let second = read(&written);
    assert_eq!(second.to_select("other"), written, "{text}");
    assert_eq!(second.columns, first.columns, "{text}");
    assert_eq!(second.order_by, first.order_by, "{text}");
    assert_eq!(
        (second.limit, second.parameters, &second.alias),
        (first.limit, first.parameters, &first.alias),
        "{text}"
    );
    assert_eq!(second.options, SubscribeOptions::default(), "{text}");
    written
}

fn column(qualifier: &[&str], name: &str) -> ColumnName {
    ColumnName {
        qualifier: qualifier.iter().map(ToString::to_string).collect(),
        name: name.to_owned(),
    }
}

#[test]
fn a_select_is_read_in_all_its_parts() {
    let subscription = read(
        "SELECT m.*, ID, chat.messages.Body AS body FROM chat.Messages m \
         WHERE room = $2 ORDER BY at DESC, \"Id\" NULLS FIRST LIMIT $3",
    );
    assert_eq!(
        subscription.table,
        TableRef {
            namespace: Some("chat".to_owned()),
            name: "messages".to_owned(),
        }
    );
    assert_eq!(subscription.alias.as_deref(), Some("m"));
    assert_eq!(
        subscription.columns,
        [
            SelectedName::All {
                qualifier: vec!["m".to_owned()],
            },
            SelectedName::Column(column(&[], "id")),
            SelectedName::Column(column(&["chat", "messages"], "body")),
        ]
    );
    assert_eq!(
        subscription.order_by,
        [
            OrderName {
                column: column(&[], "at"),
                descending: true,
                nulls_first: None,
            },
            OrderName {
                column: column(&[], "Id"),
                descending: false,
                nulls_first: Some(true),
            },
        ]
    );
    assert_eq!(subscription.limit, Some(Limit::Parameter(2)));
    assert_eq!(subscription.parameters, 3);
    assert_eq!(subscription.options, SubscribeOptions::default());
}

#[test]
fn a_table_stands_for_all_its_columns() {
    let named = read("SUBSCRIBE TO chat.messages WHERE id > $1");
    assert_eq!(
        named,
        read("SELECT * FROM chat.messages WHERE id > $1"),
        "with a filter"
    );
    assert_eq!(
        read("subscribe to messages"),
        read("SELECT * FROM messages;")
    );
}

#[test]
fn options_are_read_after_either_form() {
    let options = SubscribeOptions {
        batch_size: Some(50),
        last_rows: Some(0),
        from: Some(SeqId(9_007_199_254_740_993)),
    };
    let text = "OPTIONS (last_rows=0, BATCH_SIZE=50, from_seq_id='9007199254740993')";
    for start in [
        "SUBSCRIBE TO t",
        "SUBSCRIBE TO t WHERE a = 1",
        "SUBSCRIBE TO SELECT * FROM t",
        "SUBSCRIBE TO SELECT a FROM t x WHERE x.a = 1",
        "SUBSCRIBE TO SELECT a FROM t ORDER BY a",
        "SUBSCRIBE TO SELECT a FROM t ORDER BY a LIMIT 3",
    ] {
        let subscription = read(&format!("{start} {text}"));
        assert_eq!(subscription.options, options, "{start}");
        assert_eq!(
            Subscription {
                options: SubscribeOptions::default(),
                ..subscription
            },
            read(start)
        );
    }
    // An alias of that name is still possible.
    let aliased = read("SUBSCRIBE TO SELECT options.a FROM t options WHERE options.a > 1");
    assert_eq!(aliased.alias.as_deref(), Some("options"));
    let aliased = read("SUBSCRIBE TO SELECT * FROM t AS options OPTIONS (last_rows=1)");
    assert_eq!(aliased.alias.as_deref(), Some("options"));
    assert_eq!(aliased.options.last_rows, Some(1));
}

#[test]
fn wrong_options_are_refused_by_name() {
    for (options, named) in [
        ("(rows=1)", "unknown option `ROWS` of SUBSCRIBE TO"),
        ("(last_rows=1, last_rows=2)", "LAST_ROWS is written twice"),
        ("(last_rows='many')", "`LAST_ROWS`"),
        ("(last_rows=1.5)", "`LAST_ROWS`"),
        ("(batch_size=0)", "`BATCH_SIZE`"),
        ("(from_seq_id=x)", "`FROM_SEQ_ID`"),
        ("(last_rows=-1)", "expected a string, a word or a number"),
        ("()", "the name of an option"),
        ("(last_rows)", "`=`"),
        ("(last_rows=1", "`)`"),
        ("last_rows=1", "`(`"),
        ("(last_rows=1) LIMIT 2", "LIMIT"),
    ] {
        check_refused(&format!("SUBSCRIBE TO t OPTIONS {options}"), named);
    }
    // The message of a client has fields for them.
    check_refused("SELECT * FROM t OPTIONS (last_rows=1)", "");
    check_refused("SELECT * FROM t LIMIT 1 OPTIONS (last_rows=1)", "OPTIONS");
}

#[test]
fn clauses_of_a_query_are_refused_by_name() {
    for (text, named) in [
        ("SELECT DISTINCT a FROM t", "DISTINCT is not possible"),
        ("SELECT DISTINCT ON (a) a FROM t", "DISTINCT ON"),
        ("SELECT a FROM t GROUP BY a", "GROUP BY"),
        ("SELECT a FROM t GROUP BY ALL", "GROUP BY"),
        ("SELECT a FROM t HAVING a > 1", "HAVING"),
        ("SELECT a FROM t WINDOW w AS (ORDER BY a)", "WINDOW"),
        ("SELECT a FROM t QUALIFY a > 1", "QUALIFY"),
        ("SELECT a FROM t UNION SELECT a FROM u", "UNION"),
        ("SELECT a FROM t UNION ALL SELECT a FROM u", "UNION"),
        ("SELECT a FROM t EXCEPT SELECT a FROM u", "EXCEPT"),
        ("SELECT a FROM t INTERSECT SELECT a FROM u", "INTERSECT"),
        ("SELECT a FROM t, u", "more than one table"),
        ("SELECT a FROM t JOIN u ON true", "JOIN"),
        ("SELECT a FROM t CROSS JOIN u", "JOIN"),
        ("SELECT a FROM (SELECT a FROM t) AS u", "a subquery"),
        (
            "SELECT value FROM generate_series(1, 3)",
            "a table function",
        ),
        ("SELECT 1", "needs FROM"),
        ("SELECT a FROM t AS u (b)", "column aliases"),
        ("SELECT a FROM t FOR UPDATE", "FOR UPDATE"),
        ("SELECT a INTO u FROM t", "INTO"),
        ("SELECT a FROM t LIMIT 1 OFFSET 2", "OFFSET"),
        ("SELECT a FROM t OFFSET 2", "OFFSET"),
        ("SELECT a FROM t FETCH FIRST 1 ROW ONLY", "FETCH"),
        ("SELECT a FROM a.b.t", "too many parts"),
        ("SELECT a FROM t AS USER 'bob'", "AS USER"),
        ("SELECT _deleted FROM t", "_deleted"),
        ("SELECT a FROM t WHERE _deleted", "_deleted"),
    ] {
        check_refused(text, named);
        check_refused(&format!("SUBSCRIBE TO {text}"), named);
    }
}

#[test]
fn only_columns_are_selected() {
    for (text, named) in [
        ("SELECT a + 1 FROM t", "the expression a + 1"),
        ("SELECT count(*) FROM t", "the expression count(*)"),
        ("SELECT lower(a) AS a FROM t", "the expression lower(a)"),
        ("SELECT 1 FROM t", "the expression 1"),
        ("SELECT (a) FROM t", "the expression (a)"),
        ("SELECT a AS b FROM t", "the alias b of a column"),
        ("SELECT * EXCLUDE (a) FROM t", "EXCLUDE"),
        ("SELECT * REPLACE (1 AS a) FROM t", "REPLACE"),
        ("SELECT (SELECT 1) FROM t", "the expression (SELECT 1)"),
        ("SELECT a FROM t ORDER BY a + 1", "ORDER BY a + 1"),
        ("SELECT a FROM t ORDER BY 1", "ORDER BY 1"),
        ("SELECT a FROM t ORDER BY ALL", "ORDER BY ALL"),
    ] {
        check_refused(text, named);
    }
}

#[test]
fn a_limit_is_a_whole_number_or_a_parameter() {
    for (limit, shown) in [
        ("1 + 1", "1 + 1"),
        ("-1", "-1"),
        ("1.5", "1.5"),
        ("'3'", "'3'"),
        ("NULL", "NULL"),
        ("a", "a"),
        ("18446744073709551616", "18446744073709551616"),
    ] {
        check_refused(
            &format!("SELECT a FROM t LIMIT {limit}"),
            &format!("LIMIT of a subscription is a whole number or a parameter, not {shown}"),
        );
    }
    assert_eq!(
        read("SELECT a FROM t LIMIT 18446744073709551615").limit,
        Some(Limit::Rows(u64::MAX))
    );
    assert_eq!(read("SELECT a FROM t LIMIT ALL").limit, None);
}

#[test]
fn a_filter_has_no_subquery() {
    for filter in [
        "a IN (SELECT a FROM u)",
        "EXISTS (SELECT 1)",
        "a = (SELECT 1)",
        "a = 1 OR NOT (b > ALL (SELECT 1))",
    ] {
        check_refused(&format!("SUBSCRIBE TO t WHERE {filter}"), "");
        check_refused(&format!("SELECT * FROM t WHERE {filter}"), "");
    }
    check_refused("SUBSCRIBE TO t WHERE a IN (SELECT a FROM u)", "a subquery");
}

#[test]
fn other_statements_are_no_subscriptions() {
    for text in [
        "INSERT INTO t VALUES (1)",
        "WITH u AS (SELECT 1) SELECT * FROM t",
        "VALUES (1)",
        "(SELECT * FROM t)",
        "EXECUTE AS USER 'u' (SELECT * FROM t)",
        "EXPLAIN SELECT * FROM t",
        "t",
        "'x'",
    ] {
        check_refused(text, "expected SELECT or SUBSCRIBE TO");
    }
    for text in [
        "SUBSCRIBE",
        "SUBSCRIBE t",
        "SUBSCRIBE TO",
        "SUBSCRIBE TO 't'",
        "SUBSCRIBE TO (SELECT * FROM t)",
        "SUBSCRIBE TO t u",
        "SUBSCRIBE TO t WHERE",
        "SUBSCRIBE TO t LIMIT 1",
        "SUBSCRIBE TO t ORDER BY a",
        "SUBSCRIBE TO SUBSCRIBE TO t x",
        "SELECT * FROM t WHERE",
        "SELECT * FROM t WHERE a = 1 b",
        "SELECT FROM t",
        "SELECT * FROM \"no such name\"",
    ] {
        check_refused(text, "");
    }
    check_refused(
        "SELECT * FROM t; SELECT * FROM t",
        "a subscription is one statement",
    );
    let error = parse_subscription(" -- nothing").unwrap_err();
    assert_eq!(error.code(), ErrorCode::EmptySql);
    let long = format!("SELECT * FROM t WHERE a = {}", "1+".repeat(600_000));
    let error = parse_subscription(&long).unwrap_err();
    assert_eq!(error.code(), ErrorCode::StatementTooLarge);
}

#[test]
fn an_error_says_where_it_stands() {
    let error = parse_subscription("\n  SELECT *\n  FROM t WHER a = 1").unwrap_err();
    assert!(
        error.to_string().ends_with("at line 3, column 15"),
        "{error}"
    );
}

#[test]
fn the_select_of_a_subscription_means_the_same() {
    for (text, select) in [
        ("SUBSCRIBE TO t", "SELECT * FROM ns.t"),
        (
            "SUBSCRIBE TO Chat.T WHERE A > 1 OPTIONS (last_rows=5)",
            "SELECT * FROM chat.t WHERE A > 1",
        ),
        (
            "select x.B, x.*, _seq from t as X where x.b in ($1, 'it''s') order by x.b desc nulls last, _seq limit 10",
            "SELECT x.b, x.*, _seq FROM ns.t AS x WHERE x.b IN ($1, 'it''s') ORDER BY x.b DESC NULLS LAST, _seq LIMIT 10",
        ),
        (
            "SELECT ns.t.a FROM ns.t ORDER BY ns.t.a ASC NULLS FIRST LIMIT $2",
            "SELECT ns.t.a FROM ns.t ORDER BY ns.t.a NULLS FIRST LIMIT $2",
        ),
        (
            "SELECT \"Mixed\", \"select\", \"order\" FROM t",
            "SELECT \"Mixed\", \"select\", \"order\" FROM ns.t",
        ),
        (
            "SELECT * FROM t \"Big Alias\" WHERE \"Big Alias\".a = 1",
            "SELECT * FROM ns.t AS \"Big Alias\" WHERE \"Big Alias\".a = 1",
        ),
    ] {
        assert_eq!(selects(text), select, "{text}");
    }
    for filter in [
        "a = 'it''s' AND b = 'a''''b'",
        r"a = '\' OR b = E'\\\'x'",
        "- - a = 1 AND ~ ~a = 2",
        "NOT (a OR b) AND c BETWEEN 1 AND 2",
        "a LIKE 'x%' ESCAPE '!' OR a IS DISTINCT FROM NULL",
        "CASE WHEN a > 1 THEN b ELSE c END = X'00ff'",
        "CAST(a AS TEXT) = CURRENT_USER()",
        "a = $1 OR $3 = b",
        "t.a = 1 AND ns.t.b = 2",
        "at > TIMESTAMP '2026-01-01 00:00:00'",
    ] {
        selects(&format!("SUBSCRIBE TO t WHERE {filter}"));
    }
}

#[test]
fn names_that_need_quotes_get_them() {
    for name in ["select", "where", "order", "options", "Chat", "UPPER"] {
        let text = format!("SELECT \"{name}\" FROM t ORDER BY \"{name}\"");
        let written = selects(&text);
        assert_eq!(read(&written).columns, read(&text).columns, "{written}");
    }
    assert_eq!(
        read("SELECT * FROM t").to_select("Upper"),
        "SELECT * FROM \"Upper\".t"
    );
}
