//! The history of a run: everything that verdicts and timelines are made from.
//!
//! Clients, operators and the nemesis append; checkers and reports read, after the run. No record has a field for a secret, and
//! [`secret`] covers the shared one where a gateway sends it back.
//!
//! On disk it is `history.bin` (`docs/reference/history.md`): [`writer`] writes it while the load goes on, [`reader`],
//! [`log`] and [`tail`] read it, [`mod@format`] knows its bytes. In memory there is a [`History`] of as many clients as one asks for.

mod borrowed;
pub mod format;
pub mod log;
pub mod reader;
pub mod secret;
mod stamps;
pub mod tail;
#[cfg(test)]
mod tests;
pub mod writer;

pub use borrowed::{AttemptRef, CloseRef, ClosedRef, GrantAuthRef, GrantRef, OutcomeRef, RefusalRef};
pub use format::{End, Header};
pub use log::Log;
pub use reader::{Break, OpenError, Reader};
pub use secret::Secret;
use serde::{Deserialize, Serialize};
pub use tail::Tail;
pub use writer::{Backpressure, Intake, Outlet, Writer, Written};

use crate::observation::{CloseSeen, Fingerprint, Observation};
pub use crate::vocabulary::StoreEdit;
use crate::vocabulary::{ClientId, Nanos};

/// All that happened, in no particular order; each record carries its own times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Attempts of all clients.
    pub attempts: Vec<Observation>,
    /// Ends of sessions.
    pub session_ends: Vec<SessionEnd>,
    /// What operators noticed.
    pub notices: Vec<Notice>,
    /// What operators did.
    pub operations: Vec<Operation>,
    /// What the nemesis did.
    pub faults: Vec<Fault>,
    /// Events about pairing that clients' sessions received.
    pub overheard: Vec<Overheard>,
    /// What clients called over their sessions, as their scripts have it.
    pub calls: Vec<Call>,
    /// When the run ended; operations without completion stay open until here.
    pub ended: Nanos,
}

/// The end of a session that an attempt had opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnd {
    /// Whose.
    pub client: ClientId,
    /// The attempt that opened it.
    pub attempt: u32,
    /// When.
    pub at: Nanos,
    /// Who ended it.
    pub by: EndedBy,
}

/// Who ended a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndedBy {
    /// The client, as scripted.
    Client,
    /// The gateway or the network.
    Gateway(CloseSeen),
}

/// An operator learnt of a pending request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Position of the operator in the plan.
    pub operator: u16,
    /// Device that asks, if it is one of the plan's clients.
    pub client: Option<ClientId>,
    /// The request.
    pub request_id: String,
    /// When.
    pub at: Nanos,
}

/// Something an operator did to one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Position of the operator in the plan, or [`STEPS`].
    pub operator: u16,
    /// The device, if it is one of the plan's clients.
    pub client: Option<ClientId>,
    /// What.
    pub kind: OperationKind,
    /// Through whose session; `None` = that of an operator of the run's own, who holds every scope.
    pub caller: Option<Caller>,
    /// When the request was handed to the kernel.
    pub invoked: Nanos,
    /// How it ended; [`OperationEnd::Unknown`] may or may not have happened.
    pub end: OperationEnd,
}

/// A client's session through which something was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Whose.
    pub client: ClientId,
    /// The attempt that opened it.
    pub attempt: u32,
}

/// An event about pairing, on the session of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overheard {
    /// Whose session.
    pub client: ClientId,
    /// The attempt that opened it.
    pub attempt: u32,
    /// Which event.
    pub event: HeardEvent,
    /// When.
    pub at: Nanos,
}

/// A call over the session of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Whose session.
    pub client: ClientId,
    /// The attempt that opened it.
    pub attempt: u32,
    /// Position in the script of the client's cohort, which says what was called.
    pub step: u16,
    /// When it was handed to the kernel.
    pub sent: Nanos,
    /// How it ended.
    pub end: CallEnd,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallEnd {
    /// The gateway did it.
    Done {
        /// When the answer arrived.
        at: Nanos,
    },
    /// It refused.
    Refused {
        /// When the answer arrived.
        at: Nanos,
        /// `error.code`
        code: String,
        /// `error.message`
        message: String,
        /// `error.details.code`
        detail_code: Option<String>,
    },
    /// The session ended before an answer, or the client no longer waited.
    NoAnswer {
        /// When.
        at: Nanos,
    },
}

impl CallEnd {
    /// When it ended.
    #[must_use]
    pub const fn at(&self) -> Nanos {
        match self {
            Self::Done { at } | Self::Refused { at, .. } | Self::NoAnswer { at } => *at,
        }
    }

    /// Its word in results.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Done { .. } => "ok",
            Self::Refused { .. } => "refused",
            Self::NoAnswer { .. } => "no_answer",
        }
    }
}

/// An event that only sessions that see to pairing may receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HeardEvent {
    /// `device.pair.requested`
    Requested,
    /// `device.pair.resolved`
    Resolved,
}

impl HeardEvent {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => protocol::pairing::event::REQUESTED,
            Self::Resolved => protocol::pairing::event::RESOLVED,
        }
    }

    /// The event of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        [Self::Requested, Self::Resolved].into_iter().find(|event| event.as_str() == name)
    }
}

/// What an operator did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationKind {
    /// `device.pair.approve`
    Approve {
        /// The request.
        request_id: String,
    },
    /// `device.pair.reject`
    Reject {
        /// The request.
        request_id: String,
    },
    /// `device.pair.remove`
    Remove,
    /// `device.token.rotate`
    Rotate {
        /// Role of the token.
        role: String,
        /// New scopes, if given.
        scopes: Option<Vec<String>>,
    },
    /// The entry was changed in the gateway's store, behind its back.
    Edit(StoreEdit),
    /// `device.token.revoke`
    Revoke {
        /// Role of the token.
        role: String,
    },
}

impl Operation {
    /// Somebody's edit of the stored entry of a client. `found`: there was one; `None` = nobody knows what became of the edit.
    #[must_use]
    pub fn edit(
        client: ClientId,
        edit: &StoreEdit,
        (invoked, at): (Nanos, Nanos),
        found: Option<bool>,
    ) -> Self {
        let end = match found {
            Some(true) => OperationEnd::Done { at, token: None },
            Some(false) => {
                let message = "the store has no entry of this device".to_owned();
                OperationEnd::Refused { at, code: String::new(), message }
            }
            None => OperationEnd::Unknown,
        };
        let kind = OperationKind::Edit(edit.clone());
        Self { operator: STEPS, client: Some(client), kind, caller: None, invoked, end }
    }
}

/// [`Operation::operator`] of what the steps of a story do: no operator of the plan's.
pub const STEPS: u16 = u16::MAX;

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationEnd {
    /// Acknowledged.
    Done {
        /// When the acknowledgement arrived.
        at: Nanos,
        /// The token that `rotate` returned.
        token: Option<Fingerprint>,
    },
    /// Refused by the gateway.
    Refused {
        /// When the answer arrived.
        at: Nanos,
        /// `error.code`
        code: String,
        /// `error.message`
        message: String,
    },
    /// The connection ended before the answer.
    Unknown,
}

impl OperationEnd {
    /// When the answer arrived, if one did.
    #[must_use]
    pub const fn at(&self) -> Option<Nanos> {
        match self {
            Self::Done { at, .. } | Self::Refused { at, .. } => Some(*at),
            Self::Unknown => None,
        }
    }
}

/// Something the nemesis did to the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Name in the scenario.
    pub name: String,
    /// What.
    pub kind: crate::vocabulary::FaultKind,
    /// When it began (signal sent).
    pub began: Nanos,
    /// When the gateway was seen to be itself again (port open, or continued); `None` = not before the run's end.
    pub ended: Option<Nanos>,
    /// Timeline of a restart.
    pub restart: Option<RestartStamps>,
}

/// When the stages of a restart were seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartStamps {
    /// First dial that the port did not accept.
    pub port_closed: Option<Nanos>,
    /// The process was gone.
    pub exited: Option<Nanos>,
    /// The new process was started.
    pub spawned: Option<Nanos>,
    /// First dial that the port accepted again.
    pub port_open: Option<Nanos>,
}

/// One record of the history, as it is handed from the place that saw it to the place that keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An attempt ended.
    Attempt(Observation),
    /// A session ended.
    SessionEnd(SessionEnd),
    /// An operator noticed a request.
    Notice(Notice),
    /// An operator's operation ended.
    Operation(Operation),
    /// A fault ended, or the run did before it.
    Fault(Fault),
    /// A client's session received an event about pairing.
    Overheard(Overheard),
    /// A client's call ended.
    Call(Call),
}

impl History {
    /// Appends a record.
    pub fn push(&mut self, record: Record) {
        match record {
            Record::Attempt(attempt) => self.attempts.push(attempt),
            Record::SessionEnd(end) => self.session_ends.push(end),
            Record::Notice(notice) => self.notices.push(notice),
            Record::Operation(operation) => self.operations.push(operation),
            Record::Fault(fault) => self.faults.push(fault),
            Record::Overheard(heard) => self.overheard.push(heard),
            Record::Call(call) => self.calls.push(call),
        }
    }
}
