//! Which candidates to try: delta debugging over faults, cohorts, operators and numbers of clients.

use super::candidate::Parts;

/// What a candidate showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// What is looked for.
    It,
    /// Something else, or nothing.
    Not,
    /// No more candidates can be tried.
    Stop,
}

/// Takes something away as long as it still shows. `Err` = stopped, with the best so far.
type Step = fn(Parts, &mut dyn FnMut(&Parts) -> Shown) -> Result<Parts, Parts>;

/// The smallest parts found that still show it, beginning with `all`, which do. Ends at the first [`Shown::Stop`] with the best so far.
///
/// Nothing can be left out of the result alone: that is what is tried last.
pub fn smallest(all: Parts, mut shows: impl FnMut(&Parts) -> Shown) -> Parts {
    let mut best = all;
    loop {
        let before = best.clone();
        let steps: [Step; 4] = [fewer_cohorts, fewer_faults, fewer_operators, fewer_clients];
        for step in steps {
            best = match step(best, &mut shows) {
                Ok(smaller) => smaller,
                Err(stopped) => return stopped,
            };
        }
        if best == before {
            return best;
        }
    }
}

/// Leaves out chunks of a list, large ones first, then smaller ones. `Err` = stopped, with the best so far.
fn fewer<T: Clone>(items: Vec<T>, mut shows: impl FnMut(&[T]) -> Shown) -> Result<Vec<T>, Vec<T>> {
    let mut kept = items;
    let mut chunk = kept.len();
    while chunk > 0 {
        let mut start = 0;
        while start < kept.len() {
            let without: Vec<T> = kept
                .iter()
                .enumerate()
                .filter(|(at, _)| !(start..start + chunk).contains(at))
                .map(|(_, item)| item.clone())
                .collect();
            match shows(&without) {
                Shown::It => kept = without,
                Shown::Not => start += chunk,
                Shown::Stop => return Err(kept),
            }
        }
        chunk /= 2;
    }
    Ok(kept)
}

fn fewer_cohorts(best: Parts, shows: &mut dyn FnMut(&Parts) -> Shown) -> Result<Parts, Parts> {
    let of = |kept: &[(String, u32)]| Parts { cohorts: kept.iter().cloned().collect(), ..best.clone() };
    let items: Vec<(String, u32)> = best.cohorts.clone().into_iter().collect();
    // A scenario of nobody shows nothing.
    let found = fewer(items, |kept| if kept.is_empty() { Shown::Not } else { shows(&of(kept)) });
    found.map(|kept| of(&kept)).map_err(|kept| of(&kept))
}

fn fewer_faults(best: Parts, shows: &mut dyn FnMut(&Parts) -> Shown) -> Result<Parts, Parts> {
    let of = |kept: &[String]| Parts { faults: kept.to_vec(), ..best.clone() };
    let found = fewer(best.faults.clone(), |kept| shows(&of(kept)));
    found.map(|kept| of(&kept)).map_err(|kept| of(&kept))
}

fn fewer_operators(best: Parts, shows: &mut dyn FnMut(&Parts) -> Shown) -> Result<Parts, Parts> {
    let of = |kept: &[String]| Parts { operators: kept.to_vec(), ..best.clone() };
    let found = fewer(best.operators.clone(), |kept| shows(&of(kept)));
    found.map(|kept| of(&kept)).map_err(|kept| of(&kept))
}

/// Halves the numbers of clients towards the smallest that shows it.
fn fewer_clients(mut best: Parts, shows: &mut dyn FnMut(&Parts) -> Shown) -> Result<Parts, Parts> {
    let names: Vec<String> = best.cohorts.keys().cloned().collect();
    for name in names {
        let Some(&count) = best.cohorts.get(&name) else { continue };
        let (mut too_few, mut enough) = (0, count);
        let mut next = 1;
        while enough - too_few > 1 {
            let mut candidate = best.clone();
            candidate.cohorts.insert(name.clone(), next);
            match shows(&candidate) {
                Shown::It => {
                    enough = next;
                    best = candidate;
                }
                Shown::Not => too_few = next,
                Shown::Stop => return Err(best),
            }
            next = too_few + (enough - too_few) / 2;
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn parts(counts: &[u32], faults: usize, operators: usize) -> Parts {
        let name = |letter: char, at: usize| format!("{letter}{at}");
        Parts {
            cohorts: counts.iter().enumerate().map(|(at, count)| (name('c', at), *count)).collect(),
            faults: (0..faults).map(|at| name('f', at)).collect(),
            operators: (0..operators).map(|at| name('o', at)).collect(),
        }
    }

    /// Whether `parts` hold all of `needed`.
    fn holds(parts: &Parts, needed: &Parts) -> bool {
        needed.cohorts.iter().all(|(name, count)| parts.cohorts.get(name).is_some_and(|kept| kept >= count))
            && needed.faults.iter().all(|name| parts.faults.contains(name))
            && needed.operators.iter().all(|name| parts.operators.contains(name))
    }

    #[test]
    fn a_stop_keeps_the_best_so_far() {
        let all = parts(&[100, 100, 100], 3, 2);
        let needed = Parts { cohorts: BTreeMap::from([("c1".to_owned(), 5)]), ..parts(&[], 0, 0) };
        for tries in 0..20 {
            let mut left = tries;
            let found = smallest(all.clone(), |candidate| {
                if left == 0 {
                    return Shown::Stop;
                }
                left -= 1;
                if holds(candidate, &needed) { Shown::It } else { Shown::Not }
            });
            assert!(holds(&found, &needed), "{found:?}");
        }
    }

    proptest! {
        /// Where more never hides it, exactly what is needed is found.
        #[test]
        fn what_is_needed_is_found(
            counts in prop::collection::vec(1_u32..500, 1..6), faults in 0_usize..5, operators in 0_usize..4,
            picks in prop::collection::vec(any::<u32>(), 16),
        ) {
            let all = parts(&counts, faults, operators);
            let mut needed = all.clone();
            let mut pick = picks.iter().cycle();
            let mut draw = move || *pick.next().unwrap();
            needed.cohorts = needed.cohorts.into_iter().map(|(name, count)| (name, draw() % count + 1)).collect();
            let first = needed.cohorts.keys().next().cloned();
            needed.cohorts.retain(|name, _| Some(name) == first.as_ref() || draw() % 2 == 0);
            needed.faults.retain(|_| draw() % 2 == 0);
            needed.operators.retain(|_| draw() % 2 == 0);
            let mut tried = 0;
            let found = smallest(all, |candidate| {
                tried += 1;
                if holds(candidate, &needed) { Shown::It } else { Shown::Not }
            });
            prop_assert_eq!(found, needed);
            prop_assert!(tried < 200, "{} candidates", tried);
        }
    }
}
