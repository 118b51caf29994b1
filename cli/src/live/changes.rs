//! Prints what happens to a live query, line by line, until Ctrl-C.

use std::io::{self, Write as _};

use futures::StreamExt as _;
use kalam_link::core::message::ChangeReason;
use kalam_link::{
    Change, ChangeType, DataType, Field, Json, Load, Row, RowObject, SubscribeOptions,
    Subscription, SubscriptionEvent,
};
use nu_ansi_term::{Color, Style as Ansi};

use crate::args::Format;
use crate::error::Error;
use crate::live::qualified;
use crate::output::{Style, counted, shown};
use crate::shell::{Messages, Pager, Shell};

/// The hidden column of every row.
const SEQ: &str = "_seq";

/// Follows a query; `sql` is a SUBSCRIBE TO. At the prompt Ctrl-C ends it well; a script ends with it.
///
/// # Errors
///
/// The server's, those of the way there and of the output, and [`Error::Interrupted`].
pub async fn follow(shell: &mut Shell, sql: &str) -> Result<(), Error> {
    let sql = qualified(sql, shell)?;
    let params = shell.params.clone();
    let options = SubscribeOptions::default();
    let mut events = shell.client.subscribe(sql, &params, options).await?;
    let mut printer = Printer::default();
    let outcome = loop {
        let next = async { Ok(events.next().await) };
        let event = match shell.interrupts.end(next).await {
            Ok(Some(Ok(event))) => event,
            Ok(Some(Err(error))) => break Err(error.into()),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        printer.print(shell, event)?;
    };
    Subscription::close(events);
    match outcome {
        Err(Error::Interrupted) if shell.is_prompt() => {
            // The terminal has written ^C where the cursor was.
            shell.say(&format!("\n-- {}", counted(printer.changes, "change")));
            Ok(())
        }
        other => other,
    }
}

#[derive(Debug, Default)]
struct Printer {
    schema: Vec<Field>,
    rows: u64,
    changes: u64,
}

impl Printer {
    fn print(&mut self, shell: &mut Shell, event: SubscriptionEvent) -> Result<(), Error> {
        match event {
            SubscriptionEvent::Acknowledged { ack, load } => {
                self.schema = ack.schema;
                if load == Load::Resumed {
                    note(shell, "connected again; what changed meanwhile follows");
                }
            }
            SubscriptionEvent::Batch { rows, .. } => {
                for row in &rows {
                    self.rows += 1;
                    self.line(shell, Kind::Row, &row.cells(), None)?;
                }
            }
            SubscriptionEvent::Live => {
                note(
                    shell,
                    &format!("live after {}; Ctrl-C ends it", counted(self.rows, "row")),
                );
            }
            SubscriptionEvent::Change(change) => {
                self.changes += 1;
                self.change(shell, &change)?;
            }
            SubscriptionEvent::Resync { reason } => {
                note(
                    shell,
                    &format!("begins anew ({reason:?}): what was printed so far is void"),
                );
            }
            SubscriptionEvent::Offline => note(shell, "the connection is lost; trying again"),
            SubscriptionEvent::RowsChanged | SubscriptionEvent::Ended(_) => {}
        }
        Ok(())
    }

    fn change(&self, shell: &mut Shell, change: &Change) -> Result<(), Error> {
        let first = |rows: &Option<Vec<Row>>| Some(rows.as_ref()?.first()?.cells());
        let (new, old) = (first(&change.rows), first(&change.old_values));
        let kind = match (change.change_type, change.reason) {
            (
                ChangeType::Insert,
                Some(ChangeReason::EnteredFilter | ChangeReason::EnteredWindow),
            ) => Kind::Entered,
            (ChangeType::Insert, _) => Kind::Insert,
            (ChangeType::Update, _) => Kind::Update,
            (ChangeType::Delete, Some(ChangeReason::LeftFilter | ChangeReason::LeftWindow)) => {
                Kind::Left
            }
            (ChangeType::Delete, _) => Kind::Delete,
        };
        let empty = RowObject::default();
        self.line(
            shell,
            kind,
            new.as_ref().or(old.as_ref()).unwrap_or(&empty),
            old.as_ref().filter(|_| kind == Kind::Update),
        )
    }

    /// One line: for people, or an object with `kind` and `row` for programs.
    fn line(
        &self,
        shell: &mut Shell,
        kind: Kind,
        row: &RowObject,
        old: Option<&RowObject>,
    ) -> Result<(), Error> {
        let mut line = Vec::new();
        if matches!(
            shell.style.format,
            Format::Table | Format::Expanded | Format::Markdown
        ) {
            self.write_words(&shell.style, kind, row, old, &mut line)
                .map_err(Error::Output)?;
        } else {
            write_object(kind, row, old, &mut line).map_err(Error::Output)?;
        }
        line.push(b'\n');
        shell.sink.write(&line, Pager::Off)?;
        shell.sink.flush()
    }

    fn write_words(
        &self,
        style: &Style,
        kind: Kind,
        row: &RowObject,
        old: Option<&RowObject>,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let time = chrono::Local::now().format("%H:%M:%S%.3f");
        let word = style
            .paint
            .apply(kind.style(), &format!("{:<7}", kind.word()));
        write!(out, "{time}  {word}")?;
        for (name, data_type, cell) in self.cells(row) {
            let text = |cell| shown(cell, &data_type, &style.null).replace('\n', "⏎");
            write!(
                out,
                " {}",
                style.paint.apply(Ansi::new().dimmed(), &format!("{name}="))
            )?;
            if let Some(before) = old
                .and_then(|old| old.get(name))
                .filter(|before| *before != cell)
            {
                write!(out, "{} → ", text(before))?;
            }
            out.write_all(text(cell).as_bytes())?;
        }
        Ok(())
    }

    /// The selected columns in their order, then those that came along because they identify the row.
    fn cells<'a>(
        &'a self,
        row: &'a RowObject,
    ) -> impl Iterator<Item = (&'a String, DataType, &'a Json)> {
        let selected = self.schema.iter().filter_map(|field| {
            let cell = row.get(&field.name)?;
            Some((&field.name, field.data_type, cell))
        });
        let is_selected = |name: &str| self.schema.iter().any(|field| field.name == name);
        let others = row
            .iter()
            .filter(move |(name, _)| !is_selected(name) && *name != SEQ)
            .map(|(name, cell)| (name, DataType::Text, cell));
        selected.chain(others)
    }
}

fn write_object(
    kind: Kind,
    row: &RowObject,
    old: Option<&RowObject>,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    write!(out, "{{\"kind\":\"{}\",\"row\":", kind.word())?;
    serde_json::to_writer(&mut *out, row)?;
    if let Some(old) = old {
        out.extend_from_slice(b",\"old\":");
        serde_json::to_writer(&mut *out, old)?;
    }
    out.push(b'}');
    Ok(())
}

fn note(shell: &Shell, text: &str) {
    if shell.messages == Messages::Shown {
        shell.say(&format!("-- {text}"));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Was there when the subscription began.
    Row,
    Insert,
    Update,
    Delete,
    /// Matches the filter, or is within the limit, since its own change or that of another row.
    Entered,
    Left,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Entered => "enter",
            Self::Left => "leave",
        }
    }

    fn style(self) -> Ansi {
        match self {
            Self::Row => Ansi::new().dimmed(),
            Self::Insert | Self::Entered => Ansi::new().fg(Color::Green),
            Self::Update => Ansi::new().fg(Color::Yellow),
            Self::Delete | Self::Left => Ansi::new().fg(Color::Red),
        }
    }
}
