//! How a client opens its connection: the upgrade request, and the same in words for a transcript.

use crate::client::upgrade::UpgradeHeaders;
use crate::gateway::TargetAddress;
use crate::websocket::{InvalidHeader, UpgradeRequest};

/// An upgrade request, made once for all who send the same.
#[derive(Debug)]
pub struct Opening {
    /// All bytes but the key.
    pub request: UpgradeRequest,
    /// What stands in transcripts.
    pub described: Box<str>,
}

impl Opening {
    /// The opening of a client that sends `headers` to `target`.
    ///
    /// # Errors
    /// [`InvalidHeader`] when a header of the scenario cannot be sent.
    pub fn new(target: &TargetAddress, headers: &UpgradeHeaders) -> Result<Self, InvalidHeader> {
        let mut described = format!("GET {} Host: {}", target.path, headers.host);
        for (name, value) in &headers.others {
            described.push_str("; ");
            described.push_str(name);
            described.push_str(": ");
            described.push_str(value);
        }
        Ok(Self { request: UpgradeRequest::new(&target.path, headers)?, described: described.into() })
    }
}
