//! The summary for a terminal: verdict first, then how far to trust the figures, then what was wrong, then the figures.

use std::path::Path;

use super::cures::cure;
use super::files;
use super::page::Page;
use super::timeline;
use super::units::{bytes, duration, maybe, plural, share};
use super::waterfall::{operators, waterfalls};
use crate::record::exit_code::{ExitCode, RunVerdict};
use crate::record::groups::MismatchGroup;
use crate::record::histogram::LatencySummary;
use crate::record::refusals::ExpectedAndObserved;
use crate::record::restarts::Restart;
use crate::record::result::{EndedBy, RunResult};
use crate::record::thresholds::{MetricUnit, ThresholdResult};
use crate::record::validity::{Figure, Validity};

/// Groups of mismatches shown.
const GROUPS_SHOWN: usize = 5;
/// Thresholds, cohorts, reasons, restarts and other faults shown, each.
const ROWS_SHOWN: usize = 8;

/// Devices that no order explains, and of unknown ones, shown with their history.
const DEVICES_SHOWN: usize = 3;
/// Operations of each that were left open, shown.
const OPEN_SHOWN: usize = 4;

/// The summary of a run, for people: at most 100 columns but for commands to copy. `colour` paints the verdict with ANSI
/// escapes.
#[must_use]
pub fn summary(result: &RunResult, colour: bool) -> String {
    summary_in(result, colour, None)
}

/// The same; `folder` is where the run's files are, for the commands it suggests.
#[must_use]
pub fn summary_in(result: &RunResult, colour: bool, folder: Option<&Path>) -> String {
    let mut page = Page::default();
    head(&mut page, result);
    generator(&mut page, result);
    invalid_reasons(&mut page, result);
    mismatches(&mut page, result, folder);
    devices(&mut page, result, folder);
    invariants(&mut page, result);
    thresholds(&mut page, &result.thresholds);
    refusals(&mut page, result);
    cohorts(&mut page, result);
    latencies(&mut page, result);
    waterfalls(&mut page, result);
    operators(&mut page, result);
    restarts(&mut page, result);
    other_faults(&mut page, result);
    costs(&mut page, result);
    let text = page.finish();
    if colour { painted(&text, result) } else { text }
}

fn head(page: &mut Page, result: &RunResult) {
    page.paragraph(0, &verdict_line(result), 4);
    let scenario = &result.scenario;
    page.line(&format!(
        "{} (seed {}), profile {}, {}, {}",
        scenario.name,
        result.seed,
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
            let outcomes = if total == 0 && invalid > 0 {
                format!("no order of its operations explains {}", plural(invalid, "device"))
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
fn painted(text: &str, result: &RunResult) -> String {
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

/// What the gateway should not have done, whether or not its release does it.
fn invariants(page: &mut Page, result: &RunResult) {
    if result.invariants.is_empty() {
        return;
    }
    page.heading("Invariants broken");
    for invariant in result.invariants.iter().take(ROWS_SHOWN) {
        let expected = match invariant.expected {
            None => "",
            Some(_) if !invariant.is_surprise() => ", as the scenario expects",
            Some(true) => ", but the scenario expects it",
            Some(false) => ", and the scenario does not expect it",
        };
        page.paragraph(2, &format!("{} x {}{expected}", invariant.count, invariant.invariant), 4);
        if invariant.count > 0 {
            let example = format!(
                "{} attempt {}: {}",
                invariant.example, invariant.example_attempt, invariant.example_why
            );
            page.paragraph(6, &example, 2);
        }
    }
    more(page, result.invariants.len(), ROWS_SHOWN, "invariant");
}

fn invalid_reasons(page: &mut Page, result: &RunResult) {
    if result.validity.reasons.is_empty() {
        return;
    }
    page.heading("The numbers cannot be trusted");
    for reason in result.validity.reasons.iter().take(ROWS_SHOWN) {
        page.paragraph(2, &reason.text, 2);
    }
    more(page, result.validity.reasons.len(), ROWS_SHOWN, "reason");
}

fn mismatches(page: &mut Page, result: &RunResult, folder: Option<&Path>) {
    if result.mismatches.total == 0 {
        return;
    }
    page.heading("Not allowed");
    for group in result.mismatch_groups.iter().take(GROUPS_SHOWN) {
        mismatch_group(page, group);
    }
    let shown: u64 = result.mismatch_groups.iter().take(GROUPS_SHOWN).map(|group| group.count).sum();
    if shown < result.mismatches.total {
        page.line(&format!("  and {} more, by other causes", result.mismatches.total - shown));
    }
    if let Some(group) = result.mismatch_groups.first() {
        let file = folder.unwrap_or_else(|| Path::new("")).join("violations.jsonl");
        page.line("  a device's whole story:");
        page.whole_line(&format!("    grep '\"client\":\"{}\"' {}", group.example, file.display()));
    }
}

/// Devices that no order explains, and those that nothing can be said of.
fn devices(page: &mut Page, result: &RunResult, folder: Option<&Path>) {
    let Some(devices) = &result.devices else { return };
    if devices.invalid == 0 && devices.unknown == 0 {
        return;
    }
    page.heading(&format!(
        "Histories of devices: {} valid, {} invalid, {} unknown",
        devices.valid, devices.invalid, devices.unknown
    ));
    for device in devices.invalid().take(DEVICES_SHOWN) {
        timeline::device(page, device, OPEN_SHOWN);
    }
    if devices.invalid > 0 {
        let pictures = folder.unwrap_or_else(|| Path::new("")).join(files::CHECKER);
        page.line("  as pictures, and all of them:");
        page.whole_line(&format!("    {}", pictures.display()));
    }
    for device in devices.unknown().take(DEVICES_SHOWN) {
        timeline::device(page, device, 0);
    }
}

fn mismatch_group(page: &mut Page, group: &MismatchGroup) {
    page.paragraph(
        2,
        &format!(
            "{} x {} in {}: expected {}, saw {}",
            group.count, group.kind, group.cohort, group.expected, group.observed
        ),
        2,
    );
    page.paragraph(
        6,
        &format!("{} attempt {}: {}", group.example, group.example_attempt, group.example_why),
        2,
    );
}

fn thresholds(page: &mut Page, thresholds: &[ThresholdResult]) {
    if thresholds.is_empty() {
        return;
    }
    page.heading("Thresholds");
    // Unmet ones first: they are what is looked for.
    let (met, unmet): (Vec<_>, Vec<_>) = thresholds.iter().partition(|threshold| threshold.passed);
    for threshold in unmet.iter().chain(&met).take(ROWS_SHOWN) {
        let word = if threshold.passed { "met" } else { "NOT MET" };
        page.line(&format!("  {word:<9}{}: {}", threshold.rule, observed(threshold)));
    }
    more(page, thresholds.len(), ROWS_SHOWN, "threshold");
}

fn observed(threshold: &ThresholdResult) -> String {
    match (threshold.observed, threshold.note) {
        // Microseconds are whole numbers far below 2^53.
        (Some(value), _) => match threshold.unit {
            MetricUnit::Us => duration(value as u64),
            MetricUnit::Count => format!("{value}"),
            MetricUnit::Share => share(value),
        },
        (None, Some(note)) => note.words().to_owned(),
        (None, None) => "no figure".to_owned(),
    }
}

fn refusals(page: &mut Page, result: &RunResult) {
    let refusals = &result.refusals;
    let seen = |counts: &ExpectedAndObserved| counts.expected > 0 || counts.observed > 0;
    let reasons = refusals.by_reason.iter().filter(|(_, counts)| seen(counts));
    let codes = refusals
        .by_detail_code
        .iter()
        .filter(|(code, counts)| seen(counts) && code.as_str() != "PAIRING_REQUIRED");
    let rows: Vec<_> = reasons.chain(codes).collect();
    if rows.is_empty() && refusals.without_detail_code.is_empty() {
        return;
    }
    page.heading(&format!("{:<38}{:>10}{:>10}", "Refusals", "expected", "observed"));
    for (name, counts) in rows.iter().take(ROWS_SHOWN) {
        page.line(&format!("  {:<36}{:>10}{:>10}", short(name, 36), counts.expected, counts.observed));
        if counts.observed > counts.expected
            && let Some(cure) = cure(name)
        {
            page.line(&format!("      more than expected; {cure}"));
        }
    }
    more(page, rows.len(), ROWS_SHOWN, "row");
    for (code, count) in refusals.without_detail_code.iter().take(ROWS_SHOWN) {
        page.line(&format!("  {:<36}{:>10}{count:>10}", short(&format!("{code}, no details"), 36), ""));
    }
}

fn cohorts(page: &mut Page, result: &RunResult) {
    page.heading(&format!(
        "{:<28}{:>9}{:>14}{:>10}{:>9}{:>12}",
        "Cohorts", "clients", "got a session", "attempts", "refused", "mismatches"
    ));
    for cohort in result.cohorts.iter().take(ROWS_SHOWN) {
        page.line(&format!(
            "  {:<26}{:>9}{:>14}{:>10}{:>9}{:>12}",
            short(&cohort.name, 26),
            cohort.clients,
            cohort.clients_with_session,
            cohort.attempts.attempted,
            cohort.attempts.refused,
            cohort.mismatches.total
        ));
    }
    more(page, result.cohorts.len(), ROWS_SHOWN, "cohort");
}

fn latencies(page: &mut Page, result: &RunResult) {
    let phases = &result.phases;
    let approval = &result.approval_to_session;
    let rows = [
        ("response, session", phases.response_session),
        ("response, refused", phases.response_refused),
        ("service, session", phases.service_session),
        ("service, refused", phases.service_refused),
        ("  dial", phases.dial),
        ("  upgrade", phases.upgrade),
        ("  challenge", phases.challenge),
        ("  verdict", phases.verdict),
        ("  close", phases.close),
        ("without an answer", phases.unanswered),
        ("approval to session", approval.headline),
    ];
    if rows.iter().all(|(_, row)| row.count == 0) {
        return;
    }
    page.heading(&format!(
        "{:<28}{:>9}{:>12}{:>12}{:>12}{:>12}{:>12}",
        "Latency", "count", "p50", "p90", "p99", "p99.9", "max"
    ));
    for (name, row) in rows.iter().filter(|(_, row)| row.count > 0) {
        page.line(&format!("  {name:<26}{}", figures(row)));
    }
    let counts = &approval.counts;
    if counts.approvals > counts.acknowledged || counts.without_session > 0 {
        page.line(&format!(
            "  {}: {} acknowledged, {} refused, {} unknown; {} without a session afterwards",
            plural(counts.approvals, "approval"),
            counts.acknowledged,
            counts.refused,
            counts.unknown,
            counts.without_session
        ));
    }
}

fn figures(row: &LatencySummary) -> String {
    format!(
        "{:>9}{:>12}{:>12}{:>12}{:>12}{:>12}",
        row.count,
        maybe(row.p50),
        maybe(row.p90),
        maybe(row.p99),
        maybe(row.p999),
        maybe(row.max)
    )
}

fn restarts(page: &mut Page, result: &RunResult) {
    for restart in result.restarts.iter().take(ROWS_SHOWN) {
        one_restart(page, restart);
    }
    more(page, result.restarts.len(), ROWS_SHOWN, "restart");
    let caught = &result.approvals_at_restarts;
    // What is acknowledged and kept is what everybody expects.
    if caught.acknowledged.refused + caught.unknown.all > 0 {
        page.heading("Approvals and the restart after each, by what the device met next");
        for (what, fates) in [("acknowledged", &caught.acknowledged), ("never answered", &caught.unknown)] {
            page.line(&format!(
                "  {:>6} {what}: {} let in, {} asked for an approval, {} approved again, {} not seen",
                fates.all, fates.let_in, fates.refused, fates.approved_again, fates.not_seen
            ));
        }
    }
}

fn one_restart(page: &mut Page, restart: &Restart) {
    page.heading(&format!("Restart `{}` by {} at {}", restart.name, restart.signal, duration(restart.at)));
    page.paragraph(
        2,
        &format!(
            "port closed {}, exited {}, new process {}, port open {}, first session {}",
            maybe(restart.port_closed),
            maybe(restart.exited),
            maybe(restart.spawned),
            maybe(restart.port_open),
            maybe(restart.first_session)
        ),
        2,
    );
    let back = &restart.back;
    let attempts = restart
        .attempts_per_recovered_client
        .map_or_else(String::new, |attempts| format!("; {attempts:.1} attempts each"));
    page.paragraph(
        2,
        &format!(
            "{} held a session, {} lost it; back: 50 % {}, 90 % {}, 99 % {}, all {}{attempts}",
            plural(restart.population, "client"),
            restart.sessions_lost,
            maybe(back.p50),
            maybe(back.p90),
            maybe(back.p99),
            maybe(back.all)
        ),
        2,
    );
    let in_flight = &restart.approvals_in_flight;
    if in_flight.acknowledged + in_flight.refused + in_flight.unknown > 0 {
        page.line(&format!(
            "  approvals in flight at the signal: {} acknowledged, {} refused, {} unknown",
            in_flight.acknowledged, in_flight.refused, in_flight.unknown
        ));
    }
}

fn other_faults(page: &mut Page, result: &RunResult) {
    let faults: Vec<_> = result.faults.iter().filter(|fault| fault.kind != "restart").collect();
    if faults.is_empty() {
        return;
    }
    page.heading("Other faults");
    for fault in faults.iter().take(ROWS_SHOWN) {
        let end = fault.ended.map_or_else(
            || "not over before the run's end".to_owned(),
            |ended| format!("over after {}", duration(ended.saturating_sub(fault.began))),
        );
        page.line(&format!("  {} `{}` at {}, {end}", fault.kind, fault.name, duration(fault.began)));
    }
    more(page, faults.len(), ROWS_SHOWN, "fault");
}

/// The generator's own error, before any figure that it may have spoilt.
fn generator(page: &mut Page, result: &RunResult) {
    let validity = &result.validity;
    page.heading(&format!("{:<30}{:>12}{:>12}", "The generator's own error", "measured", "budget"));
    for budget in validity.budgets() {
        let mark = if budget.is_broken() { "  OVER" } else { "" };
        page.line(&format!(
            "  {:<28}{:>12}{:>12}{mark}{}",
            budget.name,
            budget.measured.map_or_else(|| "-".to_owned(), figure),
            if budget.max == Figure::Share(1.0) { "-".to_owned() } else { figure(budget.max) },
            aside(validity, budget.name)
        ));
    }
    if validity.saturated > 0 {
        page.line(&format!(
            "  note: {} above one hour count as one hour",
            plural(validity.saturated, "latency figure")
        ));
    }
    for note in validity.notes.iter().take(ROWS_SHOWN) {
        page.paragraph(2, &format!("note: {note}"), 2);
    }
}

fn figure(figure: Figure) -> String {
    match figure {
        Figure::Micros(micros) => duration(micros),
        Figure::Share(of_all) => share(of_all),
    }
}

/// What has to be known beside a figure to read it.
fn aside(validity: &Validity, name: &str) -> String {
    match name {
        "late starts" => {
            format!("  {} or more after their time: {}", duration(validity.late_after), validity.late)
        }
        "dropped starts" if !validity.dropped.is_empty() => {
            let reasons = validity.dropped.iter().map(|(reason, count)| format!("{reason} {count}"));
            format!("  {}", reasons.collect::<Vec<_>>().join(", "))
        }
        "reactor without a core" => validity
            .scheduler_delay_mean
            .map_or_else(String::new, |mean| format!("  {} each time", duration(mean))),
        "descriptors in use" => match (validity.descriptors_high, validity.descriptors_limit) {
            (Some(high), Some(limit)) => format!("  {high} of {limit}"),
            (Some(high), None) => format!("  {high}"),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

/// What the load took of the machine.
fn costs(page: &mut Page, result: &RunResult) {
    let environment = &result.environment;
    page.heading("Costs");
    let per_attempt = environment
        .own_cpu_us
        .checked_div(result.attempts.attempted)
        .map_or_else(String::new, |cpu| format!(" ({} an attempt)", duration(cpu)));
    let mut costs = format!(
        "  {} on {}, CPU {}{per_attempt}, {}",
        plural(environment.reactors.into(), "reactor"),
        plural(environment.cores.into(), "core"),
        duration(environment.own_cpu_us),
        bytes(environment.own_rss_max_bytes)
    );
    if let (Some(cpu), Some(rss)) = (environment.gateway_cpu_us, environment.gateway_rss_max_bytes) {
        costs.push_str(&format!("; gateway CPU {}, {}", duration(cpu), bytes(rss)));
    }
    page.line(&costs);
    if environment.history_waits > 0 {
        page.line(&format!(
            "  waited {} for the disk, {} in all",
            plural(environment.history_waits, "time"),
            duration(environment.history_waited_us)
        ));
    }
    if let (Some(open), Some(waiting)) = (result.validity.sockets_high, result.validity.time_wait_high) {
        page.line(&format!("  at most {open} TCP sockets open on this machine, {waiting} in TIME_WAIT"));
    }
}

fn more(page: &mut Page, all: usize, shown: usize, noun: &str) {
    if all > shown {
        page.line(&format!(
            "  and {}, see result.json",
            plural((all - shown) as u64, &format!("more {noun}"))
        ));
    }
}

/// The text, cut to this many characters: names of the peer must not push a table apart.
fn short(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(chars - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::observation::Outcome;
    use crate::oracle::MismatchKind;
    use crate::plan::{Comparison, FaultKind};
    use crate::record::test_support::{
        Story, busy_story, mismatch, outcomes, refusal, refusal_for, session, threshold,
    };

    /// 200 phones that are approved and hold a session.
    fn smoke() -> Story {
        let mut story = Story::new(&[("phones", 200), ("local-cli", 20)]);
        story.plan.name = "smoke".to_owned();
        for client in 0..200 {
            let at = 10 * u64::from(client);
            let request = format!("request-{client}");
            story.attempt(client, 0).intended(at).started(at).answered(at + 8, refusal_for(&request));
            story.notice(0, client, &request, at + 9);
            story.approve(0, client, &request, at + 500, Some(at + 504));
            story.attempt(client, 1).intended(at + 1_008).started(at + 1_009).answered(at + 1_015, session());
        }
        for client in 200..220 {
            story.attempt(client, 0).intended(300).started(300).answered(304, session());
        }
        story.plan.thresholds = vec![threshold(
            "approval_to_session.p99 < 6s",
            "approval_to_session.p99",
            Comparison::Less,
            6_000_000.0,
        )];
        story
    }

    #[test]
    fn a_run_that_passes() {
        let text = summary(&smoke().result(), false);
        assert!(text.lines().count() <= 57);
        insta::assert_snapshot!(text, @r#"
        PASS (exit code 0): every outcome was allowed
        smoke (seed 7), profile article, in-repo gateway at ws://127.0.0.1:18789, 12.3 s
        420 attempts = 220 sessions + 200 refused

        The generator's own error         measured      budget
          lag p99                          1.00 ms     50.0 ms
          late starts                        0.0 %           -  10.0 ms or more after their time: 0
          dropped starts                     0.0 %       1.0 %
          CPU of the busiest reactor         6.8 %      90.0 %
          reactor without a core             0.4 %      30.0 %  31 µs each time
          descriptors in use                 1.1 %      98.0 %  212 of 20000
          waiting for the history            0.0 %       5.0 %
          not judged                         0.0 %       5.0 %
          note: gateway and generator shared their cores: each slowed the other

        Thresholds
          met      approval_to_session.p99 < 6s: 515 ms

        Refusals                                expected  observed
          not-paired                                 200       200

        Cohorts                       clients got a session  attempts  refused  mismatches
          phones                          200           200       400      200           0
          local-cli                        20            20        20        0           0

        Latency                         count         p50         p90         p99       p99.9         max
          response, session               220     7.00 ms     7.00 ms     7.00 ms     7.00 ms     7.00 ms
          response, refused               200     8.00 ms     8.00 ms     8.00 ms     8.00 ms     8.00 ms
          service, session                220     6.00 ms     6.00 ms     6.00 ms     6.00 ms     6.00 ms
          service, refused                200     8.00 ms     8.00 ms     8.00 ms     8.00 ms     8.00 ms
            dial                          420        0 µs        0 µs        0 µs        0 µs        0 µs
            upgrade                       420        0 µs        0 µs        0 µs        0 µs        0 µs
            challenge                     420        0 µs        0 µs        0 µs        0 µs        0 µs
            verdict                       420     6.00 ms     8.00 ms     8.00 ms     8.00 ms     8.00 ms
            close                         200     1.00 ms     1.00 ms     1.00 ms     1.00 ms     1.00 ms
          approval to session             200      515 ms      515 ms      515 ms      515 ms      515 ms

        From request to session           p50       p99    share
          phones (tries again at once, whatever the answer), approved by owner (on event, thinks 0s)
            before                    8.00 ms   8.00 ms           connect to known; not in the whole
            asked, not yet noticed    1.00 ms   1.00 ms    0.1 %  ▏
            noticed to approve         491 ms    491 ms   48.8 %  ████████████████████
            approve to acknowledged   4.00 ms   4.00 ms    0.4 %                      ▏
            to the next attempt        505 ms    505 ms   50.1 %                      ████████████████████
            attempt to session        6.00 ms   6.00 ms    0.6 %                                         ▏
            whole                      1.01 s    1.01 s  200 waited 1.01 s on average
            made them wait: people 48.8 % (491 ms), gateway 1.1 % (11.0 ms), client's pause 50.0 % (504 ms),
            this generator 0.1 % (1.00 ms)

        Costs
          1 reactor on 2 cores, CPU 840 ms (2.00 ms an attempt), 31 MB; gateway CPU 1.31 s, 24 MB
          at most 417 TCP sockets open on this machine, 35 in TIME_WAIT
        "#);
    }

    #[test]
    fn a_run_that_is_violated() {
        let text = summary_in(&busy_story().result(), false, Some(Path::new("results/runs/one")));
        insta::assert_snapshot!(text, @r#"
        VIOLATED (exit code 1): 4 outcomes are not allowed
        smoke (seed 7), profile article, in-repo gateway at ws://127.0.0.1:18789, 17.0 s
        176 attempts = 81 sessions + 53 refused + 41 without an answer (1 timed_out, 40 connection_refused)
        + 1 dropped

        The generator's own error         measured      budget
          lag p99                          2.00 ms     50.0 ms
          late starts                        0.0 %           -  10.0 ms or more after their time: 0
          dropped starts                     0.6 %       1.0 %  descriptors 1
          CPU of the busiest reactor         6.8 %      90.0 %
          reactor without a core             0.4 %      30.0 %  31 µs each time
          descriptors in use                 1.1 %      98.0 %  212 of 20000
          waiting for the history            0.0 %       5.0 %
          not judged                         0.6 %       5.0 %
          note: gateway and generator shared their cores: each slowed the other

        Not allowed
          1 x false_accept in tabs: expected AUTH_TOKEN_MISMATCH, saw session
              tabs/0 attempt 1: the client sent a token that is not the gateway's
          3 x false_reject in phones: expected session, saw not-paired
              phones/0 attempt 4: approval of request-0 was acknowledged at 0.30 s and nothing took it back
          a device's whole story:
            grep '"client":"tabs/0"' results/runs/one/violations.jsonl

        Thresholds
          NOT MET  mismatches == 0: 4
          met      approval_to_session.p99 < 6s: 705 ms

        Refusals                                expected  observed
          not-paired                                  40        43
              more than expected; approve the device: `devices list`, then `devices approve ID`
          AUTH_TOKEN_MISMATCH                         11        10

        Cohorts                       clients got a session  attempts  refused  mismatches
          phones                           40            40       163       43           3
          tabs                             10             1        13       10           1

        Latency                         count         p50         p90         p99       p99.9         max
          response, session                81     7.00 ms     12.0 ms     12.0 ms     12.0 ms     12.0 ms
          response, refused                53     9.00 ms     9.00 ms     9.00 ms     9.00 ms     9.00 ms
          service, session                 81     6.00 ms     10.0 ms     10.0 ms     10.0 ms     10.0 ms
          service, refused                 53     8.00 ms     8.00 ms     8.00 ms     8.00 ms     8.00 ms
            dial                          134        0 µs        0 µs        0 µs        0 µs        0 µs
            upgrade                       134        0 µs        0 µs        0 µs        0 µs        0 µs
            challenge                     134        0 µs        0 µs        0 µs        0 µs        0 µs
            verdict                       134     8.00 ms     10.0 ms     10.0 ms     10.0 ms     10.0 ms
            close                          53     1.00 ms     1.00 ms     1.00 ms     1.00 ms     1.00 ms
          without an answer                41     2.00 ms     2.00 ms      10.0 s      10.0 s      10.0 s
          approval to session              40      705 ms      705 ms      705 ms      705 ms      705 ms

        From request to session           p50       p99    share
          phones (tries again at once, whatever the answer), approved by owner (on event, thinks 0s)
            before                    8.00 ms   8.00 ms           connect to known; not in the whole
            asked, not yet noticed    2.00 ms   2.00 ms    0.2 %  ▏
            noticed to approve         300 ms    300 ms   29.8 %  ████████████
            approve to acknowledged   4.00 ms   4.00 ms    0.4 %              ▏
            to the next attempt        695 ms    695 ms   69.0 %              ████████████████████████████
            attempt to session        6.00 ms   6.00 ms    0.6 %                                         ▏
            whole                      1.01 s    1.01 s  40 waited 1.01 s on average
            made them wait: people 29.8 % (300 ms), gateway 1.2 % (12.0 ms), client's pause 68.9 % (694 ms),
            this generator 0.1 % (1.00 ms)

        Restart `update` by SIGKILL at 3.00 s
          port closed 2.00 ms, exited 4.00 ms, new process 104 ms, port open 180 ms, first session 1.01 s
          40 clients held a session, 40 lost it; back: 50 % 1.20 s, 90 % 1.36 s, 99 % 1.40 s, all 1.40 s;
          2.0 attempts each

        Costs
          1 reactor on 2 cores, CPU 840 ms (4.77 ms an attempt), 31 MB; gateway CPU 1.31 s, 24 MB
          at most 417 TCP sockets open on this machine, 35 in TIME_WAIT
        "#);
    }

    #[test]
    fn a_run_that_is_invalid() {
        let mut story = smoke();
        story.attempt(0, 2).intended(1_000).started(4_000).answered(4_004, session());
        for client in 0..5 {
            story
                .attempt(client, 3)
                .intended(1_000)
                .started(4_000)
                .answered(4_004, session())
                .indeterminate("");
        }
        story.fault("store", FaultKind::Reload, 2_000, Some(2_012));
        story.plan.time_scale = 0.1;
        insta::assert_snapshot!(summary(&story.result(), false), @r#"
        INVALID (exit code 4): the numbers cannot be trusted
        smoke (seed 7), profile article, in-repo gateway at ws://127.0.0.1:18789, 12.3 s
        426 attempts = 226 sessions + 200 refused

        The generator's own error         measured      budget
          lag p99                           3.00 s     50.0 ms  OVER
          late starts                        1.4 %           -  10.0 ms or more after their time: 6
          dropped starts                     0.0 %       1.0 %
          CPU of the busiest reactor         6.8 %      90.0 %
          reactor without a core             0.4 %      30.0 %  31 µs each time
          descriptors in use                 1.1 %      98.0 %  212 of 20000
          waiting for the history            0.0 %       5.0 %
          not judged                         1.2 %       5.0 %
          note: gateway and generator shared their cores: each slowed the other
          note: durations of gateway and clients were scaled by 0.1: latencies are not those of real time

        The numbers cannot be trusted
          the generator was late: p99 of its lag is 3.0 s, the budget 50.0 ms

        Thresholds
          met      approval_to_session.p99 < 6s: 515 ms

        Refusals                                expected  observed
          not-paired                                 200       200

        Cohorts                       clients got a session  attempts  refused  mismatches
          phones                          200           200       406      200           0
          local-cli                        20            20        20        0           0

        Latency                         count         p50         p90         p99       p99.9         max
          response, session               226     7.00 ms     7.00 ms      3.00 s      3.00 s      3.00 s
          response, refused               200     8.00 ms     8.00 ms     8.00 ms     8.00 ms     8.00 ms
          service, session                226     6.00 ms     6.00 ms     6.00 ms     6.00 ms     6.00 ms
          service, refused                200     8.00 ms     8.00 ms     8.00 ms     8.00 ms     8.00 ms
            dial                          426        0 µs        0 µs        0 µs        0 µs        0 µs
            upgrade                       426        0 µs        0 µs        0 µs        0 µs        0 µs
            challenge                     426        0 µs        0 µs        0 µs        0 µs        0 µs
            verdict                       426     6.00 ms     8.00 ms     8.00 ms     8.00 ms     8.00 ms
            close                         200     1.00 ms     1.00 ms     1.00 ms     1.00 ms     1.00 ms
          approval to session             200      515 ms      515 ms      515 ms      515 ms      515 ms

        From request to session           p50       p99    share
          phones (tries again at once, whatever the answer), approved by owner (on event, thinks 0s)
            before                    8.00 ms   8.00 ms           connect to known; not in the whole
            asked, not yet noticed    1.00 ms   1.00 ms    0.1 %  ▏
            noticed to approve         491 ms    491 ms   48.8 %  ████████████████████
            approve to acknowledged   4.00 ms   4.00 ms    0.4 %                      ▏
            to the next attempt        505 ms    505 ms   50.1 %                      ████████████████████
            attempt to session        6.00 ms   6.00 ms    0.6 %                                         ▏
            whole                      1.01 s    1.01 s  200 waited 1.01 s on average
            made them wait: people 48.8 % (491 ms), gateway 1.1 % (11.0 ms), client's pause 50.0 % (504 ms),
            this generator 0.1 % (1.00 ms)

        Other faults
          reload `store` at 2.00 s, over after 12.0 ms

        Costs
          1 reactor on 2 cores, CPU 840 ms (1.97 ms an attempt), 31 MB; gateway CPU 1.31 s, 24 MB
          at most 417 TCP sockets open on this machine, 35 in TIME_WAIT
        "#);
    }

    #[test]
    fn a_run_that_misses_a_threshold() {
        let mut story = smoke();
        story.plan.thresholds.push(threshold(
            "phases.response.p50 < 1ms",
            "phases.response.p50",
            Comparison::Less,
            1e3,
        ));
        let text = summary(&story.result(), false);
        assert!(text.starts_with("THRESHOLD (exit code 2): 1 of 2 thresholds not met\n"), "{text}");
        let at = text.find("Thresholds\n").expect("a section");
        assert!(
            text[at..].starts_with("Thresholds\n  NOT MET  phases.response.p50 < 1ms: 7.00 ms\n  met "),
            "{text}"
        );
    }

    #[test]
    fn a_run_that_was_interrupted() {
        let mut story = Story::new(&[("phones", 2)]);
        story.attempt(0, 0).started(10).answered(14, session());
        story.attempt(1, 0).started(20).ended(21, Outcome::ConnectionRefused);
        story.facts.interrupted = true;
        story.facts.run_duration_ns = 2_500_000_000;
        story.facts.cores_shared = false;
        insta::assert_snapshot!(summary(&story.result(), false), @r#"
        INTERRUPTED after 2.50 s (exit code 130), until then PASS: every outcome was allowed
        hand-made (seed 7), profile article, in-repo gateway at ws://127.0.0.1:18789, 2.50 s
        2 attempts = 1 session + 0 refused + 1 without an answer (1 connection_refused)

        The generator's own error         measured      budget
          lag p99                             0 µs     50.0 ms
          late starts                        0.0 %           -  10.0 ms or more after their time: 0
          dropped starts                     0.0 %       1.0 %
          CPU of the busiest reactor         6.8 %      90.0 %
          reactor without a core             0.4 %      30.0 %  31 µs each time
          descriptors in use                 1.1 %      98.0 %  212 of 20000
          waiting for the history            0.0 %       5.0 %
          not judged                         0.0 %       5.0 %

        Cohorts                       clients got a session  attempts  refused  mismatches
          phones                            2             1         2        0           0

        Latency                         count         p50         p90         p99       p99.9         max
          response, session                 1     4.00 ms     4.00 ms     4.00 ms     4.00 ms     4.00 ms
          service, session                  1     4.00 ms     4.00 ms     4.00 ms     4.00 ms     4.00 ms
            dial                            1        0 µs        0 µs        0 µs        0 µs        0 µs
            upgrade                         1        0 µs        0 µs        0 µs        0 µs        0 µs
            challenge                       1        0 µs        0 µs        0 µs        0 µs        0 µs
            verdict                         1     4.00 ms     4.00 ms     4.00 ms     4.00 ms     4.00 ms
          without an answer                 1     1.00 ms     1.00 ms     1.00 ms     1.00 ms     1.00 ms

        Costs
          1 reactor on 2 cores, CPU 840 ms (420 ms an attempt), 31 MB; gateway CPU 1.31 s, 24 MB
          at most 417 TCP sockets open on this machine, 35 in TIME_WAIT
        "#);
    }

    #[test]
    fn a_run_that_failed() {
        let mut story = Story::new(&[("phones", 2)]);
        story.facts.failed =
            Some("the gateway exited with code 78 before it listened: paired.json does not parse".to_owned());
        story.facts.cores_shared = false;
        insta::assert_snapshot!(summary(&story.result(), false), @r#"
        FAILED (exit code 3): the gateway exited with code 78 before it listened: paired.json does not parse
        hand-made (seed 7), profile article, in-repo gateway at ws://127.0.0.1:18789, 12.3 s
        0 attempts = 0 sessions + 0 refused

        The generator's own error         measured      budget
          lag p99                                -     50.0 ms
          late starts                            -           -  10.0 ms or more after their time: 0
          dropped starts                         -       1.0 %
          CPU of the busiest reactor         6.8 %      90.0 %
          reactor without a core             0.4 %      30.0 %  31 µs each time
          descriptors in use                 1.1 %      98.0 %  212 of 20000
          waiting for the history            0.0 %       5.0 %
          not judged                             -       5.0 %

        The numbers cannot be trusted
          nothing was attempted

        Cohorts                       clients got a session  attempts  refused  mismatches
          phones                            2             0         0        0           0

        Costs
          1 reactor on 2 cores, CPU 840 ms, 31 MB; gateway CPU 1.31 s, 24 MB
          at most 417 TCP sockets open on this machine, 35 in TIME_WAIT
        "#);
    }

    #[test]
    fn unexpected_pairing_reasons_name_their_cure() {
        let mut story = Story::new(&[("phones", 1)]);
        for reason in ["not-paired", "scope-upgrade", "role-upgrade", "metadata-upgrade"] {
            story
                .attempt(0, story.history.attempts.len() as u32)
                .answered(5, refusal(reason))
                .verdict(mismatch(MismatchKind::FalseReject, &["session"], reason, ""));
        }
        let text = summary(&story.result(), false);
        for reason in ["not-paired", "scope-upgrade", "role-upgrade", "metadata-upgrade"] {
            assert!(text.contains(cure(reason).expect("a cure")), "{text}");
        }
    }

    #[test]
    fn colour_paints_the_verdict_and_nothing_else() {
        let result = smoke().result();
        let plain = summary(&result, false);
        let painted = summary(&result, true);
        assert!(painted.starts_with("\u{1b}[1;32mPASS (exit code 0)\u{1b}[0m: "));
        assert_eq!(painted.replace("\u{1b}[1;32m", "").replace("\u{1b}[0m", ""), plain);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn whatever_happened_it_fits_the_page(
            events in prop::collection::vec((0_u32..5, 0_usize..9, 0_u64..4_000, 0_u64..2_000, any::<bool>()), 0..60),
            name in "\\PC{0,120}",
            why in ".{0,300}",
        ) {
            let kinds = outcomes();
            let mut story = Story::new(&[(&name, 3), ("tabs", 2)]);
            for (attempt, (client, pick, start, took, wrong)) in events.iter().enumerate() {
                let builder = story.any_attempt(*client, attempt as u32, *start, *took, kinds[*pick].clone());
                if *wrong {
                    builder.verdict(mismatch(MismatchKind::WrongReason, &[&why], &name, &why));
                }
            }
            let text = summary(&story.result(), false);
            for line in text.lines().filter(|line| !line.starts_with("    grep ")) {
                prop_assert!(line.chars().count() <= 100, "{}", line);
            }
            prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
            prop_assert!(text.lines().count() <= 110);
        }
    }
}
