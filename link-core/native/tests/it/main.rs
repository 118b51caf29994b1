//! The client against a server in the same process. Each test plays the server's part, message by message, so that
//! nothing depends on time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod credentials;
mod guide;
mod http;
mod live;
mod server;
mod slow_reader;
mod socket;
mod streams;
mod subscriptions;
mod tls;

use std::collections::BTreeMap;

use kalam_link::{
    Auth, BackoffOptions, Client, ClientBuilder, Error, LiveRows, Subscription, SubscriptionEvent,
};

use futures::StreamExt as _;
use server::Server;

/// Tries again without a pause, so that no test waits.
const AT_ONCE: BackoffOptions = BackoffOptions {
    delay_first_ms: 0,
    delay_max_ms: 0,
    attempts_max: None,
};

fn builder(server: &Server) -> ClientBuilder {
    Client::builder(&server.url)
        .auth(Auth::jwt("token"))
        .backoff(AT_ONCE)
}

fn client(server: &Server) -> Client {
    builder(server).build().unwrap()
}

/// What a subscription was told next, in short.
async fn told(subscription: &mut Subscription) -> String {
    match subscription.next().await {
        None => "end".to_owned(),
        Some(Err(error)) => format!("error: {error}"),
        Some(Ok(event)) => in_short(&event),
    }
}

fn in_short(event: &SubscriptionEvent) -> String {
    match event {
        SubscriptionEvent::Acknowledged { load, .. } => format!("{load:?}").to_lowercase(),
        SubscriptionEvent::Batch { rows, .. } => format!("batch {}", rows.len()),
        SubscriptionEvent::Live => "live".to_owned(),
        SubscriptionEvent::Change(change) => match change.seq {
            Some(seq) => format!("change {seq}"),
            None => "change".to_owned(),
        },
        SubscriptionEvent::Resync { .. } => "resync".to_owned(),
        SubscriptionEvent::Offline => "offline".to_owned(),
        other => format!("{other:?}"),
    }
}

async fn told_times(subscription: &mut Subscription, times: usize) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..times {
        all.push(told(subscription).await);
    }
    all
}

/// Rows as a reader of events has them, by `id`.
#[derive(Default)]
struct Copy(LiveRows);

impl Copy {
    /// Takes events until one is `last`, in short.
    async fn read_until(&mut self, subscription: &mut Subscription, last: &str) {
        loop {
            let event: Result<_, Error> = subscription.next().await.expect("it goes on");
            let event = event.unwrap();
            let word = in_short(&event);
            self.0.apply(event, kalam_link::core::time::Millis(0));
            if word == last {
                return;
            }
        }
    }

    fn values(&self) -> BTreeMap<String, String> {
        self.0
            .rows()
            .map(|(_, row)| {
                let cell = |name| server::text(&row.get(name).unwrap());
                (cell("id"), cell("value"))
            })
            .collect()
    }
}

fn values(expected: &[(&str, &str)]) -> BTreeMap<String, String> {
    expected
        .iter()
        .map(|(id, value)| ((*id).to_owned(), (*value).to_owned()))
        .collect()
}
