//! Accounts: who exists, who may sign in, and the refresh tokens of those who have.
//!
//! Records are read from the database when they are asked for and cached; nothing here grows with the number of users.
//! Access tokens and their signatures belong to the server.

mod lockout;
mod password;
mod session;

use std::sync::Arc;

use kalam_model::{
    Applied, Authentication, Command, GroupId, MetaCommand, Rejection, Role, Timestamp, UserId,
    UserRecord,
};
use kalam_store::{Store, meta};

pub use lockout::LoginState;

use crate::ddl::{done, unexpected};
use crate::error::Error;
use crate::propose::{LocalProposer, Proposer};
use crate::published::Published;
use lockout::Lockout;
use password::Passwords;

/// The account that the first start makes.
pub const ROOT: &str = "root";

/// Tries of a change to an account when others change it at the same time.
const CHANGE_TRIES_MAX: u32 = 8;

/// Users that one page of [`Users::page`] reads for [`Users::all`].
const PAGE_USERS: usize = 1_000;

/// How a new account signs in. Its `Debug` form shows no password.
#[derive(Clone)]
pub enum Credential {
    Password(String),
    /// Identity of an external provider, as JSON.
    OAuth(Option<String>),
    Internal,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(…)",
            Self::OAuth(_) => "OAuth(…)",
            Self::Internal => "Internal",
        })
    }
}

/// An account to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    pub id: UserId,
    pub role: Role,
    pub email: Option<String>,
    pub credential: Credential,
}

/// What ALTER USER changes. Its `Debug` form shows no password.
#[derive(Clone)]
pub enum UserChange {
    Password(String),
    Role(Role),
    Email(Option<String>),
}

impl std::fmt::Debug for UserChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password(_) => f.write_str("Password(…)"),
            Self::Role(role) => write!(f, "Role({role})"),
            Self::Email(_) => f.write_str("Email(…)"),
        }
    }
}

/// The accounts of the server.
pub struct Users {
    store: Store,
    proposer: Arc<LocalProposer>,
    published: Arc<Published>,
    passwords: Passwords,
    lockout: Lockout,
}

impl Users {
    pub(crate) fn new(
        store: Store,
        proposer: Arc<LocalProposer>,
        published: Arc<Published>,
    ) -> Result<Self, Error> {
        Ok(Self {
            store,
            proposer,
            published,
            passwords: Passwords::new()?,
            lockout: Lockout::default(),
        })
    }

    /// The account, deleted ones included. From memory if it was asked for lately.
    pub fn get(&self, id: &UserId) -> Result<Option<Arc<UserRecord>>, Error> {
        self.published
            .users
            .get_or_load(id, || Ok(meta::USERS.get(&self.store.snapshot(), id)?))
    }

    /// The account, unless it does not exist or is deleted.
    pub fn active(&self, id: &UserId) -> Result<Option<Arc<UserRecord>>, Error> {
        Ok(self.get(id)?.filter(|user| user.deleted_at.is_none()))
    }

    /// Up to `limit` accounts after `after`, in order of name, deleted ones included.
    pub fn page(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<UserRecord>, Error> {
        Ok(meta::USERS.page(&self.store.snapshot(), after, limit)?)
    }

    /// Every account, in order of name. Reads all of them into memory.
    pub fn all(&self) -> Result<Vec<UserRecord>, Error> {
        let mut users = Vec::new();
        loop {
            let page = self.page(users.last().map(|user: &UserRecord| &user.id), PAGE_USERS)?;
            let last = page.len() < PAGE_USERS;
            users.extend(page);
            if last {
                return Ok(users);
            }
        }
    }

    /// Makes `root` if there is no account yet. Without a password it draws one and returns it, this once.
    pub async fn first_start(
        &self,
        password: Option<String>,
        now: Timestamp,
    ) -> Result<Option<String>, Error> {
        if !self.page(None, 1)?.is_empty() {
            return Ok(None);
        }
        let drawn = if password.is_none() {
            Some(password::draw()?)
        } else {
            None
        };
        let credential =
            Credential::Password(password.or_else(|| drawn.clone()).unwrap_or_default());
        let id = UserId::new(ROOT).expect("`root` is a sound name");
        self.create(
            NewUser {
                id,
                role: Role::System,
                email: None,
                credential,
            },
            now,
        )
        .await?;
        Ok(drawn)
    }

    /// Fails if the name is taken, also by a deleted account.
    pub async fn create(&self, user: NewUser, now: Timestamp) -> Result<Arc<UserRecord>, Error> {
        if let Some(existing) = self.get(&user.id)? {
            return Err(taken(&existing));
        }
        let authentication = match user.credential {
            Credential::Password(password) => Authentication::Password {
                hash: self.hash_password(&user.id, password).await?,
            },
            Credential::OAuth(identity) => Authentication::OAuth { identity },
            Credential::Internal => Authentication::Internal,
        };
        let record = UserRecord {
            id: user.id,
            role: user.role,
            email: user.email,
            authentication,
            storage_id: None,
            version: 1,
            revision: 1,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        match self
            .meta(MetaCommand::CreateUser {
                user: record.clone(),
            })
            .await?
        {
            Applied::Rejected(Rejection::Exists { name }) => {
                Err(Error::Exists { kind: "user", name })
            }
            other => done(other).map(|()| Arc::new(record)),
        }
    }

    pub async fn alter(
        &self,
        id: &UserId,
        change: UserChange,
        now: Timestamp,
    ) -> Result<Arc<UserRecord>, Error> {
        if self.active(id)?.is_none() {
            return Err(Error::UserNotFound(id.clone()));
        }
        match change {
            UserChange::Password(password) => {
                let hash = self.hash_password(id, password).await?;
                let record = self
                    .update(id, |user| {
                        require_active(user)?;
                        user.authentication = Authentication::Password { hash: hash.clone() };
                        user.version += 1;
                        user.updated_at = now;
                        Ok(())
                    })
                    .await?;
                self.lockout.forget(id);
                Ok(record)
            }
            UserChange::Role(role) => {
                self.update(id, |user| {
                    require_active(user)?;
                    if user.id.as_str() == ROOT && role != Role::System {
                        return Err(Error::RootRequired);
                    }
                    user.version += u32::from(user.role != role);
                    user.role = role;
                    user.updated_at = now;
                    Ok(())
                })
                .await
            }
            UserChange::Email(email) => {
                self.update(id, |user| {
                    require_active(user)?;
                    user.email.clone_from(&email);
                    user.updated_at = now;
                    Ok(())
                })
                .await
            }
        }
    }

    /// Soft: the account cannot sign in, its tokens end, its rows and its name stay.
    pub async fn drop(&self, id: &UserId, now: Timestamp) -> Result<(), Error> {
        self.update(id, |user| {
            require_active(user)?;
            if user.id.as_str() == ROOT {
                return Err(Error::RootRequired);
            }
            user.version += 1;
            user.deleted_at = Some(now);
            user.updated_at = now;
            Ok(())
        })
        .await
        .map(drop)
    }

    /// Undoes [`drop`](Self::drop); the old password holds again, old tokens do not.
    pub async fn restore(&self, id: &UserId, now: Timestamp) -> Result<Arc<UserRecord>, Error> {
        self.update(id, |user| {
            if user.deleted_at.take().is_none() {
                return Err(Error::UserNotDeleted(user.id.clone()));
            }
            user.version += 1;
            user.updated_at = now;
            Ok(())
        })
        .await
    }

    /// Signs in by password. Takes the time of one password hash also for unknown names. Repeated failures lock the name
    /// for a while, known or not.
    pub async fn verify_password(
        &self,
        id: &UserId,
        password: &str,
        now: Timestamp,
    ) -> Result<Arc<UserRecord>, Error> {
        self.lockout.check(id, now)?;
        let user = self.active(id)?;
        let hash = user.as_ref().and_then(|user| match &user.authentication {
            Authentication::Password { hash } => Some(hash.clone()),
            Authentication::OAuth { .. } | Authentication::Internal => None,
        });
        let matches = self.passwords.verify(id, hash, password).await?;
        // Guesses that were under way when others locked the name learn nothing.
        self.lockout.check(id, now)?;
        match (user, matches) {
            (Some(user), true) => {
                self.lockout.forget(id);
                Ok(user)
            }
            _ => {
                self.lockout.fail(id, now);
                Err(Error::InvalidCredentials)
            }
        }
    }

    /// Failed logins of this name since the last success, and until when it is locked.
    #[must_use]
    pub fn login_state(&self, id: &UserId, now: Timestamp) -> LoginState {
        self.lockout.state(id, now)
    }

    /// Checks a new password and gives its Argon2id hash in PHC form.
    pub async fn hash_password(&self, id: &UserId, password: String) -> Result<String, Error> {
        password::check(id, &password)?;
        self.passwords.hash(password).await
    }

    /// Reads, changes and writes an account; again if somebody else changed it meanwhile.
    async fn update(
        &self,
        id: &UserId,
        change: impl Fn(&mut UserRecord) -> Result<(), Error>,
    ) -> Result<Arc<UserRecord>, Error> {
        for _ in 0..CHANGE_TRIES_MAX {
            let stored = self
                .get(id)?
                .ok_or_else(|| Error::UserNotFound(id.clone()))?;
            let mut user = UserRecord::clone(&stored);
            change(&mut user)?;
            user.revision += 1;
            match self
                .meta(MetaCommand::PutUser { user: user.clone() })
                .await?
            {
                Applied::Done => return Ok(Arc::new(user)),
                Applied::Rejected(Rejection::Stale) => {}
                Applied::Rejected(Rejection::Missing { .. }) => {
                    return Err(Error::UserNotFound(id.clone()));
                }
                other => return Err(unexpected(other)),
            }
        }
        Err(Error::Conflict)
    }

    async fn meta(&self, command: MetaCommand) -> Result<Applied, Error> {
        self.proposer
            .propose(GroupId::Meta, Command::Meta(command))
            .await
    }
}

fn taken(existing: &UserRecord) -> Error {
    if existing.deleted_at.is_some() {
        Error::UserDeleted(existing.id.clone())
    } else {
        Error::Exists {
            kind: "user",
            name: existing.id.to_string(),
        }
    }
}

fn require_active(user: &UserRecord) -> Result<(), Error> {
    if user.deleted_at.is_some() {
        Err(Error::UserNotFound(user.id.clone()))
    } else {
        Ok(())
    }
}
