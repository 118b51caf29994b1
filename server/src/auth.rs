//! Who sends a request: tokens and passwords to a [`Caller`].
//!
//! Accounts, password hashes, lockout and refresh families are the engine's; signatures and what a token says are here.
//! Every check of a token looks at the account again (in memory), so a changed password or role, a dropped account and
//! a logout take effect at once.

pub(crate) mod extract;
pub(crate) mod jwt;
mod login;
mod proof;
pub(crate) mod rate;

use std::collections::HashMap;
use std::sync::Arc;

use kalam_engine::Engine;
use kalam_link_core::ErrorCode;
use kalam_model::{Caller, Timestamp, UserId, UserRecord};
use kalam_store::meta;
use parking_lot::RwLock;
use quick_cache::sync::Cache;

use crate::http::Failure;
use extract::Authorization;
use jwt::{Claims, TokenKind, Tokens};

pub(crate) use login::Session;
pub(crate) use proof::Proof;

/// Tokens whose signature was checked and that need no second check. About 400 bytes each.
const VERIFIED_MAX: usize = 10_000;

/// Accounts, tokens and sessions, as requests meet them.
pub(crate) struct Auth {
    engine: Arc<Engine>,
    tokens: Tokens,
    verified: Cache<Box<str>, Arc<Claims>>,
    /// Sessions that ended while access tokens of theirs may be in `verified`, and when the last of these expires.
    /// What is older than this process is found in the database, because its tokens are verified anew.
    ended: RwLock<HashMap<String, Timestamp>>,
}

impl Auth {
    pub(crate) fn new(engine: Arc<Engine>, tokens: Tokens) -> Self {
        Self {
            engine,
            tokens,
            verified: Cache::new(VERIFIED_MAX),
            ended: RwLock::new(HashMap::new()),
        }
    }

    /// The caller of a statement: by access token, or by user name and password.
    pub(crate) async fn caller(
        &self,
        authorization: Option<Authorization<'_>>,
    ) -> Result<Caller, Failure> {
        match authorization {
            Some(Authorization::Bearer(token)) => self.caller_of_token(token),
            Some(Authorization::Basic { user, password }) => {
                let user = self.user_of_password(&user, &password).await?;
                Ok(Caller::new(user.id.clone(), user.role))
            }
            Some(Authorization::Malformed) => Err(Failure::new(
                ErrorCode::InvalidCredentials,
                "the Authorization header is neither `Bearer <token>` nor `Basic <base64>`",
            )),
            None => Err(Failure::new(
                ErrorCode::MissingAuthorization,
                "missing Authorization header: `Bearer <token>` or `Basic <base64>`",
            )),
        }
    }

    /// The caller that an access token stands for.
    pub(crate) fn caller_of_token(&self, token: &str) -> Result<Caller, Failure> {
        let user = self.user_of_token(token)?;
        Ok(Caller::new(user.id.clone(), user.role))
    }

    /// The account that an access token stands for.
    pub(crate) fn user_of_token(&self, token: &str) -> Result<Arc<UserRecord>, Failure> {
        self.access(token).map(|(user, _)| user)
    }

    /// The account that an access token stands for, and what the token says.
    fn access(&self, token: &str) -> Result<(Arc<UserRecord>, Arc<Claims>), Failure> {
        let claims = self.claims(token)?;
        if claims.kind != TokenKind::Access {
            return Err(Failure::new(
                ErrorCode::InvalidCredentials,
                "this is not an access token",
            ));
        }
        Ok((self.user_of(&claims)?, claims))
    }

    /// The account behind claims that are genuine, if they still hold.
    fn user_of(&self, claims: &Claims) -> Result<Arc<UserRecord>, Failure> {
        if self.ended.read().contains_key(claims.family()) {
            return Err(session_ended());
        }
        let user = self
            .engine
            .users()
            .active(&claims.user)
            .map_err(failure_of)?;
        user.filter(|user| user.version == claims.user_version)
            .ok_or_else(session_ended)
    }

    /// What a token says, if it is genuine, in time, and of a session that was not ended before this process began.
    fn claims(&self, token: &str) -> Result<Arc<Claims>, Failure> {
        let now = Timestamp::now();
        if let Some(claims) = self.verified.get(token) {
            claims.check_time(now)?;
            return Ok(claims);
        }
        let claims = Arc::new(self.tokens.verify(token)?);
        claims.check_time(now)?;
        let family = meta::REFRESH_FAMILIES
            .get(&self.engine.snapshot(), claims.family())
            .map_err(|error| failure_of(error.into()))?
            .filter(|family| !family.revoked);
        if family.is_none() {
            return Err(session_ended());
        }
        if claims.kind == TokenKind::Access {
            self.verified.insert(Box::from(token), Arc::clone(&claims));
        }
        Ok(claims)
    }

    /// Access tokens of the session are void from now on.
    fn end(&self, family: &str) {
        let until = self.tokens.access_expiry(Timestamp::now());
        self.ended.write().insert(family.to_owned(), until);
    }

    /// Forgets what no token can refer to any more.
    pub(crate) fn tidy(&self) {
        let now = Timestamp::now();
        self.ended.write().retain(|_, until| *until >= now);
        self.verified
            .retain(|_, claims| claims.check_time(now).is_ok());
    }

    async fn user_of_password(
        &self,
        name: &str,
        password: &str,
    ) -> Result<Arc<UserRecord>, Failure> {
        let id =
            UserId::new(name).ok_or_else(|| failure_of(kalam_engine::Error::InvalidCredentials))?;
        self.engine
            .users()
            .verify_password(&id, password, Timestamp::now())
            .await
            .map_err(failure_of)
    }
}

fn session_ended() -> Failure {
    Failure::new(
        ErrorCode::InvalidCredentials,
        "the session has ended: log in again",
    )
}

/// An error of the engine as the client of an auth route gets it.
pub(crate) fn failure_of(error: kalam_engine::Error) -> Failure {
    let code = error.code();
    if matches!(code, ErrorCode::InternalError | ErrorCode::DataCorrupt) {
        tracing::error!(%error, "authentication failed inside the server");
        return Failure::new(code, "internal error");
    }
    let failure = Failure::new(code, error.to_string());
    let failure = match error.retry_after_s() {
        Some(seconds) => failure.with_retry_after(seconds),
        None => failure,
    };
    match error {
        kalam_engine::Error::AccountLocked { .. } => failure.with_word("account_locked"),
        _ => failure,
    }
}
