//! What sqlparser must know about our SQL: close to PostgreSQL, with fewer reserved words.

use std::cell::Cell;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArgumentList, FunctionArguments, ObjectName,
};
use sqlparser::dialect::Dialect;
use sqlparser::keywords::{Keyword, RESERVED_FOR_IDENTIFIER};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// Levels of parentheses, subqueries, function calls and prefix operators.
pub const NESTING_MAX: usize = 96;

/// Longest chain of AND or OR that is kept as written, left-deep. Longer ones become balanced trees of the same
/// meaning, because a tree of 10,000 levels could not even be dropped on a small stack.
pub(crate) const LEFT_DEEP_MAX: usize = 8;

/// One parse. sqlparser tries alternatives one after the other, which on malformed text can take time exponential in
/// the nesting; the budget ends that.
#[derive(Debug, Default)]
pub(crate) struct KalamDialect {
    steps_left: Cell<usize>,
    /// `OPTIONS (` after a table is a clause of the statement and no alias.
    options_follow: Cell<bool>,
}

impl KalamDialect {
    /// Allows for the parse of that many tokens. Honest statements visit a token once or twice.
    pub fn allow(&self, tokens: usize) {
        self.steps_left.set(20_000 + 4 * tokens);
    }

    /// The query that is read next may be followed by OPTIONS.
    pub fn options_follow(&self) {
        self.options_follow.set(true);
    }

    fn step(&self) -> Result<(), ParserError> {
        match self.steps_left.get().checked_sub(1) {
            Some(left) => {
                self.steps_left.set(left);
                Ok(())
            }
            // The one error that sqlparser does not answer by trying something else.
            None => Err(ParserError::RecursionLimitExceeded),
        }
    }
}

impl Dialect for KalamDialect {
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '"'
    }

    // Letters beyond ASCII are read so that the error can name the whole word.
    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_' || ch.is_ascii_digit()
    }

    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_order_by_all(&self) -> bool {
        true
    }

    fn supports_left_associative_joins_without_parens(&self) -> bool {
        true
    }

    fn supports_select_wildcard_exclude(&self) -> bool {
        true
    }

    fn supports_select_wildcard_replace(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    // Parsed in order to be refused by name.
    fn supports_update_order_by(&self) -> bool {
        true
    }

    fn is_table_factor_alias(&self, explicit: bool, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        let is_clause = self.options_follow.get()
            && *kw == Keyword::OPTIONS
            && parser.peek_token_ref().token == Token::LParen;
        explicit || (!is_clause && self.is_table_alias(kw, parser))
    }

    /// Words whose own syntax failed are not tried again as names of functions.
    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        RESERVED_FOR_IDENTIFIER.contains(&keyword)
            || matches!(
                keyword,
                Keyword::NOT | Keyword::CASE | Keyword::CAST | Keyword::TRY_CAST | Keyword::EXTRACT
            )
    }

    /// `x NOT NULL` is no operator: after a default it is the next clause of the column.
    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        let is_not_null = is_keyword(&parser.peek_nth_token_ref(0).token, Keyword::NOT)
            && is_keyword(&parser.peek_nth_token_ref(1).token, Keyword::NULL);
        is_not_null.then(|| Ok(self.prec_unknown()))
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        if let Err(error) = self.step() {
            return Some(Err(error));
        }
        let Token::Word(word) = &parser.peek_token_ref().token else {
            return None;
        };
        let next = &parser.peek_nth_token_ref(1).token;
        match word.keyword {
            // A function without parentheses.
            Keyword::CURRENT_USER if !matches!(next, Token::LParen | Token::Period) => Some(
                parser
                    .parse_identifier()
                    .map(|name| Expr::Function(call_without_arguments(name.into()))),
            ),
            // A column of that name, unless a literal follows.
            Keyword::INTERVAL
                if !matches!(next, Token::SingleQuotedString(_) | Token::Number(..)) =>
            {
                Some(parser.parse_identifier().map(Expr::Identifier))
            }
            _ => None,
        }
    }

    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        left: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if let Err(error) = self.step() {
            return Some(Err(error));
        }
        if let Some(distinct) = parse_is_distinct(parser, left, precedence) {
            return Some(distinct);
        }
        let (keyword, operator) = match &parser.peek_token_ref().token {
            Token::Word(word) if word.keyword == Keyword::AND => {
                (Keyword::AND, BinaryOperator::And)
            }
            Token::Word(word) if word.keyword == Keyword::OR => (Keyword::OR, BinaryOperator::Or),
            _ => return None,
        };
        if chain_length(left, &operator) < LEFT_DEEP_MAX {
            return None;
        }
        let mut terms = chain_terms(left.clone(), &operator);
        while parser.parse_keyword(keyword) {
            match parser.parse_subexpr(precedence) {
                Ok(term) => terms.push(term),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(balanced(terms, &operator)))
    }
}

/// `IS [NOT] DISTINCT FROM`, which binds as `IS` does: the parser would take a following AND into its right side.
fn parse_is_distinct(
    parser: &mut Parser<'_>,
    left: &Expr,
    precedence: u8,
) -> Option<Result<Expr, ParserError>> {
    let same = if parser.parse_keywords(&[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]) {
        false
    } else if parser.parse_keywords(&[Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM])
    {
        true
    } else {
        return None;
    };
    let (left, right) = (Box::new(left.clone()), parser.parse_subexpr(precedence));
    Some(right.map(|right| {
        let right = Box::new(right);
        if same {
            Expr::IsNotDistinctFrom(left, right)
        } else {
            Expr::IsDistinctFrom(left, right)
        }
    }))
}

fn is_keyword(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(word) if word.keyword == keyword)
}

/// Operators of the chain at the root of `expr`, counted up to the limit.
fn chain_length(mut expr: &Expr, operator: &BinaryOperator) -> usize {
    let mut length = 0;
    while let Expr::BinaryOp { left, op, .. } = expr
        && op == operator
        && length < LEFT_DEEP_MAX
    {
        length += 1;
        expr = left;
    }
    length
}

fn chain_terms(mut expr: Expr, operator: &BinaryOperator) -> Vec<Expr> {
    let mut terms = Vec::new();
    loop {
        match expr {
            Expr::BinaryOp { left, op, right } if op == *operator => {
                terms.push(*right);
                expr = *left;
            }
            last => {
                terms.push(last);
                terms.reverse();
                return terms;
            }
        }
    }
}

/// The terms in order, in a tree as flat as can be.
fn balanced(mut terms: Vec<Expr>, operator: &BinaryOperator) -> Expr {
    while terms.len() > 1 {
        let mut pairs = Vec::with_capacity(terms.len().div_ceil(2));
        let mut rest = terms.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => Expr::BinaryOp {
                    left: Box::new(left),
                    op: operator.clone(),
                    right: Box::new(right),
                },
                None => left,
            });
        }
        terms = pairs;
    }
    terms.pop().expect("a chain has at least one term")
}

pub(crate) fn call_without_arguments(name: ObjectName) -> Function {
    Function {
        name,
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: Vec::new(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }
}
