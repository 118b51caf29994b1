//! What there is on the server, for completion: loaded behind the prompt, without a planner.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use kalam_link::{Client, Error};

use crate::shell::{names, quoted};

/// Statements in one request.
const BATCH: usize = 100;

/// Namespaces with their tables, and these with their columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    pub namespaces: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

/// The schema that the completer and the loader share.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    schema: Arc<Schema>,
    /// Loads that have not ended.
    loading: usize,
}

/// Whoever presses Tab at once would rather wait than be told that there is nothing; but never for long.
const PATIENCE: Duration = Duration::from_secs(2);

impl Shared {
    /// What is there, after the loads that are under way.
    #[must_use]
    pub fn get(&self) -> Arc<Schema> {
        let (state, ended) = &*self.0;
        let guard = state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = ended.wait_timeout_while(guard, PATIENCE, |state| state.loading > 0);
        let (guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&guard.schema)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let (state, ended) = &*self.0;
        change(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
        ended.notify_all();
    }

    /// Loads it anew in the background. If that fails, the old one stays: a statement will say what is wrong.
    pub fn load(&self, client: &Client) {
        let (shared, client) = (self.clone(), client.clone());
        self.change(|state| state.loading += 1);
        // Ends by itself; when the program ends before, nobody misses it.
        tokio::spawn(async move {
            let loaded = load(&client).await;
            shared.change(|state| {
                state.loading -= 1;
                if let Ok(schema) = loaded {
                    state.schema = Arc::new(schema);
                }
            });
        });
    }
}

async fn load(client: &Client) -> Result<Schema, Error> {
    let namespaces = names(&client.query("SHOW NAMESPACES", &[]).await?, 0);
    let mut tables = Vec::new();
    for part in namespaces.chunks(BATCH) {
        let statements = part
            .iter()
            .map(|name| format!("SHOW TABLES IN {}", quoted(name)));
        for (namespace, table) in part.iter().zip(ask(client, statements, 1).await?) {
            tables.extend(table.into_iter().map(|table| (namespace.clone(), table)));
        }
    }
    let mut schema = Schema::default();
    for namespace in namespaces {
        schema.namespaces.insert(namespace, BTreeMap::new());
    }
    for part in tables.chunks(BATCH) {
        let name = |(namespace, table): &(String, String)| {
            format!("{}.{}", quoted(namespace), quoted(table))
        };
        let statements = part.iter().map(|table| format!("DESCRIBE {}", name(table)));
        for ((namespace, table), columns) in part.iter().zip(ask(client, statements, 0).await?) {
            schema
                .namespaces
                .entry(namespace.clone())
                .or_default()
                .insert(table.clone(), columns);
        }
    }
    Ok(schema)
}

/// The texts of one column of each statement's result.
async fn ask(
    client: &Client,
    statements: impl Iterator<Item = String>,
    column: usize,
) -> Result<Vec<Vec<String>>, Error> {
    let sql = statements.collect::<Vec<_>>().join("; ");
    let response = client.query(sql, &[]).await?;
    let texts = response.results.into_iter().map(|result| {
        let rows = result.rows.unwrap_or_default();
        rows.iter()
            .filter_map(|row| row.get(column)?.as_str().map(str::to_owned))
            .collect()
    });
    Ok(texts.collect())
}
