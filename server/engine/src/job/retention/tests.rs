use super::*;
use kalam_model::{ColumnId, Namespace, TableId, TableOptions};

const NOW_MS: u64 = 1_767_225_600_000;

fn plan() -> Plan {
    Plan::new(&EngineOptions::default(), NOW_MS)
}

fn stream_table(ttl_seconds: u32) -> TableDef {
    TableDef {
        number: TableNumber(1),
        id: TableId::new(Namespace::default_namespace(), "events").unwrap(),
        kind: TableKind::Stream,
        columns: Vec::new(),
        primary_key: Vec::new(),
        options: TableOptions {
            ttl_seconds: Some(ttl_seconds),
            ..TableOptions::default()
        },
        schema_version: 1,
        next_column: ColumnId(1),
        comment: None,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

/// Times, in seconds after the start, at which rows are removed, when the newest row is of second `newest`.
fn removals(ttl_seconds: u32, newest: u64, seconds: u64) -> Vec<u64> {
    let (mut plan, table) = (plan(), stream_table(ttl_seconds));
    let newest = SeqId::at_time(NOW_MS + newest * SECOND_MS);
    (0..seconds)
        .filter(|second| {
            plan.expire(&table, newest, NOW_MS + second * SECOND_MS)
                .is_some()
        })
        .collect()
}

#[test]
fn a_stream_is_emptied_until_its_last_bucket_has_gone_and_left_alone_then() {
    let times = removals(30, 10, 200);
    assert_eq!(times.first(), Some(&0));
    let last = *times.last().unwrap();
    assert!(
        (40..=43).contains(&last),
        "the last row ends at 40 s, was removed at {last} s"
    );
}

#[test]
fn long_lives_are_looked_at_rarely() {
    let day = 24 * 60 * 60;
    let times = removals(day, u64::from(day), u64::from(day) / 10);
    assert!(
        times.len() <= usize::try_from(day / 10 / 60 + 1).unwrap(),
        "{} removals",
        times.len()
    );
}

#[test]
fn tombstones_and_answers_are_removed_once_an_hour() {
    let published = Published::new(std::sync::Arc::default(), SeqId::ZERO);
    let mut plan = plan();
    assert_eq!(plan.due(&published, NOW_MS), []);
    let later = NOW_MS + SLOW_INTERVAL_MS;
    let answers = Command::PurgeRequests {
        before: Timestamp::from_unix_ms(later - DAY_MS),
    };
    let due = plan.due(&published, later);
    assert!(due.contains(&answers), "{due:?}");
    assert_eq!(plan.due(&published, later + SECOND_MS), []);
}
