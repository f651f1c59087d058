//! The gateway as a scenario wants it.

use protocol::ProfileName;

/// The gateway as the scenario wants it.
#[derive(Debug, Clone)]
pub struct GatewayPlan {
    /// Profile it is held to.
    pub profile: ProfileName,
    /// What is started.
    pub launch: LaunchPlan,
    /// Content of `openclaw.json` without the credentials, which the run adds.
    pub config: serde_json::Value,
    /// What the oracle needs to know of `config`.
    pub auth: AuthMode,
    /// `gateway.trustedProxies` as written.
    pub trusted_proxies: Vec<String>,
    /// `gateway.controlUi.allowedOrigins` as written.
    pub allowed_origins: Vec<String>,
    /// `gateway.allowRealIpFallback`.
    pub allow_real_ip_fallback: bool,
    /// Devices that are in the store before the run and are nobody's clients: they give it weight.
    pub stored_bystanders: u32,
    /// Deliberate fault of the gateway, by name.
    pub defect: Option<String>,
}

/// Which gateway a run starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaunchPlan {
    /// The one in this repository, which knows every profile.
    InRepo,
    /// A release of OpenClaw that was installed before.
    OpenClaw {
        /// Version on npm, which need not be one that a profile is called after.
        version: String,
    },
    /// Anyone's own build.
    Command {
        /// Program and arguments, in which `{port}`, `{state}` and `{config}` stand for what the run chose.
        command: Vec<String>,
        /// How it shows that it is ready.
        ready: Readiness,
    },
}

impl LaunchPlan {
    /// Whether it is the gateway of this repository.
    #[must_use]
    pub const fn is_in_repo(&self) -> bool {
        matches!(self, Self::InRepo)
    }
}

/// How a gateway that knows nothing of this harness shows that it is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It answers a `connect`, and not with `UNAVAILABLE`. Every OpenClaw does, and no other sign is as near to what clients
    /// meet.
    Handshake,
    /// A line of its output holds this text.
    Line(String),
    /// An HTTP GET of this path is answered with a status of 200 to 299.
    Http(String),
}

/// `gateway.auth.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// Shared token.
    Token,
    /// Shared password.
    Password,
    /// No credential.
    None,
}
