//! Writes columns as they stand in messages.

use crate::json::Object;
use crate::value::{DataType, Field, FieldFlag};

/// Appends an array of columns.
pub fn append_schema(schema: &[Field], out: &mut String) {
    out.push('[');
    for (position, field) in schema.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        let mut object = Object::new();
        object.text("name", &field.name);
        match field.data_type {
            DataType::Decimal { precision, scale } => {
                let mut parts = Object::new();
                parts.number("precision", Some(precision.into()));
                parts.number("scale", Some(scale.into()));
                let mut outer = Object::new();
                outer.raw("Decimal", &parts.end());
                object.raw("data_type", &outer.end());
            }
            DataType::Embedding(length) => {
                let mut outer = Object::new();
                outer.number("Embedding", Some(length.into()));
                object.raw("data_type", &outer.end());
            }
            plain => object.text("data_type", plain.wire_name()),
        }
        object.number("index", u64::try_from(field.index).ok());
        if !field.flags.is_empty() {
            let flags: Vec<&str> = field
                .flags
                .iter()
                .map(|flag| match flag {
                    FieldFlag::PrimaryKey => "\"pk\"",
                    FieldFlag::NotNull => "\"nn\"",
                    FieldFlag::Unique => "\"uq\"",
                })
                .collect();
            object.raw("flags", &format!("[{}]", flags.join(",")));
        }
        out.push_str(&object.end());
    }
    out.push(']');
}
