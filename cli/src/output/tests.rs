use kalam_link::DataType::{
    self, BigInt, Boolean, Bytes, Date, Decimal, Double, Embedding, Int, SmallInt, Text, Time,
    Timestamp, Uuid,
};
use kalam_link::json;

use super::*;

fn fields(columns: &[(&str, DataType)]) -> Vec<Field> {
    let columns = columns.iter().enumerate();
    columns
        .map(|(index, (name, data_type))| Field {
            name: (*name).to_owned(),
            data_type: *data_type,
            index,
            flags: Vec::new(),
        })
        .collect()
}

fn written(format: Format, columns: &[(&str, DataType)], rows: &[Json]) -> String {
    let schema = fields(columns);
    let rows: Vec<Vec<Json>> = rows
        .iter()
        .map(|row| row.as_array().unwrap().clone())
        .collect();
    let style = Style {
        format,
        null: "NULL".into(),
        header: Header::Shown,
        paint: Paint::Plain,
    };
    let mut out = Vec::new();
    let rows = Rows {
        schema: &schema,
        rows: &rows,
    };
    write(rows, &style, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

const FORMATS: [Format; 6] = [
    Format::Table,
    Format::Expanded,
    Format::Json,
    Format::Ndjson,
    Format::Csv,
    Format::Markdown,
];

#[test]
fn every_format_shows_every_type() {
    let columns = [
        ("flag", Boolean),
        ("small", SmallInt),
        ("whole", BigInt),
        ("real", Double),
        (
            "exact",
            Decimal {
                precision: 10,
                scale: 2,
            },
        ),
        ("body", Text),
        ("at", Timestamp),
        ("day", Date),
        ("clock", Time),
        ("doc", DataType::Json),
        ("raw", Bytes),
        ("id", Uuid),
        ("vector", Embedding(2)),
    ];
    let rows = [
        json!([
            true,
            -1,
            "9223372036854775807",
            0.5,
            "12345678.90",
            "a, \"b\" | c\nd",
            1_769_860_800_000_001_i64,
            20_484,
            43_200_000_000_i64,
            "{\"a\":1}",
            [0, 255],
            "0198c0de-0000-7000-8000-000000000001",
            [0.5, -1.0]
        ]),
        json!([
            null, null, null, "NaN", null, "", null, null, null, null, null, null, null
        ]),
    ];
    let all: Vec<String> = FORMATS
        .iter()
        .map(|format| format!("{format:?}\n{}", written(*format, &columns, &rows)))
        .collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn wide_and_narrow_characters_stay_aligned() {
    let rows = [
        json!(["日本語", 1]),
        json!(["שלום", 22]),
        json!(["👩‍👩‍👧 e\u{301}", 333]),
        json!(["\u{1b}[31mred\u{202e}", 4]),
    ];
    insta::assert_snapshot!(written(Format::Table, &[("text", Text), ("n", Int)], &rows));
}

#[test]
fn no_rows_and_no_columns_are_fine() {
    let all: Vec<String> = FORMATS
        .iter()
        .flat_map(|format| {
            let empty = written(*format, &[("a", Int)], &[]);
            let bare = written(*format, &[], &[json!([])]);
            [format!("{format:?}\n{empty}"), bare]
        })
        .collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn times_beyond_the_calendar_are_numbers() {
    let extreme = json!(i64::MAX);
    assert_eq!(text(&extreme, &Timestamp).unwrap(), i64::MAX.to_string());
    assert_eq!(
        text(&json!(-1), &Timestamp).unwrap(),
        "1969-12-31T23:59:59.999999Z"
    );
    assert_eq!(text(&json!(-1), &Date).unwrap(), "1969-12-31");
}
