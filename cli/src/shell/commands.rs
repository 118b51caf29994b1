//! What each `\command` does.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use kalam_link::Json;
use kalam_link::core::value::{DataType, Field};

use crate::args::{Connection, Format};
use crate::error::Error;
use crate::live;
use crate::output::{Header, Rows};
use crate::repl::command::{Command, Setting, Switch};
use crate::settings::{self, Known};
use crate::shell::{Flow, Messages, Pager, Shell, Sink, Text, Timing, WATCH_SECONDS, describe};
use crate::transfer;

/// # Errors
///
/// Those of the command, not yet reported.
pub async fn run(shell: &mut Shell, command: Command) -> Result<Flow, Error> {
    match command {
        Command::Quit => return Ok(Flow::Quit),
        Command::Include { file } => return shell.run_file(&file).await,
        Command::Edit { file } => return edit(shell, file).await,
        Command::Help { command } => help(shell, command.as_deref())?,
        Command::Connect { to, user } => connect(shell, to, user).await?,
        Command::ConnectionInfo => connection_info(shell).await?,
        Command::Instances => instances(shell)?,
        Command::Namespaces => shell.sql_of_command("SHOW NAMESPACES").await?,
        Command::Tables { namespace } => describe::tables(shell, namespace.as_deref()).await?,
        Command::Describe { table: Some(table) } => {
            shell.sql_of_command(&format!("DESCRIBE {table}")).await?;
        }
        Command::Describe { table: None } => describe::tables(shell, None).await?,
        Command::Users => shell.sql_of_command(describe::USERS).await?,
        Command::Indexes { table: Some(table) } => {
            shell
                .sql_of_command(&format!("SHOW INDEXES FOR TABLE {table}"))
                .await?;
        }
        Command::Indexes { table: None } => shell.sql_of_command("SHOW INDEXES").await?,
        Command::Jobs => shell.sql_of_command(describe::JOBS).await?,
        Command::LiveQueries => shell.sql_of_command(describe::LIVE_QUERIES).await?,
        Command::Cluster => shell.sql_of_command("CLUSTER STATUS").await?,
        Command::Explain { sql } => {
            shell
                .sql_of_command(&format!("EXPLAIN {}", sql.trim_end_matches(';')))
                .await?;
        }
        Command::Run { file } => shell.run_last(file.as_deref()).await?,
        Command::RunExpanded => shell.run_last_expanded().await?,
        Command::Watch { seconds } => shell.watch(seconds.unwrap_or(WATCH_SECONDS)).await?,
        Command::Subscribe { sql } => live::follow(shell, &live::subscription_of(&sql)).await?,
        Command::Live { sql } => live::screen(shell, &sql).await?,
        Command::Copy { what } => copy(shell, &what).await?,
        Command::Health => health(shell).await?,
        Command::Output { target } => redirect(shell, target)?,
        Command::Echo { text } => {
            let line = format!("{}\n", text.join(" "));
            shell.sink.write(line.as_bytes(), Pager::Off)?;
        }
        Command::Set { name: None, .. } => {
            for (name, value) in &shell.variables {
                shell.say(&format!("{name} = {value}"));
            }
        }
        Command::Set {
            name: Some(name),
            value,
        } => set(shell, name, &value)?,
        Command::Unset { name } => {
            if shell.variables.remove(&name).is_none() {
                return Err(Error::UnknownVariable { name });
            }
        }
        looks @ (Command::Expanded { .. }
        | Command::Timing { .. }
        | Command::TuplesOnly { .. }
        | Command::Format { .. }
        | Command::Setting { .. }) => change_looks(shell, looks)?,
    }
    Ok(Flow::Continue)
}

impl Shell {
    /// A statement that the user did not write: it is not the last one for `\g`.
    async fn sql_of_command(&mut self, sql: &str) -> Result<(), Error> {
        let last = self.last.take();
        let params = std::mem::take(&mut self.params);
        let outcome = self.sql(sql).await;
        self.last = last;
        self.params = params;
        outcome
    }
}

fn change_looks(shell: &mut Shell, command: Command) -> Result<(), Error> {
    match command {
        Command::Expanded { state } => {
            let expanded = shell.style.format == Format::Expanded;
            shell.style.format = if turned(state, expanded) {
                Format::Expanded
            } else {
                Format::Table
            };
            let word = on_off(shell.style.format == Format::Expanded);
            shell.say(&format!("Expanded display is {word}."));
        }
        Command::Timing { state } => {
            let shown = turned(state, shell.timing == Timing::Shown);
            shell.timing = if shown { Timing::Shown } else { Timing::Hidden };
            shell.say(&format!("Timing is {}.", on_off(shown)));
        }
        Command::TuplesOnly { state } => {
            let bare = turned(state, shell.style.header == Header::Hidden);
            shell.style.header = if bare { Header::Hidden } else { Header::Shown };
            shell.messages = if bare {
                Messages::Hidden
            } else {
                Messages::Shown
            };
            shell.say(&format!("Only rows are shown: {}.", on_off(bare)));
        }
        Command::Format {
            format: Some(format),
        } => shell.style.format = format,
        Command::Format { format: None } => {
            shell.say(&format!("Format is {}.", name_of(shell.style.format)));
        }
        Command::Setting { name: None, .. } => {
            shell.say(&format!("null    '{}'", shell.style.null));
            shell.say(&format!("pager   {}", on_off(shell.pager == Pager::On)));
            shell.say(&format!(
                "header  {}",
                on_off(shell.style.header == Header::Shown)
            ));
            shell.say(&format!("format  {}", name_of(shell.style.format)));
        }
        Command::Setting {
            name: Some(name),
            value,
        } => change_setting(shell, name, value)?,
        _ => {}
    }
    Ok(())
}

fn change_setting(shell: &mut Shell, name: Setting, value: Option<String>) -> Result<(), Error> {
    use clap::ValueEnum as _;
    let wrong = |value: &str| Error::Command {
        message: format!("`{value}` is not a value of this setting"),
    };
    let switch = |value: &Option<String>, current: bool| match value {
        None => Ok(!current),
        Some(value) => match Switch::from_str(value, true) {
            Ok(Switch::On) => Ok(true),
            Ok(Switch::Off) => Ok(false),
            Err(_) => Err(wrong(value)),
        },
    };
    match name {
        Setting::Null => shell.style.null = value.unwrap_or_default(),
        Setting::Pager => {
            let on = switch(&value, shell.pager == Pager::On)?;
            shell.pager = if on { Pager::On } else { Pager::Off };
        }
        Setting::Header => {
            let on = switch(&value, shell.style.header == Header::Shown)?;
            shell.style.header = if on { Header::Shown } else { Header::Hidden };
        }
        Setting::Format => {
            let value = value.unwrap_or_default();
            shell.style.format = Format::from_str(&value, true).map_err(|_| wrong(&value))?;
        }
    }
    Ok(())
}

fn turned(state: Option<Switch>, current: bool) -> bool {
    match state {
        Some(Switch::On) => true,
        Some(Switch::Off) => false,
        None => !current,
    }
}

fn on_off(state: bool) -> &'static str {
    if state { "on" } else { "off" }
}

fn name_of(format: Format) -> String {
    use clap::ValueEnum as _;
    format
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}

fn help(shell: &mut Shell, command: Option<&str>) -> Result<(), Error> {
    let text = match command {
        Some(name) => Command::explanation(name).ok_or_else(|| Error::UnknownCommand {
            name: name.trim_start_matches('\\').to_owned(),
        })?,
        None => {
            let all = Command::all();
            let width = all
                .iter()
                .map(|(usage, _)| usage.chars().count())
                .max()
                .unwrap_or(0);
            let lines = all
                .iter()
                .map(|(usage, about)| format!("{usage:<width$}  {about}\n"));
            lines.collect::<String>() + "\nA statement ends with ; and may take several lines.\n"
        }
    };
    shell.sink.write(text.as_bytes(), shell.pager)
}

fn set(shell: &mut Shell, name: String, value: &[String]) -> Result<(), Error> {
    if !crate::input::is_variable_name(&name) {
        return Err(Error::Command {
            message: format!("`{name}` is not a name: letters, digits and _ are"),
        });
    }
    shell.variables.insert(name, value.join(" "));
    Ok(())
}

fn redirect(shell: &mut Shell, target: Option<String>) -> Result<(), Error> {
    let next = match target.as_deref() {
        None => Sink::Stdout,
        Some(target) => match target.strip_prefix('|') {
            Some(program) => Sink::program(program.trim())?,
            None => Sink::file(Path::new(target))?,
        },
    };
    std::mem::replace(&mut shell.sink, next).finish()
}

async fn edit(shell: &mut Shell, file: Option<PathBuf>) -> Result<Flow, Error> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::NoTerminal { name: "e" });
    }
    let given = |name| {
        std::env::var(name)
            .ok()
            .filter(|program| !program.trim().is_empty())
    };
    let editor = given("VISUAL")
        .or_else(|| given("EDITOR"))
        .unwrap_or_else(|| "vi".to_owned());
    let temporary = tempfile::Builder::new()
        .suffix(".sql")
        .tempfile()
        .map_err(Error::Terminal)?;
    let path = file.as_deref().unwrap_or(temporary.path());
    if file.is_none() {
        let text = shell.last.clone().unwrap_or_default();
        std::fs::write(path, text).map_err(Error::Terminal)?;
    }
    let status = std::process::Command::new("sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(path)
        .status()
        .map_err(|source| Error::Program {
            program: editor,
            source,
        })?;
    if !status.success() {
        return Ok(Flow::Continue);
    }
    let read = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let text = std::fs::read_to_string(path).map_err(read)?;
    shell.say(text.trim_end());
    Box::pin(shell.run(Text {
        text: &text,
        file: None,
    }))
    .await
}

async fn connect(shell: &mut Shell, to: String, user: Option<String>) -> Result<(), Error> {
    let known = Known::load(&shell.folders)?;
    let mut connection = Connection {
        user,
        ..Connection::default()
    };
    if to.contains("://") {
        connection.url = Some(to);
    } else {
        connection.instance = Some(to);
    }
    let target = settings::resolve(&connection, &known)?;
    let (client, target) = settings::open(target, &shell.folders).await?;
    let before = std::mem::replace(&mut shell.client, client);
    shell.target = target;
    shell.namespace = None;
    before.close().await;
    connection_info(shell).await
}

async fn connection_info(shell: &Shell) -> Result<(), Error> {
    let response = shell.query("SELECT CURRENT_USER()").await?;
    let user = response
        .results
        .first()
        .map(|result| result.as_user.as_str().to_owned());
    shell.say(&format!(
        "Connected to {} as {}.",
        shell.target.url,
        user.unwrap_or_default()
    ));
    if let Some(namespace) = &shell.namespace {
        shell.say(&format!("The namespace is {namespace}."));
    }
    Ok(())
}

async fn copy(shell: &mut Shell, what: &str) -> Result<(), Error> {
    let what = crate::input::substitute(what, &shell.variables)?;
    let namespace = shell.namespace.as_deref();
    let report = transfer::copy(&what, namespace, &shell.client).await?;
    shell.say(&report.to_string());
    match report.end {
        transfer::End::Interrupted { .. } => Err(Error::Interrupted),
        transfer::End::Whole if report.refused > 0 => Err(Error::RowsRefused {
            rows: report.refused,
        }),
        transfer::End::Whole => Ok(()),
    }
}

async fn health(shell: &mut Shell) -> Result<(), Error> {
    let health = shell.client.health().await?;
    let row = [
        health.status,
        health.version,
        health.api_version,
        health.build_date,
    ];
    let names = ["status", "version", "api_version", "build_date"];
    text_rows(shell, &names, &[row.to_vec()])
}

fn instances(shell: &mut Shell) -> Result<(), Error> {
    let known = Known::load(&shell.folders)?;
    let logins = known.logins.iter().map(|(name, login)| {
        vec![
            name.clone(),
            login.url.clone(),
            login.user.clone(),
            "saved login".to_owned(),
        ]
    });
    let servers = known.servers.iter().map(|server| {
        let folder = format!("runs here, data in {}", server.data_dir.display());
        vec![String::new(), server.url.clone(), String::new(), folder]
    });
    let rows: Vec<Vec<String>> = logins.chain(servers).collect();
    text_rows(shell, &["name", "url", "user", "what"], &rows)
}

/// A table that does not come from the server.
fn text_rows(shell: &mut Shell, names: &[&str], rows: &[Vec<String>]) -> Result<(), Error> {
    let fields = names.iter().enumerate().map(|(index, name)| Field {
        name: (*name).to_owned(),
        data_type: DataType::Text,
        index,
        flags: Vec::new(),
    });
    let schema: Vec<Field> = fields.collect();
    let cells = |row: &Vec<String>| row.iter().cloned().map(Json::String).collect();
    let rows: Vec<Vec<Json>> = rows.iter().map(cells).collect();
    shell.write_rows(Rows {
        schema: &schema,
        rows: &rows,
    })?;
    let _ = std::io::stderr().flush();
    Ok(())
}
