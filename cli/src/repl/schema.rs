//! What there is on the server, for completion: loaded behind the prompt, without a planner.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

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
pub struct Shared(Arc<RwLock<Schema>>);

impl Shared {
    #[must_use]
    pub fn get(&self) -> Schema {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn set(&self, schema: Schema) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = schema;
    }

    /// Loads it anew in the background. If that fails, the old one stays: a statement will say what is wrong.
    pub fn load(&self, client: &Client) {
        let (shared, client) = (self.clone(), client.clone());
        // Ends by itself; when the program ends before, nobody misses it.
        tokio::spawn(async move {
            if let Ok(schema) = load(&client).await {
                shared.set(schema);
            }
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
