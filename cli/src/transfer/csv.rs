//! CSV as RFC 4180 has it. Whether a field was quoted is kept, since an empty field without quotes is NULL.

use std::io::{self, BufRead};

use super::error::Error;

// More than any request may have: only a quote that is not closed makes such a record.
const RECORD_BYTES_MAX: usize = 16 << 20;

/// Cuts an input into records.
pub struct Reader<R> {
    input: R,
    name: String,
    delimiter: u8,
    /// Lines read so far.
    lines: u64,
    record: Vec<u8>,
}

/// Where in a record the next byte stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    FieldStart,
    Unquoted,
    Quoted,
    QuoteInQuoted,
}

impl At {
    fn after(self, byte: u8, delimiter: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'"') => Self::QuoteInQuoted,
            (Self::Quoted, _) => Self::Quoted,
            (Self::FieldStart | Self::QuoteInQuoted, b'"') => Self::Quoted,
            (_, byte) if byte == delimiter => Self::FieldStart,
            _ => Self::Unquoted,
        }
    }
}

impl<R: BufRead> Reader<R> {
    pub fn new(input: R, name: String, delimiter: u8) -> Self {
        Self {
            input,
            name,
            delimiter,
            lines: 0,
            record: Vec::new(),
        }
    }

    /// The next record without its line break, and the line on which it begins.
    pub fn next(&mut self) -> Result<Option<(u64, &[u8])>, Error> {
        self.record.clear();
        let line = self.lines + 1;
        let mut at = At::FieldStart;
        loop {
            let scanned = self.record.len();
            let limit = (RECORD_BYTES_MAX - scanned) as u64 + 1;
            let read = io::Read::take(&mut self.input, limit).read_until(b'\n', &mut self.record);
            let read = read.map_err(|source| Error::Read {
                name: self.name.clone(),
                source,
            })?;
            if read == 0 {
                return match (scanned, at) {
                    (0, _) => Ok(None),
                    (_, At::Quoted) => Err(Error::OpenQuote { line }),
                    _ => Ok(Some((line, &self.record))),
                };
            }
            if self.record.len() > RECORD_BYTES_MAX {
                let bytes_max = RECORD_BYTES_MAX;
                return Err(Error::RecordTooLong { line, bytes_max });
            }
            self.lines += 1;
            if self.lines == 1 && self.record.starts_with(b"\xef\xbb\xbf") {
                self.record.drain(..3);
            }
            let scanned = scanned.min(self.record.len());
            at = self.record[scanned..]
                .iter()
                .fold(at, |at, byte| at.after(*byte, self.delimiter));
            if at != At::Quoted && self.record.ends_with(b"\n") {
                let ends = if self.record.ends_with(b"\r\n") { 2 } else { 1 };
                let end = self.record.len() - ends;
                return Ok(Some((line, &self.record[..end])));
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub text: String,
    pub quoted: bool,
}

/// Why a record has no fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("field {field} has a quote in its middle: a field with quotes needs them around it")]
    QuoteInside { field: usize },
    #[error("field {field} goes on after its closing quote")]
    AfterQuote { field: usize },
    #[error("it is not text in UTF-8")]
    NotText,
}

/// Cuts a record into fields.
pub fn fields(record: &[u8], delimiter: u8) -> Result<Vec<Field>, Malformed> {
    let text = std::str::from_utf8(record).map_err(|_| Malformed::NotText)?;
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let number = fields.len() + 1;
        let (field, after) = match rest.strip_prefix('"') {
            Some(inner) => quoted(inner, delimiter, number)?,
            None => unquoted(rest, delimiter, number)?,
        };
        fields.push(field);
        match after {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

fn unquoted(text: &str, delimiter: u8, field: usize) -> Result<(Field, Option<&str>), Malformed> {
    let (text, after) = match text.split_once(char::from(delimiter)) {
        Some((text, after)) => (text, Some(after)),
        None => (text, None),
    };
    if text.contains('"') {
        return Err(Malformed::QuoteInside { field });
    }
    let quoted = false;
    let text = text.to_owned();
    Ok((Field { text, quoted }, after))
}

/// `text` begins after the opening quote.
fn quoted(text: &str, delimiter: u8, field: usize) -> Result<(Field, Option<&str>), Malformed> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        // The reader gives no record with an open quote.
        let (part, after) = rest.split_once('"').unwrap_or((rest, ""));
        value.push_str(part);
        let Some(more) = after.strip_prefix('"') else {
            let quoted = true;
            let field_read = Field {
                text: value,
                quoted,
            };
            return match after.strip_prefix(char::from(delimiter)) {
                Some(next) => Ok((field_read, Some(next))),
                None if after.is_empty() => Ok((field_read, None)),
                None => Err(Malformed::AfterQuote { field }),
            };
        };
        value.push('"');
        rest = more;
    }
}

/// Appends one field; `None` is NULL.
pub fn append_field(field: Option<&str>, null: &str, delimiter: u8, out: &mut Vec<u8>) {
    let Some(text) = field else {
        out.extend_from_slice(null.as_bytes());
        return;
    };
    let is_special = |byte: u8| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r');
    if text != null && !text.is_empty() && !text.bytes().any(is_special) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Vec<(u64, Vec<(String, bool)>)> {
        let mut reader = Reader::new(text.as_bytes(), String::new(), b',');
        let mut all = Vec::new();
        while let Some((line, record)) = reader.next().unwrap() {
            let fields = fields(record, b',').unwrap();
            let fields = fields.into_iter().map(|field| (field.text, field.quoted));
            all.push((line, fields.collect()));
        }
        all
    }

    fn plain(text: &str) -> (String, bool) {
        (text.to_owned(), false)
    }

    fn in_quotes(text: &str) -> (String, bool) {
        (text.to_owned(), true)
    }

    #[test]
    fn records_have_the_line_they_begin_on() {
        assert_eq!(
            records("\u{feff}a,b\r\n\"x\ny\",\"\"\n1,\n\"q\"\"q\",🦀"),
            [
                (1, vec![plain("a"), plain("b")]),
                (2, vec![in_quotes("x\ny"), in_quotes("")]),
                (4, vec![plain("1"), plain("")]),
                (5, vec![in_quotes("q\"q"), plain("🦀")]),
            ]
        );
        assert_eq!(records(""), []);
        assert_eq!(records("\n"), [(1, vec![plain("")])]);
    }

    #[test]
    fn a_malformed_record_says_where() {
        let of = |text: &str| fields(text.as_bytes(), b',').unwrap_err();
        assert_eq!(of("a,5\" disk"), Malformed::QuoteInside { field: 2 });
        assert_eq!(of("\"a\"b,c"), Malformed::AfterQuote { field: 1 });
        assert_eq!(fields(b"\xff", b','), Err(Malformed::NotText));
        let mut reader = Reader::new("a\n\"b\nc".as_bytes(), String::new(), b',');
        assert!(reader.next().unwrap().is_some());
        assert!(matches!(reader.next(), Err(Error::OpenQuote { line: 2 })));
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let cells = [
            None,
            Some(""),
            Some("a"),
            Some("a,b"),
            Some("\"\r\n"),
            Some("NULL"),
        ];
        for null in ["", "NULL"] {
            let mut out = Vec::new();
            for (index, cell) in cells.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                append_field(*cell, null, b',', &mut out);
            }
            let read = fields(&out, b',').unwrap();
            let read: Vec<_> = read
                .iter()
                .map(|field| (field.quoted || field.text != null).then_some(field.text.as_str()))
                .collect();
            assert_eq!(read, cells);
        }
    }
}
