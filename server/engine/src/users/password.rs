//! Passwords: which are acceptable, and Argon2id off the server's threads, a bounded number at a time.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use kalam_model::UserId;
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use crate::error::Error;

const CHARS_MIN: usize = 8;

/// Longer ones add nothing but work.
const BYTES_MAX: usize = 1_024;

/// Hashes at a time: each takes 19 MB and a core.
const HASHES_AT_A_TIME: usize = 2;

/// Hashes that may wait for their turn.
const HASHES_WAITING_MAX: usize = 256;

/// Sign-ins that are remembered, for clients that send their password with every request.
const REMEMBERED: usize = 4_096;

/// Characters of a drawn password: about 5.9 bits each.
const DRAWN_CHARS: usize = 24;

/// The first entries of every published list, of at least eight characters.
const COMMON: [&str; 16] = [
    "password",
    "12345678",
    "123456789",
    "1234567890",
    "qwertyui",
    "qwertyuiop",
    "iloveyou",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "trustno1",
    "superman",
    "starwars",
    "computer",
    "password1",
];

/// Refuses passwords that are guessed at once.
pub(super) fn check(id: &UserId, password: &str) -> Result<(), Error> {
    let lower = password.to_lowercase();
    let mut characters = password.chars();
    let first = characters.next();
    let reason = if password.chars().count() < CHARS_MIN {
        "at least 8 characters"
    } else if password.len() > BYTES_MAX {
        "at most 1,024 bytes"
    } else if characters.all(|character| Some(character) == first) {
        "more than one character repeated"
    } else if lower == id.as_str().to_lowercase() {
        "not the user name"
    } else if COMMON.contains(&lower.as_str()) {
        "not one of the most common passwords"
    } else {
        return Ok(());
    };
    Err(Error::WeakPassword { reason })
}

/// A random password of letters and digits that are hard to confuse.
pub(super) fn draw() -> Result<String, Error> {
    const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    // Bytes from here on would make the first letters likelier.
    let fair = 256 - 256 % ALPHABET.len();
    let mut password = String::with_capacity(DRAWN_CHARS);
    while password.len() < DRAWN_CHARS {
        let mut random = [0_u8; 32];
        getrandom::fill(&mut random).map_err(|_| Error::Random)?;
        let letters = random
            .iter()
            .map(|byte| usize::from(*byte))
            .filter(|byte| *byte < fair);
        password.extend(
            letters
                .take(DRAWN_CHARS - password.len())
                .map(|byte| char::from(ALPHABET[byte % ALPHABET.len()])),
        );
    }
    Ok(password)
}

/// Hashes and verifies.
pub(super) struct Passwords {
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// Draws the digests below; new with each start.
    key: [u8; 32],
    /// For each name, a keyed digest of the hash and the password that matched it: a new password does not match.
    verified: Cache<UserId, [u8; 32]>,
    /// Hash of no password: an unknown name costs what a known one does.
    decoy: Arc<std::sync::OnceLock<String>>,
}

impl Passwords {
    pub(super) fn new() -> Result<Self, Error> {
        let mut key = [0_u8; 32];
        getrandom::fill(&mut key).map_err(|_| Error::Random)?;
        Ok(Self {
            turns: Arc::new(Semaphore::new(HASHES_AT_A_TIME)),
            waiting: Arc::new(Semaphore::new(HASHES_WAITING_MAX)),
            key,
            verified: Cache::new(REMEMBERED),
            decoy: Arc::default(),
        })
    }

    /// The PHC string of a password.
    pub(super) async fn hash(&self, password: String) -> Result<String, Error> {
        self.run(move || hash(&password)).await?
    }

    /// Whether the password belongs to the hash. Without a hash: no, after the same time.
    pub(super) async fn verify(
        &self,
        id: &UserId,
        hash: Option<String>,
        password: &str,
    ) -> Result<bool, Error> {
        if password.len() > BYTES_MAX {
            return Ok(false);
        }
        let digest = hash.as_deref().map(|hash| self.digest(hash, password));
        if let (Some(digest), Some(known)) = (digest, self.verified.get(id))
            && bool::from(digest.ct_eq(&known))
        {
            return Ok(true);
        }
        let (password, decoy) = (password.to_owned(), Arc::clone(&self.decoy));
        let matches = self
            .run(move || verify(hash.as_deref(), &decoy, &password))
            .await??;
        if let (true, Some(digest)) = (matches, digest) {
            self.verified.insert(id.clone(), digest);
        }
        Ok(matches)
    }

    fn digest(&self, hash: &str, password: &str) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.key);
        digest.update(hash.len().to_be_bytes());
        digest.update(hash);
        digest.update(password);
        digest.finalize().into()
    }

    /// Runs `work` on a blocking thread when it is its turn. The turn ends with the work, also if nobody waits for it.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let place = Arc::clone(&self.waiting)
            .try_acquire_owned()
            .map_err(|_| Error::TooManyLogins { retry_after_s: 1 })?;
        let turn = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(|_| Error::ShuttingDown)?;
        let task = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((turn, place));
            done
        });
        task.await.map_err(|error| Error::PasswordHash {
            reason: error.to_string(),
        })
    }
}

fn hash(password: &str) -> Result<String, Error> {
    let hash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| Error::PasswordHash {
            reason: error.to_string(),
        })?;
    Ok(hash.to_string())
}

fn verify(
    stored: Option<&str>,
    decoy: &std::sync::OnceLock<String>,
    password: &str,
) -> Result<bool, Error> {
    let Some(stored) = stored else {
        if let Some(decoy) = decoy.get() {
            let _ = matches(decoy, password)?;
        } else {
            // Making the decoy takes the time that checking it would have.
            let _ = decoy.set(hash("no account has this password")?);
        }
        return Ok(false);
    };
    matches(stored, password)
}

fn matches(stored: &str, password: &str) -> Result<bool, Error> {
    let parsed = PasswordHash::new(stored).map_err(|error| Error::PasswordHash {
        reason: error.to_string(),
    })?;
    Ok(Argon2::default()
        .verify_password(password.as_bytes(), &parsed)
        .is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_passwords_are_refused() {
        let alice = UserId::new("alice_in_chains").unwrap();
        for good in ["SecureKey123!", "correct horse", "ÄÖÜßäöüé"] {
            assert!(check(&alice, good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "short",
            "ÄÖÜ",
            "aaaaaaaaaa",
            "Alice_in_chains",
            "Password",
            "12345678",
            &"ab".repeat(600),
        ] {
            assert!(check(&alice, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn drawn_passwords_are_long_and_differ() {
        let (one, other) = (draw().unwrap(), draw().unwrap());
        assert_eq!(one.len(), DRAWN_CHARS);
        assert_ne!(one, other);
        assert!(check(&UserId::new("root").unwrap(), &one).is_ok());
    }

    #[tokio::test]
    async fn a_hash_accepts_its_password_only() {
        let passwords = Passwords::new().unwrap();
        let alice = UserId::new("alice").unwrap();
        let hash = passwords.hash("SecureKey123!".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        let verify = async |hash: Option<&String>, password| {
            passwords
                .verify(&alice, hash.cloned(), password)
                .await
                .unwrap()
        };
        for _ in 0..2 {
            assert!(verify(Some(&hash), "SecureKey123!").await);
            assert!(!verify(Some(&hash), "SecureKey123?").await);
            assert!(!verify(None, "SecureKey123!").await);
        }
        let newer = passwords.hash("SecureKey124!".to_owned()).await.unwrap();
        assert!(!verify(Some(&newer), "SecureKey123!").await);
    }
}
