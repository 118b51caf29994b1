//! What an application sees of one live query, and what it may count on.

use std::collections::BTreeSet;

use kalam_link_core::SubscriptionId;
use kalam_link_core::live_rows::LiveRows;
use kalam_link_core::message::{Change, ResyncReason, Row};
use kalam_link_core::session::{Load, SubscriptionEvent};
use kalam_link_core::time::Millis;
use kalam_model::SeqId;

use super::queries::Query;

/// A subscription whose events the test takes itself.
pub struct Observer {
    pub id: SubscriptionId,
    pub query: usize,
    pub rows: LiveRows,
    /// Everything up to here was received.
    last: SeqId,
    /// Seqs of the load under way.
    in_load: Option<(Load, BTreeSet<SeqId>)>,
    pub resyncs: Vec<ResyncReason>,
}

impl Observer {
    pub fn new(id: SubscriptionId, query: usize) -> Self {
        Self {
            id,
            query,
            rows: LiveRows::new(),
            last: SeqId::ZERO,
            in_load: None,
            resyncs: Vec::new(),
        }
    }

    /// Checks that each change comes once and in order (I6).
    pub fn see(
        &mut self,
        event: SubscriptionEvent,
        query: &Query,
        now: Millis,
    ) -> Result<(), String> {
        match &event {
            SubscriptionEvent::Acknowledged { load, .. } => {
                if *load == Load::Fresh {
                    self.last = SeqId::ZERO;
                }
                self.in_load = Some((*load, BTreeSet::new()));
            }
            SubscriptionEvent::Batch { rows, control } => {
                for row in rows {
                    self.row_of_load(row)?;
                }
                if let (Some(snapshot), false) = (control.last_seq_id, control.has_more) {
                    self.last = self.last.max(snapshot);
                }
            }
            SubscriptionEvent::Live => self.in_load = None,
            // One change may move several rows through a window.
            SubscriptionEvent::Change(_) if query.is_window() => {}
            SubscriptionEvent::Change(change) => self.change(change)?,
            SubscriptionEvent::Resync { reason } => self.resyncs.push(*reason),
            SubscriptionEvent::Ended(error) => return Err(format!("{}: ended: {error}", self.id)),
            SubscriptionEvent::Offline | SubscriptionEvent::RowsChanged => {}
        }
        self.rows.apply(event, now);
        Ok(())
    }

    fn row_of_load(&mut self, row: &Row) -> Result<(), String> {
        let seq = seq_of(row)?;
        let Some((load, seen)) = &mut self.in_load else {
            return Err(format!("{}: rows without a load: {row:?}", self.id));
        };
        if *load == Load::Resumed && seq <= self.last {
            let last = self.last;
            return Err(format!("{}: {seq} resumes after {last}", self.id));
        }
        if !seen.insert(seq) {
            return Err(format!("{}: {seq} came twice in a load", self.id));
        }
        Ok(())
    }

    fn change(&mut self, change: &Change) -> Result<(), String> {
        let id = &self.id;
        let seq = change
            .seq
            .ok_or_else(|| format!("{id}: no seq: {change:?}"))?;
        if seq <= self.last {
            let last = self.last;
            return Err(format!("{id}: {seq} after {last}: {change:?}"));
        }
        match &mut self.in_load {
            Some((_, seen)) => {
                if !seen.insert(seq) {
                    return Err(format!("{id}: {seq} came twice in a load"));
                }
            }
            None => self.last = seq,
        }
        Ok(())
    }
}

fn seq_of(row: &Row) -> Result<SeqId, String> {
    row.get("_seq")
        .and_then(|seq| seq.as_str()?.parse().ok())
        .map(SeqId)
        .ok_or_else(|| format!("no _seq: {row:?}"))
}
