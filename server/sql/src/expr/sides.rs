//! The two sides of a comparison or an arithmetic operator: what a constant or a parameter means beside the other side's
//! type.

use kalam_link_core::cell::{UuidText, parse_uuid};
use kalam_link_core::{DataType, Value};
use sqlparser::ast;

use super::compile::{cast_to, lone_number, not_simple};
use super::literal::{self, BesideDecimal};
use super::types::{comparison_type, is_text};
use super::{Node, OnFailure, Ty, Typed};
use crate::error::Error;
use crate::eval::cast::invalid;

/// Beside a decimal a number is the decimal that was written, not the DOUBLE next to it. Also says whether a DOUBLE has
/// lost what was written.
pub(super) fn number_beside(side: Typed, written: &ast::Expr, beside: Ty) -> (Typed, bool) {
    if let (Node::Constant(Value::Double(number)), Ty::Known(DataType::Decimal { .. })) =
        (&side.node, beside)
        && lone_number(written).is_some()
    {
        return match literal::beside_decimal(*number) {
            BesideDecimal::Exact(decimal, data_type) => {
                let ty = Ty::Known(data_type);
                let node = Node::Constant(Value::Decimal(decimal));
                (Typed { node, ty }, false)
            }
            BesideDecimal::Rounded => (side, true),
            BesideDecimal::Float => (side, false),
        };
    }
    (side, false)
}

/// [`number_beside`] for comparisons, where a number that was rounded would quietly not match.
pub(super) fn compared_beside(
    side: Typed,
    written: &ast::Expr,
    beside: Ty,
    ast: &ast::Expr,
) -> Result<Typed, Error> {
    match number_beside(side, written, beside) {
        (_, true) => Err(not_simple(ast)),
        (side, false) => Ok(side),
    }
}

/// Prepares one side of a comparison whose other side has type `other`: a constant is cast to the common type once and
/// a parameter takes the form that cells of `other` have. What remains is settled for each pair of values.
pub(super) fn to_comparable(
    side: Typed,
    other: Option<DataType>,
    ast: &ast::Expr,
) -> Result<Typed, Error> {
    let Some(other) = other else { return Ok(side) };
    if let Node::Parameter {
        index,
        data_type: None,
    } = side.node
    {
        if matches!(other, DataType::Decimal { .. }) {
            let data_type = Some(other);
            return Ok(Typed {
                node: Node::Parameter { index, data_type },
                ty: Ty::Unknown,
            });
        }
        let data_type = takes_cells(other).then_some(other);
        let ty = data_type.map_or(Ty::Unknown, Ty::Known);
        return Ok(Typed {
            node: Node::Parameter { index, data_type },
            ty,
        });
    }
    let side = uuid_constant(side, other)?;
    let Some(own) = side.ty.known() else {
        return Ok(side);
    };
    let common = comparison_type(own, other).ok_or_else(|| not_simple(ast))?;
    let settled = own == common
        || is_text(common)
        || matches!(common, DataType::Timestamp | DataType::DateTime) && !is_text(own);
    let constant = matches!(side.node, Node::Constant(_));
    if settled || !constant {
        Ok(side)
    } else {
        cast_to(side, common, OnFailure::Error, ast)
    }
}

/// A text beside a UUID is a UUID, in whatever form it is written; what is none is a mistake and not just another text.
pub(super) fn uuid_constant(mut side: Typed, beside: DataType) -> Result<Typed, Error> {
    if beside == DataType::Uuid
        && let Node::Constant(Value::Text(text)) = &mut side.node
    {
        let uuid = parse_uuid(text).ok_or_else(|| invalid(text, DataType::Uuid))?;
        *text = UuidText(&uuid).to_string();
    }
    Ok(side)
}

/// Types whose cells in JSON are not literals of the type: there a parameter is read as a cell.
pub(crate) const fn takes_cells(data_type: DataType) -> bool {
    matches!(
        data_type,
        DataType::Timestamp
            | DataType::DateTime
            | DataType::Date
            | DataType::Time
            | DataType::Bytes
            | DataType::Uuid
    )
}
