//! Mismatches: by kind, as a table of expected against observed, and in groups for people.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_name::{ByName, OTHER_CLASS};
use super::outcomes::outcome_class;
use crate::history::{EndedBy, History};
use crate::observation::Observation;
use crate::oracle::{Judgement, MismatchKind, Verdict};
use crate::plan::{ClientId, Plan};

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

struct Finding<'a> {
    kind: MismatchKind,
    client: ClientId,
    attempt: u32,
    expected: &'a str,
    observed: &'a str,
    why: &'a str,
}

/// What the mismatches of one group have in common, the worst kind first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cause {
    /// Position in [`MismatchKind::ALL`].
    rank: usize,
    cohort: String,
    expected: String,
    observed: String,
    why: String,
}

#[derive(Debug, Clone)]
struct Group {
    count: u64,
    example: Example,
}

/// The mismatch of a group that is shown: that of the lowest client and attempt, whatever the order of the parts.
#[derive(Debug, Clone)]
struct Example {
    client: ClientId,
    attempt: u32,
    name: String,
    why: String,
}

/// Groups by cause. If there are too many, those with the smallest causes are told apart (see [`ByName`] for why).
#[derive(Debug, Clone, Default)]
struct Groups {
    by_cause: BTreeMap<Cause, Group>,
    /// The rest, by kind and cohort.
    rest: BTreeMap<Cause, Group>,
}

impl Groups {
    fn add(&mut self, plan: &Plan, finding: &Finding<'_>) {
        let cause = Cause {
            rank: MismatchKind::ALL.iter().position(|kind| *kind == finding.kind).unwrap_or_default(),
            cohort: cohort_name(plan, finding.client).to_owned(),
            expected: finding.expected.to_owned(),
            observed: finding.observed.to_owned(),
            why: without_particulars(finding.why),
        };
        let seen = (finding.client, finding.attempt, finding.why);
        if let Some(group) = self.by_cause.get_mut(&cause)
            && (group.example.client, group.example.attempt, group.example.why.as_str()) <= seen
        {
            group.count += 1;
            return;
        }
        let example = Example {
            client: finding.client,
            attempt: finding.attempt,
            name: client_name(plan, finding.client),
            why: finding.why.to_owned(),
        };
        self.put(cause, Group { count: 1, example });
    }

    fn merge(&mut self, other: Self) {
        for (cause, group) in other.by_cause {
            self.put(cause, group);
        }
        for (cause, group) in other.rest {
            join(&mut self.rest, cause, group);
        }
    }

    fn put(&mut self, cause: Cause, group: Group) {
        join(&mut self.by_cause, cause, group);
        if self.by_cause.len() > GROUPS_TOLD_APART_MAX
            && let Some((last, group)) = self.by_cause.pop_last()
        {
            let other = || OTHER_CLASS.to_owned();
            let cause = Cause { expected: other(), observed: other(), why: other(), ..last };
            join(&mut self.rest, cause, group);
        }
    }

    /// By kind, worst first, then by size: ten false accepts weigh more than a thousand wrong texts.
    fn largest(&self) -> Vec<MismatchGroup> {
        let mut groups: Vec<(&Cause, &Group)> = self.by_cause.iter().chain(&self.rest).collect();
        groups.sort_by(|(a, one), (b, other)| {
            a.rank.cmp(&b.rank).then(other.count.cmp(&one.count)).then_with(|| a.cmp(b))
        });
        groups.truncate(GROUPS_MAX);
        groups
            .into_iter()
            .map(|(cause, group)| MismatchGroup {
                kind: MismatchKind::ALL
                    .get(cause.rank)
                    .map(|kind| kind.as_str().to_owned())
                    .unwrap_or_default(),
                cohort: cause.cohort.clone(),
                expected: cause.expected.clone(),
                observed: cause.observed.clone(),
                why: cause.why.clone(),
                count: group.count,
                example: group.example.name.clone(),
                example_attempt: group.example.attempt,
                example_why: group.example.why.clone(),
            })
            .collect()
    }
}

fn join(groups: &mut BTreeMap<Cause, Group>, cause: Cause, group: Group) {
    match groups.entry(cause) {
        Entry::Occupied(mut known) => {
            let known = known.get_mut();
            known.count += group.count;
            if (group.example.client, group.example.attempt, &group.example.why)
                < (known.example.client, known.example.attempt, &known.example.why)
            {
                known.example = group.example;
            }
        }
        Entry::Vacant(new) => {
            new.insert(group);
        }
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
    use crate::record::by_name::{CLASS_CHARS_MAX, CLASSES_MAX};
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
        let groups = tally(&story).groups;
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
        let tally = tally(&story);
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
