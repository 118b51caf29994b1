//! Reads one slice of a table in one snapshot, as a node of a physical plan.
//!
//! Rows are decoded column by column, at most [`BATCH_ROWS`] at a time and only as fast as they are asked for. With a
//! filter, its columns are decoded first and the others only for rows that pass.

mod decode;
mod hot;
mod stream;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions, SortOrderPushdownResult,
};
use futures::Stream;
use kalam_engine::Table;
use kalam_model::{RowKey, Scope, TableDef, TableKind, Timestamp};
use kalam_store::hot::{Direction, KeyRange};
use kalam_store::{Slice, Snapshot};

use crate::pushdown::{self, SEQ_COLUMN, SeqRange};
use crate::table::TableSource;
use decode::Decoder;

/// Rows of one batch at most.
pub(crate) const BATCH_ROWS: usize = 8_192;

/// Stored bytes that go into one batch, not counting the last row: keeps batches of large rows small.
const BATCH_BYTES: usize = 4 << 20;

/// What is read, and which of it passes.
pub(crate) struct Scan {
    table: Arc<Table>,
    scope: Scope,
    snapshot: Snapshot,
    now: Timestamp,
    schema: SchemaRef,
    /// Positions in the table; the position after the last column is `_seq`.
    projection: Vec<usize>,
    filter: Option<Filter>,
    range: SeqRange,
    keys: Keys,
}

/// Which rows are read, by their keys.
enum Keys {
    All,
    /// Those of these keys.
    Named(Vec<RowKey>),
    Range(KeyRange),
}

impl Keys {
    fn new(filters: &[Expr], table: &TableDef) -> Self {
        // STREAM tables have no key index.
        if table.kind == TableKind::Stream {
            return Self::All;
        }
        if let Some(keys) = pushdown::keys(filters, table) {
            return Self::Named(keys);
        }
        pushdown::key_range(filters, table).map_or(Self::All, Self::Range)
    }
}

/// A condition, and the columns that it needs.
struct Filter {
    condition: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    columns: Vec<usize>,
}

impl Scan {
    pub fn new(
        source: &TableSource,
        state: &dyn Session,
        projection: Vec<usize>,
        filters: &[Expr],
    ) -> Result<Self> {
        use datafusion::catalog::TableProvider as _;
        let whole = source.schema();
        Ok(Self {
            schema: Arc::new(whole.project(&projection)?),
            filter: Filter::new(&whole, state, filters)?,
            range: pushdown::seq_range(filters),
            keys: Keys::new(filters, &source.table.def),
            table: Arc::clone(&source.table),
            scope: source.scope.clone(),
            snapshot: source.snapshot.clone(),
            now: source.now,
            projection,
        })
    }

    fn slice(&self) -> Slice {
        Slice::new(self.table.def.number, &self.scope)
    }

    fn seq_index(&self) -> Option<usize> {
        self.schema.index_of(SEQ_COLUMN).ok()
    }
}

impl Filter {
    fn new(whole: &SchemaRef, state: &dyn Session, filters: &[Expr]) -> Result<Option<Self>> {
        let Some(condition) = conjunction(filters.iter().cloned()) else {
            return Ok(None);
        };
        let mut columns = Vec::new();
        for column in condition.column_refs() {
            columns.push(whole.index_of(&column.name)?);
        }
        columns.sort_unstable();
        columns.dedup();
        let schema = Arc::new(whole.project(&columns)?);
        let condition =
            state.create_physical_expr(condition, &DFSchema::try_from(Arc::clone(&schema))?)?;
        Ok(Some(Self {
            condition,
            schema,
            columns,
        }))
    }
}

/// The node of the plan.
pub(crate) struct TableScan {
    scan: Arc<Scan>,
    limit: Option<usize>,
    direction: Direction,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl TableScan {
    pub fn new(scan: Scan, limit: Option<usize>) -> Result<Self> {
        Self::in_direction(Arc::new(scan), limit, Direction::Forward)
    }

    fn in_direction(scan: Arc<Scan>, limit: Option<usize>, direction: Direction) -> Result<Self> {
        let mut equivalence = EquivalenceProperties::new(Arc::clone(&scan.schema));
        if let Some(index) = scan.seq_index() {
            let descending = direction == Direction::Reverse;
            let options = SortOptions {
                descending,
                nulls_first: descending,
            };
            equivalence.add_ordering([PhysicalSortExpr::new(
                Arc::new(Column::new(SEQ_COLUMN, index)),
                options,
            )]);
        }
        let properties = PlanProperties::new(
            equivalence,
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            scan,
            limit,
            direction,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }
}

impl std::fmt::Debug for TableScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableScan")
            .field("table", &self.scan.table.def.id)
            .finish_non_exhaustive()
    }
}

impl DisplayAs for TableScan {
    /// Names only what the statement itself holds: no user, no rows.
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scan = &self.scan;
        let columns = scan
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect::<Vec<_>>();
        write!(
            f,
            "TableScan: table={}, columns=[{}]",
            scan.table.def.id,
            columns.join(", ")
        )?;
        if let Some(filter) = &scan.filter {
            write!(f, ", filter={}", filter.condition)?;
        }
        match &scan.keys {
            Keys::Named(keys) => write!(f, ", keys={}", keys.len())?,
            Keys::Range(_) => f.write_str(", keys=range")?,
            Keys::All if scan.range != SeqRange::ALL => {
                write!(f, ", _seq={}..={}", scan.range.first, scan.range.last)?;
            }
            Keys::All => {}
        }
        if self.direction == Direction::Reverse {
            f.write_str(", reverse")?;
        }
        match self.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for TableScan {
    fn name(&self) -> &str {
        "TableScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        match &self.scan.filter {
            Some(filter) => f(&filter.condition),
            None => Ok(TreeNodeRecursion::Continue),
        }
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        let scan = Self::in_direction(Arc::clone(&self.scan), limit, self.direction).ok()?;
        Some(Arc::new(scan))
    }

    fn fetch(&self) -> Option<usize> {
        self.limit
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> Result<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        let by_seq = match order {
            [only] => only
                .expr
                .downcast_ref::<Column>()
                .filter(|column| column.name() == SEQ_COLUMN)
                .map(|_| only),
            _ => None,
        };
        // A limit counts rows in the order of before.
        let (Some(by_seq), None) = (by_seq, self.limit) else {
            return Ok(SortOrderPushdownResult::Unsupported);
        };
        let direction = if by_seq.options.descending {
            Direction::Reverse
        } else {
            Direction::Forward
        };
        let inner = Arc::new(Self::in_direction(Arc::clone(&self.scan), None, direction)?);
        Ok(SortOrderPushdownResult::Exact { inner })
    }

    fn execute(
        &self,
        partition: usize,
        task: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        Ok(Box::pin(Batches {
            reader: Reader::new(Arc::clone(&self.scan), self.direction, self.limit)
                .map_err(external)?,
            batch_rows: task.session_config().batch_size(),
            metrics: BaselineMetrics::new(&self.metrics, partition),
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

fn external(error: kalam_store::Error) -> DataFusionError {
    DataFusionError::External(Box::new(crate::Error::Store(error)))
}

/// Stored rows in order.
enum Rows {
    Hot(hot::Rows),
    Stream(stream::Rows),
}

impl Rows {
    fn next(&mut self) -> Result<Option<(kalam_model::SeqId, &[u8])>, kalam_store::Error> {
        match self {
            Self::Hot(rows) => rows.next(),
            Self::Stream(rows) => rows.next(),
        }
    }
}

/// A scan under way.
struct Reader {
    scan: Arc<Scan>,
    rows: Rows,
    /// Rows that may still be given.
    left: usize,
    ended: bool,
}

impl Reader {
    fn new(
        scan: Arc<Scan>,
        direction: Direction,
        limit: Option<usize>,
    ) -> Result<Self, kalam_store::Error> {
        let slice = scan.slice();
        let rows = match scan.table.def.kind {
            TableKind::Stream => {
                let ttl_seconds = scan.table.def.options.ttl_seconds.unwrap_or(0);
                let floor = kalam_store::stream::visible_floor(ttl_seconds, scan.now);
                Rows::Stream(stream::Rows::new(
                    &scan.snapshot,
                    &slice,
                    floor,
                    scan.range,
                    direction,
                )?)
            }
            TableKind::User | TableKind::Shared => {
                let (snapshot, range) = (&scan.snapshot, scan.range);
                Rows::Hot(match &scan.keys {
                    Keys::Named(keys) => {
                        hot::Rows::of_keys(snapshot, &slice, keys, range, direction)?
                    }
                    Keys::Range(keys) => {
                        hot::Rows::of_key_range(snapshot, &slice, keys, range, direction)?
                    }
                    Keys::All => hot::Rows::of_range(snapshot, &slice, range, direction),
                })
            }
        };
        Ok(Self {
            scan,
            rows,
            left: limit.unwrap_or(usize::MAX),
            ended: false,
        })
    }

    /// The next rows that pass, possibly none; `None` at the end.
    fn next_batch(&mut self, batch_rows: usize) -> Result<Option<RecordBatch>> {
        if self.ended || self.left == 0 {
            return Ok(None);
        }
        let scan = Arc::clone(&self.scan);
        let rows_max = if scan.filter.is_none() {
            self.left.min(batch_rows)
        } else {
            batch_rows
        };
        let mut decoder = Decoder::new(&scan, rows_max);
        let mut bytes = 0;
        while decoder.rows() < rows_max && bytes < BATCH_BYTES {
            let Some((seq, row)) = self.rows.next().map_err(external)? else {
                self.ended = true;
                break;
            };
            bytes += row.len();
            decoder.push(seq, row).map_err(external)?;
        }
        let batch = decoder.finish(self.left)?;
        self.left -= batch.num_rows();
        Ok(Some(batch))
    }
}

struct Batches {
    reader: Reader,
    batch_rows: usize,
    metrics: BaselineMetrics,
}

impl Stream for Batches {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let started = self.metrics.elapsed_compute().clone();
        let batch_rows = self.batch_rows;
        let timer = started.timer();
        let next = self.reader.next_batch(batch_rows).transpose();
        timer.done();
        if let Some(Ok(batch)) = &next
            && batch.num_rows() == 0
            && !self.reader.ended
        {
            // Lets others run, and a cancelled query end, while a filter passes nothing.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.metrics.record_poll(Poll::Ready(next))
    }
}

impl RecordBatchStream for Batches {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.reader.scan.schema)
    }
}
