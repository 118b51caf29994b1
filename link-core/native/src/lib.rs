//! The KalamDB client for Rust: drives `kalam-link-core` with tokio.
