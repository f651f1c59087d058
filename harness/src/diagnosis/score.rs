//! How often the first answer is the right one: expected causes against those that were found, which nobody told the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::vocabulary::cause::{Cause, ExpectedCause};

/// Answers to cases of which the cause is known. A case is a cohort of a run: a large one counts no more than a small one, and one of
/// a sweep once in each combination. `None` stands for nothing that is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Score {
    /// Expected cause -> found cause -> cases.
    matrix: BTreeMap<Option<Cause>, BTreeMap<Option<Cause>, u64>>,
    wrong: Vec<Case>,
}

/// A case that got another answer than the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Scenario, combination and cohort.
    pub name: String,
    /// The right answer.
    pub expected: Option<Cause>,
    /// The answer.
    pub found: Option<Cause>,
}

impl Score {
    /// Adds a case.
    pub fn add(&mut self, name: &str, expected: Option<Cause>, found: Option<Cause>) {
        *self.matrix.entry(expected).or_default().entry(found).or_default() += 1;
        if found != expected {
            self.wrong.push(Case { name: name.to_owned(), expected, found });
        }
    }

    /// Adds a cohort of a run, whose clients were found to have these causes; the answer is what most of them have. Nobody who tried
    /// is no case.
    pub fn add_cohort(&mut self, name: &str, expected: &str, found: &BTreeMap<String, u64>) {
        let Some(expected) = ExpectedCause::find(expected) else { return };
        let most = found.iter().max_by_key(|(name, count)| (**count, std::cmp::Reverse(name.as_str())));
        let Some((most, _)) = most else { return };
        let expected = match expected {
            ExpectedCause::Is(cause) => Some(cause),
            ExpectedCause::Nothing => None,
        };
        self.add(name, expected, Cause::find(most));
    }

    /// Cases in which something is wrong with the clients.
    #[must_use]
    pub fn cases(&self) -> u64 {
        self.troubled().flat_map(|(_, row)| row.values()).sum()
    }

    /// Of these, cases whose first answer is right.
    #[must_use]
    pub fn right(&self) -> u64 {
        self.troubled().filter_map(|(expected, row)| row.get(&Some(expected))).sum()
    }

    /// Of these, cases in which the answer is that it cannot be told, and that is not what is expected.
    #[must_use]
    pub fn cannot_tell(&self) -> u64 {
        let rows = self.troubled().filter(|(expected, _)| *expected != Cause::CannotTell);
        rows.filter_map(|(_, row)| row.get(&Some(Cause::CannotTell))).sum()
    }

    /// Right answers of those that name a cause, or say that nothing is wrong where something is; `None` = there are none.
    #[must_use]
    pub fn share_right(&self) -> Option<f64> {
        let answers = self.cases() - self.cannot_tell();
        (answers > 0).then(|| self.right() as f64 / answers as f64)
    }

    /// Cases in which nothing is wrong with the clients, and how many of these are said to be so.
    #[must_use]
    pub fn well(&self) -> (u64, u64) {
        let row = self.matrix.get(&None);
        let cases = row.into_iter().flat_map(BTreeMap::values).sum();
        (cases, row.and_then(|row| row.get(&None)).copied().unwrap_or_default())
    }

    /// Cases that got another answer, in the order in which they were added.
    #[must_use]
    pub fn wrong(&self) -> &[Case] {
        &self.wrong
    }

    fn troubled(&self) -> impl Iterator<Item = (Cause, &BTreeMap<Option<Cause>, u64>)> {
        self.matrix.iter().filter_map(|(expected, row)| Some(((*expected)?, row)))
    }

    /// Figures, the confusion matrix and the wrong answers as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let share =
            self.share_right().map_or_else(|| "none".to_owned(), |share| format!("{:.1} %", 100.0 * share));
        let (cases, right, cannot) = (self.cases(), self.right(), self.cannot_tell());
        let _ = writeln!(
            text,
            "{cases} cases: {right} first answers right ({share} of those that name a cause), {} wrong, {cannot} times \"cannot \
             tell\".",
            cases - right - cannot
        );
        let (well, said) = self.well();
        let _ = writeln!(
            text,
            "{well} cases in which nothing is wrong: {said} said to be so, {} not.\n",
            well - said
        );
        let found: BTreeSet<Option<Cause>> =
            self.matrix.values().flat_map(|row| row.keys().copied()).collect();
        let _ = writeln!(text, "| expected | found | cases | |\n|---|---|---:|---|");
        // Trouble first, in the order of the causes.
        let (well, troubled): (Vec<_>, Vec<_>) =
            self.matrix.iter().partition(|(expected, _)| expected.is_none());
        for (expected, row) in troubled.into_iter().chain(well) {
            for answer in &found {
                if let Some(count) = row.get(answer) {
                    let mark = if answer == expected { "" } else { "**not the same**" };
                    let (expected, answer) = (word(*expected), word(*answer));
                    let _ = writeln!(text, "| `{expected}` | `{answer}` | {count} | {mark} |");
                }
            }
        }
        for case in &self.wrong {
            let (expected, found) = (word(case.expected), word(case.found));
            let _ = write!(text, "\n{}: expected `{expected}`, found `{found}`", case.name);
        }
        text
    }
}

fn word(found: Option<Cause>) -> &'static str {
    found.map_or(ExpectedCause::NOTHING, Cause::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_answers_and_none_are_told_apart() {
        let mut score = Score::default();
        score.add("a", Some(Cause::Origin), Some(Cause::Origin));
        score.add("b", Some(Cause::Origin), Some(Cause::TokenDrift));
        score.add("c", Some(Cause::Role), Some(Cause::CannotTell));
        score.add("d", Some(Cause::Role), None);
        score.add("e", None, None);
        score.add("f", None, Some(Cause::Role));
        assert_eq!((score.cases(), score.right(), score.cannot_tell()), (4, 1, 1));
        assert_eq!(score.share_right(), Some(1.0 / 3.0));
        assert_eq!(score.well(), (2, 1), "whoever is well makes the share no better");
        assert_eq!(score.wrong().len(), 4);
        let text = score.markdown();
        assert!(text.contains("| `origin` | `token-drift` | 1 | **not the same** |"), "{text}");
        assert!(text.contains("33.3 %"), "{text}");
    }

    #[test]
    fn a_cohort_counts_once_by_what_most_of_it_has() {
        let mut score = Score::default();
        let found =
            |pairs: &[(&str, u64)]| pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        score.add_cohort("a", "role", &found(&[("role", 30), ("origin", 2)]));
        score.add_cohort("b", "role", &found(&[("none", 1)]));
        score.add_cohort("c", "none", &found(&[("none", 1)]));
        score.add_cohort("d", "none", &found(&[]));
        score.add_cohort("e", "role", &found(&[]));
        assert_eq!((score.cases(), score.right(), score.well()), (2, 1, (1, 1)));
        assert_eq!(Score::default().share_right(), None);
    }
}
