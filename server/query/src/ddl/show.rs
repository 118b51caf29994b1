//! SHOW TABLES, DESCRIBE and SHOW STATS.

use kalam_engine::Table;
use kalam_link_core::{DataType, Field, Value};
use kalam_model::{ColumnDef, TableDef, Timestamp};
use kalam_sql::statement::TableRef;

use crate::ddl::namespaces;
use crate::error::Error;
use crate::executor::Call;
use crate::resolve;
use crate::result::{self, Answer};
use crate::visible;

/// Tables and views of one namespace that the caller may see.
pub(crate) fn tables(call: &Call<'_>, namespace: Option<&str>) -> Result<Answer, Error> {
    let catalog = call.inner.engine.catalog();
    let namespace = namespaces::visible(
        &catalog,
        call.caller,
        namespace.unwrap_or(call.namespace.as_str()),
    )?;
    let mut rows: Vec<Vec<Value>> = catalog
        .tables_in(&namespace)
        .filter(|table| call.caller.sees(&table.def))
        .map(|table| table_row(&table.def))
        .collect();
    let views = catalog
        .views_in(&namespace)
        .filter(|view| visible::sees_view(&catalog, call.caller, view));
    rows.extend(views.map(|view| {
        vec![
            text(&view.id.namespace),
            text(&view.id.name),
            text("VIEW"),
            Value::Null,
            Value::Null,
            time(view.created_at),
        ]
    }));
    let fields = result::fields(&[
        ("namespace_id", DataType::Text),
        ("table_name", DataType::Text),
        ("table_type", DataType::Text),
        ("access_level", DataType::Text),
        ("schema_version", DataType::Int),
        ("created_at", DataType::Timestamp),
    ]);
    Ok(result::rows(&call.caller.user, fields, &rows))
}

fn table_row(def: &TableDef) -> Vec<Value> {
    vec![
        text(&def.id.namespace),
        text(&def.id.name),
        text(def.kind),
        text(def.options.access_level),
        int(def.schema_version),
        time(def.created_at),
    ]
}

/// The columns of a table or view; with `history` the versions of a table.
pub(crate) async fn describe(
    call: &Call<'_>,
    reference: &TableRef,
    history: bool,
) -> Result<Answer, Error> {
    let catalog = call.inner.engine.catalog();
    let view =
        resolve::table_id(&call.namespace, reference).and_then(|id| catalog.view(&id).cloned());
    if let Some(view) = view.filter(|view| visible::sees_view(&catalog, call.caller, view)) {
        if history {
            return Err(Error::IsView {
                name: view.id.to_string(),
            });
        }
        let context = crate::context::StatementContext {
            namespace: view.id.namespace.clone(),
            ..call.context()
        };
        let query = kalam_sql::parse_query(&view.query)?;
        let mut fields = call
            .inner
            .planner
            .fields(call.caller, &query, &context)
            .await?;
        for (field, name) in fields.iter_mut().zip(&view.columns) {
            field.name.clone_from(name);
        }
        return Ok(answer_columns(
            call,
            &fields.iter().map(view_column_row).collect::<Vec<_>>(),
        ));
    }
    let table = resolve::visible_table(&catalog, call.caller, &call.namespace, reference)?;
    if history {
        return Ok(versions(call, &table));
    }
    let rows: Vec<_> = (1..)
        .zip(&table.def.columns)
        .map(|(place, column)| column_row(&table.def, place, column))
        .collect();
    Ok(answer_columns(call, &rows))
}

fn answer_columns(call: &Call<'_>, rows: &[Vec<Value>]) -> Answer {
    let fields = result::fields(&[
        ("column_name", DataType::Text),
        ("data_type", DataType::Text),
        ("nullable", DataType::Boolean),
        ("primary_key", DataType::Boolean),
        ("default_value", DataType::Text),
        ("ordinal", DataType::Int),
    ]);
    result::rows(&call.caller.user, fields, rows)
}

fn column_row(def: &TableDef, place: i32, column: &ColumnDef) -> Vec<Value> {
    vec![
        text(&column.name),
        text(shown_type(column)),
        Value::Boolean(column.nullable),
        Value::Boolean(def.is_key(column.id)),
        column.default.clone().map_or(Value::Null, Value::Text),
        Value::Int(place),
    ]
}

fn view_column_row(field: &Field) -> Vec<Value> {
    vec![
        text(&field.name),
        text(field.data_type),
        Value::Boolean(true),
        Value::Boolean(false),
        Value::Null,
        Value::Int(i32::try_from(field.index + 1).unwrap_or(i32::MAX)),
    ]
}

/// The SQL spelling of the column's type, with its length.
pub(crate) fn shown_type(column: &ColumnDef) -> String {
    match column.max_chars {
        Some(chars) => format!("VARCHAR({chars})"),
        None => column.data_type.to_string(),
    }
}

fn versions(call: &Call<'_>, table: &Table) -> Answer {
    let rows: Vec<Vec<Value>> = table
        .history
        .iter()
        .map(|version| {
            let columns = version.columns.iter().map(|column| {
                let null = if column.nullable { "" } else { " NOT NULL" };
                let default = column
                    .default
                    .as_ref()
                    .map_or_else(String::new, |text| format!(" DEFAULT {text}"));
                format!("{} {}{null}{default}", column.name, shown_type(column))
            });
            vec![
                int(version.schema_version),
                time(version.updated_at),
                text(columns.collect::<Vec<_>>().join(", ")),
                Value::Boolean(version.schema_version == table.def.schema_version),
            ]
        })
        .collect();
    let fields = result::fields(&[
        ("schema_version", DataType::Int),
        ("updated_at", DataType::Timestamp),
        ("columns", DataType::Text),
        ("is_latest", DataType::Boolean),
    ]);
    result::rows(&call.caller.user, fields, &rows)
}

/// Figures of the slice of the table that the caller reads.
pub(crate) async fn stats(call: &Call<'_>, reference: &TableRef) -> Result<Answer, Error> {
    let catalog = call.inner.engine.catalog();
    let table = resolve::visible_table(&catalog, call.caller, &call.namespace, reference)?;
    let id = &table.def.id;
    let query = format!(
        "SELECT count(*), min(_seq), max(_seq) FROM \"{}\".\"{}\"",
        id.namespace, id.name
    );
    let query = kalam_sql::parse_query(&query)?;
    let (_, mut counted) = call
        .inner
        .planner
        .rows(call.caller, &query, &call.context())
        .await?;
    let counted = counted
        .pop()
        .ok_or_else(|| Error::internal("a count gave no row"))?;
    let mut row = vec![
        text(&id.namespace),
        text(&id.name),
        text(table.def.kind),
        int(table.def.schema_version),
    ];
    row.extend(counted);
    let fields = result::fields(&[
        ("namespace_id", DataType::Text),
        ("table_name", DataType::Text),
        ("table_type", DataType::Text),
        ("schema_version", DataType::Int),
        ("row_count", DataType::BigInt),
        ("min_seq", DataType::BigInt),
        ("max_seq", DataType::BigInt),
    ]);
    Ok(result::rows(&call.caller.user, fields, &[row]))
}

fn text(shown: impl ToString) -> Value {
    Value::Text(shown.to_string())
}

fn int(number: u32) -> Value {
    Value::Int(i32::try_from(number).unwrap_or(i32::MAX))
}

fn time(at: Timestamp) -> Value {
    Value::Timestamp(at.0)
}
