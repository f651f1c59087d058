//! The verdict on a run and the exit codes of the command: the only place that knows a number.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Verdict on what a run measured. When several apply, the first in the order of the variants wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunVerdict {
    /// The run could not start or reach the gateway.
    Failed,
    /// At least one outcome is not one that the oracle or the scenario allows.
    Violated,
    /// The numbers cannot be trusted: the generator was saturated, evidence is missing, or too many outcomes could not
    /// be judged.
    Invalid,
    /// A threshold of the scenario was not met.
    Threshold,
    /// None of the above.
    Pass,
}

impl RunVerdict {
    /// All verdicts, the winning ones first.
    pub const ALL: [Self; 5] = [Self::Failed, Self::Violated, Self::Invalid, Self::Threshold, Self::Pass];

    /// Name in results.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Violated => "violated",
            Self::Invalid => "invalid",
            Self::Threshold => "threshold",
            Self::Pass => "pass",
        }
    }
}

/// Exit code of the command.
///
/// A run that was interrupted exits with [`ExitCode::Interrupted`] whatever was measured until then; its verdict stands
/// in `result.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// Every outcome was allowed, the numbers can be trusted and every threshold was met.
    Pass = 0,
    /// At least one outcome was not one that the oracle or the scenario allows.
    Violated = 1,
    /// A threshold of the scenario was not met.
    Threshold = 2,
    /// The gateway could not be started or reached, or this machine cannot carry the load.
    Failed = 3,
    /// The numbers cannot be trusted: generator saturated, evidence missing, or a metric without samples.
    Invalid = 4,
    /// Wrong arguments, or an error in the scenario file (`EX_USAGE` of `sysexits.h`).
    Usage = 64,
    /// Interrupted by a signal (128 + SIGINT, as shells count).
    Interrupted = 130,
}

impl ExitCode {
    /// All codes in ascending order.
    pub const ALL: [Self; 7] = [
        Self::Pass,
        Self::Violated,
        Self::Threshold,
        Self::Failed,
        Self::Invalid,
        Self::Usage,
        Self::Interrupted,
    ];

    /// Exit code of a run with this verdict.
    #[must_use]
    pub const fn of_run(verdict: RunVerdict, interrupted: bool) -> Self {
        if interrupted {
            return Self::Interrupted;
        }
        match verdict {
            RunVerdict::Failed => Self::Failed,
            RunVerdict::Violated => Self::Violated,
            RunVerdict::Invalid => Self::Invalid,
            RunVerdict::Threshold => Self::Threshold,
            RunVerdict::Pass => Self::Pass,
        }
    }

    /// The number that the process returns.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What the code means, in half a line.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Pass => "pass: every outcome was allowed and every threshold met",
            Self::Violated => "violated: an outcome that the oracle or the scenario does not allow",
            Self::Threshold => "threshold: a threshold of the scenario was not met",
            Self::Failed => "failed: the gateway could not be started or reached",
            Self::Invalid => "invalid: the numbers cannot be trusted (generator, evidence, samples)",
            Self::Usage => "usage: wrong arguments, or an error in the scenario file",
            Self::Interrupted => "interrupted: the verdict on what was measured is in result.json",
        }
    }

    /// The table for `--help`, a line a code, with a newline after each.
    #[must_use]
    pub fn help_table() -> String {
        let mut table = String::new();
        for code in Self::ALL {
            table.push_str(&format!("  {:<3}  {}\n", code.code(), code.meaning()));
        }
        table.push_str("  When several apply: 130, then 3, 1, 4, 2.\n");
        table
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_has_the_documented_code() {
        let codes =
            RunVerdict::ALL.map(|verdict| (verdict.as_str(), ExitCode::of_run(verdict, false).code()));
        assert_eq!(codes, [("failed", 3), ("violated", 1), ("invalid", 4), ("threshold", 2), ("pass", 0)]);
        for verdict in RunVerdict::ALL {
            assert_eq!(ExitCode::of_run(verdict, true).code(), 130);
            assert_eq!(
                serde_json::to_value(verdict).expect("a name"),
                verdict.as_str(),
                "one name everywhere"
            );
        }
    }

    #[test]
    fn the_help_table_names_every_code() {
        let expected = "  0    pass: every outcome was allowed and every threshold met
  1    violated: an outcome that the oracle or the scenario does not allow
  2    threshold: a threshold of the scenario was not met
  3    failed: the gateway could not be started or reached
  4    invalid: the numbers cannot be trusted (generator, evidence, samples)
  64   usage: wrong arguments, or an error in the scenario file
  130  interrupted: the verdict on what was measured is in result.json
  When several apply: 130, then 3, 1, 4, 2.
";
        assert_eq!(ExitCode::help_table(), expected);
    }
}
