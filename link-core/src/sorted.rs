//! A map in the order of its keys, in a tenth of the code that `BTreeMap` compiles to: what browsers download counts.
//!
//! Entries stand in chunks. Finding one is two binary searches; inserting and removing move at most a chunk, and now
//! and then the list of chunks.

// Half of it is moved by an insertion on average, which stays below what finding the place costs.
const CHUNK_ENTRIES_MAX: usize = 256;

/// Keys in order, each once.
#[derive(Clone, Debug)]
pub(crate) struct SortedMap<K, V> {
    /// None is empty.
    chunks: Vec<Vec<(K, V)>>,
    len: usize,
}

/// Where a key is, or where it would be.
#[derive(Clone, Copy)]
struct Place {
    chunk: usize,
    index: usize,
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        let place = self.find(key).ok()?;
        Some(&self.chunks[place.chunk][place.index].1)
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.find(key).ok()?;
        Some(&mut self.chunks[place.chunk][place.index].1)
    }

    pub fn contains_key(&self, key: &K) -> bool {
        self.find(key).is_ok()
    }

    /// Returns the value that stood there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let place = match self.find(&key) {
            Ok(place) => {
                let entry = &mut self.chunks[place.chunk][place.index];
                return Some(std::mem::replace(&mut entry.1, value));
            }
            Err(place) => place,
        };
        self.len += 1;
        let Some(chunk) = self.chunks.get_mut(place.chunk) else {
            self.chunks.push(vec![(key, value)]);
            return None;
        };
        chunk.insert(place.index, (key, value));
        if chunk.len() > CHUNK_ENTRIES_MAX {
            // Rows often come in order: a chunk to which all are appended is left full.
            let half = match place.index + 1 == chunk.len() {
                true => CHUNK_ENTRIES_MAX,
                false => CHUNK_ENTRIES_MAX / 2,
            };
            let rest = chunk.split_off(half);
            self.chunks.insert(place.chunk + 1, rest);
        }
        None
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let place = self.find(key).ok()?;
        let chunk = &mut self.chunks[place.chunk];
        let (_, value) = chunk.remove(place.index);
        if chunk.is_empty() {
            self.chunks.remove(place.chunk);
        }
        self.len -= 1;
        Some(value)
    }

    pub fn first(&self) -> Option<(&K, &V)> {
        self.iter().next()
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        let entries = self.chunks.iter().flatten();
        entries.map(|(key, value)| (key, value))
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        let entries = self.chunks.iter_mut().flatten();
        entries.map(|(key, value)| (&*key, value))
    }

    pub fn into_values(self) -> impl Iterator<Item = V> {
        let entries = self.chunks.into_iter().flatten();
        entries.map(|(_, value)| value)
    }

    fn find(&self, key: &K) -> Result<Place, Place> {
        // The last chunk that does not begin after the key.
        let after = self.chunks.partition_point(|chunk| chunk[0].0 <= *key);
        let chunk = after.saturating_sub(1);
        let entries = self.chunks.get(chunk).map_or(&[][..], Vec::as_slice);
        let found = entries.binary_search_by(|(other, _)| other.cmp(key));
        found
            .map(|index| Place { chunk, index })
            .map_err(|index| Place { chunk, index })
    }
}

#[cfg(test)]
#[cfg(not(target_arch = "wasm32"))]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn does_what_a_tree_does(steps in proptest::collection::vec((0..3_u8, 0..900_u16), 0..4_000)) {
            let (mut map, mut tree) = (SortedMap::default(), BTreeMap::new());
            for (step, (kind, key)) in steps.into_iter().enumerate() {
                if kind == 0 {
                    prop_assert_eq!(map.remove(&key), tree.remove(&key));
                } else {
                    prop_assert_eq!(map.insert(key, step), tree.insert(key, step));
                }
                prop_assert_eq!(map.get(&key), tree.get(&key));
            }
            prop_assert_eq!(map.len(), tree.len());
            prop_assert_eq!(map.first(), tree.first_key_value());
            prop_assert!(map.iter().eq(tree.iter()));
            prop_assert!(map.iter().rev().eq(tree.iter().rev()));
        }
    }

    #[test]
    fn entries_in_order_fill_their_chunks() {
        let mut map = SortedMap::default();
        for key in 0..10_000 {
            map.insert(key, ());
        }
        assert_eq!(map.chunks.len(), 10_000_usize.div_ceil(CHUNK_ENTRIES_MAX));
    }
}
