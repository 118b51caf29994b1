//! What the user typed.

use std::path::PathBuf;

use crate::config::Overrides;

/// Starts a KalamDB server.
#[derive(Debug, clap::Parser)]
#[command(
    name = "kalamdb-server",
    version,
    about,
    disable_help_subcommand = true
)]
pub struct Args {
    /// Configuration file in TOML.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address to listen on.
    #[arg(long)]
    pub host: Option<String>,
    /// Port to listen on; 0 takes a free one.
    #[arg(long)]
    pub port: Option<u16>,
    /// Folder in which everything is kept.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print the configuration and end.
    #[arg(long)]
    pub print_config: bool,
    /// Check the configuration and end.
    #[arg(long)]
    pub check_config: bool,
}

impl Args {
    /// The settings among the arguments.
    #[must_use]
    pub fn overrides(&self) -> Overrides {
        Overrides {
            host: self.host.clone(),
            port: self.port,
            data_dir: self.data_dir.clone(),
        }
    }
}
