//! What a client shows: rows by key, made of batches and changes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::client::{Client, Load};

pub struct View {
    id: String,
    key: Vec<String>,
    rows: BTreeMap<String, Value>,
}

impl View {
    pub fn new(id: &str, load: &Load) -> Self {
        let fields = load.ack["key"].as_array().unwrap();
        let mut view = Self {
            id: id.to_owned(),
            key: fields
                .iter()
                .map(|field| field["name"].as_str().unwrap().to_owned())
                .collect(),
            rows: BTreeMap::new(),
        };
        view.load(load);
        view
    }

    /// A resume on top of what is there.
    pub fn load(&mut self, load: &Load) {
        for row in &load.rows {
            self.put(row);
        }
        for change in &load.changes {
            self.change(change);
        }
    }

    /// The rows of another view.
    pub fn copy(&mut self, other: &Self) {
        self.rows.clone_from(&other.rows);
    }

    /// A message of the subscription while it is live.
    pub fn change(&mut self, message: &Value) {
        assert_eq!(message["type"], "change", "{message}");
        assert_eq!(message["subscription_id"], self.id.as_str());
        if message["change_type"] == "delete" {
            for row in message["old_values"].as_array().unwrap() {
                self.rows.remove(&self.key_of(row));
            }
        } else {
            for row in message["rows"].as_array().unwrap() {
                self.put(row);
            }
        }
    }

    fn put(&mut self, row: &Value) {
        self.rows.insert(self.key_of(row), row.clone());
    }

    fn key_of(&self, row: &Value) -> String {
        let cells: Vec<&Value> = self
            .key
            .iter()
            .map(|name| row.get(name).unwrap_or_else(|| panic!("no {name}: {row}")))
            .collect();
        serde_json::to_string(&cells).unwrap()
    }

    /// The rows as a SELECT of these columns gives them, by key.
    pub fn cells(&self, columns: &[&str]) -> Vec<Value> {
        self.rows
            .values()
            .map(|row| columns.iter().map(|name| row[*name].clone()).collect())
            .collect()
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Takes changes until the rows are those of a SELECT, and then those that are on their way.
    pub async fn follow(&mut self, client: &mut Client, columns: &[&str], selected: &Value) {
        while !self.is(columns, selected) {
            let message = client.next_of(&self.id).await;
            self.change(&message);
        }
        client.ping().await;
        for message in client.received_of(&self.id) {
            self.change(&message);
        }
        assert!(self.is(columns, selected), "{}: {selected}", self.id);
    }

    /// Whether the rows are those of a SELECT of these columns, in whatever order.
    pub fn is(&self, columns: &[&str], selected: &Value) -> bool {
        sorted(self.cells(columns)) == sorted(selected.as_array().unwrap().clone())
    }
}

fn sorted(mut rows: Vec<Value>) -> Vec<String> {
    rows.sort_by_key(Value::to_string);
    rows.iter().map(Value::to_string).collect()
}
