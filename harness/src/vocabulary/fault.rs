//! What a nemesis can do to a gateway, and when.

use std::time::Duration;

use protocol::ProfileName;
use serde::{Deserialize, Serialize};

use super::{CohortId, Nanos, StoreEdit};

/// A fault and when it happens.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedFault {
    /// Name in the scenario file; of a fault that happens several times, followed by `/` and a number from 1 on.
    pub name: String,
    /// When; with a trigger, when it begins to be waited for.
    pub at: Nanos,
    /// What it waits for from then on.
    pub trigger: Option<Trigger>,
    /// What.
    pub kind: FaultKind,
    /// How long what was altered stays so; `None` = until the run's end, or there is nothing to undo.
    pub lasts: Option<Duration>,
    /// What is another one when a restarted gateway comes back.
    pub change: Option<Change>,
    /// Of [`FaultKind::Edit`], whose entries are edited, and how.
    pub edit: Option<(CohortId, StoreEdit)>,
}

/// What a restart changes beside the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The shared secret in the gateway's configuration. Operators are told, clients are not.
    Secret,
    /// Whose behaviour the in-repo gateway shows.
    Profile(ProfileName),
}

/// Something that a fault waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// An operator has sent an approval, whatever became of it.
    Approval {
        /// Time from the sending to the fault.
        after: Duration,
    },
}

/// What a fault does. Recorded ones say what became of it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// Signal, wait for the exit, start again with the same port and state directory after `down`.
    Restart {
        /// How it is stopped.
        signal: StopSignal,
        /// Pause between exit and start.
        down: Duration,
    },
    /// SIGHUP: read the store again.
    Reload,
    /// SIGSTOP, then SIGCONT after this long.
    Pause(Duration),
    /// SIGSTOP for a part of every so long: a slow event loop.
    Stall {
        /// How long it stands still.
        of: Duration,
        /// From one standstill to the next.
        every: Duration,
        /// How long this goes on.
        length: Duration,
    },
    /// Something happens to the file that devices are kept in.
    Store(StoreDamage),
    /// The end of [`FaultKind::Store`].
    StoreBack {
        /// The damage was still there, and was undone; otherwise the gateway had written over it.
        put_back: bool,
    },
    /// Another program reads the store and writes it back, again and again.
    SecondWriter {
        /// From one time to the next.
        every: Duration,
        /// From its reading to its writing.
        gap: Duration,
    },
    /// A second gateway is started on the same state directory.
    SecondGateway {
        /// It was let in.
        served: bool,
    },
    /// The gateway gets so much of a core.
    Cpu {
        /// Thousandths of a core.
        permille: u32,
    },
    /// The gateway gets no more memory than this.
    Memory {
        /// Bytes.
        bytes: u64,
    },
    /// Everything between clients and gateway is late, or lost.
    Network {
        /// Each way.
        delay: Duration,
        /// Packets of a million that are lost.
        loss_ppm: u32,
    },
    /// Nothing passes between clients and gateway.
    Partition,
    /// The clients' clocks are off.
    Clock {
        /// By so many milliseconds.
        step_ms: i64,
    },
    /// A restart's gateway came back with another shared secret.
    SecretChanged,
    /// A restart's gateway came back with another behaviour.
    ProfileChanged,
    /// Somebody edits entries of the store while the gateway runs; each is an operation of the history, too.
    Edit {
        /// The gateway wrote in the very moment, and what it wrote was replaced by what had been read before.
        overwrote: bool,
    },
}

impl FaultKind {
    /// The word for it in results.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Restart { .. } => "restart",
            Self::Reload => "reload",
            Self::Pause(_) => "pause",
            Self::Stall { .. } => "stall",
            Self::Store(damage) => damage.word(),
            Self::StoreBack { .. } => "store put back",
            Self::SecondWriter { .. } => "second writer",
            Self::SecondGateway { .. } => "second gateway",
            Self::Cpu { .. } => "cpu",
            Self::Memory { .. } => "memory",
            Self::Network { .. } => "network",
            Self::Partition => "partition",
            Self::Clock { .. } => "clock",
            Self::SecretChanged => "secret changed",
            Self::ProfileChanged => "profile changed",
            Self::Edit { .. } => "store edited",
        }
    }
}

/// What happens to the file that devices are kept in: `devices/paired.json`, or `state/openclaw.sqlite`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreDamage {
    /// It is gone.
    Deleted,
    /// Its first half is left.
    Truncated,
    /// Nothing is left in it.
    Emptied,
    /// It holds an empty JSON array.
    Array,
    /// Its folder cannot be written.
    ReadOnly,
    /// Its disk is full.
    Full,
}

impl FaultKind {
    /// What it alters: two faults that alter the same cannot go on at the same time.
    #[must_use]
    pub const fn place(self) -> &'static str {
        match self {
            Self::Store(_) | Self::StoreBack { .. } | Self::SecondWriter { .. } | Self::Edit { .. } => {
                "store"
            }
            Self::SecondGateway { .. } => "second gateway",
            Self::Cpu { .. } => "cpu",
            Self::Memory { .. } => "memory",
            Self::Network { .. } | Self::Partition => "network",
            Self::Clock { .. } => "clock",
            _ => "process",
        }
    }
}

impl StoreDamage {
    /// The word for it in scenarios and, behind `store`, in results.
    pub const WORDS: [(&'static str, Self); 6] = [
        ("deleted", Self::Deleted),
        ("truncated", Self::Truncated),
        ("emptied", Self::Emptied),
        ("array", Self::Array),
        ("read-only", Self::ReadOnly),
        ("full", Self::Full),
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Deleted => "store deleted",
            Self::Truncated => "store truncated",
            Self::Emptied => "store emptied",
            Self::Array => "store array",
            Self::ReadOnly => "store read-only",
            Self::Full => "store full",
        }
    }

    /// Whether it keeps the gateway from writing, and takes nothing away.
    #[must_use]
    pub const fn forbids_writing(self) -> bool {
        matches!(self, Self::ReadOnly | Self::Full)
    }
}

/// Signal that stops the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopSignal {
    /// Drain and exit.
    Sigterm,
    /// Die at once.
    Sigkill,
}

impl StopSignal {
    /// As users type it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sigterm => "SIGTERM",
            Self::Sigkill => "SIGKILL",
        }
    }
}
