//! Repeated wrong passwords lock a name for a while, whether it exists or not.

use serde_json::json;

use super::{log_in, log_in_with, session, sql_with};
use crate::harness::{Answer, TestNode, USER_PASSWORD};

const FAILURES_MAX: usize = 5;

fn check_locked(answer: &Answer) {
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=900).contains(&seconds), "{seconds}");
    assert_eq!(answer.status, 429, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_passwords_lock_a_name() {
    let node = TestNode::start().await;
    node.create_user("alice", "user").await;
    let (access, _) = session(&node, "alice").await;
    let basic = async |password: &str| {
        let request = node.post("/v1/api/sql").basic_auth("alice", Some(password));
        Answer::of(request.json(&json!({"sql": "SELECT 1"}))).await
    };
    for _ in 1..FAILURES_MAX {
        assert_eq!(
            log_in_with(&node, "alice", "wrong-password").await.status,
            401
        );
    }
    assert_eq!(
        log_in(&node, "alice").await.status,
        200,
        "a success makes failures forgotten"
    );
    for _ in 0..FAILURES_MAX {
        assert_eq!(
            basic("wrong-password").await.refusal(),
            (401, "INVALID_CREDENTIALS".to_owned())
        );
    }
    for password in ["wrong-password", USER_PASSWORD] {
        let locked = log_in_with(&node, "alice", password).await;
        check_locked(&locked);
        assert_eq!(locked.json()["error"], "account_locked");
        let locked = basic(password).await;
        check_locked(&locked);
        assert_eq!(locked.code(), "RATE_LIMIT_EXCEEDED");
    }
    assert_eq!(
        sql_with(&node, &access).await.status,
        200,
        "who is in stays in"
    );
    assert_eq!(
        log_in(&node, "root").await.status,
        200,
        "others are not concerned"
    );
    node.sql_ok(
        "root",
        &format!("ALTER USER 'alice' SET PASSWORD '{USER_PASSWORD}'"),
    )
    .await;
    assert_eq!(
        log_in(&node, "alice").await.status,
        200,
        "a new password unlocks"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_does_not_exist_is_locked_too() {
    let node = TestNode::start().await;
    for _ in 0..FAILURES_MAX {
        assert_eq!(
            log_in_with(&node, "nobody", "wrong-password").await.status,
            401
        );
    }
    let locked = log_in_with(&node, "nobody", "wrong-password").await;
    check_locked(&locked);
    assert_eq!(locked.json()["error"], "account_locked");
    node.stop().await;
}
