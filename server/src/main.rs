//! The program `kalamdb-server`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use kalam_server::args::Args;
use kalam_server::config::Config;
use kalam_server::{Announcement, Error, Node, logging, shutdown};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Deeply nested statements are parsed and planned on these threads. Memory that is not touched costs nothing.
const STACK_BYTES: usize = 8 << 20;

fn main() -> ExitCode {
    use_small_pages();
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Huge pages would make the allocator's first few pages cost 2 MiB each: an idle server takes 13 MiB less without.
fn use_small_pages() {
    #[cfg(target_os = "linux")]
    // SAFETY: the call sets a flag of this process and touches no memory. If it fails, memory is used less sparingly.
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
    }
}

fn run(args: &Args) -> Result<(), Error> {
    let environment =
        |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let config = Config::load(args.config.as_deref(), environment, &args.overrides())?;
    if args.print_config {
        say(config.to_toml().trim_end());
        return Ok(());
    }
    if args.check_config {
        say("the configuration is valid");
        return Ok(());
    }
    logging::start(&config.log);
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    for name in Config::unknown_variables(names) {
        tracing::warn!(name, "this variable of the environment is no setting");
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if config.server.worker_threads > 0 {
        runtime.worker_threads(config.server.worker_threads);
    }
    let runtime = runtime
        .enable_all()
        .thread_name("kalamdb")
        .thread_stack_size(STACK_BYTES)
        .build()
        .map_err(Error::Thread)?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), Error> {
    let data_dir = config.data.dir.clone();
    let mut node = Node::start(config).await?;
    let _announcement = Announcement::publish(node.address(), &data_dir);
    if let Some(first) = node.take_first_password() {
        say(&format!(
            "root's password, shown this once and kept in {}: {}",
            first.path.display(),
            first.password
        ));
    }
    say(&format!(
        "KalamDB {} is ready at http://{}",
        env!("CARGO_PKG_VERSION"),
        node.address()
    ));
    shutdown::signalled().await.map_err(Error::Thread)?;
    tracing::info!("stopping");
    tokio::select! {
        () = node.stop() => tracing::info!("stopped"),
        // Whoever asks twice does not want to wait; what was acknowledged is durable anyway.
        _ = shutdown::signalled() => tracing::warn!("stopped without waiting"),
    }
    Ok(())
}

/// A line on standard output. Nobody needs to listen.
fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}
