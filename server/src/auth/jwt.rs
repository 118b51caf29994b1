//! Tokens: JSON Web Tokens signed by HMAC-SHA-256, and by nothing else whatever their header says.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use kalam_link_core::{ErrorCode, Role, UserId};
use kalam_model::{RefreshFamily, Timestamp, UserRecord};
use serde::{Deserialize, Serialize};

use crate::http::Failure;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenKind {
    Access,
    Refresh,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    #[serde(rename = "sub")]
    pub user: UserId,
    pub role: Role,
    /// Of the account: a token of an older version is void.
    #[serde(rename = "ver")]
    pub user_version: u32,
    #[serde(rename = "typ")]
    pub kind: TokenKind,
    /// Seconds since 1970.
    pub iat: u64,
    /// Seconds since 1970.
    pub exp: u64,
    /// Session and generation: `<family>.<generation>`.
    pub jti: String,
}

impl Claims {
    /// The session that the token belongs to.
    pub(crate) fn family(&self) -> &str {
        self.jti.split('.').next().unwrap_or_default()
    }

    /// Which refresh of the session made it.
    pub(crate) fn generation(&self) -> Option<u32> {
        self.jti
            .split_once('.')
            .and_then(|(_, generation)| generation.parse().ok())
    }

    pub(crate) fn check_time(&self, now: Timestamp) -> Result<(), Failure> {
        if self.exp > now.unix_ms() / 1_000 {
            Ok(())
        } else {
            Err(Failure::new(
                ErrorCode::TokenExpired,
                "the token has expired",
            ))
        }
    }
}

/// A signed token and its end.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub token: String,
    pub expires_at: Timestamp,
}

/// Signs and verifies.
pub(crate) struct Tokens {
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    access_seconds: u64,
    refresh_seconds: u64,
}

impl Tokens {
    pub(crate) fn new(secret: &[u8], access_seconds: u64, refresh_seconds: u64) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "sub"]);
        // `Claims::check_time` checks it, for tokens from the cache too.
        validation.validate_exp = false;
        Self {
            signing: EncodingKey::from_secret(secret),
            verifying: DecodingKey::from_secret(secret),
            validation,
            access_seconds,
            refresh_seconds,
        }
    }

    pub(crate) fn access_expiry(&self, now: Timestamp) -> Timestamp {
        after(now, self.access_seconds)
    }

    pub(crate) fn refresh_expiry(&self, now: Timestamp) -> Timestamp {
        after(now, self.refresh_seconds)
    }

    /// A token of this generation of the session.
    pub(crate) fn issue(
        &self,
        kind: TokenKind,
        user: &UserRecord,
        family: &RefreshFamily,
        now: Timestamp,
    ) -> Result<Issued, Failure> {
        let expires_at = match kind {
            TokenKind::Access => self.access_expiry(now),
            TokenKind::Refresh => family.expires_at,
        };
        let claims = Claims {
            user: user.id.clone(),
            role: user.role,
            user_version: user.version,
            kind,
            iat: now.unix_ms() / 1_000,
            exp: expires_at.unix_ms() / 1_000,
            jti: format!("{}.{}", family.id, family.generation),
        };
        let token =
            encode(&Header::new(Algorithm::HS256), &claims, &self.signing).map_err(|error| {
                tracing::error!(%error, "a token could not be signed");
                Failure::new(ErrorCode::InternalError, "internal error")
            })?;
        Ok(Issued { token, expires_at })
    }

    /// Checks the signature, not the time.
    pub(crate) fn verify(&self, token: &str) -> Result<Claims, Failure> {
        match decode::<Claims>(token, &self.verifying, &self.validation) {
            Ok(data) => Ok(data.claims),
            Err(error) => Err(match error.kind() {
                ErrorKind::InvalidSignature => Failure::new(
                    ErrorCode::InvalidSignature,
                    "the token was not signed by this server",
                ),
                _ => Failure::new(ErrorCode::InvalidCredentials, "the token is malformed"),
            }),
        }
    }
}

/// Whole seconds, as tokens count them: what a client is told is what the token says.
fn after(now: Timestamp, seconds: u64) -> Timestamp {
    let end_s = (now.unix_ms() / 1_000).saturating_add(seconds);
    Timestamp::from_unix_ms(end_s.min(SECONDS_MAX) * 1_000)
}

/// The year 9999: later times have no RFC 3339 form.
const SECONDS_MAX: u64 = 253_402_300_799;

#[cfg(test)]
mod tests;
