//! Settings of a client.

use std::sync::Arc;
use std::time::Duration;

use kalam_link_core::message::{Compression, Serialization};
use kalam_link_core::session::{
    AuthenticateBy, BackoffOptions, HeartbeatOptions, Session, SessionOptions,
};
use rustls::ClientConfig;
use tokio::runtime::Handle;

use crate::address::Address;
use crate::auth::{Auth, Tokens};
use crate::client::Client;
use crate::driver::Parts;
use crate::error::Error;
use crate::http::{Http, Timeouts, millis};
use crate::tls::{self, Trust};

// Above what a server gives a statement by default.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const BUFFER_ROWS: usize = 10_000;

/// Collects the settings of a [`Client`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    urls: Vec<String>,
    auth: Auth,
    timeouts: Timeouts,
    serialization: Serialization,
    compression: Compression,
    authenticate_by: AuthenticateBy,
    backoff: BackoffOptions,
    heartbeat: HeartbeatOptions,
    buffer_rows: usize,
    tls: Option<ClientConfig>,
}

impl ClientBuilder {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self {
            urls: vec![url.into()],
            auth: Auth::none(),
            timeouts: Timeouts {
                connect: CONNECT_TIMEOUT,
                request: REQUEST_TIMEOUT,
            },
            serialization: Serialization::Json,
            compression: Compression::None,
            authenticate_by: AuthenticateBy::Message,
            backoff: BackoffOptions::default(),
            heartbeat: HeartbeatOptions::default(),
            buffer_rows: BUFFER_ROWS,
            tls: None,
        }
    }

    /// Another server of the same cluster, tried when those before it cannot be reached.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.urls.push(url.into());
        self
    }

    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// How long a connection may take to open, and the server to take the credentials. 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// How long the answer to a statement may take. 120 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.request = timeout;
        self
    }

    /// How messages of the socket are written. MessagePack is smaller; JSON can be read on the wire.
    pub fn serialization(mut self, serialization: Serialization) -> Self {
        self.serialization = serialization;
        self
    }

    /// Whether the server may compress what it sends over the socket.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Where the token stands when a socket is opened.
    pub fn authenticate_by(mut self, authenticate_by: AuthenticateBy) -> Self {
        self.authenticate_by = authenticate_by;
        self
    }

    /// How a lost connection is sought again.
    pub fn backoff(mut self, backoff: BackoffOptions) -> Self {
        self.backoff = backoff;
        self
    }

    /// How a dead connection is found out.
    pub fn heartbeat(mut self, heartbeat: HeartbeatOptions) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// Rows of a [`Subscription`](crate::Subscription) that may wait to be read. From a half of them on no
    /// further batch of a load is asked for; at all of them the subscription pauses on the server too, and goes on where it was when the
    /// application has caught up. 10,000.
    pub fn buffer_rows(mut self, rows: usize) -> Self {
        self.buffer_rows = rows.max(1);
        self
    }

    /// Certificates to trust, or to present, instead of what the operating system trusts.
    pub fn tls(mut self, config: ClientConfig) -> Self {
        self.tls = Some(config);
        self
    }

    /// Makes the client, on the current tokio runtime. The socket opens when it is first needed.
    pub fn build(self) -> Result<Client, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let addresses: Vec<Address> = self
            .urls
            .iter()
            .map(|url| Address::parse(url))
            .collect::<Result<_, _>>()?;
        let tls = match &self.tls {
            Some(config) => config.clone(),
            None if addresses.iter().any(Address::is_encrypted) => tls::config(Trust::System)?,
            None => tls::config(Trust::Nobody)?,
        };
        let bases = addresses.iter().map(|address| address.http.clone());
        let http = Arc::new(Http::new(bases.collect(), self.timeouts, tls.clone())?);
        let tokens = Tokens::new(self.auth.clone(), Arc::clone(&http));
        let seed = getrandom::u64().map_err(Error::Random)?;
        let options = self.session_options(&addresses);
        let parts = Parts {
            session: Session::new(options, seed),
            tokens: Arc::clone(&tokens),
            tls: Arc::new(tls),
            addresses: addresses.len(),
            buffer_rows: self.buffer_rows,
        };
        let timeout = self.timeouts.request;
        Ok(Client::start(http, tokens, parts, timeout, &runtime))
    }

    /// Makes the client and opens its socket, so that a wrong address or password shows at once. Once it was connected,
    /// the client seeks a lost connection by itself.
    pub async fn connect(self) -> Result<Client, Error> {
        let client = self.build()?;
        client.connected().await?;
        Ok(client)
    }

    fn session_options(&self, addresses: &[Address]) -> SessionOptions {
        let sockets = addresses.iter().map(|address| address.socket.clone());
        let connect_timeout_ms = millis(self.timeouts.connect);
        SessionOptions {
            urls: sockets.collect(),
            serialization: self.serialization,
            compression: self.compression,
            authenticate_by: self.authenticate_by,
            backoff: self.backoff,
            heartbeat: self.heartbeat,
            open_timeout_ms: connect_timeout_ms,
            authenticate_timeout_ms: connect_timeout_ms,
        }
    }
}
