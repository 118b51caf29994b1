//! CREATE TABLE and DROP TABLE.

use std::collections::BTreeSet;

use kalam_engine::Table;
use kalam_model::name::check_new_identifier;
use kalam_model::{
    Action, ColumnDef, ColumnId, DataType, TableDef, TableId, TableKind, TableNumber, TableOptions,
};
use kalam_sql::COLUMNS_MAX;
use kalam_sql::statement::{CreateTable, IfExists, NewOptions, TableRef};

use crate::ddl::{column, require};
use crate::error::Error;
use crate::executor::Call;
use crate::resolve;
use crate::result::Answer;

/// Most columns of a primary key.
const KEY_COLUMNS_MAX: usize = 16;

pub(crate) async fn create(call: &Call<'_>, statement: &CreateTable) -> Result<Answer, Error> {
    require(call, Action::CreateTable(statement.kind))?;
    let engine = &call.inner.engine;
    let catalog = engine.catalog();
    let id = resolve::new_table_id(&catalog, &call.namespace, &statement.table)?;
    if catalog.is_taken(&id) {
        return exists(call, &id, statement.if_exists);
    }
    let def = definition(call, id.clone(), statement)?;
    match engine.create_table(def).await {
        Ok(_) => Ok(call.message(format!("Table '{id}' created successfully"))),
        Err(kalam_engine::Error::Exists { .. }) => exists(call, &id, statement.if_exists),
        Err(error) => Err(error.into()),
    }
}

fn exists(call: &Call<'_>, id: &TableId, if_exists: IfExists) -> Result<Answer, Error> {
    match if_exists {
        IfExists::Ignore => Ok(call.message(format!("Table '{id}' already exists"))),
        IfExists::Fail => Err(Error::AlreadyExists {
            kind: "table",
            name: id.to_string(),
        }),
    }
}

fn definition(call: &Call<'_>, id: TableId, statement: &CreateTable) -> Result<TableDef, Error> {
    if statement.columns.is_empty() {
        return Err(Error::definition(&id, "a table needs at least one column"));
    }
    if statement.columns.len() > COLUMNS_MAX {
        return Err(Error::definition(
            &id,
            format!("a table has at most {COLUMNS_MAX} columns"),
        ));
    }
    let mut columns = Vec::with_capacity(statement.columns.len());
    let mut names = BTreeSet::new();
    for (number, new) in (1..).zip(&statement.columns) {
        check_new_identifier(&new.name)?;
        if !names.insert(new.name.as_str()) {
            return Err(Error::ColumnTwice {
                column: new.name.clone(),
            });
        }
        columns.push(column::define(call, ColumnId(number), new)?);
    }
    let primary_key = primary_key(&id, &statement.primary_key, &mut columns)?;
    if primary_key.is_empty() && statement.kind != TableKind::Stream {
        return Err(Error::definition(
            &id,
            format!("a {} table needs a PRIMARY KEY", statement.kind),
        ));
    }
    let options = options(
        &id,
        statement.kind,
        &TableOptions::default(),
        &statement.options,
    )?;
    Ok(TableDef {
        number: TableNumber(0),
        id,
        kind: statement.kind,
        next_column: ColumnId(u32::try_from(columns.len()).unwrap_or(u32::MAX) + 1),
        columns,
        primary_key,
        options,
        schema_version: 1,
        comment: None,
        created_at: call.now,
        updated_at: call.now,
    })
}

/// The ids of the key's columns, which become NOT NULL.
fn primary_key(
    id: &TableId,
    names: &[String],
    columns: &mut [ColumnDef],
) -> Result<Vec<ColumnId>, Error> {
    if names.len() > KEY_COLUMNS_MAX {
        return Err(Error::definition(
            id,
            format!("a primary key has at most {KEY_COLUMNS_MAX} columns"),
        ));
    }
    let mut key = Vec::with_capacity(names.len());
    for name in names {
        let column = columns
            .iter_mut()
            .find(|column| column.name == *name)
            .ok_or_else(|| {
                Error::definition(
                    id,
                    format!("column '{name}' of the primary key does not exist"),
                )
            })?;
        if matches!(column.data_type, DataType::Json | DataType::Embedding(_)) {
            let reason = format!(
                "column '{name}' of type {} cannot be part of a primary key",
                column.data_type
            );
            return Err(Error::definition(id, reason));
        }
        if key.contains(&column.id) {
            return Err(Error::ColumnTwice {
                column: name.clone(),
            });
        }
        column.nullable = false;
        key.push(column.id);
    }
    Ok(key)
}

/// `current` with what the statement names, checked for the kind of table.
pub(crate) fn options(
    id: &TableId,
    kind: TableKind,
    current: &TableOptions,
    new: &NewOptions,
) -> Result<TableOptions, Error> {
    kalam_sql::check_options(kind, new)?;
    let mut options = current.clone();
    if let Some(storage) = &new.storage_id {
        if storage != TableOptions::LOCAL_STORAGE {
            return Err(Error::definition(
                id,
                format!("storage not found: `{storage}`"),
            ));
        }
        options.storage_id.clone_from(storage);
    }
    options.flush_policy = new.flush_policy.or(current.flush_policy);
    options.deleted_retention_hours = new
        .deleted_retention_hours
        .unwrap_or(current.deleted_retention_hours);
    options.ttl_seconds = new.ttl_seconds.or(current.ttl_seconds);
    options.access_level = new.access_level.unwrap_or(current.access_level);
    options.write_level = new.write_level.unwrap_or(current.write_level);
    options.use_user_storage = new.use_user_storage.unwrap_or(current.use_user_storage);
    if kind == TableKind::Stream && options.ttl_seconds.is_none_or(|seconds| seconds == 0) {
        return Err(Error::definition(
            id,
            "a STREAM table needs TTL_SECONDS of at least 1",
        ));
    }
    Ok(options)
}

pub(crate) async fn remove(
    call: &Call<'_>,
    reference: &TableRef,
    kind: Option<TableKind>,
    if_exists: IfExists,
) -> Result<Answer, Error> {
    require(call, Action::ChangeTable)?;
    let engine = &call.inner.engine;
    let catalog = engine.catalog();
    let table = match changeable(call, reference) {
        Err(Error::TableNotFound { name, .. }) if if_exists == IfExists::Ignore => {
            return Ok(call.message(format!("Table '{name}' not found")));
        }
        other => other?,
    };
    let id = &table.def.id;
    if let Some(expected) = kind.filter(|kind| *kind != table.def.kind) {
        let (actual, expected) = (table.def.kind.as_str(), expected.as_str());
        return Err(Error::WrongKind {
            name: id.to_string(),
            actual,
            expected,
        });
    }
    match engine.drop_table(&table).await {
        Ok(()) => Ok(call.message(format!("Table '{id}' dropped successfully"))),
        Err(kalam_engine::Error::TableNotFound(_)) => {
            let missing = resolve::not_found(&catalog, call.caller, &call.namespace, reference);
            if if_exists == IfExists::Ignore {
                return Ok(call.message(format!("Table '{id}' not found")));
            }
            Err(missing)
        }
        Err(error) => Err(error.into()),
    }
}

/// The table that ALTER and DROP name; a view is another thing.
pub(crate) fn changeable(
    call: &Call<'_>,
    reference: &TableRef,
) -> Result<std::sync::Arc<Table>, Error> {
    let catalog = call.inner.engine.catalog();
    if let Some(view) =
        resolve::table_id(&call.namespace, reference).and_then(|id| catalog.view(&id).cloned())
    {
        return Err(Error::IsView {
            name: view.id.to_string(),
        });
    }
    resolve::visible_table(&catalog, call.caller, &call.namespace, reference)
}
