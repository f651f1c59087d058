//! The first lines: the verdict, what was run, and how its attempts ended.

use crate::record::at_rest::AtRest;
use crate::record::exit_code::{ExitCode, RunVerdict};
use crate::record::result::{EndedBy, RunResult};
use crate::report::page::Page;
use crate::report::units::{duration, plural};

pub(super) fn head(page: &mut Page, result: &RunResult) {
    page.paragraph(0, &verdict_line(result), 4);
    let scenario = &result.scenario;
    page.line(&format!(
        "{} (seed {}{}), profile {}, {}, {}",
        scenario.name,
        result.seed,
        scenario.shard.as_ref().map_or_else(String::new, |shard| format!(", shard {shard}")),
        result.profile,
        result.target,
        duration(result.duration_us)
    ));
    let attempts = &result.attempts;
    let mut parts = vec![plural(attempts.session, "session"), format!("{} refused", attempts.refused)];
    if attempts.unanswered() > 0 {
        let kinds: Vec<String> = attempts
            .by_word()
            .into_iter()
            .filter(|(word, count)| *count > 0 && !matches!(*word, "session" | "refused" | "dropped"))
            .map(|(word, count)| format!("{count} {word}"))
            .collect();
        parts.push(format!("{} without an answer ({})", attempts.unanswered(), kinds.join(", ")));
    }
    if attempts.dropped > 0 {
        parts.push(format!("{} dropped", attempts.dropped));
    }
    page.paragraph(0, &format!("{} = {}", plural(attempts.attempted, "attempt"), parts.join(" + ")), 2);
}

fn verdict_line(result: &RunResult) -> String {
    let verdict = result.verdict.as_str().to_uppercase();
    let why = match result.verdict {
        RunVerdict::Failed => result.failure.clone().unwrap_or_else(|| "no reason given".to_owned()),
        RunVerdict::Violated => {
            let total = result.mismatches.total;
            let surprises = result.invariants.iter().filter(|invariant| invariant.is_surprise()).count();
            let first = if result.ended_by == EndedBy::FailFast { "; stopped at the first" } else { "" };
            let invalid = result.devices.as_ref().map_or(0, |devices| devices.invalid);
            let busy = result.at_rest.filter(AtRest::is_busy);
            let wrong = result.diagnosis.unmet().count() as u64;
            let outcomes = if total == 0 && invalid > 0 {
                format!("no order of its operations explains {}", plural(invalid, "device"))
            } else if let Some(busy) = busy.filter(|_| total == 0) {
                format!(
                    "the gateway kept {} and {} when everyone had gone",
                    plural(busy.handshakes_in_progress, "handshake"),
                    plural(busy.sessions, "session")
                )
            } else if let Some(stop) = result.unclean_stops.first().filter(|_| total == 0) {
                let more = result.unclean_stops.len() - 1;
                let more =
                    if more == 0 { String::new() } else { format!(", and {}", plural(more as u64, "other")) };
                format!("the gateway did not end in order: {stop}{more}")
            } else if total == 0 && wrong > 0 {
                format!(
                    "{} not as the scenario expects",
                    if wrong == 1 { "1 diagnosis is".to_owned() } else { format!("{wrong} diagnoses are") }
                )
            } else {
                format!("{} {} not allowed", plural(total, "outcome"), if total == 1 { "is" } else { "are" })
            };
            format!(
                "{outcomes}{first}{}",
                if surprises == 0 {
                    String::new()
                } else {
                    format!("; {} not as expected", plural(surprises as u64, "invariant"))
                }
            )
        }
        RunVerdict::Invalid => "the numbers cannot be trusted".to_owned(),
        RunVerdict::Threshold => {
            let missed = result.thresholds.iter().filter(|threshold| !threshold.passed).count();
            format!("{missed} of {} not met", plural(result.thresholds.len() as u64, "threshold"))
        }
        RunVerdict::Pass => "every outcome was allowed".to_owned(),
    };
    let exit = ExitCode::of_run(result.verdict, result.interrupted).code();
    if result.interrupted {
        let after = duration(result.duration_us);
        format!("INTERRUPTED after {after} (exit code {exit}), until then {verdict}: {why}")
    } else {
        format!("{verdict} (exit code {exit}): {why}")
    }
}

/// The first line up to its colon in the colour of the verdict.
pub(super) fn painted(text: &str, result: &RunResult) -> String {
    let colour = match result.verdict {
        RunVerdict::Pass if !result.interrupted => "32",
        RunVerdict::Pass | RunVerdict::Invalid | RunVerdict::Threshold => "33",
        RunVerdict::Failed | RunVerdict::Violated => "31",
    };
    text.split_once(':').map_or_else(
        || text.to_owned(),
        |(verdict, rest)| format!("\u{1b}[1;{colour}m{verdict}\u{1b}[0m:{rest}"),
    )
}
