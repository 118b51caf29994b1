//! Changes of the catalog, as calls. The group that holds the rows learns of each before it is answered.

use std::sync::Arc;

use kalam_model::{
    Applied, AuditRecord, Command, GroupId, MetaCommand, Namespace, Rejection, TableDef, TableId,
    Timestamp, ViewDef,
};

use crate::Engine;
use crate::catalog::Table;
use crate::error::Error;

impl Engine {
    pub async fn create_namespace(&self, name: &Namespace, at: Timestamp) -> Result<(), Error> {
        match self
            .meta(MetaCommand::CreateNamespace {
                name: name.clone(),
                at,
            })
            .await?
        {
            Applied::Rejected(Rejection::Exists { name }) => Err(Error::Exists {
                kind: "namespace",
                name,
            }),
            other => done(other),
        }
    }

    pub async fn describe_namespace(
        &self,
        name: &Namespace,
        description: Option<String>,
    ) -> Result<(), Error> {
        match self
            .meta(MetaCommand::SetNamespaceDescription {
                name: name.clone(),
                description,
            })
            .await?
        {
            Applied::Rejected(Rejection::Missing { .. }) => {
                Err(Error::NamespaceNotFound(name.clone()))
            }
            other => done(other),
        }
    }

    /// Of an empty namespace; whoever wants CASCADE drops what is in it first.
    pub async fn drop_namespace(&self, name: &Namespace) -> Result<(), Error> {
        if *name == Namespace::default_namespace() {
            return Err(Error::NamespaceRequired(name.clone()));
        }
        match self
            .meta(MetaCommand::DropNamespace { name: name.clone() })
            .await?
        {
            Applied::Rejected(Rejection::Missing { .. }) => {
                Err(Error::NamespaceNotFound(name.clone()))
            }
            Applied::Rejected(Rejection::NamespaceNotEmpty { .. }) => {
                Err(Error::NamespaceNotEmpty(name.clone()))
            }
            other => done(other),
        }
    }

    /// Gives the table its number, whatever `def.number` says.
    pub async fn create_table(&self, def: TableDef) -> Result<Arc<Table>, Error> {
        let id = def.id.clone();
        match self.meta(MetaCommand::CreateTable { table: def }).await? {
            Applied::Table(def) => self.table_now(&def),
            Applied::Rejected(Rejection::Missing { .. }) => {
                Err(Error::NamespaceNotFound(id.namespace))
            }
            Applied::Rejected(Rejection::Exists { name }) => Err(Error::Exists {
                kind: "table",
                name,
            }),
            other => Err(unexpected(other)),
        }
    }

    /// `def.schema_version` is one more than that of the version which it was made from; if another statement was
    /// faster: `Conflict`.
    pub async fn alter_table(&self, def: TableDef) -> Result<Arc<Table>, Error> {
        let id = def.id.clone();
        match self.meta(MetaCommand::AlterTable { table: def }).await? {
            Applied::Table(def) => self.table_now(&def),
            Applied::Rejected(Rejection::Missing { .. }) => Err(Error::TableNotFound(id)),
            Applied::Rejected(Rejection::Stale) => Err(Error::Conflict),
            other => Err(unexpected(other)),
        }
    }

    /// Removes the table and every row.
    pub async fn drop_table(&self, table: &Table) -> Result<(), Error> {
        let id = table.def.id.clone();
        match self
            .meta(MetaCommand::DropTable {
                id: id.clone(),
                number: table.def.number,
            })
            .await?
        {
            Applied::Rejected(Rejection::Missing { .. }) => Err(Error::TableNotFound(id)),
            other => done(other),
        }
    }

    pub async fn put_view(&self, view: ViewDef, replace: bool) -> Result<(), Error> {
        let namespace = view.id.namespace.clone();
        match self.meta(MetaCommand::PutView { view, replace }).await? {
            Applied::Rejected(Rejection::Missing { .. }) => {
                Err(Error::NamespaceNotFound(namespace))
            }
            Applied::Rejected(Rejection::Exists { name }) => {
                Err(Error::Exists { kind: "view", name })
            }
            other => done(other),
        }
    }

    pub async fn drop_view(&self, id: &TableId) -> Result<(), Error> {
        match self.meta(MetaCommand::DropView { id: id.clone() }).await? {
            Applied::Rejected(Rejection::Missing { .. }) => Err(Error::ViewNotFound(id.clone())),
            other => done(other),
        }
    }

    /// Adds a line to the audit log.
    pub async fn audit(&self, record: AuditRecord) -> Result<(), Error> {
        done(self.meta(MetaCommand::Audit { record }).await?)
    }

    pub async fn put_setting(&self, name: &str, value: &str) -> Result<(), Error> {
        done(
            self.meta(MetaCommand::PutSetting {
                name: name.to_owned(),
                value: value.to_owned(),
            })
            .await?,
        )
    }

    async fn meta(&self, command: MetaCommand) -> Result<Applied, Error> {
        self.propose(GroupId::Meta, Command::Meta(command)).await
    }

    /// The table that a command has just made or changed; gone if somebody has dropped it since.
    fn table_now(&self, def: &TableDef) -> Result<Arc<Table>, Error> {
        self.catalog()
            .table_by_number(def.number)
            .cloned()
            .ok_or_else(|| Error::TableNotFound(def.id.clone()))
    }
}

pub(crate) fn done(applied: Applied) -> Result<(), Error> {
    match applied {
        Applied::Done => Ok(()),
        other => Err(unexpected(other)),
    }
}

pub(crate) fn unexpected(applied: Applied) -> Error {
    Error::UnexpectedAnswer(Box::new(applied))
}
