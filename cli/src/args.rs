//! What the user typed: the grammar of the command line. What it means is `settings.rs`' and the subcommands' affair.

use std::path::PathBuf;

use clap::{
    ArgMatches, Args as ClapArgs, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    ValueEnum,
};

const EXAMPLES: &str = "\
Examples:
  kalam                                        a prompt, at the server on this machine
  kalam -c 'SELECT * FROM chat.messages'       run a statement and exit
  kalam --format csv -f report.sql > out.csv   run a script
  kalam -c 'SUBSCRIBE TO chat.messages'        follow a table until Ctrl-C

Exit codes: 0 success, 1 a statement failed, 2 wrong arguments, 3 no connection or no sign-in, 130 interrupted.
In the prompt, \\? lists its commands.";

/// The shell of KalamDB.
#[derive(Parser, Debug)]
#[command(name = "kalam", version, after_help = EXAMPLES, max_term_width = 100, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub script: Script,
    #[command(subcommand)]
    pub subcommand: Option<Command>,
}

/// Which server, and as whom.
#[derive(ClapArgs, Clone, Debug, Default)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// Address of the server, such as http://127.0.0.1:8080
    #[arg(long, global = true, env = "KALAM_URL", value_name = "URL", conflicts_with_all = ["host", "port", "instance"])]
    pub url: Option<String>,
    /// Name or address of the server's machine
    #[arg(long, short = 'H', global = true, value_name = "HOST")]
    pub host: Option<String>,
    /// Its port [default: 8080]
    #[arg(long, short = 'P', global = true, value_name = "PORT")]
    pub port: Option<u16>,
    /// Who signs in
    #[arg(
        long,
        short = 'u',
        global = true,
        env = "KALAM_USER",
        value_name = "NAME"
    )]
    pub user: Option<String>,
    /// The password; without it the saved one is taken, or asked for
    #[arg(
        long,
        global = true,
        env = "KALAM_PASSWORD",
        hide_env_values = true,
        value_name = "PASSWORD"
    )]
    pub password: Option<String>,
    /// A token instead of user and password
    #[arg(long, global = true, env = "KALAM_TOKEN", hide_env_values = true, value_name = "JWT", conflicts_with_all = ["user", "password"])]
    pub token: Option<String>,
    /// A login that `kalam login` saved
    #[arg(long, short = 'i', global = true, env = "KALAM_INSTANCE", value_name = "NAME", conflicts_with_all = ["host", "port"])]
    pub instance: Option<String>,
}

/// What runs, and how its results look.
#[derive(ClapArgs, Clone, Debug)]
#[command(next_help_heading = "Statements")]
pub struct Script {
    /// Run statements or a \command and exit; may be repeated
    #[arg(long, short = 'c', value_name = "SQL")]
    pub command: Vec<String>,
    /// Run a file, or standard input for `-`, and exit; may be repeated
    #[arg(long, short = 'f', value_name = "FILE")]
    pub file: Vec<PathBuf>,
    /// Value of $1, $2, … in the order given: JSON where it reads as such, else text
    #[arg(
        long = "param",
        short = 'p',
        value_name = "VALUE",
        allow_hyphen_values = true
    )]
    pub params: Vec<String>,
    /// Value of :NAME in statements
    #[arg(long = "set", short = 'v', value_name = "NAME=VALUE", value_parser = assignment)]
    pub variables: Vec<(String, String)>,
    /// Namespace of names without one
    #[arg(long, short = 'n', value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// How results are written
    #[arg(
        long,
        short = 'F',
        value_enum,
        default_value = "table",
        value_name = "FORMAT"
    )]
    pub format: Format,
    /// Write results to a file instead of standard output
    #[arg(long, short = 'o', value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What follows a statement that failed
    #[arg(long, value_enum, default_value = "stop", value_name = "ACTION")]
    pub on_error: OnError,
    /// Do not ask before statements that change or drop a whole table
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// Only results and errors: no counts, no messages
    #[arg(long, short = 'q')]
    pub quiet: bool,
    /// Show how long each statement took
    #[arg(long)]
    pub timing: bool,
    /// Colours
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: Color,
}

/// How results are written.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns with lines
    Table,
    /// One line a cell
    Expanded,
    /// An array of objects for each result
    Json,
    /// One object a line
    Ndjson,
    /// RFC 4180, with a header
    Csv,
    /// A table for documents
    Markdown,
}

/// What follows a statement that failed.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// End with exit code 1
    Stop,
    /// Go on with the next statement, and end with exit code 1
    Continue,
}

/// When there are colours.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    Import(Box<crate::transfer::import::Args>),
    Export(crate::transfer::export::Args),
    Bench(Box<crate::bench::Args>),
    Doctor(crate::doctor::Args),
    Gen(crate::generate::Args),
    /// Save a login, so that `--instance NAME` or plain `kalam` uses it
    Login(Login),
    /// Forget a saved login
    Logout(Logout),
    /// Print a completion script for a shell
    Completions {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

#[derive(ClapArgs, Debug)]
pub struct Login {
    /// What to call it; `default` is taken when nothing else says where to connect
    #[arg(default_value = "default")]
    pub name: String,
}

#[derive(ClapArgs, Debug)]
pub struct Logout {
    #[arg(default_value = "default")]
    pub name: String,
}

/// One thing to run, in the order in which `-c` and `-f` stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Text(String),
    File(PathBuf),
}

impl Args {
    /// Reads the command line, or prints what is wrong with it and exits with 2 (with 0 after `--help`).
    #[must_use]
    pub fn read() -> (Self, Vec<Source>) {
        let matches = Self::command().get_matches();
        let args = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        let sources = args.script.sources(&matches);
        (args, sources)
    }
}

impl Script {
    fn sources(&self, matches: &ArgMatches) -> Vec<Source> {
        let at = |name| matches.indices_of(name).into_iter().flatten();
        let texts = self.command.iter().cloned().map(Source::Text);
        let files = self.file.iter().cloned().map(Source::File);
        let mut placed: Vec<(usize, Source)> = at("command")
            .zip(texts)
            .chain(at("file").zip(files))
            .collect();
        placed.sort_by_key(|(index, _)| *index);
        placed.into_iter().map(|(_, source)| source).collect()
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is wanted")?;
    if !crate::input::is_variable_name(name) {
        return Err(format!("`{name}` is not a name: letters, digits and _ are"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn texts_and_files_run_in_the_order_given() {
        let line = ["kalam", "-c", "a", "-f", "b", "-c", "c"];
        let matches = Args::command().get_matches_from(line);
        let args = Args::from_arg_matches(&matches).unwrap();
        assert_eq!(
            args.script.sources(&matches),
            [
                Source::Text("a".into()),
                Source::File("b".into()),
                Source::Text("c".into())
            ]
        );
    }
}
