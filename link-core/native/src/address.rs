//! Addresses as people write them.

use kalam_link_core::http::websocket_url;
use reqwest::Url;

use crate::error::{AddressProblem, Error};

/// Where the socket is, below the address of the server.
const SOCKET_PATH: &str = "/v1/ws";

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Of the HTTP API, without a slash at its end.
    pub http: String,
    pub socket: String,
}

impl Address {
    /// Reads `http`, `https`, `ws` and `wss` addresses, with or without the path of the socket; `host:port` is `http`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fail = |problem| Error::Address {
            address: text.to_owned(),
            problem,
        };
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = match scheme {
            "http" | "ws" => "http",
            "https" | "wss" => "https",
            _ => return Err(fail(AddressProblem::Scheme)),
        };
        let rest = rest.trim_end_matches('/');
        let rest = rest.strip_suffix(SOCKET_PATH).unwrap_or(rest);
        let url = Url::parse(&format!("{scheme}://{rest}"))
            .map_err(|_| fail(AddressProblem::Malformed))?;
        if !url.username().is_empty() || url.password().is_some() {
            // Not repeated: it may be a password.
            return Err(Error::Address {
                address: url.host_str().unwrap_or_default().to_owned(),
                problem: AddressProblem::Credentials,
            });
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(fail(AddressProblem::Query));
        }
        let http = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self {
            socket: websocket_url(&http),
            http,
        })
    }

    pub fn is_encrypted(&self) -> bool {
        self.http.starts_with("https:")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(String, String), AddressProblem> {
        match Address::parse(text) {
            Ok(address) => Ok((address.http, address.socket)),
            Err(Error::Address { problem, .. }) => Err(problem),
            Err(error) => panic!("{error}"),
        }
    }

    fn found(http: &str, socket: &str) -> Result<(String, String), AddressProblem> {
        Ok((http.to_owned(), socket.to_owned()))
    }

    #[test]
    fn every_spelling_of_an_address_gives_both() {
        let local = found("http://127.0.0.1:8080", "ws://127.0.0.1:8080/v1/ws");
        for text in [
            "http://127.0.0.1:8080",
            "http://127.0.0.1:8080/",
            "127.0.0.1:8080",
            "ws://127.0.0.1:8080",
            "ws://127.0.0.1:8080/v1/ws",
        ] {
            assert_eq!(check(text), local, "{text}");
        }
        assert_eq!(
            check("wss://db.example.com/v1/ws"),
            found("https://db.example.com", "wss://db.example.com/v1/ws")
        );
        assert_eq!(
            check("https://example.com/db/"),
            found("https://example.com/db", "wss://example.com/db/v1/ws")
        );
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_problem() {
        assert_eq!(check("ftp://host"), Err(AddressProblem::Scheme));
        assert_eq!(check(""), Err(AddressProblem::Malformed));
        assert_eq!(check("http://host:port"), Err(AddressProblem::Malformed));
        assert_eq!(check("http://a:b@host"), Err(AddressProblem::Credentials));
        assert_eq!(check("http://host?x=1"), Err(AddressProblem::Query));
    }
}
