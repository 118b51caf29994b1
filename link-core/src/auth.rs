//! Tokens on the client's side: when they end and when to fetch a new one. Nothing is verified here; the server does.

use base64::Engine as _;
use serde::Deserialize;

// Fetched this long before the old one ends, but at the latest when half of its life is over: the server says so 60 s
// before the end, and a clock may be wrong by as much.
const REFRESH_MARGIN_MS: u64 = 90_000;

/// A bearer token with what its payload says about itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    text: String,
    /// Seconds since 1970.
    issued_at: Option<u64>,
    expires_at: Option<u64>,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    iat: Option<f64>,
    #[serde(default)]
    exp: Option<f64>,
}

impl Token {
    /// Takes any text; one that is no JWT has no known end.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let claims = text
            .split('.')
            .nth(1)
            .and_then(|payload| {
                base64::engine::general_purpose::URL_SAFE_NO_PAD
                    .decode(payload.trim_end_matches('='))
                    .ok()
            })
            .and_then(|json| serde_json::from_slice::<Claims>(&json).ok());
        let (issued_at, expires_at) = claims.map_or((None, None), |claims| {
            (claims.iat.map(seconds), claims.exp.map(seconds))
        });
        Self {
            text,
            issued_at,
            expires_at,
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Milliseconds since 1970 at which the token ends.
    #[must_use]
    pub fn expires_at_ms(&self) -> Option<u64> {
        self.expires_at.map(|seconds| seconds.saturating_mul(1_000))
    }

    /// Milliseconds since 1970 from which on a new token should be fetched before this one is used.
    #[must_use]
    pub fn refresh_at_ms(&self) -> Option<u64> {
        let expires_at_ms = self.expires_at_ms()?;
        let life_ms = self
            .issued_at
            .map(|issued_at| expires_at_ms.saturating_sub(issued_at.saturating_mul(1_000)));
        let margin_ms = life_ms.map_or(REFRESH_MARGIN_MS, |life_ms| {
            REFRESH_MARGIN_MS.min(life_ms / 2)
        });
        Some(expires_at_ms.saturating_sub(margin_ms))
    }

    /// Whether to fetch a new one before use. `unix_ms` is the time now.
    #[must_use]
    pub fn needs_refresh(&self, unix_ms: u64) -> bool {
        self.refresh_at_ms()
            .is_some_and(|refresh_at_ms| refresh_at_ms <= unix_ms)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and a token of such a time is over or without end"
)]
fn seconds(claim: f64) -> u64 {
    claim as u64
}

impl std::fmt::Debug for Token {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> Token {
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload);
        Token::new(format!("e30.{payload}.c2ln"))
    }

    #[test]
    fn the_end_is_read_without_verification() {
        let token = token(r#"{"sub":"alice","iat":1000,"exp":4600}"#);
        assert_eq!(token.expires_at_ms(), Some(4_600_000));
        assert!(!token.needs_refresh(4_509_999));
        assert!(token.needs_refresh(4_510_000));
    }

    #[test]
    fn a_short_lived_token_is_used_for_half_of_its_life() {
        let token = token(r#"{"iat":1000,"exp":1060}"#);
        assert_eq!(token.refresh_at_ms(), Some(1_030_000));
    }

    #[test]
    fn what_is_no_jwt_never_needs_a_refresh() {
        for text in ["", "abc", "a.b.c", "a.e30.c"] {
            assert!(!Token::new(text).needs_refresh(u64::MAX), "{text}");
        }
        assert!(!token(r#"{"exp":"soon"}"#).needs_refresh(u64::MAX));
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert!(!format!("{:?}", Token::new("secret")).contains("secret"));
    }
}
