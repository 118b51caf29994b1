//! One TLS configuration for HTTP and sockets.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::error::Error;

/// Which certificates are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Those that the operating system trusts.
    System,
    /// None: no server is encrypted, and reading the system's takes its time.
    Nobody,
}

pub(crate) fn config(trust: Trust) -> Result<ClientConfig, Error> {
    let fail = |error| Error::Tls(Arc::new(error));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(fail)?;
    let builder = match trust {
        Trust::System => builder.with_platform_verifier().map_err(fail)?,
        Trust::Nobody => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}
