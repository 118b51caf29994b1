//! What a run leaves behind that does not sync each commit and does not end in order.
//!
//! When the machine dies, such a run loses its last commits, which subscribers may have seen. They must not go on as if
//! these were there (I6), and their sequence numbers must not be given out again.

use kalam_model::{GroupId, Timestamp};
use kalam_store::meta::{LAST_SEQ, RELAXED_RUN, RESUME_FLOOR, Whole};
use kalam_store::{Store, Sync};

use crate::error::Error;
use crate::propose::Durability;

/// Before anything else of a run. After an unclean end, what the group gives out lies above everything that it gave out
/// before, and nobody goes on from below.
///
/// Whether the machine died or only the process is not known here.
pub(crate) fn begin(store: &Store, durability: Durability, now: Timestamp) -> Result<(), Error> {
    let mut batch = store.batch();
    let ended_in_order = RELAXED_RUN.get(&batch, &Whole)?;
    let is_unclean = ended_in_order == Some(false);
    if is_unclean {
        let last_seq = LAST_SEQ.get(&batch, &GroupId::LOCAL)?.unwrap_or_default();
        let floor = last_seq.next(now.unix_ms());
        LAST_SEQ.put(&mut batch, &GroupId::LOCAL, &floor);
        RESUME_FLOOR.put(&mut batch, &GroupId::LOCAL, &floor);
        tracing::warn!(
            "the last run had durability `relaxed` and did not end in order: live queries load anew"
        );
    }
    match durability {
        Durability::Relaxed { .. } if !is_unclean => RELAXED_RUN.put(&mut batch, &Whole, &false),
        Durability::Sync if is_unclean => RELAXED_RUN.put(&mut batch, &Whole, &true),
        Durability::Relaxed { .. } | Durability::Sync => {}
    }
    if !batch.is_empty() {
        batch.commit(Sync::Yes)?;
    }
    Ok(())
}

/// After the last commit of a relaxed run, which has reached the disk.
pub(crate) fn end(store: &Store) -> Result<(), kalam_store::Error> {
    let mut batch = store.batch();
    RELAXED_RUN.put(&mut batch, &Whole, &true);
    batch.commit(Sync::Yes)
}
