//! The HTTP headers of a client's upgrade request.

use std::net::Ipv4Addr;

use crate::plan::{ConnectSpec, ForwardedFor, NetworkPath, Origin};

/// What an upgrade request says besides the WebSocket headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradeHeaders {
    /// `Host`
    pub host: String,
    /// Others, in order.
    pub others: Vec<(&'static str, String)>,
}

/// Headers of a client with this request. `dialled` is host and port as in the URL, `persona` the
/// persona's own headers.
#[must_use]
pub fn headers(
    spec: &ConnectSpec,
    dialled: &str,
    forwarded: Option<Ipv4Addr>,
    persona: &[(&'static str, &'static str)],
) -> UpgradeHeaders {
    let mut others = Vec::new();
    let host = match &spec.path {
        NetworkPath::Direct => dialled.to_owned(),
        NetworkPath::Proxy { forwarded_for, host, .. } => {
            let chain = match forwarded_for {
                ForwardedFor::Own => forwarded.map(|address| address.to_string()),
                ForwardedFor::Fixed(text) => Some(text.clone()),
                ForwardedFor::Absent => None,
            };
            if let Some(chain) = chain {
                others.push(("X-Forwarded-For", chain));
            }
            host.clone().unwrap_or_else(|| dialled.to_owned())
        }
    };
    match &spec.origin {
        Some(Origin::SameHost) => others.push(("Origin", format!("http://{host}"))),
        Some(Origin::Fixed(text)) => others.push(("Origin", text.clone())),
        None => {}
    }
    others.extend(persona.iter().map(|&(name, value)| (name, value.to_owned())));
    UpgradeHeaders { host, others }
}
