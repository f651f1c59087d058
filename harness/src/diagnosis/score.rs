//! How often the first answer is the right one: expected causes against those that were found, which nobody told the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::vocabulary::cause::{Cause, ExpectedCause};

/// Answers to cases of which the cause is known. A case is a cohort of a scenario: a large one counts no more than a small one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Score {
    /// Expected cause -> found cause -> cases; `None` = nothing was found to be wrong.
    matrix: BTreeMap<Cause, BTreeMap<Option<Cause>, u64>>,
    wrong: Vec<Case>,
}

/// A case that got another answer than the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Scenario and cohort.
    pub name: String,
    /// The right answer.
    pub expected: Cause,
    /// The answer; `None` = that nothing is wrong.
    pub found: Option<Cause>,
}

impl Score {
    /// Adds a case.
    pub fn add(&mut self, name: &str, expected: Cause, found: Option<Cause>) {
        *self.matrix.entry(expected).or_default().entry(found).or_default() += 1;
        if found != Some(expected) {
            self.wrong.push(Case { name: name.to_owned(), expected, found });
        }
    }

    /// Adds a cohort of a run, whose clients were found to have these causes; the answer is what most of them have. Nothing is
    /// added where no cause is expected.
    pub fn add_cohort(&mut self, name: &str, expected: &str, found: &BTreeMap<String, u64>) {
        let Some(ExpectedCause::Is(expected)) = ExpectedCause::find(expected) else { return };
        let most = found.iter().max_by_key(|(name, count)| (**count, std::cmp::Reverse(name.as_str())));
        self.add(name, expected, most.and_then(|(name, _)| Cause::find(name)));
    }

    /// Cases.
    #[must_use]
    pub fn cases(&self) -> u64 {
        self.matrix.values().flat_map(BTreeMap::values).sum()
    }

    /// Cases whose first answer is right.
    #[must_use]
    pub fn right(&self) -> u64 {
        self.matrix.iter().filter_map(|(expected, row)| row.get(&Some(*expected))).sum()
    }

    /// Cases in which the answer is that it cannot be told, and that is not what is expected.
    #[must_use]
    pub fn cannot_tell(&self) -> u64 {
        let rows = self.matrix.iter().filter(|(expected, _)| **expected != Cause::CannotTell);
        rows.filter_map(|(_, row)| row.get(&Some(Cause::CannotTell))).sum()
    }

    /// Right answers of those that name a cause, or say that nothing is wrong; `None` = there are none.
    #[must_use]
    pub fn share_right(&self) -> Option<f64> {
        let answers = self.cases() - self.cannot_tell();
        (answers > 0).then(|| self.right() as f64 / answers as f64)
    }

    /// Cases that got another answer, in the order in which they were added.
    #[must_use]
    pub fn wrong(&self) -> &[Case] {
        &self.wrong
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
             tell\".\n",
            cases - right - cannot
        );
        let found: BTreeSet<Option<Cause>> =
            self.matrix.values().flat_map(|row| row.keys().copied()).collect();
        let _ = writeln!(text, "| expected | found | cases | |\n|---|---|---:|---|");
        for (expected, row) in &self.matrix {
            for answer in &found {
                if let Some(count) = row.get(answer) {
                    let mark = if *answer == Some(*expected) { "" } else { "**not the same**" };
                    let _ = writeln!(text, "| `{expected}` | `{}` | {count} | {mark} |", word(*answer));
                }
            }
        }
        for case in &self.wrong {
            let found = word(case.found);
            let _ = write!(text, "\n{}: expected `{}`, found `{found}`", case.name, case.expected);
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
        score.add("a", Cause::Origin, Some(Cause::Origin));
        score.add("b", Cause::Origin, Some(Cause::TokenDrift));
        score.add("c", Cause::Role, Some(Cause::CannotTell));
        score.add("d", Cause::Role, None);
        assert_eq!((score.cases(), score.right(), score.cannot_tell()), (4, 1, 1));
        assert_eq!(score.share_right(), Some(1.0 / 3.0));
        assert_eq!(score.wrong().len(), 3);
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
        assert_eq!((score.cases(), score.right()), (2, 1));
        assert_eq!(Score::default().share_right(), None);
    }
}
