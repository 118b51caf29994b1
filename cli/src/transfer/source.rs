//! The rows of an input, one after the other, as parameters of an INSERT. A row that is none is refused, with its line;
//! only an input that cannot be read any further is an error.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, RecordBatch};
use kalam_link::{DataType, Field, Json};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use serde_json::value::RawValue;

use super::cells::{self, Column};
use super::csv;
use super::error::Error;
use super::files::{CsvOptions, Format, Place};
use super::table::Table;

const READ_BUFFER_BYTES: usize = 256 << 10;
const PARQUET_BATCH_ROWS: usize = 4096;

/// A row of the input.
pub struct Row {
    /// Where it begins in the file; for Parquet its number. From 1.
    pub line: u64,
    /// One per column of the plan, or why there are none.
    pub params: Result<Vec<Json>, String>,
    /// As it stood there.
    pub input: String,
}

/// An opened input.
pub struct Source {
    /// The columns that it fills, in the order of each row's parameters.
    pub columns: Vec<Field>,
    /// What `read` counts to, where that is known: bytes, or rows for Parquet.
    pub length: Option<u64>,
    pub read: Arc<AtomicU64>,
    rows: Rows,
}

enum Rows {
    Csv(CsvRows),
    Ndjson(NdjsonRows),
    Parquet(Box<ParquetRows>),
}

impl Source {
    pub fn open(
        place: &Place,
        format: Format,
        csv: &CsvOptions,
        names: &[String],
        table: &Table,
    ) -> Result<Self, Error> {
        let read = Arc::new(AtomicU64::new(0));
        let (columns, length, rows) = match format {
            Format::Csv => {
                let (input, length) = open(place, &read)?;
                let reader = csv::Reader::new(input, place.to_string(), csv.delimiter_byte());
                let (columns, rows) = CsvRows::begin(reader, place, csv, names, table)?;
                (columns, length, Rows::Csv(rows))
            }
            Format::Ndjson => {
                let (input, length) = open(place, &read)?;
                let (columns, rows) = NdjsonRows::begin(input, place, names, table)?;
                (columns, length, Rows::Ndjson(rows))
            }
            Format::Parquet => {
                let counter = Arc::clone(&read);
                let (columns, rows, length) = ParquetRows::open(place, names, table, counter)?;
                (columns, Some(length), Rows::Parquet(Box::new(rows)))
            }
        };
        Ok(Self {
            columns,
            length,
            read,
            rows,
        })
    }

    pub fn next(&mut self) -> Result<Option<Row>, Error> {
        match &mut self.rows {
            Rows::Csv(rows) => rows.next(),
            Rows::Ndjson(rows) => rows.next(),
            Rows::Parquet(rows) => rows.next(),
        }
    }
}

type Input = BufReader<Counted>;

/// Counts the bytes that were read.
struct Counted {
    inner: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

fn open(place: &Place, read: &Arc<AtomicU64>) -> Result<(Input, Option<u64>), Error> {
    let (inner, length): (Box<dyn Read + Send>, _) = match place {
        Place::Standard => (Box::new(io::stdin()), None),
        Place::File(path) => {
            let file = File::open(path).map_err(|source| unreadable(place, source))?;
            let metadata = file
                .metadata()
                .map_err(|source| unreadable(place, source))?;
            let length = metadata.is_file().then_some(metadata.len());
            (Box::new(file), length)
        }
    };
    let read = Arc::clone(read);
    let input = BufReader::with_capacity(READ_BUFFER_BYTES, Counted { inner, read });
    Ok((input, length))
}

fn unreadable(place: &Place, source: io::Error) -> Error {
    let name = place.to_string();
    Error::Read { name, source }
}

/// All columns of the table, or those asked for.
fn wanted(names: &[String], table: &Table) -> Result<Vec<Field>, Error> {
    if names.is_empty() {
        return Ok(table.columns.clone());
    }
    table.choose(names)
}

/// For each wanted column its place in the input's own list. Without a wish, every column of the input is wanted.
fn placed(
    inputs: &[String],
    names: &[String],
    table: &Table,
) -> Result<(Vec<Field>, Vec<usize>), Error> {
    let columns = table.choose(if names.is_empty() { inputs } else { names })?;
    let mut places = Vec::with_capacity(columns.len());
    for field in &columns {
        let exact = inputs.iter().position(|input| *input == field.name);
        let folded = || {
            let mut like = inputs.iter();
            like.position(|input| input.eq_ignore_ascii_case(&field.name))
        };
        let place = exact.or_else(folded).ok_or_else(|| Error::NotInInput {
            column: field.name.clone(),
        })?;
        places.push(place);
    }
    Ok((columns, places))
}

struct CsvRows {
    reader: csv::Reader<Input>,
    delimiter: u8,
    null: String,
    types: Vec<DataType>,
    /// Place of each column among the fields.
    places: Vec<usize>,
    /// Fields of a record.
    width: usize,
}

impl CsvRows {
    fn begin(
        mut reader: csv::Reader<Input>,
        place: &Place,
        options: &CsvOptions,
        names: &[String],
        table: &Table,
    ) -> Result<(Vec<Field>, Self), Error> {
        let delimiter = options.delimiter_byte();
        let (columns, places, width) = if options.no_header {
            let columns = wanted(names, table)?;
            let width = columns.len();
            (columns, (0..width).collect(), width)
        } else {
            let header = |problem: String| Error::Header {
                name: place.to_string(),
                problem,
            };
            let Some((_, record)) = reader.next()? else {
                return Err(header("there is none, the input is empty".to_owned()));
            };
            let fields = csv::fields(record, delimiter);
            let fields = fields.map_err(|error| header(error.to_string()))?;
            let inputs: Vec<String> = fields.into_iter().map(|field| field.text).collect();
            let placed = placed(&inputs, names, table);
            let (columns, places) = placed.map_err(|error| header(error.to_string()))?;
            (columns, places, inputs.len())
        };
        let rows = Self {
            reader,
            delimiter,
            null: options.null.clone(),
            types: columns.iter().map(|field| field.data_type).collect(),
            places,
            width,
        };
        Ok((columns, rows))
    }

    fn next(&mut self) -> Result<Option<Row>, Error> {
        let (line, record) = loop {
            match self.reader.next()? {
                None => return Ok(None),
                // A blank line is a NULL only where a row has one column.
                Some((_, [])) if self.width > 1 => {}
                Some((line, record)) => break (line, record.to_vec()),
            }
        };
        let params = self.params(&record);
        let input = String::from_utf8_lossy(&record).into_owned();
        Ok(Some(Row {
            line,
            params,
            input,
        }))
    }

    fn params(&self, record: &[u8]) -> Result<Vec<Json>, String> {
        let fields = csv::fields(record, self.delimiter).map_err(|error| error.to_string())?;
        if fields.len() != self.width {
            return Err(format!("{} fields instead of {}", fields.len(), self.width));
        }
        let mut params = Vec::with_capacity(self.places.len());
        for (place, data_type) in self.places.iter().zip(&self.types) {
            let field = &fields[*place];
            params.push(if !field.quoted && field.text == self.null {
                Json::Null
            } else {
                let param = cells::json_of_text(field.text.clone(), *data_type);
                param.map_err(|reason| format!("field {}: {reason}", place + 1))?
            });
        }
        Ok(params)
    }
}

struct NdjsonRows {
    input: Input,
    name: String,
    columns: Vec<Field>,
    line: u64,
    /// Read already, to learn the columns.
    first: Option<Line>,
}

struct Line {
    text: String,
    /// False: what is no UTF-8 was replaced in `text`.
    is_exact: bool,
}

type Object = HashMap<String, Box<RawValue>>;

impl NdjsonRows {
    fn begin(
        input: Input,
        place: &Place,
        names: &[String],
        table: &Table,
    ) -> Result<(Vec<Field>, Self), Error> {
        let mut rows = Self {
            input,
            name: place.to_string(),
            columns: Vec::new(),
            line: 0,
            first: None,
        };
        let first = rows.read_line()?;
        // Without a wish the first object says which columns there are; an array has those of the table.
        let keys = first
            .as_ref()
            .map(|line| serde_json::from_str::<Object>(&line.text));
        rows.columns = match keys {
            Some(Ok(object)) if names.is_empty() => {
                let mut keys: Vec<String> = object.into_keys().collect();
                keys.sort_unstable();
                table.choose(&keys)?
            }
            _ => wanted(names, table)?,
        };
        rows.first = first;
        Ok((rows.columns.clone(), rows))
    }

    /// The next line that is not blank. `self.line` is then its number.
    fn read_line(&mut self) -> Result<Option<Line>, Error> {
        loop {
            let mut bytes = Vec::new();
            let read = self.input.read_until(b'\n', &mut bytes);
            let read = read.map_err(|source| Error::Read {
                name: self.name.clone(),
                source,
            })?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            let text = bytes.trim_ascii();
            if !text.is_empty() {
                let text = String::from_utf8_lossy(text);
                // Borrowed: there was nothing to replace.
                let is_exact = matches!(text, Cow::Borrowed(_));
                let text = text.into_owned();
                return Ok(Some(Line { text, is_exact }));
            }
        }
    }

    fn next(&mut self) -> Result<Option<Row>, Error> {
        let next = match self.first.take() {
            Some(first) => Some(first),
            None => self.read_line()?,
        };
        let Some(Line { text, is_exact }) = next else {
            return Ok(None);
        };
        let params = match is_exact {
            true => self.params(&text),
            false => Err("it is not text in UTF-8".to_owned()),
        };
        let (line, input) = (self.line, text);
        Ok(Some(Row {
            line,
            params,
            input,
        }))
    }

    fn params(&self, line: &str) -> Result<Vec<Json>, String> {
        if line.starts_with('[') {
            let cells: Vec<&RawValue> = serde_json::from_str(line).map_err(not_json)?;
            if cells.len() != self.columns.len() {
                return Err(format!(
                    "{} cells instead of {}",
                    cells.len(),
                    self.columns.len()
                ));
            }
            let pairs = cells.into_iter().zip(&self.columns);
            return pairs
                .map(|(cell, field)| parameter(cell.get(), field))
                .collect();
        }
        let mut object: Object = serde_json::from_str(line).map_err(not_json)?;
        let mut params = Vec::with_capacity(self.columns.len());
        for field in &self.columns {
            let exact = object.remove(&field.name);
            let cell = exact.or_else(|| {
                let mut keys = object.keys();
                let key = keys
                    .find(|key| key.eq_ignore_ascii_case(&field.name))?
                    .clone();
                object.remove(&key)
            });
            params.push(match cell {
                Some(cell) => parameter(cell.get(), field)?,
                None => Json::Null,
            });
        }
        match object.keys().min() {
            Some(key) => Err(format!(
                "`{key}` is not among the columns that are imported"
            )),
            None => Ok(params),
        }
    }
}

fn not_json(error: serde_json::Error) -> String {
    format!("it is no JSON object or array: {error}")
}

/// Numbers go as they were written where a float could not hold them, and nested JSON keeps its text.
fn parameter(raw: &str, field: &Field) -> Result<Json, String> {
    let is_number = raw.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let is_nested = raw.starts_with(['{', '[']);
    let as_text = match field.data_type {
        DataType::Decimal { .. } | DataType::BigInt => is_number && !raw.contains(['e', 'E']),
        DataType::Json => is_nested || is_number,
        _ => false,
    };
    if as_text {
        return Ok(Json::String(raw.to_owned()));
    }
    serde_json::from_str(raw).map_err(not_json)
}

struct ParquetRows {
    batches: ParquetRecordBatchReader,
    columns: Vec<Column>,
    /// Place of each column of the plan in the file.
    places: Vec<usize>,
    batch: Vec<ArrayRef>,
    /// The next row of `batch`, and how many it has.
    at: usize,
    rows: usize,
    number: u64,
    read: Arc<AtomicU64>,
}

impl ParquetRows {
    fn open(
        place: &Place,
        names: &[String],
        table: &Table,
        read: Arc<AtomicU64>,
    ) -> Result<(Vec<Field>, Self, u64), Error> {
        let Place::File(path) = place else {
            return Err(Error::ParquetFromPipe);
        };
        let broken = |source| Error::Parquet {
            name: place.to_string(),
            source,
        };
        let file = File::open(path).map_err(|source| unreadable(place, source))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(broken)?;
        let length = builder.metadata().file_metadata().num_rows();
        let columns = cells::columns(builder.schema())?;
        let inputs: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let (fields, places) = placed(&inputs, names, table)?;
        let batches = builder
            .with_batch_size(PARQUET_BATCH_ROWS)
            .build()
            .map_err(broken)?;
        let rows = Self {
            batches,
            columns,
            places,
            batch: Vec::new(),
            at: 0,
            rows: 0,
            number: 0,
            read,
        };
        Ok((fields, rows, u64::try_from(length).unwrap_or_default()))
    }

    fn next(&mut self) -> Result<Option<Row>, Error> {
        while self.at == self.rows {
            let Some(batch) = self.batches.next() else {
                return Ok(None);
            };
            let batch: RecordBatch = batch.map_err(Error::Decode)?;
            self.batch = cells::plain_arrays(&batch, &self.columns)?;
            self.rows = batch.num_rows();
            self.at = 0;
        }
        let params: Vec<Json> = self
            .places
            .iter()
            .map(|place| {
                let data_type = self.columns[*place].data_type;
                cells::parameter_of(&cells::value_at(&self.batch[*place], data_type, self.at))
            })
            .collect();
        self.at += 1;
        self.number += 1;
        self.read.store(self.number, Ordering::Relaxed);
        let input = serde_json::to_string(&params).unwrap_or_default();
        let line = self.number;
        Ok(Some(Row {
            line,
            params: Ok(params),
            input,
        }))
    }
}
