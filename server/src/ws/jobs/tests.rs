use std::future::poll_fn;

use super::*;

async fn next(jobs: &mut Jobs) -> Done {
    poll_fn(|cx| jobs.poll_done(cx)).await
}

fn answer() -> Frame {
    Frame::Text(String::new())
}

#[tokio::test]
async fn nothing_is_kept_when_everything_is_done() {
    let mut jobs = Jobs::default();
    for _ in 0..QUERIES_MAX {
        assert!(jobs.takes_more());
        jobs.query(async { answer() });
    }
    assert!(!jobs.takes_more());
    for _ in 0..QUERIES_MAX {
        assert!(jobs.has_queries());
        assert!(matches!(next(&mut jobs).await, Done::Answered(_)));
        assert!(jobs.takes_more());
    }
    assert!(!jobs.has_queries());
    assert!(jobs.0.is_none());
}

#[tokio::test]
async fn no_message_is_taken_during_a_login() {
    let mut jobs = Jobs::default();
    jobs.login(std::future::pending());
    jobs.query(async { answer() });
    assert!(matches!(next(&mut jobs).await, Done::Answered(_)));
    assert!(!jobs.takes_more());
}

#[tokio::test]
async fn a_job_that_panics_is_told() {
    let mut jobs = Jobs::default();
    jobs.query(async { panic!("as this test wants") });
    assert!(matches!(next(&mut jobs).await, Done::Panicked));
}

#[tokio::test]
async fn jobs_end_with_their_socket() {
    let (alive, gone) = tokio::sync::oneshot::channel::<()>();
    let mut jobs = Jobs::default();
    jobs.query(async {
        let _alive = alive;
        std::future::pending().await
    });
    drop(jobs);
    assert!(gone.await.is_err());
}
