//! `kalam` itself: a prompt, or the statements of `-c`, `-f` and standard input.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use kalam_link::Json;

use crate::args::{Args, Color, Format, OnError, Source};
use crate::error::Error;
use crate::output::{Header, Paint, Style};
use crate::repl;
use crate::settings::{self, Folders, Known};
use crate::shell::{Caution, Flow, Interrupts, Messages, Mode, Pager, Shell, Sink, Text, Timing};

/// Runs what the arguments say.
///
/// # Errors
///
/// What keeps it from beginning, and what ended it.
pub async fn run(args: Args, sources: Vec<Source>) -> Result<ExitCode, Error> {
    let mut sources = sources;
    let terminal = std::io::stdin().is_terminal();
    if sources.is_empty() && !terminal {
        sources.push(Source::File("-".into()));
    }
    let prompt = sources.is_empty();
    let mut shell = start(args, prompt).await?;
    let outcome = if prompt {
        repl::run(&mut shell).await
    } else {
        run_sources(&mut shell, &sources).await
    };
    let sink = std::mem::replace(&mut shell.sink, Sink::Stdout);
    sink.finish()?;
    match outcome {
        Ok(()) if shell.failures == 0 => Ok(ExitCode::SUCCESS),
        Ok(()) => Err(Error::Reported),
        Err(error) => Err(error),
    }
}

async fn run_sources(shell: &mut Shell, sources: &[Source]) -> Result<(), Error> {
    for source in sources {
        let outcome = match source {
            Source::Text(text) => shell.run(Text { text, file: None }).await,
            Source::File(path) => shell.run_file(path).await,
        };
        match outcome {
            Ok(Flow::Quit) => break,
            Ok(Flow::Continue) => {}
            Err(Error::Reported) if shell.on_error == OnError::Continue => shell.failures += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn start(args: Args, prompt: bool) -> Result<Shell, Error> {
    let script = args.script;
    let folders = Folders::of_user();
    let target = settings::resolve(&args.connection, &Known::load(&folders)?)?;
    let (client, target) = settings::open(target, &folders).await?;
    let sink = match script.output.as_deref() {
        Some(path) if path != Path::new("-") => Sink::file(path)?,
        _ => Sink::Stdout,
    };
    let paint = |terminal: bool| paint(script.color, terminal);
    let on_screen = std::io::stdout().is_terminal() && matches!(sink, Sink::Stdout);
    let asks = prompt || (std::io::stdin().is_terminal() && std::io::stderr().is_terminal());
    Ok(Shell {
        client,
        target,
        folders,
        namespace: script.namespace,
        params: script.params.iter().map(|value| parameter(value)).collect(),
        variables: script.variables.into_iter().collect::<BTreeMap<_, _>>(),
        style: Style {
            format: script.format,
            null: null_of(script.format).to_owned(),
            header: Header::Shown,
            paint: paint(on_screen),
        },
        pager: if prompt { Pager::On } else { Pager::Off },
        timing: if script.timing {
            Timing::Shown
        } else {
            Timing::Hidden
        },
        messages: if script.quiet {
            Messages::Hidden
        } else {
            Messages::Shown
        },
        caution: if asks && !script.yes {
            Caution::Ask
        } else {
            Caution::None
        },
        on_error: script.on_error,
        sink,
        paint: paint(std::io::stderr().is_terminal()),
        last: None,
        includes: 0,
        failures: 0,
        mode: if prompt { Mode::Prompt } else { Mode::Script },
        interrupts: Interrupts::listen()?,
    })
}

fn null_of(format: Format) -> &'static str {
    match format {
        Format::Csv => "",
        _ => "NULL",
    }
}

/// JSON where it reads as such: `7`, `true`, `null`, `"7"`; else the text itself.
fn parameter(value: &str) -> Json {
    serde_json::from_str(value).unwrap_or_else(|_| Json::String(value.to_owned()))
}

fn paint(color: Color, terminal: bool) -> Paint {
    let colored = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    };
    if colored {
        Paint::Colored
    } else {
        Paint::Plain
    }
}
