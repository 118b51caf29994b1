//! Puts the values of one statement into a compiled expression: parameters and CURRENT_USER() become constants, and the
//! types that depended on them are settled by the rules by which they were compiled. What remains depends on the row
//! alone.

use kalam_link_core::{DataType, UserId, Value};
use serde_json::Value as Json;
use sqlparser::ast;

use super::compile::{
    cast_to, constant, depends_on_constants_alone, fold, has_text_form, not_simple, unify_branches,
    unify_compared,
};
use super::sides::to_comparable;
use super::types::{arithmetic_type, is_numeric, union_type};
use super::{Node, RowValues, Ty, Typed};
use crate::error::Error;
use crate::functions::Function;
use crate::params;

/// What the expression is settled with.
#[derive(Clone, Copy)]
pub(crate) struct Settle<'a> {
    pub params: &'a [Json],
    pub user: &'a UserId,
    /// The whole expression as written, for messages.
    pub ast: &'a ast::Expr,
}

impl Settle<'_> {
    /// A function whose value changes from call to call or with time is refused by name.
    pub(crate) fn expr(&self, typed: Typed) -> Result<Typed, Error> {
        let Typed { node, ty } = typed;
        let (node, ty) = match node {
            Node::Constant(_) | Node::Column(_) | Node::Excluded(_) | Node::Seq => (node, ty),
            Node::Parameter { index, data_type } => {
                return params::read(self.params, index, data_type).map(constant);
            }
            Node::Cast {
                input,
                target,
                on_failure,
            } => return cast_to(self.expr(*input)?, target, on_failure, self.ast),
            Node::Negate(input) => {
                let input = self.expr(*input)?;
                self.check(input.ty.known().is_none_or(is_numeric))?;
                let ty = input.ty;
                (Node::Negate(Box::new(input)), ty)
            }
            Node::Arithmetic { operator, operands } => {
                let operands = self.pair(*operands)?;
                let ty = arithmetic_type(operator, operands[0].ty, operands[1].ty)
                    .ok_or_else(|| not_simple(self.ast))?;
                (Node::Arithmetic { operator, operands }, ty)
            }
            Node::Case {
                operand,
                branches,
                otherwise,
            } => self.case(operand, branches, *otherwise)?,
            Node::Call {
                function,
                arguments,
            } => self.call(function, arguments)?,
            test => (self.test(test)?, ty),
        };
        Ok(fold(Typed { node, ty }))
    }

    /// What gives a truth value, and text from two operands.
    fn test(&self, node: Node) -> Result<Node, Error> {
        Ok(match node {
            Node::Concat(operands) => {
                let operands = self.pair(*operands)?;
                let types = [operands[0].ty, operands[1].ty];
                let has_text = types.iter().all(|ty| ty.known().is_none_or(has_text_form));
                self.check(has_text && types.iter().any(|ty| ty.may_be_text()))?;
                Node::Concat(operands)
            }
            Node::Compare { operator, operands } => Node::Compare {
                operator,
                operands: self.comparable(*operands)?,
            },
            Node::IsDistinct(operands) => Node::IsDistinct(self.comparable(*operands)?),
            Node::And(operands) => Node::And(self.conditions(operands)?),
            Node::Or(operands) => Node::Or(self.conditions(operands)?),
            Node::Not(input) => Node::Not(Box::new(self.condition(*input)?)),
            Node::IsNull(input) => Node::IsNull(Box::new(self.expr(*input)?)),
            Node::Is { input, truth } => Node::Is {
                input: Box::new(self.condition(*input)?),
                truth,
            },
            Node::InList { input, list } => {
                let (list, input) = unify_compared(self.all(list)?, self.expr(*input)?, self.ast)?;
                Node::InList {
                    input: Box::new(input),
                    list,
                }
            }
            Node::Between(operands) => {
                let [input, low, high] = *operands;
                let bounds = vec![self.expr(low)?, self.expr(high)?];
                let (bounds, input) = unify_compared(bounds, self.expr(input)?, self.ast)?;
                let [low, high] =
                    <[Typed; 2]>::try_from(bounds).map_err(|_| not_simple(self.ast))?;
                Node::Between(Box::new([input, low, high]))
            }
            Node::Like {
                operands,
                escape,
                letters,
            } => {
                let operands = self.pair(*operands)?;
                self.check(operands.iter().all(|operand| operand.ty.may_be_text()))?;
                Node::Like {
                    operands,
                    escape,
                    letters,
                }
            }
            other => other,
        })
    }

    fn case(
        &self,
        operand: Option<Box<Typed>>,
        branches: Vec<(Typed, Typed)>,
        otherwise: Typed,
    ) -> Result<(Node, Ty), Error> {
        let mut whens = Vec::with_capacity(branches.len());
        let mut results = Vec::with_capacity(branches.len() + 1);
        for (when, result) in branches {
            whens.push(self.expr(when)?);
            results.push(self.expr(result)?);
        }
        results.push(self.expr(otherwise)?);
        let operand = match operand {
            None => {
                self.check(whens.iter().all(|when| when.ty.may_be_boolean()))?;
                None
            }
            Some(operand) => {
                let (unified, operand) = unify_compared(whens, self.expr(*operand)?, self.ast)?;
                whens = unified;
                Some(Box::new(operand))
            }
        };
        let (mut results, ty) = unify_branches(results, union_type, self.ast)?;
        let otherwise = Box::new(results.pop().ok_or_else(|| not_simple(self.ast))?);
        let branches = whens.into_iter().zip(results).collect();
        let node = Node::Case {
            operand,
            branches,
            otherwise,
        };
        Ok((node, ty))
    }

    fn call(&self, function: Function, arguments: Vec<Typed>) -> Result<(Node, Ty), Error> {
        match function {
            Function::CurrentUser => {
                let user = constant(Value::Text(self.user.as_str().to_owned()));
                return Ok((user.node, user.ty));
            }
            Function::Now
            | Function::CurrentDate
            | Function::SnowflakeId
            | Function::UuidV7
            | Function::Ulid => return Err(not_simple(self.ast)),
            _ => {}
        }
        let arguments = self.all(arguments)?;
        let (arguments, ty) = match function.common_type() {
            Some(common) => unify_branches(arguments, common, self.ast)?,
            None => {
                let types: Vec<Ty> = arguments.iter().map(|argument| argument.ty).collect();
                let ty = function
                    .result_type(&types)
                    .ok_or_else(|| not_simple(self.ast))?;
                (arguments, ty)
            }
        };
        let node = Node::Call {
            function,
            arguments,
        };
        Ok((node, ty))
    }

    fn all(&self, list: Vec<Typed>) -> Result<Vec<Typed>, Error> {
        list.into_iter().map(|item| self.expr(item)).collect()
    }

    fn pair(&self, operands: [Typed; 2]) -> Result<Box<[Typed; 2]>, Error> {
        let [left, right] = operands;
        Ok(Box::new([self.expr(left)?, self.expr(right)?]))
    }

    fn comparable(&self, operands: [Typed; 2]) -> Result<Box<[Typed; 2]>, Error> {
        let [left, right] = *self.pair(operands)?;
        let (left_type, right_type) = (left.ty.known(), right.ty.known());
        Ok(Box::new([
            to_comparable(left, right_type, self.ast)?,
            to_comparable(right, left_type, self.ast)?,
        ]))
    }

    /// A filter. What fails whatever the row is refused, not found out by the first row.
    pub(crate) fn filter(&self, root: Typed) -> Result<Typed, Error> {
        let root = self.condition(root)?;
        check_constants(&root)?;
        self.check(!has_hidden_double_beside_decimal(&root))?;
        Ok(root)
    }

    fn condition(&self, input: Typed) -> Result<Typed, Error> {
        let input = self.expr(input)?;
        self.check(input.ty.may_be_boolean())?;
        Ok(input)
    }

    fn conditions(&self, operands: Vec<Typed>) -> Result<Vec<Typed>, Error> {
        operands
            .into_iter()
            .map(|operand| self.condition(operand))
            .collect()
    }

    fn check(&self, fits: bool) -> Result<(), Error> {
        if fits {
            Ok(())
        } else {
            Err(not_simple(self.ast))
        }
    }
}

/// Constants that were not folded are those that fail.
fn check_constants(typed: &Typed) -> Result<(), Error> {
    if depends_on_constants_alone(typed) {
        return typed.eval(&RowValues::NONE, None).map(|_| ());
    }
    // Which branch is taken is for the row to say.
    if matches!(typed.node, Node::Case { .. }) {
        return Ok(());
    }
    typed.parts().into_iter().try_for_each(check_constants)
}

/// Whether a DOUBLE that is the same for every row, but not written as a number, is compared with a DECIMAL: which
/// decimal it means depends on what the planner has evaluated before it looks.
fn has_hidden_double_beside_decimal(typed: &Typed) -> bool {
    let parts = typed.parts();
    let hidden = |part: &&Typed| {
        matches!(part.ty.known(), Some(DataType::Float | DataType::Double))
            && !matches!(part.node, Node::Constant(_))
            && !names_column(part)
    };
    let is_decimal = |part: &&Typed| matches!(part.ty.known(), Some(DataType::Decimal { .. }));
    let compared = matches!(
        typed.node,
        Node::Compare { .. } | Node::IsDistinct(_) | Node::InList { .. } | Node::Between(_)
    );
    compared && parts.iter().any(is_decimal) && parts.iter().any(hidden)
        || parts.into_iter().any(has_hidden_double_beside_decimal)
}

fn names_column(typed: &Typed) -> bool {
    matches!(typed.node, Node::Column(_) | Node::Excluded(_) | Node::Seq)
        || typed.parts().into_iter().any(names_column)
}
