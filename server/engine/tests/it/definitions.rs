//! Namespaces, tables and views, and what a crash between the two steps of a definition leaves.

use kalam_engine::Error;
use kalam_model::{
    Applied, Command, ErrorCode, MetaCommand, Namespace, Rejection, SeqId, TableDef, TableId,
    TableKind, TableNumber, Timestamp, ViewDef,
};
use kalam_store::{Family, Store, hot};

use crate::support::{
    Bench, alice, altered, at, create, dump, engine, engine_on, insert, rows, table_def,
    table_write, user, write, write_rows, written,
};

fn namespace(name: &str) -> Namespace {
    Namespace::new(name).unwrap()
}

fn view(name: &str) -> ViewDef {
    ViewDef {
        id: TableId::new(Namespace::default_namespace(), name).unwrap(),
        columns: Vec::new(),
        query: "SELECT 1".to_owned(),
        owner: user("root"),
        created_at: at(0),
    }
}

#[tokio::test]
async fn namespaces_come_and_go() {
    let engine = engine();
    let chat = namespace("chat");
    engine.create_namespace(&chat, at(1)).await.unwrap();
    let twice = engine.create_namespace(&chat, at(2)).await.unwrap_err();
    assert_eq!(
        (twice.code(), twice.to_string().as_str()),
        (ErrorCode::AlreadyExists, "namespace 'chat' already exists")
    );
    engine
        .describe_namespace(&chat, Some("talk".to_owned()))
        .await
        .unwrap();
    assert_eq!(
        engine
            .catalog()
            .namespace(&chat)
            .unwrap()
            .description
            .as_deref(),
        Some("talk")
    );

    let id = TableId::new(chat.clone(), "t").unwrap();
    let table = engine
        .create_table(TableDef {
            id,
            ..table_def("t", TableKind::User)
        })
        .await
        .unwrap();
    assert!(matches!(
        engine.drop_namespace(&chat).await,
        Err(Error::NamespaceNotEmpty(_))
    ));
    engine.drop_table(&table).await.unwrap();
    engine.drop_namespace(&chat).await.unwrap();
    assert_eq!(
        engine.drop_namespace(&chat).await.unwrap_err().code(),
        ErrorCode::NamespaceNotFound
    );
    let default = engine.drop_namespace(&Namespace::default_namespace()).await;
    assert!(matches!(default, Err(Error::NamespaceRequired(_))));
}

#[tokio::test]
async fn tables_and_views_share_their_names() {
    let engine = engine();
    let table = create(&engine, "t", TableKind::User).await;
    let exists = |result: Result<(), Error>| matches!(result, Err(Error::Exists { .. }));
    assert!(exists(
        engine
            .create_table(table_def("t", TableKind::Shared))
            .await
            .map(drop)
    ));
    assert!(exists(engine.put_view(view("t"), true).await));
    engine.put_view(view("v"), false).await.unwrap();
    assert!(exists(engine.put_view(view("v"), false).await));
    engine
        .put_view(
            ViewDef {
                query: "SELECT 2".to_owned(),
                ..view("v")
            },
            true,
        )
        .await
        .unwrap();
    assert_eq!(
        engine.catalog().view(&view("v").id).unwrap().query,
        "SELECT 2"
    );
    assert!(exists(
        engine
            .create_table(table_def("v", TableKind::User))
            .await
            .map(drop)
    ));
    engine.drop_view(&view("v").id).await.unwrap();
    assert!(matches!(
        engine.drop_view(&view("v").id).await,
        Err(Error::ViewNotFound(_))
    ));
    engine.drop_table(&table).await.unwrap();
    let again = engine.drop_table(&table).await.unwrap_err();
    assert_eq!(
        (again.code(), again.to_string().as_str()),
        (ErrorCode::TableNotFound, "table not found: `default.t`")
    );
    let elsewhere = TableId::new(namespace("nowhere"), "t").unwrap();
    let missing = engine
        .create_table(TableDef {
            id: elsewhere,
            ..table_def("t", TableKind::User)
        })
        .await;
    assert!(matches!(missing, Err(Error::NamespaceNotFound(_))));
}

#[tokio::test]
async fn table_numbers_are_never_given_out_twice() {
    let store = Store::open_in_memory().unwrap();
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let engine = engine_on(store.clone());
        let table = create(&engine, "t", TableKind::User).await;
        write_rows(&engine, &table, vec![insert(1, "a")]).await;
        numbers.push(table.def.number);
        engine.drop_table(&table).await.unwrap();
        let other = create(
            &engine,
            &format!("keep{}", numbers.len()),
            TableKind::Shared,
        )
        .await;
        numbers.push(other.def.number);
    }
    assert_eq!(numbers, (1..=6).map(TableNumber).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_altered_table_reads_old_rows_and_checks_new_ones() {
    let store = Store::open_in_memory().unwrap();
    let engine = engine_on(store.clone());
    let first = create(&engine, "t", TableKind::User).await;
    written(&write_rows(&engine, &first, vec![insert(1, "a")]).await);
    let second = engine
        .alter_table(altered(&first.def, "extra"))
        .await
        .unwrap();
    assert_eq!(second.history.len(), 2);
    assert!(matches!(
        engine.alter_table(altered(&first.def, "other")).await,
        Err(Error::Conflict)
    ));
    assert_eq!(
        write_rows(&engine, &first, vec![insert(2, "b")]).await,
        Applied::Rejected(Rejection::SchemaChanged {
            table: first.def.number
        })
    );
    drop(engine);
    let engine = engine_on(store);
    let table = engine.catalog().table(&first.def.id).cloned().unwrap();
    assert_eq!((&table.def, table.history.len()), (&second.def, 2));
    let stored = rows(engine.store(), &table, &alice());
    assert_eq!(stored[0].1.0[2], kalam_model::Value::Int(5));
}

#[tokio::test]
async fn a_dropped_table_leaves_nothing_but_its_number() {
    let store = Store::open_in_memory().unwrap();
    let engine = engine_on(store.clone());
    let without_counters = |store: &Store| {
        let changing = |line: &&str| !line.starts_with("meta 0a") && !line.starts_with("meta 0c");
        dump(store)
            .lines()
            .filter(changing)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let before = without_counters(&store);
    for kind in [TableKind::User, TableKind::Shared, TableKind::Stream] {
        let table = create(&engine, "t", kind).await;
        let seq = written(&write_rows(&engine, &table, vec![insert(1, "a"), insert(2, "b")]).await)
            .last_seq;
        write_rows(&engine, &table, vec![crate::support::delete(seq)]).await;
        engine.drop_table(&table).await.unwrap();
        let late = write_rows(&engine, &table, vec![insert(3, "c")]).await;
        assert_eq!(
            late,
            Applied::Rejected(Rejection::NoSuchTable {
                table: table.def.number
            })
        );
        assert_eq!(without_counters(&store), before);
    }
}

/// The meta group has the definition, the data group does not yet.
#[tokio::test]
async fn i3_a_crash_between_the_steps_of_create_and_alter_is_made_good_at_open() {
    let mut bench = Bench::new();
    bench.commit([Command::Meta(MetaCommand::CreateNamespace {
        name: Namespace::default_namespace(),
        at: at(0),
    })]);
    let create = MetaCommand::CreateTable {
        table: table_def("t", TableKind::User),
    };
    let [Applied::Table(def)] = &bench.commit([Command::Meta(create)])[..] else {
        panic!("not created")
    };
    let early = write(
        at(1),
        vec![table_write(def.number, &alice(), vec![insert(1, "a")])],
    );
    let unknown = Applied::Rejected(Rejection::NoSuchTable { table: def.number });
    assert_eq!(bench.write(early), unknown);
    bench.commit([Command::Meta(MetaCommand::AlterTable {
        table: altered(def, "extra"),
    })]);

    let engine = engine_on(bench.store);
    let table = engine.catalog().table(&def.id).cloned().unwrap();
    let applied = write_rows(&engine, &table, vec![]).await;
    assert_eq!(written(&applied).rows, 0);
    let part = table_write(def.number, &alice(), vec![insert(1, "a")]);
    let old = engine
        .write(write(Timestamp::now(), vec![part]))
        .await
        .unwrap();
    assert_eq!(
        old,
        Applied::Rejected(Rejection::SchemaChanged { table: def.number })
    );
}

#[tokio::test]
async fn i3_a_crash_between_the_steps_of_drop_is_made_good_at_open() {
    let (mut bench, table) = Bench::with_table(TableKind::User);
    bench.write(write(
        at(1),
        vec![table_write(
            table.def.number,
            &alice(),
            vec![insert(1, "a")],
        )],
    ));
    let (id, number) = (table.def.id.clone(), table.def.number);
    bench.commit([Command::Meta(MetaCommand::DropTable { id, number })]);
    let store = bench.store.clone();
    let statistics = || {
        hot::table_statistics(&store.snapshot(), Family::Rows, number)
            .unwrap()
            .rows
    };
    assert_eq!(statistics(), 1);
    let engine = engine_on(bench.store);
    assert_eq!(statistics(), 0);
    assert!(engine.catalog().tables().next().is_none());
}

#[tokio::test]
async fn a_catalog_in_hand_does_not_change() {
    let engine = engine();
    let before = engine.catalog();
    let table = create(&engine, "t", TableKind::User).await;
    assert!(before.table(&table.def.id).is_none());
    let after = engine.catalog();
    assert!(after.version() > before.version());
    assert_eq!(after.tables_in(&Namespace::default_namespace()).count(), 1);
    assert_eq!(
        after.table_by_number(table.def.number).unwrap().def.id,
        table.def.id
    );
    write_rows(&engine, &table, vec![insert(1, "a")]).await;
    assert_eq!(engine.catalog().version(), after.version());
    assert!(engine.setting("mode").unwrap().is_none());
    engine.put_setting("mode", "fast").await.unwrap();
    assert_eq!(engine.setting("mode").unwrap().as_deref(), Some("fast"));
    assert_ne!(SeqId::ZERO, rows(engine.store(), &table, &alice())[0].0);
}
