use kalam_link_core::{DataType, ErrorCode};
use kalam_model::ColumnDef;
use proptest::prelude::*;

use super::*;
use crate::batch::Sync;
use crate::db::Store;
use crate::testing::{TYPES, column, commit, table, value};

fn namespace(name: &str) -> NamespaceDef {
    let name = Namespace::new(name).unwrap();
    NamespaceDef {
        name,
        description: None,
        created_at: Timestamp(5),
    }
}

fn version_of(number: u32, version: u32) -> TableDef {
    TableDef {
        number: TableNumber(number),
        schema_version: version,
        ..table(&TYPES)
    }
}

#[test]
fn records_are_found_by_key_and_in_order() {
    let store = Store::open_in_memory().unwrap();
    let names = ["b", "a", "ab"].map(namespace);
    commit(&store, |batch| {
        for def in &names {
            NAMESPACES.put(batch, &def.name, def);
        }
        NAMESPACES.delete(batch, &names[0].name);
    });
    let snapshot = store.snapshot();
    assert_eq!(
        NAMESPACES.get(&snapshot, &names[1].name).unwrap().as_ref(),
        Some(&names[1])
    );
    assert_eq!(NAMESPACES.get(&snapshot, &names[0].name).unwrap(), None);
    assert_eq!(
        NAMESPACES.all(&snapshot).unwrap(),
        [names[1].clone(), names[2].clone()]
    );
    assert_eq!(TABLES.all(&snapshot).unwrap(), []);
}

#[test]
fn pages_follow_each_other() {
    let store = Store::open_in_memory().unwrap();
    let names = ["a", "ab", "b", "c"].map(namespace);
    commit(&store, |batch| {
        names
            .iter()
            .for_each(|def| NAMESPACES.put(batch, &def.name, def))
    });
    let snapshot = store.snapshot();
    assert_eq!(NAMESPACES.page(&snapshot, None, 2).unwrap(), names[..2]);
    assert_eq!(
        NAMESPACES.page(&snapshot, Some(&names[1].name), 2).unwrap(),
        names[2..]
    );
    assert_eq!(
        NAMESPACES.page(&snapshot, Some(&names[3].name), 2).unwrap(),
        []
    );
}

#[test]
fn the_history_of_a_table_is_in_order_and_its_own() {
    let store = Store::open_in_memory().unwrap();
    commit(&store, |batch| {
        for (number, version) in [(1, 1), (1, 2), (1, 300), (2, 1), (256, 1)] {
            let def = version_of(number, version);
            TABLE_HISTORY.put(batch, &(def.number, version), &def);
        }
    });
    let versions = |number: u32| -> Vec<u32> {
        let found = TABLE_HISTORY
            .under(&store.snapshot(), &TableNumber(number))
            .unwrap();
        found.into_iter().map(|def| def.schema_version).collect()
    };
    assert_eq!(versions(1), [1, 2, 300]);
    commit(&store, |batch| {
        TABLE_HISTORY.delete_under(batch, &TableNumber(1)).unwrap()
    });
    assert_eq!([versions(1), versions(2)], [vec![], vec![1]]);
}

#[test]
fn i2_groups_keep_their_own_schemas_and_positions() {
    let store = Store::open_in_memory().unwrap();
    commit(&store, |batch| {
        for (group, version) in [
            (GroupId::LOCAL, 1),
            (GroupId::LOCAL, 2),
            (GroupId::Data(1), 3),
        ] {
            let def = version_of(1, version);
            SCHEMAS.put(batch, &(group, def.number, version), &def);
        }
        LAST_SEQ.put(batch, &GroupId::LOCAL, &SeqId(9));
        APPLIED.put(batch, &GroupId::Meta, &4);
    });
    let snapshot = store.snapshot();
    assert_eq!(SCHEMAS.under(&snapshot, &GroupId::LOCAL).unwrap().len(), 2);
    assert_eq!(
        SCHEMAS
            .under(&snapshot, &(GroupId::Data(1), TableNumber(1)))
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        LAST_SEQ.get(&snapshot, &GroupId::LOCAL).unwrap(),
        Some(SeqId(9))
    );
    assert_eq!(LAST_SEQ.get(&snapshot, &GroupId::Meta).unwrap(), None);
    assert_eq!(APPLIED.get(&snapshot, &GroupId::Meta).unwrap(), Some(4));
}

#[test]
fn counters_give_each_number_once() {
    let store = Store::open_in_memory().unwrap();
    let mut batch = store.batch();
    assert_eq!(next_number(&mut batch, TABLE_COUNTER).unwrap(), 1);
    assert_eq!(next_number(&mut batch, TABLE_COUNTER).unwrap(), 2);
    batch.commit(Sync::No).unwrap();
    assert_eq!(next_number(&mut store.batch(), TABLE_COUNTER).unwrap(), 3);
    assert_eq!(next_number(&mut store.batch(), AUDIT_COUNTER).unwrap(), 1);
}

fn audit(at: i64) -> AuditRecord {
    AuditRecord {
        at: Timestamp(at),
        actor: UserId::new("root").unwrap(),
        as_user: None,
        action: "CREATE_USER".into(),
        target: "ann".into(),
        result: "success".into(),
        details: None,
        request_id: None,
    }
}

#[test]
fn audit_records_are_in_order_of_time_and_purged_by_it() {
    let store = Store::open_in_memory().unwrap();
    commit(&store, |batch| {
        for at in [300, 100, 100, -5] {
            append_audit(batch, &audit(at)).unwrap();
        }
    });
    let times = || -> Vec<i64> {
        AUDIT
            .all(&store.snapshot())
            .unwrap()
            .into_iter()
            .map(|record| record.at.0)
            .collect()
    };
    assert_eq!(times(), [-5, 100, 100, 300]);
    commit(&store, |batch| purge_audit(batch, Timestamp(100)).unwrap());
    assert_eq!(times(), [100, 100, 300]);
}

#[test]
fn ended_refresh_families_are_purged() {
    let store = Store::open_in_memory().unwrap();
    let family = |id: &str, expires_at| RefreshFamily {
        id: id.to_owned(),
        user: UserId::new("ann").unwrap(),
        user_version: 4,
        generation: 1,
        expires_at: Timestamp(expires_at),
        revoked: false,
    };
    commit(&store, |batch| {
        for family in [family("old", 10), family("new", 20)] {
            REFRESH_FAMILIES.put(batch, &family.id, &family);
        }
        purge_refresh_families(batch, Timestamp(20)).unwrap();
    });
    assert_eq!(
        REFRESH_FAMILIES.all(&store.snapshot()).unwrap(),
        [family("new", 20)]
    );
}

#[test]
fn corrupt_records_are_errors() {
    let good = encode(&namespace("a"));
    assert_eq!(
        decode::<NamespaceDef>("namespace", &good).unwrap(),
        namespace("a")
    );
    let other_version = [&[2], &good[1..]].concat();
    for bad in [&[][..], &good[..good.len() - 1], &other_version, &[1, 0xc1]] {
        let error = decode::<NamespaceDef>("namespace", bad).unwrap_err();
        assert_eq!(error.code(), ErrorCode::DataCorrupt);
    }
}

proptest! {
    #[test]
    fn initial_values_of_every_type_are_kept(
        (data_type, initial) in proptest::sample::select(TYPES.to_vec())
            .prop_flat_map(|data_type| (Just(data_type), value(data_type)))
    ) {
        let mut def = table(&[DataType::Int]);
        def.columns.push(ColumnDef { initial, ..column(9, "added", data_type) });
        prop_assert_eq!(decode::<TableDef>("table", &encode(&def)).unwrap(), def);
    }
}
