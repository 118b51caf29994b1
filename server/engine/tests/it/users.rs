//! Accounts and refresh families, through the running engine.

use kalam_engine::{Credential, Engine, Error, NewUser, UserChange};
use kalam_model::{ErrorCode, RefreshFamily, Role, Timestamp, UserRecord};
use kalam_store::Store;

use crate::support::{at, engine, engine_on, user};

const PASSWORD: &str = "SecureKey123!";

async fn make(
    engine: &Engine,
    name: &str,
    password: &str,
) -> Result<std::sync::Arc<UserRecord>, Error> {
    let credential = Credential::Password(password.to_owned());
    let new = NewUser {
        id: user(name),
        role: Role::User,
        email: None,
        credential,
    };
    engine.users().create(new, at(0)).await
}

async fn sign_in(engine: &Engine, name: &str, password: &str) -> Result<Role, Error> {
    engine
        .users()
        .verify_password(&user(name), password, at(0))
        .await
        .map(|user| user.role)
}

#[tokio::test]
async fn the_first_start_makes_root_once() {
    let store = Store::open_in_memory().unwrap();
    let engine = engine_on(store.clone());
    let drawn = engine
        .users()
        .first_start(None, at(0))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        sign_in(&engine, "root", &drawn).await.unwrap(),
        Role::System
    );
    assert_eq!(engine.users().first_start(None, at(0)).await.unwrap(), None);
    drop(engine);
    let engine = engine_on(store);
    assert_eq!(
        engine
            .users()
            .first_start(Some("another one".to_owned()), at(0))
            .await
            .unwrap(),
        None
    );
    assert!(matches!(
        sign_in(&engine, "root", "another one").await,
        Err(Error::InvalidCredentials)
    ));
    assert!(matches!(
        engine.users().drop(&user("root"), at(1)).await,
        Err(Error::RootRequired)
    ));
    let demoted = engine
        .users()
        .alter(&user("root"), UserChange::Role(Role::User), at(1))
        .await;
    assert!(matches!(demoted, Err(Error::RootRequired)));
}

#[tokio::test]
async fn accounts_are_made_changed_dropped_and_restored() {
    let engine = engine();
    let users = engine.users();
    assert!(users.get(&user("alice")).unwrap().is_none());
    make(&engine, "alice", PASSWORD).await.unwrap();
    assert_eq!(
        make(&engine, "alice", PASSWORD).await.unwrap_err().code(),
        ErrorCode::AlreadyExists
    );
    assert!(matches!(
        make(&engine, "bob", "short").await,
        Err(Error::WeakPassword { .. })
    ));
    let id = user("alice");

    users
        .alter(&id, UserChange::Email(Some("a@b.c".to_owned())), at(1))
        .await
        .unwrap();
    assert_eq!(users.get(&id).unwrap().unwrap().version, 1);
    users
        .alter(&id, UserChange::Role(Role::Dba), at(2))
        .await
        .unwrap();
    users
        .alter(
            &id,
            UserChange::Password("AnotherKey456!".to_owned()),
            at(3),
        )
        .await
        .unwrap();
    let record = users.get(&id).unwrap().unwrap();
    assert_eq!(
        (record.version, record.role, record.email.as_deref()),
        (3, Role::Dba, Some("a@b.c"))
    );
    assert!(matches!(
        sign_in(&engine, "alice", PASSWORD).await,
        Err(Error::InvalidCredentials)
    ));
    assert_eq!(
        sign_in(&engine, "alice", "AnotherKey456!").await.unwrap(),
        Role::Dba
    );

    users.drop(&id, at(4)).await.unwrap();
    assert!(users.active(&id).unwrap().is_none());
    assert!(matches!(
        users.drop(&id, at(4)).await,
        Err(Error::UserNotFound(_))
    ));
    assert!(matches!(
        sign_in(&engine, "alice", "AnotherKey456!").await,
        Err(Error::InvalidCredentials)
    ));
    assert!(matches!(
        make(&engine, "alice", PASSWORD).await,
        Err(Error::UserDeleted(_))
    ));
    users.restore(&id, at(5)).await.unwrap();
    assert_eq!(
        sign_in(&engine, "alice", "AnotherKey456!").await.unwrap(),
        Role::Dba
    );
    assert!(matches!(
        users.restore(&id, at(5)).await,
        Err(Error::UserNotDeleted(_))
    ));
    assert!(matches!(
        users.restore(&user("nobody"), at(5)).await,
        Err(Error::UserNotFound(_))
    ));
}

#[tokio::test]
async fn users_are_listed_in_pages() {
    let engine = engine();
    for n in 0..5 {
        let new = NewUser {
            id: user(&format!("u{n}")),
            role: Role::User,
            email: None,
            credential: Credential::Internal,
        };
        engine.users().create(new, at(0)).await.unwrap();
    }
    let names = |page: Vec<UserRecord>| {
        page.into_iter()
            .map(|user| user.id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(engine.users().page(None, 2).unwrap()), ["u0", "u1"]);
    assert_eq!(
        names(engine.users().page(Some(&user("u1")), 9).unwrap()),
        ["u2", "u3", "u4"]
    );
    assert_eq!(engine.users().all().unwrap().len(), 5);
    assert!(matches!(
        sign_in(&engine, "u0", "whatever it is").await,
        Err(Error::InvalidCredentials)
    ));
}

#[tokio::test]
async fn repeated_failures_lock_a_name_whether_it_exists_or_not() {
    let engine = engine();
    make(&engine, "alice", PASSWORD).await.unwrap();
    for name in ["alice", "nobody"] {
        for _ in 0..5 {
            assert!(matches!(
                sign_in(&engine, name, "wrong password").await,
                Err(Error::InvalidCredentials)
            ));
        }
        let locked = sign_in(&engine, name, PASSWORD).await.unwrap_err();
        assert_eq!(
            (locked.code(), locked.retry_after_s()),
            (ErrorCode::RateLimitExceeded, Some(900))
        );
        let state = engine.users().login_state(&user(name), at(0));
        assert_eq!(
            (state.failed_attempts, state.locked_until),
            (5, Some(at(900_000)))
        );
    }
    engine
        .users()
        .verify_password(&user("alice"), PASSWORD, at(900_000))
        .await
        .unwrap();
    assert_eq!(
        engine
            .users()
            .login_state(&user("alice"), at(900_000))
            .failed_attempts,
        0
    );
}

async fn rotate(engine: &Engine, family: &RefreshFamily, from: u32) -> Result<u32, Error> {
    let rotated = engine
        .users()
        .rotate_refresh(&family.id, from, at(1), at(9_000))
        .await;
    rotated.map(|(_, family)| family.generation)
}

#[tokio::test]
async fn a_refresh_token_used_twice_ends_its_family() {
    let engine = engine();
    let alice = make(&engine, "alice", PASSWORD).await.unwrap();
    let family = engine
        .users()
        .start_refresh(&alice, at(5_000))
        .await
        .unwrap();
    let other = engine
        .users()
        .start_refresh(&alice, at(5_000))
        .await
        .unwrap();
    assert_eq!(rotate(&engine, &family, 0).await.unwrap(), 1);
    assert_eq!(rotate(&engine, &family, 1).await.unwrap(), 2);
    for generation in [1, 2, 3] {
        assert!(matches!(
            rotate(&engine, &family, generation).await,
            Err(Error::InvalidRefreshToken)
        ));
    }
    assert_eq!(rotate(&engine, &other, 0).await.unwrap(), 1);
}

#[tokio::test]
async fn refresh_ends_with_logout_time_and_changes_of_the_account() {
    let engine = engine();
    let alice = make(&engine, "alice", PASSWORD).await.unwrap();
    let users = engine.users();
    let invalid = |result: Result<u32, Error>| matches!(result, Err(Error::InvalidRefreshToken));

    let family = users.start_refresh(&alice, at(5_000)).await.unwrap();
    users.revoke_refresh(&family.id).await.unwrap();
    users.revoke_refresh("unknown").await.unwrap();
    assert!(invalid(rotate(&engine, &family, 0).await));

    let family = users
        .start_refresh(&alice, Timestamp(at(1).0 - 1))
        .await
        .unwrap();
    assert!(invalid(rotate(&engine, &family, 0).await));

    let family = users.start_refresh(&alice, at(5_000)).await.unwrap();
    let email = users
        .alter(&user("alice"), UserChange::Email(None), at(1))
        .await
        .unwrap();
    assert_eq!(rotate(&engine, &family, 0).await.unwrap(), 1);
    let changed = users
        .alter(&user("alice"), UserChange::Role(Role::Service), at(1))
        .await
        .unwrap();
    assert_eq!(changed.version, email.version + 1);
    assert!(invalid(rotate(&engine, &family, 1).await));

    let family = users.start_refresh(&changed, at(5_000)).await.unwrap();
    users.drop(&user("alice"), at(2)).await.unwrap();
    assert!(invalid(rotate(&engine, &family, 0).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_refreshes_with_one_token_at_most_one_succeeds() {
    let engine = engine();
    let alice = make(&engine, "alice", PASSWORD).await.unwrap();
    let family = engine
        .users()
        .start_refresh(&alice, at(5_000))
        .await
        .unwrap();
    let (one, other) = tokio::join!(rotate(&engine, &family, 0), rotate(&engine, &family, 0));
    assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1);
    assert!(matches!(
        rotate(&engine, &family, 1).await,
        Err(Error::InvalidRefreshToken)
    ));
}

#[tokio::test]
async fn concurrent_changes_of_an_account_are_all_kept() {
    let engine = engine();
    make(&engine, "alice", PASSWORD).await.unwrap();
    let id = user("alice");
    let users = engine.users();
    let (one, two, three) = tokio::join!(
        users.alter(&id, UserChange::Role(Role::Service), at(1)),
        users.alter(
            &id,
            UserChange::Password("AnotherKey456!".to_owned()),
            at(2)
        ),
        users.alter(&id, UserChange::Role(Role::Dba), at(3)),
    );
    one.and(two).and(three).unwrap();
    assert_eq!(users.get(&id).unwrap().unwrap().version, 4);
}
