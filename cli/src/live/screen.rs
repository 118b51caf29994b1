//! The rows of a live query on the whole screen, kept up to date, with those that changed marked.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::sync::Arc;

use futures::StreamExt as _;
use kalam_link::{Field, Json, LiveSnapshot, LiveStatus, Row};
use nu_ansi_term::{Color, Style as Ansi};
use tokio::signal::unix::{SignalKind, signal};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::args::Format;
use crate::error::Error;
use crate::live::qualified;
use crate::output::{self, Header, Paint, Rows, Style};
use crate::shell::{self, Shell};

// The other screen of the terminal, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Lines above and below the rows: title, names of columns and the line below them, one in reserve.
const FRAME_LINES: usize = 4;

/// Shows the rows until Ctrl-C.
///
/// # Errors
///
/// [`Error::NoTerminal`], the server's, and those of the way there.
pub async fn screen(shell: &mut Shell, sql: &str) -> Result<(), Error> {
    if shell::screen().is_none() {
        return Err(Error::NoTerminal { name: "live" });
    }
    let sql = qualified(sql.trim().trim_end_matches(';'), shell)?;
    let params = shell.params.clone();
    let mut live = shell.client.live(&sql, &params).await?;
    let mut resized = signal(SignalKind::window_change()).map_err(Error::Terminal)?;
    let mut view = View::new(sql, shell.style.clone());
    let terminal = AlternateScreen::enter()?;
    let outcome = loop {
        view.draw(&live.schema())?;
        let turn = async {
            tokio::select! {
                snapshot = live.next() => Ok(Some(snapshot)),
                _ = resized.recv() => Ok(None),
            }
        };
        match shell.interrupts.end(turn).await {
            Ok(None) => {}
            Ok(Some(Some(Ok(snapshot)))) => view.update(snapshot),
            Ok(Some(Some(Err(error)))) => break Err(error.into()),
            Ok(Some(None)) => break Ok(()),
            Err(Error::Interrupted) if shell.is_prompt() => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    drop(terminal);
    view.leave(&live.schema())?;
    outcome
}

/// Back to the usual screen, however this ends.
struct AlternateScreen;

impl AlternateScreen {
    fn enter() -> Result<Self, Error> {
        write_out(ENTER.as_bytes())?;
        Ok(Self)
    }
}

impl Drop for AlternateScreen {
    fn drop(&mut self) {
        let _ = write_out(LEAVE.as_bytes());
    }
}

struct View {
    sql: String,
    style: Style,
    rows: Vec<Arc<Row>>,
    status: LiveStatus,
    /// Indexes of rows that are new or other than in the snapshot before.
    changed: BTreeSet<usize>,
    updates: u64,
}

impl View {
    fn new(sql: String, style: Style) -> Self {
        Self {
            sql,
            style: Style {
                format: Format::Table,
                header: Header::Shown,
                ..style
            },
            rows: Vec::new(),
            status: LiveStatus::Loading,
            changed: BTreeSet::new(),
            updates: 0,
        }
    }

    fn update(&mut self, snapshot: LiveSnapshot) {
        let mut before: BTreeMap<*const Row, ()> = BTreeMap::new();
        for row in &self.rows {
            before.insert(Arc::as_ptr(row), ());
        }
        // Rows that stayed are the same allocation.
        let changed = |row: &Arc<Row>| !before.contains_key(&Arc::as_ptr(row));
        self.changed = match self.updates {
            0 => BTreeSet::new(),
            _ => {
                let rows = snapshot.rows.iter().enumerate();
                rows.filter(|(_, row)| changed(row))
                    .map(|(index, _)| index)
                    .collect()
            }
        };
        self.rows = snapshot.rows;
        self.status = snapshot.status;
        self.updates += 1;
    }

    /// Draws over what is there, line by line, so that nothing flickers.
    fn draw(&self, schema: &[Field]) -> Result<(), Error> {
        let Some((columns, lines)) = shell::screen() else {
            return Ok(());
        };
        let room = lines.saturating_sub(FRAME_LINES).max(1);
        // The newest are at the end; the beginning matters for a query with ORDER BY.
        let shown = self.rows.len().min(room);
        let text = self.table(schema, shown)?;
        let mut out = String::from(HOME);
        push_line(
            &mut out,
            &self.title(shown),
            columns,
            self.style.paint,
            Some(Ansi::new().reverse()),
        );
        for (index, line) in text.lines().enumerate() {
            let marked = index >= 2 && self.changed.contains(&(index - 2));
            let style = marked.then(|| Ansi::new().fg(Color::Black).on(Color::Yellow));
            push_line(&mut out, line, columns, self.style.paint, style);
        }
        out.push_str(CLEAR_BELOW);
        write_out(out.as_bytes())
    }

    fn title(&self, shown: usize) -> String {
        let status = match self.status {
            LiveStatus::Loading => "loading",
            LiveStatus::Live => "live",
            LiveStatus::CatchingUp => "catching up",
            LiveStatus::Offline => "offline",
            LiveStatus::Failed => "failed",
        };
        let all = self.rows.len();
        let count = if shown < all {
            format!("{shown} of {all} rows")
        } else {
            output::counted(all as u64, "row")
        };
        format!(
            "{status}, {count} │ {} │ Ctrl-C ends",
            self.sql.split_whitespace().collect::<Vec<_>>().join(" ")
        )
    }

    /// One line a row: marks and the height of the screen depend on it.
    fn table(&self, schema: &[Field], count: usize) -> Result<String, Error> {
        let rows: Vec<Vec<Json>> = self.rows[..count]
            .iter()
            .map(|row| cells(row, schema))
            .collect();
        let mut text = Vec::new();
        output::write(
            Rows {
                schema,
                rows: &rows,
            },
            &self.style,
            &mut text,
        )
        .map_err(Error::Output)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// The last rows stay on the usual screen.
    fn leave(&self, schema: &[Field]) -> Result<(), Error> {
        let text = self.table(
            schema,
            self.rows
                .len()
                .min(shell::screen().map_or(0, |(_, lines)| lines)),
        )?;
        write_out(text.as_bytes())
    }
}

fn cells(row: &Row, schema: &[Field]) -> Vec<Json> {
    let mut row = row.cells();
    let cell = |field: &Field| match row.remove(&field.name) {
        Some(Json::String(text)) => Json::String(text.replace('\n', "⏎")),
        Some(cell) => cell,
        None => Json::Null,
    };
    schema.iter().map(cell).collect()
}

/// Adds a line, cut to the width of the screen.
fn push_line(out: &mut String, line: &str, columns: usize, paint: Paint, style: Option<Ansi>) {
    let mut cut = String::new();
    let mut width = 0;
    for c in line.chars() {
        width += c.width().unwrap_or(0);
        if width > columns {
            break;
        }
        cut.push(c);
    }
    match style {
        // A whole line in colour shows better than its text.
        Some(style) => {
            cut.push_str(&" ".repeat(columns.saturating_sub(cut.width())));
            let plain = if paint == Paint::Plain {
                Ansi::new().reverse()
            } else {
                style
            };
            out.push_str(&plain.paint(cut).to_string());
        }
        None => out.push_str(&cut),
    }
    out.push_str(CLEAR_LINE);
    out.push_str("\r\n");
}

fn write_out(bytes: &[u8]) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(Error::Output)
}
