//! `GET /v1/ws`: who may open a socket, and what is agreed on before it is one.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::header::{HOST, ORIGIN, SEC_WEBSOCKET_VERSION, UPGRADE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use kalam_link_core::ErrorCode;
use kalam_link_core::message::{Compression, Feature, Protocol, Serialization};
use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error as ValueError;
use tungstenite::handshake::server::create_response_with_body;

use super::Sockets;
use crate::auth::Proof;
use crate::auth::extract::{Authorization, authorization};
use crate::http::Failure;
use crate::http::cors::is_allowed;
use crate::http::openapi;
use crate::http::serve::{Handover, Peer};

/// A socket that is about to be.
pub(crate) struct Opening {
    pub(super) sockets: Arc<Sockets>,
    pub(super) peer: SocketAddr,
    /// Of a token on the upgrade.
    pub(super) proof: Option<Proof>,
    /// What the query string asks for.
    pub(super) protocol: Option<Protocol>,
}

/// Opens a WebSocket.
///
/// Messages and close codes: docs/api/websocket.md. With a token in `Authorization` the socket is authenticated at
/// once; otherwise its first message is `authenticate`. Pages of browsers need an origin that is allowed.
#[utoipa::path(get, path = "/v1/ws", tag = "live", security((), ("bearer" = [])),
    params(
        ("serialization" = Option<String>, Query, description = "`json` or `msgpack`"),
        ("compression" = Option<String>, Query, description = "`none` or `gzip`"),
        ("features" = Option<String>, Query, description = "separated by commas: `resync`, `auth_expiring`, `pong`, `seq`"),
    ),
    responses(
        (status = 101, description = "the connection is a WebSocket"),
        (status = "4XX", body = openapi::SqlResponse),
        (status = "5XX", body = openapi::SqlResponse),
    ),
)]
pub(crate) async fn open(
    State(sockets): State<Arc<Sockets>>,
    peer: Option<Extension<Peer>>,
    handover: Option<Extension<Handover>>,
    mut request: Request,
) -> Response {
    let answer = match create_response_with_body(&request, Body::empty) {
        Ok(answer) => answer,
        Err(error) => return no_upgrade(&error.to_string()),
    };
    let (Some(Extension(Peer(peer))), Some(Extension(handover))) = (peer, handover) else {
        return no_upgrade("this connection cannot be a WebSocket");
    };
    let on_upgrade = hyper::upgrade::on(&mut request);
    match admit(&sockets, request.headers(), request.uri()) {
        Ok((proof, protocol)) => {
            let opening = Opening {
                sockets,
                peer: canonical(peer),
                proof,
                protocol,
            };
            handover.put(on_upgrade, opening);
            answer
        }
        Err(failure) => failure.answer_sql(0.0),
    }
}

fn no_upgrade(reason: &str) -> Response {
    let message = format!("not a WebSocket upgrade: {reason}");
    let mut response = Failure::new(ErrorCode::InvalidInput, message).answer_sql(0.0);
    *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}

/// An IPv4 peer of an IPv6 listener is an IPv4 peer.
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// The origin first: a page that may not be here learns nothing about tokens.
fn admit(
    sockets: &Sockets,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<(Option<Proof>, Option<Protocol>), Failure> {
    check_origin(sockets, headers)?;
    let protocol = protocol(uri)?;
    let proof = match authorization(headers) {
        Some(Authorization::Bearer(token)) => Some(sockets.auth.proof_of_token(token)?),
        Some(Authorization::Malformed) => {
            return Err(Failure::new(
                ErrorCode::InvalidCredentials,
                "the Authorization header is not `Bearer <token>`",
            ));
        }
        // A browser adds it by itself for a proxy in between.
        Some(Authorization::Basic { .. }) | None => None,
    };
    Ok((proof, protocol))
}

/// Programs that are no browsers send no origin.
fn check_origin(sockets: &Sockets, headers: &HeaderMap) -> Result<(), Failure> {
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let allowed = origin.to_str().is_ok_and(|origin| {
        is_allowed(origin, &sockets.origins, sockets.reach) || is_own(origin, headers)
    });
    if allowed {
        Ok(())
    } else {
        Err(Failure::new(
            ErrorCode::PermissionDenied,
            "permission denied: this origin is not in `security.allowed_origins`",
        ))
    }
}

/// Whether the page comes from this server itself, by whatever name the browser reached it.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let Some(authority) = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
    else {
        return false;
    };
    headers
        .get(HOST)
        .is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()))
}

/// The query string.
#[derive(Default, Deserialize)]
struct Asked {
    serialization: Option<Serialization>,
    compression: Option<Compression>,
    /// Of old clients: only `false` asks for something, and that is the default.
    compress: Option<String>,
    features: Option<String>,
}

/// What the query string asks for; none if it says nothing about it.
fn protocol(uri: &Uri) -> Result<Option<Protocol>, Failure> {
    let Query(asked) = Query::<Asked>::try_from_uri(uri)
        .map_err(|error| Failure::new(ErrorCode::InvalidInput, error.body_text()))?;
    let negotiated = asked.serialization.is_some()
        || asked.compression.is_some()
        || asked.compress.is_some()
        || asked.features.is_some();
    Ok(negotiated.then(|| Protocol {
        serialization: asked.serialization.unwrap_or_default(),
        compression: asked.compression.unwrap_or_default(),
        features: features(asked.features.as_deref().unwrap_or_default()),
    }))
}

/// Features that this server knows; a newer client may name others.
fn features(list: &str) -> Vec<Feature> {
    list.split(',')
        .map(str::trim)
        .filter_map(|name| {
            let deserializer: serde::de::value::StrDeserializer<'_, ValueError> =
                name.into_deserializer();
            Feature::deserialize(deserializer).ok()
        })
        .filter(|feature| *feature != Feature::Unknown)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<Option<Protocol>, ErrorCode> {
        let uri = format!("/v1/ws{query}").parse().unwrap();
        protocol(&uri).map_err(|failure| failure.error.code)
    }

    fn protocol_of(
        serialization: Serialization,
        compression: Compression,
        features: &[Feature],
    ) -> Result<Option<Protocol>, ErrorCode> {
        Ok(Some(Protocol {
            serialization,
            compression,
            features: features.to_vec(),
        }))
    }

    #[test]
    fn a_query_string_that_says_nothing_negotiates_nothing() {
        for query in ["", "?", "?other=1"] {
            assert_eq!(asked(query), Ok(None), "{query}");
        }
    }

    #[test]
    fn each_part_of_the_query_string_negotiates() {
        let plain = protocol_of(Serialization::Json, Compression::None, &[]);
        for query in [
            "?serialization=json",
            "?compression=none",
            "?compress=false",
            "?compress=true",
            "?features=",
            "?features=time_travel",
        ] {
            assert_eq!(asked(query), plain, "{query}");
        }
        assert_eq!(
            asked("?serialization=msgpack&compression=gzip&features=pong,%20seq,new,resync&x=y"),
            protocol_of(
                Serialization::Msgpack,
                Compression::Gzip,
                &[Feature::Pong, Feature::Seq, Feature::Resync]
            )
        );
        for query in ["?serialization=xml", "?compression=zstd", "?compression="] {
            assert_eq!(asked(query), Err(ErrorCode::InvalidInput), "{query}");
        }
    }

    #[test]
    fn the_own_page_is_known_by_the_host_that_it_was_asked_for() {
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("Db.example:8080"))]);
        assert!(is_own("http://db.example:8080", &headers));
        assert!(is_own("https://db.example:8080", &headers));
        for origin in [
            "http://db.example",
            "http://evil.example:8080",
            "ftp://db.example:8080",
            "db.example:8080",
            "null",
            "",
        ] {
            assert!(!is_own(origin, &headers), "{origin}");
        }
        assert!(!is_own("http://", &HeaderMap::new()));
    }
}
