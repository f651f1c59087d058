//! Who may connect and who may call what: pure, without sockets, files, clocks or randomness.
//!
//! A connect is judged in two halves, in the order of `docs/reference/article-profile.md`, section 2:
//!
//! 1. [`screen`] looks at the message and at nothing else (rows 5 to 15, and the shared secret of clients without a
//!    device). It gives a refusal, a session without a device, or a [`DeviceAttempt`].
//! 2. [`admit`] holds a [`DeviceAttempt`] against what is known of the device (rows 16 and 17) and says what to answer
//!    and what to change. The server runs it on the published snapshot; if it wants a durable change, the store runs it
//!    again on the working state, so that judging and recording are one step.
//!
//! | file | concern |
//! |---|---|
//! | [`attempt`] | the rows themselves, in their order |
//! | [`http_facts`] | what the upgrade request said |
//! | `params` | the parameters, from the text of the message |
//! | [`schema`] | shapes of parameters and the validator's texts |
//! | [`locality`] | client address, trusted proxies, local or remote |
//! | [`origin`] | browsers' `Origin` |
//! | [`device_proof`] | id, clock, nonce, signature |
//! | [`credential`] | shared secret and device token |
//! | [`rate_limit`] | failures counted by client, locks and delays |
//! | [`pairing`] | the four reasons, pending requests, silent approval, tokens, and the operators' changes |
//! | [`scopes`] | coverage and unions |
//! | [`authority`] | what a session may call and hear |
//! | [`refusal`] | answers, and the close frame after them |

pub mod attempt;
pub mod authority;
pub mod credential;
pub mod device_proof;
pub mod entry;
pub mod http_facts;
pub mod locality;
pub mod origin;
pub mod pairing;
mod params;
pub mod rate_limit;
pub mod refusal;
pub mod schema;
pub mod scopes;
mod spoiled;

pub use attempt::{Anonymous, DeviceAttempt, Place, Screened, screen};
pub use authority::Caller;
pub use entry::{DeviceEntry, DeviceView, TokenEntry};
pub use http_facts::HttpFacts;
pub use locality::Locality;
pub use pairing::{Accepted, Admission, Change, Effects, PairingEvent, admit, admit_in_two_steps};
pub use rate_limit::{RateLimitConfig, RateLimiter};
pub use refusal::Refusal;

use crate::config::AuthConfig;
use crate::defect::Defect;
use crate::profile::Profile;

/// What every decision is made by; fixed while a gateway runs.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The behaviour.
    pub profile: &'static Profile,
    /// `gateway.auth`.
    pub auth: AuthConfig,
    /// Parsed `gateway.trustedProxies`.
    pub trusted_proxies: locality::TrustedProxies,
    /// `gateway.allowRealIpFallback`.
    pub allow_real_ip_fallback: bool,
    /// `gateway.controlUi.allowedOrigins`.
    pub allowed_origins: Vec<String>,
    /// `gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback`.
    pub host_origin_fallback: bool,
    /// `gateway.nodes.pairing.autoApproveLocal`.
    pub auto_approve_local: bool,
    /// Age at which a pending request is gone, milliseconds; the profile's, scaled.
    pub pending_ttl_ms: u64,
    /// Deliberate fault.
    pub defect: Option<Defect>,
}

impl Rules {
    /// The rules of a profile whose configuration says nothing but how to authenticate.
    #[must_use]
    pub fn of(profile: &'static Profile, auth: AuthConfig) -> Self {
        Self {
            profile,
            auth,
            trusted_proxies: locality::TrustedProxies::default(),
            allow_real_ip_fallback: false,
            allowed_origins: Vec::new(),
            host_origin_fallback: false,
            auto_approve_local: true,
            pending_ttl_ms: profile.pending_ttl_ms,
            defect: None,
        }
    }
}

/// Where request ids and tokens come from; a test gives a counter.
pub trait Fresh {
    /// A new request id (UUID v4).
    fn request_id(&mut self) -> String;
    /// A new device token (32 random bytes as 43 characters of base64url).
    fn token(&mut self) -> String;
}

#[cfg(test)]
mod tests;
