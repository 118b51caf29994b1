//! Result types and common types, by the rules of DataFusion.
//!
//! JSON and UUID are text to DataFusion, so they are text here wherever two types meet.

use kalam_link_core::{DataType, Decimal, Value};

use super::Arithmetic;

/// Type of a part of an expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ty {
    /// The type of a bare NULL.
    Null,
    /// Depends on a parameter.
    Unknown,
    Known(DataType),
}

impl Ty {
    pub(crate) const fn known(self) -> Option<DataType> {
        match self {
            Self::Known(data_type) => Some(data_type),
            Self::Null | Self::Unknown => None,
        }
    }

    pub(crate) fn of(value: &Value) -> Self {
        value.data_type().map_or(Self::Null, Self::Known)
    }

    /// Whether the value can be a truth value.
    pub(crate) const fn may_be_boolean(self) -> bool {
        matches!(
            self,
            Self::Null | Self::Unknown | Self::Known(DataType::Boolean)
        )
    }

    /// Whether the value can be text.
    pub(crate) const fn may_be_text(self) -> bool {
        match self {
            Self::Null | Self::Unknown => true,
            Self::Known(data_type) => is_text(data_type),
        }
    }
}

pub(crate) const fn is_text(data_type: DataType) -> bool {
    matches!(data_type, DataType::Text | DataType::Json | DataType::Uuid)
}

/// Rank of an integer type by width; `None` for the others.
const fn integer_rank(data_type: DataType) -> Option<u8> {
    match data_type {
        DataType::SmallInt => Some(1),
        DataType::Int => Some(2),
        DataType::BigInt => Some(3),
        _ => None,
    }
}

pub(crate) const fn is_integer(data_type: DataType) -> bool {
    integer_rank(data_type).is_some()
}

pub(crate) const fn is_numeric(data_type: DataType) -> bool {
    is_integer(data_type)
        || matches!(
            data_type,
            DataType::Float | DataType::Double | DataType::Decimal { .. }
        )
}

const fn is_point_in_time(data_type: DataType) -> bool {
    matches!(data_type, DataType::Timestamp | DataType::DateTime)
}

/// Integers and floats of different widths.
fn wider_number(left: DataType, right: DataType) -> Option<DataType> {
    if !is_numeric(left) || !is_numeric(right) {
        return None;
    }
    let either = |wanted| left == wanted || right == wanted;
    if either(DataType::Double) {
        return Some(DataType::Double);
    }
    if either(DataType::Float) {
        return Some(DataType::Float);
    }
    match (integer_rank(left), integer_rank(right)) {
        (Some(a), Some(b)) => Some(if a >= b { left } else { right }),
        _ => None,
    }
}

/// The decimal that holds each value of an integer type: precision and scale.
const fn integer_as_decimal(data_type: DataType) -> Option<(u8, u8)> {
    match data_type {
        DataType::SmallInt => Some((5, 0)),
        DataType::Int => Some((10, 0)),
        DataType::BigInt => Some((20, 0)),
        DataType::Decimal { precision, scale } => Some((precision, scale)),
        _ => None,
    }
}

/// The decimal as which a number is compared with decimals.
const fn number_as_decimal(data_type: DataType) -> Option<(u8, u8)> {
    match data_type {
        DataType::Float => Some((14, 7)),
        DataType::Double => Some((30, 15)),
        other => integer_as_decimal(other),
    }
}

fn capped(precision: u8, scale: u8) -> DataType {
    DataType::Decimal {
        precision: precision.clamp(1, Decimal::PRECISION_MAX),
        scale,
    }
}

fn wider_decimal((p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> DataType {
    let scale = s1.max(s2);
    let whole = p1.saturating_sub(s1).max(p2.saturating_sub(s2));
    capped(whole.saturating_add(scale), scale)
}

/// Numbers of any two types, for comparisons and branches: decimals win over floats.
fn common_number(left: DataType, right: DataType) -> Option<DataType> {
    let decimal = |data_type| matches!(data_type, DataType::Decimal { .. });
    if decimal(left) || decimal(right) {
        return Some(wider_decimal(
            number_as_decimal(left)?,
            number_as_decimal(right)?,
        ));
    }
    wider_number(left, right)
}

/// The type as which two values are compared; `None` if they cannot be, or in a way of its own.
pub(crate) fn comparison_type(left: DataType, right: DataType) -> Option<DataType> {
    use DataType as D;
    if matches!(left, D::Embedding(_)) || matches!(right, D::Embedding(_)) {
        return None;
    }
    if left == right {
        return Some(left);
    }
    if let Some(number) = common_number(left, right) {
        return Some(number);
    }
    match (left, right) {
        _ if is_text(left) && is_text(right) => Some(D::Text),
        (text, other) | (other, text)
            if is_text(text)
                && (is_numeric(other)
                    || is_point_in_time(other)
                    || matches!(other, D::Date | D::Time | D::Bytes)) =>
        {
            Some(other)
        }
        _ if is_point_in_time(left) && is_point_in_time(right) => Some(D::DateTime),
        (D::Date, other) | (other, D::Date) if is_point_in_time(other) => Some(D::Timestamp),
        _ => None,
    }
}

/// The type of a value that is one of several branches (CASE).
pub(crate) fn union_type(left: DataType, right: DataType) -> Option<DataType> {
    use DataType as D;
    if matches!(left, D::Embedding(_)) || matches!(right, D::Embedding(_)) {
        return (left == right).then_some(left);
    }
    if is_text(left) && is_text(right) {
        return Some(D::Text);
    }
    if left == right {
        return Some(left);
    }
    if let Some(number) = common_number(left, right) {
        return Some(number);
    }
    let text_and_number =
        (is_text(left) && is_numeric(right)) || (is_text(right) && is_numeric(left));
    if text_and_number {
        return Some(D::Text);
    }
    (is_point_in_time(left) && is_point_in_time(right)).then_some(D::DateTime)
}

/// Folds types with `common`. `None` if one pair has no common type.
pub(crate) fn fold_types(
    types: impl IntoIterator<Item = Ty>,
    common: fn(DataType, DataType) -> Option<DataType>,
) -> Option<Ty> {
    let mut folded = Ty::Null;
    for ty in types {
        folded = match (folded, ty) {
            (Ty::Unknown, _) | (_, Ty::Unknown) => Ty::Unknown,
            (Ty::Null, other) | (other, Ty::Null) => other,
            (Ty::Known(left), Ty::Known(right)) => Ty::Known(common(left, right)?),
        };
    }
    Some(folded)
}

/// Type of the result of an arithmetic operator; `None` if the planner must see to it.
pub(crate) fn arithmetic_type(operator: Arithmetic, left: Ty, right: Ty) -> Option<Ty> {
    let (left, right) = match (left, right) {
        (Ty::Null, Ty::Null) => return Some(Ty::Known(DataType::BigInt)),
        (Ty::Null, Ty::Known(other)) | (Ty::Known(other), Ty::Null) if is_numeric(other) => {
            (other, other)
        }
        (Ty::Known(left), Ty::Known(right)) => (left, right),
        (Ty::Unknown, _) | (_, Ty::Unknown) => return Some(Ty::Unknown),
        (Ty::Null, _) | (_, Ty::Null) => return None,
    };
    arithmetic_of_known(operator, left, right).map(Ty::Known)
}

fn arithmetic_of_known(operator: Arithmetic, left: DataType, right: DataType) -> Option<DataType> {
    match (operator, left, right) {
        (Arithmetic::Subtract, DataType::Date, DataType::Date) => return Some(DataType::BigInt),
        (Arithmetic::Add | Arithmetic::Subtract, DataType::Date, days) if is_integer(days) => {
            return Some(DataType::Date);
        }
        (Arithmetic::Add, days, DataType::Date) if is_integer(days) => return Some(DataType::Date),
        _ => {}
    }
    if let Some(number) = wider_number(left, right) {
        return Some(number);
    }
    decimal_type(
        operator,
        integer_as_decimal(left)?,
        integer_as_decimal(right)?,
    )
}

/// Precision and scale of the result of an operator on decimals.
fn decimal_type(operator: Arithmetic, (p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> Option<DataType> {
    let scale = decimal_scale(operator, s1, s2)?;
    let (whole1, whole2) = (p1.saturating_sub(s1), p2.saturating_sub(s2));
    let precision = match operator {
        Arithmetic::Add | Arithmetic::Subtract => {
            whole1.max(whole2).saturating_add(scale).saturating_add(1)
        }
        Arithmetic::Multiply => p1.saturating_add(p2).saturating_add(1),
        Arithmetic::Divide => (scale - s1).saturating_add(s2).saturating_add(p1),
        Arithmetic::Remainder => whole1.min(whole2).saturating_add(scale),
    };
    Some(capped(precision, scale))
}

/// Scale of the result of an operator on decimals; `None` if it has more digits than a decimal can.
pub(crate) fn decimal_scale(operator: Arithmetic, s1: u8, s2: u8) -> Option<u8> {
    // DataFusion adds four digits to a quotient, as PostgreSQL does.
    const QUOTIENT_DIGITS: u8 = 4;
    match operator {
        Arithmetic::Add | Arithmetic::Subtract | Arithmetic::Remainder => Some(s1.max(s2)),
        Arithmetic::Multiply => s1
            .checked_add(s2)
            .filter(|scale| *scale <= Decimal::PRECISION_MAX),
        Arithmetic::Divide => Some(
            s1.saturating_add(QUOTIENT_DIGITS)
                .min(Decimal::PRECISION_MAX),
        ),
    }
}
