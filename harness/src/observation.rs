//! What was seen of one attempt to connect.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::vocabulary::{ClientId, Nanos};

/// A 64-bit digest of a secret or an id: equal digests mean equal values, the value itself is not kept.
///
/// Device tokens are secrets; the oracle needs only to know whether two are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint(#[serde(with = "postcard::fixint::le")] pub u64);

/// Digest of a secret for the history; see [`Fingerprint`].
#[must_use]
pub fn fingerprint(secret: &str) -> Fingerprint {
    let digest = Sha256::digest(secret.as_bytes());
    let mut first = [0_u8; 8];
    for (to, from) in first.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    Fingerprint(u64::from_le_bytes(first))
}

/// One attempt of one client, complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Who.
    pub client: ClientId,
    /// Which attempt of this client, counted from 0.
    pub attempt: u32,
    /// Which of its cohort's connects it made ([`crate::vocabulary::Cohort::ask`]).
    pub ask: u16,
    /// Where it stands in its client's script; `None` = the client has none.
    pub step: Option<ScriptPlace>,
    /// When it was to start: by the schedule, or by the client's back-off.
    pub intended: Nanos,
    /// When things happened.
    pub stamps: Stamps,
    /// The device token that was presented, if one was.
    pub presented_token: Option<Fingerprint>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Which step of its client's script an attempt belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptPlace {
    /// Position in [`crate::vocabulary::Cohort::script`].
    pub step: u16,
    /// The step is one that connects, and ended with this attempt.
    pub last: bool,
}

impl Observation {
    /// When the last thing was seen of it; of one that never started, when it was to start.
    #[must_use]
    pub fn ended_at(&self) -> Nanos {
        self.stamps.last().unwrap_or(self.intended)
    }
}

/// When the phases of an attempt ended; `None` = never reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamps {
    /// The attempt really started (the socket was created); `None` only for dropped attempts.
    pub started: Option<Nanos>,
    /// TCP connected.
    pub dialled: Option<Nanos>,
    /// 101 received.
    pub upgraded: Option<Nanos>,
    /// Challenge received.
    pub challenged: Option<Nanos>,
    /// `connect` handed to the kernel. The gateway cannot have judged before.
    pub sent: Option<Nanos>,
    /// Response (hello-ok or error frame) received. The gateway judged before.
    pub answered: Option<Nanos>,
    /// Close frame or end of stream received (refusals and failures only).
    pub ended: Option<Nanos>,
}

impl Stamps {
    /// The latest stamp there is.
    #[must_use]
    pub fn last(&self) -> Option<Nanos> {
        [self.ended, self.answered, self.sent, self.challenged, self.upgraded, self.dialled, self.started]
            .into_iter()
            .flatten()
            .max()
    }
}

/// How an attempt ended. One word each; the words are those of `result.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// hello-ok.
    Session(Grant),
    /// An error frame, then (normally) a close.
    Refused(Refusal),
    /// An HTTP status instead of 101.
    UpgradeRefused {
        /// HTTP status.
        status: u16,
        /// First bytes of the body.
        body: String,
    },
    /// The connection ended without an answer to `connect`.
    Closed(Closed),
    /// Nothing came in time.
    TimedOut {
        /// What was awaited.
        phase: Phase,
    },
    /// TCP said no, or a socket connected to itself.
    ConnectionRefused,
    /// No route, or another error of the network.
    Unreachable {
        /// The operating system's text.
        error: String,
    },
    /// Something answered that does not speak the protocol.
    NotAGateway {
        /// What it did.
        what: String,
    },
    /// The generator could not start the attempt.
    Dropped(DropReason),
}

impl Outcome {
    /// The word under which `result.json` counts it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Session(_) => "session",
            Self::Refused(_) => "refused",
            Self::UpgradeRefused { .. } => "upgrade_refused",
            Self::Closed(_) => "closed",
            Self::TimedOut { .. } => "timed_out",
            Self::ConnectionRefused => "connection_refused",
            Self::Unreachable { .. } => "unreachable",
            Self::NotAGateway { .. } => "not_a_gateway",
            Self::Dropped(_) => "dropped",
        }
    }

    /// Every word, in the order of `result.json`.
    pub const WORDS: [&'static str; 9] = [
        "session",
        "refused",
        "upgrade_refused",
        "closed",
        "timed_out",
        "connection_refused",
        "unreachable",
        "not_a_gateway",
        "dropped",
    ];
}

/// What hello-ok granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// `protocol`
    pub protocol: u32,
    /// `auth`, if there was one.
    pub auth: Option<GrantAuth>,
}

/// `hello.auth`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantAuth {
    /// Role of the token.
    pub role: String,
    /// Scopes of the token, as sent.
    pub scopes: Vec<String>,
    /// The token.
    pub token: Option<Fingerprint>,
}

/// A refusal as seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// `error.code`
    pub code: String,
    /// `error.message`
    pub message: String,
    /// `error.details.code`
    pub detail_code: Option<String>,
    /// `error.details.reason`
    pub reason: Option<String>,
    /// `error.details.authReason`
    pub auth_reason: Option<String>,
    /// `error.details.recommendedNextStep`
    pub next_step: Option<String>,
    /// `error.details.requestId`
    pub request_id: Option<String>,
    /// The close that followed; `None` = none came before the attempt's time was up.
    pub close: Option<CloseSeen>,
}

/// A close as seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CloseSeen {
    /// A close frame.
    Frame {
        /// Close code; 1005 when the frame was empty.
        code: u16,
        /// Close reason.
        reason: String,
    },
    /// The stream ended, or was reset, without one (1006).
    Abrupt,
}

/// A connection that ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// How.
    pub close: CloseSeen,
    /// What was awaited.
    pub phase: Phase,
}

/// What an attempt waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// TCP connection.
    Dial,
    /// 101.
    Upgrade,
    /// `connect.challenge`.
    Challenge,
    /// hello-ok or an error frame.
    Verdict,
    /// The close after an error frame.
    Close,
}

impl Phase {
    /// Name in results.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dial => "dial",
            Self::Upgrade => "upgrade",
            Self::Challenge => "challenge",
            Self::Verdict => "verdict",
            Self::Close => "close",
        }
    }
}

/// Why an attempt was never started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DropReason {
    /// As many attempts in progress as the plan allows.
    InFlightLimit,
    /// Out of file descriptors.
    Descriptors,
    /// Out of ports on the source address.
    Ports,
    /// The run ended first.
    RunEnded,
}

impl DropReason {
    /// Name in results.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InFlightLimit => "in_flight_limit",
            Self::Descriptors => "descriptors",
            Self::Ports => "ports",
            Self::RunEnded => "run_ended",
        }
    }
}

/// One line of what passed between a client and the gateway in an attempt. Holds secrets until it is redacted on its way
/// to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranscriptLine {
    /// When.
    pub at: Nanos,
    /// Which way.
    pub direction: Direction,
    /// Frame text (cut if long), close, or header lines.
    pub text: String,
}

/// Which way a line of a transcript went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the gateway.
    In,
    /// To the gateway.
    Out,
    /// A remark of the harness.
    Note,
}
