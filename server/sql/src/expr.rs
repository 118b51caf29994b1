//! Scalar expressions, compiled once and evaluated many times over [`Value`]s without a planner.
//!
//! Used for VALUES, DEFAULT, SET, RETURNING and filters by key. Whatever is not understood here completely is
//! [`Error::NotSimple`]: the caller then plans the expression with DataFusion, whose results these equal.

use kalam_link_core::{DataType, Decimal, SeqId, UserId, Value};
use kalam_model::{ColumnDef, TableDef, Timestamp};
use sqlparser::ast;

use crate::coerce::coerce;
use crate::error::Error;
use crate::params::bind_indexed;

pub(crate) mod compile;
pub(crate) mod literal;
pub(crate) mod settle;
pub(crate) mod sides;
pub(crate) mod types;

pub(crate) use types::Ty;

/// Which columns an expression may name.
#[derive(Clone, Copy, Debug)]
pub enum ColumnScope<'a> {
    /// No columns: VALUES and DEFAULT.
    None,
    /// The columns of one table and `_seq`, bare or qualified by the alias or, without one, by the name of the table.
    Table {
        table: &'a TableDef,
        alias: Option<&'a str>,
    },
    /// The same, and `excluded.c`: the row that ON CONFLICT found in the way.
    TableAndExcluded {
        table: &'a TableDef,
        alias: Option<&'a str>,
    },
}

/// The values that columns stand for.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowValues<'a> {
    /// In column order; values beyond its end are NULL.
    pub current: &'a [Value],
    /// `_seq` of the current row.
    pub seq: SeqId,
    /// The row that was to be inserted.
    pub excluded: &'a [Value],
}

impl<'a> RowValues<'a> {
    /// For expressions without columns.
    pub const NONE: Self = Self {
        current: &[],
        seq: SeqId::ZERO,
        excluded: &[],
    };

    #[must_use]
    pub const fn new(current: &'a [Value], seq: SeqId) -> Self {
        Self {
            current,
            seq,
            excluded: &[],
        }
    }

    #[must_use]
    pub const fn with_excluded(self, excluded: &'a [Value]) -> Self {
        Self { excluded, ..self }
    }
}

/// Where new ids come from: the only randomness in an expression.
pub trait IdSource {
    fn snowflake(&self, now: Timestamp) -> i64;
    fn uuid_v7(&self, now: Timestamp) -> [u8; 16];
    /// 26 characters of Crockford's base 32.
    fn ulid(&self, now: Timestamp) -> String;
}

/// What an expression depends on beyond the row: fixed for the whole statement.
#[derive(Clone, Copy)]
pub struct EvalContext<'a> {
    pub now: Timestamp,
    pub user: &'a UserId,
    pub params: &'a [serde_json::Value],
    pub ids: &'a dyn IdSource,
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expr {
    pub(crate) root: Typed,
    uses: Uses,
    /// The whole expression if it is a number: exactly as written, where its value as a DOUBLE would be rounded.
    exact: Option<Decimal>,
}

/// What occurs anywhere in an expression.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Uses {
    pub columns: bool,
    pub parameters: bool,
    pub volatile: bool,
}

/// Compiles `ast`. [`Error::NotSimple`] asks the caller to plan it with DataFusion; other errors are the user's.
pub fn compile(ast: &ast::Expr, scope: &ColumnScope<'_>) -> Result<Expr, Error> {
    compile::compile(ast, scope)
}

impl Expr {
    /// The value for one row. Only an expression with parameters can answer [`Error::NotSimple`] here: when the type
    /// of a parameter turns out to need the planner.
    pub fn eval(&self, rows: &RowValues<'_>, context: &EvalContext<'_>) -> Result<Value, Error> {
        self.root
            .eval(rows, Some(context))
            .map(std::borrow::Cow::into_owned)
    }

    /// Whether a row passes the expression as a filter: NULL does not.
    pub fn is_true(&self, rows: &RowValues<'_>, context: &EvalContext<'_>) -> Result<bool, Error> {
        Ok(self.root.truth(rows, Some(context))? == Some(true))
    }

    /// The value as it goes into `column`: [`eval`](Self::eval) and [`coerce`], but numbers are taken as written and
    /// a lone parameter is read as a cell of the column's type.
    pub fn assign(
        &self,
        rows: &RowValues<'_>,
        context: &EvalContext<'_>,
        column: &ColumnDef,
    ) -> Result<Value, Error> {
        if let Some(index) = self.parameter() {
            return bind_indexed(context.params, index, column);
        }
        let exact = self
            .exact
            .filter(|_| !matches!(column.data_type, DataType::Float | DataType::Double));
        match exact {
            Some(number) => coerce(Value::Decimal(number), column),
            None => coerce(self.eval(rows, context)?, column),
        }
    }

    /// The number that is the whole expression, as it is written.
    pub(crate) const fn exact_number(&self) -> Option<Decimal> {
        self.exact
    }

    /// Position, from 0, of the parameter that is the whole expression.
    #[must_use]
    pub fn parameter(&self) -> Option<usize> {
        match self.root.node {
            Node::Parameter { index, .. } => Some(index),
            _ => None,
        }
    }

    /// Position of the column that is the whole expression.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        match self.root.node {
            Node::Column(index) => Some(index),
            _ => None,
        }
    }

    /// Names neither a column nor a parameter. Functions such as NOW() are constant within a statement.
    #[must_use]
    pub const fn is_constant(&self) -> bool {
        !self.uses.columns && !self.uses.parameters
    }

    /// Gives another value each time: SNOWFLAKE_ID(), UUID_V7(), ULID().
    #[must_use]
    pub const fn is_volatile(&self) -> bool {
        self.uses.volatile
    }

    /// Type of the result; `None` if it is NULL or depends on the type of a parameter.
    #[must_use]
    pub const fn data_type(&self) -> Option<DataType> {
        self.root.ty.known()
    }
}

/// A part of an expression and its type.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    pub node: Node,
    pub ty: Ty,
}

impl Typed {
    /// What the node is made of, in the order in which it is written.
    pub(crate) fn parts(&self) -> Vec<&Self> {
        match &self.node {
            Node::Constant(_)
            | Node::Parameter { .. }
            | Node::Column(_)
            | Node::Excluded(_)
            | Node::Seq => Vec::new(),
            Node::Cast { input, .. }
            | Node::Negate(input)
            | Node::Not(input)
            | Node::IsNull(input)
            | Node::Is { input, .. } => vec![&**input],
            Node::Arithmetic { operands, .. }
            | Node::Concat(operands)
            | Node::Compare { operands, .. }
            | Node::IsDistinct(operands)
            | Node::Like { operands, .. } => operands.iter().collect(),
            Node::Between(operands) => operands.iter().collect(),
            Node::And(operands) | Node::Or(operands) => operands.iter().collect(),
            Node::InList { input, list } => std::iter::once(&**input).chain(list).collect(),
            Node::Case {
                operand,
                branches,
                otherwise,
            } => {
                let branches = branches.iter().flat_map(|(when, then)| [when, then]);
                let operand = operand.as_deref().into_iter();
                operand
                    .chain(branches)
                    .chain(std::iter::once(&**otherwise))
                    .collect()
            }
            Node::Call { arguments, .. } => arguments.iter().collect(),
        }
    }
}

/// Negated forms (NOT IN, IS NOT NULL, …) are [`Node::Not`] around these.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Constant(Value),
    /// With a type, the parameter is read as a cell of it; else it is a literal of the type that JSON gives it.
    Parameter {
        index: usize,
        data_type: Option<DataType>,
    },
    Column(usize),
    Excluded(usize),
    Seq,
    Cast {
        input: Box<Typed>,
        target: DataType,
        on_failure: OnFailure,
    },
    Negate(Box<Typed>),
    Arithmetic {
        operator: Arithmetic,
        operands: Box<[Typed; 2]>,
    },
    Concat(Box<[Typed; 2]>),
    Compare {
        operator: Comparison,
        operands: Box<[Typed; 2]>,
    },
    IsDistinct(Box<[Typed; 2]>),
    And(Vec<Typed>),
    Or(Vec<Typed>),
    Not(Box<Typed>),
    IsNull(Box<Typed>),
    /// IS TRUE, IS FALSE, IS UNKNOWN.
    Is {
        input: Box<Typed>,
        truth: Option<bool>,
    },
    InList {
        input: Box<Typed>,
        list: Vec<Typed>,
    },
    /// Value, lower and upper bound.
    Between(Box<[Typed; 3]>),
    Like {
        operands: Box<[Typed; 2]>,
        escape: char,
        letters: Letters,
    },
    Case {
        operand: Option<Box<Typed>>,
        branches: Vec<(Typed, Typed)>,
        otherwise: Box<Typed>,
    },
    Call {
        function: crate::functions::Function,
        arguments: Vec<Typed>,
    },
}

/// What a cast does with a value that has no meaning in its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// CAST.
    Error,
    /// TRY_CAST.
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Whether LIKE tells capital letters from small ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Letters {
    Exact,
    /// ILIKE.
    Folded,
}

#[cfg(test)]
mod tests;
