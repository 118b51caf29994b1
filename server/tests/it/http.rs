//! HTTP as clients meet it: every route of the contract, the exact form of its answers, and what is refused.

mod disconnect;
mod drain;
mod edge;
mod envelope;
mod limits;
mod repeat;
mod routes;
mod storage;
mod streams;
mod wire;

use serde_json::Value;

use crate::harness::{Answer, TestNode};

/// The keys of an object, sorted.
fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

/// The value of a metric, by its name with labels.
async fn metric(node: &TestNode, name: &str) -> f64 {
    let answer = Answer::of(node.get("/metrics")).await;
    let value = answer
        .text()
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name}: {}", answer.text()))
}

/// Waits until a metric fulfils a condition.
async fn wait_for_metric(node: &TestNode, name: &str, condition: impl Fn(f64) -> bool) {
    while !condition(metric(node, name).await) {
        tokio::task::yield_now().await;
    }
}
