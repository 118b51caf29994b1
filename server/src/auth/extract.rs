//! What a request carries to prove who sends it.

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The `Authorization` header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Authorization<'a> {
    Bearer(&'a str),
    Basic { user: String, password: String },
    Malformed,
}

/// Reads the `Authorization` header; none if there is none.
pub(crate) fn authorization(headers: &HeaderMap) -> Option<Authorization<'_>> {
    let header = headers.get(AUTHORIZATION)?;
    Some(
        header
            .to_str()
            .ok()
            .and_then(parse)
            .unwrap_or(Authorization::Malformed),
    )
}

fn parse(header: &str) -> Option<Authorization<'_>> {
    let (scheme, rest) = header.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return (!rest.is_empty()).then_some(Authorization::Bearer(rest));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Authorization::Basic {
        user: user.to_owned(),
        password: password.to_owned(),
    })
}

/// The value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .find_map(|header| {
            header
                .split(';')
                .filter_map(|pair| pair.trim().split_once('='))
                .find_map(|(known, value)| (known == name && !value.is_empty()).then_some(value))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: axum::http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn both_schemes_are_read_and_others_are_malformed() {
        let basic = Authorization::Basic {
            user: "al".to_owned(),
            password: "a:b ü".to_owned(),
        };
        let header = format!("bAsIc {}", STANDARD.encode("al:a:b ü"));
        assert_eq!(authorization(&read(AUTHORIZATION, &header)), Some(basic));
        assert_eq!(
            authorization(&read(AUTHORIZATION, "bearer x.y")),
            Some(Authorization::Bearer("x.y"))
        );
        assert_eq!(authorization(&HeaderMap::new()), None);
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Basic",
            "Basic !!!",
            "Basic YQ==",
            "Basic /w==",
            "Digest a=b",
        ] {
            assert_eq!(
                authorization(&read(AUTHORIZATION, wrong)),
                Some(Authorization::Malformed),
                "{wrong}"
            );
        }
    }

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let headers = read(COOKIE, "xkalam=1; kalam=; kalam=two=2;kalam_other=3");
        assert_eq!(cookie(&headers, "kalam"), Some("two=2"));
        assert_eq!(cookie(&headers, "alam"), None);
    }
}
