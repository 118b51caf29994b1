//! A table as DataFusion sees it: one caller's slice of it, in one snapshot.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use kalam_engine::Table;
use kalam_model::{Scope, Timestamp};
use kalam_store::{Snapshot, arrow_types};

use crate::encode::KEY_KEY;
use crate::pushdown;
use crate::scan::{Scan, TableScan};

/// Whether a table shows its `_seq` column. It does so in statements that name it, whose wildcards then leave it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeqColumn {
    Hidden,
    Offered,
}

/// What a statement reads of a table: the slice of its caller (I8) as it was when the statement began (I4).
pub(crate) struct TableSource {
    pub table: Arc<Table>,
    pub scope: Scope,
    pub snapshot: Snapshot,
    /// Decides which rows of a STREAM table have expired.
    pub now: Timestamp,
    schema: SchemaRef,
}

impl TableSource {
    pub fn new(
        table: Arc<Table>,
        scope: Scope,
        snapshot: Snapshot,
        now: Timestamp,
        seq: SeqColumn,
    ) -> Self {
        let schema = schema_of(&table, seq);
        Self {
            table,
            scope,
            snapshot,
            now,
            schema,
        }
    }
}

fn schema_of(table: &Table, seq: SeqColumn) -> SchemaRef {
    let mut fields = Vec::with_capacity(table.def.columns.len() + 1);
    for column in &table.def.columns {
        let field = arrow_types::arrow_field(column);
        let mut metadata = field.metadata().clone();
        if table.def.is_key(column.id) {
            metadata.insert(KEY_KEY.to_owned(), String::new());
        }
        fields.push(field.with_metadata(metadata));
    }
    if seq == SeqColumn::Offered {
        fields.push(arrow_types::seq_field());
    }
    Arc::new(Schema::new(fields))
}

impl std::fmt::Debug for TableSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableSource")
            .field("table", &self.table.def.id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for TableSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| pushdown::placement(filter))
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.schema.fields().len()).collect(),
        };
        let scan = Scan::new(self, state, projection, filters)?;
        Ok(Arc::new(TableScan::new(scan, limit)?))
    }
}
