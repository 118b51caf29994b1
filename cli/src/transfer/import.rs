//! `kalam import`: a file into a table, batch by batch. Ends early without losing count: the state file says what is in.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::stream::{self, Stream, StreamExt as _};
use indicatif::ProgressBar;
use kalam_link::Client;
use tokio::sync::{Notify, mpsc, oneshot};

use super::batches::{Batch, PARAMETERS_MAX, Writer, cut};
use super::error::Error;
use super::files::{CsvOptions, Format, Place};
use super::progress::{Progress, bar};
use super::source::Source;
use super::state::{self, Input, Plan, State, now_ms};
use super::table::{OnConflict, Table};
use super::{Direction, End, Report};
use crate::args::Connection;

const EXIT_REFUSED: u8 = 1;
/// 128 + SIGINT.
const EXIT_INTERRUPTED: u8 = 130;
// How long a server remembers request ids unless its settings say otherwise.
const REQUEST_HOURS: u64 = 24;

const EXAMPLES: &str = "\
Examples:
  kalam import messages.csv --into chat.messages
  kalam import - --into chat.messages --format ndjson < messages.ndjson
  kalam import messages.csv --into chat.messages --rejects refused.ndjson
  kalam import messages.csv --into chat.messages --resume

Exit codes: 0 all rows are in, 1 rows were refused or the import failed, 130 interrupted.";

/// Put the rows of a file into a table
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file, or - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The table
    #[arg(long, value_name = "NS.TABLE")]
    pub into: String,
    /// Namespace of the table, if its name has none
    #[arg(long, short = 'n', value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// How the rows stand in it [default: by the extension]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// The columns to fill [default: those of the header, else all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub columns: Vec<String>,
    #[command(flatten)]
    pub csv: CsvOptions,
    #[command(flatten)]
    pub sending: Sending,
    /// Keep refused rows in a file, a JSON object a line
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Give up when more rows are refused
    #[arg(long, value_name = "N")]
    pub max_rejects: Option<u64>,
    /// Go on with an import that was broken off
    #[arg(long)]
    pub resume: bool,
    /// Where to keep what is in [default: FILE.import-state]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
}

/// How rows travel.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Sending")]
pub struct Sending {
    /// Rows of one statement; fewer where they have many columns or bytes
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub batch_rows: u32,
    /// Statements on their way at once
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub in_flight: u32,
    /// What to do with a row whose key is there
    #[arg(long, value_enum, value_name = "ACTION", default_value = "error")]
    pub on_conflict: OnConflict,
}

impl Default for Sending {
    fn default() -> Self {
        Self {
            batch_rows: 1000,
            in_flight: 4,
            on_conflict: OnConflict::Error,
        }
    }
}

impl Args {
    /// Everything but the file and the table as it is by default.
    pub fn new(file: PathBuf, into: String) -> Self {
        Self {
            file,
            into,
            namespace: None,
            format: None,
            columns: Vec::new(),
            csv: CsvOptions::default(),
            sending: Sending::default(),
            rejects: None,
            max_rejects: None,
            resume: false,
            state: None,
        }
    }
}

pub async fn run(
    args: Box<Args>,
    connection: &Connection,
) -> Result<ExitCode, crate::error::Error> {
    let client = crate::settings::connect(connection).await?;
    let report = import(*args, &client).await?;
    super::say(&report);
    Ok(match report.end {
        End::Interrupted { .. } => ExitCode::from(EXIT_INTERRUPTED),
        End::Whole if report.refused > 0 => ExitCode::from(EXIT_REFUSED),
        End::Whole => ExitCode::SUCCESS,
    })
}

/// Imports until the input ends, Ctrl-C is pressed, or it cannot go on.
pub async fn import(args: Args, client: &Client) -> Result<Report, Error> {
    let started = Instant::now();
    let place = Place::new(args.file.clone());
    let format = place.format(args.format)?;
    let table = Table::load(client, args.namespace.as_deref(), &args.into).await?;
    let source = Source::open(&place, format, &args.csv, &args.columns, &table)?;
    let (state, path) = begin(&args, &place, format, &source, &table)?;
    let ids_forgotten = args.resume && are_ids_forgotten(&state, client).await;
    let unit = if format == Format::Parquet {
        "rows"
    } else {
        "bytes"
    };
    let bar = bar(source.length, unit);
    let (batches, rows_before) = (state.batches, state.rows);
    let plan = state.plan.clone();
    let progress = Progress::begin(state, path.clone(), args.rejects.as_deref(), bar.clone())?;
    let progress = Arc::new(Mutex::new(progress));
    let writer = Writer {
        client: client.clone(),
        columns: source.columns.clone(),
        conflict_clause: table.conflict_clause(&source.columns, args.sending.on_conflict)?,
        table,
        ids_forgotten,
        progress: Arc::clone(&progress),
    };
    let run = Run {
        writer,
        in_flight: args.sending.in_flight as usize,
        max_rejects: args.max_rejects,
        position: Arc::clone(&source.read),
        bar,
        rows_before,
        started,
    };
    let (sender, receiver) = mpsc::channel(run.in_flight);
    let reader = read(source, plan.batch_rows, batches, sender);
    let driven = run.drive(receiver, reader).await;
    run.bar.finish_and_clear();
    let mut progress = lock(&progress);
    let end = match driven {
        Ok(true) => {
            progress.end()?;
            End::Whole
        }
        Ok(false) => {
            progress.save()?;
            End::Interrupted {
                resumable: path.is_some(),
            }
        }
        Err(error) => {
            progress.save()?;
            return Err(error);
        }
    };
    let state = &progress.state;
    Ok(Report {
        direction: Direction::Import,
        to: args.into,
        rows: state.rows,
        rows_of_this_run: state.rows - rows_before,
        refused: state.refused,
        skipped: state.skipped,
        last_line: state.last_line,
        took: started.elapsed(),
        end,
    })
}

fn lock(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state to begin with: a new one, or that of the run that is resumed.
fn begin(
    args: &Args,
    place: &Place,
    format: Format,
    source: &Source,
    table: &Table,
) -> Result<(State, Option<PathBuf>), Error> {
    let input = Input::of(place)?;
    let path = match (place, &input) {
        (Place::File(file), Some(_)) => {
            let beside = || state::path_beside(file);
            Some(args.state.clone().unwrap_or_else(beside))
        }
        _ if args.resume || args.state.is_some() => return Err(Error::ResumeFromPipe),
        _ => None,
    };
    let rows_fit = PARAMETERS_MAX / source.columns.len().max(1);
    let plan = Plan {
        table: table.name.clone(),
        columns: source
            .columns
            .iter()
            .map(|field| field.name.clone())
            .collect(),
        format,
        csv: args.csv.clone(),
        batch_rows: (args.sending.batch_rows as usize).min(rows_fit),
        on_conflict: args.sending.on_conflict,
        input: input.unwrap_or(Input {
            bytes: 0,
            modified_ms: 0,
        }),
    };
    let Some(path) = path else {
        return Ok((State::new(plan)?, None));
    };
    let state = match (State::load(&path)?, args.resume) {
        (Some(state), true) => {
            state.check(&plan, &path)?;
            state
        }
        (None, true) => return Err(Error::NothingToResume { state: path }),
        (Some(state), false) => {
            return Err(Error::BrokenOffBefore {
                source_name: place.to_string(),
                rows: state.rows,
                line: state.last_line,
                state: path,
            });
        }
        (None, false) => State::new(plan)?,
    };
    Ok((state, Some(path)))
}

/// Only administrators see the setting; for others the usual one counts.
async fn are_ids_forgotten(state: &State, client: &Client) -> bool {
    let sql = "SELECT value FROM system.settings WHERE name = 'retention.request_hours'";
    let answer = client.query(sql, &[]).await.ok();
    let cell = answer.and_then(|answer| {
        let rows = answer.results.into_iter().next()?.rows?;
        rows.into_iter().next()?.into_iter().next()
    });
    let hours = cell.and_then(|cell| cell.as_str()?.parse().ok());
    let hours: u64 = hours.unwrap_or(REQUEST_HOURS);
    let age = Duration::from_millis(now_ms().saturating_sub(state.saved_ms));
    age >= Duration::from_secs(hours.saturating_mul(3600))
}

/// Reads on a thread of its own, for which nobody waits: it may hang on an input that says nothing more.
fn read(
    mut source: Source,
    rows_max: usize,
    finished: u64,
    sender: mpsc::Sender<Batch>,
) -> oneshot::Receiver<Result<(), Error>> {
    let (done, outcome) = oneshot::channel();
    std::thread::spawn(move || {
        let outcome = cut(&mut source, rows_max, finished, &sender);
        // First the outcome, then the end of the batches: whoever sees that finds the outcome there.
        let _ = done.send(outcome);
        drop(sender);
    });
    outcome
}

struct Run {
    writer: Writer,
    in_flight: usize,
    max_rejects: Option<u64>,
    position: Arc<AtomicU64>,
    bar: ProgressBar,
    rows_before: u64,
    started: Instant,
}

impl Run {
    /// False: interrupted. What was on its way is awaited in any case, so that the state is exact.
    async fn drive(
        &self,
        receiver: mpsc::Receiver<Batch>,
        reader: oneshot::Receiver<Result<(), Error>>,
    ) -> Result<bool, Error> {
        let stop = Notify::new();
        let writes = batches(receiver, &stop)
            .map(|batch| self.writer.write(batch))
            .buffer_unordered(self.in_flight);
        tokio::pin!(writes);
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        let mut interrupted = false;
        let mut failure = None;
        loop {
            let next = tokio::select! {
                next = writes.next() => next,
                _ = &mut interrupt, if !interrupted => {
                    interrupted = true;
                    stop.notify_one();
                    continue;
                }
            };
            let Some(done) = next else { break };
            if let Err(error) = done.and_then(|(number, written)| self.note(number, written)) {
                failure.get_or_insert(error);
                stop.notify_one();
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        if interrupted {
            return Ok(false);
        }
        match reader.await {
            Ok(read) => read.map(|()| true),
            Err(_) => Err(Error::ReaderGone),
        }
    }

    fn note(&self, number: u64, written: super::progress::Written) -> Result<(), Error> {
        let mut progress = lock(&self.writer.progress);
        progress.finished(number, written)?;
        let state = &progress.state;
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "shown without decimals")]
        let speed = (state.rows - self.rows_before) as f64 / seconds;
        self.bar.set_position(self.position.load(Ordering::Relaxed));
        self.bar
            .set_message(format!("{} rows, {speed:.0} rows/s,", state.rows));
        match self.max_rejects {
            Some(max) if state.refused > max => {
                let refused = state.refused;
                Err(Error::TooManyRefused { refused, max })
            }
            _ => Ok(()),
        }
    }
}

fn batches(receiver: mpsc::Receiver<Batch>, stop: &Notify) -> impl Stream<Item = Batch> + '_ {
    stream::unfold(receiver, move |mut receiver| async move {
        tokio::select! {
            biased;
            () = stop.notified() => None,
            batch = receiver.recv() => Some((batch?, receiver)),
        }
    })
}
