//! The matrix: what was caught by what, as text and as JSON.

use std::collections::BTreeMap;
use std::path::Path;

use gateway_under_test::defect::Defect;
use harness::oracle::MismatchKind;
use harness::record::exit_code::ExitCode;
use serde_json::{Value, json};

use super::table::{CASES, Case, Found};
use super::trial::Trial;

/// Version of the JSON form. A change that readers must know of raises it.
const SCHEMA_VERSION: u32 = 1;

/// What is said of one defect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The check meant for it found it, in so many attempts.
    Caught(u64),
    /// Something was reported, but not by the check meant for it.
    CaughtByAnother,
    /// Nothing was reported.
    NotCaught,
    /// There is no result.
    Failed(String),
}

impl Verdict {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Caught(_) => "caught",
            Self::CaughtByAnother => "caught by another check",
            Self::NotCaught => "NOT CAUGHT",
            Self::Failed(_) => "FAILED",
        }
    }
}

/// One defect.
#[derive(Debug)]
pub(super) struct Row {
    case: Case,
    trial: Option<Trial>,
    verdict: Verdict,
}

impl Row {
    pub(super) fn new(case: &Case, ran: Result<Trial, String>) -> Self {
        let (trial, verdict) = match ran {
            Err(why) => (None, Verdict::Failed(why)),
            Ok(trial) => {
                let verdict = match (trial.caught(&case.meant), trial.counts.total) {
                    (0, 0) => Verdict::NotCaught,
                    (0, _) => Verdict::CaughtByAnother,
                    (times, _) => Verdict::Caught(times),
                };
                (Some(trial), verdict)
            }
        };
        Self { case: *case, trial, verdict }
    }

    fn is_caught(&self) -> bool {
        matches!(self.verdict, Verdict::Caught(_))
    }

    pub(super) fn text(&self) -> String {
        let verdict = match (&self.verdict, &self.trial) {
            (Verdict::Caught(times), Some(trial)) => format!("caught {times} of {}", trial.attempts),
            (Verdict::Failed(why), _) => format!("FAILED: {}", why.trim_end()),
            (verdict, _) => verdict.as_str().to_owned(),
        };
        let findings = self.trial.as_ref().map_or_else(String::new, Trial::findings);
        let profile = self.trial.as_ref().map_or("", |trial| trial.profile.as_str());
        line(self.case.defect.name(), profile, self.case.scenario, &check(&self.case), &verdict, &findings)
    }

    fn json(&self) -> Value {
        let meant = self.case.meant;
        let (caught, why) = match &self.verdict {
            Verdict::Caught(times) => (*times, None),
            Verdict::Failed(why) => (0, Some(why)),
            _ => (0, None),
        };
        json!({
            "defect": self.case.defect.name(),
            "scenario": self.case.scenario,
            "profile": self.trial.as_ref().map(|trial| &trial.profile),
            "meant": {
                "kind": meant.kind_name(), "cohort": meant.cohort, "expected": meant.expected,
                "observed": meant.observed,
            },
            "verdict": self.verdict.as_str(),
            "failure": why,
            "caught": caught,
            "attempts": self.trial.as_ref().map(|trial| trial.attempts),
            "mismatches": self.trial.as_ref().map(|trial| trial.counts),
        })
    }
}

/// One scenario without a defect.
#[derive(Debug)]
pub(super) struct Clean {
    scenario: &'static str,
    trial: Result<Trial, String>,
    /// Nothing was reported.
    pub(super) passed: bool,
}

impl Clean {
    pub(super) fn new(scenario: &'static str, trial: Result<Trial, String>) -> Self {
        let passed = trial.as_ref().is_ok_and(Trial::is_clean);
        Self { scenario, trial, passed }
    }

    pub(super) fn text(&self) -> String {
        let (profile, findings) = match &self.trial {
            Ok(trial) => (trial.profile.as_str(), trial.findings()),
            Err(why) => ("", why.trim_end().to_owned()),
        };
        let verdict = if self.passed { "clean" } else { "NOT CLEAN" };
        line("(none)", profile, self.scenario, "nothing", verdict, &findings)
    }

    fn json(&self) -> Value {
        json!({
            "scenario": self.scenario,
            "profile": self.trial.as_ref().ok().map(|trial| &trial.profile),
            "passed": self.passed,
            "failure": self.trial.as_ref().err(),
            "attempts": self.trial.as_ref().ok().map(|trial| trial.attempts),
            "mismatches": self.trial.as_ref().ok().map(|trial| trial.counts),
        })
    }
}

/// Everything that was tried.
#[derive(Debug, Default)]
pub(super) struct Matrix {
    pub(super) clean: Vec<Clean>,
    pub(super) rows: Vec<Row>,
    /// Findings of a defect in a scenario that is meant for another one; an error where it is no fault.
    pub(super) others: BTreeMap<(&'static str, &'static str), Result<u64, String>>,
    /// A signal ended it; what there is stands.
    pub(super) interrupted: bool,
}

impl Matrix {
    fn passed(&self) -> bool {
        !self.interrupted
            && self.clean.iter().all(|clean| clean.passed)
            && self.rows.iter().all(Row::is_caught)
    }

    pub(super) fn exit(&self) -> ExitCode {
        match (self.interrupted, self.passed()) {
            (true, _) => ExitCode::Interrupted,
            (false, true) => ExitCode::Pass,
            (false, false) => ExitCode::Violated,
        }
    }

    /// What stands below the rows.
    pub(super) fn ending(&self, out: &Path) -> String {
        let mut text = String::new();
        let mut scenarios: Vec<&str> = self.others.keys().map(|(_, scenario)| *scenario).collect();
        scenarios.sort_unstable();
        scenarios.dedup();
        if !scenarios.is_empty() {
            text.push_str("\nFindings of every defect in every scenario (- where it is no fault)\n");
            text.push_str(&format!("{:26}", ""));
            for scenario in &scenarios {
                text.push_str(&format!("{scenario:>15}"));
            }
            text.push('\n');
        }
        for row in self.rows.iter().filter(|_| !scenarios.is_empty()) {
            text.push_str(&format!("{:26}", row.case.defect.name()));
            for scenario in &scenarios {
                let found = if *scenario == row.case.scenario {
                    row.trial.as_ref().map(|trial| trial.counts.total)
                } else {
                    self.others
                        .get(&(row.case.defect.name(), *scenario))
                        .and_then(|found| found.as_ref().ok().copied())
                };
                let found = found.map_or_else(|| "-".to_owned(), |found| found.to_string());
                text.push_str(&format!("{found:>15}"));
            }
            text.push('\n');
        }
        let caught = self.rows.iter().filter(|row| row.is_caught()).count();
        let clean = self.clean.iter().filter(|clean| clean.passed).count();
        let verdict = match self.exit() {
            ExitCode::Pass => "PASS",
            ExitCode::Interrupted => "INTERRUPTED",
            _ => "VIOLATED",
        };
        text.push_str(&format!(
            "\n{verdict}: {caught} of {} defects caught by the check meant for them, {clean} of {} scenarios clean \
             without a defect\nfiles: {}\n",
            self.rows.len(),
            self.clean.len(),
            out.display(),
        ));
        text
    }

    pub(super) fn json(&self) -> String {
        let others: Vec<Value> = self
            .others
            .iter()
            .map(|((defect, scenario), found)| {
                json!({"defect": defect, "scenario": scenario, "mismatches": found.as_ref().ok()})
            })
            .collect();
        let value = json!({
            "schema_version": SCHEMA_VERSION,
            "passed": self.passed(),
            "interrupted": self.interrupted,
            "clean": self.clean.iter().map(Clean::json).collect::<Vec<_>>(),
            "defects": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
            "others": others,
        });
        format!("{value:#}\n")
    }
}

/// The names of the columns.
pub(super) fn heading() -> String {
    line("defect", "profile", "scenario", "meant check", "verdict", "all findings")
}

fn line(defect: &str, profile: &str, scenario: &str, check: &str, verdict: &str, findings: &str) -> String {
    let text = format!("{defect:26} {profile:9} {scenario:13} {check:67} {verdict:18} {findings}");
    format!("{}\n", text.trim_end())
}

/// The check meant for a defect, in a few words.
fn check(case: &Case) -> String {
    let meant = case.meant;
    match meant.kind {
        Found::AtRest
        | Found::UncleanStop
        | Found::Mismatch(
            MismatchKind::LeakedEvent | MismatchKind::LateUpgrade | MismatchKind::WrongAnswer,
        ) => format!("{}: {} in {}", meant.kind_name(), meant.observed, meant.cohort),
        _ => format!("{}: {} due in {}", meant.kind_name(), meant.expected, meant.cohort),
    }
}

/// Every defect, as `docs/reference/defects.md` lists them.
pub(super) fn list() -> String {
    let mut text = String::from(
        "| defect | the gateway then | profiles | scenario | caught as |\n|---|---|---|---|---|\n",
    );
    for defect in Defect::ALL {
        let profiles: Vec<&str> = defect.profiles().iter().map(|profile| profile.as_str()).collect();
        let profiles = if profiles.len() == 6 { "all".to_owned() } else { profiles.join(", ") };
        let case = CASES.iter().find(|case| case.defect == *defect);
        let (scenario, check) = case.map_or_else(
            || ("none".to_owned(), "needs two gateways; a run starts one".to_owned()),
            |case| {
                let meant = case.meant;
                let check = format!(
                    "`{}` in `{}`: `{}` due, `{}` seen",
                    meant.kind_name(),
                    meant.cohort,
                    meant.expected,
                    meant.observed
                );
                (format!("`{}`", case.scenario), check)
            },
        );
        text.push_str(&format!(
            "| `{}` | {} | {profiles} | {scenario} | {check} |\n",
            defect.name(),
            defect.what(),
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_lists_what_there_is() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/defects.md");
        let text = std::fs::read_to_string(&file).unwrap();
        let (before, rest) = text.split_once("<!-- list:begin -->\n").unwrap();
        let (listed, after) = rest.split_once("<!-- list:end -->").unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let new = format!("{before}<!-- list:begin -->\n{}<!-- list:end -->{after}", list());
            std::fs::write(&file, new).unwrap();
        } else {
            assert_eq!(listed, list(), "run this test with UPDATE_DOCS=1 and commit the file");
        }
    }
}
