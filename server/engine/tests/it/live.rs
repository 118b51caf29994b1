//! A client's [`Session`](kalam_link_core::session::Session) and the server's
//! [`Conn`](kalam_engine::live::Conn), joined in memory on a virtual clock: writes, cuts, delays, slow readers, ALTER and
//! restarts in random order. Whenever everything has arrived, each live query shows what the query gives.
//!
//! `KALAMDB_LONG_TESTS=1` runs ten times as many schedules.

mod observer;
mod queries;
mod schedule;
mod world;

use schedule::Worlds;
use world::Bug;

/// Schedules, in worlds of [`schedule::PER_WORLD`].
const SCHEDULES: u64 = 10_000;
const SCHEDULES_LONG: u64 = 100_000;

/// Schedules that a planted bug gets to be found in.
const SCHEDULES_PER_BUG: u64 = 1_000;

fn schedules() -> u64 {
    match std::env::var_os("KALAMDB_LONG_TESTS") {
        Some(_) => SCHEDULES_LONG,
        None => SCHEDULES,
    }
}

/// Each test is a part of the schedules, so that they run beside each other.
fn check(part: u64, parts: u64) {
    let share = schedules() / parts;
    let mut worlds = Worlds::new(part * share, None);
    if let Err(failure) = worlds.run(share) {
        panic!("{failure}");
    }
    println!("{share} schedules: {:?}", worlds.statistics);
    worlds.statistics.check_everything_happened();
}

#[test]
fn i6_every_quiet_point_shows_the_result_of_the_query() {
    check(0, 2);
}

#[test]
fn i7_slow_readers_delays_and_cuts_lose_and_repeat_nothing() {
    check(1, 2);
}

#[track_caller]
fn check_found(bug: Bug) {
    let mut worlds = Worlds::new(1 << 40, Some(bug));
    let failure = worlds
        .run(SCHEDULES_PER_BUG)
        .expect_err("the planted bug is found");
    println!("{bug:?}: {failure}");
}

#[test]
fn i6_publishing_before_the_commit_is_found() {
    check_found(Bug::PublishBeforeCommit);
}

#[test]
fn i6_a_delete_that_a_resume_forgets_is_found() {
    check_found(Bug::LostDeleteOnResume);
}

#[test]
fn i6_a_snapshot_that_is_off_by_one_is_found() {
    check_found(Bug::SnapshotOffByOne);
}

#[test]
fn i7_changes_that_an_overflow_drops_are_found() {
    check_found(Bug::DropOnOverflow);
}

#[test]
fn i6_a_filter_on_the_new_row_only_is_found() {
    check_found(Bug::NewRowOnly);
}
