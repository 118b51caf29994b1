//! `kalam export`: a table or the rows of a query into a file, as they come. A file appears under its name only when it
//! is whole.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamDecoder;
use futures::TryStreamExt as _;
use kalam_link::{Client, SqlRequest, StreamFormat};

use super::error::Error;
use super::files::{CsvOptions, Format, Place};
use super::progress::bar;
use super::sink::{Sink, Target};
use super::table::table_name;
use super::{Direction, End, Report};
use crate::args::Connection;

const EXIT_INTERRUPTED: u8 = 130;

const EXAMPLES: &str = "\
Examples:
  kalam export chat.messages --to messages.csv
  kalam export chat.messages --to messages.parquet
  kalam export --query 'SELECT id, content FROM chat.messages ORDER BY id' --format ndjson

Exit codes: 0 all rows are there, 1 the export failed, 130 interrupted.";

/// Write a table, or the rows of a query, to a file
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The table
    #[arg(
        value_name = "NS.TABLE",
        required_unless_present = "query",
        conflicts_with = "query"
    )]
    pub table: Option<String>,
    /// Namespace of names without one
    #[arg(long, short = 'n', value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// A SELECT instead of a table
    #[arg(long, value_name = "SQL")]
    pub query: Option<String>,
    /// The file, or - for standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub to: PathBuf,
    /// How the rows stand in it [default: by the extension; csv on standard output]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    #[command(flatten)]
    pub csv: CsvOptions,
}

pub async fn run(args: Args, connection: &Connection) -> Result<ExitCode, crate::error::Error> {
    let client = crate::settings::connect(connection).await?;
    match export(args, &client).await {
        Ok(report) => {
            super::say(&report);
            Ok(match report.end {
                End::Whole => ExitCode::SUCCESS,
                End::Interrupted { .. } => ExitCode::from(EXIT_INTERRUPTED),
            })
        }
        // Whoever read our output does not want more of it.
        Err(error) if error.is_broken_pipe() => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error.into()),
    }
}

/// Exports until the rows end, Ctrl-C is pressed, or it cannot go on.
pub async fn export(args: Args, client: &Client) -> Result<Report, Error> {
    let started = Instant::now();
    let place = Place::new(args.to.clone());
    let format = match place {
        Place::Standard => args.format.unwrap_or(Format::Csv),
        Place::File(_) => place.format(args.format)?,
    };
    let sql = match (&args.query, &args.table) {
        (Some(query), _) => query.clone(),
        (None, Some(table)) => format!("SELECT * FROM {}", table_name(None, table)?),
        (None, None) => {
            return Err(Error::TableName {
                name: String::new(),
            });
        }
    };
    let request = SqlRequest {
        sql,
        namespace_id: args.namespace.clone(),
        ..SqlRequest::default()
    };
    // Before the file is touched: a refused statement leaves no file.
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let interrupted = |rows| {
        let end = End::Interrupted { resumable: false };
        Ok(report(&place, rows, started, end))
    };
    let chunks = tokio::select! {
        chunks = client.query_stream(request, StreamFormat::Arrow) => chunks?,
        _ = &mut interrupt => return interrupted(0),
    };
    let mut target = Some(Target::open(&place)?);
    let mut sink: Option<Sink> = None;
    let mut decoder = StreamDecoder::new();
    let mut rows = 0_u64;
    let bar = bar(None, "rows");
    tokio::pin!(chunks);
    loop {
        let chunk = tokio::select! {
            chunk = chunks.try_next() => chunk?,
            _ = &mut interrupt => {
                bar.finish_and_clear();
                return interrupted(rows);
            }
        };
        let Some(chunk) = chunk else { break };
        let mut buffer = Buffer::from(chunk);
        while !buffer.is_empty() {
            let Some(batch) = decoder.decode(&mut buffer).map_err(Error::Decode)? else {
                continue;
            };
            let sink = begun(&mut sink, &mut target, batch.schema(), format, &args.csv)?;
            sink.write(&batch)?;
            rows += batch.num_rows() as u64;
            bar.set_message(format!("{rows} rows"));
            bar.tick();
        }
    }
    decoder.finish().map_err(Error::Decode)?;
    if let Some(schema) = decoder.schema() {
        begun(&mut sink, &mut target, schema, format, &args.csv)?;
    }
    if let Some(sink) = sink {
        sink.finish()?;
    }
    bar.finish_and_clear();
    Ok(report(&place, rows, started, End::Whole))
}

/// The sink, which is made when the columns are known.
fn begun<'a>(
    sink: &'a mut Option<Sink>,
    target: &mut Option<Target>,
    schema: SchemaRef,
    format: Format,
    csv: &CsvOptions,
) -> Result<&'a mut Sink, Error> {
    if let Some(target) = target.take() {
        *sink = Some(Sink::begin(target, schema, format, csv)?);
    }
    Ok(sink.as_mut().expect("the target is taken only to make it"))
}

fn report(place: &Place, rows: u64, started: Instant, end: End) -> Report {
    Report {
        direction: Direction::Export,
        to: match place {
            Place::Standard => "standard output".to_owned(),
            Place::File(path) => path.display().to_string(),
        },
        rows,
        rows_of_this_run: rows,
        took: started.elapsed(),
        end,
        ..Report::default()
    }
}
