//! The rules, a file a family. Each says which cause explains everything that counts, or nothing; what speaks against the other
//! causes of its family stands in its answer.
//!
//! The order is the founding article's "Debugging order": is it the gateway at all (`reach`), what does its answer say
//! (`handshake`, `page`, `credential`), was the device approved (`approval`), are the scopes and the role enough (`scopes`),
//! is it the proxy (`proxies`), and only then, was something lost (`approval::lost_store`).

mod approval;
mod credential;
mod handshake;
mod page;
mod proxies;
mod reach;
mod scopes;

use super::answer::{Confidence, Excluded, Exhibit};
use super::case::Case;
use crate::vocabulary::cause::Cause;

/// What a rule found.
pub(super) struct Finding {
    pub cause: Cause,
    pub confidence: Confidence,
    pub why: String,
    /// What it rests on beside the attempts and acts themselves.
    pub exhibits: Vec<Exhibit>,
    pub excluded: Vec<Excluded>,
    pub missing: Vec<String>,
}

impl Finding {
    fn new(cause: Cause, confidence: Confidence, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { cause, confidence, why, exhibits: Vec::new(), excluded: Vec::new(), missing: Vec::new() }
    }

    fn shows(mut self, what: impl Into<String>) -> Self {
        self.exhibits.push(Exhibit { at_us: None, what: what.into() });
        self
    }

    fn not(mut self, cause: Cause, because: impl Into<String>) -> Self {
        self.excluded.push(Excluded { cause, because: because.into() });
        self
    }

    fn lacks(mut self, what: impl Into<String>) -> Self {
        self.missing.push(what.into());
        self
    }
}

/// A rule.
pub(super) type Rule = fn(&Case<'_>) -> Option<Finding>;

/// All rules, each with its cause, in the order in which they are asked.
pub(super) const RULES: [(Cause, Rule); 25] = [
    (Cause::WrongUrl, reach::wrong_url),
    (Cause::GatewayStarting, reach::gateway_starting),
    (Cause::ProtocolMismatch, handshake::protocol_mismatch),
    (Cause::ClockSkew, handshake::clock_skew),
    (Cause::BrokenHandshake, handshake::broken_handshake),
    (Cause::HandshakeTimeout, reach::handshake_timeout),
    (Cause::SocketBudget, reach::socket_budget),
    (Cause::ProxyAttribution, proxies::proxy_attribution),
    (Cause::Origin, page::origin),
    (Cause::InsecureContext, page::insecure_context),
    (Cause::TokenDrift, credential::token_drift),
    (Cause::StaleDeviceToken, credential::stale_device_token),
    (Cause::BootstrapSpent, credential::bootstrap_spent),
    (Cause::RateLimitedNeighbour, credential::rate_limited_neighbour),
    (Cause::PausedClient, approval::paused_client),
    (Cause::NotApproved, approval::not_approved),
    (Cause::ApprovedElsewhere, approval::approved_elsewhere),
    (Cause::NarrowRotation, scopes::narrow_rotation),
    (Cause::ReadOnlyPoisoned, scopes::read_only_poisoned),
    (Cause::ScopeLadder, scopes::scope_ladder),
    (Cause::Role, scopes::role),
    (Cause::MetadataPin, scopes::metadata_pin),
    (Cause::CidrIgnored, proxies::cidr_ignored),
    (Cause::UntrustedProxy, proxies::untrusted_proxy),
    (Cause::LostStore, approval::lost_store),
];
