//! CREATE VIEW and DROP VIEW.

use std::collections::BTreeSet;

use kalam_engine::Catalog;
use kalam_model::name::check_new_identifier;
use kalam_model::{Action, TableId, ViewDef};
use kalam_sql::ast;
use kalam_sql::statement::{CreateView, IfExists, TableRef};

use crate::ddl::require;
use crate::error::Error;
use crate::executor::Call;
use crate::resolve;
use crate::result::Answer;
use crate::visible;

/// Checks a view by planning its query for the caller.
pub(crate) async fn create(call: &Call<'_>, statement: &CreateView) -> Result<Answer, Error> {
    require(call, Action::ChangeTable)?;
    let engine = &call.inner.engine;
    let catalog = engine.catalog();
    let id = resolve::new_table_id(&catalog, &call.namespace, &statement.view)?;
    if catalog.table(&id).is_some() {
        return Err(Error::AlreadyExists {
            kind: "table",
            name: id.to_string(),
        });
    }
    if catalog.view(&id).is_some() && !statement.replace {
        return Err(Error::AlreadyExists {
            kind: "view",
            name: id.to_string(),
        });
    }
    if reaches(&catalog, &statement.query, &id, visible::VIEW_DEPTH_MAX) {
        return Err(Error::definition(&id, "a view cannot read itself"));
    }
    // Names without namespace mean that of the view whenever it is read, so they do here.
    let context = crate::context::StatementContext {
        namespace: id.namespace.clone(),
        ..call.context()
    };
    if !call.params.is_empty() {
        return Err(Error::definition(&id, "a view has no parameters"));
    }
    let fields = call
        .inner
        .planner
        .fields(call.caller, &statement.query, &context)
        .await?;
    let names: Vec<&str> = if statement.columns.is_empty() {
        fields.iter().map(|field| field.name.as_str()).collect()
    } else {
        statement.columns.iter().map(String::as_str).collect()
    };
    check_columns(&id, &names, fields.len(), !statement.columns.is_empty())?;
    let view = ViewDef {
        id: id.clone(),
        columns: statement.columns.clone(),
        query: kalam_sql::canonical_query(&statement.query),
        owner: call.caller.user.clone(),
        created_at: call.now,
    };
    match engine.put_view(view, statement.replace).await {
        Ok(()) => Ok(call.message(format!("View '{id}' created successfully"))),
        Err(kalam_engine::Error::Exists { .. }) => Err(Error::AlreadyExists {
            kind: "view",
            name: id.to_string(),
        }),
        Err(error) => Err(error.into()),
    }
}

fn check_columns(id: &TableId, names: &[&str], found: usize, given: bool) -> Result<(), Error> {
    if names.len() != found {
        let reason = format!("{} column names for {found} columns", names.len());
        return Err(Error::definition(id, reason));
    }
    let mut seen = BTreeSet::new();
    for name in names {
        if given {
            check_new_identifier(name)?;
        }
        if !seen.insert(*name) {
            return Err(Error::ColumnTwice {
                column: (*name).to_owned(),
            });
        }
    }
    Ok(())
}

/// Whether a query reads `target`, also through other views.
fn reaches(catalog: &Catalog, query: &ast::Query, target: &TableId, depth: usize) -> bool {
    visible::relations(query).iter().any(|name| {
        let Some(id) = visible::relation_id(name, &target.namespace) else {
            return false;
        };
        reaches_through(catalog, &id, target, depth)
    })
}

fn reaches_through(catalog: &Catalog, id: &TableId, target: &TableId, depth: usize) -> bool {
    if id == target || depth == 0 {
        return true;
    }
    let Some(view) = catalog.view(id) else {
        return false;
    };
    let Ok(query) = kalam_sql::parse_query(&view.query) else {
        return false;
    };
    visible::relations(&query)
        .iter()
        .filter_map(|name| visible::relation_id(name, &view.id.namespace))
        .any(|inner| reaches_through(catalog, &inner, target, depth - 1))
}

pub(crate) async fn remove(
    call: &Call<'_>,
    reference: &TableRef,
    if_exists: IfExists,
) -> Result<Answer, Error> {
    require(call, Action::ChangeTable)?;
    let engine = &call.inner.engine;
    let catalog = engine.catalog();
    let shown = match &reference.namespace {
        Some(namespace) => format!("{namespace}.{}", reference.name),
        None => format!("{}.{}", call.namespace, reference.name),
    };
    let id = resolve::table_id(&call.namespace, reference);
    if let Some(table) = id.as_ref().and_then(|id| catalog.table(id)) {
        let actual = table.def.kind.as_str();
        return Err(Error::WrongKind {
            name: shown,
            actual,
            expected: "VIEW",
        });
    }
    let dropped = match &id {
        Some(id) if catalog.view(id).is_some() => engine.drop_view(id).await,
        _ if if_exists == IfExists::Ignore => {
            return Ok(call.message(format!("View '{shown}' not found")));
        }
        _ => return Err(Error::ViewNotFound { name: shown }),
    };
    match dropped {
        Err(kalam_engine::Error::ViewNotFound(_)) if if_exists == IfExists::Ignore => {}
        other => other?,
    }
    Ok(call.message(format!("View '{shown}' dropped successfully")))
}
