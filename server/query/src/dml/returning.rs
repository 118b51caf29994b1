//! RETURNING, and the output of reads by key: expressions over one row.

use std::collections::BTreeSet;

use kalam_engine::Table;
use kalam_link_core::value::FieldFlag;
use kalam_link_core::{DataType, Field, SeqId, Value, append_cell};
use kalam_model::{ColumnDef, Row, TableDef};
use kalam_sql::ast::{self, SelectItem, SelectItemQualifiedWildcardKind};
use kalam_sql::{ColumnScope, EvalContext, Expr, RowValues};

use crate::error::Error;
use crate::requests::HOLE;
use crate::visible::folded;

/// The hidden column of every table.
pub(crate) const SEQ: &str = "_seq";

/// The columns of an answer and how each comes from a row.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub fields: Vec<Field>,
    items: Vec<Item>,
    /// An expression that computes with `_seq`.
    computed_seq: Option<String>,
}

#[derive(Debug)]
enum Item {
    Column(usize),
    Seq,
    Expr(Expr),
}

/// What is known of a row's sequence number while its output is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KnownSeq {
    Known(SeqId),
    /// Ordering will give it out: the cell becomes a [`HOLE`].
    Later,
}

impl Output {
    /// Compiles what stands after RETURNING or SELECT. Whatever needs the planner is [`kalam_sql::Error::NotSimple`].
    pub fn compile(
        items: &[SelectItem],
        table: &Table,
        alias: Option<&str>,
    ) -> Result<Self, Error> {
        let mut output = Self::default();
        let def = &table.def;
        let scope = ColumnScope::Table { table: def, alias };
        for item in items {
            match item {
                SelectItem::Wildcard(options) => {
                    require_plain(options)?;
                    output.push_all(def);
                }
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    options,
                ) => {
                    require_plain(options)?;
                    let named = name.0.last().and_then(|part| part.as_ident()).map(folded);
                    if name.0.len() != 1 || named.as_deref() != Some(alias.unwrap_or(&def.id.name))
                    {
                        return Err(Error::Plan {
                            message: format!("`{name}.*` names no table of the statement"),
                        });
                    }
                    output.push_all(def);
                }
                SelectItem::UnnamedExpr(expr) => output.push(expr, None, def, &scope)?,
                SelectItem::ExprWithAlias { expr, alias } => {
                    output.push(expr, Some(folded(alias)), def, &scope)?
                }
                other => return Err(kalam_sql::Error::NotSimple(other.to_string()).into()),
            }
        }
        Ok(output)
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether no item is an expression whose column name is left to the planner, as that of a column that comes twice
    /// is, or whose type only shows at run time.
    pub fn is_plain(&self, items: &[SelectItem]) -> bool {
        let computed_names = items.iter().any(|item| match item {
            SelectItem::UnnamedExpr(expr) => !matches!(
                expr,
                ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_)
            ),
            _ => false,
        });
        let mut names = BTreeSet::new();
        let unique = self.fields.iter().all(|field| names.insert(&field.name));
        unique
            && !computed_names
            && self.items.iter().all(|item| match item {
                Item::Expr(expr) => expr.data_type().is_some(),
                Item::Column(_) | Item::Seq => true,
            })
    }

    fn push_all(&mut self, def: &TableDef) {
        for (index, column) in def.columns.iter().enumerate() {
            self.push_column(column.name.clone(), def, index, column);
        }
    }

    fn push_column(&mut self, name: String, def: &TableDef, index: usize, column: &ColumnDef) {
        let mut flags = Vec::new();
        if def.is_key(column.id) {
            flags.push(FieldFlag::PrimaryKey);
        }
        if !column.nullable {
            flags.push(FieldFlag::NotNull);
        }
        self.fields.push(Field {
            name,
            data_type: column.data_type,
            index: self.items.len(),
            flags,
        });
        self.items.push(Item::Column(index));
    }

    fn push(
        &mut self,
        expr: &ast::Expr,
        name: Option<String>,
        def: &TableDef,
        scope: &ColumnScope<'_>,
    ) -> Result<(), Error> {
        let compiled = kalam_sql::compile(expr, scope)?;
        if let Some(index) = compiled.column() {
            let column = &def.columns[index];
            self.push_column(
                name.unwrap_or_else(|| column.name.clone()),
                def,
                index,
                column,
            );
            return Ok(());
        }
        let index = self.items.len();
        let is_seq = match expr {
            ast::Expr::Identifier(ident) => folded(ident) == SEQ,
            ast::Expr::CompoundIdentifier(parts) => {
                parts.last().is_some_and(|ident| folded(ident) == SEQ)
            }
            _ => false,
        };
        if is_seq {
            let name = name.unwrap_or_else(|| SEQ.to_owned());
            self.fields.push(Field {
                name,
                data_type: DataType::BigInt,
                index,
                flags: vec![FieldFlag::NotNull],
            });
            self.items.push(Item::Seq);
            return Ok(());
        }
        if self.computed_seq.is_none() && mentions_seq(expr) {
            self.computed_seq = Some(expr.to_string());
        }
        let name = name.unwrap_or_else(|| expr.to_string());
        let data_type = compiled.data_type().unwrap_or(DataType::Text);
        self.fields.push(Field {
            name,
            data_type,
            index,
            flags: Vec::new(),
        });
        self.items.push(Item::Expr(compiled));
        Ok(())
    }

    /// For RETURNING: an expression over a number that is not known yet has no value.
    pub fn require_no_computed_seq(&self) -> Result<(), Error> {
        match &self.computed_seq {
            None => Ok(()),
            Some(expr) => Err(Error::unsupported(format!(
                "`{SEQ}` inside the expression `{expr}` of RETURNING"
            ))),
        }
    }

    /// Appends one row as a JSON array; says how many holes it has.
    pub fn append(
        &self,
        row: &Row,
        seq: KnownSeq,
        context: &EvalContext<'_>,
        out: &mut Vec<u8>,
    ) -> Result<usize, Error> {
        let mut holes = 0;
        if !out.is_empty() {
            out.push(b',');
        }
        out.push(b'[');
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            match (item, seq) {
                (Item::Column(column), _) => {
                    append_cell(row.0.get(*column).unwrap_or(&Value::Null), out)
                }
                (Item::Seq, KnownSeq::Known(seq)) => append_cell(&seq_value(seq), out),
                (Item::Seq, KnownSeq::Later) => {
                    out.push(HOLE);
                    holes += 1;
                }
                (Item::Expr(expr), _) => {
                    let known = match seq {
                        KnownSeq::Known(seq) => seq,
                        KnownSeq::Later => SeqId::ZERO,
                    };
                    append_cell(&expr.eval(&RowValues::new(&row.0, known), context)?, out);
                }
            }
        }
        out.push(b']');
        Ok(holes)
    }

    /// The columns, where the type of an expression with parameters is that of its value in `row`.
    pub fn fields_for(&self, row: &Row, context: &EvalContext<'_>) -> Vec<Field> {
        let mut fields = self.fields.clone();
        for (field, item) in fields.iter_mut().zip(&self.items) {
            if let Item::Expr(expr) = item
                && expr.data_type().is_none()
                && let Ok(value) = expr.eval(&RowValues::new(&row.0, SeqId::ZERO), context)
                && let Some(data_type) = value.data_type()
            {
                field.data_type = data_type;
            }
        }
        fields
    }
}

/// `_seq` as a cell.
pub(crate) fn seq_value(seq: SeqId) -> Value {
    Value::BigInt(i64::try_from(seq.0).unwrap_or(i64::MAX))
}

/// Whether `_seq` occurs anywhere inside.
pub(crate) fn mentions_seq(tree: &impl ast::Visit) -> bool {
    use std::ops::ControlFlow;
    let found = ast::visit_expressions(tree, |inner| {
        let named = match inner {
            ast::Expr::Identifier(ident) => folded(ident) == SEQ,
            ast::Expr::CompoundIdentifier(parts) => {
                parts.last().is_some_and(|ident| folded(ident) == SEQ)
            }
            _ => false,
        };
        if named {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    found.is_break()
}

fn require_plain(options: &ast::WildcardAdditionalOptions) -> Result<(), Error> {
    let plain = options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none();
    if plain {
        Ok(())
    } else {
        Err(kalam_sql::Error::NotSimple(format!("*{options}")).into())
    }
}
