//! What can go wrong for the application.

use std::sync::Arc;

use kalam_link_core::ServerError;
use kalam_link_core::http::QueryResult;
use kalam_link_core::session::{
    CredentialsFailure, DisconnectReason, QueryError, SessionError, SubscriptionError,
};

use crate::auth::ProviderError;

/// Why an operation failed. Cheap to clone, since one failure may end many subscriptions.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("not the address of a server: `{address}`: {problem}")]
    Address {
        address: String,
        problem: AddressProblem,
    },
    #[error("cannot set up TLS")]
    Tls(#[source] Arc<rustls::Error>),
    #[error("cannot set up the HTTP client")]
    Setup(#[source] Arc<reqwest::Error>),
    #[error("the system gave no random number")]
    Random(#[source] getrandom::Error),
    #[error("a client needs a tokio runtime with I/O and time")]
    NoRuntime,
    /// If the request was sent, it may have been executed.
    #[error("no answer from {address}")]
    Unreachable {
        address: String,
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// The request may have been executed.
    #[error("no answer within {timeout_ms} ms")]
    Timeout { timeout_ms: u64 },
    /// The rows so far are a part of the result. The server breaks an answer off when the statement fails on its way; its
    /// log says why.
    #[error("the answer from {address} broke off before its end")]
    BrokenOff {
        address: String,
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// Not in the form in which a KalamDB server answers.
    #[error("unexpected answer from {address} with status {status}: {body}")]
    UnexpectedAnswer {
        address: String,
        status: u16,
        /// Its beginning.
        body: String,
    },
    #[error("the server reported an error without its reason")]
    NoReason,
    /// The server executed or refused the statement and said why not.
    #[error("{error}")]
    Server {
        error: ServerError,
        /// Results of the statements before the one that failed.
        completed: Vec<QueryResult>,
    },
    /// The server refused user name, password or refresh token.
    #[error("cannot sign in: {message}")]
    SignIn {
        status: u16,
        /// The server's word for it: `unauthorized`, `account_locked`, …
        reason: String,
        message: String,
    },
    #[error("the provider of credentials failed: {0}")]
    Provider(#[from] ProviderError),
    #[error("the socket needs credentials, and there are none")]
    NoCredentials,
    #[error("the token has ended, and there is no way to a newer one")]
    TokenEnded,
    /// The connection was not there or was lost; the client goes on trying.
    #[error(transparent)]
    Disconnected(#[from] DisconnectReason),
    /// The client gave up; the next use of the socket begins anew.
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("the client is closed")]
    Closed,
}

/// What is wrong with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressProblem {
    #[error("it cannot be read")]
    Malformed,
    #[error("its scheme is none of http, https, ws and wss")]
    Scheme,
    #[error("credentials belong into `Auth`")]
    Credentials,
    #[error("nothing may follow `?` or `#`")]
    Query,
}

impl Error {
    /// The server's code, which never changes: `TABLE_NOT_FOUND`, `INVALID_SQL`, …
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Server { error, .. } => Some(error.code.as_str()),
            Self::SignIn { reason, .. } => Some(reason),
            Self::Subscription(SubscriptionError::Server { code, .. }) => Some(code.as_str()),
            Self::Address { .. }
            | Self::Tls(_)
            | Self::Setup(_)
            | Self::Random(_)
            | Self::NoRuntime
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::BrokenOff { .. }
            | Self::UnexpectedAnswer { .. }
            | Self::NoReason
            | Self::Provider(_)
            | Self::NoCredentials
            | Self::TokenEnded
            | Self::Disconnected(_)
            | Self::Session(_)
            | Self::Subscription(_)
            | Self::Query(_)
            | Self::Closed => None,
        }
    }

    /// What the server suggests.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Server { error, .. } => error.hint.as_deref(),
            _ => None,
        }
    }

    /// Whether asking for credentials again may help.
    pub(crate) fn credentials_failure(&self) -> CredentialsFailure {
        const TOO_MANY_REQUESTS: u16 = 429;
        const SERVER_ERRORS: u16 = 500;
        match self {
            Self::SignIn { status, .. }
                if *status != TOO_MANY_REQUESTS && *status < SERVER_ERRORS =>
            {
                CredentialsFailure::Permanent
            }
            Self::SignIn { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::UnexpectedAnswer { .. } => CredentialsFailure::Temporary,
            Self::Provider(error) => error.failure(),
            _ => CredentialsFailure::Permanent,
        }
    }
}
