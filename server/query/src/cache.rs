//! Parsed statements by their text, with what was compiled from them.
//!
//! An entry holds neither scope nor user nor time (I8): the same entry serves every caller. Only statements about rows are
//! kept, so that no password stays in memory.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use kalam_engine::Table;
use kalam_model::{Namespace, TableId};
use kalam_sql::statement::{Statement, TableRef};
use kalam_sql::{Parsed, ast};
use parking_lot::RwLock;
use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use serde_json::Value as Json;

use crate::dml::plan::Plan;
use crate::error::Error;
use crate::{point, resolve};

/// A syntax tree takes about this many bytes for each byte of its text.
const TREE_BYTES_PER_TEXT_BYTE: u64 = 24;

/// Longer texts hold literals and do not come twice.
const TEXT_BYTES_MAX: usize = 32 << 10;

/// The statements of one text in one namespace.
pub(crate) struct Script {
    pub statements: Vec<Prepared>,
}

/// One statement and its compiled form.
pub(crate) struct Prepared {
    pub parsed: Parsed,
    /// The table that a statement about rows names; `None` inside if the name cannot name anything.
    table: OnceLock<Option<TableId>>,
    /// Made for one version of the table; another version compiles it again.
    plan: RwLock<Option<Arc<Plan>>>,
    /// The table of a SELECT that may be one by key.
    point: OnceLock<Option<TableRef>>,
}

impl Prepared {
    fn new(parsed: Parsed) -> Self {
        Self {
            parsed,
            table: OnceLock::new(),
            plan: RwLock::new(None),
            point: OnceLock::new(),
        }
    }

    /// The full name of the table. The same statement of a script always sees the same `namespace`.
    pub fn table_id(&self, namespace: &Namespace, reference: &TableRef) -> Option<&TableId> {
        self.table
            .get_or_init(|| resolve::table_id(namespace, reference))
            .as_ref()
    }

    /// The table of a query that may be one by key.
    pub fn point_table(&self, query: &ast::Query) -> Option<&TableRef> {
        self.point.get_or_init(|| point::table_of(query)).as_ref()
    }

    /// Every parameter is given and none is left over.
    pub fn check_params(&self, params: &[Json]) -> Result<(), Error> {
        let (given, used) = (params.len(), self.parsed.parameters);
        match given.cmp(&used) {
            Ordering::Equal => Ok(()),
            Ordering::Less => Err(kalam_sql::Error::MissingParameter { index: given + 1 }.into()),
            Ordering::Greater => {
                Err(kalam_sql::Error::SuperfluousParameters { given, used }.into())
            }
        }
    }

    /// The compiled form for `table`, which the caller may see.
    pub fn plan(
        &self,
        table: &Arc<Table>,
        compile: impl FnOnce() -> Result<Plan, Error>,
    ) -> Result<Arc<Plan>, Error> {
        if let Some(plan) = &*self.plan.read()
            && Arc::ptr_eq(&plan.table, table)
        {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(compile()?);
        *self.plan.write() = Some(Arc::clone(&plan));
        Ok(plan)
    }
}

#[derive(PartialEq, Eq)]
struct Key {
    namespace: Namespace,
    text: Box<str>,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        KeyRef {
            namespace: &self.namespace,
            text: &self.text,
        }
        .hash(state);
    }
}

#[derive(Hash)]
struct KeyRef<'a> {
    namespace: &'a Namespace,
    text: &'a str,
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.namespace == key.namespace && *self.text == *key.text
    }
}

#[derive(Clone)]
struct Weighter;

impl quick_cache::Weighter<Key, Arc<Script>> for Weighter {
    fn weight(&self, key: &Key, _: &Arc<Script>) -> u64 {
        const ENTRY_BYTES: u64 = 1_024;
        ENTRY_BYTES + key.text.len() as u64 * TREE_BYTES_PER_TEXT_BYTE
    }
}

/// The parsed statements that are likely to come again.
pub(crate) struct StatementCache {
    scripts: Cache<Key, Arc<Script>, Weighter>,
}

impl StatementCache {
    pub fn new(bytes_max: u64) -> Self {
        const TYPICAL_ENTRY_BYTES: u64 = 4 << 10;
        let entries = usize::try_from(bytes_max / TYPICAL_ENTRY_BYTES)
            .unwrap_or(usize::MAX)
            .max(1);
        Self {
            scripts: Cache::with_weighter(entries, bytes_max, Weighter),
        }
    }

    /// The statements of `text`; names without namespace will mean `namespace`.
    pub fn script(&self, namespace: &Namespace, text: &str) -> Result<Arc<Script>, Error> {
        if let Some(script) = self.scripts.get(&KeyRef { namespace, text }) {
            return Ok(script);
        }
        let statements: Vec<_> = kalam_sql::parse(text)?
            .into_iter()
            .map(Prepared::new)
            .collect();
        let keep = text.len() <= TEXT_BYTES_MAX
            && statements
                .iter()
                .all(|one| is_about_rows(&one.parsed.statement));
        let script = Arc::new(Script { statements });
        if keep {
            self.scripts.insert(
                Key {
                    namespace: namespace.clone(),
                    text: text.into(),
                },
                Arc::clone(&script),
            );
        }
        Ok(script)
    }
}

fn is_about_rows(statement: &Statement) -> bool {
    match statement {
        Statement::Select(_)
        | Statement::Explain { .. }
        | Statement::Insert(_)
        | Statement::Update(_)
        | Statement::Delete(_)
        | Statement::Begin
        | Statement::Commit
        | Statement::Rollback => true,
        Statement::ExecuteAs { statement, .. } => is_about_rows(statement),
        _ => false,
    }
}
