//! Credentials: what the application gives, and the tokens that come of it.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use kalam_link_core::http::LoginResponse;
use kalam_link_core::message::Credentials;
use kalam_link_core::session::{CredentialsFailure, CredentialsReason};

use crate::error::Error;
use crate::http::Http;

/// Who the client is.
#[derive(Clone)]
pub struct Auth(Kind);

#[derive(Clone)]
enum Kind {
    None,
    Basic {
        user: String,
        password: String,
        /// Of an earlier sign-in.
        token: Option<Token>,
    },
    Jwt {
        token: Token,
    },
    Provider(Provider),
}

type Provider = Arc<
    dyn Fn(CredentialsReason) -> BoxFuture<'static, Result<String, ProviderError>> + Send + Sync,
>;

impl Auth {
    /// Nobody: enough for what a server offers without a token.
    #[must_use]
    pub fn none() -> Self {
        Self(Kind::None)
    }

    /// Signs in with a password when a token is first needed, and renews the token before and after it ends.
    pub fn basic(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self(Kind::Basic {
            user: user.into(),
            password: password.into(),
            token: None,
        })
    }

    /// A token that an earlier sign-in with this password gave ([`Client::sign_in`](crate::Client::sign_in)): saves the
    /// next one. When the server refuses it, the password counts. Without effect on credentials of another kind.
    #[must_use]
    pub fn with_token(mut self, token: impl AsRef<str>) -> Self {
        if let Kind::Basic { token: known, .. } = &mut self.0 {
            *known = Some(Token::new(token.as_ref()));
        }
        self
    }

    /// A token that somebody else obtained. When it ends, so does the connection.
    pub fn jwt(token: impl AsRef<str>) -> Self {
        Self(Kind::Jwt {
            token: Token::new(token.as_ref()),
        })
    }

    /// A function that gives a token: called before each connection, before the token in use ends, and when the server
    /// refused the last one. One call runs at a time.
    pub fn provider<F, R>(provider: F) -> Self
    where
        F: Fn(CredentialsReason) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, ProviderError>> + Send + 'static,
    {
        Self(Kind::Provider(Arc::new(move |reason| {
            provider(reason).boxed()
        })))
    }
}

impl fmt::Debug for Auth {
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::None => f.write_str("None"),
            Kind::Basic { user, .. } => write!(f, "Basic({user})"),
            Kind::Jwt { .. } => f.write_str("Jwt"),
            Kind::Provider(_) => f.write_str("Provider"),
        }
    }
}

/// Why a provider has no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// Worth another try.
    #[error("{0}")]
    Temporary(String),
    /// There will be none.
    #[error("{0}")]
    Permanent(String),
}

impl ProviderError {
    pub(crate) fn failure(&self) -> CredentialsFailure {
        match self {
            Self::Temporary(_) => CredentialsFailure::Temporary,
            Self::Permanent(_) => CredentialsFailure::Permanent,
        }
    }
}

/// A bearer token.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(Arc<str>);

impl Token {
    fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// The tokens in use, shared by HTTP and the socket.
#[derive(Debug)]
pub(crate) struct Tokens {
    http: Arc<Http>,
    auth: Auth,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    /// The fetch that runs: whoever needs a token meanwhile waits for the same one. Weak, since it holds these tokens.
    fetch: Option<WeakShared<Fetch>>,
}

type Fetch = BoxFuture<'static, Result<Token, Error>>;

#[derive(Clone, Debug)]
struct Held {
    access: Token,
    refresh: Option<Token>,
}

impl From<LoginResponse> for Held {
    fn from(response: LoginResponse) -> Self {
        Self {
            access: Token::new(&response.access_token),
            refresh: Some(Token::new(&response.refresh_token)),
        }
    }
}

impl Tokens {
    pub fn new(auth: Auth, http: Arc<Http>) -> Arc<Self> {
        let held = match &auth.0 {
            Kind::Basic { token, .. } => token.clone().map(|access| Held {
                access,
                refresh: None,
            }),
            Kind::None | Kind::Jwt { .. } | Kind::Provider(_) => None,
        };
        Arc::new(Self {
            http,
            auth,
            state: Mutex::new(State { held, fetch: None }),
        })
    }

    /// Whether there is a way to a newer token.
    pub fn are_renewable(&self) -> bool {
        matches!(self.auth.0, Kind::Basic { .. } | Kind::Provider(_))
    }

    /// The token at hand, or a first one. None: requests go without.
    pub async fn any(self: &Arc<Self>) -> Result<Option<Token>, Error> {
        match &self.auth.0 {
            Kind::None => Ok(None),
            Kind::Jwt { token } => Ok(Some(token.clone())),
            Kind::Basic { .. } | Kind::Provider(_) => self
                .obtain(CredentialsReason::Connect, |_| true)
                .await
                .map(Some),
        }
    }

    /// Another token than one that the server refused.
    pub async fn newer_than(self: &Arc<Self>, refused: &Token) -> Result<Token, Error> {
        self.obtain(CredentialsReason::Refused, |held| held != refused)
            .await
    }

    /// What the socket should present. `given` is what it presented last.
    pub async fn for_socket(
        self: Arc<Self>,
        reason: CredentialsReason,
        given: Option<Token>,
    ) -> Result<Token, Error> {
        match (&self.auth.0, reason) {
            (Kind::None, _) => Err(Error::NoCredentials),
            (Kind::Jwt { .. }, CredentialsReason::Expiring) => Err(Error::TokenEnded),
            // If the server refuses it again, the session fails with the server's own words.
            (Kind::Jwt { token }, _) => Ok(token.clone()),
            (Kind::Provider(_), CredentialsReason::Connect) => self.obtain(reason, |_| false).await,
            (Kind::Basic { .. }, CredentialsReason::Connect) => self.obtain(reason, |_| true).await,
            (
                Kind::Basic { .. } | Kind::Provider(_),
                CredentialsReason::Expiring | CredentialsReason::Refused,
            ) => {
                self.obtain(reason, |held| given.as_ref() != Some(held))
                    .await
            }
        }
    }

    async fn obtain(
        self: &Arc<Self>,
        reason: CredentialsReason,
        will_do: impl Fn(&Token) -> bool,
    ) -> Result<Token, Error> {
        let fetch = {
            let mut state = self.lock();
            if let Some(held) = &state.held
                && will_do(&held.access)
            {
                return Ok(held.access.clone());
            }
            match state.fetch.as_ref().and_then(WeakShared::upgrade) {
                Some(running) => running,
                None => self.begin_fetch(reason, &mut state),
            }
        };
        fetch.await
    }

    fn begin_fetch(
        self: &Arc<Self>,
        reason: CredentialsReason,
        state: &mut State,
    ) -> Shared<Fetch> {
        let tokens = Arc::clone(self);
        let refresh = state.held.as_ref().and_then(|held| held.refresh.clone());
        let fetch = async move {
            let fetched = tokens.fetch(reason, refresh).await;
            let mut state = tokens.lock();
            state.fetch = None;
            let held = fetched?;
            let access = held.access.clone();
            state.held = Some(held);
            Ok(access)
        };
        let fetch = fetch.boxed().shared();
        state.fetch = fetch.downgrade();
        fetch
    }

    async fn fetch(
        &self,
        reason: CredentialsReason,
        refresh: Option<Token>,
    ) -> Result<Held, Error> {
        match &self.auth.0 {
            Kind::None => Err(Error::NoCredentials),
            Kind::Jwt { .. } => Err(Error::TokenEnded),
            Kind::Provider(provider) => Ok(Held {
                access: Token::new(&provider(reason).await?),
                refresh: None,
            }),
            Kind::Basic { user, password, .. } => {
                if let Some(refresh) = refresh {
                    match self.http.refresh(&refresh).await {
                        Ok(response) => return Ok(response.into()),
                        // The password still stands.
                        Err(Error::SignIn { message, .. }) => {
                            tracing::debug!(%message, "refresh token refused");
                        }
                        Err(error) => return Err(error),
                    }
                }
                Ok(self.http.login(user, password).await?.into())
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Assignments alone happen under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Token> for Credentials {
    fn from(token: Token) -> Self {
        Self::Jwt {
            token: token.as_str().to_owned(),
        }
    }
}
