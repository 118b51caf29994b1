//! What the names of a statement mean for its caller: the planner's only source of tables and functions.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, SchemaRef};
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{TableFunctionArgs, TableProvider};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DFSchema, DataFusionError, Result, TableReference, plan_datafusion_err};
use datafusion::datasource::provider_as_source;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, TypePlanner};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF,
    TableSource as LogicalSource, WindowUDF,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::planner::SqlToRel;
use datafusion::sql::sqlparser::ast;
use kalam_engine::{Catalog, Engine};
use kalam_model::{Caller, Namespace, TableId, Timestamp, ViewDef};
use kalam_store::Snapshot;

use crate::error::Error;
use crate::executor::ServerFacts;
use crate::table::{SeqColumn, TableSource};
use crate::visible::{self, VIEW_DEPTH_MAX};
use crate::{functions, planning, system, wildcard};

/// What one statement sees: fixed when it begins.
pub(crate) struct World<'a> {
    pub engine: &'a Arc<Engine>,
    pub facts: &'a ServerFacts,
    pub caller: &'a Caller,
    pub now: Timestamp,
    pub state: &'a SessionState,
    /// Taken before the catalog, so that no row is of a version that the catalog does not know.
    pub snapshot: Snapshot,
    pub catalog: Arc<Catalog>,
    functions: BTreeMap<String, Arc<ScalarUDF>>,
    /// Set while columns of views are looked up: a view of `information_schema` then needs no rows of it.
    describing: Cell<bool>,
}

impl<'a> World<'a> {
    pub fn new(
        engine: &'a Arc<Engine>,
        facts: &'a ServerFacts,
        caller: &'a Caller,
        now: Timestamp,
        state: &'a SessionState,
    ) -> Self {
        let snapshot = engine.snapshot();
        let catalog = engine.catalog();
        let functions = functions::bound(engine, &caller.user, now);
        Self {
            engine,
            facts,
            caller,
            now,
            state,
            snapshot,
            catalog,
            functions,
            describing: Cell::new(false),
        }
    }

    /// Plans a query whose names without namespace mean `namespace`.
    pub fn plan(&self, query: &ast::Query, namespace: &Namespace) -> Result<LogicalPlan, Error> {
        self.plan_within(query, namespace, VIEW_DEPTH_MAX)
    }

    fn plan_within(
        &self,
        query: &ast::Query,
        namespace: &Namespace,
        depth: usize,
    ) -> Result<LogicalPlan, Error> {
        let is_table = |name: &ast::ObjectName| {
            visible::relation_id(name, namespace)
                .is_some_and(|id| self.catalog.table(&id).is_some())
        };
        let (query, seq) = wildcard::prepare(query.clone(), is_table)?;
        let names = Names {
            world: self,
            namespace,
            seq,
            depth,
        };
        let statement = ast::Statement::Query(Box::new(query));
        let plan = SqlToRel::new(&names)
            .sql_statement_to_plan(statement)
            .map_err(|error| self.told(error))?;
        planning::own_literals(plan).map_err(|error| self.told(error))
    }

    /// The error as the caller is told it.
    pub fn told(&self, error: DataFusionError) -> Error {
        planning::told(error, self.state)
    }

    /// The columns of a view.
    pub fn view_schema(&self, view: &ViewDef) -> Result<SchemaRef, Error> {
        self.describing.set(true);
        let view = self.view(view, VIEW_DEPTH_MAX);
        self.describing.set(false);
        Ok(view?.schema())
    }

    /// Only the columns of tables are asked for.
    pub fn is_describing(&self) -> bool {
        self.describing.get()
    }

    fn view(&self, view: &ViewDef, depth: usize) -> Result<Arc<dyn TableProvider>, Error> {
        let query = kalam_sql::parse_query(&view.query)?;
        let mut plan = self.plan_within(&query, &view.id.namespace, depth - 1)?;
        if !view.columns.is_empty() {
            plan = renamed(plan, &view.columns).map_err(|error| self.told(error))?;
        }
        Ok(Arc::new(ViewTable::new(plan, None)))
    }
}

fn renamed(plan: LogicalPlan, names: &[String]) -> Result<LogicalPlan> {
    let columns = plan.schema().columns();
    if columns.len() != names.len() {
        return Err(plan_datafusion_err!(
            "the view names {} columns, its query has {}",
            names.len(),
            columns.len()
        ));
    }
    let renamed = columns
        .into_iter()
        .zip(names)
        .map(|(column, name)| Expr::Column(column).alias(name));
    LogicalPlanBuilder::from(plan)
        .project(renamed.collect::<Vec<_>>())?
        .build()
}

/// The names of one query; a view's query has its own.
struct Names<'a> {
    world: &'a World<'a>,
    namespace: &'a Namespace,
    seq: SeqColumn,
    /// Views that may still nest.
    depth: usize,
}

impl Names<'_> {
    fn table(&self, name: &TableReference) -> Result<Arc<dyn TableProvider>, Error> {
        let namespace = match (name.catalog(), name.schema()) {
            (Some(catalog), _) => {
                let namespace = format!("{catalog}.{}", name.schema().unwrap_or_default());
                return Err(self.not_found(&namespace, name.table()));
            }
            (None, Some(schema)) => schema,
            (None, None) => self.namespace.as_str(),
        };
        let world = self.world;
        if system::is_server_name(namespace, name.table()) {
            return match system::source(world, namespace, name.table())? {
                Some(source) => Ok(source),
                None => Err(self.not_found(namespace, name.table())),
            };
        }
        let id = Namespace::new(namespace)
            .and_then(|namespace| TableId::new(namespace, name.table()))
            .ok();
        if let Some(table) = id.as_ref().and_then(|id| world.catalog.table(id))
            && let Ok(scope) = world.caller.may_read(&table.def)
        {
            let snapshot = world.snapshot.clone();
            return Ok(Arc::new(TableSource::new(
                Arc::clone(table),
                scope,
                snapshot,
                world.now,
                self.seq,
            )));
        }
        match id.as_ref().and_then(|id| world.catalog.view(id)) {
            Some(view)
                if self.depth > 0 && visible::sees_view(&world.catalog, world.caller, view) =>
            {
                world.view(view, self.depth)
            }
            _ => Err(self.not_found(namespace, name.table())),
        }
    }

    fn not_found(&self, namespace: &str, name: &str) -> Error {
        visible::table_not_found(&self.world.catalog, self.world.caller, namespace, name)
    }
}

impl ContextProvider for Names<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn LogicalSource>> {
        let table = self
            .table(&name)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(provider_as_source(table))
    }

    fn get_table_function_source(
        &self,
        name: &str,
        args: Vec<Expr>,
    ) -> Result<Arc<dyn LogicalSource>> {
        let state = self.world.state;
        let function = state
            .table_functions()
            .get(&name.to_ascii_lowercase())
            .ok_or_else(|| plan_datafusion_err!("table function not found: `{name}`"))?;
        let simplifier = ExprSimplifier::new(
            SimplifyContext::builder()
                .with_config_options(Arc::clone(state.config_options()))
                .build(),
        );
        let schema = DFSchema::empty();
        let args = args
            .into_iter()
            .map(|arg| {
                simplifier
                    .coerce(arg, &schema)
                    .and_then(|arg| simplifier.simplify(arg))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(provider_as_source(
            function.create_table_provider_with_args(TableFunctionArgs::new(&args, state))?,
        ))
    }

    fn create_cte_work_table(
        &self,
        name: &str,
        schema: SchemaRef,
    ) -> Result<Arc<dyn LogicalSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(
            name, schema,
        ))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.world.state.expr_planners()
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(planning::Types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let bound = self.world.functions.get(name);
        bound
            .or_else(|| self.world.state.scalar_functions().get(name))
            .cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.world.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.world.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.world.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<ArrowType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.world.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.world
            .state
            .scalar_functions()
            .keys()
            .chain(self.world.functions.keys())
            .cloned()
            .collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.world
            .state
            .higher_order_functions()
            .keys()
            .cloned()
            .collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.world
            .state
            .aggregate_functions()
            .keys()
            .cloned()
            .collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.world
            .state
            .window_functions()
            .keys()
            .cloned()
            .collect()
    }
}
