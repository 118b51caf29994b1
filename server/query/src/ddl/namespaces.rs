//! CREATE, ALTER, DROP, SHOW and USE of namespaces.

use std::sync::Arc;

use kalam_engine::Catalog;
use kalam_link_core::{DataType, Value};
use kalam_model::{Action, Caller, Namespace};
use kalam_sql::statement::IfExists;

use crate::ddl::require;
use crate::error::Error;
use crate::executor::Call;
use crate::result::{self, Answer};
use crate::visible;

pub(crate) async fn create(
    call: &Call<'_>,
    name: &str,
    if_exists: IfExists,
) -> Result<Answer, Error> {
    require(call, Action::Administer)?;
    let namespace = Namespace::new_for_user(name)?;
    match call
        .inner
        .engine
        .create_namespace(&namespace, call.now)
        .await
    {
        Ok(()) => Ok(call.message(format!("Namespace '{namespace}' created successfully"))),
        Err(kalam_engine::Error::Exists { .. }) if if_exists == IfExists::Ignore => {
            Ok(call.message(format!("Namespace '{namespace}' already exists")))
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn alter(
    call: &Call<'_>,
    name: &str,
    description: Option<&str>,
) -> Result<Answer, Error> {
    require(call, Action::Administer)?;
    let namespace = existing(&call.inner.engine.catalog(), name)?;
    call.inner
        .engine
        .describe_namespace(&namespace, description.map(str::to_owned))
        .await?;
    Ok(call.message(format!("Namespace '{namespace}' updated successfully")))
}

/// CASCADE drops views and tables first, each in a step of its own: a crash between them leaves a smaller namespace.
pub(crate) async fn remove(
    call: &Call<'_>,
    name: &str,
    if_exists: IfExists,
    cascade: bool,
) -> Result<Answer, Error> {
    require(call, Action::Administer)?;
    let engine = &call.inner.engine;
    let catalog = engine.catalog();
    let namespace = match existing(&catalog, name) {
        Err(Error::NamespaceNotFound { name }) if if_exists == IfExists::Ignore => {
            return Ok(call.message(format!("Namespace '{name}' not found")));
        }
        other => other?,
    };
    if namespace == Namespace::default_namespace() {
        return Err(kalam_engine::Error::NamespaceRequired(namespace).into());
    }
    if cascade {
        let views: Vec<_> = catalog
            .views_in(&namespace)
            .map(|view| view.id.clone())
            .collect();
        for view in views {
            gone_is_fine(engine.drop_view(&view).await)?;
        }
        let tables: Vec<_> = catalog.tables_in(&namespace).map(Arc::clone).collect();
        for table in tables {
            gone_is_fine(engine.drop_table(&table).await)?;
        }
    }
    engine.drop_namespace(&namespace).await?;
    Ok(call.message(format!("Namespace '{namespace}' dropped successfully")))
}

fn gone_is_fine(dropped: Result<(), kalam_engine::Error>) -> Result<(), Error> {
    match dropped {
        Ok(())
        | Err(kalam_engine::Error::TableNotFound(_) | kalam_engine::Error::ViewNotFound(_)) => {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// The namespaces that the caller may know of, with their visible tables.
pub(crate) fn show(call: &Call<'_>) -> Answer {
    let catalog = call.inner.engine.catalog();
    let rows: Vec<Vec<Value>> = catalog
        .namespaces()
        .filter(|namespace| is_visible(&catalog, call.caller, &namespace.name))
        .map(|namespace| {
            let tables = catalog
                .tables_in(&namespace.name)
                .filter(|table| call.caller.sees(&table.def))
                .count();
            vec![
                Value::Text(namespace.name.to_string()),
                namespace
                    .description
                    .clone()
                    .map_or(Value::Null, Value::Text),
                Value::BigInt(i64::try_from(tables).unwrap_or(i64::MAX)),
                Value::Timestamp(namespace.created_at.0),
            ]
        })
        .collect();
    let fields = result::fields(&[
        ("namespace_id", DataType::Text),
        ("description", DataType::Text),
        ("table_count", DataType::BigInt),
        ("created_at", DataType::Timestamp),
    ]);
    result::rows(&call.caller.user, fields, &rows)
}

/// USE: the namespace of the rest of the request.
pub(crate) fn switch(call: &Call<'_>, name: &str) -> Result<(Namespace, Answer), Error> {
    let catalog = call.inner.engine.catalog();
    let namespace = visible(&catalog, call.caller, name)?;
    let answer = call.message(format!("Namespace switched to '{namespace}'"));
    Ok((namespace, answer))
}

/// The namespace, if the caller may know of it. That of the server itself is known to all and holds no more than the
/// caller may see.
pub(crate) fn visible(catalog: &Catalog, caller: &Caller, name: &str) -> Result<Namespace, Error> {
    Namespace::new(name)
        .ok()
        .filter(|namespace| namespace.is_reserved() || is_visible(catalog, caller, namespace))
        .ok_or_else(|| Error::NamespaceNotFound {
            name: name.to_owned(),
        })
}

/// Those who make tables know every namespace; others those in which they see something.
fn is_visible(catalog: &Catalog, caller: &Caller, namespace: &Namespace) -> bool {
    catalog.namespace(namespace).is_some()
        && (caller.may(Action::CreateTable(kalam_model::TableKind::User))
            || *namespace == Namespace::default_namespace()
            || catalog
                .tables_in(namespace)
                .any(|table| caller.sees(&table.def))
            || catalog
                .views_in(namespace)
                .any(|view| visible::sees_view(catalog, caller, view)))
}

fn existing(catalog: &Catalog, name: &str) -> Result<Namespace, Error> {
    Namespace::new(name)
        .ok()
        .filter(|namespace| catalog.namespace(namespace).is_some())
        .ok_or_else(|| Error::NamespaceNotFound {
            name: name.to_owned(),
        })
}
