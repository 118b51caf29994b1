//! Namespaces, tables and views in memory. A catalog is immutable: each change publishes a new one, so a statement that
//! holds one sees the same tables from its first name to its last.

use std::collections::BTreeMap;
use std::sync::Arc;

use kalam_model::{Namespace, NamespaceDef, TableDef, TableId, TableNumber, ViewDef};
use kalam_store::{Layouts, Reader, meta};
use tokio::sync::RwLock;

use crate::error::Error;

/// A table with all that is needed to read and write its rows.
#[derive(Debug)]
pub struct Table {
    /// The current version.
    pub def: Arc<TableDef>,
    /// Decodes rows of every version to the current one.
    pub layouts: Arc<Layouts>,
    /// Every version, oldest first; the last is `def`.
    pub history: Vec<Arc<TableDef>>,
    /// Held shared by writes, exclusively by ALTER while it checks rows. All versions of a table share it.
    pub(crate) gate: Arc<RwLock<()>>,
}

impl Table {
    /// `history` is not empty and goes from the oldest version to the current one.
    fn new(history: Vec<Arc<TableDef>>, gate: Arc<RwLock<()>>) -> Self {
        let def = Arc::clone(history.last().expect("a table has at least one version"));
        let layouts = Arc::new(Layouts::new(
            history
                .iter()
                .map(|version| TableDef::clone(version))
                .collect(),
        ));
        Self {
            def,
            layouts,
            history,
            gate,
        }
    }

    fn with_version(&self, def: TableDef) -> Self {
        let def = Arc::new(def);
        let mut history = self.history.clone();
        history.push(Arc::clone(&def));
        Self {
            layouts: Arc::new(self.layouts.with(TableDef::clone(&def))),
            def,
            history,
            gate: Arc::clone(&self.gate),
        }
    }
}

/// Everything that has a name, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    version: u64,
    namespaces: BTreeMap<Namespace, Arc<NamespaceDef>>,
    tables: BTreeMap<TableId, Arc<Table>>,
    numbers: BTreeMap<TableNumber, Arc<Table>>,
    views: BTreeMap<TableId, Arc<ViewDef>>,
}

impl Catalog {
    /// Rises with each change of the catalog, within one run of the server.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    #[must_use]
    pub fn namespace(&self, name: &Namespace) -> Option<&Arc<NamespaceDef>> {
        self.namespaces.get(name)
    }

    /// In order of name.
    pub fn namespaces(&self) -> impl Iterator<Item = &Arc<NamespaceDef>> {
        self.namespaces.values()
    }

    #[must_use]
    pub fn table(&self, id: &TableId) -> Option<&Arc<Table>> {
        self.tables.get(id)
    }

    #[must_use]
    pub fn table_by_number(&self, number: TableNumber) -> Option<&Arc<Table>> {
        self.numbers.get(&number)
    }

    /// In order of namespace and name.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// In order of name.
    pub fn tables_in<'a>(
        &'a self,
        namespace: &'a Namespace,
    ) -> impl Iterator<Item = &'a Arc<Table>> {
        in_namespace(&self.tables, namespace)
    }

    #[must_use]
    pub fn view(&self, id: &TableId) -> Option<&Arc<ViewDef>> {
        self.views.get(id)
    }

    /// In order of namespace and name.
    pub fn views(&self) -> impl Iterator<Item = &Arc<ViewDef>> {
        self.views.values()
    }

    /// In order of name.
    pub fn views_in<'a>(
        &'a self,
        namespace: &'a Namespace,
    ) -> impl Iterator<Item = &'a Arc<ViewDef>> {
        in_namespace(&self.views, namespace)
    }

    /// Whether a table or view has that name.
    #[must_use]
    pub fn is_taken(&self, id: &TableId) -> bool {
        self.tables.contains_key(id) || self.views.contains_key(id)
    }
}

fn in_namespace<'a, T>(
    things: &'a BTreeMap<TableId, T>,
    namespace: &'a Namespace,
) -> impl Iterator<Item = &'a T> + use<'a, T> {
    let first = TableId {
        namespace: namespace.clone(),
        name: Arc::from(""),
    };
    things
        .range(first..)
        .take_while(move |(id, _)| id.namespace == *namespace)
        .map(|(_, thing)| thing)
}

/// Changes, made by apply on the copy that it will publish.
impl Catalog {
    /// The catalog as it is stored.
    pub(crate) fn load(reader: &impl Reader) -> Result<Self, Error> {
        let mut catalog = Self {
            version: 1,
            ..Self::default()
        };
        for namespace in meta::NAMESPACES.all(reader)? {
            catalog.put_namespace(namespace);
        }
        let mut versions = BTreeMap::<TableNumber, Vec<Arc<TableDef>>>::new();
        for def in meta::TABLE_HISTORY.all(reader)? {
            versions.entry(def.number).or_default().push(Arc::new(def));
        }
        for (_, history) in versions {
            catalog.put_table(Table::new(history, Arc::default()));
        }
        for view in meta::VIEWS.all(reader)? {
            catalog.put_view(view);
        }
        Ok(catalog)
    }

    pub(crate) fn next_version(&mut self) {
        self.version += 1;
    }

    pub(crate) fn put_namespace(&mut self, namespace: NamespaceDef) {
        self.namespaces
            .insert(namespace.name.clone(), Arc::new(namespace));
    }

    pub(crate) fn remove_namespace(&mut self, name: &Namespace) {
        self.namespaces.remove(name);
    }

    /// A new table, or a new version of one.
    pub(crate) fn put_table_version(&mut self, def: TableDef) {
        let table = match self.numbers.get(&def.number) {
            Some(older) => older.with_version(def),
            None => Table::new(vec![Arc::new(def)], Arc::default()),
        };
        self.put_table(table);
    }

    fn put_table(&mut self, table: Table) {
        let table = Arc::new(table);
        self.numbers.insert(table.def.number, Arc::clone(&table));
        self.tables.insert(table.def.id.clone(), table);
    }

    pub(crate) fn remove_table(&mut self, id: &TableId) {
        if let Some(table) = self.tables.remove(id) {
            self.numbers.remove(&table.def.number);
        }
    }

    pub(crate) fn put_view(&mut self, view: ViewDef) {
        self.views.insert(view.id.clone(), Arc::new(view));
    }

    pub(crate) fn remove_view(&mut self, id: &TableId) {
        self.views.remove(id);
    }
}
