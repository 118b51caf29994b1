//! UPDATE and DELETE: find the rows by key or by a query, make the new ones.

use std::collections::BTreeSet;
use std::sync::Arc;

use kalam_engine::Table;
use kalam_link_core::{SeqId, Value};
use kalam_model::{Row, RowKey, TableKind};
use kalam_sql::RowValues;
use kalam_sql::ast;
use kalam_sql::statement::{self, Cell};

use crate::dml::plan::{Delete, Source, Update};
use crate::dml::returning::SEQ;
use crate::dml::work::{Found, SliceId, Work, key_of};
use crate::dml::{Draft, Planned, assigned};
use crate::error::Error;
use crate::executor::Call;
use crate::point::KeyFilter;

pub(crate) async fn update(
    call: &Call<'_>,
    statement: &statement::Update,
    table: &Arc<Table>,
    plan: &Update,
    work: &mut Work,
    id: SliceId,
) -> Result<Draft, Error> {
    let changes = match changes_by_key(call, table, plan, work, id) {
        Ok(Some(changes)) => changes,
        // A parameter turned out to have a type that only the planner handles.
        Ok(None) | Err(Error::Sql(kalam_sql::Error::NotSimple(_))) => {
            match Box::pin(changes_by_scan(
                call,
                statement,
                table,
                plan,
                work,
                Extra::Marked,
            ))
            .await
            {
                Err(Error::Sql(kalam_sql::Error::NotSimple(_))) => {
                    Box::pin(changes_by_scan(
                        call,
                        statement,
                        table,
                        plan,
                        work,
                        Extra::All,
                    ))
                    .await?
                }
                other => other?,
            }
        }
        Err(error) => return Err(error),
    };
    let mut draft = Draft::new("Updated", &plan.returning);
    for Change { key, base, new } in changes {
        let mark = draft.append(&plan.returning, call, &new, None)?;
        let ticket = work.put(id, key, base, Some(new))?;
        draft.count(mark, ticket);
    }
    Ok(draft)
}

/// A row of UPDATE as it will be.
struct Change {
    key: RowKey,
    base: Option<SeqId>,
    new: Row,
}

/// Which values of SET come from the scan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extra {
    /// Those that did not compile.
    Marked,
    /// Every expression.
    All,
}

fn changes_by_key(
    call: &Call<'_>,
    table: &Table,
    plan: &Update,
    work: &mut Work,
    id: SliceId,
) -> Result<Option<Vec<Change>>, Error> {
    let Some(found) = by_key(call, plan.key.as_ref(), work, id)? else {
        return Ok(None);
    };
    let change = |(key, found): (RowKey, Found)| {
        let values = RowValues::new(&found.row.0, found.seq.unwrap_or_default());
        let new = assigned(
            call,
            table,
            &plan.assignments,
            &plan.defaults,
            &values,
            Planned::None,
        )?;
        Ok(Change {
            key,
            base: found.seq,
            new,
        })
    };
    found
        .into_iter()
        .map(change)
        .collect::<Result<_, Error>>()
        .map(Some)
}

async fn changes_by_scan(
    call: &Call<'_>,
    statement: &statement::Update,
    table: &Arc<Table>,
    plan: &Update,
    work: &Work,
    extra: Extra,
) -> Result<Vec<Change>, Error> {
    let planned = plan
        .assignments
        .iter()
        .zip(&statement.assignments)
        .filter_map(
            |((_, source), assignment)| match (source, &assignment.value) {
                (Source::Planned, Cell::Expr(expr)) => Some(expr.clone()),
                (Source::Expr(_), Cell::Expr(expr)) if extra == Extra::All => Some(expr.clone()),
                _ => None,
            },
        );
    let scan = Scan {
        table,
        alias: statement.alias.as_deref(),
        filter: statement.filter.as_ref(),
        extra: planned.collect(),
    };
    let rows = scan.rows(call, work).await?;
    let change = |scanned: Scanned| {
        let values = RowValues::new(&scanned.row.0, scanned.seq);
        let planned = match extra {
            Extra::Marked => Planned::Marked(&scanned.extra),
            Extra::All => Planned::All(&scanned.extra),
        };
        let new = assigned(
            call,
            table,
            &plan.assignments,
            &plan.defaults,
            &values,
            planned,
        )?;
        Ok(Change {
            key: key_of(table, &scanned.row)?,
            base: Some(scanned.seq),
            new,
        })
    };
    rows.into_iter().map(change).collect()
}

pub(crate) async fn delete(
    call: &Call<'_>,
    statement: &statement::Delete,
    table: &Arc<Table>,
    plan: &Delete,
    work: &mut Work,
    id: SliceId,
) -> Result<Draft, Error> {
    let mut draft = Draft::new("Deleted", &plan.returning);
    if let Some(found) = by_key(call, plan.key.as_ref(), work, id)? {
        for (key, found) in found {
            let mark = draft.append(&plan.returning, call, &found.row, found.seq)?;
            let ticket = work.put(id, key, found.seq, None)?;
            draft.count(mark, ticket);
        }
        return Ok(draft);
    }
    let alias = statement.alias.as_deref();
    let scan = Scan {
        table,
        alias,
        filter: statement.filter.as_ref(),
        extra: Vec::new(),
    };
    for row in Box::pin(scan.rows(call, work)).await? {
        let mark = draft.append(&plan.returning, call, &row.row, Some(row.seq))?;
        let ticket = if table.def.kind == TableKind::Stream {
            work.remove_seq(id, row.seq)?
        } else {
            work.put(id, key_of(table, &row.row)?, Some(row.seq), None)?
        };
        draft.count(mark, ticket);
    }
    Ok(draft)
}

/// The rows that a filter names by key; `None` if a scan has to find them.
fn by_key(
    call: &Call<'_>,
    filter: Option<&KeyFilter>,
    work: &mut Work,
    id: SliceId,
) -> Result<Option<Vec<(RowKey, Found)>>, Error> {
    let Some(filter) = filter else {
        return Ok(None);
    };
    let Some(keys) = filter.keys(call)? else {
        return Ok(None);
    };
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(found) = work.find(&call.inner.engine, id, &key)? else {
            continue;
        };
        match filter.accepts(call, &found.row, found.seq.unwrap_or_default()) {
            Ok(true) => rows.push((key, found)),
            Ok(false) => {}
            Err(Error::Sql(kalam_sql::Error::NotSimple(_))) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(rows))
}

/// Finds rows with the planner.
struct Scan<'a> {
    table: &'a Arc<Table>,
    alias: Option<&'a str>,
    filter: Option<&'a ast::Expr>,
    /// Values that are computed beside each row.
    extra: Vec<ast::Expr>,
}

struct Scanned {
    seq: SeqId,
    row: Row,
    extra: Vec<Value>,
}

impl Scan<'_> {
    /// `SELECT _seq, every column, extra FROM table WHERE filter`.
    async fn rows(&self, call: &Call<'_>, work: &Work) -> Result<Vec<Scanned>, Error> {
        if work.has_written(self.table) {
            let id = &self.table.def.id;
            return Err(Error::unsupported(format!(
                "searching `{id}` by other than its key after writing it in the same transaction"
            )));
        }
        let columns = self.table.def.columns.len();
        let query = self.query()?;
        let (_, found) = call
            .inner
            .planner
            .rows(call.caller, &query, &call.context())
            .await?;
        let mut seen = BTreeSet::new();
        let mut rows = Vec::with_capacity(found.len());
        for mut values in found {
            let extra = values.split_off(columns + 1);
            let seq = match values.first() {
                Some(Value::BigInt(seq)) => SeqId(u64::try_from(*seq).unwrap_or_default()),
                _ => return Err(Error::internal("a scan gave a row without its number")),
            };
            values.remove(0);
            if !seen.insert(seq) {
                return Err(Error::internal("a scan gave a row twice"));
            }
            rows.push(Scanned {
                seq,
                row: Row(values),
                extra,
            });
        }
        Ok(rows)
    }

    fn query(&self) -> Result<ast::Query, Error> {
        let id = &self.table.def.id;
        let name = self.alias.unwrap_or(&id.name);
        let alias = self
            .alias
            .map_or_else(String::new, |alias| format!(" AS \"{alias}\""));
        let from = format!("SELECT 1 FROM \"{}\".\"{}\"{alias}", id.namespace, id.name);
        let mut query = *kalam_sql::parse_query(&from)?;
        let ast::SetExpr::Select(select) = query.body.as_mut() else {
            return Err(Error::internal("SELECT was parsed as something else"));
        };
        let quoted = |name: &str| ast::Ident::with_quote('"', name);
        let column =
            |column: &str| ast::Expr::CompoundIdentifier(vec![quoted(name), quoted(column)]);
        let columns = self
            .table
            .def
            .columns
            .iter()
            .map(|one| ast::SelectItem::UnnamedExpr(column(&one.name)));
        let extra =
            self.extra
                .iter()
                .enumerate()
                .map(|(index, expr)| ast::SelectItem::ExprWithAlias {
                    expr: expr.clone(),
                    // No column of a user begins with an underscore.
                    alias: quoted(&format!("_value_{index}")),
                });
        select.projection = std::iter::once(ast::SelectItem::UnnamedExpr(column(SEQ)))
            .chain(columns)
            .chain(extra)
            .collect();
        select.selection = self.filter.cloned();
        Ok(query)
    }
}
