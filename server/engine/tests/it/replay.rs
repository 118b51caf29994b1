//! Replaying a log gives the same bytes (I2), whatever shares a commit, and a rejected command leaves none (I3).

use kalam_model::{
    Applied, AuditRecord, Authentication, Command, MetaCommand, Namespace, RefreshFamily,
    RequestRecord, Role, Scope, SeqId, Slot, TableDef, TableKind, TableNumber, UserRecord, ViewDef,
    WriteCommand,
};
use kalam_store::Store;

use crate::support::{
    Bench, Random, altered, at, delete, dump, insert, table_def, table_write, update, user, write,
};

/// A log of everything there is, with its own memory of what tables and rows may exist.
struct Log {
    random: Random,
    commands: Vec<Command>,
    tables: Vec<TableDef>,
    seqs: Vec<SeqId>,
}

impl Log {
    fn seeded(seed: u64, length: usize) -> Vec<Command> {
        let mut log = Self {
            random: Random(seed),
            commands: Vec::new(),
            tables: Vec::new(),
            seqs: Vec::new(),
        };
        // A bench of its own gives the numbers and seqs that later commands refer to.
        let mut bench = Bench::new();
        let at = at(0);
        log.push(
            &mut bench,
            Command::Meta(MetaCommand::CreateNamespace {
                name: Namespace::default_namespace(),
                at,
            }),
        );
        while log.commands.len() < length {
            let command = log.next();
            log.push(&mut bench, command);
        }
        log.commands
    }

    fn push(&mut self, bench: &mut Bench, command: Command) {
        let applied = bench.commit([command.clone()]).remove(0);
        let dropped = match &command {
            Command::Meta(MetaCommand::DropTable { number, .. }) if applied == Applied::Done => {
                Some(*number)
            }
            _ => None,
        };
        self.commands.push(command);
        match applied {
            Applied::Written(outcome) => self.seqs.push(outcome.last_seq),
            Applied::Table(table) => {
                self.tables.retain(|known| known.number != table.number);
                self.tables.push(table.clone());
                self.push(bench, Command::PutSchema { table });
            }
            _ => {}
        }
        if let Some(table) = dropped {
            self.tables.retain(|known| known.number != table);
            self.push(bench, Command::DropTable { table });
        }
    }

    fn next(&mut self) -> Command {
        match self.random.below(20) {
            0 => self.create_table(),
            1 => self.alter_table(),
            2 if self.random.below(8) == 0 => self.drop_table(),
            3 => self.user(),
            4 => self.session(),
            5 => self.purge(),
            6 => self.other(),
            _ => self.rows(),
        }
    }

    fn time(&mut self) -> kalam_model::Timestamp {
        at(self.commands.len() as u64 * 500 + self.random.below(900))
    }

    fn table(&mut self) -> Option<TableDef> {
        let index = self.random.below(self.tables.len().max(1) as u64);
        self.tables.get(index as usize).cloned()
    }

    fn create_table(&mut self) -> Command {
        let kind =
            [TableKind::User, TableKind::Shared, TableKind::Stream][self.random.below(3) as usize];
        let name = format!("t{}", self.random.below(6));
        Command::Meta(MetaCommand::CreateTable {
            table: table_def(&name, kind),
        })
    }

    fn alter_table(&mut self) -> Command {
        let Some(mut table) = self.table() else {
            return self.create_table();
        };
        table.schema_version += 1;
        table.comment = Some(format!("version {}", table.schema_version));
        Command::Meta(MetaCommand::AlterTable { table })
    }

    fn drop_table(&mut self) -> Command {
        let Some(table) = self.table() else {
            return self.create_table();
        };
        Command::Meta(MetaCommand::DropTable {
            id: table.id,
            number: table.number,
        })
    }

    fn rows(&mut self) -> Command {
        let Some(table) = self.table() else {
            return self.create_table();
        };
        let scope = match table.kind {
            TableKind::Shared => Scope::Shared,
            _ => Scope::User(user(["alice", "bob"][self.random.below(2) as usize])),
        };
        let old = self
            .seqs
            .get(self.random.below(self.seqs.len().max(1) as u64) as usize)
            .copied()
            .unwrap_or_default();
        let id = i64::try_from(self.random.below(8)).unwrap();
        let mutation = match self.random.below(5) {
            0 => update(old, id, "updated"),
            1 => delete(old),
            _ => insert(id, "inserted"),
        };
        let time = self.time();
        let mut part = table_write(table.number, &scope, vec![mutation]);
        part.schema_version = table.schema_version - u32::from(self.random.below(10) == 0);
        let request = (self.random.below(4) == 0).then(|| RequestRecord {
            slot: Slot(3),
            user: user("alice"),
            id: format!("r{}", self.random.below(20)),
            hash: self.random.below(2),
            answer: vec![7],
        });
        Command::Write(WriteCommand {
            request,
            ..write(time, vec![part])
        })
    }

    fn user(&mut self) -> Command {
        let user = UserRecord {
            id: user(&format!("u{}", self.random.below(4))),
            role: Role::User,
            email: None,
            authentication: Authentication::Internal,
            storage_id: None,
            version: 1,
            revision: 1 + u32::try_from(self.random.below(3)).unwrap(),
            created_at: at(0),
            updated_at: self.time(),
            deleted_at: None,
        };
        Command::Meta(match self.random.below(2) {
            0 => MetaCommand::CreateUser { user },
            _ => MetaCommand::PutUser { user },
        })
    }

    fn session(&mut self) -> Command {
        let id = format!("f{}", self.random.below(4));
        let from = u32::try_from(self.random.below(3)).unwrap();
        Command::Meta(match self.random.below(3) {
            0 => MetaCommand::PutRefreshFamily {
                family: RefreshFamily {
                    id,
                    user: user("u1"),
                    user_version: 1,
                    generation: 0,
                    expires_at: self.time(),
                    revoked: false,
                },
            },
            1 => MetaCommand::RotateRefresh {
                id,
                from,
                expires_at: self.time(),
            },
            _ => MetaCommand::RevokeRefresh { id },
        })
    }

    fn purge(&mut self) -> Command {
        let below = SeqId::at_time(self.time().unix_ms().saturating_sub(20_000));
        let table = self.table().map_or(TableNumber(99), |table| table.number);
        match self.random.below(4) {
            0 => Command::PurgeTombstones { table, below },
            1 => Command::ExpireStream { table, below },
            2 => Command::PurgeRequests {
                before: kalam_model::Timestamp::from_unix_ms(below.unix_ms()),
            },
            _ => Command::Meta(MetaCommand::PurgeSessions {
                families_before: at(1_000),
                audit_before: at(1_000),
            }),
        }
    }

    fn other(&mut self) -> Command {
        let id = table_def(&format!("v{}", self.random.below(3)), TableKind::User).id;
        Command::Meta(match self.random.below(4) {
            0 => MetaCommand::PutView {
                view: ViewDef {
                    id,
                    columns: Vec::new(),
                    query: "SELECT 1".to_owned(),
                    owner: user("root"),
                    created_at: at(0),
                },
                replace: self.random.below(2) == 0,
            },
            1 => MetaCommand::DropView { id },
            2 => MetaCommand::PutSetting {
                name: "s".to_owned(),
                value: format!("{}", self.random.below(9)),
            },
            _ => MetaCommand::Audit {
                record: AuditRecord {
                    at: self.time(),
                    actor: user("root"),
                    as_user: None,
                    action: "A".to_owned(),
                    target: "t".to_owned(),
                    result: "ok".to_owned(),
                    details: None,
                    request_id: None,
                },
            },
        })
    }
}

/// Applies the log to an empty database, up to `together` commands in a commit.
fn replayed(log: &[Command], together: usize) -> (Store, Vec<Applied>) {
    let mut bench = Bench::new();
    let mut applied = Vec::new();
    for commands in log.chunks(together) {
        applied.extend(bench.commit(commands.iter().cloned()));
    }
    (bench.store, applied)
}

#[test]
fn i2_replay_gives_the_same_bytes() {
    for seed in 0..8 {
        let log = Log::seeded(seed, 500);
        let (once, answers) = replayed(&log, 1);
        let expected = dump(&once);
        assert!(expected.lines().count() > 40, "{expected}");
        for together in [7, 500] {
            let (again, same_answers) = replayed(&log, together);
            assert_eq!(
                dump(&again),
                expected,
                "seed {seed}, {together} commands in a commit"
            );
            assert_eq!(
                same_answers, answers,
                "seed {seed}, {together} commands in a commit"
            );
        }
    }
}

#[test]
fn i2_a_restart_between_commits_changes_nothing() {
    let log = Log::seeded(42, 300);
    let (once, _) = replayed(&log, 1);
    let mut bench = Bench::new();
    for command in &log {
        bench = Bench::on(bench.store.clone());
        bench.commit([command.clone()]);
    }
    assert_eq!(dump(&bench.store), dump(&once));
}

#[test]
fn i3_a_rejected_command_leaves_no_trace() {
    let (mut bench, table) = Bench::with_table(TableKind::User);
    let other = bench.create_table(table_def("other", TableKind::Shared));
    let scope = Scope::User(user("alice"));
    bench.write(write(
        at(1),
        vec![table_write(table.def.number, &scope, vec![insert(1, "a")])],
    ));
    let before = dump(&bench.store);
    let bad_ends = [
        insert(1, "again"),
        update(SeqId(5), 1, "stale"),
        delete(SeqId(5)),
    ];
    for bad in bad_ends {
        let parts = vec![
            table_write(other.def.number, &Scope::Shared, vec![insert(1, "b")]),
            table_write(
                table.def.number,
                &scope,
                vec![insert(2, "b"), insert(3, "b"), bad],
            ),
        ];
        let request = RequestRecord {
            slot: Slot(1),
            user: user("alice"),
            id: "r".to_owned(),
            hash: 1,
            answer: vec![],
        };
        let applied = bench.write(WriteCommand {
            request: Some(request),
            ..write(at(9), parts)
        });
        assert!(matches!(applied, Applied::Rejected(_)), "{applied:?}");
        assert_eq!(dump(&bench.store), before);
    }
    let next = altered(&TableDef::clone(&table.def), "extra");
    let skipped = TableDef {
        schema_version: 9,
        ..next
    };
    bench.commit([Command::Meta(MetaCommand::AlterTable { table: skipped })]);
    assert_eq!(dump(&bench.store), before);
}
