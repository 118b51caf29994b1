//! Encrypted connections: one configuration counts for HTTP and for the socket.
//!
//! The certificate is of `localhost`, made by
//! `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj /CN=localhost
//! -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE`.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use kalam_link::{Auth, Client, Error, json};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::server::success;

type Encrypted = StreamOwned<ServerConnection, TcpStream>;

fn certificate() -> CertificateDer<'static> {
    let pem = include_bytes!("tls/certificate.pem");
    CertificateDer::from_pem_slice(pem).expect("it is PEM")
}

/// Serves one connection in a thread: the URL, and what the server made of it.
fn serve<T: Send + 'static>(
    act: impl FnOnce(Encrypted) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/key.pem")).expect("it is PEM");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate()], key)
        .expect("the key is that of the certificate");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client comes");
        let connection =
            ServerConnection::new(Arc::new(config)).expect("the configuration is sound");
        act(StreamOwned::new(connection, stream))
    });
    (format!("https://localhost:{port}"), server)
}

fn trusting(certificates: impl IntoIterator<Item = CertificateDer<'static>>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).expect("it is a certificate");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Reads a request to the end of its JSON body and answers it.
fn answer_sql(mut stream: Encrypted) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        let mut byte = [0];
        stream
            .read_exact(&mut byte)
            .expect("the request has a body");
        request.extend_from_slice(&byte);
    }
    let body = success(&json!([])).to_string();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .expect("the client reads");
    stream.flush().expect("the client reads");
    String::from_utf8(request).expect("a request is text")
}

#[tokio::test]
async fn statements_are_encrypted() {
    let (url, server) = serve(answer_sql);
    let client = Client::builder(url)
        .auth(Auth::jwt("secret"))
        .tls(trusting([certificate()]))
        .build()
        .unwrap();
    client.query("SELECT 1", &[]).await.unwrap();
    let request = server.join().unwrap();
    assert!(
        request.starts_with("POST /v1/api/sql HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains("authorization: Bearer secret\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn sockets_are_encrypted() {
    let (url, server) = serve(|stream| {
        let mut socket = tungstenite::accept(stream).expect("it is an upgrade");
        let hello = socket.read().expect("the client says who it is");
        let accepted = json!({"type": "auth_success", "user_id": "alice", "user": "alice",
            "role": "user", "protocol": {}});
        let frame = Message::text(accepted.to_string());
        socket.send(frame).expect("the client listens");
        // The goodbye.
        while socket.read().is_ok() {}
        hello.into_text().expect("it is text").to_string()
    });
    let client = Client::builder(url)
        .auth(Auth::jwt("secret"))
        .tls(trusting([certificate()]))
        .connect()
        .await
        .unwrap();
    client.close().await;
    assert!(server.join().unwrap().contains("secret"));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_gets_no_token() {
    let (url, server) = serve(|mut stream| {
        let mut byte = [0];
        stream.read_exact(&mut byte).is_err()
    });
    let client = Client::builder(url)
        .auth(Auth::jwt("secret"))
        .tls(trusting([]))
        .build()
        .unwrap();
    let answer = client.query("SELECT 1", &[]).await;
    assert!(
        matches!(answer, Err(Error::Unreachable { .. })),
        "{answer:?}"
    );
    assert!(server.join().unwrap(), "nothing was sent");
}
