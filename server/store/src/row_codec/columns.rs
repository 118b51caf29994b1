//! Rows into Arrow arrays, column by column.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder,
    FixedSizeListBuilder, Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder,
    RecordBatch, RecordBatchOptions, StringBuilder, Time64MicrosecondBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Schema, SchemaRef};
use kalam_link_core::{DataType, SeqId, Value};

use super::{
    Stored, array, corrupt, read_boolean, read_floats, read_text, read_unscaled, read_value,
    widen_stored,
};
use crate::arrow_types::{UTC, arrow_field, arrow_type, list_item, seq_field};
use crate::error::Error;
use crate::layout::Layouts;

/// Collects some columns of rows into a record batch.
pub struct ColumnBuilders {
    layouts: Arc<Layouts>,
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
}

struct Column {
    source: Source,
    builder: Builder,
}

#[derive(Clone, Copy)]
enum Source {
    /// Position in the current definition.
    Column(usize, DataType),
    Seq,
}

impl ColumnBuilders {
    /// `projection` gives positions in the current definition; the position after the last column is `_seq`.
    ///
    /// # Panics
    ///
    /// If a position is larger.
    #[must_use]
    pub fn new(layouts: &Arc<Layouts>, projection: &[usize], capacity: usize) -> Self {
        let defined = &layouts.current().columns;
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for index in projection {
            if *index == defined.len() {
                fields.push(seq_field());
                let builder = Builder::new(DataType::BigInt, capacity);
                columns.push(Column {
                    source: Source::Seq,
                    builder,
                });
            } else {
                let data_type = defined[*index].data_type;
                fields.push(arrow_field(&defined[*index]));
                let builder = Builder::new(data_type, capacity);
                columns.push(Column {
                    source: Source::Column(*index, data_type),
                    builder,
                });
            }
        }
        let schema = Arc::new(Schema::new(fields));
        Self {
            layouts: Arc::clone(layouts),
            schema,
            columns,
            rows: 0,
        }
    }

    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows since the last [`finish`](Self::finish).
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row. After an error the builders cannot be used any more.
    pub fn append(&mut self, seq: SeqId, row: &[u8]) -> Result<(), Error> {
        let stored = Stored::parse(&self.layouts, row)?;
        for column in &mut self.columns {
            let builder = &mut column.builder;
            let Source::Column(index, data_type) = column.source else {
                builder.append_value(&Value::BigInt(seq.0 as i64))?;
                continue;
            };
            match &stored.layout.sources[index] {
                None => builder.append_value(self.layouts.initial(index))?,
                Some(cell) => match stored.bytes(cell)? {
                    None => builder.append_null(),
                    Some(bytes) if cell.data_type == data_type => builder.append_bytes(bytes)?,
                    Some(bytes) => {
                        let value = read_value(cell.data_type, bytes)?;
                        builder.append_value(&widen_stored(value, data_type)?)?;
                    }
                },
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows so far; the builders start again.
    pub fn finish(&mut self) -> Result<RecordBatch, Error> {
        let arrays = self
            .columns
            .iter_mut()
            .map(|column| column.builder.finish())
            .collect();
        let options =
            RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|_| corrupt("a column that is not null has a NULL"))
    }
}

enum Builder {
    Boolean(BooleanBuilder),
    SmallInt(Int16Builder),
    Int(Int32Builder),
    BigInt(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder),
    /// Also JSON.
    Text(StringBuilder),
    Uuid(StringBuilder),
    /// Also with zone.
    Timestamp(TimestampMicrosecondBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Bytes(BinaryBuilder),
    Embedding(FixedSizeListBuilder<Float32Builder>, u32),
}

/// Bytes of text per row for which room is made at first.
const TEXT_BYTES: usize = 32;

impl Builder {
    fn new(data_type: DataType, rows: usize) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            DataType::SmallInt => Self::SmallInt(Int16Builder::with_capacity(rows)),
            DataType::Int => Self::Int(Int32Builder::with_capacity(rows)),
            DataType::BigInt => Self::BigInt(Int64Builder::with_capacity(rows)),
            DataType::Float => Self::Float(Float32Builder::with_capacity(rows)),
            DataType::Double => Self::Double(Float64Builder::with_capacity(rows)),
            DataType::Decimal { .. } => Self::Decimal(
                Decimal128Builder::with_capacity(rows).with_data_type(arrow_type(data_type)),
            ),
            DataType::Text | DataType::Json => {
                Self::Text(StringBuilder::with_capacity(rows, rows * TEXT_BYTES))
            }
            DataType::Uuid => Self::Uuid(StringBuilder::with_capacity(rows, rows * UUID_CHARS)),
            DataType::Timestamp => {
                Self::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows))
            }
            DataType::DateTime => {
                Self::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows).with_timezone(UTC))
            }
            DataType::Date => Self::Date(Date32Builder::with_capacity(rows)),
            DataType::Time => Self::Time(Time64MicrosecondBuilder::with_capacity(rows)),
            DataType::Bytes => Self::Bytes(BinaryBuilder::with_capacity(rows, rows * TEXT_BYTES)),
            DataType::Embedding(length) => {
                let floats = Float32Builder::new();
                let lists = FixedSizeListBuilder::with_capacity(floats, length as i32, rows);
                Self::Embedding(lists.with_field(list_item()), length)
            }
        }
    }

    /// Appends a value that is stored in the builder's own type.
    fn append_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Self::Boolean(builder) => builder.append_value(read_boolean(bytes)?),
            Self::SmallInt(builder) => builder.append_value(i16::from_le_bytes(array(bytes)?)),
            Self::Int(builder) => builder.append_value(i32::from_le_bytes(array(bytes)?)),
            Self::BigInt(builder) => builder.append_value(i64::from_le_bytes(array(bytes)?)),
            Self::Float(builder) => builder.append_value(f32::from_le_bytes(array(bytes)?)),
            Self::Double(builder) => builder.append_value(f64::from_le_bytes(array(bytes)?)),
            Self::Decimal(builder) => builder.append_value(read_unscaled(bytes)?),
            Self::Text(builder) => builder.append_value(read_text(bytes)?),
            Self::Uuid(builder) => append_uuid(builder, array(bytes)?),
            Self::Timestamp(builder) => builder.append_value(i64::from_le_bytes(array(bytes)?)),
            Self::Date(builder) => builder.append_value(i32::from_le_bytes(array(bytes)?)),
            Self::Time(builder) => builder.append_value(i64::from_le_bytes(array(bytes)?)),
            Self::Bytes(builder) => builder.append_value(bytes),
            Self::Embedding(builder, length) => {
                let floats = read_floats(bytes, *length)?;
                floats.for_each(|float| builder.values().append_value(float));
                builder.append(true);
            }
        }
        Ok(())
    }

    /// Appends a value of the builder's type.
    fn append_value(&mut self, value: &Value) -> Result<(), Error> {
        match (self, value) {
            (builder, Value::Null) => builder.append_null(),
            (Self::Boolean(builder), Value::Boolean(flag)) => builder.append_value(*flag),
            (Self::SmallInt(builder), Value::SmallInt(number)) => builder.append_value(*number),
            (Self::Int(builder), Value::Int(number)) => builder.append_value(*number),
            (Self::BigInt(builder), Value::BigInt(number)) => builder.append_value(*number),
            (Self::Float(builder), Value::Float(number)) => builder.append_value(*number),
            (Self::Double(builder), Value::Double(number)) => builder.append_value(*number),
            (Self::Decimal(builder), Value::Decimal(number)) => {
                builder.append_value(number.unscaled());
            }
            (Self::Text(builder), Value::Text(text) | Value::Json(text)) => {
                builder.append_value(text);
            }
            (Self::Uuid(builder), Value::Uuid(id)) => append_uuid(builder, *id),
            (Self::Timestamp(builder), Value::Timestamp(time) | Value::DateTime(time)) => {
                builder.append_value(*time);
            }
            (Self::Date(builder), Value::Date(days)) => builder.append_value(*days),
            (Self::Time(builder), Value::Time(time)) => builder.append_value(*time),
            (Self::Bytes(builder), Value::Bytes(content)) => builder.append_value(content),
            (Self::Embedding(builder, length), Value::Embedding(floats))
                if floats.len() == *length as usize =>
            {
                builder.values().append_slice(floats);
                builder.append(true);
            }
            _ => return Err(corrupt("a value does not fit into its column")),
        }
        Ok(())
    }

    fn append_null(&mut self) {
        match self {
            Self::Boolean(builder) => builder.append_null(),
            Self::SmallInt(builder) => builder.append_null(),
            Self::Int(builder) => builder.append_null(),
            Self::BigInt(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Double(builder) => builder.append_null(),
            Self::Decimal(builder) => builder.append_null(),
            Self::Text(builder) | Self::Uuid(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Time(builder) => builder.append_null(),
            Self::Bytes(builder) => builder.append_null(),
            Self::Embedding(builder, length) => {
                builder.values().append_nulls(*length as usize);
                builder.append(false);
            }
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(builder) => ArrayBuilder::finish(builder),
            Self::SmallInt(builder) => ArrayBuilder::finish(builder),
            Self::Int(builder) => ArrayBuilder::finish(builder),
            Self::BigInt(builder) => ArrayBuilder::finish(builder),
            Self::Float(builder) => ArrayBuilder::finish(builder),
            Self::Double(builder) => ArrayBuilder::finish(builder),
            Self::Decimal(builder) => ArrayBuilder::finish(builder),
            Self::Text(builder) | Self::Uuid(builder) => ArrayBuilder::finish(builder),
            Self::Timestamp(builder) => ArrayBuilder::finish(builder),
            Self::Date(builder) => ArrayBuilder::finish(builder),
            Self::Time(builder) => ArrayBuilder::finish(builder),
            Self::Bytes(builder) => ArrayBuilder::finish(builder),
            Self::Embedding(builder, _) => ArrayBuilder::finish(builder),
        }
    }
}

/// Length of a UUID as text.
const UUID_CHARS: usize = 36;

fn append_uuid(builder: &mut StringBuilder, id: [u8; 16]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; UUID_CHARS];
    let mut at = 0;
    for (index, byte) in id.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = DIGITS[usize::from(byte >> 4)];
        text[at + 1] = DIGITS[usize::from(byte & 15)];
        at += 2;
    }
    builder.append_value(std::str::from_utf8(&text).expect("hexadecimal digits are ASCII"));
}
