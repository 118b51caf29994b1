//! Bounds on functions whose result can be far larger than their arguments: `repeat('x', 1000000000)`.
//!
//! The size of each row's result is estimated from above before the function is called. A row that may pass the bound
//! fails; a batch that may is evaluated in parts, and fails if the parts together pass it.

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::compute::{cast, concat};
use arrow::datatypes::{
    DataType as ArrowType, FieldRef, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use std::sync::Arc;

use super::VALUES_BYTES_MAX;

/// Steps of work that count like one byte of a result.
const STEPS_PER_BYTE: u64 = 16;

/// The function, bounded if it has to be.
pub(super) fn bounded(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match Growth::of(function.name()) {
        Some(growth) => Arc::new(ScalarUDF::new_from_impl(Bounded {
            inner: function,
            growth,
        })),
        None => function,
    }
}

/// How a result grows with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Growth {
    /// `repeat(text, n)`, `array_repeat(value, n)`
    Repeat,
    /// `lpad(text, n)`, `array_resize(array, n)`
    Pad,
    /// `replace(text, from, to)`
    Replace,
    /// `regexp_replace(text, pattern, replacement)`
    Rewrite,
    /// `concat(a, b, …)`
    Sum,
    /// `array_to_string(array, delimiter)`
    Join,
    /// `range(start, stop, step)`
    Series,
    /// `levenshtein(a, b)`: not the result but the work grows.
    Work,
}

impl Growth {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "repeat" | "array_repeat" => Self::Repeat,
            "lpad" | "rpad" | "array_resize" => Self::Pad,
            "replace" => Self::Replace,
            "regexp_replace" => Self::Rewrite,
            "concat" | "concat_ws" | "array_concat" => Self::Sum,
            "array_to_string" => Self::Join,
            "range" | "generate_series" => Self::Series,
            "levenshtein" => Self::Work,
            _ => return None,
        })
    }

    /// Bytes that the result of one row takes at most, roughly.
    fn estimate(self, args: &[Argument], row: usize) -> u64 {
        let bytes = |index: usize| args.get(index).map_or(0, |arg| arg.bytes(row));
        let number = |index: usize| args.get(index).map_or(0, |arg| arg.number(row));
        match self {
            Self::Repeat => bytes(0).max(8).saturating_mul(number(1)),
            Self::Pad => bytes(0).saturating_add(number(1).saturating_mul(bytes(2).clamp(4, 16))),
            Self::Replace => match args {
                [text, from, to, ..] => text.replaced(row, from, to),
                _ => 0,
            },
            Self::Rewrite => bytes(0)
                .saturating_add(1)
                .saturating_mul(bytes(2).saturating_add(1)),
            Self::Sum => {
                (0..args.len()).fold(0, |sum: u64, index| sum.saturating_add(bytes(index)))
            }
            Self::Join => bytes(0).saturating_mul(bytes(1).saturating_add(24)),
            Self::Series => series_bytes(args, row),
            Self::Work => bytes(0).saturating_mul(bytes(1)) / STEPS_PER_BYTE,
        }
    }
}

/// One argument with a value for each row.
struct Argument {
    values: ArrayRef,
    /// The same as 64-bit integers, where there is such a thing.
    numbers: Option<ArrayRef>,
    /// Bytes of a row if they are not known for each.
    bytes_per_row: u64,
}

impl Argument {
    fn new(value: &ColumnarValue, rows: usize) -> Result<Self> {
        let mut values = value.to_array(rows)?;
        if matches!(
            values.data_type(),
            ArrowType::Utf8View | ArrowType::LargeUtf8
        ) {
            values = cast(&values, &ArrowType::Utf8)?;
        }
        let numbers = match values.data_type() {
            number if number.is_integer() => Some(cast(&values, &ArrowType::Int64)?),
            ArrowType::Timestamp(_, zone) => {
                let nanos = cast(
                    &values,
                    &ArrowType::Timestamp(TimeUnit::Nanosecond, zone.clone()),
                )?;
                Some(cast(&nanos, &ArrowType::Int64)?)
            }
            ArrowType::Date32 => {
                let nanos = cast(&values, &ArrowType::Timestamp(TimeUnit::Nanosecond, None))?;
                Some(cast(&nanos, &ArrowType::Int64)?)
            }
            _ => None,
        };
        let scalar_rows = if matches!(value, ColumnarValue::Scalar(_)) {
            rows.max(1)
        } else {
            values.len().max(1)
        };
        let bytes_per_row = values.get_array_memory_size() as u64 / scalar_rows as u64;
        Ok(Self {
            values,
            numbers,
            bytes_per_row,
        })
    }

    fn text(&self, row: usize) -> Option<&str> {
        let texts = self.values.as_string_opt::<i32>()?;
        texts.is_valid(row).then(|| texts.value(row))
    }

    fn bytes(&self, row: usize) -> u64 {
        match self.values.data_type() {
            ArrowType::Utf8 => self.text(row).map_or(0, |text| text.len() as u64),
            _ => self.bytes_per_row,
        }
    }

    fn signed(&self, row: usize) -> Option<i64> {
        let numbers = self.numbers.as_ref()?.as_primitive::<Int64Type>();
        numbers.is_valid(row).then(|| numbers.value(row))
    }

    fn number(&self, row: usize) -> u64 {
        self.signed(row)
            .and_then(|number| u64::try_from(number).ok())
            .unwrap_or(0)
    }

    fn replaced(&self, row: usize, from: &Self, to: &Self) -> u64 {
        let (Some(text), Some(from), Some(to)) = (self.text(row), from.text(row), to.text(row))
        else {
            return 0;
        };
        let found = if from.is_empty() {
            text.len() + 1
        } else {
            text.matches(from).count()
        };
        (text.len() as u64).saturating_add((found as u64).saturating_mul(to.len() as u64))
    }

    /// The absolute length of a step in the unit of [`signed`](Self::signed).
    fn step(&self, row: usize) -> Option<u128> {
        if let ArrowType::Interval(_) = self.values.data_type() {
            let target = ArrowType::Interval(IntervalUnit::MonthDayNano);
            let intervals = cast(&self.values, &target).ok()?;
            let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
            let step = intervals.is_valid(row).then(|| intervals.value(row))?;
            const DAY_NANOS: i128 = 86_400_000_000_000;
            let days = i128::from(step.months) * 28 + i128::from(step.days);
            return Some((days * DAY_NANOS + i128::from(step.nanoseconds)).unsigned_abs());
        }
        self.signed(row).map(|step| u128::from(step.unsigned_abs()))
    }
}

fn series_bytes(args: &[Argument], row: usize) -> u64 {
    let (start, stop) = match args {
        [stop] => (Some(0), stop.signed(row)),
        [start, stop, ..] => (start.signed(row), stop.signed(row)),
        [] => return 0,
    };
    let (Some(start), Some(stop)) = (start, stop) else {
        return 0;
    };
    let step = args
        .get(2)
        .map_or(Some(1), |step| step.step(row))
        .unwrap_or(1)
        .max(1);
    let span = (i128::from(stop) - i128::from(start)).unsigned_abs();
    u64::try_from((span / step).saturating_add(1).saturating_mul(8)).unwrap_or(u64::MAX)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl Bounded {
    fn refused<T>(&self) -> Result<T> {
        exec_err!(
            "{}() gives more than {VALUES_BYTES_MAX} bytes",
            self.inner.name()
        )
    }

    /// Rows after which a part ends, for parts that each stay below the bound.
    fn parts(&self, args: &ScalarFunctionArgs) -> Result<Vec<usize>> {
        let scalars = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalars { 1 } else { args.number_rows };
        let known = args
            .args
            .iter()
            .map(|arg| Argument::new(arg, rows))
            .collect::<Result<Vec<_>>>()?;
        let mut ends = Vec::new();
        let mut bytes = 0_u64;
        for row in 0..rows {
            let more = self.growth.estimate(&known, row);
            if more > VALUES_BYTES_MAX as u64 {
                return self.refused();
            }
            if bytes + more > VALUES_BYTES_MAX as u64 {
                if self.growth == Growth::Work {
                    return self.refused();
                }
                ends.push(row);
                bytes = 0;
            }
            bytes += more;
        }
        ends.push(args.number_rows);
        Ok(ends)
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[ArrowType]) -> Result<ArrowType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[ArrowType]) -> Result<Vec<ArrowType>> {
        self.inner.coerce_types(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ends = self.parts(&args)?;
        if ends.len() == 1 {
            return self.inner.invoke_with_args(args);
        }
        let (mut parts, mut bytes, mut start) = (Vec::with_capacity(ends.len()), 0, 0);
        for end in ends {
            let slice = |arg: &ColumnarValue| match arg {
                ColumnarValue::Array(array) => {
                    ColumnarValue::Array(array.slice(start, end - start))
                }
                scalar => scalar.clone(),
            };
            let part = ScalarFunctionArgs {
                args: args.args.iter().map(slice).collect(),
                arg_fields: args.arg_fields.clone(),
                number_rows: end - start,
                return_field: Arc::clone(&args.return_field),
                config_options: Arc::clone(&args.config_options),
            };
            let values = self.inner.invoke_with_args(part)?.to_array(end - start)?;
            bytes += values.get_array_memory_size();
            if bytes > 2 * VALUES_BYTES_MAX {
                return self.refused();
            }
            parts.push(values);
            start = end;
        }
        let parts = parts.iter().map(AsRef::as_ref).collect::<Vec<_>>();
        Ok(ColumnarValue::Array(concat(&parts)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_any_unit_are_counted() {
        let int = |n: i64| Argument::new(&ColumnarValue::Scalar(n.into()), 1).unwrap();
        assert_eq!(series_bytes(&[int(9)], 0), 80);
        assert_eq!(
            series_bytes(&[int(0), int(10_000_000_000)], 0),
            80_000_000_008
        );
        assert_eq!(series_bytes(&[int(0), int(100), int(50)], 0), 24);
    }
}
