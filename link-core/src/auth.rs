//! Tokens on the client's side: when they end and when to fetch a new one. Nothing is verified here; the server does.

use crate::json::Reader;

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

impl Token {
    /// Takes any text; one that is no JWT has no known end.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let payload = text.split('.').nth(1).and_then(decode_base64url);
        let (issued_at, expires_at) = payload.map_or((None, None), |json| times(&json));
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

    /// Milliseconds from its issue to its end.
    #[must_use]
    pub fn life_ms(&self) -> Option<u64> {
        let issued_at_ms = self.issued_at?.saturating_mul(1_000);
        Some(self.expires_at_ms()?.saturating_sub(issued_at_ms))
    }

    /// Milliseconds since 1970 from which on a new token should be fetched before this one is used.
    #[must_use]
    pub fn refresh_at_ms(&self) -> Option<u64> {
        let expires_at_ms = self.expires_at_ms()?;
        let margin_ms = self.life_ms().map_or(REFRESH_MARGIN_MS, |life_ms| {
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

/// `iat` and `exp` of a token's payload, in whole seconds.
fn times(payload: &str) -> (Option<u64>, Option<u64>) {
    let (mut issued_at, mut expires_at) = (None, None);
    // A payload that cannot be read says nothing, and what was read of it neither.
    let read = Reader::new(payload).object(&mut |name, value| {
        let number = value.raw()?;
        let whole = number.split(['.', 'e', 'E']).next();
        let seconds = whole
            .and_then(|whole| whole.parse().ok())
            .filter(|_| !number.contains(['e', 'E']));
        match name {
            "iat" => issued_at = seconds,
            "exp" => expires_at = seconds,
            _ => {}
        }
        Ok(())
    });
    match read {
        Ok(()) => (issued_at, expires_at),
        Err(_) => (None, None),
    }
}

/// Text in the alphabet of RFC 4648, section 5, with or without padding.
fn decode_base64url(encoded: &str) -> Option<String> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for symbol in encoded.trim_end_matches('=').bytes() {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    String::from_utf8(bytes).ok()
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
    use base64::Engine as _;

    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

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
        for payload in [
            r#"{"exp":"soon"}"#,
            r#"{"exp":1e99}"#,
            r#"{"exp":-1}"#,
            r#"{"exp":1"#,
        ] {
            assert!(!token(payload).needs_refresh(u64::MAX), "{payload}");
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert!(!format!("{:?}", Token::new("secret")).contains("secret"));
    }
}
