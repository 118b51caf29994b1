//! Reads and writes by primary key that need no planner.
//!
//! Whatever is not understood here completely is left to the planner, whose answers these equal.

use std::sync::Arc;

use kalam_engine::Table;
use kalam_link_core::SeqId;
use kalam_model::{Row, RowKey, Scope, TableKind};
use kalam_sql::ast::{self, GroupByExpr, LimitClause, SelectFlavor, SetExpr, TableFactor};
use kalam_sql::statement::TableRef;
use kalam_sql::{ColumnScope, Expr, PointFilter, RowValues};
use kalam_store::{Slice, key};

use crate::cache::Prepared;
use crate::dml::plan::{Form, Plan};
use crate::dml::returning::{KnownSeq, Output, mentions_seq};
use crate::dml::work::{Found, read_row};
use crate::error::Error;
use crate::executor::Call;
use crate::result::{self, Answer};
use crate::visible::folded;

/// A filter that names rows by their whole key.
pub(crate) struct KeyFilter {
    key: PointFilter,
    /// What else the rows must fulfil.
    rest: Vec<Expr>,
}

/// A SELECT by key.
pub(crate) struct PointSelect {
    key: KeyFilter,
    output: Output,
    uses_seq: bool,
    /// LIMIT with at least one row: then only one key may be named.
    limited: bool,
}

impl KeyFilter {
    /// `None` if a scan has to find the rows.
    pub fn compile(
        filter: &ast::Expr,
        table: &Table,
        alias: Option<&str>,
    ) -> Result<Option<Self>, Error> {
        let Some(key) = kalam_sql::primary_key_lookup(filter, &table.def, alias) else {
            return Ok(None);
        };
        let scope = ColumnScope::Table {
            table: &table.def,
            alias,
        };
        let mut rest = Vec::with_capacity(key.rest.len());
        for part in &key.rest {
            match kalam_sql::compile(part, &scope) {
                Ok(part) => rest.push(part),
                Err(kalam_sql::Error::NotSimple(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(Self { key, rest }))
    }

    /// The keys that are named, each once and in order. `None` if only a comparison by the planner can tell.
    pub fn keys(&self, call: &Call<'_>) -> Result<Option<Vec<RowKey>>, Error> {
        let Some(keys) = self.key.keys(&call.eval())? else {
            return Ok(None);
        };
        Ok(keys
            .iter()
            .map(|values| key::encode_key(&values.iter().collect::<Vec<_>>()))
            .collect())
    }

    /// Whether the row fulfils the rest of the filter.
    pub fn accepts(&self, call: &Call<'_>, row: &Row, seq: SeqId) -> Result<bool, Error> {
        let context = call.eval();
        let values = RowValues::new(&row.0, seq);
        for part in &self.rest {
            if !part.is_true(&values, &context)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A SELECT by key that is about to read its rows.
pub(crate) struct PointRead {
    pub table: Arc<Table>,
    pub scope: Scope,
    pub keys: Vec<RowKey>,
    plan: Arc<Plan>,
}

/// Answers a SELECT by key; `None` leaves it to the planner, also if the table is missing or hidden.
pub(crate) fn select(
    call: &Call<'_>,
    prepared: &Prepared,
    query: &ast::Query,
) -> Result<Option<Answer>, Error> {
    let Some(read) = PointRead::open(call, prepared, query)? else {
        return Ok(None);
    };
    let slice = Slice::new(read.table.def.number, &read.scope);
    let snapshot = call.inner.engine.snapshot();
    read.answer(call, |key| {
        let found = read_row(&snapshot, &read.table, &slice, key)?;
        Ok(found.map(|(seq, row)| Found {
            seq: Some(seq),
            row,
        }))
    })
}

impl PointRead {
    /// `None` if the query is not of that form.
    pub fn open(
        call: &Call<'_>,
        prepared: &Prepared,
        query: &ast::Query,
    ) -> Result<Option<Self>, Error> {
        let Some(reference) = prepared.point_table(query) else {
            return Ok(None);
        };
        let catalog = call.inner.engine.catalog();
        let Some(table) = prepared
            .table_id(&call.namespace, reference)
            .and_then(|id| catalog.table(id))
        else {
            return Ok(None);
        };
        let Ok(scope) = call.caller.may_read(&table.def) else {
            return Ok(None);
        };
        let plan = prepared.plan(table, || compile(query, table))?;
        let Form::Select(select) = &plan.form else {
            return Ok(None);
        };
        let Some(keys) = select.key.keys(call)? else {
            return Ok(None);
        };
        if select.limited && keys.len() > 1 {
            return Ok(None);
        }
        Ok(Some(Self {
            table: Arc::clone(table),
            scope,
            keys,
            plan,
        }))
    }

    /// Filters and encodes the rows that `find` gives.
    pub fn answer(
        &self,
        call: &Call<'_>,
        mut find: impl FnMut(&RowKey) -> Result<Option<Found>, Error>,
    ) -> Result<Option<Answer>, Error> {
        let Form::Select(select) = &self.plan.form else {
            return Ok(None);
        };
        let mut encoded = Vec::with_capacity(256);
        let mut rows = 0;
        for key in &self.keys {
            let Some(found) = find(key)? else { continue };
            match select.append(call, &found, &mut encoded) {
                Ok(accepted) => rows += u64::from(accepted),
                // A parameter turned out to have a type that only the planner handles.
                Err(Error::Sql(kalam_sql::Error::NotSimple(_))) => return Ok(None),
                Err(error) => return Err(error),
            }
            result::check_size(rows, encoded.len(), &call.inner.limits)?;
        }
        Ok(Some(result::encoded_rows(
            &call.caller.user,
            select.output.fields.clone(),
            encoded,
            rows,
        )))
    }
}

impl PointSelect {
    /// Appends the row if it fulfils the filter.
    fn append(&self, call: &Call<'_>, found: &Found, encoded: &mut Vec<u8>) -> Result<bool, Error> {
        let seq = match found.seq {
            Some(seq) => seq,
            None if self.uses_seq => {
                return Err(Error::unsupported(
                    "`_seq` of a row that the same transaction wrote",
                ));
            }
            None => SeqId::ZERO,
        };
        if !self.key.accepts(call, &found.row, seq)? {
            return Ok(false);
        }
        self.output
            .append(&found.row, KnownSeq::Known(seq), &call.eval(), encoded)?;
        Ok(true)
    }
}

/// The compiled form of a query for which [`table_of`] named the table.
pub(crate) fn compile(query: &ast::Query, table: &Arc<Table>) -> Result<Plan, Error> {
    let form = match point_select(query, table)? {
        Some(select) => Form::Select(select),
        None => Form::Planned,
    };
    Ok(Plan {
        table: Arc::clone(table),
        form,
    })
}

fn point_select(query: &ast::Query, table: &Arc<Table>) -> Result<Option<PointSelect>, Error> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return Ok(None);
    };
    let Some(filter) = &select.selection else {
        return Ok(None);
    };
    if table.def.kind == TableKind::Stream {
        return Ok(None);
    }
    let alias = alias_of(select);
    // The planner finds the same mistakes and words them for whole queries.
    let Ok(Some(key)) = KeyFilter::compile(filter, table, alias.as_deref()) else {
        return Ok(None);
    };
    let Ok(output) = Output::compile(&select.projection, table, alias.as_deref()) else {
        return Ok(None);
    };
    let uses_seq = mentions_seq(select.as_ref());
    Ok(output.is_plain(&select.projection).then_some(PointSelect {
        key,
        output,
        uses_seq,
        limited: query.limit_clause.is_some(),
    }))
}

fn alias_of(select: &ast::Select) -> Option<String> {
    match select.from.first().map(|from| &from.relation) {
        Some(TableFactor::Table { alias, .. }) => alias.as_ref().map(|alias| folded(&alias.name)),
        _ => None,
    }
}

/// The one table of a query that has nothing but a projection, a filter and a limit of at least one row.
pub(crate) fn table_of(query: &ast::Query) -> Option<TableRef> {
    let ast::Query {
        with: None,
        body,
        order_by: None,
        limit_clause,
        fetch: None,
        locks,
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators,
    } = query
    else {
        return None;
    };
    let SetExpr::Select(select) = body.as_ref() else {
        return None;
    };
    if !locks.is_empty()
        || !pipe_operators.is_empty()
        || !limit_clause.as_ref().is_none_or(keeps_one_row)
    {
        return None;
    }
    let ast::Select {
        select_token: _,
        optimizer_hints,
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: _,
        projection: _,
        exclude: None,
        into: None,
        from,
        lateral_views,
        prewhere: None,
        selection: Some(_),
        connect_by,
        group_by: GroupByExpr::Expressions(groups, modifiers),
        cluster_by,
        distribute_by,
        sort_by,
        having: None,
        named_window,
        qualify: None,
        window_before_qualify: _,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    } = select.as_ref()
    else {
        return None;
    };
    let plain = optimizer_hints.is_empty()
        && lateral_views.is_empty()
        && connect_by.is_empty()
        && groups.is_empty()
        && modifiers.is_empty()
        && cluster_by.is_empty()
        && distribute_by.is_empty()
        && sort_by.is_empty()
        && named_window.is_empty();
    let [from] = from.as_slice() else { return None };
    if !plain || !from.joins.is_empty() {
        return None;
    }
    plain_table(&from.relation)
}

fn plain_table(relation: &TableFactor) -> Option<TableRef> {
    let TableFactor::Table {
        name,
        alias,
        args: None,
        with_hints,
        version: None,
        with_ordinality: false,
        partitions,
        json_path: None,
        sample: None,
        index_hints,
    } = relation
    else {
        return None;
    };
    let renames = alias
        .as_ref()
        .is_some_and(|alias| !alias.columns.is_empty() || alias.at.is_some());
    if renames || !with_hints.is_empty() || !partitions.is_empty() || !index_hints.is_empty() {
        return None;
    }
    let parts = name
        .0
        .iter()
        .map(|part| part.as_ident().map(folded))
        .collect::<Option<Vec<_>>>()?;
    match <[String; 2]>::try_from(parts) {
        Ok([namespace, name]) => Some(TableRef {
            namespace: Some(namespace),
            name,
        }),
        Err(parts) => {
            let [name] = <[String; 1]>::try_from(parts).ok()?;
            Some(TableRef {
                namespace: None,
                name,
            })
        }
    }
}

/// LIMIT n with a literal n of at least one, and nothing else.
fn keeps_one_row(limit: &LimitClause) -> bool {
    let LimitClause::LimitOffset {
        limit: Some(ast::Expr::Value(limit)),
        offset: None,
        limit_by,
    } = limit
    else {
        return false;
    };
    let rows = match &limit.value {
        ast::Value::Number(digits, _) => digits.to_string().parse::<u64>().unwrap_or(0),
        _ => 0,
    };
    rows > 0 && limit_by.is_empty()
}
