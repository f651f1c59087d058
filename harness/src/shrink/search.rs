//! Which candidates to try: delta debugging over steps, cohorts, faults, operators, numbers of clients and scripts.

use super::candidate::Parts;
use super::ddmin::Ddmin;

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
        let steps: [Step; 6] =
            [fewer_steps, fewer_cohorts, fewer_faults, fewer_operators, fewer_clients, shorter_scripts];
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

/// Leaves out of a list what `with`, which makes parts of what is kept, does not need to show it.
fn fewer<T: Clone>(
    items: Vec<T>,
    with: impl Fn(Vec<T>) -> Parts,
    shows: &mut dyn FnMut(&Parts) -> Shown,
) -> Result<Parts, Parts> {
    let mut search = Ddmin::new(items);
    while let Some(candidate) = search.candidate() {
        match shows(&with(candidate)) {
            Shown::It => search.answer(true),
            Shown::Not => search.answer(false),
            Shown::Stop => return Err(with(search.into_kept())),
        }
    }
    Ok(with(search.into_kept()))
}

fn fewer_steps(best: Parts, shows: &mut dyn FnMut(&Parts) -> Shown) -> Result<Parts, Parts> {
    fewer(best.steps.clone(), |steps| Parts { steps, ..best.clone() }, shows)
}

fn fewer_cohorts(best: Parts, shows: &mut dyn FnMut(&Parts) -> Shown) -> Result<Parts, Parts> {
    let cohorts: Vec<(String, u32)> = best.cohorts.clone().into_iter().collect();
    let with = |kept: Vec<(String, u32)>| Parts { cohorts: kept.into_iter().collect(), ..best.clone() };
    // A scenario of nobody shows nothing.
    fewer(cohorts, with, &mut |parts: &Parts| {
        if parts.cohorts.is_empty() { Shown::Not } else { shows(parts) }
    })
}

fn fewer_faults(best: Parts, shows: &mut dyn FnMut(&Parts) -> Shown) -> Result<Parts, Parts> {
    fewer(best.faults.clone(), |faults| Parts { faults, ..best.clone() }, shows)
}

fn fewer_operators(best: Parts, shows: &mut dyn FnMut(&Parts) -> Shown) -> Result<Parts, Parts> {
    fewer(best.operators.clone(), |operators| Parts { operators, ..best.clone() }, shows)
}

/// Tries one client of a cohort, then halves towards the smallest number that shows it.
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

fn shorter_scripts(mut best: Parts, shows: &mut dyn FnMut(&Parts) -> Shown) -> Result<Parts, Parts> {
    let scripts: Vec<(String, Vec<u32>)> = best.scripts.clone().into_iter().collect();
    for (name, script) in scripts {
        if !best.cohorts.contains_key(&name) {
            continue;
        }
        let with = |kept: Vec<u32>| {
            let mut parts = best.clone();
            parts.scripts.insert(name.clone(), kept);
            parts
        };
        // A client without a script is another client.
        let is_empty = |parts: &Parts| parts.scripts.get(&name).is_some_and(Vec::is_empty);
        best = fewer(script, with, &mut |parts: &Parts| {
            if is_empty(parts) { Shown::Not } else { shows(parts) }
        })?;
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
            steps: Vec::new(),
            scripts: BTreeMap::new(),
        }
    }

    /// Whether `parts` hold all of `needed`.
    fn holds(parts: &Parts, needed: &Parts) -> bool {
        needed.cohorts.iter().all(|(name, count)| parts.cohorts.get(name).is_some_and(|kept| kept >= count))
            && needed.faults.iter().all(|name| parts.faults.contains(name))
            && needed.operators.iter().all(|name| parts.operators.contains(name))
            && needed.steps.iter().all(|step| parts.steps.contains(step))
            && needed
                .cohorts
                .keys()
                .filter_map(|name| Some((name, needed.scripts.get(name)?)))
                .all(|(name, needed)| needed.iter().all(|step| parts.scripts[name].contains(step)))
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
            steps in 0_u32..8, scripts in prop::collection::vec(1_u32..6, 0..3),
            picks in prop::collection::vec(any::<u32>(), 16),
        ) {
            let mut all = parts(&counts, faults, operators);
            all.steps = (1..=steps).collect();
            all.scripts = all.cohorts.keys().cloned().zip(&scripts).map(|(name, last)| (name, (1..=*last).collect())).collect();
            let mut needed = all.clone();
            let mut pick = picks.iter().cycle();
            let mut draw = move || *pick.next().unwrap();
            needed.cohorts = needed.cohorts.into_iter().map(|(name, count)| (name, draw() % count + 1)).collect();
            let first = needed.cohorts.keys().next().cloned();
            needed.cohorts.retain(|name, _| Some(name) == first.as_ref() || draw() % 2 == 0);
            needed.faults.retain(|_| draw() % 2 == 0);
            needed.operators.retain(|_| draw() % 2 == 0);
            needed.steps.retain(|_| draw() % 2 == 0);
            needed.scripts.retain(|name, _| needed.cohorts.contains_key(name));
            for script in needed.scripts.values_mut() {
                // One at least.
                script.retain(|step| *step == 1 || draw() % 2 == 0);
            }
            let mut tried = 0;
            let mut found = smallest(all, |candidate| {
                tried += 1;
                if holds(candidate, &needed) { Shown::It } else { Shown::Not }
            });
            // Scripts of cohorts that are gone are nobody's.
            found.scripts.retain(|name, _| found.cohorts.contains_key(name));
            prop_assert_eq!(found, needed);
            prop_assert!(tried < 300, "{} candidates", tried);
        }
    }
}
