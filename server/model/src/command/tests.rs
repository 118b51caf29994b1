use super::*;
use kalam_link_core::Value;

fn row(text: &str) -> Row {
    Row(vec![Value::BigInt(1), Value::Text(text.to_owned())])
}

fn write(mutations: Vec<Mutation>) -> WriteCommand {
    let scope = Scope::User(UserId::new("alice").unwrap());
    let write = TableWrite {
        table: TableNumber(3),
        schema_version: 1,
        scope,
        manifest_version: None,
        mutations,
    };
    WriteCommand {
        time: Timestamp(1),
        writes: vec![write],
        request: None,
    }
}

#[test]
fn i11_a_command_survives_its_serialised_form() {
    let mutations = vec![
        Mutation::Insert { row: row("a") },
        Mutation::Update {
            old_seq: SeqId(7),
            old: None,
            row: row("b"),
        },
        Mutation::Delete {
            old_seq: SeqId(8),
            old: Some(row("c")),
        },
    ];
    let mut command = write(mutations);
    command.request = Some(RequestRecord {
        slot: Slot(5),
        user: UserId::new("alice").unwrap(),
        id: "r1".to_owned(),
        hash: 9,
        answer: vec![1, 2],
    });
    let command = Command::Write(command);
    let text = serde_json::to_string(&command).unwrap();
    assert_eq!(serde_json::from_str::<Command>(&text).unwrap(), command);
}

#[test]
fn the_size_of_a_command_follows_its_rows() {
    let small = write(vec![Mutation::Insert { row: row("") }]).encoded_bytes();
    let large = write(vec![Mutation::Insert {
        row: row(&"x".repeat(10_000)),
    }])
    .encoded_bytes();
    assert_eq!(large - small, 10_000);
    let both = write(vec![Mutation::Update {
        old_seq: SeqId(1),
        old: Some(row(&"x".repeat(500))),
        row: row(&"y".repeat(700)),
    }]);
    assert!(both.encoded_bytes() >= 1_200);
    assert_eq!(WriteCommand::default().encoded_bytes(), 0);
}

#[test]
fn only_changes_of_the_catalog_go_to_the_meta_group() {
    assert!(Command::Meta(MetaCommand::RevokeRefresh { id: String::new() }).is_meta());
    assert!(!Command::Write(WriteCommand::default()).is_meta());
    assert!(
        !Command::DropTable {
            table: TableNumber(1)
        }
        .is_meta()
    );
}
