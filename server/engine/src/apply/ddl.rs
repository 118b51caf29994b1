//! Namespaces, tables and views: the meta group's part.

use kalam_model::{
    Applied, Namespace, NamespaceDef, Rejection, TableDef, TableId, TableNumber, Timestamp, ViewDef,
};
use kalam_store::{Batch, meta};

use super::{Applier, Refusal};

impl Applier {
    pub(super) fn create_namespace(
        &mut self,
        batch: &mut Batch,
        name: Namespace,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        if self.catalog.namespace(&name).is_some() {
            return Err(Rejection::Exists {
                name: name.to_string(),
            }
            .into());
        }
        self.store_namespace(
            batch,
            NamespaceDef {
                name,
                description: None,
                created_at: at,
            },
        )
    }

    pub(super) fn describe_namespace(
        &mut self,
        batch: &mut Batch,
        name: &Namespace,
        description: Option<String>,
    ) -> Result<Applied, Refusal> {
        let stored = self.catalog.namespace(name).ok_or_else(|| missing(name))?;
        let namespace = NamespaceDef {
            description,
            ..NamespaceDef::clone(stored)
        };
        self.store_namespace(batch, namespace)
    }

    fn store_namespace(
        &mut self,
        batch: &mut Batch,
        namespace: NamespaceDef,
    ) -> Result<Applied, Refusal> {
        meta::NAMESPACES.put(batch, &namespace.name, &namespace);
        self.change_catalog().put_namespace(namespace);
        Ok(Applied::Done)
    }

    pub(super) fn drop_namespace(
        &mut self,
        batch: &mut Batch,
        name: &Namespace,
    ) -> Result<Applied, Refusal> {
        self.require_namespace(name)?;
        if self.catalog.tables_in(name).next().is_some()
            || self.catalog.views_in(name).next().is_some()
        {
            return Err(Rejection::NamespaceNotEmpty {
                name: name.to_string(),
            }
            .into());
        }
        meta::NAMESPACES.delete(batch, name);
        self.change_catalog().remove_namespace(name);
        Ok(Applied::Done)
    }

    /// The number comes from a counter that outlives the table, so that it is never given out again.
    pub(super) fn create_table(
        &mut self,
        batch: &mut Batch,
        mut table: TableDef,
    ) -> Result<Applied, Refusal> {
        self.require_namespace(&table.id.namespace)?;
        if self.catalog.is_taken(&table.id) {
            return Err(Rejection::Exists {
                name: table.id.to_string(),
            }
            .into());
        }
        let number = meta::next_number(batch, meta::TABLE_COUNTER)?;
        table.number =
            TableNumber(u32::try_from(number).expect("nobody makes four billion tables"));
        store_table(batch, &table);
        self.change_catalog().put_table_version(table.clone());
        Ok(Applied::Table(table))
    }

    pub(super) fn alter_table(
        &mut self,
        batch: &mut Batch,
        table: TableDef,
    ) -> Result<Applied, Refusal> {
        let stored = self.stored_table(&table.id, table.number)?;
        if stored + 1 != table.schema_version {
            return Err(Rejection::Stale.into());
        }
        store_table(batch, &table);
        self.change_catalog().put_table_version(table.clone());
        Ok(Applied::Table(table))
    }

    pub(super) fn drop_table(
        &mut self,
        batch: &mut Batch,
        id: &TableId,
        number: TableNumber,
    ) -> Result<Applied, Refusal> {
        self.stored_table(id, number)?;
        meta::TABLES.delete(batch, id);
        meta::TABLE_HISTORY.delete_under(batch, &number)?;
        self.change_catalog().remove_table(id);
        Ok(Applied::Done)
    }

    pub(super) fn put_view(
        &mut self,
        batch: &mut Batch,
        view: ViewDef,
        replace: bool,
    ) -> Result<Applied, Refusal> {
        self.require_namespace(&view.id.namespace)?;
        let in_the_way = if replace {
            self.catalog.table(&view.id).is_some()
        } else {
            self.catalog.is_taken(&view.id)
        };
        if in_the_way {
            return Err(Rejection::Exists {
                name: view.id.to_string(),
            }
            .into());
        }
        meta::VIEWS.put(batch, &view.id, &view);
        self.change_catalog().put_view(view);
        Ok(Applied::Done)
    }

    pub(super) fn drop_view(
        &mut self,
        batch: &mut Batch,
        id: &TableId,
    ) -> Result<Applied, Refusal> {
        self.catalog.view(id).ok_or_else(|| missing(id))?;
        meta::VIEWS.delete(batch, id);
        self.change_catalog().remove_view(id);
        Ok(Applied::Done)
    }

    fn require_namespace(&self, name: &Namespace) -> Result<(), Rejection> {
        self.catalog
            .namespace(name)
            .map(|_| ())
            .ok_or_else(|| missing(name))
    }

    /// Version of the table with that name, if it is still the table with that number.
    fn stored_table(&self, id: &TableId, number: TableNumber) -> Result<u32, Rejection> {
        self.catalog
            .table(id)
            .filter(|table| table.def.number == number)
            .map(|table| table.def.schema_version)
            .ok_or_else(|| missing(id))
    }
}

fn store_table(batch: &mut Batch, table: &TableDef) {
    meta::TABLES.put(batch, &table.id, table);
    meta::TABLE_HISTORY.put(batch, &(table.number, table.schema_version), table);
}

pub(super) fn missing(name: &impl ToString) -> Rejection {
    Rejection::Missing {
        name: name.to_string(),
    }
}
