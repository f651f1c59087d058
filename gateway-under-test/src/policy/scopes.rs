//! Coverage and unions of scopes.

use std::collections::HashSet;

use protocol::scope::{ADMIN, READ, ROLE_OPERATOR, WRITE};

use crate::profile::ScopeCoverage;

/// Sets up to this size are searched one by one; a peer may ask for thousands.
const FEW: usize = 16;
/// What all scopes of the role `operator` begin with.
const OPERATOR_PREFIX: &str = "operator.";
const TALK: &str = "operator.talk";
const SESSIONS_READ: &str = "operator.sessions.read";
const SESSIONS_WRITE: &str = "operator.sessions.write";

/// Whether `held` covers every scope of `asked`, both of `role`.
#[must_use]
pub fn covers(rule: ScopeCoverage, role: &str, held: &[String], asked: &[String]) -> bool {
    first_missing(rule, role, held, asked).is_none()
}

/// The first scope of `asked` that `held` does not cover.
#[must_use]
pub fn first_missing<'a>(
    rule: ScopeCoverage,
    role: &str,
    held: &[String],
    asked: &'a [String],
) -> Option<&'a str> {
    let set: Option<HashSet<&str>> =
        (held.len() > FEW && asked.len() > 1).then(|| held.iter().map(String::as_str).collect());
    let holds = |scope: &str| match &set {
        Some(set) => set.contains(scope),
        None => held.iter().any(|held| held == scope),
    };
    asked.iter().map(String::as_str).find(|scope| !is_covered(rule, role, scope, &holds))
}

fn is_covered(rule: ScopeCoverage, role: &str, scope: &str, holds: &impl Fn(&str) -> bool) -> bool {
    let is_operator = role == ROLE_OPERATOR;
    match rule {
        ScopeCoverage::Inclusion => holds(scope),
        ScopeCoverage::ReadImplied => {
            holds(scope) || (is_operator && scope == READ && (holds(WRITE) || holds(ADMIN)))
        }
        ScopeCoverage::AdminCoversOperator => {
            holds(scope)
                || (is_operator
                    && ((scope.starts_with(OPERATOR_PREFIX) && holds(ADMIN))
                        || (scope == READ && holds(WRITE))))
        }
        ScopeCoverage::OwnRoleOnly if !is_operator => belongs_to(scope, role) && holds(scope),
        ScopeCoverage::OwnRoleOnly => {
            let write_implies = [READ, TALK, SESSIONS_READ, SESSIONS_WRITE].contains(&scope);
            scope.starts_with(OPERATOR_PREFIX)
                && (holds(scope)
                    || holds(ADMIN)
                    || (write_implies && holds(WRITE))
                    || (scope == SESSIONS_READ && (holds(READ) || holds(SESSIONS_WRITE))))
        }
    }
}

/// Whether a scope is one of the role: `node.exec` of `node`.
#[must_use]
pub fn belongs_to(scope: &str, role: &str) -> bool {
    scope.strip_prefix(role).is_some_and(|rest| rest.starts_with('.'))
}

/// Whether `held` covers `asked` when both are first unfolded: admin to read, write, approvals and pairing, write to
/// read. How 2026.2.21 and 2026.2.22 compare when a token is rotated.
#[must_use]
pub fn covers_unfolded(held: &[String], asked: &[String]) -> bool {
    let unfolded = |scopes: &[String]| {
        let mut all: HashSet<String> = scopes.iter().cloned().collect();
        if all.contains(ADMIN) {
            all.extend(protocol::scope::ALL.map(str::to_owned));
        }
        if all.contains(WRITE) {
            all.insert(READ.to_owned());
        }
        all
    };
    unfolded(asked).is_subset(&unfolded(held))
}

/// `first`, then what `second` adds, without repeats.
#[must_use]
pub fn union(first: &[String], second: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::with_capacity(first.len() + second.len());
    let mut seen = HashSet::with_capacity(first.len() + second.len());
    for scope in first.iter().chain(second) {
        if seen.insert(scope.as_str()) {
            all.push(scope.clone());
        }
    }
    all
}

/// As tokens keep them: sorted, without repeats.
#[must_use]
pub fn sorted(scopes: &[String]) -> Vec<String> {
    let mut sorted = scopes.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

/// As tokens of 2026.9.6 keep them: with what admin (read, write) and write (read) imply, sorted, without repeats.
#[must_use]
pub fn sorted_with_implied(scopes: &[String]) -> Vec<String> {
    let mut all = scopes.to_vec();
    if all.iter().any(|scope| scope == ADMIN) {
        all.extend([READ.to_owned(), WRITE.to_owned()]);
    } else if all.iter().any(|scope| scope == WRITE) {
        all.push(READ.to_owned());
    }
    sorted(&all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: [ScopeCoverage; 4] = [
        ScopeCoverage::Inclusion,
        ScopeCoverage::ReadImplied,
        ScopeCoverage::AdminCoversOperator,
        ScopeCoverage::OwnRoleOnly,
    ];

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn some_scopes() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec(
            proptest::sample::select(vec![
                "operator.admin",
                "operator.read",
                "operator.write",
                "operator.sessions.read",
                "operator.bogus",
                "node.exec",
                "x",
            ])
            .prop_map(str::to_owned),
            0..6,
        )
    }

    /// Held, asked, role, and whether each of the four rules covers (reference, section 8.3).
    #[test]
    fn table_of_coverage() {
        type Row = (&'static [&'static str], &'static str, &'static str, [bool; 4]);
        let rows: &[Row] = &[
            (&["operator.admin"], "operator.read", "operator", [false, true, true, true]),
            (&["operator.admin"], "operator.write", "operator", [false, false, true, true]),
            (&["operator.admin"], "operator.bogus", "operator", [false, false, true, true]),
            (&["operator.admin"], "node.exec", "operator", [false, false, false, false]),
            (&["operator.write"], "operator.read", "operator", [false, true, true, true]),
            (&["operator.write"], "operator.talk", "operator", [false, false, false, true]),
            (&["operator.write"], "operator.sessions.write", "operator", [false, false, false, true]),
            (&["operator.read"], "operator.sessions.read", "operator", [false, false, false, true]),
            (&["operator.read"], "operator.write", "operator", [false, false, false, false]),
            (&["node.exec"], "node.exec", "operator", [true, true, true, false]),
            (&["node.exec"], "node.exec", "node", [true, true, true, true]),
            (&["operator.read"], "operator.read", "node", [true, true, true, false]),
            (&["operator.admin"], "operator.read", "node", [false, false, false, false]),
        ];
        for (held, asked, role, expected) in rows {
            for (rule, expected) in RULES.iter().zip(expected) {
                let covered = covers(*rule, role, &strings(held), &strings(&[asked]));
                assert_eq!(covered, *expected, "{rule:?}: {held:?} for {asked} as {role}");
            }
        }
    }

    #[test]
    fn tokens_of_the_newest_release_hold_what_they_imply() {
        let with_admin = sorted_with_implied(&strings(&["operator.admin"]));
        assert_eq!(with_admin, ["operator.admin", "operator.read", "operator.write"]);
        assert_eq!(sorted_with_implied(&strings(&["operator.write"])), ["operator.read", "operator.write"]);
        assert_eq!(sorted_with_implied(&strings(&["operator.pairing"])), ["operator.pairing"]);
    }

    #[test]
    fn unfolding_is_for_both_sides() {
        let admin = strings(&["operator.admin"]);
        assert!(covers_unfolded(&admin, &strings(&["operator.pairing", "operator.read"])));
        assert!(!covers_unfolded(&admin, &strings(&["operator.bogus"])));
        let all = strings(&["operator.read", "operator.write", "operator.approvals", "operator.pairing"]);
        assert!(!covers_unfolded(&all, &admin), "admin itself is not implied");
    }

    proptest! {
        #[test]
        fn coverage_is_reflexive_and_grows_with_what_is_held(
            held in some_scopes(), more in some_scopes(), asked in some_scopes(), operator: bool,
        ) {
            let role = if operator { "operator" } else { "node" };
            for rule in RULES {
                let own: Vec<String> =
                    held.iter().filter(|scope| belongs_to(scope, role)).cloned().collect();
                prop_assert!(covers(rule, role, &held, &own), "{:?}", rule);
                if covers(rule, role, &held, &asked) {
                    prop_assert!(covers(rule, role, &union(&held, &more), &asked), "{:?}", rule);
                }
                prop_assert!(covers(rule, role, &held, &[]));
            }
        }

        #[test]
        fn many_scopes_are_compared_as_few_are(few in some_scopes(), asked in some_scopes()) {
            let mut many = few.clone();
            many.extend((0..FEW).map(|number| format!("y.{number}")));
            for rule in RULES {
                prop_assert_eq!(
                    covers(rule, "operator", &many, &asked),
                    covers(rule, "operator", &few, &asked)
                );
            }
        }

        #[test]
        fn plain_inclusion_is_that_of_sets(held in some_scopes(), asked in some_scopes()) {
            let held_set: std::collections::BTreeSet<_> = held.iter().collect();
            let asked_set: std::collections::BTreeSet<_> = asked.iter().collect();
            prop_assert_eq!(
                covers(ScopeCoverage::Inclusion, "operator", &held, &asked),
                asked_set.is_subset(&held_set)
            );
        }

        #[test]
        fn union_keeps_order_and_covers_both(first in some_scopes(), second in some_scopes()) {
            let all = union(&first, &second);
            prop_assert!(covers(ScopeCoverage::Inclusion, "operator", &all, &first));
            prop_assert!(covers(ScopeCoverage::Inclusion, "operator", &all, &second));
            prop_assert_eq!(sorted(&all).len(), all.len());
            prop_assert_eq!(union(&all, &second), all);
        }
    }
}
