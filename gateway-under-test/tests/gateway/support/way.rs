//! The way to the gateway: from which address, with which headers.

use std::net::IpAddr;

use super::PROXY;

/// How a client reaches the gateway.
#[derive(Clone, Default)]
pub(crate) struct Way {
    pub(super) source: Option<IpAddr>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) host: Option<String>,
}

impl Way {
    pub(crate) fn local() -> Self {
        Self::default()
    }

    /// From this address, without headers.
    pub(crate) fn from(source: &str) -> Self {
        Self { source: Some(source.parse().unwrap()), ..Self::default() }
    }

    /// Through the trusted proxy, for this client.
    pub(crate) fn remote(client: &str) -> Self {
        Self::from(PROXY).header("X-Forwarded-For", client)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }
}
