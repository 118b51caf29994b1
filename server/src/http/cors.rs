//! Which pages of browsers may send requests: the configured origins and, while the server listens on a loopback
//! address, every page of a loopback host. Never `*`.

use std::time::Duration;

use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Method, request};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::Reach;
use super::edge::REQUEST_ID;
use crate::config::Origins;

const PREFLIGHT_SECONDS: u64 = 600;

pub(crate) fn layer(origins: Origins, reach: Reach) -> CorsLayer {
    let allowed = move |origin: &HeaderValue, _: &request::Parts| {
        origin
            .to_str()
            .is_ok_and(|origin| is_allowed(origin, &origins, reach))
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([ACCEPT, AUTHORIZATION, CONTENT_TYPE, REQUEST_ID])
        .expose_headers([REQUEST_ID, RETRY_AFTER])
        .max_age(Duration::from_secs(PREFLIGHT_SECONDS))
}

pub(crate) fn is_allowed(origin: &str, origins: &Origins, reach: Reach) -> bool {
    origins.contains(origin) || (reach == Reach::Loopback && is_loopback_page(origin))
}

fn is_loopback_page(origin: &str) -> bool {
    let Some(authority) = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
    else {
        return false;
    };
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => authority,
    };
    host.eq_ignore_ascii_case("localhost") || host == "127.0.0.1" || host == "[::1]"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_origins_and_loopback_pages_are_allowed() {
        let origins = Origins::new(vec!["https://app.example.com".to_owned()]).unwrap();
        let check = |origin: &str, reach| is_allowed(origin, &origins, reach);
        for reach in [Reach::Loopback, Reach::Network] {
            assert!(check("https://app.example.com", reach));
            for other in [
                "http://app.example.com",
                "https://app.example.com.evil.org",
                "null",
                "*",
                "",
            ] {
                assert!(!check(other, reach), "{other}");
            }
        }
        for page in [
            "http://localhost:5173",
            "https://127.0.0.1",
            "http://[::1]:80",
        ] {
            assert!(check(page, Reach::Loopback), "{page}");
            assert!(!check(page, Reach::Network), "{page}");
        }
        for page in [
            "http://localhost.evil.org",
            "http://evil.org:80",
            "http://127.0.0.1.evil.org",
            "ftp://localhost",
        ] {
            assert!(!check(page, Reach::Loopback), "{page}");
        }
    }
}
