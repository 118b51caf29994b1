//! Shows on a terminal that a statement still runs.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::shell::Messages;

/// Shorter waits need no comfort.
const DELAY: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_millis(100);

/// Turns until it is dropped, and then leaves no trace.
pub struct Spinner {
    state: Arc<Mutex<State>>,
    task: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum State {
    Waiting,
    Shown(ProgressBar),
    /// What is written to the terminal from here on must stay.
    Over,
}

impl Spinner {
    #[must_use]
    pub fn start(messages: Messages) -> Self {
        let state = Arc::new(Mutex::new(State::Waiting));
        let wanted = messages == Messages::Shown && std::io::stderr().is_terminal();
        let task = wanted.then(|| tokio::spawn(turn(Arc::clone(&state))));
        Self { state, task }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Shown(bar) = std::mem::replace(&mut *state, State::Over) {
            bar.finish_and_clear();
        }
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn turn(state: Arc<Mutex<State>>) {
    tokio::time::sleep(DELAY).await;
    loop {
        match &mut *state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Over => return,
            State::Shown(bar) => bar.tick(),
            waiting @ State::Waiting => *waiting = State::Shown(bar()),
        }
        tokio::time::sleep(TICK).await;
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} (Ctrl-C cancels)") {
        bar.set_style(style);
    }
    bar.tick();
    bar
}
