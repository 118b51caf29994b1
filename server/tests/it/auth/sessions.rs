//! Sessions: refresh tokens are good for one use, and what ends a session ends all of its tokens.

use super::{assert_void, log_in, log_in_with, log_out, me, refresh, session, sql_with, tokens};
use crate::harness::{TestNode, USER_PASSWORD};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_gives_new_tokens() {
    let node = TestNode::start().await;
    let login = log_in(&node, "root").await;
    let (first_access, first_refresh) = tokens(&login);
    let answer = refresh(&node, &first_refresh).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let names = |answer: &crate::harness::Answer| {
        answer
            .json()
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&answer), names(&login), "as login answers");
    assert_eq!(answer.json()["user"], login.json()["user"]);
    let (second_access, second_refresh) = tokens(&answer);
    assert!(second_access != first_access && second_refresh != first_refresh);
    assert_eq!(sql_with(&node, &second_access).await.status, 200);
    let third = refresh(&node, &second_refresh).await;
    assert_eq!(third.status, 200, "{}", third.text());
    let access_token_as_refresh = refresh(&node, &second_access).await;
    assert_eq!(access_token_as_refresh.status, 401);
    assert_eq!(
        sql_with(&node, &tokens(&third).0).await.status,
        200,
        "which does not end the session"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_that_is_used_twice_ends_its_session() {
    let node = TestNode::start().await;
    let (other_access, other_refresh) = session(&node, "root").await;
    let (first_access, first_refresh) = session(&node, "root").await;
    let (second_access, second_refresh) = tokens(&refresh(&node, &first_refresh).await);
    let reused = refresh(&node, &first_refresh).await;
    assert_eq!(reused.status, 401, "{}", reused.text());
    let node = assert_all_void(
        node,
        [first_access, first_refresh, second_access, second_refresh],
    )
    .await;
    assert_eq!(
        sql_with(&node, &other_access).await.status,
        200,
        "other sessions of the account stay"
    );
    assert_eq!(refresh(&node, &other_refresh).await.status, 200);
    node.stop().await;
}

/// Before and after a restart.
async fn assert_all_void<const N: usize>(node: TestNode, tokens: [String; N]) -> TestNode {
    for token in &tokens {
        assert_void(&node, token).await;
    }
    let node = node.restart().await;
    for token in &tokens {
        assert_void(&node, token).await;
    }
    node
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_refreshes_at_the_same_time_one_is_a_reuse() {
    let node = TestNode::start().await;
    let (_, token) = session(&node, "root").await;
    let (one, two) = tokio::join!(refresh(&node, &token), refresh(&node, &token));
    let granted = [one, two]
        .into_iter()
        .filter(|answer| answer.status == 200)
        .collect::<Vec<_>>();
    assert!(granted.len() <= 1);
    for answer in &granted {
        let (access, token) = tokens(answer);
        assert_void(&node, &access).await;
        assert_void(&node, &token).await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logout_ends_the_session_for_good() {
    let node = TestNode::start().await;
    let (other, _) = session(&node, "root").await;
    let (access, refresh_token) = session(&node, "root").await;
    let (by_refresh_access, by_refresh) = session(&node, "root").await;
    assert_eq!(sql_with(&node, &access).await.status, 200);
    assert_eq!(log_out(&node, &access).await.status, 200);
    assert_eq!(log_out(&node, &by_refresh).await.status, 200);
    let node = assert_all_void(node, [access, refresh_token, by_refresh_access, by_refresh]).await;
    assert_eq!(
        sql_with(&node, &other).await.status,
        200,
        "other sessions stay, also over a restart"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_account_voids_its_tokens() {
    let node = TestNode::start().await;
    for (name, change) in [
        (
            "changed_password",
            "ALTER USER 'changed_password' SET PASSWORD 'another-password-of-tests'",
        ),
        (
            "changed_role",
            "ALTER USER 'changed_role' SET ROLE 'service'",
        ),
        ("dropped", "DROP USER 'dropped'"),
    ] {
        node.create_user(name, "user").await;
        let (access, refresh_token) = session(&node, name).await;
        assert_eq!(sql_with(&node, &access).await.status, 200, "{name}");
        node.sql_ok("root", change).await;
        assert_void(&node, &access).await;
        assert_void(&node, &refresh_token).await;
        assert_eq!(me(&node, &access).await.status, 401, "{name}");
    }
    assert_eq!(
        log_in_with(&node, "changed_password", USER_PASSWORD)
            .await
            .status,
        401
    );
    assert_eq!(
        log_in_with(&node, "changed_password", "another-password-of-tests")
            .await
            .status,
        200
    );
    assert_eq!(
        log_in(&node, "changed_role").await.json()["user"]["role"],
        "service"
    );
    assert_eq!(log_in(&node, "dropped").await.status, 401);
    node.stop().await;
}
