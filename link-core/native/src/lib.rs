//! The KalamDB client for Rust: drives `kalam-link-core` with tokio.
//!
//! A [`Client`] runs SQL over HTTP or over a WebSocket, and keeps queries live over that one socket. The protocol, when
//! to connect again and where to go on are the core's; this crate owns the sockets, the timers and the credentials.
//!
//! ```no_run
//! use futures::StreamExt as _;
//! use kalam_link::{Auth, Client, Error, json};
//!
//! # async fn example() -> Result<(), Error> {
//! let client = Client::builder("http://127.0.0.1:8080")
//!     .auth(Auth::basic("root", "secret"))
//!     .build()?;
//!
//! client
//!     .query("INSERT INTO chat.messages (role, content) VALUES ($1, $2)", &[json!("user"), json!("hi")])
//!     .await?;
//!
//! let mut messages = client.live("SELECT * FROM chat.messages ORDER BY id", &[]).await?;
//! while let Some(snapshot) = messages.next().await {
//!     println!("{} messages", snapshot?.rows.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `docs/sdk/sdk.md` is the guide.

mod address;
mod auth;
mod builder;
mod client;
mod driver;
mod error;
mod http;
mod live;
mod stream;
mod subscription;
mod tls;

pub use auth::{Auth, ProviderError};
pub use builder::ClientBuilder;
pub use client::{Client, Link, Transport};
pub use error::{AddressProblem, Error};
pub use live::{Live, LiveSnapshot};
pub use stream::{QueryStream, StreamFormat};
pub use subscription::Subscription;

pub use kalam_link_core as core;
pub use kalam_link_core::http::{HealthResponse, QueryResult, SqlRequest, SqlResponse};
pub use kalam_link_core::live_rows::{LiveRows, LiveStatus};
pub use kalam_link_core::message::{
    Change, ChangeType, Compression, Row, RowObject, Serialization, SubscribeOptions,
    SubscriptionAck,
};
pub use kalam_link_core::session::{
    AuthenticateBy, BackoffOptions, CredentialsReason, DisconnectReason, HeartbeatOptions, Load,
    NetworkHint, QueryError, SessionError, SubscriptionError, SubscriptionEvent,
};
pub use kalam_link_core::{DataType, ErrorCode, Field, Role, SeqId, ServerError, UserId, Value};
pub use serde_json::{Value as Json, json};
