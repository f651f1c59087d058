//! What was verified, as text and as JSON.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use crate::record::exit_code::{ExitCode, RunVerdict};

/// Version of the JSON form. A change that readers must know of raises it.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that was verified.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct VerifyResult {
    /// Always 1.
    pub schema_version: u32,
    /// Whether every run showed what it must.
    pub passed: bool,
    /// A signal ended it early; what was found until then stands.
    pub interrupted: bool,
    /// Exit code of the command.
    pub exit_code: u8,
    /// Deliberate fault of the gateway in every run in whose profile it is one.
    pub defect: Option<String>,
    /// How long it took, µs.
    pub took_us: u64,
    /// Runs of the same time.
    pub jobs: u64,
    /// Every run, in the order of the files.
    pub rows: Vec<Row>,
}

/// One run of a scenario.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Row {
    /// The scenario's file, as found.
    pub file: String,
    /// Which combination of its sweep; empty if it has none.
    pub label: String,
    /// What became of it.
    pub ended: Ended,
    /// What differs, why it was skipped or why it failed, a sentence each.
    pub said: Vec<String>,
    /// The run's verdict; `null` = there was none.
    pub verdict: Option<RunVerdict>,
    /// It was run again by itself, because it differed and had too little of the machine while others ran beside it. A mismatch that
    /// this does not explain is no reason: it stands. What the first run said stands behind `the first time: `.
    pub again_alone: bool,
    /// How long the run took, µs.
    pub took_us: u64,
    /// Its folder.
    pub folder: String,
}

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It showed what it must.
    Pass,
    /// It did not.
    Differs,
    /// There is no result.
    Failed,
    /// The expected result says why it is not run.
    Skipped,
    /// What is expected was written from what was seen.
    Written,
    /// A signal came first.
    NotRun,
}

impl Ended {
    /// As the table calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Differs => "DIFFERS",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
            Self::Written => "written",
            Self::NotRun => "not run",
        }
    }
}

impl VerifyResult {
    /// Draws the sum from the rows.
    #[must_use]
    pub fn sum_up(mut self) -> Self {
        let exit = self.exit();
        self.passed = exit == ExitCode::Pass;
        self.exit_code = exit.code();
        self
    }

    /// Exit code of the command: 130, then 3 if a run has no result, 1 if one differs, 4 if all that differs is that figures
    /// could not be trusted.
    #[must_use]
    pub fn exit(&self) -> ExitCode {
        let any = |ended: Ended| self.rows.iter().any(|row| row.ended == ended);
        let distrusted = |row: &Row| row.verdict == Some(RunVerdict::Invalid);
        if self.interrupted {
            ExitCode::Interrupted
        } else if any(Ended::Failed) || any(Ended::NotRun) {
            ExitCode::Failed
        } else if self.rows.iter().any(|row| row.ended == Ended::Differs && !distrusted(row)) {
            ExitCode::Violated
        } else if any(Ended::Differs) {
            ExitCode::Invalid
        } else {
            ExitCode::Pass
        }
    }

    /// What stands below the rows.
    #[must_use]
    pub fn ending(&self) -> String {
        let of = |ended: Ended| self.rows.iter().filter(|row| row.ended == ended).count();
        let verdict = match self.exit() {
            ExitCode::Pass => "PASS",
            ExitCode::Interrupted => "INTERRUPTED",
            ExitCode::Invalid => "INVALID",
            ExitCode::Failed => "FAILED",
            _ => "DIFFERS",
        };
        let mut text =
            format!("\n{verdict}: {} of {} runs show what they must", of(Ended::Pass), self.rows.len());
        for (ended, words) in [
            (Ended::Differs, "differ"),
            (Ended::Failed, "have no result"),
            (Ended::Written, "were written down"),
            (Ended::Skipped, "are not run here"),
            (Ended::NotRun, "were not run any more"),
        ] {
            if of(ended) > 0 {
                let _ = write!(text, ", {} {words}", of(ended));
            }
        }
        let _ = writeln!(text, "; {:.0} s, {} at a time", self.took_us as f64 / 1e6, self.jobs);
        text
    }

    /// The whole as JSON, with a newline at the end.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

impl Row {
    /// A line, and one below it for each thing that is said.
    #[must_use]
    pub fn text(&self) -> String {
        let name =
            if self.label.is_empty() { self.file.clone() } else { format!("{} {}", self.file, self.label) };
        let took = match self.ended {
            Ended::Skipped | Ended::NotRun => String::new(),
            _ => format!("{:.1} s", self.took_us as f64 / 1e6),
        };
        let alone = if self.again_alone { ", the second time, alone" } else { "" };
        let mut text = format!("{:8} {name:64} {took:>7}{alone}", self.ended.as_str()).trim_end().to_owned();
        for said in &self.said {
            let _ = write!(text, "\n           {said}");
        }
        text.push('\n');
        text
    }
}
