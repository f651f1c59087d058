//! Mismatches: by kind, as a table of expected against observed, and in groups for people.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::outcomes::outcome_class;
use crate::history::{EndedBy, History};
use crate::oracle::{Judgement, MismatchKind, Verdict};
use crate::plan::{ClientId, Plan};

/// Distinct classes on one side of the table; what comes after them counts as [`OTHER_CLASS`], because the names of
/// observed classes come from the peer.
pub const CLASSES_MAX: usize = 128;
/// Class of what no longer fits.
pub const OTHER_CLASS: &str = "(other)";
/// Longest class name, in characters; longer ones are cut.
pub const CLASS_CHARS_MAX: usize = 120;
/// Groups of mismatches that a result holds, the largest first.
pub const GROUPS_MAX: usize = 50;
/// Groups told apart while counting; a mismatch of a further group counts in [`OTHER_CLASS`].
const GROUPS_TOLD_APART_MAX: usize = 2_000;
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
            MismatchKind::WrongAnswer => &mut self.wrong_answer,
        } += 1;
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
            MismatchKind::WrongAnswer => self.wrong_answer,
        }
    }
}

/// Expected class -> observed class -> number of attempts. A match stands on the diagonal; several allowed classes are
/// joined by ` or `; a session that ended unasked stands under [`SESSION_HELD`].
pub type ExpectedObserved = BTreeMap<String, BTreeMap<String, u64>>;

/// Mismatches of one kind, cohort and cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MismatchGroup {
    /// Kind, for example `false_accept`.
    pub kind: String,
    /// Name of the cohort.
    pub cohort: String,
    /// Allowed classes, joined by ` or `.
    pub expected: String,
    /// Class that was seen.
    pub observed: String,
    /// The deciding fact, with ids and numbers left out, for example `request <id> was never approved`.
    pub why: String,
    /// How many.
    pub count: u64,
    /// One of the clients, as `cohort/index`.
    pub example: String,
    /// The attempt of that client.
    pub example_attempt: u32,
    /// The deciding fact of that attempt, word for word.
    pub example_why: String,
}

/// Everything about mismatches that a result holds.
#[derive(Debug, Clone, Default)]
pub struct MismatchTally {
    /// By kind.
    pub counts: MismatchCounts,
    /// Attempts that evidence did not suffice for.
    pub indeterminate: u64,
    /// The table.
    pub expected_observed: ExpectedObserved,
    /// Groups, the largest first, at most [`GROUPS_MAX`].
    pub groups: Vec<MismatchGroup>,
}

/// Counts all verdicts of a run. Attempts without a verdict count as indeterminate.
#[must_use]
pub fn tally(plan: &Plan, history: &History, judgement: &Judgement) -> MismatchTally {
    let mut tally = MismatchTally::default();
    let mut groups = Groups::default();
    for (position, attempt) in history.attempts.iter().enumerate() {
        match judgement.attempts.get(position) {
            Some(Verdict::Match { expected }) => add(&mut tally.expected_observed, expected, expected),
            Some(Verdict::Mismatch(mismatch)) => {
                let expected = joined(&mismatch.expected);
                tally.counts.count(mismatch.kind);
                add(&mut tally.expected_observed, &expected, &mismatch.observed);
                groups.add(
                    plan,
                    Finding {
                        kind: mismatch.kind,
                        client: attempt.client,
                        attempt: attempt.attempt,
                        expected: &expected,
                        observed: &mismatch.observed,
                        why: &mismatch.why,
                    },
                );
            }
            Some(Verdict::Indeterminate { .. }) | None => {
                tally.indeterminate += 1;
                add(&mut tally.expected_observed, INDETERMINATE, &outcome_class(&attempt.outcome));
            }
        }
    }
    for finding in &judgement.session_ends {
        tally.counts.count(MismatchKind::WrongClose);
        let end = history.session_ends.get(finding.session_end);
        let observed = session_end_class(end.map(|end| &end.by));
        add(&mut tally.expected_observed, SESSION_HELD, &observed);
        groups.add(
            plan,
            Finding {
                kind: MismatchKind::WrongClose,
                client: end.map_or(ClientId::MAX, |end| end.client),
                attempt: end.map_or(0, |end| end.attempt),
                expected: SESSION_HELD,
                observed: &observed,
                why: &finding.why,
            },
        );
    }
    for breach in &judgement.breaches {
        tally.counts.count(breach.kind);
        add(&mut tally.expected_observed, &breach.expected, &breach.observed);
        groups.add(
            plan,
            Finding {
                kind: breach.kind,
                client: breach.client,
                attempt: breach.attempt,
                expected: &breach.expected,
                observed: &breach.observed,
                why: &breach.why,
            },
        );
    }
    tally.groups = groups.largest();
    tally
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

/// Name of a client: `cohort/index`.
#[must_use]
pub fn client_name(plan: &Plan, client: ClientId) -> String {
    plan.clients.get(client as usize).map_or_else(
        || format!("client {client}"),
        |planned| format!("{}/{}", cohort_name(plan, client), planned.index),
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

fn add(table: &mut ExpectedObserved, expected: &str, observed: &str) {
    let expected = bounded(expected, |name| table.contains_key(name), table.len());
    let row = table.entry(expected).or_default();
    let observed = bounded(observed, |name| row.contains_key(name), row.len());
    *row.entry(observed).or_default() += 1;
}

/// The name, cut; or [`OTHER_CLASS`] if it is new and there are enough.
pub(super) fn bounded(name: &str, known: impl Fn(&str) -> bool, names: usize) -> String {
    let cut: String = name.chars().take(CLASS_CHARS_MAX).collect();
    if known(&cut) || names < CLASSES_MAX { cut } else { OTHER_CLASS.to_owned() }
}

struct Finding<'a> {
    kind: MismatchKind,
    client: ClientId,
    attempt: u32,
    expected: &'a str,
    observed: &'a str,
    why: &'a str,
}

#[derive(Default)]
struct Groups {
    by_cause: BTreeMap<(usize, String, String, String, String), MismatchGroup>,
}

impl Groups {
    fn add(&mut self, plan: &Plan, finding: Finding<'_>) {
        let rank = MismatchKind::ALL.iter().position(|kind| *kind == finding.kind).unwrap_or_default();
        let cohort = cohort_name(plan, finding.client);
        let mut key = (
            rank,
            cohort.to_owned(),
            finding.expected.to_owned(),
            finding.observed.to_owned(),
            without_particulars(finding.why),
        );
        if self.by_cause.len() >= GROUPS_TOLD_APART_MAX && !self.by_cause.contains_key(&key) {
            key = (
                rank,
                cohort.to_owned(),
                OTHER_CLASS.to_owned(),
                OTHER_CLASS.to_owned(),
                OTHER_CLASS.to_owned(),
            );
        }
        let group = self.by_cause.entry(key).or_insert_with_key(|key| MismatchGroup {
            kind: finding.kind.as_str().to_owned(),
            cohort: key.1.clone(),
            expected: key.2.clone(),
            observed: key.3.clone(),
            why: key.4.clone(),
            count: 0,
            example: client_name(plan, finding.client),
            example_attempt: finding.attempt,
            example_why: finding.why.to_owned(),
        });
        group.count += 1;
    }

    /// By kind, worst first, then by size: ten false accepts weigh more than a thousand wrong texts.
    fn largest(self) -> Vec<MismatchGroup> {
        let mut groups: Vec<_> = self.by_cause.into_iter().map(|(key, group)| (key.0, group)).collect();
        groups.sort_by(|(a_rank, a), (b_rank, b)| a_rank.cmp(b_rank).then(b.count.cmp(&a.count)));
        groups.into_iter().map(|(_, group)| group).take(GROUPS_MAX).collect()
    }
}

/// The sentence with every id replaced by `<id>` and every other number by `N`, so that mismatches of one cause group
/// together. A word is an id if it has a digit and at least 16 characters, all hex digits and dashes, as UUIDs and hashes
/// have. Digits behind a letter stay: `v3`.
#[must_use]
pub fn without_particulars(why: &str) -> String {
    let mut text = String::with_capacity(why.len());
    let mut word = String::new();
    for c in why.chars() {
        if c.is_alphanumeric() || (c == '-' && !word.is_empty()) {
            word.push(c);
        } else {
            flush(&mut text, &mut word);
            text.push(c);
        }
    }
    flush(&mut text, &mut word);
    // "3.2" has become "N.N".
    while text.contains("N.N") {
        text = text.replace("N.N", "N");
    }
    text
}

fn flush(text: &mut String, word: &mut String) {
    let id = word.len() >= 16
        && word.chars().any(|c| c.is_ascii_digit())
        && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if id {
        text.push_str("<id>");
        word.clear();
        return;
    }
    let mut before = None;
    for c in word.drain(..) {
        let digit = c.is_ascii_digit();
        match before {
            Some('N') if digit => continue,
            None | Some('-') if digit => {
                text.push('N');
                before = Some('N');
                continue;
            }
            _ => text.push(c),
        }
        before = Some(if c == 'N' { 'n' } else { c });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::test_support::{Story, mismatch, refusal, session};

    #[test]
    fn kinds_are_counted_and_always_add_up() {
        let mut counts = MismatchCounts::default();
        for (times, kind) in MismatchKind::ALL.into_iter().enumerate() {
            (0..=times).for_each(|_| counts.count(kind));
            assert_eq!(counts.get(kind), times as u64 + 1);
        }
        assert_eq!(counts.total, 45);
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
        let tally = tally(&story.plan, &story.history, &story.judgement);
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
    fn mismatches_of_one_cause_form_one_group_and_the_worst_kind_leads() {
        let mut story = Story::new(&[("phones", 4), ("tabs", 1)]);
        for client in 0..4 {
            story.attempt(client, 0).answered(10, refusal("not-paired")).verdict(mismatch(
                MismatchKind::FalseReject,
                &["session"],
                "not-paired",
                &format!("approval was acknowledged at {client}.5 s"),
            ));
        }
        story.attempt(4, 2).answered(10, session()).verdict(mismatch(
            MismatchKind::FalseAccept,
            &["not-paired", "role-upgrade"],
            "session",
            "never approved",
        ));
        let groups = tally(&story.plan, &story.history, &story.judgement).groups;
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[0].kind.as_str(), groups[0].count), ("false_accept", 1));
        assert_eq!((groups[0].example.as_str(), groups[0].example_attempt), ("tabs/0", 2));
        assert_eq!(groups[0].expected, "not-paired or role-upgrade");
        assert_eq!((groups[1].kind.as_str(), groups[1].count), ("false_reject", 4));
        assert_eq!(groups[1].why, "approval was acknowledged at N s");
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
        let tally = tally(&story.plan, &story.history, &story.judgement);
        let row = &tally.expected_observed["not-paired"];
        assert!(row.len() <= CLASSES_MAX + 1);
        assert!(row.keys().all(|name| name.chars().count() <= CLASS_CHARS_MAX));
        assert_eq!(row.values().sum::<u64>(), 300);
        assert_eq!(tally.groups.len(), GROUPS_MAX);
    }

    #[test]
    fn particulars_are_left_out_of_a_cause() {
        for (why, cause) in [
            ("acknowledged at 3.2 s, lost at 5.0 s.", "acknowledged at N s, lost at N s."),
            ("took 12ms.", "took Nms."),
            ("request r-17 of phones/4711", "request r-N of phones/N"),
            ("N3 and N 3", "N3 and N N"),
            ("device 0a1b2c3d4e5f60718293a4b5c6d7e8f9", "device <id>"),
            ("ends with 1006", "ends with N"),
            ("protocol v3", "protocol v3"),
            ("", ""),
        ] {
            assert_eq!(without_particulars(why), cause);
        }
    }
}
