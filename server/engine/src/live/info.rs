//! Subscriptions and connections as the system tables show them.

use kalam_link_core::{SeqId, UserId};

/// A row of `system.live`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveInfo {
    /// What KILL LIVE QUERY takes.
    pub live_id: String,
    pub connection_id: String,
    /// Chosen by the client.
    pub subscription_id: String,
    pub namespace_id: String,
    pub table_name: String,
    pub user_id: UserId,
    /// The SQL as it was sent; parameters are not shown.
    pub query: String,
    /// As JSON.
    pub options: String,
    /// `loading`, `live` or `catching_up`.
    pub status: &'static str,
    /// Milliseconds since 1970, like all times here.
    pub created_at_ms: u64,
    pub last_update_ms: Option<u64>,
    /// Changes that were sent.
    pub changes: u64,
    pub last_ping_at_ms: Option<u64>,
    /// Events that wait for the connection.
    pub queue_depth: u64,
    /// Everything up to here was sent.
    pub last_seq: SeqId,
}

/// A row of `system.sessions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    pub session_id: String,
    /// None before authentication.
    pub user_id: Option<UserId>,
    /// `authenticating` or `active`.
    pub state: &'static str,
    pub client_addr: Option<String>,
    pub transport: &'static str,
    pub opened_at_ms: u64,
    pub last_seen_at_ms: u64,
}
