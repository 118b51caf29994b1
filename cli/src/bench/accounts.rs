//! Accounts by the thousand. Passwords are slow to hash by design, so these have none: the program knows the secret that
//! the server signs tokens with, and signs them itself, as sessions of root's login.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value as Json, json};

use crate::bench::Failure;
use crate::bench::client::Client;
use crate::bench::process::JWT_SECRET;

/// Accounts that one request makes.
const USERS_PER_REQUEST: usize = 100;

/// Signs tokens.
pub struct Accounts {
    /// Claims of root's token.
    claims: Json,
    key: EncodingKey,
}

impl Accounts {
    /// With the session of this client.
    pub fn of(root: &Client) -> Result<Self, Failure> {
        let payload = root.authorization().split('.').nth(1);
        let payload = BASE64_URL_SAFE_NO_PAD.decode(payload.ok_or("not a token")?)?;
        Ok(Self {
            claims: serde_json::from_slice(&payload)?,
            key: EncodingKey::from_secret(JWT_SECRET.as_bytes()),
        })
    }

    /// Makes accounts and returns what each puts into `Authorization`.
    pub async fn create(&self, root: &mut Client, count: usize) -> Result<Vec<String>, Failure> {
        let names: Vec<String> = (0..count).map(|number| format!("user{number}")).collect();
        for names in names.chunks(USERS_PER_REQUEST) {
            let statements: Vec<String> = names
                .iter()
                .map(|name| format!("CREATE USER '{name}' INTERNAL ROLE user"))
                .collect();
            root.sql(&statements.join("; "), json!(null)).await?;
        }
        names.iter().map(|name| self.authorization(name)).collect()
    }

    fn authorization(&self, user: &str) -> Result<String, Failure> {
        let mut claims = self.claims.clone();
        claims["sub"] = user.into();
        claims["role"] = "user".into();
        // The version of an account that was never changed.
        claims["ver"] = 1.into();
        let token = encode(&Header::new(Algorithm::HS256), &claims, &self.key)?;
        Ok(format!("Bearer {token}"))
    }
}
