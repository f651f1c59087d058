//! Delta debugging over a list: what of it can be left out, large parts first.

/// A search for the items of a list that suffice. Whoever has it tries a candidate after the other and says what each showed.
#[derive(Debug, Clone)]
pub struct Ddmin<T> {
    kept: Vec<T>,
    chunk: usize,
    start: usize,
}

impl<T: Clone> Ddmin<T> {
    /// A search that begins with all of them.
    #[must_use]
    pub const fn new(items: Vec<T>) -> Self {
        let chunk = items.len();
        Self { kept: items, chunk, start: 0 }
    }

    /// What to try next: the list without the part whose turn it is, at first without everything; `None` = every part was tried.
    pub fn candidate(&mut self) -> Option<Vec<T>> {
        while self.start >= self.kept.len() {
            self.chunk /= 2;
            if self.chunk == 0 {
                return None;
            }
            self.start = 0;
            if self.kept.is_empty() {
                return None;
            }
        }
        let (start, end) = (self.start, self.start.saturating_add(self.chunk));
        let without = self.kept.iter().enumerate().filter(|(at, _)| !(start..end).contains(at));
        Some(without.map(|(_, item)| item.clone()).collect())
    }

    /// Goes on behind the last candidate: from it if it suffices, else with the part left where it is.
    pub fn answer(&mut self, suffices: bool) {
        if suffices {
            let end = self.start.saturating_add(self.chunk).min(self.kept.len());
            self.kept.drain(self.start.min(end)..end);
        } else {
            self.start = self.start.saturating_add(self.chunk);
        }
    }

    /// The fewest found so far.
    #[must_use]
    pub fn into_kept(self) -> Vec<T> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn large_parts_come_first_and_an_empty_list_has_none() {
        let mut search = Ddmin::new(vec![1, 2, 3, 4]);
        let mut tried = Vec::new();
        while let Some(candidate) = search.candidate() {
            tried.push(candidate);
            search.answer(false);
        }
        let all: [&[i32]; 7] = [&[], &[3, 4], &[1, 2], &[2, 3, 4], &[1, 3, 4], &[1, 2, 4], &[1, 2, 3]];
        assert_eq!(tried, all);
        assert_eq!(search.into_kept(), [1, 2, 3, 4]);
        assert_eq!(Ddmin::<u8>::new(Vec::new()).candidate(), None);
    }

    proptest! {
        #[test]
        fn what_is_needed_is_left(needed in prop::collection::vec(any::<bool>(), 0..40)) {
            let wanted: Vec<usize> = (0..needed.len()).filter(|at| needed[*at]).collect();
            let mut search = Ddmin::new((0..needed.len()).collect::<Vec<_>>());
            while let Some(candidate) = search.candidate() {
                search.answer(wanted.iter().all(|item| candidate.contains(item)));
            }
            prop_assert_eq!(search.into_kept(), wanted);
        }
    }
}
