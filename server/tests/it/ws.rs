//! The WebSocket as its clients meet it: frames, messages, old clients, hostile peers, and who sees what.

mod chaos;
mod client;
mod cost;
mod frames;
mod hostile;
mod isolation;
mod msgpack;
mod old_clients;
mod protocol;
mod proxy;
mod raw;
mod restarts;
mod view;

use crate::harness::{Answer, TestNode};

/// A server with the namespace `app` and what the statements make.
async fn prepared(statements: &[&str]) -> TestNode {
    prepared_with(&[], statements).await
}

async fn prepared_with(settings: &[(&str, &str)], statements: &[&str]) -> TestNode {
    let node = TestNode::start_with(settings).await;
    node.sql_ok("root", "CREATE NAMESPACE app").await;
    for sql in statements {
        node.sql_ok("root", sql).await;
    }
    node
}

/// Waits until a metric fulfils a condition.
async fn wait_for_metric(node: &TestNode, name: &str, condition: impl Fn(f64) -> bool) {
    loop {
        let answer = Answer::of(node.get("/metrics")).await;
        let value = answer
            .text()
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        let value: f64 = value.unwrap_or_else(|| panic!("no {name}: {}", answer.text()));
        if condition(value) {
            return;
        }
        tokio::task::yield_now().await;
    }
}
