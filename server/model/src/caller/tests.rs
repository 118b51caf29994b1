use super::*;
use crate::name::{Namespace, TableId};
use crate::stamp::Timestamp;
use crate::table::{ColumnId, TableNumber, TableOptions};

fn caller(name: &str, role: Role) -> Caller {
    Caller::new(UserId::new(name).unwrap(), role)
}

fn table(kind: TableKind, access_level: AccessLevel, write_level: WriteLevel) -> TableDef {
    TableDef {
        number: TableNumber(1),
        id: TableId::new(Namespace::default_namespace(), "t").unwrap(),
        kind,
        columns: Vec::new(),
        primary_key: Vec::new(),
        options: TableOptions {
            access_level,
            write_level,
            ..TableOptions::default()
        },
        schema_version: 1,
        next_column: ColumnId(1),
        comment: None,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

fn shared(access_level: AccessLevel, write_level: WriteLevel) -> TableDef {
    table(TableKind::Shared, access_level, write_level)
}

#[test]
fn i8_a_private_table_gives_every_role_its_own_scope_only() {
    for kind in [TableKind::User, TableKind::Stream] {
        let table = table(kind, AccessLevel::Private, WriteLevel::Service);
        for role in Role::ALL {
            let alice = caller("alice", role);
            let own = Ok(Scope::User(alice.user.clone()));
            assert_eq!(
                (alice.may_read(&table), alice.may_write(&table)),
                (own.clone(), own)
            );
        }
    }
}

#[test]
fn i8_access_level_of_a_user_table_never_widens_its_scope() {
    let table = table(TableKind::User, AccessLevel::Public, WriteLevel::Public);
    let alice = caller("alice", Role::System);
    assert_eq!(alice.may_read(&table), Ok(Scope::User(alice.user.clone())));
}

#[test]
fn i8_acting_as_somebody_gives_the_scope_of_that_account() {
    let table = table(TableKind::User, AccessLevel::Private, WriteLevel::Service);
    let service = caller("worker", Role::Service);
    let acting = service.acting_as(UserId::new("alice").unwrap(), Role::User);
    assert_eq!(
        acting.may_read(&table),
        Ok(Scope::User(UserId::new("alice").unwrap()))
    );
    let twice = acting.acting_as(UserId::new("bob").unwrap(), Role::User);
    assert_eq!(twice.actor, Some(service.user));
}

#[test]
fn a_public_stream_is_one_scope_that_everybody_writes() {
    let table = table(TableKind::Stream, AccessLevel::Public, WriteLevel::Service);
    assert_eq!(
        caller("alice", Role::User).may_write(&table),
        Ok(Scope::Shared)
    );
}

#[test]
fn shared_tables_follow_their_levels() {
    let alice = caller("alice", Role::User);
    for level in [AccessLevel::Private, AccessLevel::Restricted] {
        let table = shared(level, WriteLevel::Public);
        assert_eq!(
            (alice.may_read(&table), alice.may_write(&table)),
            (Err(Denied::Hidden), Err(Denied::Hidden))
        );
    }
    let readable = shared(AccessLevel::Public, WriteLevel::Service);
    assert_eq!(
        (alice.may_read(&readable), alice.may_write(&readable)),
        (Ok(Scope::Shared), Err(Denied::Forbidden))
    );
    assert_eq!(
        alice.may_write(&shared(AccessLevel::Public, WriteLevel::Public)),
        Ok(Scope::Shared)
    );
    for role in [Role::Service, Role::Dba, Role::System] {
        let table = shared(AccessLevel::Private, WriteLevel::Service);
        assert_eq!(caller("worker", role).may_write(&table), Ok(Scope::Shared));
    }
}

#[test]
fn roles_rise_from_user_to_system() {
    let may = |action| Role::ALL.map(|role| caller("x", role).may(action));
    assert_eq!(
        may(Action::CreateTable(TableKind::Shared)),
        [false, true, true, true]
    );
    assert_eq!(may(Action::ChangeTable), [false, false, true, true]);
    assert_eq!(may(Action::Administer), [false, false, true, true]);
    let acts = |target| Role::ALL.map(|role| caller("x", role).may_act_as(target));
    assert_eq!(acts(Role::User), [false, true, true, true]);
    assert_eq!(acts(Role::Dba), [false, false, true, true]);
    assert_eq!(acts(Role::System), [false, false, false, true]);
}
