//! Text to tokens, and what can be refused by looking at tokens alone: everything that would make the parser recurse or
//! search without bound, before a tree that deep exists.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};

use crate::dialect::KalamDialect;
use crate::error::Error;

/// Deepest operand under a chain of operators, counted through parentheses and CASE. AND and OR do not count: long
/// chains of them become balanced trees.
pub const EXPRESSION_DEPTH_MAX: usize = 256;

/// UNION, EXCEPT and INTERSECT in one statement: they make a tree as deep as they are many.
pub const SET_OPERATIONS_MAX: usize = 256;

/// Highest parameter number.
pub const PARAMETERS_MAX: usize = 65_535;

/// `FROM ((SELECT` may begin a subquery or a join in parentheses: the parser tries both, so each level multiplies the
/// work. This bounds the product.
const ALTERNATIVES_MAX: u64 = 4_096;

/// Tokens of a statement without white space and comments, with all forms of string in one form.
pub(crate) struct Tokens {
    pub list: Vec<TokenWithSpan>,
    /// Highest `$n`; 0 without parameters.
    pub parameters: usize,
}

impl Tokens {
    pub fn read(dialect: &KalamDialect, text: &str) -> Result<Self, Error> {
        let mut list = Tokenizer::new(dialect, text)
            .tokenize_with_location()
            .map_err(|error| Error::Syntax {
                message: lower_first(error.message.trim_end_matches('.')),
                line: error.location.line,
                column: error.location.column,
            })?;
        list.retain(|token| !matches!(token.token, Token::Whitespace(_)));
        let mut parameters = 0;
        for token in &mut list {
            parameters = parameters.max(unify(token)?);
        }
        check_shape(&list)?;
        Ok(Self { list, parameters })
    }
}

/// Lower case at the beginning, unless a keyword stands there.
pub(crate) fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if !chars.as_str().starts_with(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

/// Brings strings into one form and refuses literals with another meaning elsewhere. Returns the parameter number.
fn unify(token: &mut TokenWithSpan) -> Result<usize, Error> {
    match &mut token.token {
        Token::EscapedStringLiteral(text) => {
            token.token = Token::SingleQuotedString(std::mem::take(text))
        }
        Token::DollarQuotedString(text) => {
            token.token = Token::SingleQuotedString(std::mem::take(&mut text.value));
        }
        Token::HexStringLiteral(digits) => {
            // Both X'ff' and 0xff arrive here; the first is three characters longer than its digits.
            let width = token
                .span
                .end
                .column
                .saturating_sub(token.span.start.column);
            if width != digits.chars().count() as u64 + 3 {
                return Err(Error::UnsupportedClause {
                    clause: "a number in hexadecimal".to_owned(),
                    hint: Some("write X'…' for bytes, decimal digits for numbers"),
                });
            }
        }
        // Such a name could not be written out and read again.
        Token::Word(Word {
            value,
            quote_style: Some(_),
            ..
        }) if value.contains('"') => {
            return Err(Error::unsupported("a quotation mark inside a quoted name"));
        }
        Token::Placeholder(name) => {
            let number = name
                .strip_prefix('$')
                .and_then(|digits| digits.parse::<usize>().ok());
            return match number.filter(|number| (1..=PARAMETERS_MAX).contains(number)) {
                Some(number) => Ok(number),
                None => Err(Error::Invalid {
                    message: format!("invalid parameter `{name}`"),
                    hint: Some("parameters are $1, $2, … $65535"),
                }),
            };
        }
        _ => {}
    }
    Ok(0)
}

/// What one pair of brackets, or one CASE, contains.
#[derive(Default)]
struct Level {
    is_case: bool,
    /// Operators since the last AND, OR or end of an element.
    operators: usize,
    /// The most of these in the element.
    chain_max: usize,
    conjunctions: usize,
    /// BETWEEN whose AND is still to come.
    betweens: usize,
    /// Deepest bracket in the element.
    child_max: usize,
    /// Deepest of the elements that are over.
    element_max: usize,
    /// [`ALTERNATIVES_MAX`] outside of this bracket.
    alternatives: u64,
}

impl Level {
    fn end_chain(&mut self) {
        self.chain_max = self.chain_max.max(self.operators);
        self.operators = 0;
    }

    fn end_element(&mut self) {
        self.end_chain();
        // A short chain of AND or OR is left-deep, a longer one balanced.
        let conjunctions = self.conjunctions.min(crate::dialect::LEFT_DEEP_MAX + 16);
        self.element_max = self
            .element_max
            .max(self.chain_max + conjunctions + self.child_max);
        *self = Self {
            is_case: self.is_case,
            element_max: self.element_max,
            alternatives: self.alternatives,
            ..Self::default()
        };
    }
}

struct Shape<'a> {
    tokens: &'a [TokenWithSpan],
    levels: Vec<Level>,
    set_operations: usize,
    array_types: usize,
    alternatives: u64,
}

fn check_shape(tokens: &[TokenWithSpan]) -> Result<(), Error> {
    let levels = vec![Level::default()];
    let mut shape = Shape {
        tokens,
        levels,
        set_operations: 0,
        array_types: 0,
        alternatives: 1,
    };
    for index in 0..tokens.len() {
        shape.visit(index)?;
    }
    while shape.levels.len() > 1 {
        shape.close()?;
    }
    let mut whole = shape.levels.pop().unwrap_or_default();
    whole.end_element();
    check_depth(whole.element_max)?;
    if shape.set_operations > SET_OPERATIONS_MAX {
        return Err(Error::TooMany {
            what: "set operations",
            max: SET_OPERATIONS_MAX,
        });
    }
    Ok(())
}

fn check_depth(depth: usize) -> Result<(), Error> {
    if depth > EXPRESSION_DEPTH_MAX {
        Err(Error::TooDeep {
            max: EXPRESSION_DEPTH_MAX,
        })
    } else {
        Ok(())
    }
}

impl Shape<'_> {
    fn token(&self, index: usize) -> Option<&Token> {
        self.tokens.get(index).map(|token| &token.token)
    }

    fn keyword(&self, index: usize) -> Keyword {
        match self.token(index) {
            Some(Token::Word(word)) => word.keyword,
            _ => Keyword::NoKeyword,
        }
    }

    fn top(&mut self) -> &mut Level {
        self.levels
            .last_mut()
            .expect("the outermost level is never closed")
    }

    fn visit(&mut self, index: usize) -> Result<(), Error> {
        match &self.tokens[index].token {
            Token::LParen => self.open_parenthesis(index)?,
            Token::LBracket | Token::LBrace => {
                self.top().operators += 1;
                self.open(false);
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                while self.top().is_case {
                    self.close()?;
                }
                if self.levels.len() > 1 {
                    self.close()?;
                }
            }
            Token::Comma => self.top().end_element(),
            Token::Word(word) => self.visit_word(index, word.keyword)?,
            token if is_operator(token) => self.top().operators += 1,
            _ => {}
        }
        Ok(())
    }

    fn visit_word(&mut self, index: usize, keyword: Keyword) -> Result<(), Error> {
        let after_operand = index == 0 || !self.token(index - 1).is_some_and(is_operator);
        match keyword {
            Keyword::AND if self.top().betweens > 0 => self.top().betweens -= 1,
            Keyword::AND | Keyword::OR => {
                self.top().end_chain();
                self.top().conjunctions += 1;
            }
            Keyword::BETWEEN => {
                self.top().operators += 1;
                self.top().betweens += 1;
            }
            // A word that is an operand stands between operators, so these are the real ones.
            Keyword::CASE if !self.token(index + 1).is_none_or(is_operator) => self.open(true),
            Keyword::END if self.top().is_case && after_operand => self.close()?,
            Keyword::WHEN | Keyword::THEN | Keyword::ELSE
                if self.top().is_case && after_operand =>
            {
                self.top().end_element();
            }
            Keyword::SELECT if after_operand => self.top().end_element(),
            Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS => {
                self.set_operations += 1
            }
            Keyword::TABLE | Keyword::JSON_TABLE | Keyword::XMLTABLE | Keyword::OPENJSON
                if self.token(index + 1) == Some(&Token::LParen) =>
            {
                return Err(Error::unsupported(format!("{keyword:?} (…)")));
            }
            Keyword::ARRAY if self.token(index + 1) == Some(&Token::Lt) => {
                const ARRAY_TYPES_MAX: usize = 16;
                self.array_types += 1;
                if self.array_types > ARRAY_TYPES_MAX {
                    return Err(Error::TooMany {
                        what: "array types",
                        max: ARRAY_TYPES_MAX,
                    });
                }
            }
            // Before an operand it nests, which is bounded elsewhere; after one an operator follows that counts.
            Keyword::NOT => {}
            _ if is_operator_word(keyword) => self.top().operators += 1,
            _ => {}
        }
        Ok(())
    }

    fn open_parenthesis(&mut self, index: usize) -> Result<(), Error> {
        let begins_run = index == 0 || self.token(index - 1) != Some(&Token::LParen);
        self.open(false);
        if begins_run {
            let run = self.tokens[index..]
                .iter()
                .take_while(|token| token.token == Token::LParen)
                .count();
            let is_query = matches!(
                self.keyword(index + run),
                Keyword::SELECT | Keyword::WITH | Keyword::VALUES | Keyword::TABLE | Keyword::FROM
            );
            if run > 1 && is_query {
                self.alternatives = self.alternatives.saturating_mul(run as u64);
                if self.alternatives > ALTERNATIVES_MAX {
                    return Err(Error::TooDeep {
                        max: EXPRESSION_DEPTH_MAX,
                    });
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, is_case: bool) {
        self.levels.push(Level {
            is_case,
            alternatives: self.alternatives,
            ..Level::default()
        });
    }

    fn close(&mut self) -> Result<(), Error> {
        let Some(mut level) = self.levels.pop() else {
            return Ok(());
        };
        level.end_element();
        check_depth(level.element_max)?;
        self.alternatives = level.alternatives;
        let parent = self.top();
        parent.child_max = parent.child_max.max(level.element_max + 1);
        Ok(())
    }
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            matches!(word.keyword, Keyword::AND | Keyword::OR | Keyword::BETWEEN)
                || is_operator_word(word.keyword)
        }
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::HexStringLiteral(_)
        | Token::NationalStringLiteral(_)
        | Token::Placeholder(_)
        | Token::LParen
        | Token::RParen
        | Token::LBracket
        | Token::RBracket
        | Token::LBrace
        | Token::RBrace
        | Token::Comma
        | Token::Period
        | Token::SemiColon
        | Token::EOF => false,
        _ => true,
    }
}

fn is_operator_word(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::XOR
            | Keyword::NOT
            | Keyword::IS
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::SIMILAR
            | Keyword::RLIKE
            | Keyword::REGEXP
            | Keyword::OVERLAPS
            | Keyword::OPERATOR
            | Keyword::DIV
            | Keyword::AT
            | Keyword::COLLATE
            | Keyword::MEMBER
            | Keyword::MATCH
            | Keyword::NOTNULL
    )
}
