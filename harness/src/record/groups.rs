//! Mismatches in groups of one cause, for people.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_name::OTHER_CLASS;
use super::mismatches::{client_name, cohort_name};
use crate::oracle::MismatchKind;
use crate::plan::{ClientId, Plan};

/// Groups of mismatches that a result holds, the largest first.
pub const GROUPS_MAX: usize = 50;
/// Groups told apart while counting; a mismatch of a further group counts in [`OTHER_CLASS`].
const GROUPS_TOLD_APART_MAX: usize = 2_000;
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

/// One mismatch, as it is grouped.
pub(super) struct Finding<'a> {
    pub(super) kind: MismatchKind,
    pub(super) client: ClientId,
    pub(super) attempt: u32,
    pub(super) expected: &'a str,
    pub(super) observed: &'a str,
    pub(super) why: &'a str,
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
pub(super) struct Groups {
    by_cause: BTreeMap<Cause, Group>,
    /// The rest, by kind and cohort.
    rest: BTreeMap<Cause, Group>,
}

impl Groups {
    pub(super) fn add(&mut self, plan: &Plan, finding: &Finding<'_>) {
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

    pub(super) fn merge(&mut self, other: Self) {
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
    pub(super) fn largest(&self) -> Vec<MismatchGroup> {
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
    use crate::record::test_support::{Story, mismatch, refusal, session};

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
        let groups = story.result().mismatch_groups;
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[0].kind.as_str(), groups[0].count), ("false_accept", 1));
        assert_eq!((groups[0].example.as_str(), groups[0].example_attempt), ("tabs/0", 2));
        assert_eq!(groups[0].expected, "not-paired or role-upgrade");
        assert_eq!((groups[1].kind.as_str(), groups[1].count), ("false_reject", 4));
        assert_eq!(groups[1].why, "approval was acknowledged at N s");
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
