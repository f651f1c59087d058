//! What all attempts of one driver share while they are at work: the clock, random bytes, buffers and the transcripts.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rand::rngs::SysRng;
use rand::{Rng as _, TryRng as _};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::attempt::Who;
use super::transcripts::Transcripts;
use crate::client::Scratch;
use crate::clock::Clock;
use crate::observation::Direction;
use crate::plan::Nanos;

/// Belongs to one thread, or to one conversation.
pub struct Workbench {
    /// The run's clock.
    pub clock: Clock,
    /// By how many milliseconds the clients' clocks are off.
    pub clock_step: Arc<AtomicI64>,
    /// What is to be sent on the connection at hand.
    pub out: Vec<u8>,
    /// Buffers for the first message.
    pub scratch: Scratch,
    /// What passed in the attempts; `None` = nobody will ask.
    pub transcripts: Option<Transcripts>,
    random: ChaCha8Rng,
}

impl Workbench {
    /// A workbench with empty buffers. Masks and upgrade keys come from a generator of its own, which the system seeds
    /// (RFC 6455, section 5.3, wants masks that nobody can foresee); nothing that is planned or judged depends on them.
    #[must_use]
    pub fn new(clock: Clock, transcripts: Option<Transcripts>) -> Self {
        let mut seed = [0; 32];
        // Without entropy the masks are foreseeable, which harms nobody on loopback.
        let _ = SysRng.try_fill_bytes(&mut seed);
        Self {
            clock,
            clock_step: Arc::default(),
            out: Vec::with_capacity(2048),
            scratch: Scratch::default(),
            transcripts,
            random: ChaCha8Rng::from_seed(seed),
        }
    }

    /// Its clients' clocks are off by what stands there.
    #[must_use]
    pub fn with_clock_step(self, clock_step: Arc<AtomicI64>) -> Self {
        Self { clock_step, ..self }
    }

    /// The clients' wall clock, milliseconds since the Unix epoch.
    #[must_use]
    pub fn wall_ms(&self) -> u64 {
        self.clock.wall_ms().saturating_add_signed(self.clock_step.load(Ordering::Relaxed))
    }

    /// A masking key.
    pub fn mask(&mut self) -> [u8; 4] {
        self.random.next_u32().to_le_bytes()
    }

    /// Bytes for an upgrade key.
    pub fn key(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.random.fill_bytes(&mut bytes);
        bytes
    }

    /// Notes what passed in an attempt.
    pub fn note(&mut self, who: Who, at: Nanos, direction: Direction, text: &[u8]) {
        if let Some(transcripts) = &mut self.transcripts {
            transcripts.note(who, at, direction, text);
        }
    }

    /// Notes that the first message was sent.
    pub fn note_sent(&mut self, who: Who, at: Nanos) {
        if let Some(transcripts) = &mut self.transcripts {
            transcripts.note(who, at, Direction::Out, &self.scratch.message);
        }
    }
}
