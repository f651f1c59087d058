//! Steps of a story.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ClientId, Expectation, FaultKind};

/// One step of a story. It begins when the one before has ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A client connects.
    Connect(StepConnect),
    /// A client leaves every session it holds.
    Leave(ClientId),
    /// Somebody who may, or may not, does something to a device.
    Act {
        /// What.
        action: Action,
        /// The client through whose held session it is done; `None` = an operator of the run's own.
        by: Option<ClientId>,
    },
    /// The entry of a device is changed in the gateway's store, behind its back.
    Edit {
        /// Whose.
        client: ClientId,
        /// How.
        edit: StoreEdit,
    },
    /// Something happens to the gateway's process.
    Fault(FaultKind),
    /// Nothing happens for this long.
    Wait(Duration),
}

/// A connect in a story.
#[derive(Debug, Clone, PartialEq)]
pub struct StepConnect {
    /// Who.
    pub client: ClientId,
    /// Which of its cohort's connects ([`Cohort::ask`](super::Cohort::ask)).
    pub ask: u16,
    /// Whether it stays, if it gets a session, until it is told to leave or the story ends.
    pub hold: bool,
    /// What the scenario expects of it beside the oracle.
    pub expect: Option<Expectation>,
    /// Line of the scenario file, counted from 1.
    pub line: u32,
}

/// Something that is done to a device over a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `device.pair.approve`
    Approve(Request),
    /// `device.pair.reject`
    Reject(Request),
    /// `device.pair.remove`
    Remove(ClientId),
    /// `device.token.rotate`
    Rotate {
        /// Whose token.
        client: ClientId,
        /// Role of the token.
        role: String,
        /// New scopes; `None` leaves the key out.
        scopes: Option<Vec<String>>,
        /// Whether the client is told the new token.
        give: bool,
    },
    /// `device.token.revoke`
    Revoke {
        /// Whose token.
        client: ClientId,
        /// Role of the token.
        role: String,
    },
}

/// Which pending request is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// The one this client was told of last; if it was told of none, one that does not exist.
    Of(ClientId),
    /// The newest that the gateway lists.
    Latest,
}

/// What somebody's editor did to the entry of one device in the gateway's store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreEdit {
    /// The approved scopes became these, wherever the release keeps them.
    SetScopes(Vec<String>),
    /// The entry went.
    DropEntry,
}
