//! The Rust client on bad networks: whatever happens between it and the server, its rows end equal to the query's (I6),
//! and a reader that cannot follow costs the server nothing (I7).

mod cuts;
mod slow;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kalam_link::{Auth, BackoffOptions, Client, HeartbeatOptions, Live, LiveStatus, Row};
use serde_json::Value;

use super::proxy::Proxy;
use super::raw::GUARD;

/// A client that comes back soon, and does not take a slow link for a dead one.
fn client(proxy: &Proxy, token: &str) -> Client {
    Client::builder(proxy.url())
        .auth(Auth::jwt(token))
        .connect_timeout(GUARD)
        .backoff(BackoffOptions {
            delay_first_ms: 20,
            delay_max_ms: 500,
            attempts_max: None,
        })
        .heartbeat(patient())
        .build()
        .unwrap()
}

fn patient() -> HeartbeatOptions {
    let guard_ms = u64::try_from(GUARD.as_millis()).unwrap();
    HeartbeatOptions {
        idle_ms: guard_ms,
        answer_ms: guard_ms,
    }
}

/// Columns of rows, in their order.
fn cells(rows: &[Arc<Row>], columns: &[&str]) -> Vec<Value> {
    rows.iter()
        .map(|row| {
            let row = row.cells();
            columns.iter().map(|name| row[*name].clone()).collect()
        })
        .collect()
}

/// Waits until a live query is connected and has these rows, in this order.
async fn ends_as(live: &mut Live, columns: &[&str], selected: &Value, name: &str) {
    let selected = selected.as_array().map_or(&[][..], Vec::as_slice);
    loop {
        let is_live = live.status() == LiveStatus::Live;
        if is_live && cells(&live.rows(), columns) == selected {
            return;
        }
        match tokio::time::timeout(GUARD, live.next()).await {
            Ok(Some(Ok(_))) => {}
            ended => panic!(
                "{name}: {ended:?} in {:?} with\n{:?}\ninstead of\n{selected:?}",
                live.status(),
                cells(&live.rows(), columns)
            ),
        }
    }
}

/// Lets others run while a condition is not there.
async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(GUARD, waiting)
        .await
        .expect("what was waited for comes");
}
