//! Who is at the other end of a connection that stays.

use kalam_engine::live::Identity;
use kalam_model::{Caller, Timestamp, UserId, UserRecord};
use kalam_store::meta;

use super::Auth;
use crate::http::Failure;

/// What a token or a password has proved.
pub(crate) struct Proof {
    pub identity: Identity,
    /// The session of the token, with which the proof ends; a password has none.
    pub session: Option<Box<str>>,
}

impl Auth {
    pub(crate) fn proof_of_token(&self, token: &str) -> Result<Proof, Failure> {
        let (user, claims) = self.access(token)?;
        let expires_at = Timestamp::from_unix_ms(claims.exp.saturating_mul(1_000));
        Ok(Proof {
            identity: identity(&user, Some(expires_at)),
            session: Some(Box::from(claims.family())),
        })
    }

    pub(crate) async fn proof_of_password(
        &self,
        name: &str,
        password: &str,
    ) -> Result<Proof, Failure> {
        let user = self.user_of_password(name, password).await?;
        Ok(Proof {
            identity: identity(&user, None),
            session: None,
        })
    }

    /// The account as it stands. None if it is gone or the session has ended, or when that cannot be found out.
    pub(crate) fn account(&self, user: &UserId, session: Option<&str>) -> Option<Identity> {
        let found = self.engine.users().active(user).and_then(|account| {
            let ended = match session {
                None => false,
                Some(session) => meta::REFRESH_FAMILIES
                    .get(&self.engine.snapshot(), session)?
                    .is_none_or(|family| family.revoked),
            };
            Ok(account.filter(|_| !ended))
        });
        match found {
            Ok(account) => account.map(|account| identity(&account, None)),
            Err(error) => {
                tracing::error!(%error, "an account could not be looked up");
                None
            }
        }
    }
}

fn identity(user: &UserRecord, expires_at: Option<Timestamp>) -> Identity {
    Identity {
        caller: Caller::new(user.id.clone(), user.role),
        user_version: user.version,
        expires_at,
    }
}
