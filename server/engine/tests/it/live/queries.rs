//! The live queries of the simulation, and what each of them gives, worked out without the code under test.

use std::cmp::Ordering;

use kalam_model::SeqId;

/// The columns that every table has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub id: i64,
    pub room: Option<String>,
    pub n: Option<i64>,
}

/// Tables of the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// USER
    Notes,
    /// SHARED
    Board,
    /// STREAM
    Events,
}

impl Name {
    pub const ALL: [Self; 3] = [Self::Notes, Self::Board, Self::Events];
}

type Filter = fn(&Item) -> bool;
type Order = fn(&Item, &Item) -> Ordering;

/// A query and its meaning.
#[derive(Debug)]
pub struct Query {
    pub sql: &'static str,
    pub table: Name,
    filter: Filter,
    order: Option<Order>,
    limit: Option<usize>,
}

impl Query {
    pub fn is_ordered(&self) -> bool {
        self.order.is_some()
    }

    pub fn is_window(&self) -> bool {
        self.limit.is_some()
    }

    /// What the query gives: in its order, or by key.
    pub fn result(&self, rows: &[(SeqId, Item)]) -> Vec<Item> {
        let mut found: Vec<(SeqId, Item)> = Vec::new();
        for (seq, item) in rows.iter().filter(|(_, item)| (self.filter)(item)) {
            // A key may stand in several rows of a STREAM table: the newest is shown.
            found.retain(|(_, other)| other.id != item.id);
            found.push((*seq, item.clone()));
        }
        found.sort_by(|(_, a), (_, b)| {
            let by_order = self.order.map_or(Ordering::Equal, |order| order(a, b));
            by_order.then(a.id.cmp(&b.id))
        });
        let items = found.into_iter().map(|(_, item)| item);
        items.take(self.limit.unwrap_or(usize::MAX)).collect()
    }
}

/// As SQL: NULL is greater than every value.
fn by_n(a: &Item, b: &Item) -> Ordering {
    let place = |item: &Item| (item.n.is_none(), item.n);
    place(a).cmp(&place(b))
}

fn by_n_descending(a: &Item, b: &Item) -> Ordering {
    by_n(b, a)
}

fn all(_: &Item) -> bool {
    true
}

fn room_is_a(item: &Item) -> bool {
    item.room.as_deref() == Some("a")
}

fn query(sql: &'static str, table: Name, filter: Filter) -> Query {
    Query {
        sql,
        table,
        filter,
        order: None,
        limit: None,
    }
}

fn ordered(sql: &'static str, table: Name, filter: Filter, order: Order) -> Query {
    Query {
        order: Some(order),
        ..query(sql, table, filter)
    }
}

fn window(sql: &'static str, table: Name, filter: Filter, (order, limit): (Order, usize)) -> Query {
    Query {
        limit: Some(limit),
        ..ordered(sql, table, filter, order)
    }
}

pub fn queries() -> Vec<Query> {
    use Name::{Board, Events, Notes};
    vec![
        query("SELECT * FROM notes", Notes, all),
        query("SELECT * FROM notes WHERE n > 5", Notes, |item| {
            item.n.is_some_and(|n| n > 5)
        }),
        query(
            "SELECT n, room FROM notes WHERE room = 'b' OR n IS NULL",
            Notes,
            |item| item.n.is_none() || item.room.as_deref() == Some("b"),
        ),
        query("SELECT * FROM board WHERE room = 'a'", Board, room_is_a),
        query(
            "SELECT room, n FROM board WHERE NOT (room = 'a')",
            Board,
            |item| item.room.as_deref().is_some_and(|room| room != "a"),
        ),
        ordered(
            "SELECT * FROM board ORDER BY n DESC",
            Board,
            all,
            by_n_descending,
        ),
        window(
            "SELECT * FROM board ORDER BY n DESC LIMIT 3",
            Board,
            all,
            (by_n_descending, 3),
        ),
        window(
            "SELECT room, n FROM notes WHERE room = 'a' ORDER BY n LIMIT 2",
            Notes,
            room_is_a,
            (by_n, 2),
        ),
        query("SELECT * FROM events", Events, all),
        query("SELECT * FROM events WHERE room = 'a'", Events, room_is_a),
    ]
}
