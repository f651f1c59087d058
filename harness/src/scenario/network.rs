//! `[path.NAME]`: how clients reach the gateway. Addresses carry meaning (architecture, "Addresses").

use std::net::Ipv4Addr;

use super::document::Node;
use super::reader::{Fields, Problem, plain_text, text};
use crate::vocabulary::{ForwardedFor, NetworkPath};

/// The path that needs no table.
pub(super) const DIRECT: &str = "direct";
/// `forwarded_for` with a documentation address for each client.
const OWN: &str = "each client its own";

/// Reads every `[path.NAME]`; a path with errors is kept under its name with a stand-in, so that its users are not
/// reported as well.
pub(super) fn read(scenario: &Fields<'_>) -> Vec<(String, NetworkPath)> {
    let mut paths = vec![(DIRECT.to_owned(), NetworkPath::Direct)];
    for (name, fields) in scenario.named_tables("path") {
        if name == DIRECT {
            let help = Some("give the path another name; `direct` needs no table".to_owned());
            fields.sink.report("conflict", &fields.at, "`direct` is built in: dialled without a proxy", help);
        }
        let from = fields.required("from", "the proxy's address, for example \"127.2.0.1\"", proxy_address);
        let forwarded_for = fields.read("forwarded_for", forwarded_for).unwrap_or(ForwardedFor::Absent);
        let host = fields.read("host", plain_text);
        fields.finish();
        let from = from.unwrap_or(Ipv4Addr::new(127, 2, 0, 1));
        if name != DIRECT {
            paths.push((name.to_owned(), NetworkPath::Proxy { from, forwarded_for, host }));
        }
    }
    paths
}

fn proxy_address(node: &Node) -> Result<Ipv4Addr, Problem> {
    const MEANING: &str = "127.2.0.0/16 stands for trusted proxies, 127.3.0.0/16 for proxies that are not trusted, \
        127.1.0.0/16 for direct local clients (path \"direct\")";
    let text = text(node)?;
    let Ok(address) = text.parse::<Ipv4Addr>() else {
        return Err(Problem {
            code: "value",
            message: format!("`{text}` is no IPv4 address"),
            help: Some("for example \"127.2.0.1\"".to_owned()),
        });
    };
    if address.octets().starts_with(&[127, 2]) || address.octets().starts_with(&[127, 3]) {
        return Ok(address);
    }
    Err(Problem {
        code: "address",
        message: format!("{address} is no address of a proxy here"),
        help: Some(MEANING.to_owned()),
    })
}

fn forwarded_for(node: &Node) -> Result<ForwardedFor, Problem> {
    let text = plain_text(node)?;
    Ok(if text == OWN { ForwardedFor::Own } else { ForwardedFor::Fixed(text) })
}
