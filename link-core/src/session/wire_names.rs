//! Ids of subscriptions on one connection.
//!
//! Whatever is in flight when a subscription ends still arrives. If its id were used again on the same connection,
//! those frames, an acknowledgement among them, would be taken for the new subscription's. So an id goes onto the wire
//! as it is once for each connection, and with a number after that.

use crate::ids::SubscriptionId;
use crate::sorted::SortedMap;

// Every name beyond these gets a number, used before or not.
const USED_MAX: usize = 4_096;

/// Stands between an id and its number. An id that has one gets a number always, so that no two meet.
const SEPARATOR: char = '~';

/// Ids under which the server reports what belongs to no subscription.
pub(super) const RESERVED: [&str; 3] = ["subscribe", "protocol", "rate_limit"];

/// Which wire id stands for which of the application's ids.
#[derive(Debug, Default)]
pub(super) struct WireNames {
    names: SortedMap<SubscriptionId, SubscriptionId>,
    /// Ids that went onto the wire without a number, at most [`USED_MAX`].
    used: SortedMap<SubscriptionId, SubscriptionId>,
    /// Rises over all connections.
    number: u64,
}

impl WireNames {
    /// A new connection begins.
    pub(super) fn clear(&mut self) {
        self.names = SortedMap::default();
        self.used = SortedMap::default();
    }

    /// A wire id for `name` that was not on this connection yet.
    pub(super) fn assign(&mut self, name: &SubscriptionId) -> SubscriptionId {
        let plain = !name.as_str().contains(SEPARATOR)
            && !RESERVED.contains(&name.as_str())
            && self.used.len() < USED_MAX
            && self.used.insert(name.clone(), name.clone()).is_none();
        let wire = if plain {
            name.clone()
        } else {
            self.number += 1;
            SubscriptionId::new(format!("{name}{SEPARATOR}{}", self.number))
        };
        self.names.insert(wire.clone(), name.clone());
        wire
    }

    pub(super) fn name(&self, wire: &SubscriptionId) -> Option<&SubscriptionId> {
        self.names.get(wire)
    }

    /// What still arrives for it is ignored.
    pub(super) fn release(&mut self, wire: &SubscriptionId) {
        self.names.remove(wire);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn assign(names: &mut WireNames, name: &str) -> String {
        names.assign(&SubscriptionId::new(name)).to_string()
    }

    #[test]
    fn an_id_is_used_once_on_a_connection() {
        let mut names = WireNames::default();
        assert_eq!(assign(&mut names, "a"), "a");
        assert_eq!(assign(&mut names, "a"), "a~1");
        assert_eq!(assign(&mut names, "a"), "a~2");
        names.clear();
        assert_eq!(assign(&mut names, "a"), "a");
    }

    #[test]
    fn an_id_that_looks_like_a_wire_id_meets_none() {
        let mut names = WireNames::default();
        let mut seen = BTreeSet::new();
        for name in ["a", "a~1", "a", "a~1", "a~1~3", "a", "protocol"] {
            assert!(seen.insert(assign(&mut names, name)), "{name}");
        }
        assert!(!seen.contains("protocol"));
    }
}
