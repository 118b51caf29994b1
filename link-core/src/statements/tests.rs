use proptest::prelude::*;

use super::*;

fn check(text: &str, statements: &[&str]) {
    let found: Vec<&str> = split(text).map(|statement| statement.text).collect();
    assert_eq!(found, statements, "{text:?}");
}

#[test]
fn semicolons_separate_statements() {
    check("", &[]);
    check(" ;; ; ", &[]);
    check("SELECT 1", &["SELECT 1"]);
    check(" SELECT 1 ;\n SELECT 2; ", &["SELECT 1", "SELECT 2"]);
    check("a;b", &["a", "b"]);
}

#[test]
fn quotes_hide_semicolons() {
    check("SELECT 'a;b''c;' ; x", &["SELECT 'a;b''c;'", "x"]);
    check(r#"SELECT ";""," ; x"#, &[r#"SELECT ";"",""#, "x"]);
    check(r"SELECT E'it\'s; \\'; x", &[r"SELECT E'it\'s; \\'", "x"]);
    check(r"SELECT 'a\'; x", &[r"SELECT 'a\'", "x"]);
    check(r"SELECT nameE'a\'; x", &[r"SELECT nameE'a\'", "x"]);
    check(
        "SELECT $$;$$; SELECT $a$ ; $b$ $$ $a$ ; $1; x",
        &["SELECT $$;$$", "SELECT $a$ ; $b$ $$ $a$", "$1", "x"],
    );
    check("SELECT '🦀;é'; é", &["SELECT '🦀;é'", "é"]);
}

#[test]
fn comments_hide_semicolons_and_are_no_statements() {
    check("-- a;\nSELECT 1 -- b;\n; -- c", &["SELECT 1"]);
    check(
        "/* ; /* ; */ ; */ SELECT /* ; */ 1 /* ; */;",
        &["SELECT /* ; */ 1"],
    );
    check("'--';'/*';x", &["'--'", "'/*'", "x"]);
    check("a -- b", &["a"]);
}

#[test]
fn what_is_not_closed_reaches_to_the_end() {
    let last = |text| {
        split(text)
            .last()
            .map(|statement| (statement.text, statement.ending))
    };
    assert_eq!(last("SELECT 1; x"), Some(("x", Ending::EndOfText)));
    assert_eq!(
        last("SELECT 'a; "),
        Some(("SELECT 'a; ", Ending::Inside(Open::String)))
    );
    assert_eq!(
        last(r"SELECT E'a\"),
        Some((r"SELECT E'a\", Ending::Inside(Open::String)))
    );
    assert_eq!(
        last("SELECT \"a"),
        Some(("SELECT \"a", Ending::Inside(Open::QuotedName)))
    );
    assert_eq!(
        last("SELECT $x$ $$"),
        Some(("SELECT $x$ $$", Ending::Inside(Open::DollarString)))
    );
    assert_eq!(
        last("SELECT 1; /* /* */ "),
        Some(("/* /* */ ", Ending::Inside(Open::Comment)))
    );
    assert!(is_complete("SELECT 1; -- done"));
    assert!(is_complete(""));
    assert!(!is_complete("SELECT 1; SELECT 2"));
    assert!(!is_complete("SELECT ';"));
}

#[test]
fn positions_count_characters() {
    assert_eq!(line_and_column("é\n é;x", 0), (1, 1));
    assert_eq!(line_and_column("é\n é;x", "é\n é;".len()), (2, 4));
}

#[test]
fn long_and_deep_texts_are_quick() {
    let comments = "/*".repeat(500_000);
    assert_eq!(split(&comments).count(), 1);
    let dollars = "$a".repeat(500_000);
    assert_eq!(split(&dollars).count(), 1);
    let strings = "';'';';".repeat(200_000);
    assert_eq!(split(&strings).count(), 200_000);
}

proptest! {
    #[test]
    fn any_text_splits_without_loss(text in "[ ;'\"$aeEx1_\\\\\n/*é🦀-]{0,60}") {
        let mut end = 0;
        for statement in split(&text) {
            prop_assert_eq!(&text[statement.start..statement.start + statement.text.len()], statement.text);
            prop_assert!(statement.start >= end && !statement.text.is_empty());
            prop_assert!(statement.code_bytes <= statement.text.len());
            // Between two statements stands nothing that would be one.
            prop_assert_eq!(split(&text[end..statement.start]).count(), 0);
            end = statement.start + statement.text.len();
            // A statement by itself is the same statement.
            let again: Vec<_> = split(statement.text).map(|s| s.text).collect();
            prop_assert_eq!(again, vec![statement.text]);
        }
    }

    #[test]
    fn joined_statements_come_apart_again(
        parts in prop::collection::vec("(a|'[;\"a]{0,3}'|\"[;'a]{1,3}\"| E'\\\\';'|/\\*;\\*/b|\\$q\\$;'\\$q\\$| c){1,6}", 1..6)
    ) {
        let text = parts.join(";");
        let trimmed: Vec<&str> = parts.iter().flat_map(|part| split(part)).map(|s| s.text).collect();
        let found: Vec<&str> = split(&text).map(|s| s.text).collect();
        prop_assert_eq!(found, trimmed);
    }
}
