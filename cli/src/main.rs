//! `kalam`: the shell of KalamDB. Errors and broken pipes are handled here alone.

mod args;
mod bench;
mod breakdown;
mod doctor;
mod error;
mod generate;
mod input;
mod live;
mod login;
mod output;
mod repl;
mod report;
mod run;
mod settings;
mod shell;
mod transfer;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::args::{Args, Command};
use crate::error::Error;
use crate::output::Paint;
use crate::report::Origin;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    breakdown::restore_terminal_on_panic();
    let (args, sources) = Args::read();
    // One thread for the socket and timers: the prompt blocks the main one.
    let threads = match &args.subcommand {
        Some(Command::Bench(_)) => bench::WORKERS,
        _ => 1,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(args, sources)),
        Err(error) => Err(Error::Terminal(error)),
    };
    match outcome {
        Ok(code) => code,
        // Whoever read our output has enough of it.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error);
            error.exit_code()
        }
    }
}

async fn dispatch(args: Args, sources: Vec<args::Source>) -> Result<ExitCode, Error> {
    match args.subcommand {
        None => run::run(args, sources).await,
        Some(Command::Import(import)) => transfer::import::run(import, &args.connection).await,
        Some(Command::Export(export)) => transfer::export::run(export, &args.connection).await,
        Some(Command::Bench(bench)) => bench::run(*bench).await,
        Some(Command::Doctor(doctor)) => doctor::run(doctor, &args.connection).await,
        Some(Command::Gen(generate)) => generate::run(generate, &args.connection).await,
        Some(Command::Login(login)) => login::save(&args.connection, &login.name).await,
        Some(Command::Logout(login)) => login::forget(&login.name),
        Some(Command::Completions { shell }) => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "kalam", &mut text);
            print(&text)
        }
        Some(Command::Man) => {
            let mut text = Vec::new();
            clap_mangen::Man::new(Args::command())
                .render(&mut text)
                .map_err(Error::Output)?;
            print(&text)
        }
    }
}

fn print(text: &[u8]) -> Result<ExitCode, Error> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text)
        .and_then(|()| stdout.flush())
        .map_err(Error::Output)?;
    Ok(ExitCode::SUCCESS)
}

fn tell(error: &Error) {
    if matches!(
        error,
        Error::Reported | Error::ConnectionLost | Error::Interrupted
    ) {
        return;
    }
    let colored = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let paint = if colored {
        Paint::Colored
    } else {
        Paint::Plain
    };
    let origin = Origin {
        file: None,
        line: 1,
    };
    let text = report::render(error, None, origin, paint);
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
