//! What is looked for: a mismatch, or a loop that goes on.

use std::fmt;

use serde::Deserialize;

use crate::record::diagnosis::DiagnosisResult;
use crate::record::groups::MismatchGroup;

/// What a run showed, and candidates are to show as well; how often does not matter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Symptom {
    /// Mismatches of a cohort.
    Mismatch {
        /// Kind, for example `false_accept`.
        kind: String,
        /// Name of the cohort.
        cohort: String,
        /// What was due.
        expected: String,
        /// What was seen.
        observed: String,
    },
    /// Clients of a cohort that are in a loop at the end of the run.
    Loop {
        /// What keeps them out, for example `not-approved`.
        cause: String,
        /// Name of the cohort.
        cohort: String,
    },
}

impl Symptom {
    /// As people choose it, `KIND/COHORT`.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Mismatch { kind: what, cohort, .. } | Self::Loop { cause: what, cohort } => {
                format!("{what}/{cohort}")
            }
        }
    }
}

impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch { kind, cohort, expected, observed } => {
                write!(f, "{kind} in {cohort}: expected {expected}, saw {observed}")
            }
            Self::Loop { cause, cohort } => write!(f, "loop in {cohort}: {cause}"),
        }
    }
}

/// What of a `result.json` says what its run showed.
#[derive(Debug, Deserialize)]
pub struct Showed {
    mismatch_groups: Vec<MismatchGroup>,
    #[serde(default)]
    diagnosis: DiagnosisResult,
}

impl Showed {
    /// As [`symptoms`] has it.
    #[must_use]
    pub fn symptoms(&self) -> Vec<(Symptom, u64)> {
        symptoms(&self.mismatch_groups, &self.diagnosis)
    }
}

/// Everything that a run showed, with how many mismatches or looping clients: mismatches first, then the most frequent, then by name.
#[must_use]
pub fn symptoms(mismatches: &[MismatchGroup], diagnosis: &DiagnosisResult) -> Vec<(Symptom, u64)> {
    let mismatches = mismatches.iter().map(|group| {
        let MismatchGroup { kind, cohort, expected, observed, .. } = group.clone();
        (Symptom::Mismatch { kind, cohort, expected, observed }, group.count)
    });
    let loops = diagnosis.groups.iter().filter(|group| group.looping > 0 && !group.over).map(|group| {
        let cause = group.diagnosis.cause.as_str().to_owned();
        (Symptom::Loop { cause, cohort: group.cohort.clone() }, group.looping)
    });
    let mut all: Vec<(Symptom, u64)> = Vec::new();
    for (symptom, count) in mismatches.chain(loops) {
        // The same mismatch stands in several groups if facts of several kinds decided.
        match all.iter_mut().find(|(known, _)| *known == symptom) {
            Some((_, known)) => *known += count,
            None => all.push((symptom, count)),
        }
    }
    all.sort_by(|(left, left_count), (right, right_count)| {
        let is_loop = |symptom: &Symptom| matches!(symptom, Symptom::Loop { .. });
        is_loop(left).cmp(&is_loop(right)).then(right_count.cmp(left_count)).then_with(|| left.cmp(right))
    });
    all
}

/// The one that is looked for: the first, or the first that `of` names as [`Symptom::place`].
///
/// # Errors
/// There is none, or none that is called so.
pub fn choose(symptoms: &[(Symptom, u64)], of: Option<&str>) -> Result<Symptom, NoSymptom> {
    let mut wanted = symptoms.iter().filter(|(symptom, _)| of.is_none_or(|of| symptom.place() == of));
    wanted.next().map(|(symptom, _)| symptom.clone()).ok_or_else(|| {
        let places = places(symptoms);
        of.filter(|_| !places.is_empty())
            .map_or(NoSymptom::Nothing, |of| NoSymptom::Unknown { of: of.to_owned(), places })
    })
}

/// [`Symptom::place`] of each, in their order, none twice.
#[must_use]
pub fn places(symptoms: &[(Symptom, u64)]) -> Vec<String> {
    let mut places = Vec::new();
    for (symptom, _) in symptoms {
        let place = symptom.place();
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// Why there is nothing to look for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSymptom {
    /// The run showed nothing.
    #[error("it has no mismatch and no loop that goes on, so there is nothing to cut down to")]
    Nothing,
    /// It showed something else.
    #[error("it has no `{of}`; it has {}", places.join(", "))]
    Unknown {
        /// What was asked for.
        of: String,
        /// What there is.
        places: Vec<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mismatch(cohort: &str, observed: &str, why: &str, count: u64) -> MismatchGroup {
        MismatchGroup {
            kind: "false_reject".to_owned(),
            cohort: cohort.to_owned(),
            expected: "session".to_owned(),
            observed: observed.to_owned(),
            why: why.to_owned(),
            count,
            example: format!("{cohort}/0"),
            example_attempt: 1,
            example_why: why.to_owned(),
        }
    }

    fn diagnosis(groups: &[(&str, &str, u64, bool)]) -> DiagnosisResult {
        let group = |(cohort, cause, looping, over): &(&str, &str, u64, bool)| {
            serde_json::json!({
                "cohort": cohort, "clients": 9, "looping": looping, "over": over, "attempts": 30, "request_ids": 1,
                "gain": { "attempts": 1.0, "request_ids": 0.0, "log_lines": null }, "classes": [], "example": "x/0",
                "diagnosis": { "cause": cause, "confidence": "certain", "why": "", "evidence": [], "excluded": [],
                               "missing": [], "cures": [] },
            })
        };
        let groups: Vec<_> = groups.iter().map(group).collect();
        serde_json::from_value(
            serde_json::json!({ "clients": 9, "looping": 9, "groups": groups, "expected": [] }),
        )
        .unwrap()
    }

    #[test]
    fn mismatches_come_before_loops_and_ties_go_by_name() {
        let groups = [
            mismatch("tabs", "not-paired", "a", 3),
            mismatch("phones", "closed", "a", 2),
            mismatch("phones", "not-paired", "a", 2),
            mismatch("phones", "not-paired", "b", 2),
        ];
        let loops = diagnosis(&[
            ("phones", "not-approved", 7, false),
            ("tabs", "token-drift", 9, true),
            ("macs", "token-drift", 0, false),
        ]);
        let all = symptoms(&groups, &loops);
        let said: Vec<String> =
            all.iter().map(|(symptom, count)| format!("{} {count} {symptom}", symptom.place())).collect();
        assert_eq!(
            said,
            [
                "false_reject/phones 4 false_reject in phones: expected session, saw not-paired",
                "false_reject/tabs 3 false_reject in tabs: expected session, saw not-paired",
                "false_reject/phones 2 false_reject in phones: expected session, saw closed",
                "not-approved/phones 7 loop in phones: not-approved",
            ]
        );
        let mut other_way_round = groups;
        other_way_round.reverse();
        assert_eq!(symptoms(&other_way_round, &loops), all);
        assert_eq!(choose(&all, None), Ok(all[0].0.clone()));
        assert_eq!(choose(&all, Some("not-approved/phones")), Ok(all[3].0.clone()));
        let unknown = choose(&all, Some("false_reject")).unwrap_err().to_string();
        assert_eq!(
            unknown,
            "it has no `false_reject`; it has false_reject/phones, false_reject/tabs, not-approved/phones"
        );
        assert_eq!(choose(&[], Some("x/y")), Err(NoSymptom::Nothing));
    }
}
