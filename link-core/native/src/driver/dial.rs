//! Opens sockets.

use std::sync::Arc;

use kalam_link_core::session::Dial;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
};

use super::socket::MESSAGE_BYTES_MAX;

// The library's own are 128 KB each, for every connection.
const BUFFER_BYTES: usize = 16 * 1024;

/// Boxed, since it is large and moves about.
pub(super) type Stream = Box<WebSocketStream<MaybeTlsStream<TcpStream>>>;

pub(super) type Dialled = Result<Stream, DialFailure>;

/// Why a socket is not open.
#[derive(Debug)]
pub(super) struct DialFailure {
    /// Of an answer that was no upgrade.
    pub status: Option<u16>,
    pub message: String,
}

pub(super) async fn dial(dial: Dial, tls: Arc<ClientConfig>) -> Dialled {
    open(dial, tls).await.map_err(|error| DialFailure {
        status: match &error {
            SocketError::Http(response) => Some(response.status().as_u16()),
            _ => None,
        },
        message: error.to_string(),
    })
}

async fn open(dial: Dial, tls: Arc<ClientConfig>) -> Result<Stream, SocketError> {
    let mut request = dial.url.as_str().into_client_request()?;
    if let Some(token) = dial.bearer {
        let mut header = HeaderValue::try_from(format!("Bearer {token}"))?;
        header.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, header);
    }
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let connector = Connector::Rustls(tls);
    // True: TCP_NODELAY.
    let (stream, _) =
        connect_async_tls_with_config(request, Some(config), true, Some(connector)).await?;
    Ok(Box::new(stream))
}
