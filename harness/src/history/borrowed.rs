//! An attempt that borrows its texts from the message they came in.
//!
//! What a reactor writes for each handshake. Whoever keeps an attempt has an [`Observation`], which owns them.

use serde::Serialize;

use crate::observation::{
    CloseSeen, Closed, DropReason, Fingerprint, Grant, GrantAuth, Observation, Outcome, Phase, Refusal,
    ScriptPlace, Stamps,
};
use crate::vocabulary::{ClientId, Nanos};

/// [`Observation`], borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AttemptRef<'a> {
    /// [`Observation::client`]
    pub client: ClientId,
    /// [`Observation::attempt`]
    pub attempt: u32,
    /// [`Observation::ask`]
    pub ask: u16,
    /// [`Observation::step`]
    pub step: Option<ScriptPlace>,
    /// [`Observation::intended`]
    pub intended: Nanos,
    /// [`Observation::stamps`]
    pub stamps: Stamps,
    /// [`Observation::presented_token`]
    pub presented_token: Option<Fingerprint>,
    /// [`Observation::outcome`]
    pub outcome: OutcomeRef<'a>,
}

/// [`Outcome`], borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum OutcomeRef<'a> {
    /// [`Outcome::Session`]
    Session(GrantRef<'a>),
    /// [`Outcome::Refused`]
    Refused(RefusalRef<'a>),
    /// [`Outcome::UpgradeRefused`]
    UpgradeRefused {
        /// HTTP status.
        status: u16,
        /// First bytes of the body.
        body: &'a str,
    },
    /// [`Outcome::Closed`]
    Closed(ClosedRef<'a>),
    /// [`Outcome::TimedOut`]
    TimedOut {
        /// What was awaited.
        phase: Phase,
    },
    /// [`Outcome::ConnectionRefused`]
    ConnectionRefused,
    /// [`Outcome::Unreachable`]
    Unreachable {
        /// The operating system's text.
        error: &'a str,
    },
    /// [`Outcome::NotAGateway`]
    NotAGateway {
        /// What it did.
        what: &'a str,
    },
    /// [`Outcome::Dropped`]
    Dropped(DropReason),
}

/// [`Grant`], borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct GrantRef<'a> {
    /// [`Grant::protocol`]
    pub protocol: u32,
    /// [`Grant::auth`]
    pub auth: Option<GrantAuthRef<'a>>,
}

/// [`GrantAuth`], borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct GrantAuthRef<'a> {
    /// [`GrantAuth::role`]
    pub role: &'a str,
    /// [`GrantAuth::scopes`]
    pub scopes: &'a [&'a str],
    /// [`GrantAuth::token`]
    pub token: Option<Fingerprint>,
}

/// [`Refusal`], borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RefusalRef<'a> {
    /// [`Refusal::code`]
    pub code: &'a str,
    /// [`Refusal::message`]
    pub message: &'a str,
    /// [`Refusal::detail_code`]
    pub detail_code: Option<&'a str>,
    /// [`Refusal::reason`]
    pub reason: Option<&'a str>,
    /// [`Refusal::auth_reason`]
    pub auth_reason: Option<&'a str>,
    /// [`Refusal::next_step`]
    pub next_step: Option<&'a str>,
    /// [`Refusal::request_id`]
    pub request_id: Option<&'a str>,
    /// [`Refusal::close`]
    pub close: Option<CloseRef<'a>>,
}

/// [`CloseSeen`], borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum CloseRef<'a> {
    /// [`CloseSeen::Frame`]
    Frame {
        /// Close code; 1005 when the frame was empty.
        code: u16,
        /// Close reason.
        reason: &'a str,
    },
    /// [`CloseSeen::Abrupt`]
    Abrupt,
}

/// [`Closed`], borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ClosedRef<'a> {
    /// [`Closed::close`]
    pub close: CloseRef<'a>,
    /// [`Closed::phase`]
    pub phase: Phase,
}

impl AttemptRef<'_> {
    /// The same, with its own texts.
    #[must_use]
    pub fn to_observation(&self) -> Observation {
        Observation {
            client: self.client,
            attempt: self.attempt,
            ask: self.ask,
            step: self.step,
            intended: self.intended,
            stamps: self.stamps,
            presented_token: self.presented_token,
            outcome: self.outcome.to_outcome(),
        }
    }
}

impl OutcomeRef<'_> {
    /// The same, with its own texts.
    #[must_use]
    pub fn to_outcome(&self) -> Outcome {
        match *self {
            Self::Session(grant) => Outcome::Session(Grant {
                protocol: grant.protocol,
                auth: grant.auth.map(|auth| GrantAuth {
                    role: auth.role.to_owned(),
                    scopes: auth.scopes.iter().map(|scope| (*scope).to_owned()).collect(),
                    token: auth.token,
                }),
            }),
            Self::Refused(refusal) => Outcome::Refused(Refusal {
                code: refusal.code.to_owned(),
                message: refusal.message.to_owned(),
                detail_code: refusal.detail_code.map(str::to_owned),
                reason: refusal.reason.map(str::to_owned),
                auth_reason: refusal.auth_reason.map(str::to_owned),
                next_step: refusal.next_step.map(str::to_owned),
                request_id: refusal.request_id.map(str::to_owned),
                close: refusal.close.map(|close| close.to_close()),
            }),
            Self::UpgradeRefused { status, body } => {
                Outcome::UpgradeRefused { status, body: body.to_owned() }
            }
            Self::Closed(ClosedRef { close, phase }) => {
                Outcome::Closed(Closed { close: close.to_close(), phase })
            }
            Self::TimedOut { phase } => Outcome::TimedOut { phase },
            Self::ConnectionRefused => Outcome::ConnectionRefused,
            Self::Unreachable { error } => Outcome::Unreachable { error: error.to_owned() },
            Self::NotAGateway { what } => Outcome::NotAGateway { what: what.to_owned() },
            Self::Dropped(reason) => Outcome::Dropped(reason),
        }
    }
}

impl CloseRef<'_> {
    /// The same, with its own text.
    #[must_use]
    pub fn to_close(&self) -> CloseSeen {
        match *self {
            Self::Frame { code, reason } => CloseSeen::Frame { code, reason: reason.to_owned() },
            Self::Abrupt => CloseSeen::Abrupt,
        }
    }
}
