//! Whether the server is still there. Any frame counts as life; after a silence the session asks.

use super::HeartbeatOptions;
use crate::time::Millis;

/// When something was last heard, and whether an answer is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heartbeat {
    options: HeartbeatOptions,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Heard {
        at: Millis,
    },
    Asked {
        at: Millis,
    },
    /// The server does not answer pings.
    Off,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Nothing,
    Ping,
    Dead,
}

impl Heartbeat {
    pub(super) fn new(options: HeartbeatOptions, now: Millis) -> Self {
        Self {
            options,
            state: State::Heard { at: now },
        }
    }

    /// For a server without `pong`: its silence means nothing.
    pub(super) fn off(options: HeartbeatOptions) -> Self {
        Self {
            options,
            state: State::Off,
        }
    }

    pub(super) fn heard(&mut self, now: Millis) {
        if !matches!(self.state, State::Off) {
            self.state = State::Heard { at: now };
        }
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        match self.state {
            State::Heard { at } => Some(at.plus_ms(self.options.idle_ms)),
            State::Asked { at } => Some(at.plus_ms(self.options.answer_ms)),
            State::Off => None,
        }
    }

    pub(super) fn timer(&mut self, now: Millis) -> Beat {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Beat::Nothing;
        }
        match self.state {
            State::Asked { .. } => Beat::Dead,
            State::Heard { .. } | State::Off => self.probe(now),
        }
    }

    /// Asks at once, unless an answer is due already.
    pub(super) fn probe(&mut self, now: Millis) -> Beat {
        match self.state {
            State::Heard { .. } => {
                self.state = State::Asked { at: now };
                Beat::Ping
            }
            State::Asked { .. } | State::Off => Beat::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const OPTIONS: HeartbeatOptions = HeartbeatOptions {
        idle_ms: 20,
        answer_ms: 10,
    };

    #[test]
    fn a_silent_server_is_asked_and_then_given_up() {
        let mut heartbeat = Heartbeat::new(OPTIONS, Millis(0));
        assert_eq!(heartbeat.timer(Millis(19)), Beat::Nothing);
        assert_eq!(heartbeat.timer(Millis(20)), Beat::Ping);
        assert_eq!(heartbeat.timer(Millis(29)), Beat::Nothing);
        assert_eq!(heartbeat.timer(Millis(30)), Beat::Dead);
    }

    #[test]
    fn any_frame_is_a_sign_of_life() {
        let mut heartbeat = Heartbeat::new(OPTIONS, Millis(0));
        heartbeat.heard(Millis(15));
        assert_eq!(heartbeat.timer(Millis(34)), Beat::Nothing);
        assert_eq!(heartbeat.timer(Millis(35)), Beat::Ping);
        heartbeat.heard(Millis(40));
        assert_eq!(heartbeat.deadline(), Some(Millis(60)));
    }

    #[test]
    fn a_timer_that_comes_late_asks_before_it_gives_up() {
        let mut heartbeat = Heartbeat::new(OPTIONS, Millis(0));
        assert_eq!(heartbeat.timer(Millis(100_000)), Beat::Ping);
    }

    #[test]
    fn a_server_without_pong_is_never_given_up() {
        let mut heartbeat = Heartbeat::off(OPTIONS);
        heartbeat.heard(Millis(5));
        assert_eq!(heartbeat.deadline(), None);
        assert_eq!(heartbeat.timer(Millis(1_000)), Beat::Nothing);
    }
}
