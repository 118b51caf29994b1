//! Requests over HTTP, to the first server that can be reached.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kalam_link_core::http::{
    HealthResponse, HttpRequest, LoginResponse, Method, ReplyError, SqlRequest, SqlResponse,
    Status, health_reply, login_reply, sql_reply,
};
use kalam_link_core::message::Credentials;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response};
use rustls::ClientConfig;

use crate::auth::{Token, Tokens};
use crate::error::Error;
use crate::stream::{QueryStream, StreamFormat};

const UNAUTHORIZED: u16 = 401;

// Long enough for any stream: how long it may be silent is the stream's affair.
const STREAM_TIMEOUT: Duration = Duration::from_hours(24 * 365);

/// How long requests may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub connect: Duration,
    pub request: Duration,
}

/// Sends requests; knows nothing of tokens.
#[derive(Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    /// At least one.
    addresses: Vec<String>,
    /// Index of the one that answered last.
    preferred: AtomicUsize,
    timeouts: Timeouts,
}

/// What came back.
struct Answer {
    address: String,
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    fn session(&self) -> Result<LoginResponse, Error> {
        login_reply(self.status, &self.body).map_err(|error| self.error(error))
    }

    fn result(&self) -> Result<SqlResponse, Error> {
        sql_reply(self.status, &self.body).map_err(|error| self.error(error))
    }

    fn error(&self, error: ReplyError) -> Error {
        match error {
            ReplyError::Sql { error, response } => Error::Server {
                error,
                completed: response.results,
            },
            ReplyError::Auth { status, error } => Error::SignIn {
                status,
                reason: error.error,
                message: error.message,
            },
            ReplyError::Unexpected { status, shown } => Error::UnexpectedAnswer {
                address: self.address.clone(),
                status,
                body: shown,
            },
        }
    }
}

impl Http {
    pub fn new(
        addresses: Vec<String>,
        timeouts: Timeouts,
        tls: ClientConfig,
    ) -> Result<Self, Error> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.request)
            .tcp_nodelay(true)
            // Sockets use none either, and a token must go to nobody but its server.
            .no_proxy()
            .redirect(Policy::none())
            .build()
            .map_err(|error| Error::Setup(Arc::new(error)))?;
        Ok(Self {
            client,
            addresses,
            preferred: AtomicUsize::new(0),
            timeouts,
        })
    }

    /// The one that answered last.
    pub fn address(&self) -> &str {
        &self.addresses[self.preferred.load(Ordering::Relaxed)]
    }

    /// Trades user name and password for tokens.
    pub async fn login(&self, user: &str, password: &str) -> Result<LoginResponse, Error> {
        self.send(|base| HttpRequest::login(base, user, password))
            .await?
            .session()
    }

    pub async fn health(&self) -> Result<HealthResponse, Error> {
        let answer = self.send(HttpRequest::health).await?;
        health_reply(answer.status, &answer.body).map_err(|error| answer.error(error))
    }

    /// Trades a refresh token for new tokens.
    pub async fn refresh(&self, refresh: &Token) -> Result<LoginResponse, Error> {
        self.send(|base| HttpRequest::refresh(base, refresh.as_str()))
            .await?
            .session()
    }

    /// Runs SQL. A token that the server refuses is renewed once: nothing was executed.
    pub async fn sql(
        &self,
        request: &SqlRequest,
        tokens: &Arc<Tokens>,
    ) -> Result<SqlResponse, Error> {
        let token = tokens.any().await?;
        let mut answer = self.send_sql(request, token.as_ref()).await?;
        if let (UNAUTHORIZED, Some(token)) = (answer.status, &token)
            && tokens.are_renewable()
        {
            let newer = tokens.newer_than(token).await?;
            answer = self.send_sql(request, Some(&newer)).await?;
        }
        answer.result()
    }

    async fn send_sql(&self, request: &SqlRequest, token: Option<&Token>) -> Result<Answer, Error> {
        let credentials = token.cloned().map(Credentials::from);
        self.send(|base| HttpRequest::sql(base, request, credentials.as_ref()))
            .await
    }

    /// Runs a SELECT whose answer is read bit by bit.
    pub async fn sql_stream(
        self: &Arc<Self>,
        request: &SqlRequest,
        format: StreamFormat,
        tokens: &Arc<Tokens>,
    ) -> Result<QueryStream, Error> {
        let token = tokens.any().await?;
        let mut answer = self.open_stream(request, format, token.as_ref()).await?;
        if let (UNAUTHORIZED, Some(token)) = (answer.1.status().as_u16(), &token)
            && tokens.are_renewable()
        {
            let newer = tokens.newer_than(token).await?;
            answer = self.open_stream(request, format, Some(&newer)).await?;
        }
        let (address, response) = answer;
        let content_type = response.headers().get(CONTENT_TYPE);
        if response.status().is_success()
            && content_type.is_some_and(|kind| kind == format.content_type())
        {
            let silence_max = self.timeouts.request;
            return Ok(QueryStream::new(address.to_owned(), response, silence_max));
        }
        let answer = self.read(address, response).await?;
        answer.result()?;
        Err(answer.error(ReplyError::Unexpected {
            status: answer.status,
            shown: "the rows in another form than the one asked for".to_owned(),
        }))
    }

    async fn open_stream(
        &self,
        request: &SqlRequest,
        format: StreamFormat,
        token: Option<&Token>,
    ) -> Result<(&str, Response), Error> {
        let credentials = token.cloned().map(Credentials::from);
        let opened = self.open(|base| {
            self.prepare(HttpRequest::sql(base, request, credentials.as_ref()))
                .header(ACCEPT, HeaderValue::from_static(format.content_type()))
                .timeout(STREAM_TIMEOUT)
        });
        let timeout = self.timeouts.request;
        tokio::time::timeout(timeout, opened)
            .await
            .map_err(|_| Error::Timeout {
                timeout_ms: millis(timeout),
            })?
    }

    async fn send(&self, request: impl Fn(&str) -> HttpRequest) -> Result<Answer, Error> {
        let (address, response) = self.open(|base| self.prepare(request(base))).await?;
        self.read(address, response).await
    }

    /// Goes on to the next server only while there is no connection, since a request must not be executed twice.
    async fn open(
        &self,
        request: impl Fn(&str) -> RequestBuilder,
    ) -> Result<(&str, Response), Error> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut attempt = 0;
        loop {
            let index = (first + attempt) % self.addresses.len();
            let address = &self.addresses[index];
            attempt += 1;
            match request(address).send().await {
                Ok(response) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok((address, response));
                }
                Err(error) if error.is_connect() && attempt < self.addresses.len() => {
                    tracing::debug!(%address, %error, "server cannot be reached");
                }
                Err(error) => return Err(self.failed(address, error)),
            }
        }
    }

    fn prepare(&self, request: HttpRequest) -> RequestBuilder {
        let mut prepared = match request.method {
            Method::Get => self.client.get(request.url),
            Method::Post => self.client.post(request.url),
        };
        if let Some(authorization) = request.authorization {
            prepared = prepared.header(AUTHORIZATION, authorization);
        }
        if let Some(body) = request.body {
            prepared = prepared
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body);
        }
        prepared
    }

    async fn read(&self, address: &str, response: Response) -> Result<Answer, Error> {
        let status = response.status().as_u16();
        let body = response.bytes().await;
        let body = body.map_err(|error| self.failed(address, error))?;
        Ok(Answer {
            address: address.to_owned(),
            status,
            body: body.into(),
        })
    }

    fn failed(&self, address: &str, error: reqwest::Error) -> Error {
        if error.is_timeout() && !error.is_connect() {
            return Error::Timeout {
                timeout_ms: millis(self.timeouts.request),
            };
        }
        Error::Unreachable {
            address: address.to_owned(),
            // The address is named already.
            source: Arc::new(error.without_url()),
        }
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Tells failed answers from others.
pub(crate) fn accept(response: SqlResponse) -> Result<SqlResponse, Error> {
    match (response.status, response.error) {
        (Status::Success, error) => Ok(SqlResponse { error, ..response }),
        (Status::Error, Some(error)) => Err(Error::Server {
            error,
            completed: response.results,
        }),
        (Status::Error, None) => Err(Error::NoReason),
    }
}
