//! What the attempts of one address do to each other: lock-outs after failed credentials, and sockets without connect
//! (reference, sections 1.1 and 7.1).
//!
//! | module | holds |
//! |---|---|
//! | `counted` | what one connect does to the counters of failed credentials |
//! | `book` | one counter: when it has surely or possibly locked somebody out |
//! | `locks` | from attempts to the lock-outs that there are or may be |
//! | `sockets` | how many sockets of an address were open at a time |
//! | `addresses` | every attempt of every address, in as little memory as will do |

mod addresses;
mod book;
mod counted;
mod locks;
mod sockets;

use std::collections::HashMap;

pub(super) use addresses::Addresses;
pub(super) use counted::{Answer, Counted, Who};
#[cfg(test)]
pub(super) use locks::{Try, locks};
use sockets::Sockets;

use crate::plan::ClientId;

/// How sure it is that somebody is locked out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lock {
    /// He cannot be.
    #[default]
    Open,
    /// He may be.
    Either,
    /// He is.
    Locked,
}

/// An attempt, by its client and number.
pub(super) type Of = (ClientId, u32);

/// What the attempts of one address did to each other.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    pub(super) locks: HashMap<Of, Lock>,
    pub(super) sockets: Sockets,
}
