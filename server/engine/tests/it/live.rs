//! A client's [`Session`](kalam_link_core::session::Session) and the server's
//! [`Conn`](kalam_engine::live::Conn), joined in memory on a virtual clock: writes, cuts, delays, slow readers, ALTER and
//! restarts in random order. Bugs that are planted into the server's side are found by it.

mod observer;
mod queries;
mod schedule;
mod world;

use schedule::Worlds;
use world::Bug;

/// Schedules that a planted bug gets to be found in.
const SCHEDULES_PER_BUG: u64 = 1_000;

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
