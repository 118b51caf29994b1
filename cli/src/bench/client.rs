//! One keep-alive HTTP connection that sends prepared bodies.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value as Json;

use crate::bench::Failure;

/// A connection to the server under test.
pub struct Client {
    port: u16,
    sender: SendRequest<Full<Bytes>>,
    authorization: String,
}

impl Client {
    pub async fn connect(port: u16) -> Result<Self, Failure> {
        let mut client = Self {
            port,
            sender: dial(port).await?,
            authorization: String::new(),
        };
        let (status, _) = client.send("GET", "/health", Bytes::new()).await?;
        if status != StatusCode::OK {
            return Err(format!("/health answers {status}").into());
        }
        Ok(client)
    }

    /// Connects and signs in as root.
    pub async fn sign_in(port: u16) -> Result<Self, Failure> {
        let mut client = Self::connect(port).await?;
        let body = serde_json::json!({"user": "root", "password": crate::bench::process::PASSWORD})
            .to_string();
        let (_, answer) = client
            .send("POST", "/v1/api/auth/login", body.into())
            .await?;
        let answer: Json = serde_json::from_slice(&answer)?;
        let token = answer["access_token"]
            .as_str()
            .ok_or_else(|| format!("login failed: {answer}"))?;
        client.authorization = format!("Bearer {token}");
        Ok(client)
    }

    /// Another connection with the same token.
    pub async fn another(&self, port: u16) -> Result<Self, Failure> {
        let mut client = Self::connect(port).await?;
        client.authorization.clone_from(&self.authorization);
        Ok(client)
    }

    /// What stands in `Authorization`.
    pub fn authorization(&self) -> &str {
        &self.authorization
    }

    /// Sends what follows as somebody else.
    pub fn authorize(&mut self, authorization: &str) {
        authorization.clone_into(&mut self.authorization);
    }

    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("authorization", &self.authorization)
            .header("content-type", "application/json")
            .body(Full::new(body))?;
        // A server closes what is idle for longer than a measurement takes.
        if self.sender.ready().await.is_err() {
            self.sender = dial(self.port).await?;
        }
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    /// Runs a statement whose answer must be a success, and returns it.
    pub async fn sql(&mut self, sql: &str, params: Json) -> Result<Json, Failure> {
        let answer = self.sql_body(body(sql, params)).await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Sends a prepared body; its answer must be a success.
    pub async fn sql_body(&mut self, body: Bytes) -> Result<Bytes, Failure> {
        let (status, answer) = self.send("POST", "/v1/api/sql", body).await?;
        if status == StatusCode::OK {
            Ok(answer)
        } else {
            Err(format!("{status}: {}", String::from_utf8_lossy(&answer)).into())
        }
    }
}

async fn dial(port: u16) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// The body of a statement with parameters.
pub fn body(sql: &str, params: Json) -> Bytes {
    serde_json::json!({"sql": sql, "params": params})
        .to_string()
        .into()
}
