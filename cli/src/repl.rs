//! The prompt: lines are edited, coloured and completed by reedline; what is complete runs in the shell.

pub mod command;
mod complete;
mod highlight;
mod history;
mod schema;
mod words;

use std::borrow::Cow;
use std::io::IsTerminal as _;

use nu_ansi_term::{Color, Style as Ansi};
use reedline::{
    ColumnarMenu, DefaultHinter, Emacs, InputMode, KeyCode, KeyModifiers, MenuBuilder as _, Prompt,
    PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus, Reedline, ReedlineEvent,
    ReedlineMenu, Signal, ValidationResult, Validator, default_emacs_keybindings,
};

use crate::error::Error;
use crate::input;
use crate::output::Paint;
use crate::report::Origin;
use crate::shell::{Flow, Shell, Text};

const MENU: &str = "completion";

/// Reads and runs until `\q` or Ctrl-D.
///
/// # Errors
///
/// Those of the terminal. Statements that fail are reported, and the prompt comes again.
pub async fn run(shell: &mut Shell) -> Result<(), Error> {
    shell.say(&format!(
        "kalam {}, connected to {} as {}. \\? lists commands, \\q leaves.",
        env!("CARGO_PKG_VERSION"),
        shell.target.url,
        shell
            .target
            .identity
            .user()
            .unwrap_or("the bearer of a token"),
    ));
    let schema = schema::Shared::default();
    let mut editor = editor(shell, &schema)?;
    schema.load(&shell.client);
    loop {
        let prompt = Line::of(shell);
        // The terminal blocks this thread; the runtime's own one goes on.
        let signal = tokio::task::block_in_place(|| editor.read_line(&prompt));
        match signal.map_err(Error::Terminal)? {
            Signal::Success(text) => match run_text(shell, &text).await? {
                Flow::Quit => return Ok(()),
                Flow::Continue if changes_schema(&text) => schema.load(&shell.client),
                Flow::Continue => {}
            },
            Signal::CtrlD => return Ok(()),
            // Whatever was typed is dropped.
            _ => {}
        }
    }
}

async fn run_text(shell: &mut Shell, text: &str) -> Result<Flow, Error> {
    shell.interrupts.forget();
    match shell.run(Text { text, file: None }).await {
        Ok(flow) => Ok(flow),
        Err(Error::Reported | Error::ConnectionLost) => Ok(Flow::Continue),
        Err(Error::Interrupted) => {
            shell.say("cancelled");
            Ok(Flow::Continue)
        }
        Err(error) if error.is_broken_pipe() => Ok(Flow::Continue),
        Err(error @ Error::Terminal(_)) => Err(error),
        Err(error) => {
            shell.report(
                &error,
                None,
                Origin {
                    file: None,
                    line: 1,
                },
            );
            Ok(Flow::Continue)
        }
    }
}

fn changes_schema(text: &str) -> bool {
    let words = ["CREATE", "ALTER", "DROP", "USE", "\\c", "\\i"];
    let upper = text.to_ascii_uppercase();
    words
        .iter()
        .any(|word| upper.contains(&word.to_ascii_uppercase()))
}

fn editor(shell: &Shell, schema: &schema::Shared) -> Result<Reedline, Error> {
    // What follows the cursor counts: `SELECT | FROM t` wants the columns of t.
    let menu = ColumnarMenu::default()
        .with_name(MENU)
        .with_input_mode(InputMode::FullBuffer);
    let mut keys = default_emacs_keybindings();
    keys.add_binding(
        KeyModifiers::NONE,
        KeyCode::Tab,
        ReedlineEvent::UntilFound(vec![
            ReedlineEvent::Menu(MENU.to_owned()),
            ReedlineEvent::MenuNext,
        ]),
    );
    keys.add_binding(
        KeyModifiers::SHIFT,
        KeyCode::BackTab,
        ReedlineEvent::MenuPrevious,
    );
    let colored = shell.paint == Paint::Colored && std::io::stdout().is_terminal();
    let mut editor = Reedline::create()
        .with_validator(Box::new(Completeness))
        .with_completer(Box::new(complete::SqlCompleter::new(schema.clone())))
        .with_quick_completions(true)
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_ansi_colors(colored)
        .use_bracketed_paste(true);
    if colored {
        let hint = Ansi::new().fg(Color::DarkGray);
        editor = editor
            .with_highlighter(Box::new(highlight::SqlHighlighter))
            .with_hinter(Box::new(DefaultHinter::default().with_style(hint)));
    }
    if let Some(history) = history::open(&shell.folders)? {
        editor = editor.with_history(history);
    }
    Ok(editor)
}

struct Completeness;

impl Validator for Completeness {
    fn validate(&self, line: &str) -> ValidationResult {
        if input::is_complete(line) {
            ValidationResult::Complete
        } else {
            ValidationResult::Incomplete
        }
    }
}

/// `root@127.0.0.1:8080/chat> `
struct Line(String);

impl Line {
    fn of(shell: &Shell) -> Self {
        let url = &shell.target.url;
        let host = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let user = shell.target.identity.user().unwrap_or("token");
        let namespace = shell
            .namespace
            .as_ref()
            .map(|name| format!("/{name}"))
            .unwrap_or_default();
        Self(format!("{user}@{host}{namespace}"))
    }
}

impl Prompt for Line {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("> ")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("… ")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let found = match search.status {
            PromptHistorySearchStatus::Passing => "",
            PromptHistorySearchStatus::Failing => "nothing like ",
        };
        Cow::Owned(format!(" (history: {found}{}) ", search.term))
    }
}
