//! From a change to the feeds that it may concern: by table and scope, then by the value of a column that a feed's filter
//! asks for, so that ten thousand subscriptions to `conversation_id = k` cost a change as much as one.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use kalam_link_core::Value;
use kalam_model::{Change, ChangeKind, Row, RowKey, Scope, TableNumber};
use kalam_store::key;

use super::feed::{Feed, FeedKey, Shape};
use crate::catalog::Table;

/// All feeds of a node.
#[derive(Default)]
pub(crate) struct Index {
    slices: HashMap<(TableNumber, Scope), Routes>,
    shapes: HashMap<(TableNumber, u32), Vec<Weak<Shape>>>,
    subscriptions: usize,
}

/// Feeds that a row with this value may concern.
type FeedsByValue = HashMap<RowKey, Vec<Arc<Feed>>>;

/// The feeds of one slice.
#[derive(Default)]
struct Routes {
    feeds: HashMap<FeedKey, Arc<Feed>>,
    /// Feeds whose filter has `column = constant`, by column, then by constant.
    equal: Vec<(EqualColumn, FeedsByValue)>,
    /// The others.
    rest: Vec<Arc<Feed>>,
}

/// A column in one version of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
struct EqualColumn {
    schema_version: u32,
    index: usize,
}

/// Where a feed is found.
fn place(feed: &Feed) -> Option<(EqualColumn, RowKey)> {
    let (index, value) = feed.query.predicate.as_ref()?.equality()?;
    let column = EqualColumn {
        schema_version: feed.key.schema_version,
        index,
    };
    Some((column, key::encode_key(&[value])?))
}

impl Index {
    pub(crate) fn get(&self, key: &FeedKey) -> Option<&Arc<Feed>> {
        self.slices
            .get(&(key.table, key.scope.clone()))?
            .feeds
            .get(key)
    }

    pub(crate) fn insert(&mut self, feed: &Arc<Feed>) {
        let slice = (feed.key.table, feed.key.scope.clone());
        let routes = self.slices.entry(slice).or_default();
        routes.feeds.insert(feed.key.clone(), Arc::clone(feed));
        match place(feed) {
            None => routes.rest.push(Arc::clone(feed)),
            Some((column, value)) => {
                let found = routes.equal.iter().position(|(known, _)| *known == column);
                let at = found.unwrap_or_else(|| {
                    routes.equal.push((column, HashMap::new()));
                    routes.equal.len() - 1
                });
                routes.equal[at]
                    .1
                    .entry(value)
                    .or_default()
                    .push(Arc::clone(feed));
            }
        }
    }

    pub(crate) fn remove(&mut self, feed: &Arc<Feed>) {
        let slice = (feed.key.table, feed.key.scope.clone());
        let Some(routes) = self.slices.get_mut(&slice) else {
            return;
        };
        routes.feeds.remove(&feed.key);
        let is_other = |other: &Arc<Feed>| !Arc::ptr_eq(other, feed);
        match place(feed) {
            None => routes.rest.retain(is_other),
            Some((column, value)) => {
                for (known, feeds) in &mut routes.equal {
                    if *known == column
                        && let Some(same) = feeds.get_mut(&value)
                    {
                        same.retain(is_other);
                        if same.is_empty() {
                            feeds.remove(&value);
                        }
                    }
                }
                routes.equal.retain(|(_, feeds)| !feeds.is_empty());
            }
        }
        if routes.feeds.is_empty() {
            self.slices.remove(&slice);
        }
    }

    /// Counts subscriptions that come and go.
    pub(crate) fn count(&mut self, joined: usize, left: usize) {
        self.subscriptions = self.subscriptions + joined - left;
    }

    pub(crate) const fn subscriptions(&self) -> usize {
        self.subscriptions
    }

    /// The one shape of these columns.
    pub(crate) fn shape(&mut self, table: &Table, carried: &[usize]) -> Arc<Shape> {
        let version = (table.def.number, table.def.schema_version);
        let known = self.shapes.entry(version).or_default();
        known.retain(|shape| shape.strong_count() > 0);
        if let Some(shape) = known
            .iter()
            .filter_map(Weak::upgrade)
            .find(|shape| shape.carries(carried))
        {
            return shape;
        }
        let shape = Arc::new(Shape::new(table, carried));
        known.push(Arc::downgrade(&shape));
        shape
    }

    /// Forgets the shapes of a table's version that nobody uses.
    pub(crate) fn forget_shapes(&mut self, table: TableNumber, schema_version: u32) {
        self.shapes.remove(&(table, schema_version));
    }

    pub(crate) fn feeds(&self) -> impl Iterator<Item = &Arc<Feed>> {
        self.slices
            .values()
            .flat_map(|routes| routes.feeds.values())
    }

    /// Calls `visit` with each feed that the change may concern, once.
    pub(crate) fn candidates(&self, change: &Change, mut visit: impl FnMut(&Arc<Feed>)) {
        let Some(routes) = self
            .slices
            .get(&(change.table.number, change.scope.clone()))
        else {
            return;
        };
        let version = change.table.schema_version;
        for feed in &routes.rest {
            if feed.key.schema_version == version {
                visit(feed);
            }
        }
        for (column, feeds) in &routes.equal {
            if column.schema_version == version {
                for value in values_of(change, column.index) {
                    feeds.get(&value).into_iter().flatten().for_each(&mut visit);
                }
            }
        }
    }
}

/// What the column holds before and after the change, each value once. NULL equals nothing.
fn values_of(change: &Change, column: usize) -> impl Iterator<Item = RowKey> {
    let value_in = |row: &Row| row.0.get(column).and_then(encoded);
    let (first, second) = match &change.kind {
        ChangeKind::Insert { new } => (value_in(new), None),
        ChangeKind::Delete { old, .. } => (value_in(old), None),
        ChangeKind::Update { old, new, .. } => (value_in(old), value_in(new)),
    };
    let second = second.filter(|second| Some(second) != first.as_ref());
    first.into_iter().chain(second)
}

fn encoded(value: &Value) -> Option<RowKey> {
    key::encode_key(&[value])
}
