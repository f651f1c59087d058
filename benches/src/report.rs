//! What a client process says when it is done: one line of JSON that the drivers read.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::usage::Cost;

/// One client's run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientReport {
    /// Which client.
    pub client: String,
    /// Handshakes that ended as they should.
    pub good: u64,
    /// Others.
    pub bad: u64,
    /// What they cost.
    pub cost: Cost,
}

impl ClientReport {
    /// CPU time a handshake, microseconds.
    #[must_use]
    pub fn cpu_micros(&self) -> f64 {
        self.cost.cpu_seconds * 1e6 / self.handshakes()
    }

    /// Handshakes a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.handshakes() / self.cost.wall_seconds
    }

    fn handshakes(&self) -> f64 {
        (self.good + self.bad) as f64
    }
}

/// Sessions held, and handshakes made beside them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldReport {
    /// Sessions that were to be held.
    pub sessions: u64,
    /// Sessions held when the handshakes beside them were over.
    pub held_at_end: u64,
    /// Resident bytes before there was a plan.
    pub resident_empty: u64,
    /// … with the plan.
    pub resident_planned: u64,
    /// … with all sessions held.
    pub resident_holding: u64,
    /// The handshakes beside them.
    pub beside: ClientReport,
}

/// A file of figures, made before anything is measured: a path that cannot be written must not cost the measurement.
#[derive(Debug)]
pub struct JsonFile {
    path: PathBuf,
    file: File,
}

impl JsonFile {
    /// Makes the file. Cargo runs a benchmark in `benches/`: relative paths begin there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Writes the figures.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(self, figures: &impl Serialize) -> anyhow::Result<()> {
        serde_json::to_writer_pretty(self.file, figures).with_context(|| self.path.display().to_string())
    }
}
