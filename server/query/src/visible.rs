//! Which names a caller may know, and the one answer for all others (I8).

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Visitor};
use kalam_engine::Catalog;
use kalam_model::{Caller, Namespace, TableId, ViewDef};

use crate::error::Error;
use crate::system;

/// Views on views on views: deeper ones count as missing, which also ends those that name themselves.
pub(crate) const VIEW_DEPTH_MAX: usize = 16;

/// Names that may be suggested are compared one by one: a larger catalog gives no hint.
const SUGGESTIONS_COMPARED_MAX: usize = 10_000;

/// TABLE_NOT_FOUND for a table that is missing or hidden: the answer does not tell which.
pub(crate) fn table_not_found(
    catalog: &Catalog,
    caller: &Caller,
    namespace: &str,
    name: &str,
) -> Error {
    let wanted = format!("{namespace}.{name}");
    let tables = catalog
        .tables()
        .filter(|table| caller.sees(&table.def))
        .map(|table| &table.def.id);
    let views = catalog
        .views()
        .filter(|view| sees_view(catalog, caller, view))
        .map(|view| &view.id);
    let own = tables.chain(views).map(ToString::to_string);
    let servers =
        system::visible_names(caller).map(|(namespace, name)| format!("{namespace}.{name}"));
    let suggestion = nearest(&wanted, own.chain(servers).take(SUGGESTIONS_COMPARED_MAX));
    Error::TableNotFound {
        name: wanted,
        suggestion,
    }
}

/// Whether the caller may read everything that the view reads.
pub(crate) fn sees_view(catalog: &Catalog, caller: &Caller, view: &ViewDef) -> bool {
    sees_view_within(catalog, caller, view, VIEW_DEPTH_MAX)
}

fn sees_view_within(catalog: &Catalog, caller: &Caller, view: &ViewDef, depth: usize) -> bool {
    let Ok(query) = kalam_sql::parse_query(&view.query) else {
        return false;
    };
    depth > 0
        && relations(&query).iter().all(|name| {
            let Some(id) = relation_id(name, &view.id.namespace) else {
                return true;
            };
            if let Some(table) = catalog.table(&id) {
                caller.sees(&table.def)
            } else if let Some(inner) = catalog.view(&id) {
                sees_view_within(catalog, caller, inner, depth - 1)
            } else if system::is_server_name(id.namespace.as_str(), &id.name) {
                system::sees(caller, id.namespace.as_str(), &id.name)
            } else {
                // A CTE of the query, or a table that was dropped: then the query itself says so.
                true
            }
        })
}

/// Every name after FROM, at any depth, also inside expressions.
pub(crate) fn relations(query: &impl ast::Visit) -> Vec<ast::ObjectName> {
    struct Relations(Vec<ast::ObjectName>);
    impl Visitor for Relations {
        type Break = ();
        fn pre_visit_relation(&mut self, relation: &ast::ObjectName) -> ControlFlow<()> {
            self.0.push(relation.clone());
            ControlFlow::Continue(())
        }
    }
    let mut relations = Relations(Vec::new());
    let _ = query.visit(&mut relations);
    relations.0
}

/// The table that a name means, if it can mean one.
pub(crate) fn relation_id(name: &ast::ObjectName, namespace: &Namespace) -> Option<TableId> {
    let parts = name
        .0
        .iter()
        .map(|part| part.as_ident().map(folded))
        .collect::<Option<Vec<_>>>()?;
    match parts.as_slice() {
        [table] => TableId::new(namespace.clone(), table).ok(),
        [namespace, table] => TableId::new(Namespace::new(namespace).ok()?, table).ok(),
        _ => None,
    }
}

/// Unquoted identifiers fold to lower case.
pub(crate) fn folded(ident: &ast::Ident) -> String {
    if ident.quote_style.is_some() {
        ident.value.clone()
    } else {
        ident.value.to_ascii_lowercase()
    }
}

/// The candidate that a typing mistake may have meant: at most a third of its letters differ.
pub(crate) fn nearest(wanted: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let distance_max = (wanted.chars().count() / 3).min(4);
    candidates
        .map(|candidate| (distance(wanted, &candidate), candidate))
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b = b.chars().collect::<Vec<_>>();
    let mut row = (0..=b.len()).collect::<Vec<_>>();
    for (line, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[b.len()]
}
