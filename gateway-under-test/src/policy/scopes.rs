//! Coverage and unions of scopes.

use crate::profile::ScopeCoverage;

/// Sets up to this size are searched one by one; a peer may ask for thousands.
const FEW: usize = 16;

/// Whether `held` covers every scope of `asked`.
#[must_use]
pub fn covers(rule: ScopeCoverage, held: &[String], asked: &[String]) -> bool {
    match rule {
        _ if held.len() <= FEW => asked.iter().all(|scope| held.contains(scope)),
        _ => {
            let held: std::collections::HashSet<&str> = held.iter().map(String::as_str).collect();
            asked.iter().all(|scope| held.contains(scope.as_str()))
        }
    }
}

/// `first`, then what `second` adds, without repeats.
#[must_use]
pub fn union(first: &[String], second: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::with_capacity(first.len() + second.len());
    let mut seen = std::collections::HashSet::with_capacity(first.len() + second.len());
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn some_scopes() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec(
            proptest::sample::select(vec![
                "operator.admin",
                "operator.read",
                "operator.write",
                "node.exec",
                "x",
            ])
            .prop_map(str::to_owned),
            0..6,
        )
    }

    #[test]
    fn admin_implies_nothing() {
        let admin = ["operator.admin".to_owned()];
        assert!(!covers(ScopeCoverage::Inclusion, &admin, &["operator.read".to_owned()]));
        assert!(covers(ScopeCoverage::Inclusion, &[], &[]));
    }

    proptest! {
        #[test]
        fn coverage_is_set_inclusion(held in some_scopes(), asked in some_scopes()) {
            let held_set: std::collections::BTreeSet<_> = held.iter().collect();
            let asked_set: std::collections::BTreeSet<_> = asked.iter().collect();
            prop_assert_eq!(covers(ScopeCoverage::Inclusion, &held, &asked), asked_set.is_subset(&held_set));
        }

        #[test]
        fn union_keeps_order_and_covers_both(first in some_scopes(), second in some_scopes()) {
            let all = union(&first, &second);
            prop_assert!(covers(ScopeCoverage::Inclusion, &all, &first));
            prop_assert!(covers(ScopeCoverage::Inclusion, &all, &second));
            prop_assert_eq!(sorted(&all).len(), all.len());
            prop_assert_eq!(union(&all, &second), all);
        }
    }
}
