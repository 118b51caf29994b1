//! Where a SQL statement ends: text is cut at each `;` that is not inside a string, a quoted name or a comment. And what
//! its pieces are, for those who colour or complete it.
//!
//! Lexical only: whether a statement makes sense is the server's affair. The rules are those of the server's tokenizer:
//! `'…''…'`, `E'…\'…'`, `X'…'`, `"…""…"`, `$tag$…$tag$`, `-- …` and nested `/* … */`.

use std::str::Chars;

/// One statement of a longer text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// From the first to the last character that is neither white space nor comment, without the `;`.
    pub text: &'a str,
    /// Where `text` begins in the whole, in bytes.
    pub start: usize,
    /// Bytes of `text` outside strings, quoted names and comments: what a parser has to work on.
    pub code_bytes: usize,
    pub ending: Ending,
}

/// How a statement ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Semicolon,
    /// The text is over. A server takes that for the end, a terminal waits for more.
    EndOfText,
    /// The text is over inside something that must be closed; `text` then reaches to the end of the whole.
    Inside(Open),
}

/// What can be open at the end of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    String,
    QuotedName,
    DollarString,
    Comment,
}

/// Cuts `text` into statements, without those that are empty.
#[must_use]
pub fn split(text: &str) -> Statements<'_> {
    Statements {
        lexer: Lexer { text, at: 0 },
    }
}

/// Whether every statement of `text` is closed by a `;`, so that a terminal may send it. True for an empty text.
#[must_use]
pub fn is_complete(text: &str) -> bool {
    split(text).all(|statement| statement.ending == Ending::Semicolon)
}

/// Line and column of a byte position, both from 1, the column in characters.
#[must_use]
pub fn line_and_column(text: &str, position: usize) -> (u64, u64) {
    let before = text.get(..position).unwrap_or(text);
    let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
    let column = 1 + before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count();
    (line as u64, column as u64)
}

/// Iterator of [`split`].
#[derive(Clone, Debug)]
pub struct Statements<'a> {
    lexer: Lexer<'a>,
}

impl<'a> Iterator for Statements<'a> {
    type Item = Statement<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut first = None;
        let mut last = 0;
        let mut code_bytes = 0;
        let ending = loop {
            let begin = self.lexer.at;
            let Some(piece) = self.lexer.next_piece() else {
                break Ending::EndOfText;
            };
            match piece {
                Piece::Space | Piece::Comment => continue,
                Piece::Semicolon if first.is_none() => continue,
                Piece::Semicolon => break Ending::Semicolon,
                Piece::Word | Piece::Symbol => code_bytes += self.lexer.at - begin,
                Piece::String | Piece::QuotedName | Piece::Unclosed(_) => {}
            }
            first.get_or_insert(begin);
            last = self.lexer.at;
            if let Piece::Unclosed(open) = piece {
                break Ending::Inside(open);
            }
        };
        let start = first?;
        Some(Statement {
            text: &self.lexer.text[start..last],
            start,
            code_bytes,
            ending,
        })
    }
}

/// What a piece of SQL text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// One character of white space.
    Space,
    Comment,
    Semicolon,
    /// A keyword or a name without quotes.
    Word,
    /// A parameter (`$1`), or one other character: a digit, an operator.
    Symbol,
    /// `'…'` and its relatives, or a dollar string.
    String,
    QuotedName,
    /// Reaches to the end of the text.
    Unclosed(Open),
}

/// Cuts `text` into all its pieces, in order and without gaps.
pub fn pieces(text: &str) -> impl Iterator<Item = (Piece, &str)> {
    let mut lexer = Lexer { text, at: 0 };
    std::iter::from_fn(move || {
        let begin = lexer.at;
        let piece = lexer.next_piece()?;
        Some((piece, &text[begin..lexer.at]))
    })
}

#[derive(Clone, Debug)]
struct Lexer<'a> {
    text: &'a str,
    /// Always at a character boundary.
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn next_piece(&mut self) -> Option<Piece> {
        let rest = self.rest();
        let mut chars = rest.chars();
        let first = chars.next()?;
        Some(match first {
            ';' => {
                self.at += 1;
                Piece::Semicolon
            }
            '\'' => self.quoted('\'', Escape::Doubled, Open::String),
            '"' => self.quoted('"', Escape::Doubled, Open::QuotedName),
            '$' => self.dollar(),
            '-' if rest.starts_with("--") => {
                self.at += rest.find('\n').map_or(rest.len(), |end| end + 1);
                Piece::Comment
            }
            '/' if rest.starts_with("/*") => self.comment(),
            _ if first.is_whitespace() => {
                self.at += first.len_utf8();
                Piece::Space
            }
            _ if is_name_start(first) => self.word(chars),
            _ => {
                self.at += first.len_utf8();
                Piece::Symbol
            }
        })
    }

    /// A word, or a string that a word of one letter introduces. `chars` is after the first letter.
    fn word(&mut self, chars: Chars<'_>) -> Piece {
        let rest = self.rest();
        let tail = chars.as_str();
        if tail.starts_with('\'') && rest.starts_with(['e', 'E', 'x', 'X']) {
            self.at += 1;
            return self.quoted('\'', Escape::Backslash, Open::String);
        }
        self.at += rest.find(|c| !is_name_part(c)).unwrap_or(rest.len());
        Piece::Word
    }

    /// Stands at the opening quote.
    fn quoted(&mut self, quote: char, escape: Escape, open: Open) -> Piece {
        let bytes = self.text.as_bytes();
        let mut at = self.at + 1;
        while let Some(byte) = bytes.get(at) {
            if *byte == b'\\' && escape == Escape::Backslash {
                at += 1;
            } else if char::from(*byte) == quote {
                if bytes.get(at + 1).map(|next| char::from(*next)) != Some(quote) {
                    self.at = at + 1;
                    return match open {
                        Open::QuotedName => Piece::QuotedName,
                        Open::String | Open::DollarString | Open::Comment => Piece::String,
                    };
                }
                at += 1;
            }
            at += 1;
        }
        self.at = self.text.len();
        Piece::Unclosed(open)
    }

    /// `$1`, `$$ … $$` or `$tag$ … $tag$`.
    fn dollar(&mut self) -> Piece {
        let rest = self.rest();
        let tag = rest[1..]
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .map_or(rest.len(), |end| end + 1);
        if !rest[tag..].starts_with('$') {
            self.at += tag;
            return Piece::Symbol;
        }
        let delimiter = &rest[..=tag];
        let Some(end) = rest[delimiter.len()..].find(delimiter) else {
            self.at = self.text.len();
            return Piece::Unclosed(Open::DollarString);
        };
        self.at += end + 2 * delimiter.len();
        Piece::String
    }

    /// Stands at `/*`. Comments nest.
    fn comment(&mut self) -> Piece {
        let bytes = self.text.as_bytes();
        let mut at = self.at + 2;
        let mut depth = 1_usize;
        while depth > 0 {
            match bytes.get(at..at + 2) {
                Some(b"/*") => {
                    depth += 1;
                    at += 2;
                }
                Some(b"*/") => {
                    depth -= 1;
                    at += 2;
                }
                Some(_) => at += 1,
                None => {
                    self.at = self.text.len();
                    return Piece::Unclosed(Open::Comment);
                }
            }
        }
        self.at = at;
        Piece::Comment
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    /// Only a doubled quote stands for itself.
    Doubled,
    /// A backslash takes the next character along as well.
    Backslash,
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_name_part(c: char) -> bool {
    is_name_start(c) || c.is_ascii_digit()
}

#[cfg(test)]
#[cfg(not(target_arch = "wasm32"))]
mod tests;
