//! What was expected held against what was seen: the differences, in words.

use std::collections::BTreeSet;

use super::count::Count;
use super::expected::{ExpectedCohort, ExpectedRun};
use super::seen::{Seen, SeenCohort};
use crate::oracle::MismatchKind;

/// Everything in which a run differs from what is expected of it, a sentence each; none if it does not.
#[must_use]
pub fn differences(expected: &ExpectedRun, seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    if expected.verdict != seen.verdict {
        let because: String = seen.why.iter().map(|why| format!("; {why}")).collect();
        found.push(format!(
            "verdict {} expected, {} seen{because}",
            expected.verdict.as_str(),
            seen.verdict.as_str()
        ));
    }
    let kinds: BTreeSet<&String> = expected.mismatches.keys().chain(seen.mismatches.keys()).collect();
    for kind in kinds {
        let wanted = expected.mismatches.get(kind).copied().unwrap_or(Count::NONE);
        let times = seen.mismatches.get(kind).copied().unwrap_or_default();
        if !wanted.holds(times) {
            found.push(format!("{} {kind} expected, {times} seen", in_words(wanted)));
        }
    }
    let names: BTreeSet<&String> = expected.cohort.keys().chain(seen.cohorts.keys()).collect();
    for name in names {
        match (expected.cohort.get(name), seen.cohorts.get(name)) {
            (Some(wanted), Some(seen)) => cohort(name, wanted, &expected.may, seen, &mut found),
            (Some(_), None) => found.push(format!("cohort `{name}` is expected, and not in the scenario")),
            (None, _) => found.push(format!("nothing is said of cohort `{name}`")),
        }
    }
    found
}

/// Whether a run shows a mismatch that is not expected and that no lack of the machine explains: what a gateway answered it answered,
/// however late. Only that an answer stayed away, or came late, may be the fault of what went on beside the run.
#[must_use]
pub fn proves_a_violation(expected: &ExpectedRun, seen: &Seen) -> bool {
    let by_time = [MismatchKind::NoAnswer, MismatchKind::WrongLatency].map(MismatchKind::as_str);
    seen.mismatches.iter().any(|(kind, times)| {
        let most = expected.mismatches.get(kind).copied().unwrap_or(Count::NONE).max;
        !by_time.contains(&kind.as_str()) && most.is_some_and(|most| *times > most)
    })
}

fn cohort(name: &str, expected: &ExpectedCohort, may: &[String], seen: &SeenCohort, found: &mut Vec<String>) {
    for (class, wanted) in &expected.must {
        let times = seen.classes.get(class).copied().unwrap_or_default();
        if !wanted.holds(times) {
            found.push(format!("in {name}, {} x `{class}` expected, {times} seen", in_words(*wanted)));
        }
    }
    for (class, times) in &seen.classes {
        if !expected.must.contains_key(class) && !expected.may.contains(class) && !may.contains(class) {
            found.push(format!("in {name}, {times} x `{class}` seen, which is not expected"));
        }
    }
    if let Some(wanted) = expected.clients_in.filter(|wanted| !wanted.holds(seen.clients_in)) {
        found.push(format!(
            "in {name}, {} clients with a session expected, {} of {} seen",
            in_words(wanted),
            seen.clients_in,
            seen.clients
        ));
    }
}

fn in_words(count: Count) -> String {
    match (count.min, count.max) {
        (min, Some(max)) if min == max => max.to_string(),
        (0, Some(max)) => format!("at most {max}"),
        (min, Some(max)) => format!("{min} to {max}"),
        (min, None) => format!("at least {min}"),
    }
}
