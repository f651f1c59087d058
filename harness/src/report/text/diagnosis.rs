//! Who did not get in, why, and what ends it.

use std::fmt::Write as _;

use super::ROWS_SHOWN;
use crate::diagnosis::loops::Gain;
use crate::diagnosis::{Confidence, Diagnosis};
use crate::record::diagnosis::DiagnosisGroup;
use crate::record::result::RunResult;
use crate::report::page::Page;
use crate::report::units::{duration, plural};

/// Groups that the summary of a run shows; `pairstorm diagnose` shows all of them.
const GROUPS_SHOWN: usize = 4;

/// What the scenario expects of diagnoses and did not find.
pub(super) fn expectations(page: &mut Page, result: &RunResult) {
    let unmet: Vec<_> = result.diagnosis.unmet().collect();
    if unmet.is_empty() {
        return;
    }
    page.heading("Diagnoses that the scenario does not expect");
    for expected in unmet.iter().take(ROWS_SHOWN) {
        let found: Vec<String> =
            expected.found.iter().map(|(cause, count)| format!("{count} x {cause}")).collect();
        let found = if found.is_empty() { "no client that tried".to_owned() } else { found.join(", ") };
        page.paragraph(2, &format!("{}: expected {}, found {found}", expected.cohort, expected.expected), 2);
    }
    page.more(unmet.len(), ROWS_SHOWN, "cohort");
}

/// Loops that go on, in the summary of a run.
pub(super) fn loops(page: &mut Page, result: &RunResult) {
    let loops: Vec<&DiagnosisGroup> =
        result.diagnosis.groups.iter().filter(|group| group.looping > 0 && !group.over).collect();
    if loops.is_empty() {
        return;
    }
    page.heading("Loops that go on");
    for group in loops.iter().take(GROUPS_SHOWN) {
        head(page, group);
        if let Some(cure) = group.diagnosis.cures.first() {
            page.paragraph(6, &cure.what, 2);
            cure.commands.iter().for_each(|command| page.whole_line(&format!("          {command}")));
        }
    }
    page.more(loops.len(), GROUPS_SHOWN, "loop");
    log(page, result);
}

/// All that was found of all groups: what `pairstorm diagnose` prints.
#[must_use]
pub fn report(result: &RunResult) -> String {
    let mut page = Page::default();
    let found = &result.diagnosis;
    let scenario = &result.scenario.name;
    if found.clients == 0 {
        page.line(&format!("{scenario}: every client holds, or held, the session that it asked for"));
    } else {
        page.line(&format!(
            "{scenario}: {} without a session, or in a loop before it; {} in a loop",
            plural(found.clients, "client"),
            found.looping
        ));
    }
    for group in &found.groups {
        page.line("");
        head(&mut page, group);
        tell(&mut page, &group.diagnosis);
    }
    log(&mut page, result);
    expectations(&mut page, result);
    page.finish()
}

/// Cause, confidence, evidence, what was excluded, what is missing, and cures of one diagnosis, for a terminal.
#[must_use]
pub fn text(diagnosis: &Diagnosis) -> String {
    let mut page = Page::default();
    page.line(&format!("{} ({}): {}", diagnosis.cause, sure(diagnosis.confidence), diagnosis.cause.about()));
    tell(&mut page, diagnosis);
    page.finish()
}

fn head(page: &mut Page, group: &DiagnosisGroup) {
    let Diagnosis { cause, confidence, .. } = &group.diagnosis;
    let mut line = format!("{} x {} in {}", group.clients, cause, group.cohort);
    let _ = write!(line, " ({}): {}", sure(*confidence), plural(group.attempts, "attempt"));
    if group.looping > 0 {
        let _ = write!(line, ", {}", gain(&group.gain));
    }
    if group.over {
        line.push_str("; over");
    }
    page.paragraph(2, &line, 3);
    page.paragraph(6, &format!("answered: {}", group.classes.join(", ")), 2);
}

fn tell(page: &mut Page, diagnosis: &Diagnosis) {
    page.paragraph(6, &diagnosis.why, 4);
    for exhibit in &diagnosis.evidence {
        let at = exhibit.at_us.map(|at| format!("{:>9}  ", duration(at))).unwrap_or_default();
        page.paragraph(8, &format!("{at}{}", exhibit.what), 2);
    }
    for excluded in &diagnosis.excluded {
        page.paragraph(6, &format!("not {}: {}", excluded.cause, excluded.because), 2);
    }
    for missing in &diagnosis.missing {
        page.paragraph(6, &format!("not known: {missing}"), 2);
    }
    for cure in &diagnosis.cures {
        page.paragraph(6, &cure.what, 3);
        cure.commands.iter().for_each(|command| page.whole_line(&format!("          {command}")));
    }
}

fn gain(gain: &Gain) -> String {
    let mut words = format!("{:.0} attempts a minute", gain.attempts);
    if gain.request_ids > 0.0 {
        let _ = write!(words, ", {:.0} request ids", gain.request_ids);
    }
    words
}

/// What the gateway wrote meanwhile.
fn log(page: &mut Page, result: &RunResult) {
    if let Some(log) = &result.diagnosis.log {
        let lines = plural(log.lines, "line");
        page.line(&format!("  meanwhile the gateway wrote {lines} of log, {:.0} a minute", log.a_minute));
    }
}

const fn sure(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Possible => "possible",
        Confidence::Likely => "likely",
        Confidence::Certain => "certain",
    }
}
