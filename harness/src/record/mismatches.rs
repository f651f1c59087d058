//! Mismatches: by kind, as a table of expected against observed, and in groups for people.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_name::ByName;
use super::groups::{Finding, Groups, MismatchGroup};
use super::outcomes::outcome_class;
use crate::history::{EndedBy, History};
use crate::observation::Observation;
use crate::oracle::{Judgement, MismatchKind, Verdict};
use crate::plan::{ClientId, Plan};

/// Expected class of a session that nobody said should end.
pub const SESSION_HELD: &str = "session held";
/// Column of verdicts that evidence did not suffice for.
pub const INDETERMINATE: &str = "(indeterminate)";

/// Number of mismatches by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MismatchCounts {
    /// All kinds together.
    pub total: u64,
    /// Someone got in who may not.
    pub false_accept: u64,
    /// Someone was locked out who may get in.
    pub false_reject: u64,
    /// Rightly refused, for the wrong reason, with a wrong code or details.
    pub wrong_reason: u64,
    /// Rightly refused with the wrong close, or a session that ended outside every fault.
    pub wrong_close: u64,
    /// Rightly accepted with other role, scopes or token than allowed.
    pub wrong_grant: u64,
    /// The gateway did not answer although nothing stood in its way.
    pub no_answer: u64,
    /// A session heard an event that it may not hear.
    pub leaked_event: u64,
    /// A gateway that had begun to stop let an upgrade through.
    pub late_upgrade: u64,
    /// It took longer, or not as long, as the scenario expects.
    pub wrong_latency: u64,
    /// An operation was carried out for somebody who may not ask for it, or refused to somebody who may.
    pub wrong_answer: u64,
}

impl MismatchCounts {
    /// Counts one mismatch.
    pub const fn count(&mut self, kind: MismatchKind) {
        self.total += 1;
        *match kind {
            MismatchKind::FalseAccept => &mut self.false_accept,
            MismatchKind::FalseReject => &mut self.false_reject,
            MismatchKind::WrongReason => &mut self.wrong_reason,
            MismatchKind::WrongClose => &mut self.wrong_close,
            MismatchKind::WrongGrant => &mut self.wrong_grant,
            MismatchKind::NoAnswer => &mut self.no_answer,
            MismatchKind::LeakedEvent => &mut self.leaked_event,
            MismatchKind::LateUpgrade => &mut self.late_upgrade,
            MismatchKind::WrongLatency => &mut self.wrong_latency,
            MismatchKind::WrongAnswer => &mut self.wrong_answer,
        } += 1;
    }

    /// Adds the counts of another part of the run.
    pub const fn merge(&mut self, other: &Self) {
        self.total += other.total;
        self.false_accept += other.false_accept;
        self.false_reject += other.false_reject;
        self.wrong_reason += other.wrong_reason;
        self.wrong_close += other.wrong_close;
        self.wrong_grant += other.wrong_grant;
        self.no_answer += other.no_answer;
        self.leaked_event += other.leaked_event;
        self.late_upgrade += other.late_upgrade;
        self.wrong_latency += other.wrong_latency;
        self.wrong_answer += other.wrong_answer;
    }

    /// Count of one kind.
    #[must_use]
    pub const fn get(&self, kind: MismatchKind) -> u64 {
        match kind {
            MismatchKind::FalseAccept => self.false_accept,
            MismatchKind::FalseReject => self.false_reject,
            MismatchKind::WrongReason => self.wrong_reason,
            MismatchKind::WrongClose => self.wrong_close,
            MismatchKind::WrongGrant => self.wrong_grant,
            MismatchKind::NoAnswer => self.no_answer,
            MismatchKind::LeakedEvent => self.leaked_event,
            MismatchKind::LateUpgrade => self.late_upgrade,
            MismatchKind::WrongLatency => self.wrong_latency,
            MismatchKind::WrongAnswer => self.wrong_answer,
        }
    }
}

/// Expected class -> observed class -> number of attempts. A match stands on the diagonal; several allowed classes are
/// joined by ` or `; a session that ended unasked stands under [`SESSION_HELD`].
pub type ExpectedObserved = BTreeMap<String, BTreeMap<String, u64>>;

/// Everything about mismatches that a result holds.
#[derive(Debug, Clone, Default)]
pub struct MismatchTally {
    /// By kind.
    pub counts: MismatchCounts,
    /// Attempts that evidence did not suffice for.
    pub indeterminate: u64,
    /// The table.
    pub expected_observed: ExpectedObserved,
    /// Groups, the largest first, at most [`super::groups::GROUPS_MAX`].
    pub groups: Vec<MismatchGroup>,
}

/// Recorder of verdicts. Recorders of parts of a run merge.
#[derive(Debug, Clone, Default)]
pub struct MismatchRecorder {
    counts: MismatchCounts,
    indeterminate: u64,
    /// By the class that was expected and seen: the diagonal of the table, which nearly every attempt belongs to.
    matches: ByName<u64>,
    table: ByName<ByName<u64>>,
    groups: Groups,
}

impl MismatchRecorder {
    /// Counts the verdict on one attempt; none counts as indeterminate.
    pub fn attempt(&mut self, plan: &Plan, attempt: &Observation, verdict: Option<&Verdict>) {
        match verdict {
            Some(Verdict::Match { expected }) => self.matches.change(expected, |count| *count += 1),
            Some(Verdict::Mismatch(mismatch)) => self.finding(
                plan,
                &Finding {
                    kind: mismatch.kind,
                    client: attempt.client,
                    attempt: attempt.attempt,
                    expected: &joined(&mismatch.expected),
                    observed: &mismatch.observed,
                    why: &mismatch.why,
                },
            ),
            Some(Verdict::Indeterminate { .. }) | None => {
                self.indeterminate += 1;
                self.add(INDETERMINATE, &outcome_class(&attempt.outcome));
            }
        }
    }

    /// Counts what a judgement holds beside the verdicts on attempts.
    pub fn beside_attempts(&mut self, plan: &Plan, history: &History, judgement: &Judgement) {
        for finding in &judgement.session_ends {
            let end = history.session_ends.get(finding.session_end);
            self.finding(
                plan,
                &Finding {
                    kind: MismatchKind::WrongClose,
                    client: end.map_or(ClientId::MAX, |end| end.client),
                    attempt: end.map_or(0, |end| end.attempt),
                    expected: SESSION_HELD,
                    observed: &session_end_class(end.map(|end| &end.by)),
                    why: &finding.why,
                },
            );
        }
        for breach in &judgement.breaches {
            self.finding(
                plan,
                &Finding {
                    kind: breach.kind,
                    client: breach.client,
                    attempt: breach.attempt,
                    expected: &breach.expected,
                    observed: &breach.observed,
                    why: &breach.why,
                },
            );
        }
    }

    /// Adds what another recorder counted.
    pub fn merge(&mut self, other: Self) {
        self.counts.merge(&other.counts);
        self.indeterminate += other.indeterminate;
        self.matches += other.matches;
        self.table += other.table;
        self.groups.merge(other.groups);
    }

    /// Attempts that got what was expected, by its class.
    #[must_use]
    pub const fn matches(&self) -> &ByName<u64> {
        &self.matches
    }

    /// What a result holds of it.
    #[must_use]
    pub fn summary(&self) -> MismatchTally {
        let mut table: ExpectedObserved = self
            .table
            .clone()
            .into_table()
            .into_iter()
            .map(|(expected, row)| (expected, row.into_table()))
            .collect();
        for (class, count) in self.matches.clone().into_table() {
            *table.entry(class.clone()).or_default().entry(class).or_default() += count;
        }
        MismatchTally {
            counts: self.counts,
            indeterminate: self.indeterminate,
            expected_observed: table,
            groups: self.groups.largest(),
        }
    }

    fn finding(&mut self, plan: &Plan, finding: &Finding<'_>) {
        self.counts.count(finding.kind);
        self.add(finding.expected, finding.observed);
        self.groups.add(plan, finding);
    }

    fn add(&mut self, expected: &str, observed: &str) {
        self.table.change(expected, |row| row.change(observed, |count| *count += 1));
    }
}

/// Class of a session's end, for example `session ended: 1006`.
#[must_use]
pub fn session_end_class(by: Option<&EndedBy>) -> String {
    match by {
        Some(EndedBy::Gateway(close)) => format!("session ended: {}", super::outcomes::close_code(close)),
        Some(EndedBy::Client) => "session ended: by the client".to_owned(),
        None => "session ended".to_owned(),
    }
}

/// Name of a client: `cohort/index`, and `cohort/index~1` when it has lost its key once.
#[must_use]
pub fn client_name(plan: &Plan, client: ClientId) -> String {
    plan.clients.get(client as usize).map_or_else(
        || format!("client {client}"),
        |planned| {
            let lost = if planned.life > 0 { format!("~{}", planned.life) } else { String::new() };
            format!("{}/{}{lost}", cohort_name(plan, client), planned.index)
        },
    )
}

/// Name of a client's cohort, `?` if the plan does not know the client.
#[must_use]
pub fn cohort_name(plan: &Plan, client: ClientId) -> &str {
    plan.clients
        .get(client as usize)
        .and_then(|planned| plan.cohorts.get(usize::from(planned.cohort)))
        .map_or("?", |cohort| cohort.name.as_str())
}

/// Allowed classes as one text.
#[must_use]
pub fn joined(expected: &[String]) -> String {
    if expected.is_empty() { "(nothing)".to_owned() } else { expected.join(" or ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::by_name::{CLASS_CHARS_MAX, CLASSES_MAX};
    use crate::record::groups::GROUPS_MAX;
    use crate::record::test_support::{Story, mismatch, refusal, session};

    fn tally(story: &Story) -> MismatchTally {
        let mut recorder = MismatchRecorder::default();
        for (attempt, verdict) in story.history.attempts.iter().zip(&story.judgement.attempts) {
            recorder.attempt(&story.plan, attempt, Some(verdict));
        }
        recorder.beside_attempts(&story.plan, &story.history, &story.judgement);
        recorder.summary()
    }

    #[test]
    fn kinds_are_counted_and_always_add_up() {
        let mut counts = MismatchCounts::default();
        for (times, kind) in MismatchKind::ALL.into_iter().enumerate() {
            (0..=times).for_each(|_| counts.count(kind));
            assert_eq!(counts.get(kind), times as u64 + 1);
        }
        assert_eq!(counts.total, 55);
        let value = serde_json::to_value(counts).expect("counts");
        for kind in MismatchKind::ALL {
            assert_eq!(value[kind.as_str()], counts.get(kind), "{}", kind.as_str());
        }
    }

    #[test]
    fn the_table_holds_every_attempt_and_every_lost_session() {
        let mut story = Story::new(&[("phones", 3)]);
        story.attempt(0, 0).answered(10, session()).expected("session");
        story.attempt(1, 0).answered(10, session()).verdict(mismatch(
            MismatchKind::FalseAccept,
            &["not-paired"],
            "session",
            "request 0a1b2c3d-1111-2222-3333-444455556666 was never approved",
        ));
        story.attempt(2, 0).answered(10, refusal("not-paired")).indeterminate("history has a gap");
        story.session_lost(0, 0, 50, "no fault was under way at 50 ms");
        let tally = tally(&story);
        assert_eq!(
            serde_json::to_value(&tally.expected_observed).expect("table"),
            serde_json::json!({
                "session": {"session": 1},
                "not-paired": {"session": 1},
                "(indeterminate)": {"not-paired": 1},
                "session held": {"session ended: 1006": 1},
            })
        );
        assert_eq!(tally.indeterminate, 1);
        assert_eq!((tally.counts.total, tally.counts.false_accept, tally.counts.wrong_close), (2, 1, 1));
        assert_eq!(tally.groups[0].example, "phones/1");
        assert_eq!(tally.groups[0].why, "request <id> was never approved");
        assert_eq!(tally.groups[1].why, "no fault was under way at N ms");
    }

    #[test]
    fn names_from_the_peer_cannot_grow_the_table_without_limit() {
        let mut story = Story::new(&[("phones", 1)]);
        for attempt in 0..300 {
            story.attempt(0, attempt).answered(10, session()).verdict(mismatch(
                MismatchKind::WrongReason,
                &["not-paired"],
                &format!("{}{}", "x".repeat(100 + attempt as usize), attempt),
                "",
            ));
        }
        let tally = tally(&story);
        let row = &tally.expected_observed["not-paired"];
        assert!(row.len() <= CLASSES_MAX + 1);
        assert!(row.keys().all(|name| name.chars().count() <= CLASS_CHARS_MAX));
        assert_eq!(row.values().sum::<u64>(), 300);
        assert_eq!(tally.groups.len(), GROUPS_MAX);
    }
}
