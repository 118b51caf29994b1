//! Syntax tree to [`Expr`]: resolves names, checks types, folds constants.

use kalam_link_core::{DataType, Value};
use kalam_model::TableDef;
use sqlparser::ast::{self, BinaryOperator, UnaryOperator};

use super::literal::{self, Sign};
use super::sides::{compared_beside, number_beside, to_comparable, uuid_constant};
use super::types::{arithmetic_type, comparison_type, fold_types, is_numeric, union_type};
use super::{Arithmetic, ColumnScope, Comparison, Expr, Letters, Node, OnFailure, Ty, Typed, Uses};
use crate::error::Error;
use crate::functions;

/// Deeper expressions go to the planner, which grows its stack.
const DEPTH_MAX: usize = 96;

/// Name of the row that ON CONFLICT found in the way.
const EXCLUDED: &str = "excluded";

/// Name of the column that every table has.
pub(crate) const SEQ: &str = "_seq";

pub(super) fn compile(ast: &ast::Expr, scope: &ColumnScope<'_>) -> Result<Expr, Error> {
    let mut compiler = Compiler {
        scope,
        uses: Uses::default(),
        depth: 0,
    };
    let (root, exact) = match lone_number(ast) {
        Some((digits, sign)) => {
            let exact = literal::exact(digits, sign);
            let value = match (literal::number(digits, sign)?, exact) {
                (Some(value), _) => value,
                (None, Some(integer)) => Value::Decimal(integer),
                (None, None) => return Err(not_simple(ast)),
            };
            (constant(value), exact)
        }
        None => (compiler.expr(ast)?, None),
    };
    Ok(Expr {
        root,
        uses: compiler.uses,
        exact,
    })
}

/// The number that is the whole expression, if it is one.
pub(super) fn lone_number(ast: &ast::Expr) -> Option<(&str, Sign)> {
    match ast {
        ast::Expr::Nested(inner) => lone_number(inner),
        ast::Expr::Value(ast::ValueWithSpan {
            value: ast::Value::Number(digits, _),
            ..
        }) => Some((digits, Sign::Plus)),
        ast::Expr::UnaryOp { op, expr } => match (op, &**expr) {
            (
                UnaryOperator::Minus,
                ast::Expr::Value(ast::ValueWithSpan {
                    value: ast::Value::Number(digits, _),
                    ..
                }),
            ) => Some((digits, Sign::Minus)),
            (UnaryOperator::Plus, inner) => lone_number(inner),
            _ => None,
        },
        _ => None,
    }
}

pub(crate) fn not_simple(ast: &ast::Expr) -> Error {
    Error::NotSimple(shorten(ast))
}

/// The beginning of an expression, for messages.
pub(crate) fn shorten(ast: &ast::Expr) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    let text = ast.to_string();
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

pub(super) fn constant(value: Value) -> Typed {
    Typed {
        ty: Ty::of(&value),
        node: Node::Constant(value),
    }
}

fn boolean(node: Node) -> Typed {
    Typed {
        node,
        ty: Ty::Known(DataType::Boolean),
    }
}

pub(super) struct Compiler<'a> {
    scope: &'a ColumnScope<'a>,
    pub(super) uses: Uses,
    depth: usize,
}

impl Compiler<'_> {
    pub(super) fn expr(&mut self, ast: &ast::Expr) -> Result<Typed, Error> {
        if self.depth == DEPTH_MAX {
            return Err(Error::NotSimple(
                "an expression nested this deeply".to_owned(),
            ));
        }
        self.depth += 1;
        let compiled = self.expr_inside(ast);
        self.depth -= 1;
        compiled.map(fold)
    }

    fn expr_inside(&mut self, ast: &ast::Expr) -> Result<Typed, Error> {
        use ast::Expr as E;
        match ast {
            E::Nested(inner) => self.expr(inner),
            E::Value(value) => self.value(&value.value, ast),
            E::TypedString(typed) => self.typed_string(typed, ast),
            E::Identifier(name) => self.column(&[name]),
            E::CompoundIdentifier(parts) => self.column(&parts.iter().collect::<Vec<_>>()),
            E::UnaryOp { op, expr } => self.unary(*op, expr, ast),
            E::BinaryOp { left, op, right } => self.binary(left, op, right, ast),
            E::InList {
                expr,
                list,
                negated,
            } => self
                .in_list(expr, list, ast)
                .map(|found| negate_if(*negated, found)),
            E::Between {
                expr,
                negated,
                low,
                high,
            } => self
                .between([expr, low, high], ast)
                .map(|found| negate_if(*negated, found)),
            E::Like {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => self
                .like(expr, pattern, escape_char.as_ref(), Letters::Exact, ast)
                .map(|found| negate_if(*negated, found)),
            E::ILike {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => self
                .like(expr, pattern, escape_char.as_ref(), Letters::Folded, ast)
                .map(|found| negate_if(*negated, found)),
            E::Cast {
                kind,
                expr,
                data_type,
                array: false,
                format: None,
            } => self.cast(kind, expr, data_type, ast),
            E::Case {
                operand,
                conditions,
                else_result,
                ..
            } => self.case(operand.as_deref(), conditions, else_result.as_deref(), ast),
            E::Function(function) => self.function(function, ast),
            _ => self.test(ast),
        }
    }

    /// `IS …`, which is never NULL.
    fn test(&mut self, ast: &ast::Expr) -> Result<Typed, Error> {
        use ast::Expr as E;
        match ast {
            E::IsNull(inner) => self.is_null(inner),
            E::IsNotNull(inner) => self.is_null(inner).map(negate),
            E::IsTrue(inner) => self.is(inner, Some(true), ast),
            E::IsNotTrue(inner) => self.is(inner, Some(true), ast).map(negate),
            E::IsFalse(inner) => self.is(inner, Some(false), ast),
            E::IsNotFalse(inner) => self.is(inner, Some(false), ast).map(negate),
            E::IsUnknown(inner) => self.is(inner, None, ast),
            E::IsNotUnknown(inner) => self.is(inner, None, ast).map(negate),
            E::IsDistinctFrom(left, right) => self.distinct(left, right, ast),
            E::IsNotDistinctFrom(left, right) => self.distinct(left, right, ast).map(negate),
            _ => Err(not_simple(ast)),
        }
    }

    fn value(&mut self, value: &ast::Value, ast: &ast::Expr) -> Result<Typed, Error> {
        match value {
            ast::Value::Number(digits, _) => literal::number(digits, Sign::Plus)?
                .map(constant)
                .ok_or_else(|| not_simple(ast)),
            ast::Value::Placeholder(text) => {
                self.uses.parameters = true;
                let index = literal::placeholder(text)?;
                Ok(Typed {
                    node: Node::Parameter {
                        index,
                        data_type: None,
                    },
                    ty: Ty::Unknown,
                })
            }
            other => literal::other(other).map(constant),
        }
    }

    fn typed_string(&mut self, typed: &ast::TypedString, ast: &ast::Expr) -> Result<Typed, Error> {
        let target = cast_target(&typed.data_type).ok_or_else(|| not_simple(ast))?;
        cast_to(
            constant(literal::other(&typed.value.value)?),
            target,
            OnFailure::Error,
            ast,
        )
    }

    fn column(&mut self, parts: &[&ast::Ident]) -> Result<Typed, Error> {
        let names: Vec<String> = parts.iter().map(|part| crate::fold(part)).collect();
        let unknown = || Error::UnknownColumn {
            column: names.join("."),
        };
        let (name, qualifier) = names.split_last().ok_or_else(unknown)?;
        let (table, alias, has_excluded) = match *self.scope {
            ColumnScope::None => return Err(unknown()),
            ColumnScope::Table { table, alias } => (table, alias, false),
            ColumnScope::TableAndExcluded { table, alias } => (table, alias, true),
        };
        self.uses.columns = true;
        if has_excluded && qualifier == [EXCLUDED] {
            let index = table.column_index(name).ok_or_else(unknown)?;
            return Ok(column_of(table, index, Node::Excluded(index)));
        }
        if !qualifies(qualifier, table, alias) {
            return Err(unknown());
        }
        if name == SEQ {
            return Ok(Typed {
                node: Node::Seq,
                ty: Ty::Known(DataType::BigInt),
            });
        }
        let index = table.column_index(name).ok_or_else(unknown)?;
        Ok(column_of(table, index, Node::Column(index)))
    }

    fn unary(
        &mut self,
        op: UnaryOperator,
        inner: &ast::Expr,
        ast: &ast::Expr,
    ) -> Result<Typed, Error> {
        match op {
            UnaryOperator::Not => {
                let input = self.expr(inner)?;
                if !input.ty.may_be_boolean() {
                    return Err(not_simple(ast));
                }
                Ok(negate(input))
            }
            UnaryOperator::Minus | UnaryOperator::Plus => {
                let sign = if op == UnaryOperator::Minus {
                    Sign::Minus
                } else {
                    Sign::Plus
                };
                if let ast::Expr::Value(ast::ValueWithSpan {
                    value: ast::Value::Number(digits, _),
                    ..
                }) = inner
                {
                    return literal::number(digits, sign)?
                        .map(constant)
                        .ok_or_else(|| not_simple(ast));
                }
                let input = self.expr(inner)?;
                let numeric = input.ty.known().is_none_or(is_numeric);
                match sign {
                    _ if !numeric => Err(not_simple(ast)),
                    Sign::Plus => Ok(input),
                    Sign::Minus => Ok(Typed {
                        ty: input.ty,
                        node: Node::Negate(Box::new(input)),
                    }),
                }
            }
            _ => Err(not_simple(ast)),
        }
    }

    fn binary(
        &mut self,
        left: &ast::Expr,
        op: &BinaryOperator,
        right: &ast::Expr,
        ast: &ast::Expr,
    ) -> Result<Typed, Error> {
        let arithmetic = match op {
            BinaryOperator::Plus => Arithmetic::Add,
            BinaryOperator::Minus => Arithmetic::Subtract,
            BinaryOperator::Multiply => Arithmetic::Multiply,
            BinaryOperator::Divide => Arithmetic::Divide,
            BinaryOperator::Modulo => Arithmetic::Remainder,
            BinaryOperator::And | BinaryOperator::Or => return self.junction(op, ast),
            BinaryOperator::StringConcat => return self.concat(left, right, ast),
            BinaryOperator::Eq => return self.compare(Comparison::Equal, left, right, ast),
            BinaryOperator::NotEq => return self.compare(Comparison::NotEqual, left, right, ast),
            BinaryOperator::Lt => return self.compare(Comparison::Less, left, right, ast),
            BinaryOperator::LtEq => return self.compare(Comparison::LessOrEqual, left, right, ast),
            BinaryOperator::Gt => return self.compare(Comparison::Greater, left, right, ast),
            BinaryOperator::GtEq => {
                return self.compare(Comparison::GreaterOrEqual, left, right, ast);
            }
            _ => return Err(not_simple(ast)),
        };
        let operands = match (op, [self.expr(left)?, self.expr(right)?]) {
            (BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply, [a, b]) => {
                let types = [a.ty, b.ty];
                [
                    number_beside(a, left, types[1]).0,
                    number_beside(b, right, types[0]).0,
                ]
            }
            (_, operands) => operands,
        };
        let ty = arithmetic_type(arithmetic, operands[0].ty, operands[1].ty)
            .ok_or_else(|| not_simple(ast))?;
        Ok(Typed {
            node: Node::Arithmetic {
                operator: arithmetic,
                operands: Box::new(operands),
            },
            ty,
        })
    }

    /// A chain of AND or OR is one node, however the parser nests it.
    fn junction(&mut self, op: &BinaryOperator, ast: &ast::Expr) -> Result<Typed, Error> {
        let mut pending = vec![ast];
        let mut operands = Vec::new();
        while let Some(next) = pending.pop() {
            match next {
                ast::Expr::BinaryOp {
                    left,
                    op: inner,
                    right,
                } if inner == op => {
                    pending.extend([&**right, &**left]);
                }
                operand => {
                    let operand = self.expr(operand)?;
                    if !operand.ty.may_be_boolean() {
                        return Err(not_simple(ast));
                    }
                    operands.push(operand);
                }
            }
        }
        Ok(boolean(if *op == BinaryOperator::And {
            Node::And(operands)
        } else {
            Node::Or(operands)
        }))
    }

    fn concat(
        &mut self,
        left: &ast::Expr,
        right: &ast::Expr,
        ast: &ast::Expr,
    ) -> Result<Typed, Error> {
        let operands = [self.expr(left)?, self.expr(right)?];
        let types = [operands[0].ty, operands[1].ty];
        let one_is_text = types.iter().any(|ty| ty.may_be_text());
        let all_have_text = types.iter().all(|ty| ty.known().is_none_or(has_text_form));
        if !one_is_text || !all_have_text {
            return Err(not_simple(ast));
        }
        Ok(Typed {
            node: Node::Concat(Box::new(operands)),
            ty: Ty::Known(DataType::Text),
        })
    }

    fn compare(
        &mut self,
        operator: Comparison,
        left: &ast::Expr,
        right: &ast::Expr,
        ast: &ast::Expr,
    ) -> Result<Typed, Error> {
        let operands = self.comparable(left, right, ast)?;
        Ok(boolean(Node::Compare {
            operator,
            operands: Box::new(operands),
        }))
    }

    fn distinct(
        &mut self,
        left: &ast::Expr,
        right: &ast::Expr,
        ast: &ast::Expr,
    ) -> Result<Typed, Error> {
        Ok(boolean(Node::IsDistinct(Box::new(
            self.comparable(left, right, ast)?,
        ))))
    }

    fn comparable(
        &mut self,
        left: &ast::Expr,
        right: &ast::Expr,
        ast: &ast::Expr,
    ) -> Result<[Typed; 2], Error> {
        let sides = [self.expr(left)?, self.expr(right)?];
        let types = [sides[0].ty, sides[1].ty];
        let [a, b] = sides;
        let left = compared_beside(a, left, types[1], ast)?;
        let right = compared_beside(b, right, types[0], ast)?;
        let (left_type, right_type) = (left.ty.known(), right.ty.known());
        Ok([
            to_comparable(left, right_type, ast)?,
            to_comparable(right, left_type, ast)?,
        ])
    }

    fn is_null(&mut self, inner: &ast::Expr) -> Result<Typed, Error> {
        Ok(boolean(Node::IsNull(Box::new(self.expr(inner)?))))
    }

    fn is(
        &mut self,
        inner: &ast::Expr,
        truth: Option<bool>,
        ast: &ast::Expr,
    ) -> Result<Typed, Error> {
        let input = self.expr(inner)?;
        if !input.ty.may_be_boolean() {
            return Err(not_simple(ast));
        }
        Ok(boolean(Node::Is {
            input: Box::new(input),
            truth,
        }))
    }

    fn in_list(
        &mut self,
        input: &ast::Expr,
        list: &[ast::Expr],
        ast: &ast::Expr,
    ) -> Result<Typed, Error> {
        let input = self.expr(input)?;
        let list = list
            .iter()
            .map(|item| compared_beside(self.expr(item)?, item, input.ty, ast))
            .collect::<Result<Vec<_>, _>>()?;
        let (mut list, input) = unify_compared(list, input, ast)?;
        list.shrink_to_fit();
        Ok(boolean(Node::InList {
            input: Box::new(input),
            list,
        }))
    }

    fn between(&mut self, operands: [&ast::Expr; 3], ast: &ast::Expr) -> Result<Typed, Error> {
        let [input, low, high] = operands;
        let input = self.expr(input)?;
        let bounds = vec![
            compared_beside(self.expr(low)?, low, input.ty, ast)?,
            compared_beside(self.expr(high)?, high, input.ty, ast)?,
        ];
        let (bounds, input) = unify_compared(bounds, input, ast)?;
        let [low, high] = <[Typed; 2]>::try_from(bounds).map_err(|_| not_simple(ast))?;
        Ok(boolean(Node::Between(Box::new([input, low, high]))))
    }

    fn like(
        &mut self,
        input: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::ValueWithSpan>,
        letters: Letters,
        ast: &ast::Expr,
    ) -> Result<Typed, Error> {
        const ESCAPE_DEFAULT: char = '\\';
        let escape = match escape.map(|escape| &escape.value) {
            None => ESCAPE_DEFAULT,
            Some(ast::Value::SingleQuotedString(text)) => {
                let mut characters = text.chars();
                match (characters.next(), characters.next()) {
                    (Some(character), None) => character,
                    _ => return Err(Error::invalid("ESCAPE takes one character")),
                }
            }
            Some(_) => return Err(not_simple(ast)),
        };
        let operands = [self.expr(input)?, self.expr(pattern)?];
        if !operands.iter().all(|operand| operand.ty.may_be_text()) {
            return Err(not_simple(ast));
        }
        Ok(boolean(Node::Like {
            operands: Box::new(operands),
            escape,
            letters,
        }))
    }

    fn cast(
        &mut self,
        kind: &ast::CastKind,
        inner: &ast::Expr,
        data_type: &ast::DataType,
        ast: &ast::Expr,
    ) -> Result<Typed, Error> {
        let target = cast_target(data_type).ok_or_else(|| not_simple(ast))?;
        let on_failure = match kind {
            ast::CastKind::Cast | ast::CastKind::DoubleColon => OnFailure::Error,
            ast::CastKind::TryCast | ast::CastKind::SafeCast => OnFailure::Null,
        };
        cast_to(self.expr(inner)?, target, on_failure, ast)
    }

    fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&ast::Expr>,
        ast: &ast::Expr,
    ) -> Result<Typed, Error> {
        let mut whens = Vec::with_capacity(conditions.len());
        let mut results = Vec::with_capacity(conditions.len() + 1);
        for ast::CaseWhen { condition, result } in conditions {
            whens.push(self.expr(condition)?);
            results.push(self.expr(result)?);
        }
        results
            .push(otherwise.map_or(Ok(constant(Value::Null)), |otherwise| self.expr(otherwise))?);
        let operand = match operand {
            None if whens.iter().all(|when| when.ty.may_be_boolean()) => None,
            None => return Err(not_simple(ast)),
            Some(operand) => {
                let operand = self.expr(operand)?;
                let (unified, operand) = unify_compared(whens, operand, ast)?;
                whens = unified;
                Some(Box::new(operand))
            }
        };
        let (mut results, ty) = unify_branches(results, union_type, ast)?;
        let otherwise = Box::new(results.pop().ok_or_else(|| not_simple(ast))?);
        let branches = whens.into_iter().zip(results).collect();
        Ok(Typed {
            node: Node::Case {
                operand,
                branches,
                otherwise,
            },
            ty,
        })
    }

    fn function(&mut self, function: &ast::Function, ast: &ast::Expr) -> Result<Typed, Error> {
        let (name, arguments) = functions::simple_call(function).ok_or_else(|| not_simple(ast))?;
        let function = functions::Function::find(&name).ok_or_else(|| not_simple(ast))?;
        if !function.takes(arguments.len()) {
            return Err(Error::ArgumentCount {
                function: name,
                given: arguments.len(),
            });
        }
        let arguments = arguments
            .into_iter()
            .map(|argument| self.expr(argument))
            .collect::<Result<Vec<_>, _>>()?;
        self.uses.volatile |= function.is_volatile();
        let (arguments, ty) = match function.common_type() {
            Some(common) => unify_branches(arguments, common, ast)?,
            None => {
                let types: Vec<Ty> = arguments.iter().map(|argument| argument.ty).collect();
                let ty = function
                    .result_type(&types)
                    .ok_or_else(|| not_simple(ast))?;
                (arguments, ty)
            }
        };
        Ok(Typed {
            node: Node::Call {
                function,
                arguments,
            },
            ty,
        })
    }
}

/// Whether `qualifier` (nothing, a table or alias, or namespace and table) means the table in scope.
pub(crate) fn qualifies(qualifier: &[String], table: &TableDef, alias: Option<&str>) -> bool {
    match (qualifier, alias) {
        ([], _) => true,
        ([name], Some(alias)) => name == alias,
        ([name], None) => **name == *table.id.name,
        ([namespace, name], None) => {
            namespace == table.id.namespace.as_str() && **name == *table.id.name
        }
        _ => false,
    }
}

fn column_of(table: &TableDef, index: usize, node: Node) -> Typed {
    Typed {
        node,
        ty: Ty::Known(table.columns[index].data_type),
    }
}

fn negate(input: Typed) -> Typed {
    fold(boolean(Node::Not(Box::new(input))))
}

fn negate_if(negated: bool, input: Typed) -> Typed {
    if negated { negate(input) } else { input }
}

pub(super) const fn has_text_form(data_type: DataType) -> bool {
    !matches!(data_type, DataType::Bytes | DataType::Embedding(_))
}

/// Brings all to the one type in which DataFusion compares them.
pub(super) fn unify_compared(
    others: Vec<Typed>,
    input: Typed,
    ast: &ast::Expr,
) -> Result<(Vec<Typed>, Typed), Error> {
    let types = std::iter::once(input.ty).chain(others.iter().map(|other| other.ty));
    let common = fold_types(types, comparison_type)
        .ok_or_else(|| not_simple(ast))?
        .known();
    let input_type = input.ty.known();
    let others = others
        .into_iter()
        .map(|other| {
            let other = match input_type {
                Some(input_type) => uuid_constant(other, input_type)?,
                None => other,
            };
            let parameter = matches!(other.node, Node::Parameter { .. });
            to_comparable(other, if parameter { input_type } else { common }, ast)
        })
        .collect::<Result<_, _>>()?;
    Ok((others, to_comparable(input, common, ast)?))
}

pub(super) fn unify_branches(
    branches: Vec<Typed>,
    common: fn(DataType, DataType) -> Option<DataType>,
    ast: &ast::Expr,
) -> Result<(Vec<Typed>, Ty), Error> {
    // Chosen from, a UUID is text to DataFusion; the planner then knows which text stands for one.
    if branches
        .iter()
        .any(|branch| branch.ty == Ty::Known(DataType::Uuid))
    {
        return Err(not_simple(ast));
    }
    let ty = fold_types(branches.iter().map(|branch| branch.ty), common)
        .ok_or_else(|| not_simple(ast))?;
    // NULL in every branch is text to DataFusion, where a column needs a type.
    let Some(target) = ty.known() else {
        return Ok((branches, ty));
    };
    let branches = branches
        .into_iter()
        .map(|branch| match branch.ty {
            Ty::Known(own) if own != target => cast_to(branch, target, OnFailure::Error, ast),
            _ => Ok(branch),
        })
        .collect::<Result<_, _>>()?;
    Ok((branches, ty))
}

pub(super) fn cast_to(
    input: Typed,
    target: DataType,
    on_failure: OnFailure,
    ast: &ast::Expr,
) -> Result<Typed, Error> {
    if let Ty::Known(own) = input.ty
        && !crate::eval::cast::is_castable(own, target)
    {
        return Err(not_simple(ast));
    }
    // DataFusion reads more forms of times, and nanoseconds: a constant that is not the plain form is its business.
    if let Node::Constant(Value::Text(text)) = &input.node
        && crate::eval::cast::is_foreign_time(text, target)
    {
        return Err(not_simple(ast));
    }
    let node = Node::Cast {
        input: Box::new(input),
        target,
        on_failure,
    };
    Ok(fold(Typed {
        node,
        ty: Ty::Known(target),
    }))
}

/// The type that CAST names, unless it limits the length.
fn cast_target(data_type: &ast::DataType) -> Option<DataType> {
    let written = crate::types::column_type(data_type).ok()?;
    written.max_chars.is_none().then_some(written.data_type)
}

/// Evaluates a node whose parts are all constants. One that fails stays: it fails for the row that reaches it.
pub(super) fn fold(typed: Typed) -> Typed {
    if let Node::Is { input, truth: None } = &typed.node
        && is_never_null(input)
    {
        return constant(Value::Boolean(false));
    }
    if !depends_on_constants_alone(&typed) {
        return typed;
    }
    match typed
        .eval(&super::RowValues::NONE, None)
        .map(std::borrow::Cow::into_owned)
    {
        Ok(value) => Typed {
            node: Node::Constant(value),
            ty: typed.ty,
        },
        Err(_) => typed,
    }
}

/// Whether it answers TRUE or FALSE for every row, so that IS UNKNOWN need not look at the row.
fn is_never_null(condition: &Typed) -> bool {
    match &condition.node {
        Node::IsNull(_) | Node::Is { .. } => true,
        Node::Not(input) => is_never_null(input),
        _ => false,
    }
}

/// Whether all parts of a node are constants, and its value is settled by them.
pub(super) fn depends_on_constants_alone(typed: &Typed) -> bool {
    // Branches are for the row to choose; functions are cheap or volatile.
    if matches!(typed.node, Node::Case { .. } | Node::Call { .. }) {
        return false;
    }
    let parts = typed.parts();
    !parts.is_empty()
        && parts
            .iter()
            .all(|part| matches!(part.node, Node::Constant(_)))
}
