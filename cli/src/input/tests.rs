use super::*;

fn check(text: &str, expected: &[&str]) {
    let found: Vec<String> = steps(text)
        .unwrap()
        .into_iter()
        .map(|step| match step {
            Step::Sql { text, .. } => text.to_owned(),
            Step::Command(command) => format!("\\{command}"),
            Step::Piped { text, command, .. } => format!("{text} | \\{command}"),
        })
        .collect();
    assert_eq!(found, expected, "{text:?}");
}

#[test]
fn statements_and_commands_take_turns() {
    check("", &[]);
    check(" ; -- nothing\n", &[]);
    check("SELECT 1; SELECT 2", &["SELECT 1", "SELECT 2"]);
    check(
        "\\timing\nSELECT 1;\n\\d t\n",
        &["\\timing", "SELECT 1", "\\d t"],
    );
    check(
        "SELECT 1; \\x\nSELECT '\\d';",
        &["SELECT 1", "\\x", "SELECT '\\d'"],
    );
    check(
        "SELECT 1 \\g out.txt\nSELECT 2;",
        &["SELECT 1 | \\g out.txt", "SELECT 2"],
    );
}

#[test]
fn a_transaction_is_one_step() {
    check(
        "BEGIN; INSERT INTO t VALUES (1); COMMIT; SELECT 1;",
        &["BEGIN; INSERT INTO t VALUES (1); COMMIT", "SELECT 1"],
    );
    check(
        "start transaction; -- COMMIT;\nDELETE FROM t WHERE c = 'COMMIT';; rollback",
        &["start transaction; -- COMMIT;\nDELETE FROM t WHERE c = 'COMMIT';; rollback"],
    );
    assert!(matches!(
        steps("BEGIN; SELECT 1;"),
        Err(Error::OpenTransaction)
    ));
}

#[test]
fn a_terminal_waits_for_what_closes_a_statement() {
    let complete = [
        "",
        "SELECT 1;",
        "\\d",
        "SELECT 1 \\g",
        "-- x",
        "BEGIN; SELECT 1; COMMIT;",
        "SELECT 1; -- x",
    ];
    for text in complete {
        assert!(is_complete(text), "{text:?}");
    }
    for text in [
        "SELECT 1",
        "SELECT ';",
        "BEGIN; SELECT 1;",
        "SELECT 1; SELECT",
        "/* ;",
    ] {
        assert!(!is_complete(text), "{text:?}");
    }
}

#[test]
fn variables_stand_outside_of_strings_and_casts() {
    let variables = BTreeMap::from([
        ("n".to_owned(), "7".to_owned()),
        ("who".to_owned(), "O'Hara".to_owned()),
    ]);
    let check = |text: &str, expected: &str| {
        assert_eq!(substitute(text, &variables).unwrap(), expected);
    };
    check(
        "SELECT :n, ':n', n::text -- :n",
        "SELECT 7, ':n', n::text -- :n",
    );
    check("SELECT :'who', :\"n\"", "SELECT 'O''Hara', \"7\"");
    check("SELECT a[1:2]", "SELECT a[1:2]");
    assert!(matches!(
        substitute("SELECT :m", &variables),
        Err(Error::UnknownVariable { name }) if name == "m"
    ));
    assert_eq!(
        substitute("SELECT :m", &BTreeMap::new()).unwrap(),
        "SELECT :m"
    );
}

#[test]
fn whole_tables_and_drops_are_dangerous() {
    assert_eq!(danger("DELETE FROM t"), Some(Danger::WholeTable));
    assert_eq!(danger("update t set a = 'where'"), Some(Danger::WholeTable));
    assert_eq!(danger("UPDATE t SET a = 1 WHERE b = 2"), None);
    assert_eq!(danger("BEGIN; DROP TABLE t; COMMIT"), Some(Danger::Drop));
    assert_eq!(danger("SELECT 'DROP'"), None);
    assert_eq!(danger("ALTER TABLE t DROP COLUMN c"), None);
}

#[test]
fn use_is_noticed() {
    assert_eq!(chosen_namespace("USE Chat"), Some("chat".into()));
    assert_eq!(
        chosen_namespace("use namespace \"Chat\""),
        Some("Chat".into())
    );
    assert_eq!(chosen_namespace("SET NAMESPACE chat"), Some("chat".into()));
    assert_eq!(chosen_namespace("SELECT 1"), None);
    assert_eq!(chosen_namespace("SET x = 1"), None);
}
