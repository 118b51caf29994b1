//! From the first words of a statement to the code that reads the rest.

use std::ops::{ControlFlow, Range};

use kalam_link_core::statements::{line_and_column, split};
use kalam_model::TableKind;
use sqlparser::ast::{self, Expr, Query, UnaryOperator, Value, VisitMut, VisitorMut};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::dialect::KalamDialect;
use crate::error::Error;
use crate::input::Input;
use crate::query::check_query;
use crate::statement::Statement;
use crate::tokens::Tokens;
use crate::{admin, ddl, dml, subscribe};

/// Statements in one request.
pub const STATEMENTS_MAX: usize = 1_000;

/// Bytes of one statement outside strings, quoted names and comments. A token occupies about a hundred bytes while it
/// is parsed, so this bounds the memory; long texts in strings are bounded by the size of the request only.
pub const CODE_BYTES_MAX: usize = 1 << 20;

/// A statement of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    pub statement: Statement,
    /// Where it stands in the text of the request, in bytes.
    pub range: Range<usize>,
    /// Highest `$n` in it; 0 without parameters.
    pub parameters: usize,
}

/// Reads every statement of a request, or none of them.
pub fn parse(text: &str) -> Result<Vec<Parsed>, Error> {
    let pieces: Vec<_> = split(text).take(STATEMENTS_MAX + 1).collect();
    if pieces.is_empty() {
        return Err(Error::Empty);
    }
    if pieces.len() > STATEMENTS_MAX {
        return Err(Error::TooMany {
            what: "statements in one request",
            max: STATEMENTS_MAX,
        });
    }
    let mut parsed = Vec::with_capacity(pieces.len());
    for (index, piece) in pieces.iter().enumerate() {
        if piece.code_bytes > CODE_BYTES_MAX {
            return Err(in_batch(
                Error::TooLong {
                    max: CODE_BYTES_MAX,
                },
                index,
                pieces.len(),
            ));
        }
        match parse_piece(piece.text) {
            Ok((statement, parameters)) => {
                let range = piece.start..piece.start + piece.text.len();
                parsed.push(Parsed {
                    statement,
                    range,
                    parameters,
                });
            }
            Err(error) => {
                let start = line_and_column(text, piece.start);
                return Err(in_batch(moved(error, start), index, pieces.len()));
            }
        }
    }
    Ok(parsed)
}

fn in_batch(error: Error, index: usize, statements: usize) -> Error {
    if statements == 1 {
        error
    } else {
        Error::Batch {
            index: index + 1,
            source: Box::new(error),
        }
    }
}

/// Positions count from the beginning of the request.
pub(crate) fn moved(error: Error, (start_line, start_column): (u64, u64)) -> Error {
    match error {
        Error::Syntax {
            message,
            line,
            column,
        } => {
            let column = if line == 1 {
                column + start_column - 1
            } else {
                column
            };
            Error::Syntax {
                message,
                line: line + start_line - 1,
                column,
            }
        }
        other => other,
    }
}

fn parse_piece(text: &str) -> Result<(Statement, usize), Error> {
    let dialect = KalamDialect::default();
    let tokens = Tokens::read(&dialect, text)?;
    refuse_inline_user(&tokens.list)?;
    let mut input = Input::new(&dialect, tokens.list);
    let statement = statement(&mut input)?;
    input.expect_end()?;
    Ok((statement, tokens.parameters))
}

/// `… AS USER 'u'` at the end of a statement, as earlier versions wrote it: nothing else has these three tokens.
pub(crate) fn refuse_inline_user(tokens: &[TokenWithSpan]) -> Result<(), Error> {
    let is = |token: &TokenWithSpan, keyword: Keyword| matches!(&token.token, Token::Word(word) if word.keyword == keyword);
    let found = tokens.windows(4).any(|window| {
        let [before, first, second, third] = window else {
            return false;
        };
        is(first, Keyword::AS)
            && is(second, Keyword::USER)
            && matches!(third.token, Token::SingleQuotedString(_))
            && !is(before, Keyword::EXECUTE)
    });
    if found {
        return Err(Error::Replaced {
            what: "AS USER after a statement",
            hint: "write EXECUTE AS USER 'name' ( statement )",
        });
    }
    Ok(())
}

/// Reads an expression, such as a stored default.
pub fn parse_expr(text: &str) -> Result<Expr, Error> {
    let dialect = KalamDialect::default();
    let mut input = Input::new(&dialect, Tokens::read(&dialect, text)?.list);
    let mut expr = input.expr()?;
    input.expect_end()?;
    crate::query::check_expr(&mut expr)?;
    Ok(expr)
}

/// Reads a query, such as a stored view.
pub fn parse_query(text: &str) -> Result<Box<Query>, Error> {
    let dialect = KalamDialect::default();
    let mut input = Input::new(&dialect, Tokens::read(&dialect, text)?.list);
    let query = checked_query(&mut input)?;
    input.expect_end()?;
    Ok(query)
}

/// Text that [`parse_expr`] reads as the same expression.
#[must_use]
pub fn canonical(expr: &Expr) -> String {
    let mut expr = expr.clone();
    let _ = VisitMut::visit(&mut expr, &mut Rereadable);
    expr.to_string()
}

/// Text that [`parse_query`] reads as the same query.
#[must_use]
pub fn canonical_query(query: &Query) -> String {
    let mut query = query.clone();
    let _ = VisitMut::visit(&mut query, &mut Rereadable);
    query.to_string()
}

/// Checks that an expression can be stored as text. Writing out adds parentheses, and so may exceed the nesting.
pub(crate) fn check_rereadable(expr: &Expr) -> Result<(), Error> {
    parse_expr(&canonical(expr)).map(|_| ())
}

/// [`check_rereadable`] for a query.
pub(crate) fn check_query_rereadable(query: &Query) -> Result<(), Error> {
    parse_query(&canonical_query(query)).map(|_| ())
}

/// Mends what sqlparser would write so that it reads differently.
struct Rereadable;

impl VisitorMut for Rereadable {
    type Break = std::convert::Infallible;

    /// `''` and `\'` inside a string are written as they are, because sqlparser does not know whether they are escaped
    /// already. As `E'…'` everything is escaped.
    fn pre_visit_value(&mut self, value: &mut ast::ValueWithSpan) -> ControlFlow<Self::Break> {
        if let Value::SingleQuotedString(text) = &mut value.value
            && (text.contains("''") || text.contains("\\'"))
        {
            value.value = Value::EscapedStringLiteral(std::mem::take(text));
        }
        ControlFlow::Continue(())
    }

    /// Two minus signs in a row would begin a comment.
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if let Expr::UnaryOp { op, expr: inner } = expr
            && *op != UnaryOperator::Not
            && matches!(**inner, Expr::UnaryOp { .. })
        {
            let operand = std::mem::replace(&mut **inner, Expr::Tuple(Vec::new()));
            **inner = Expr::Nested(Box::new(operand));
        }
        ControlFlow::Continue(())
    }
}

fn checked_query(input: &mut Input<'_>) -> Result<Box<Query>, Error> {
    let mut query = input.query()?;
    check_query(&mut query)?;
    Ok(query)
}

fn statement(input: &mut Input<'_>) -> Result<Statement, Error> {
    if *input.token() == Token::LParen {
        return checked_query(input).map(Statement::Select);
    }
    admin::refuse_replaced(input)?;
    if let Some(unbuilt) = admin::unbuilt(input) {
        return unbuilt;
    }
    let first = input.word(0).unwrap_or_default();
    match first.as_str() {
        "SELECT" | "WITH" | "VALUES" => checked_query(input).map(Statement::Select),
        "INSERT" => dml::insert(input),
        "UPDATE" => dml::update(input),
        "DELETE" => dml::delete(input),
        "EXPLAIN" => explain(input),
        "CREATE" => create(input),
        "ALTER" => alter(input),
        "DROP" => drop(input),
        "SHOW" => {
            input.expect("SHOW")?;
            admin::show(input)
        }
        "SUBSCRIBE" => {
            let subscription = subscribe::subscribe(input)?;
            Ok(Statement::Subscribe(Box::new(subscription)))
        }
        "KILL" if input.eat("KILL LIVE QUERY") => admin::kill_live_query(input),
        "DESCRIBE" | "DESC" => {
            input.parser.advance_token();
            admin::describe(input)
        }
        "USE" => {
            input.expect("USE")?;
            Ok(Statement::UseNamespace {
                name: admin::namespace_name(input)?,
            })
        }
        "BEGIN" | "START" | "COMMIT" | "ROLLBACK" => transaction(input),
        "RESTORE" => {
            input.expect("RESTORE USER")?;
            Ok(Statement::RestoreUser {
                user: input.user()?,
            })
        }
        "SET" if input.eat("SET NAMESPACE") => Ok(Statement::UseNamespace {
            name: input.name("the name of a namespace")?,
        }),
        "EXECUTE" if input.eat("EXECUTE AS USER") => execute_as(input),
        "REPLACE" => Err(Error::UnsupportedClause {
            clause: "REPLACE".to_owned(),
            hint: Some("write INSERT … ON CONFLICT (key) DO UPDATE SET …"),
        }),
        foreign if admin::FOREIGN.contains(&foreign) => Err(Error::unsupported(foreign)),
        _ => Err(input.expected("a statement")),
    }
}

fn explain(input: &mut Input<'_>) -> Result<Statement, Error> {
    input.expect("EXPLAIN")?;
    if *input.token() == Token::LParen
        && !matches!(input.word(1).as_deref(), Some("SELECT" | "WITH" | "VALUES"))
        && input.parser.peek_nth_token_ref(1).token != Token::LParen
    {
        return Err(Error::unsupported("EXPLAIN (options)"));
    }
    let analyze = input.eat("ANALYZE");
    let verbose = input.eat("VERBOSE");
    if *input.token() != Token::LParen {
        match input.word(0).as_deref() {
            Some("SELECT" | "WITH" | "VALUES") => {}
            Some(word @ ("INSERT" | "UPDATE" | "DELETE" | "FORMAT")) => {
                return Err(Error::unsupported(format!("EXPLAIN {word}")));
            }
            _ => return Err(input.expected("SELECT")),
        }
    }
    Ok(Statement::Explain {
        analyze,
        verbose,
        query: checked_query(input)?,
    })
}

/// `TABLE`, with the kind that may stand before it.
fn table_kind(input: &mut Input<'_>) -> Option<Option<TableKind>> {
    let kinds = [
        ("TABLE", None),
        ("USER TABLE", Some(TableKind::User)),
        ("SHARED TABLE", Some(TableKind::Shared)),
        ("STREAM TABLE", Some(TableKind::Stream)),
    ];
    kinds
        .into_iter()
        .find(|(words, _)| input.eat(words))
        .map(|(_, kind)| kind)
}

fn create(input: &mut Input<'_>) -> Result<Statement, Error> {
    input.expect("CREATE")?;
    if let Some(kind) = table_kind(input) {
        return ddl::create_table(input, kind);
    }
    if input.eat("NAMESPACE") {
        ddl::create_namespace(input)
    } else if input.eat("USER") {
        admin::create_user(input)
    } else if input.eat("VIEW") {
        ddl::create_view(input, false)
    } else if input.eat("OR REPLACE VIEW") {
        ddl::create_view(input, true)
    } else {
        Err(unknown_object(input, "CREATE"))
    }
}

fn alter(input: &mut Input<'_>) -> Result<Statement, Error> {
    input.expect("ALTER")?;
    if input.eat("TABLE") {
        ddl::alter_table(input)
    } else if input.eat("NAMESPACE") {
        ddl::alter_namespace(input)
    } else if input.eat("USER") {
        admin::alter_user(input)
    } else {
        Err(unknown_object(input, "ALTER"))
    }
}

fn drop(input: &mut Input<'_>) -> Result<Statement, Error> {
    input.expect("DROP")?;
    if let Some(kind) = table_kind(input) {
        return ddl::drop_table(input, kind);
    }
    if input.eat("NAMESPACE") {
        ddl::drop_namespace(input)
    } else if input.eat("USER") {
        admin::drop_user(input)
    } else if input.eat("VIEW") {
        ddl::drop_view(input)
    } else {
        Err(unknown_object(input, "DROP"))
    }
}

/// Names what other databases create, alter and drop.
fn unknown_object(input: &Input<'_>, verb: &str) -> Error {
    const KNOWN: [&str; 26] = [
        "AGGREGATE",
        "CAST",
        "COLLATION",
        "DATABASE",
        "DOMAIN",
        "EXTENSION",
        "EXTERNAL",
        "FOREIGN",
        "FUNCTION",
        "GLOBAL",
        "GROUP",
        "LOCAL",
        "MACRO",
        "MATERIALIZED",
        "OPERATOR",
        "OR",
        "POLICY",
        "PROCEDURE",
        "ROLE",
        "SCHEMA",
        "SEQUENCE",
        "SERVER",
        "TEMP",
        "TEMPORARY",
        "TRIGGER",
        "TYPE",
    ];
    match input.word(0) {
        Some(word) if word == "SCHEMA" || word == "DATABASE" => Error::UnsupportedClause {
            clause: format!("{verb} {word}"),
            hint: Some("tables live in namespaces: CREATE NAMESPACE ns"),
        },
        Some(word) if KNOWN.contains(&word.as_str()) => {
            Error::unsupported(format!("{verb} {word}"))
        }
        _ => input.expected("TABLE, VIEW, NAMESPACE or USER"),
    }
}

fn transaction(input: &mut Input<'_>) -> Result<Statement, Error> {
    let statement = if input.eat("START TRANSACTION") {
        return Ok(Statement::Begin);
    } else if input.eat("BEGIN") {
        Statement::Begin
    } else if input.eat("COMMIT") {
        Statement::Commit
    } else if input.eat("ROLLBACK") {
        Statement::Rollback
    } else {
        return Err(input.expected("a statement"));
    };
    if !input.eat("TRANSACTION") {
        input.eat("WORK");
    }
    if let Some(word) = input.word(0) {
        return Err(Error::unsupported(format!(
            "{word} in a transaction statement"
        )));
    }
    Ok(statement)
}

/// After EXECUTE AS USER.
fn execute_as(input: &mut Input<'_>) -> Result<Statement, Error> {
    let user = input.user()?;
    input.expect_token(&Token::LParen)?;
    // A form that is not built swallows what follows it, so it must not come here.
    if input.is("EXECUTE AS") {
        return Err(Error::invalid(
            "EXECUTE AS USER cannot contain another EXECUTE AS USER",
        ));
    }
    let inner = statement(input)?;
    match &inner {
        Statement::Begin
        | Statement::Commit
        | Statement::Rollback
        | Statement::Subscribe(_)
        | Statement::UseNamespace { .. } => {
            return Err(Error::invalid(
                "EXECUTE AS USER cannot contain this statement",
            ));
        }
        Statement::Unsupported { .. } => return Ok(inner),
        _ => {}
    }
    input.expect_token(&Token::RParen)?;
    Ok(Statement::ExecuteAs {
        user,
        statement: Box::new(inner),
    })
}
