//! Feeds a session what the host reports, and has the host do what the session wants.

use kalam_link_core::codec::Frame;
use kalam_link_core::ids::{SeqId, SubscriptionId};
use kalam_link_core::message::{Credentials, Params, SubscribeOptions};
use kalam_link_core::session::{
    BackoffOptions, ConnectionId, CredentialsFailure, Delivery, Input, LinkState, NetworkHint,
    Output, QueryId, Session, SessionEvent, SessionOptions, SocketQuery, Subscribe,
    SubscriptionEvent,
};
use kalam_link_core::time::Millis;
use wasm_bindgen::prelude::*;

use crate::events;
use crate::mirror::Mirror;

#[wasm_bindgen]
extern "C" {
    /// What the link needs of its surroundings. None of these may call the link before it returns.
    pub type Host;

    /// Milliseconds on a clock that never goes back.
    #[wasm_bindgen(method)]
    fn now(this: &Host) -> f64;

    /// Opens a socket, and reports `opened` or `failed`. No other is wanted any more.
    #[wasm_bindgen(method)]
    fn dial(this: &Host, connection: f64, url: &str);

    #[wasm_bindgen(method)]
    fn send(this: &Host, connection: f64, text: &str);

    #[wasm_bindgen(method)]
    fn close(this: &Host, connection: f64, code: u16, reason: &str);

    /// To be answered with credentials: 0 those at hand will do, 1 fetch fresh ones, 2 the last ones were refused.
    #[wasm_bindgen(method)]
    fn ask(this: &Host, reason: u8);

    /// An event as JSON.
    #[wasm_bindgen(method)]
    fn event(this: &Host, json: &str);

    /// Call `timer` at this time; a negative one: at none.
    #[wasm_bindgen(method)]
    fn wait(this: &Host, at: f64);
}

/// One logical connection to a server, across reconnects.
#[wasm_bindgen]
pub struct Link {
    session: Session,
    host: Host,
    mirrors: Vec<(SubscriptionId, Mirror)>,
}

#[wasm_bindgen]
impl Link {
    /// `urls` of sockets, one a line, tried in turn. `seed` decides the delays between tries: take it from a random
    /// source. Delays in ms; negative `attempts_max`: without end.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(
        urls: &str,
        seed: f64,
        delay_first_ms: f64,
        delay_max_ms: f64,
        attempts_max: i32,
        host: Host,
    ) -> Self {
        let mut options = SessionOptions::new("");
        options.urls = urls.lines().map(str::to_owned).collect();
        options.backoff = backoff(delay_first_ms, delay_max_ms, attempts_max);
        Self {
            session: Session::new(options, seed.to_bits()),
            host,
            mirrors: Vec::new(),
        }
    }

    /// Changes how a lost connection is sought again, from the next failure on. The arguments are those of `new`.
    #[wasm_bindgen(js_name = setReconnect)]
    pub fn set_reconnect(&mut self, delay_first_ms: f64, delay_max_ms: f64, attempts_max: i32) {
        self.session
            .set_backoff(backoff(delay_first_ms, delay_max_ms, attempts_max));
    }

    pub fn connect(&mut self) {
        self.feed(Input::Connect);
    }

    pub fn disconnect(&mut self) {
        self.feed(Input::Disconnect);
    }

    pub fn opened(&mut self, connection: f64) {
        let connection = id(connection);
        self.feed(Input::Opened { connection });
    }

    /// `status` of the HTTP answer, where the host knows one.
    pub fn failed(&mut self, connection: f64, status: Option<u16>, message: String) {
        let connection = id(connection);
        self.feed(Input::Failed {
            connection,
            status,
            message,
        });
    }

    pub fn closed(&mut self, connection: f64, code: Option<u16>, reason: String) {
        let connection = id(connection);
        self.feed(Input::Closed {
            connection,
            code,
            reason,
        });
    }

    /// `text` in UTF-8: so it crosses in one piece.
    pub fn frame(&mut self, connection: f64, text: Vec<u8>) {
        // What an encoder of JavaScript wrote is UTF-8.
        let text = String::from_utf8(text).unwrap_or_default();
        let (connection, frame) = (id(connection), Frame::Text(text));
        self.feed(Input::Frame { connection, frame });
    }

    pub fn timer(&mut self) {
        self.feed(Input::Timer);
    }

    #[wasm_bindgen(js_name = giveToken)]
    pub fn give_token(&mut self, token: String) {
        self.feed(Input::Credentials(Credentials::Jwt { token }));
    }

    #[wasm_bindgen(js_name = givePassword)]
    pub fn give_password(&mut self, username: String, password: String) {
        self.feed(Input::Credentials(Credentials::Basic {
            username,
            password,
        }));
    }

    /// There are no credentials; `temporary` if asking again may help.
    #[wasm_bindgen(js_name = giveNone)]
    pub fn give_none(&mut self, temporary: bool, message: String) {
        let failure = match temporary {
            true => CredentialsFailure::Temporary,
            false => CredentialsFailure::Permanent,
        };
        self.feed(Input::CredentialsFailed { failure, message });
    }

    /// Begins a live query whose batches and changes are wanted. An id in use is replaced. `params` is a JSON array.
    ///
    /// # Errors
    ///
    /// If the parameters are no such array.
    pub fn subscribe(
        &mut self,
        id: &str,
        sql: String,
        params: Option<String>,
        batch_size: Option<u32>,
        last_rows: Option<f64>,
        from: Option<f64>,
    ) -> Result<(), JsError> {
        self.begin(Subscribe {
            params: read(params)?,
            options: SubscribeOptions {
                batch_size,
                last_rows: last_rows.map(whole),
                from: from.map(|seq| SeqId(whole(seq))),
            },
            ..Subscribe::new(id, sql)
        });
        Ok(())
    }

    /// Begins a live query whose rows are wanted.
    ///
    /// # Errors
    ///
    /// As `subscribe`.
    pub fn live(
        &mut self,
        id: &str,
        sql: String,
        params: Option<String>,
        batch_size: Option<u32>,
    ) -> Result<(), JsError> {
        let mut request = Subscribe::new(id, sql);
        request.params = read(params)?;
        request.options.batch_size = batch_size;
        request.delivery = Delivery::Rows;
        self.begin(request);
        Ok(())
    }

    fn begin(&mut self, request: Subscribe) {
        self.forget(&request.id);
        if request.delivery == Delivery::Rows {
            self.mirrors.push((request.id.clone(), Mirror::default()));
        }
        self.feed(Input::Subscribe(request));
    }

    pub fn unsubscribe(&mut self, id: &str) {
        let id = SubscriptionId::new(id);
        self.forget(&id);
        self.feed(Input::Unsubscribe { id });
    }

    fn forget(&mut self, id: &SubscriptionId) {
        self.mirrors.retain(|(other, _)| other != id);
    }

    /// No more batches of a load for now: their reader is behind.
    pub fn pause(&mut self, id: &str) {
        let id = SubscriptionId::new(id);
        self.feed(Input::Pause { id });
    }

    pub fn resume(&mut self, id: &str) {
        let id = SubscriptionId::new(id);
        self.feed(Input::Resume { id });
    }

    /// SQL over the socket.
    ///
    /// # Errors
    ///
    /// As `subscribe`.
    pub fn query(
        &mut self,
        id: f64,
        sql: String,
        params: Option<String>,
        namespace: Option<String>,
        request_id: Option<String>,
    ) -> Result<(), JsError> {
        self.feed(Input::Query(SocketQuery {
            id: QueryId(whole(id)),
            sql,
            params: read(params)?,
            namespace,
            request_id,
        }));
        Ok(())
    }

    #[wasm_bindgen(js_name = cancelQuery)]
    pub fn cancel_query(&mut self, id: f64) {
        let id = QueryId(whole(id));
        self.feed(Input::CancelQuery { id });
    }

    /// There is a network again.
    pub fn online(&mut self) {
        self.feed(Input::Network(NetworkHint::Online));
    }

    pub fn offline(&mut self) {
        self.feed(Input::Network(NetworkHint::Offline));
    }

    /// The page is in the foreground again.
    pub fn visible(&mut self) {
        self.feed(Input::Network(NetworkHint::Visible));
    }

    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn ready(&self) -> bool {
        self.session.state() == LinkState::Ready
    }

    fn feed(&mut self, input: Input) {
        let now = Millis(whole(self.host.now()));
        self.session.handle_input(input, now);
        loop {
            match self.session.poll_output(now) {
                Output::Wait(deadline) => {
                    self.host.wait(deadline.map_or(-1.0, |at| number(at.0)));
                    return;
                }
                output => self.perform(output),
            }
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Dial(dial) => self.host.dial(number(dial.connection.0), &dial.url),
            Output::Send { connection, frame } => {
                // Only text is sent: nothing else was negotiated.
                if let Frame::Text(text) = frame {
                    self.host.send(number(connection.0), &text);
                }
            }
            Output::Close {
                connection,
                code,
                reason,
            } => self.host.close(number(connection.0), code, reason),
            Output::NeedCredentials(reason) => self.host.ask(reason as u8),
            Output::Event(event) => self.event(&event),
            Output::Wait(_) => {}
        }
    }

    fn event(&mut self, event: &SessionEvent) {
        let SessionEvent::Subscription {
            id,
            event: SubscriptionEvent::RowsChanged,
        } = event
        else {
            self.host.event(&events::of(event));
            return;
        };
        let mirror = self.mirrors.iter_mut().find(|(other, _)| other == id);
        if let (Some(rows), Some((_, mirror))) = (self.session.rows(id), mirror) {
            self.host.event(&events::of_rows(id, rows, mirror));
        }
    }
}

fn backoff(delay_first_ms: f64, delay_max_ms: f64, attempts_max: i32) -> BackoffOptions {
    BackoffOptions {
        delay_first_ms: whole(delay_first_ms),
        delay_max_ms: whole(delay_max_ms),
        attempts_max: u32::try_from(attempts_max).ok(),
    }
}

fn read(params: Option<String>) -> Result<Option<Params>, JsError> {
    let params = params.map(|params| Params::from_json(&params));
    params
        .transpose()
        .map_err(|error| JsError::new(&error.to_string()))
}

fn id(connection: f64) -> ConnectionId {
    ConnectionId(whole(connection))
}

/// Numbers of JavaScript that count something.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and such a number was never given out"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "times and counters stay below 2^53"
)]
fn number(whole: u64) -> f64 {
    whole as f64
}
