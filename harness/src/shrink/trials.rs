//! What became of the candidates: one is taken only if it shows it twice.

use super::search::Shown;

/// Counts of candidates and runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trials {
    /// Candidates tried.
    pub candidates: u32,
    /// Of these, those that showed it only once of two times.
    pub flaky: u32,
    /// How often the last one showed it, of two times at most.
    pub seen_of_last: u32,
}

impl Trials {
    /// What a candidate shows, from two runs of it; the first one that does not show it ends them. `run` says whether it did; `None` =
    /// there can be no more runs.
    pub fn shows(&mut self, mut run: impl FnMut() -> Option<bool>) -> Shown {
        self.candidates += 1;
        self.seen_of_last = 0;
        for _ in 0..2 {
            match run() {
                Some(true) => self.seen_of_last += 1,
                Some(false) => {
                    self.flaky += self.seen_of_last;
                    return Shown::Not;
                }
                None => return Shown::Stop,
            }
        }
        Shown::It
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_that_shows_it_once_of_two_times_is_counted_and_not_taken() {
        let mut trials = Trials::default();
        let mut shows = |runs: &[Option<bool>]| {
            let mut runs = runs.iter().copied();
            let shown = trials.shows(|| runs.next().expect("no third run"));
            (shown, runs.len(), trials)
        };
        let counts = |candidates, flaky, seen_of_last| Trials { candidates, flaky, seen_of_last };
        assert_eq!(shows(&[Some(true), Some(true)]), (Shown::It, 0, counts(1, 0, 2)));
        assert_eq!(shows(&[Some(false), Some(true)]), (Shown::Not, 1, counts(2, 0, 0)));
        assert_eq!(shows(&[Some(true), Some(false)]), (Shown::Not, 0, counts(3, 1, 1)));
        assert_eq!(shows(&[Some(true), None]), (Shown::Stop, 0, counts(4, 1, 1)));
        assert_eq!(shows(&[None, Some(true)]), (Shown::Stop, 1, counts(5, 1, 0)));
    }
}
