//! `information_schema`: tables, views and columns that the caller may see, in the form of the SQL standard.

use std::collections::BTreeSet;

use kalam_link_core::{DataType, Value};

use super::columns::type_text;
use super::{INFORMATION_SCHEMA, ServerTable, count, number, optional_text, text};
use crate::encode;
use crate::error::Error;
use crate::names::World;
use crate::visible;

/// The one catalog.
const CATALOG: &str = "kalamdb";

pub(super) const TABLES: ServerTable = ServerTable {
    namespace: INFORMATION_SCHEMA,
    name: "tables",
    columns: &[
        ("table_catalog", DataType::Text),
        ("table_schema", DataType::Text),
        ("table_name", DataType::Text),
        ("table_type", DataType::Text),
    ],
    rows: tables,
};

pub(super) const SCHEMATA: ServerTable = ServerTable {
    namespace: INFORMATION_SCHEMA,
    name: "schemata",
    columns: &[
        ("catalog_name", DataType::Text),
        ("schema_name", DataType::Text),
    ],
    rows: schemata,
};

pub(super) const COLUMNS: ServerTable = ServerTable {
    namespace: INFORMATION_SCHEMA,
    name: "columns",
    columns: &[
        ("table_catalog", DataType::Text),
        ("table_schema", DataType::Text),
        ("table_name", DataType::Text),
        ("column_name", DataType::Text),
        ("ordinal_position", DataType::BigInt),
        ("column_default", DataType::Text),
        ("is_nullable", DataType::Text),
        ("data_type", DataType::Text),
        ("character_maximum_length", DataType::BigInt),
        ("numeric_precision", DataType::BigInt),
        ("numeric_scale", DataType::BigInt),
    ],
    rows: columns,
};

/// Namespace, name and kind of everything that the caller sees.
fn visible_tables(world: &World<'_>) -> Vec<(String, String, &'static str)> {
    let caller = world.caller;
    let tables = world
        .catalog
        .tables()
        .filter(|table| caller.sees(&table.def))
        .map(|table| (&table.def.id, "BASE TABLE"));
    let views = world
        .catalog
        .views()
        .filter(|view| visible::sees_view(&world.catalog, caller, view));
    let own = tables.chain(views.map(|view| (&view.id, "VIEW")));
    let own = own.map(|(id, kind)| (id.namespace.to_string(), id.name.to_string(), kind));
    let servers = super::visible_names(caller);
    own.chain(
        servers.map(|(namespace, name)| (namespace.to_owned(), name.to_owned(), "SYSTEM VIEW")),
    )
    .collect()
}

fn tables(world: &World<'_>) -> Result<Vec<Vec<Value>>, Error> {
    let row =
        |(namespace, name, kind)| vec![text(CATALOG), text(namespace), text(name), text(kind)];
    Ok(visible_tables(world).into_iter().map(row).collect())
}

fn schemata(world: &World<'_>) -> Result<Vec<Vec<Value>>, Error> {
    let mut names = visible_tables(world)
        .into_iter()
        .map(|(namespace, ..)| namespace)
        .collect::<BTreeSet<_>>();
    if world.caller.role.is_admin() {
        names.extend(
            world
                .catalog
                .namespaces()
                .map(|namespace| namespace.name.to_string()),
        );
    }
    Ok(names
        .into_iter()
        .map(|name| vec![text(CATALOG), text(name)])
        .collect())
}

fn columns(world: &World<'_>) -> Result<Vec<Vec<Value>>, Error> {
    let mut rows = Vec::new();
    for table in world
        .catalog
        .tables()
        .filter(|table| world.caller.sees(&table.def))
    {
        for (index, column) in table.def.columns.iter().enumerate() {
            rows.push(column_row(&Described {
                namespace: table.def.id.namespace.as_str(),
                table: &table.def.id.name,
                name: &column.name,
                position: index + 1,
                default: column.default.as_deref(),
                nullable: column.nullable,
                written: type_text(column),
                data_type: column.data_type,
                max_chars: column.max_chars,
            }));
        }
    }
    for view in world.catalog.views() {
        if !visible::sees_view(&world.catalog, world.caller, view) {
            continue;
        }
        // A view whose tables have changed has no columns that could be shown.
        let Ok(schema) = world.view_schema(view) else {
            continue;
        };
        let (namespace, table) = (view.id.namespace.as_str(), &view.id.name);
        for field in encode::fields_of(&schema) {
            let described =
                Described::bare(namespace, table, &field.name, field.index, field.data_type);
            rows.push(column_row(&described));
        }
    }
    for (namespace, name) in super::visible_names(world.caller) {
        let columns = super::find(namespace, name).map_or(&[][..], |table| table.columns);
        for (index, (column, data_type)) in columns.iter().enumerate() {
            rows.push(column_row(&Described::bare(
                namespace, name, column, index, *data_type,
            )));
        }
    }
    Ok(rows)
}

/// A column of anything.
struct Described<'a> {
    namespace: &'a str,
    table: &'a str,
    name: &'a str,
    position: usize,
    default: Option<&'a str>,
    nullable: bool,
    written: String,
    data_type: DataType,
    max_chars: Option<u32>,
}

impl<'a> Described<'a> {
    /// A column of which nothing but the type is known.
    fn bare(
        namespace: &'a str,
        table: &'a str,
        name: &'a str,
        index: usize,
        data_type: DataType,
    ) -> Self {
        Self {
            namespace,
            table,
            name,
            position: index + 1,
            default: None,
            nullable: true,
            written: data_type.to_string(),
            data_type,
            max_chars: None,
        }
    }
}

fn column_row(column: &Described<'_>) -> Vec<Value> {
    let (precision, scale) = match column.data_type {
        DataType::Decimal { precision, scale } => (number(precision), number(scale)),
        DataType::SmallInt => (number(16), number(0)),
        DataType::Int => (number(32), number(0)),
        DataType::BigInt => (number(64), number(0)),
        _ => (Value::Null, Value::Null),
    };
    vec![
        text(CATALOG),
        text(column.namespace),
        text(column.table),
        text(column.name),
        count(column.position),
        optional_text(column.default),
        text(if column.nullable { "YES" } else { "NO" }),
        text(&column.written),
        column.max_chars.map_or(Value::Null, number),
        precision,
        scale,
    ]
}
