//! Random statements: whatever the text, an answer comes back.

use kalam_link_core::statements::split;
use kalam_sql::statement::Statement;
use kalam_sql::{Error, canonical_query, parse, parse_query};
use proptest::prelude::*;

const WORDS: [&str; 120] = [
    "SELECT",
    "FROM",
    "WHERE",
    "INSERT",
    "INTO",
    "VALUES",
    "UPDATE",
    "SET",
    "DELETE",
    "CREATE",
    "USER",
    "SHARED",
    "STREAM",
    "TABLE",
    "ALTER",
    "DROP",
    "NAMESPACE",
    "VIEW",
    "IF",
    "NOT",
    "EXISTS",
    "NULL",
    "PRIMARY",
    "KEY",
    "DEFAULT",
    "WITH",
    "AS",
    "AND",
    "OR",
    "IN",
    "BETWEEN",
    "LIKE",
    "IS",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST",
    "INTERVAL",
    "DATE",
    "TIMESTAMP",
    "UNION",
    "ALL",
    "EXCEPT",
    "JOIN",
    "LEFT",
    "ON",
    "USING",
    "GROUP",
    "BY",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "HAVING",
    "RETURNING",
    "CONFLICT",
    "DO",
    "NOTHING",
    "EXECUTE",
    "PASSWORD",
    "ROLE",
    "ADD",
    "COLUMN",
    "RENAME",
    "TO",
    "MODIFY",
    "TBLPROPERTIES",
    "SHOW",
    "TABLES",
    "DESCRIBE",
    "EXPLAIN",
    "BEGIN",
    "COMMIT",
    "STORAGE",
    "FLUSH",
    "CLUSTER",
    "EXTRACT",
    "TRIM",
    "SUBSTRING",
    "POSITION",
    "ARRAY",
    "ROW",
    "OVER",
    "PARTITION",
    "LATERAL",
    "UNNEST",
    "FOR",
    "FETCH",
    "COLLATE",
    "AT",
    "TIME",
    "ZONE",
    "a",
    "b.c",
    "\"Q\"",
    "t",
    "int",
    "text",
    "1",
    "2.5",
    "'x'",
    "$1",
    "X'00'",
    "E'\\''",
    "$$y$$",
    "(",
    ")",
    ",",
    ";",
    "=",
    "+",
    "-",
    "*",
    "::",
    "[",
    "]",
    ".",
    "<",
    "||",
];

fn exercise(text: &str) {
    match parse(text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(parsed) => {
            assert_eq!(parsed.len(), split(text).count());
            for one in parsed {
                if let Statement::Select(query) = one.statement {
                    let stored = canonical_query(&query);
                    let again = match parse_query(&stored) {
                        Ok(again) => again,
                        Err(Error::TooDeep { .. }) => continue,
                        Err(error) => panic!("{text:?} was stored as {stored:?}: {error}"),
                    };

                    assert_eq!(canonical_query(&again), stored, "{text:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_words_never_panic(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..40)) {
        exercise(&words.join(" "));
    }

    #[test]
    fn random_queries_never_panic(words in prop::collection::vec(prop::sample::select(&WORDS[80..]), 0..20)) {
        exercise(&format!("SELECT {}", words.join(" ")));
    }

    #[test]
    fn random_text_never_panics(text in "\\PC{0,80}") {
        exercise(&text);
    }

    #[test]
    fn random_ascii_never_panics(text in "[ -~\n]{0,80}") {
        exercise(&text);
    }

    #[test]
    fn damaged_statements_never_panic(index in 0..SEEDS.len(), at in 0_usize..200, with in "[ -~]{0,3}", cut in 0_usize..5) {
        let mut text: Vec<char> = SEEDS[index].chars().collect();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        text.splice(at..end, with.chars());
        exercise(&text.into_iter().collect::<String>());
    }
}

const SEEDS: [&str; 8] = [
    "CREATE TABLE IF NOT EXISTS ns.t (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), c DECIMAL(10,2) NOT NULL) WITH (TYPE='SHARED')",
    "INSERT INTO ns.t (a, b) VALUES ($1, 'it''s'), (DEFAULT, X'00') ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING *",
    "UPDATE t AS x SET a = a + 1, b = CASE WHEN c THEN 1 ELSE 2 END WHERE id IN (1, 2) AND d BETWEEN 1 AND 2 RETURNING a",
    "SELECT a, count(*) OVER (PARTITION BY b ORDER BY c) FROM t JOIN (SELECT 1 AS a) AS u USING (a) GROUP BY a LIMIT 1",
    "ALTER TABLE ns.t ADD COLUMN c VARCHAR(10) NOT NULL DEFAULT 'x'",
    "CREATE USER 'alice' WITH PASSWORD 'secret' ROLE 'service' EMAIL 'a@b.c'",
    "EXECUTE AS USER 'bob' ( DELETE FROM t WHERE a = E'\\'' AND b = $$x$$ )",
    "WITH x AS (SELECT 1), y AS (SELECT * FROM x) SELECT * FROM x, y WHERE EXISTS (SELECT 1 FROM y) -- end",
];
