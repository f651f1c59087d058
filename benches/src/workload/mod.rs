//! Pieces of a handshake without sockets, as the binary `instructions` counts them. Each is prepared once and then repeated.

mod client;
mod codec;
mod gateway;
mod judged;

/// A piece of a handshake, repeated by calling it.
pub type Piece = Box<dyn FnMut()>;

/// Which piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Workload {
    /// The client's signature of a challenge: aws-lc's, and the largest part of `machine`.
    Sign,
    /// The client's handshake without sockets: challenge, signed `connect`, a `hello-ok` of 15.6 KB.
    Machine,
    /// Our WebSocket codec for the same: upgrade request and answer, two messages read, one written, close frames both ways.
    Codec,
    /// The protocol's decoder on the same two messages.
    Decode,
    /// The gateway's decision on a `connect` whose device is proved and paired; without crypto.
    Policy,
    /// The gateway's look at the message alone, with the signature.
    Screen,
    /// A verdict: an attempt of a story in which every phone is refused, approved and let in.
    Oracle,
    /// The figures of the same attempt.
    Record,
}

impl Workload {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Sign,
        Self::Machine,
        Self::Codec,
        Self::Decode,
        Self::Policy,
        Self::Screen,
        Self::Oracle,
        Self::Record,
    ];

    /// Its name on the command line and in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Machine => "machine",
            Self::Codec => "codec",
            Self::Decode => "decode",
            Self::Policy => "policy",
            Self::Screen => "screen",
            Self::Oracle => "oracle",
            Self::Record => "record",
        }
    }

    /// Prepares it. One call of the piece is [`Workload::handshakes`] handshakes.
    #[must_use]
    pub fn prepare(self) -> Piece {
        match self {
            Self::Sign => client::sign(),
            Self::Machine => client::machine(),
            Self::Codec => codec::both_ways(),
            Self::Decode => codec::decode(),
            Self::Policy => gateway::admit_paired(),
            Self::Screen => gateway::screen_device(),
            Self::Oracle => judged::verdicts(),
            Self::Record => judged::figures(),
        }
    }

    /// Handshakes in one call of the piece. What is judged over a whole run cannot be taken apart.
    #[must_use]
    pub const fn handshakes(self) -> u64 {
        match self {
            // A refusal and a session a client.
            Self::Oracle | Self::Record => 2 * judged::CLIENTS as u64,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_can_be_repeated() {
        // Each checks what comes out of it when it is prepared.
        for workload in Workload::ALL {
            let mut piece = workload.prepare();
            piece();
            piece();
        }
    }
}
