//! SUM of integers that fails on overflow: DataFusion's wraps round. It adds up as decimals of 38 digits, which no number
//! of rows can fill, and looks at the end whether the sum is an integer of the right width.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature,
};

/// How integers are added up.
const EXACT: ArrowType = ArrowType::Decimal128(38, 0);

/// The function, checked if it is SUM.
pub(super) fn checked(function: Arc<AggregateUDF>) -> Arc<AggregateUDF> {
    if function.name() != "sum" {
        return function;
    }
    Arc::new(AggregateUDF::new_from_impl(CheckedSum { inner: function }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedSum {
    inner: Arc<AggregateUDF>,
}

fn is_integer(field: &FieldRef) -> bool {
    matches!(field.data_type(), ArrowType::Int64 | ArrowType::UInt64)
}

fn exact(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(field.name(), EXACT, field.is_nullable()))
}

/// The same arguments, for a sum of decimals.
fn exact_args<'a>(args: AccumulatorArgs<'a>, fields: &'a [FieldRef]) -> AccumulatorArgs<'a> {
    AccumulatorArgs {
        return_field: exact(&args.return_field),
        expr_fields: fields,
        ..args
    }
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[ArrowType]) -> Result<ArrowType> {
        self.inner.return_type(types)
    }

    fn coerce_types(&self, types: &[ArrowType]) -> Result<Vec<ArrowType>> {
        self.inner.coerce_types(types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if !is_integer(&args.return_field) {
            return self.inner.accumulator(args);
        }
        let result = args.return_field.data_type().clone();
        let fields = args.expr_fields.iter().map(exact).collect::<Vec<_>>();
        Ok(Box::new(Checked {
            inner: self.inner.accumulator(exact_args(args, &fields))?,
            result,
        }))
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        // A sliding sum of distinct integers exists for 64-bit integers only.
        if !is_integer(&args.return_field) || args.is_distinct {
            return self.inner.create_sliding_accumulator(args);
        }
        let result = args.return_field.data_type().clone();
        let fields = args.expr_fields.iter().map(exact).collect::<Vec<_>>();
        Ok(Box::new(Checked {
            inner: self
                .inner
                .create_sliding_accumulator(exact_args(args, &fields))?,
            result,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if !is_integer(&args.return_field) {
            return self.inner.state_fields(args);
        }
        let fields = args.input_fields.iter().map(exact).collect::<Vec<_>>();
        let return_field = exact(&args.return_field);
        self.inner.state_fields(StateFieldsArgs {
            input_fields: &fields,
            return_field,
            ..args
        })
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        if !is_integer(&args.return_field) {
            return self.inner.create_groups_accumulator(args);
        }
        let result = args.return_field.data_type().clone();
        let fields = args.expr_fields.iter().map(exact).collect::<Vec<_>>();
        Ok(Box::new(CheckedGroups {
            inner: self
                .inner
                .create_groups_accumulator(exact_args(args, &fields))?,
            result,
        }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn set_monotonicity(&self, data_type: &ArrowType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }
}

fn as_exact(values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    Ok(values
        .iter()
        .map(|values| cast(values, &EXACT))
        .collect::<std::result::Result<_, _>>()?)
}

/// The sum in its own type.
fn narrowed(sums: &ArrayRef, result: &ArrowType) -> Result<ArrayRef> {
    let checked = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(sums, result, &checked)
        .map_err(|_| exec_datafusion_err!("arithmetic overflow in sum()"))
}

#[derive(Debug)]
struct Checked {
    inner: Box<dyn Accumulator>,
    result: ArrowType,
}

impl Accumulator for Checked {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(&as_exact(values)?)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = self.inner.evaluate()?.to_array()?;
        ScalarValue::try_from_array(&narrowed(&sum, &self.result)?, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(&as_exact(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

struct CheckedGroups {
    inner: Box<dyn GroupsAccumulator>,
    result: ArrowType,
}

impl GroupsAccumulator for CheckedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        self.inner
            .update_batch(&as_exact(values)?, group_indices, filter, groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        narrowed(&self.inner.evaluate(emit_to)?, &self.result)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        groups: usize,
    ) -> Result<()> {
        self.inner.merge_batch(values, group_indices, groups)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(&as_exact(values)?, filter)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}
