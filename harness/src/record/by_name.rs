//! Counts by names that come from the peer: bounded, and the same in whatever order the names come.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// Names that have a count of their own; the rest counts as [`OTHER_CLASS`].
pub const CLASSES_MAX: usize = 128;
/// Name of what no longer fits.
pub const OTHER_CLASS: &str = "(other)";
/// Longest name, in characters; longer ones are cut.
pub const CLASS_CHARS_MAX: usize = 120;

/// Counts by name. If there are more than [`CLASSES_MAX`], the alphabetically first have a count of their own: unlike
/// the first to come, these are the same however a run is cut into parts.
#[derive(Debug, Clone)]
pub struct ByName<T> {
    kept: BTreeMap<String, T>,
    other: Option<T>,
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self { kept: BTreeMap::new(), other: None }
    }
}

impl<T: Default + AddAssign> ByName<T> {
    /// Changes what is counted under a name.
    pub fn change(&mut self, name: &str, change: impl FnOnce(&mut T)) {
        let name = cut(name);
        if let Some(count) = self.kept.get_mut(name.as_ref()) {
            change(count);
            return;
        }
        let mut count = T::default();
        change(&mut count);
        self.insert(name.into_owned(), count);
    }

    /// The counts as a table, what no longer fitted under [`OTHER_CLASS`].
    #[must_use]
    pub fn into_table(self) -> BTreeMap<String, T> {
        let mut table = self.kept;
        if let Some(other) = self.other {
            *table.entry(OTHER_CLASS.to_owned()).or_default() += other;
        }
        table
    }

    /// Adds what is counted under a new name. A name that once had to go never comes back, because only smaller ones
    /// take its place: so its count is never split.
    fn insert(&mut self, name: String, count: T) {
        self.kept.insert(name, count);
        if self.kept.len() > CLASSES_MAX
            && let Some((_, last)) = self.kept.pop_last()
        {
            *self.other.get_or_insert_default() += last;
        }
    }
}

impl<T: Default + AddAssign> AddAssign for ByName<T> {
    fn add_assign(&mut self, other: Self) {
        for (name, count) in other.kept {
            match self.kept.get_mut(&name) {
                Some(kept) => *kept += count,
                None => self.insert(name, count),
            }
        }
        if let Some(other) = other.other {
            *self.other.get_or_insert_default() += other;
        }
    }
}

fn cut(name: &str) -> Cow<'_, str> {
    // As many bytes are at least as many characters: nearly every name takes this way.
    if name.len() <= CLASS_CHARS_MAX {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.chars().take(CLASS_CHARS_MAX).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(names: &[u16]) -> ByName<u64> {
        let mut counts = ByName::default();
        for name in names {
            counts.change(&format!("{name:05}"), |count| *count += 1);
        }
        counts
    }

    #[test]
    fn long_names_are_cut_and_the_alphabetically_last_go() {
        let mut counts = ByName::<u64>::default();
        counts.change(&"ü".repeat(200), |count| *count += 1);
        assert_eq!(counts.clone().into_table().keys().map(|name| name.chars().count()).max(), Some(120));
        for name in 0..200_u16 {
            counts.change(&format!("{name:05}"), |count| *count += 2);
        }
        let table = counts.into_table();
        assert_eq!(table.len(), CLASSES_MAX + 1);
        assert!(table.contains_key("00127") && !table.contains_key("00128"));
        assert_eq!(table[OTHER_CLASS], 72 * 2 + 1);
    }

    proptest! {
        #[test]
        fn neither_order_nor_parts_matter(
            mut names in prop::collection::vec(0_u16..300, 0..600), cut in any::<prop::sample::Index>()
        ) {
            let whole = counted(&names).into_table();
            let (left, right) = names.split_at(cut.index(names.len() + 1));
            let mut merged = counted(right);
            merged += counted(left);
            prop_assert_eq!(&merged.into_table(), &whole);
            prop_assert_eq!(whole.values().sum::<u64>(), names.len() as u64);
            names.reverse();
            prop_assert_eq!(&counted(&names).into_table(), &whole);
        }
    }
}
