//! Reads JSON without types: values in their order, objects field by field, and whole values as the text that they are.
//!
//! What a client receives is read with this, so that rows stay text, and so that the code is small enough for a
//! browser. Everything is checked, also what is passed over.

mod object;

use std::borrow::Cow;

pub use object::Object;

// As deep as `serde_json` goes.
const DEPTH_MAX: usize = 128;

/// The text is not JSON, or not what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{expected} expected at byte {at}")]
pub struct JsonError {
    pub expected: &'static str,
    pub at: usize,
    pub kind: JsonErrorKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// Not JSON at all.
    Malformed,
    /// JSON of another shape.
    Shape,
}

/// Where in a text one is.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

type Result<T> = std::result::Result<T, JsonError>;

/// Checks that `text` is one JSON value, and returns it without the white space around it.
pub(crate) fn one_value(text: &str) -> Result<&str> {
    let mut reader = Reader::new(text);
    let value = reader.raw()?;
    reader.end()?;
    Ok(value)
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Reads an object. `field` is given each name and must read the value.
    pub fn object(&mut self, field: &mut dyn FnMut(&str, &mut Self) -> Result<()>) -> Result<()> {
        self.open(b'{', "an object")?;
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            let name = self.text()?;
            self.punctuation(b':', "`:`")?;
            field(&name, self)?;
            if self.eat(b'}') {
                return Ok(());
            }
            self.punctuation(b',', "`,` or `}`")?;
        }
    }

    /// Reads an array. `item` must read one.
    pub fn array(&mut self, item: &mut dyn FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.open(b'[', "an array")?;
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.eat(b']') {
                return Ok(());
            }
            self.punctuation(b',', "`,` or `]`")?;
        }
    }

    /// Reads a string, copied only if it holds escapes.
    pub fn text(&mut self) -> Result<Cow<'a, str>> {
        if !self.is_text() {
            return Err(self.wrong("a string"));
        }
        let quoted = self.raw()?;
        let inner = &quoted[1..quoted.len() - 1];
        if inner.contains('\\') {
            unescape(inner)
                .map(Cow::Owned)
                .ok_or_else(|| self.malformed("a string of whole characters"))
        } else {
            Ok(Cow::Borrowed(inner))
        }
    }

    pub fn is_text(&mut self) -> bool {
        self.peek() == Some(b'"')
    }

    pub fn unsigned(&mut self) -> Result<u64> {
        self.parsed("a whole number")
    }

    pub fn boolean(&mut self) -> Result<bool> {
        self.parsed("true or false")
    }

    fn parsed<T: std::str::FromStr>(&mut self, expected: &'static str) -> Result<T> {
        let at = self.at;
        self.raw()?.parse().map_err(|_| JsonError {
            expected,
            at,
            kind: JsonErrorKind::Shape,
        })
    }

    /// Reads null, if it stands here.
    pub fn null(&mut self) -> bool {
        self.peek();
        let is_null = self.rest().starts_with(b"null");
        if is_null {
            self.at += 4;
        }
        is_null
    }

    /// Passes over a value and returns its text.
    pub fn raw(&mut self) -> Result<&'a str> {
        self.peek();
        let begin = self.at;
        let mut open = Brackets::default();
        loop {
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    self.at += 1;
                    if open.depth >= DEPTH_MAX {
                        return Err(self.malformed("less nesting"));
                    }
                    open.push(bracket);
                    if !self.eat(bracket + 2) {
                        self.name_of_field(&open)?;
                        continue;
                    }
                    open.pop();
                }
                Some(b'"') => self.string()?,
                _ => self.word()?,
            }
            // A value has ended, and with it perhaps what it stands in.
            loop {
                let Some(closing) = open.closing() else {
                    return Ok(&self.text[begin..self.at]);
                };
                if !self.eat(closing) {
                    break;
                }
                open.pop();
            }
            self.punctuation(b',', "`,` or a closing bracket")?;
            self.name_of_field(&open)?;
        }
    }

    /// Nothing follows but white space.
    pub fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.malformed("the end")),
        }
    }

    pub fn wrong(&self, expected: &'static str) -> JsonError {
        JsonError {
            expected,
            at: self.at,
            kind: JsonErrorKind::Shape,
        }
    }

    fn malformed(&self, expected: &'static str) -> JsonError {
        JsonError {
            expected,
            at: self.at,
            kind: JsonErrorKind::Malformed,
        }
    }

    /// Passes over the name of a field and what follows it, if the innermost open bracket is that of an object.
    fn name_of_field(&mut self, open: &Brackets) -> Result<()> {
        if open.closing() == Some(b'}') {
            if self.peek() != Some(b'"') {
                return Err(self.malformed("a name"));
            }
            self.string()?;
            self.punctuation(b':', "`:`")?;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<()> {
        let bytes = self.rest();
        let mut index = 1;
        loop {
            index += plain(&bytes[index..]);
            match bytes.get(index) {
                Some(b'"') => break,
                Some(b'\\') => {
                    index += match bytes.get(index + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                        Some(b'u') if self.is_hex(index + 2) => 6,
                        _ => return Err(self.malformed("an escape that JSON knows")),
                    }
                }
                _ => return Err(self.malformed("the end of a string")),
            }
        }
        self.at += index + 1;
        Ok(())
    }

    fn is_hex(&self, from: usize) -> bool {
        let digits = self.rest().get(from..from + 4);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    }

    /// A number, true, false or null.
    fn word(&mut self) -> Result<()> {
        let is_part =
            |byte: &&u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.');
        let length = self.rest().iter().take_while(is_part).count();
        let word = &self.rest()[..length];
        if matches!(word, b"true" | b"false" | b"null") || is_number(word) {
            self.at += length;
            Ok(())
        } else {
            Err(self.malformed("a value"))
        }
    }

    fn open(&mut self, bracket: u8, expected: &'static str) -> Result<()> {
        if self.eat(bracket) {
            Ok(())
        } else {
            Err(self.wrong(expected))
        }
    }

    fn punctuation(&mut self, byte: u8, expected: &'static str) -> Result<()> {
        if self.eat(byte) {
            Ok(())
        } else {
            Err(self.malformed(expected))
        }
    }

    #[inline(always)]
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// The next byte that is no white space. Small and everywhere: calls would cost more than what is called.
    #[inline(always)]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                found => return found.copied(),
            }
        }
    }

    #[inline(always)]
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }
}

/// Which brackets are open, the innermost in the lowest bit: 1 for an object.
#[derive(Default)]
struct Brackets {
    objects: u128,
    depth: usize,
}

impl Brackets {
    fn push(&mut self, bracket: u8) {
        self.objects = self.objects << 1 | u128::from(bracket == b'{');
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
    }

    /// What closes the innermost one.
    fn closing(&self) -> Option<u8> {
        let is_object = self.objects & 1 == 1;
        (self.depth > 0).then_some(if is_object { b'}' } else { b']' })
    }
}

/// How many bytes stand for themselves in a string, before a quote, a backslash or a control character. Eight are looked
/// at together: <https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord>.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    const QUOTES: u64 = ONES * b'"' as u64;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    // The high bit of each byte below `bound`, of those that are below 128.
    const fn below(word: u64, bound: u64) -> u64 {
        word.wrapping_sub(ONES * bound) & !word & HIGH
    }
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let special = below(word, 0x20) | below(word ^ QUOTES, 1) | below(word ^ BACKSLASHES, 1);
        if special != 0 {
            // Bits above the first may be wrong: the subtraction borrows.
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..=0x1f);
    words.len() * 8 + rest.iter().take_while(is_plain).count()
}

/// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
fn is_number(word: &[u8]) -> bool {
    fn digits(word: &[u8]) -> (usize, &[u8]) {
        let count = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count, &word[count..])
    }
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let (whole, mut rest) = digits(word);
    if whole == 0 || (whole > 1 && word[0] == b'0') {
        return false;
    }
    if let [b'.', fraction @ ..] = rest {
        let (count, after) = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = after;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let unsigned = match exponent {
            [b'+' | b'-', unsigned @ ..] => unsigned,
            unsigned => unsigned,
        };
        let (count, after) = digits(unsigned);
        return count > 0 && after.is_empty();
    }
    rest.is_empty()
}

/// None if a surrogate stands alone. The escapes are known to be sound.
fn unescape(inner: &str) -> Option<String> {
    let mut text = String::with_capacity(inner.len());
    let mut parts = inner.split('\\');
    text.push_str(parts.next()?);
    while let Some(part) = parts.next() {
        let mut rest = part.chars();
        match rest.next() {
            // An escaped backslash: what follows it stands in the part after this.
            None => {
                text.push('\\');
                text.push_str(parts.next().unwrap_or_default());
            }
            Some('u') => {
                let unit = u32::from_str_radix(part.get(1..5)?, 16).ok()?;
                let mut tail = part.get(5..)?;
                let mut code = unit;
                if (0xd800..0xdc00).contains(&unit) {
                    let low = parts
                        .next()?
                        .strip_prefix('u')
                        .filter(|_| tail.is_empty())?;
                    let second = u32::from_str_radix(low.get(..4)?, 16).ok()?;
                    if !(0xdc00..0xe000).contains(&second) {
                        return None;
                    }
                    code = 0x1_0000 + ((unit - 0xd800) << 10) + (second - 0xdc00);
                    tail = low.get(4..)?;
                }
                text.push(char::from_u32(code)?);
                text.push_str(tail);
            }
            Some(escaped) => {
                text.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    itself => itself,
                });
                text.push_str(rest.as_str());
            }
        }
    }
    Some(text)
}

/// Appends `text` as a JSON string.
pub fn append_string(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' => {
                out.push_str("\\u00");
                for digit in [c as usize >> 4, c as usize & 15] {
                    out.push(char::from(HEX[digit]));
                }
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
#[cfg(not(target_arch = "wasm32"))]
mod tests;
