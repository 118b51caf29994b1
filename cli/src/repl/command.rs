//! The grammar of `\commands`: declared once, for parsing, help and completion.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, ValueEnum};

use crate::args::Format;
use crate::error::Error;

/// One `\command`.
#[derive(Parser, Clone, Debug, PartialEq)]
#[command(
    name = "",
    no_binary_name = true,
    disable_help_flag = true,
    disable_help_subcommand = true
)]
pub enum Command {
    /// List the commands, or explain one
    #[command(name = "?", alias = "help")]
    Help { command: Option<String> },
    /// Leave
    #[command(name = "q", alias = "quit")]
    Quit,
    /// Sign in elsewhere: a saved login or an address, and a user
    #[command(name = "connect", visible_alias = "c")]
    Connect { to: String, user: Option<String> },
    /// Show where you are connected, and as whom
    #[command(name = "conninfo")]
    ConnectionInfo,
    /// List saved logins and servers of this machine
    #[command(name = "l")]
    Instances,
    /// List namespaces
    #[command(name = "dn")]
    Namespaces,
    /// List tables, of one namespace or of all
    #[command(name = "dt")]
    Tables { namespace: Option<String> },
    /// Describe a table, or list tables
    #[command(name = "d")]
    Describe { table: Option<String> },
    /// List users
    #[command(name = "du")]
    Users,
    /// List indexes, of one table or of all
    #[command(name = "di")]
    Indexes { table: Option<String> },
    /// List jobs of the server
    #[command(name = "dj")]
    Jobs,
    /// List live queries
    #[command(name = "dlive")]
    LiveQueries,
    /// Results with one line a cell
    #[command(name = "x")]
    Expanded { state: Option<Switch> },
    /// Show how long statements take
    #[command(name = "timing")]
    Timing { state: Option<Switch> },
    /// Only rows: no names of columns, no counts
    #[command(name = "t")]
    TuplesOnly { state: Option<Switch> },
    /// Choose how results are written
    #[command(name = "format")]
    Format { format: Option<Format> },
    /// Show or change how results look
    #[command(name = "pset")]
    Setting {
        name: Option<Setting>,
        value: Option<String>,
    },
    /// Write results to a file or |program; without a name to the screen
    #[command(name = "o")]
    Output { target: Option<String> },
    /// Copy rows: NS.TABLE [(COLUMNS)] from|to 'FILE', (SELECT …) to 'FILE'
    #[command(name = "copy")]
    Copy { what: String },
    /// Run a file
    #[command(name = "i")]
    Include { file: PathBuf },
    /// Edit the last statement, or a file, and run it
    #[command(name = "e")]
    Edit { file: Option<PathBuf> },
    /// Run the statement before it, or the last one; results into a file
    #[command(name = "g")]
    Run { file: Option<PathBuf> },
    /// As \g, with one line a cell
    #[command(name = "gx")]
    RunExpanded,
    /// Show or set variables, which statements use as :NAME, :'NAME' and :"NAME"
    #[command(name = "set")]
    Set {
        name: Option<String>,
        value: Vec<String>,
    },
    /// Forget a variable
    #[command(name = "unset")]
    Unset { name: String },
    /// Repeat the statement before it, or the last one, every so many seconds
    #[command(name = "watch")]
    Watch { seconds: Option<f64> },
    /// Print each change of a query until Ctrl-C
    #[command(name = "subscribe")]
    Subscribe {
        #[arg(allow_hyphen_values = true)]
        sql: String,
    },
    /// Keep the rows of a query on the screen until Ctrl-C
    #[command(name = "live")]
    Live {
        #[arg(allow_hyphen_values = true)]
        sql: String,
    },
    /// Show how a query is executed
    #[command(name = "explain")]
    Explain {
        #[arg(allow_hyphen_values = true)]
        sql: String,
    },
    /// Ask the server how it is
    #[command(name = "health")]
    Health,
    /// Show the nodes of the cluster
    #[command(name = "cluster")]
    Cluster,
    /// Print a text
    #[command(name = "echo")]
    Echo { text: Vec<String> },
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    On,
    Off,
}

/// What `\pset` changes.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The text for NULL
    Null,
    /// Long results through a pager: on, off
    Pager,
    /// Names of columns: on, off
    Header,
    /// As \format
    Format,
}

/// Commands whose argument is the rest of the line, as it is.
const RAW: [&str; 4] = ["copy", "subscribe", "live", "explain"];

impl Command {
    /// Reads a line without its backslash.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownCommand`], or [`Error::Command`] that says how it is used.
    pub fn parse(line: &str) -> Result<Self, Error> {
        let line = line.trim().trim_end_matches(';').trim_end();
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let mut words = vec![name.to_owned()];
        if RAW.contains(&name) {
            words.extend((!rest.is_empty()).then(|| rest.to_owned()));
        } else {
            words.extend(split_words(rest)?);
        }
        Self::try_parse_from(words).map_err(|error| match error.kind() {
            ErrorKind::InvalidSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Error::UnknownCommand {
                    name: name.to_owned(),
                }
            }
            _ => Error::Command {
                message: format!("usage: {}", usage(name).unwrap_or_else(|| line.to_owned())),
            },
        })
    }

    /// Names and what they do, for lists.
    #[must_use]
    pub fn all() -> Vec<(String, String)> {
        let grammar = Self::command();
        let commands = grammar.get_subcommands();
        commands
            .map(|command| (usage_of(command), about(command)))
            .collect()
    }

    /// Names alone, for completion.
    #[must_use]
    pub fn names() -> Vec<(String, String)> {
        let grammar = Self::command();
        let commands = grammar.get_subcommands();
        commands
            .map(|command| (command.get_name().to_owned(), about(command)))
            .collect()
    }

    /// The explanation of one command.
    #[must_use]
    pub fn explanation(name: &str) -> Option<String> {
        let name = name.trim_start_matches('\\');
        let grammar = Self::command();
        let command = grammar.find_subcommand(name)?;
        let mut text = format!("{}\n    {}\n", usage_of(command), about(command));
        for argument in command.get_arguments() {
            for value in argument.get_possible_values() {
                let help = value
                    .get_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                text.push_str(format!("    {:<10} {help}", value.get_name()).trim_end());
                text.push('\n');
            }
        }
        Some(text)
    }
}

fn usage(name: &str) -> Option<String> {
    Command::command().find_subcommand(name).map(usage_of)
}

fn usage_of(command: &clap::Command) -> String {
    let mut text = format!("\\{}", command.get_name());
    for argument in command.get_positionals() {
        let name = argument.get_id().as_str().to_uppercase();
        let dots = if argument
            .get_num_args()
            .is_some_and(|count| count.max_values() > 1)
        {
            "…"
        } else {
            ""
        };
        if argument.is_required_set() {
            text.push_str(&format!(" {name}{dots}"));
        } else {
            text.push_str(&format!(" [{name}{dots}]"));
        }
    }
    text
}

fn about(command: &clap::Command) -> String {
    command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// Words apart by white space, or in quotes: `'it''s'`, `"a b"`.
fn split_words(text: &str) -> Result<Vec<String>, Error> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(first) = chars.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut word = String::new();
        if first == '\'' || first == '"' {
            loop {
                match chars.next() {
                    Some(c) if c == first && chars.peek() == Some(&first) => {
                        chars.next();
                        word.push(first);
                    }
                    Some(c) if c == first => break,
                    Some(c) => word.push(c),
                    None => {
                        return Err(Error::Command {
                            message: format!("{first} is not closed"),
                        });
                    }
                }
            }
        } else {
            word.push(first);
            while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                word.push(c);
            }
        }
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Command::command().debug_assert();
    }

    #[test]
    fn a_line_becomes_a_command() {
        let check =
            |line: &str, expected: Command| assert_eq!(Command::parse(line).unwrap(), expected);
        check("q", Command::Quit);
        check(
            "? d",
            Command::Help {
                command: Some("d".into()),
            },
        );
        check(
            "d chat.messages;",
            Command::Describe {
                table: Some("chat.messages".into()),
            },
        );
        check(
            "x on",
            Command::Expanded {
                state: Some(Switch::On),
            },
        );
        check(
            "subscribe SELECT 'a  b' -- c",
            Command::Subscribe {
                sql: "SELECT 'a  b' -- c".into(),
            },
        );
        check(
            "set who 'it''s me'",
            Command::Set {
                name: Some("who".into()),
                value: vec!["it's me".into()],
            },
        );
        check("watch 0.5", Command::Watch { seconds: Some(0.5) });
        check(
            "format csv",
            Command::Format {
                format: Some(Format::Csv),
            },
        );
    }

    #[test]
    fn what_is_wrong_says_how_it_is_right() {
        let check = |line: &str, expected: &str| {
            assert_eq!(Command::parse(line).unwrap_err().to_string(), expected)
        };
        check("nope", "unknown command `\\nope`");
        check("i", "usage: \\i FILE");
        check("x maybe", "usage: \\x [STATE]");
        check("live", "usage: \\live SQL");
        check("set a 'b", "' is not closed");
    }

    #[test]
    fn every_command_is_explained() {
        let names = Command::names();
        let all: Vec<String> = names
            .iter()
            .filter_map(|(name, _)| Command::explanation(name))
            .collect();
        assert_eq!(all.len(), names.len());
        insta::assert_snapshot!(all.join("\n"));
    }
}
