//! Names to tables, with the rights of the caller. What is missing and what is hidden give the same answer.

use std::sync::Arc;

use kalam_engine::{Catalog, Table};
use kalam_model::name::check_new_identifier;
use kalam_model::{Caller, Denied, Namespace, Scope, TableId};
use kalam_sql::statement::TableRef;

use crate::error::Error;
use crate::{system, visible};

/// The name in full. A malformed part names nothing, so it is `None`.
pub(crate) fn table_id(namespace: &Namespace, reference: &TableRef) -> Option<TableId> {
    let namespace = match &reference.namespace {
        Some(name) => Namespace::new(name).ok()?,
        None => namespace.clone(),
    };
    TableId::new(namespace, &reference.name).ok()
}

/// The name in full of something that will be made in a namespace that exists.
pub(crate) fn new_table_id(
    catalog: &Catalog,
    namespace: &Namespace,
    reference: &TableRef,
) -> Result<TableId, Error> {
    let namespace = match &reference.namespace {
        Some(name) => Namespace::new_for_user(name)?,
        None => Namespace::new_for_user(namespace.as_str())?,
    };
    check_new_identifier(&reference.name)?;
    if catalog.namespace(&namespace).is_none() {
        return Err(Error::NamespaceNotFound {
            name: namespace.to_string(),
        });
    }
    Ok(TableId::new(namespace, &reference.name)?)
}

/// TABLE_NOT_FOUND for a name as written.
pub(crate) fn not_found(
    catalog: &Catalog,
    caller: &Caller,
    namespace: &Namespace,
    reference: &TableRef,
) -> Error {
    let namespace = reference.namespace.as_deref().unwrap_or(namespace.as_str());
    visible::table_not_found(catalog, caller, namespace, &reference.name)
}

/// A table that the caller may know of.
pub(crate) fn visible_table(
    catalog: &Catalog,
    caller: &Caller,
    namespace: &Namespace,
    reference: &TableRef,
) -> Result<Arc<Table>, Error> {
    table_id(namespace, reference)
        .and_then(|id| catalog.table(&id))
        .filter(|table| caller.sees(&table.def))
        .cloned()
        .ok_or_else(|| not_found(catalog, caller, namespace, reference))
}

/// The slice of `table` that the caller writes.
pub(crate) fn write_scope(
    catalog: &Catalog,
    caller: &Caller,
    table: &Table,
) -> Result<Scope, Error> {
    let id = &table.def.id;
    caller.may_write(&table.def).map_err(|denied| match denied {
        Denied::Hidden => {
            visible::table_not_found(catalog, caller, id.namespace.as_str(), &id.name)
        }
        Denied::Forbidden => Error::PermissionDenied {
            action: format!("write to `{id}`"),
        },
    })
}

/// The error for a name of INSERT, UPDATE or DELETE that is no table. A view or table of the server says so to those
/// who may see it.
pub(crate) fn no_table_to_write(
    catalog: &Catalog,
    caller: &Caller,
    namespace: &Namespace,
    reference: &TableRef,
) -> Error {
    let id = table_id(namespace, reference);
    if let Some(view) = id.as_ref().and_then(|id| catalog.view(id))
        && visible::sees_view(catalog, caller, view)
    {
        return Error::unsupported(format!("writing to the view `{}`", view.id));
    }
    match id {
        Some(id) if system::sees(caller, id.namespace.as_str(), &id.name) => {
            Error::PermissionDenied {
                action: format!("write to `{id}`"),
            }
        }
        _ => not_found(catalog, caller, namespace, reference),
    }
}
