//! The tokens of one statement and what is commonly read from them. Errors never show the text of a string, because it
//! may be a password.

use kalam_link_core::UserId;
use kalam_model::name::check_new_identifier;
use kalam_model::{Namespace, check_identifier};
use sqlparser::ast::{Expr, Ident, Query};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::dialect::{KalamDialect, NESTING_MAX};
use crate::error::Error;
use crate::statement::{IfExists, TableRef};
use crate::tokens::lower_first;

pub(crate) struct Input<'a> {
    pub parser: Parser<'a>,
    dialect: &'a KalamDialect,
    /// Line and column after the last token.
    end: (u64, u64),
    shown: Shown,
}

/// What errors may show of the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Everything but strings.
    Words,
    /// Nothing: a password may stand anywhere, also without quotes.
    Nothing,
}

/// The name that an identifier means: unquoted ones are folded to lower case.
#[must_use]
pub fn fold(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

impl<'a> Input<'a> {
    pub fn new(dialect: &'a KalamDialect, tokens: Vec<TokenWithSpan>) -> Self {
        let count = tokens.len();
        let end = tokens
            .last()
            .map_or((1, 1), |token| (token.span.end.line, token.span.end.column));
        let parser = Parser::new(dialect)
            .with_recursion_limit(NESTING_MAX)
            .with_tokens_with_locations(tokens);
        dialect.allow(count);
        Self {
            parser,
            dialect,
            end,
            shown: Shown::Words,
        }
    }

    pub fn token(&self) -> &Token {
        &self.parser.peek_token_ref().token
    }

    pub fn is_at_end(&self) -> bool {
        *self.token() == Token::EOF
    }

    /// The next word but `n` in capitals, if it is an unquoted word.
    pub fn word(&self, n: usize) -> Option<String> {
        match &self.parser.peek_nth_token_ref(n).token {
            Token::Word(word) if word.quote_style.is_none() => {
                Some(word.value.to_ascii_uppercase())
            }
            _ => None,
        }
    }

    /// Whether the next tokens are these words, given in capitals.
    pub fn is(&self, words: &str) -> bool {
        words.split(' ').enumerate().all(|(n, expected)| {
            matches!(
                &self.parser.peek_nth_token_ref(n).token,
                Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(expected)
            )
        })
    }

    /// Takes these words if all of them come next.
    pub fn eat(&mut self, words: &str) -> bool {
        let found = self.is(words);
        if found {
            for _ in words.split(' ') {
                self.parser.advance_token();
            }
        }
        found
    }

    pub fn expect(&mut self, words: &str) -> Result<(), Error> {
        for word in words.split(' ') {
            if !self.eat(word) {
                return Err(self.expected(word));
            }
        }
        Ok(())
    }

    /// From here on no error shows any text of the statement.
    pub fn hide(&mut self) {
        self.shown = Shown::Nothing;
    }

    pub fn eat_token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    pub fn expect_token(&mut self, token: &Token) -> Result<(), Error> {
        if self.eat_token(token) {
            Ok(())
        } else {
            Err(self.expected(&format!("`{token}`")))
        }
    }

    /// An error at the next token.
    pub fn expected(&self, what: &str) -> Error {
        let token = self.parser.peek_token_ref();
        let found = match &token.token {
            Token::EOF => "end of statement".to_owned(),
            Token::SingleQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::HexStringLiteral(_) => "a string".to_owned(),
            other => format!("`{}`", shorten(&other.to_string())),
        };
        let start = token.span.start;
        let (line, column) = if start.line == 0 {
            self.end
        } else {
            (start.line, start.column)
        };
        let message = match self.shown {
            Shown::Words => format!("expected {what}, found {found}"),
            Shown::Nothing => format!("expected {what}"),
        };
        Error::Syntax {
            message,
            line,
            column,
        }
    }

    /// Refuses what is left, naming it: a clause that is not understood must not be ignored.
    pub fn expect_end(&self) -> Result<(), Error> {
        if self.is_at_end() {
            Ok(())
        } else {
            Err(self.expected("end of statement"))
        }
    }

    /// Gives an error of sqlparser our form.
    pub fn lift<T>(&self, result: Result<T, ParserError>) -> Result<T, Error> {
        result.map_err(|error| match error {
            ParserError::RecursionLimitExceeded => Error::TooDeep { max: NESTING_MAX },
            ParserError::ParserError(text) | ParserError::TokenizerError(text) => {
                self.syntax(&text)
            }
        })
    }

    fn syntax(&self, text: &str) -> Error {
        let (text, (line, column)) = split_location(text).unwrap_or((text, self.end));
        let message = match text.split_once(", found: ") {
            Some((expected, found)) => {
                let expected = match expected.strip_prefix("Expected: ").unwrap_or(expected) {
                    sign @ ("(" | ")" | "]" | "," | "=") => format!("`{sign}`"),
                    other => lower_first(other),
                };
                let found = match found {
                    "EOF" => "end of statement".to_owned(),
                    // sqlparser shows a string as it is written.
                    literal if literal.contains('\'') => "a string".to_owned(),
                    other => format!("`{}`", shorten(other)),
                };
                format!("expected {expected}, found {found}")
            }
            None if text.contains('\'') => "malformed statement".to_owned(),
            None => lower_first(&shorten(text)),
        };
        Error::Syntax {
            message,
            line,
            column,
        }
    }

    pub fn expr(&mut self) -> Result<Expr, Error> {
        let result = self.parser.parse_expr();
        self.lift(result)
    }

    pub fn query(&mut self) -> Result<Box<Query>, Error> {
        let result = self.parser.parse_query();
        self.lift(result)
    }

    /// The query that is read next may be followed by OPTIONS.
    pub fn options_follow(&self) {
        self.dialect.options_follow();
    }

    pub fn comma_separated<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut items = vec![read(self)?];
        while self.eat_token(&Token::Comma) {
            items.push(read(self)?);
        }
        Ok(items)
    }

    pub fn string(&mut self, what: &str) -> Result<String, Error> {
        match self.token() {
            Token::SingleQuotedString(text) => {
                let text = text.clone();
                self.parser.advance_token();
                Ok(text)
            }
            _ => Err(self.expected(&format!("{what} in single quotes"))),
        }
    }

    /// A user name in quotes, as every statement about users writes it.
    pub fn user(&mut self) -> Result<String, Error> {
        let name = self.string("a user name")?;
        match UserId::new(&name) {
            Some(_) => Ok(name),
            None => Err(Error::Invalid {
                message: "invalid user name".to_owned(),
                hint: Some(
                    "1 to 128 bytes without control characters, slashes or white space at an end",
                ),
            }),
        }
    }

    /// An identifier, folded and checked.
    pub fn name(&mut self, what: &str) -> Result<String, Error> {
        match self.token() {
            Token::Word(word) => {
                let name = fold(&word.to_ident(sqlparser::tokenizer::Span::empty()));
                check_identifier(&name)?;
                self.parser.advance_token();
                Ok(name)
            }
            _ => Err(self.expected(what)),
        }
    }

    /// The name of something that is made.
    pub fn new_name(&mut self, what: &str) -> Result<String, Error> {
        let name = self.name(what)?;
        check_new_identifier(&name)?;
        Ok(name)
    }

    /// `[namespace.]name`.
    pub fn table(&mut self, what: &str) -> Result<TableRef, Error> {
        let first = self.name(what)?;
        if !self.eat_token(&Token::Period) {
            return Ok(TableRef {
                namespace: None,
                name: first,
            });
        }
        let name = self.name(what)?;
        Ok(TableRef {
            namespace: Some(first),
            name,
        })
    }

    pub fn new_table(&mut self, what: &str) -> Result<TableRef, Error> {
        let table = self.table(what)?;
        check_new_identifier(&table.name)?;
        if let Some(namespace) = &table.namespace {
            Namespace::new_for_user(namespace)?;
        }
        Ok(table)
    }

    pub fn if_exists(&mut self) -> IfExists {
        if self.eat("IF EXISTS") {
            IfExists::Ignore
        } else {
            IfExists::Fail
        }
    }

    pub fn if_not_exists(&mut self) -> IfExists {
        if self.eat("IF NOT EXISTS") {
            IfExists::Ignore
        } else {
            IfExists::Fail
        }
    }
}

fn shorten(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Cuts ` at Line: 1, Column: 8` off.
fn split_location(text: &str) -> Option<(&str, (u64, u64))> {
    let (message, location) = text.rsplit_once(" at Line: ")?;
    let (line, column) = location.split_once(", Column: ")?;
    Some((message, (line.parse().ok()?, column.parse().ok()?)))
}
