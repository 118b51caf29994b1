//! Sessions: login, refresh and logout.

use std::sync::Arc;

use kalam_link_core::ErrorCode;
use kalam_model::{RefreshFamily, Timestamp, UserRecord};

use super::jwt::{Issued, TokenKind};
use super::{Auth, failure_of, session_ended};
use crate::http::Failure;

/// What a login or a refresh gives.
pub(crate) struct Session {
    pub user: Arc<UserRecord>,
    pub access: Issued,
    pub refresh: Issued,
}

impl Auth {
    pub(crate) async fn login(&self, name: &str, password: &str) -> Result<Session, Failure> {
        let user = self.user_of_password(name, password).await?;
        let now = Timestamp::now();
        let expires_at = self.tokens.refresh_expiry(now);
        let family = self
            .engine
            .users()
            .start_refresh(&user, expires_at)
            .await
            .map_err(failure_of)?;
        self.session(user, &family, now)
    }

    /// Trades a refresh token for new tokens. One that was traded before ends its session.
    pub(crate) async fn refresh(&self, token: &str) -> Result<Session, Failure> {
        let claims = self.claims(token)?;
        let (TokenKind::Refresh, Some(generation)) = (claims.kind, claims.generation()) else {
            return Err(Failure::new(
                ErrorCode::InvalidCredentials,
                "this is not a refresh token",
            ));
        };
        self.user_of(&claims)?;
        let now = Timestamp::now();
        let expires_at = self.tokens.refresh_expiry(now);
        let rotated = self
            .engine
            .users()
            .rotate_refresh(claims.family(), generation, now, expires_at)
            .await;
        let (user, family) = rotated.map_err(|error| {
            if matches!(error, kalam_engine::Error::InvalidRefreshToken) {
                self.end(claims.family());
            }
            failure_of(error)
        })?;
        if user.version != claims.user_version {
            return Err(session_ended());
        }
        self.session(user, &family, now)
    }

    /// Ends the session of an access or refresh token.
    pub(crate) async fn logout(&self, token: &str) -> Result<(), Failure> {
        let claims = self.claims(token)?;
        self.user_of(&claims)?;
        self.engine
            .users()
            .revoke_refresh(claims.family())
            .await
            .map_err(failure_of)?;
        self.end(claims.family());
        Ok(())
    }

    fn session(
        &self,
        user: Arc<UserRecord>,
        family: &RefreshFamily,
        now: Timestamp,
    ) -> Result<Session, Failure> {
        let access = self.tokens.issue(TokenKind::Access, &user, family, now)?;
        let refresh = self.tokens.issue(TokenKind::Refresh, &user, family, now)?;
        Ok(Session {
            user,
            access,
            refresh,
        })
    }
}
