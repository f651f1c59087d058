//! Roles and scopes of one device as small sets.
//!
//! A device's history names a handful of roles and scopes. Numbered in sorted order they fit a machine word, so that a
//! state is a plain value that is copied, compared and hashed without allocation.

/// Most scopes of one device.
const SCOPES_MAX: usize = 64;
/// Most roles of one device.
pub(super) const ROLES_MAX: usize = 8;

/// A set of scopes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ScopeSet(u64);

impl ScopeSet {
    /// Plain set inclusion: nothing implies anything (section 6).
    pub(super) const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A role, by its number.
pub(super) type Role = u8;

/// A set of roles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RoleSet(u8);

impl RoleSet {
    pub(super) const fn contains(self, role: Role) -> bool {
        self.0 & (1 << role) != 0
    }

    pub(super) const fn with(self, role: Role) -> Self {
        Self(self.0 | (1 << role))
    }
}

/// A list of scopes as a gateway sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    /// Sorted, without repeats.
    Sorted(ScopeSet),
    /// Known scopes, but out of order or repeated.
    Unsorted(ScopeSet),
    /// With a scope that nobody ever asked for.
    Foreign,
}

/// The roles and scopes that a device's history names, sorted.
#[derive(Debug, Clone)]
pub(super) struct Alphabet<'a> {
    roles: Vec<&'a str>,
    scopes: Vec<&'a str>,
}

impl<'a> Alphabet<'a> {
    /// `None` if there are too many to number.
    pub(super) fn new(
        roles: impl IntoIterator<Item = &'a str>,
        scopes: impl IntoIterator<Item = &'a str>,
    ) -> Option<Self> {
        let sorted = |mut names: Vec<&'a str>| {
            names.sort_unstable();
            names.dedup();
            names
        };
        let roles = sorted(roles.into_iter().collect());
        let scopes = sorted(scopes.into_iter().collect());
        (roles.len() <= ROLES_MAX && scopes.len() <= SCOPES_MAX).then_some(Self { roles, scopes })
    }

    /// Number of a role; `None` if the history does not name it.
    pub(super) fn role(&self, name: &str) -> Option<Role> {
        self.roles.iter().position(|known| *known == name).and_then(|position| Role::try_from(position).ok())
    }

    /// The set of these scopes, which must be of the alphabet; others are left out.
    pub(super) fn set<'b>(&self, scopes: impl IntoIterator<Item = &'b str>) -> ScopeSet {
        scopes.into_iter().filter_map(|scope| self.bit(scope)).fold(ScopeSet::default(), ScopeSet::with)
    }

    /// A list as a gateway sent it.
    pub(super) fn listed(&self, scopes: &[String]) -> Listed {
        let mut set = ScopeSet::default();
        let mut sorted = true;
        for scope in scopes {
            let Some(bit) = self.bit(scope) else { return Listed::Foreign };
            // Numbers rise in sorted order: a list is sorted and free of repeats if every bit is above all before.
            sorted &= bit.0 > set.0;
            set = set.with(bit);
        }
        if sorted { Listed::Sorted(set) } else { Listed::Unsorted(set) }
    }

    /// The scopes for people.
    pub(super) fn text(&self, set: ScopeSet) -> String {
        let names: Vec<&str> = self
            .scopes
            .iter()
            .copied()
            .filter(|scope| self.bit(scope).is_some_and(|bit| set.covers(bit)))
            .collect();
        format!("[{}]", names.join(", "))
    }

    fn bit(&self, scope: &str) -> Option<ScopeSet> {
        self.scopes.binary_search(&scope).ok().map(|position| ScopeSet(1 << position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(|scope| (*scope).to_owned()).collect()
    }

    #[test]
    fn a_list_is_judged_by_order_repeats_and_strangers() {
        let alphabet = Alphabet::new(["operator"], ["c", "a", "b", "a"]).unwrap();
        let all = alphabet.set(["a", "c"]);
        assert_eq!(alphabet.listed(&owned(&["a", "c"])), Listed::Sorted(all));
        assert_eq!(alphabet.listed(&owned(&["c", "a"])), Listed::Unsorted(all));
        assert_eq!(alphabet.listed(&owned(&["a", "c", "c"])), Listed::Unsorted(all));
        assert_eq!(alphabet.listed(&owned(&["a", "d"])), Listed::Foreign);
        assert_eq!(alphabet.listed(&[]), Listed::Sorted(ScopeSet::default()));
        assert_eq!(alphabet.text(all), "[a, c]");
    }

    #[test]
    fn nothing_implies_anything() {
        let alphabet = Alphabet::new(["operator"], ["operator.admin", "operator.read"]).unwrap();
        assert!(!alphabet.set(["operator.admin"]).covers(alphabet.set(["operator.read"])));
        assert!(alphabet.set(["operator.admin", "operator.read"]).covers(alphabet.set(["operator.read"])));
        assert!(alphabet.set([]).covers(alphabet.set([])));
    }

    #[test]
    fn too_many_names_are_refused_instead_of_confused() {
        let many: Vec<String> = (0..65).map(|n| format!("s{n}")).collect();
        assert!(Alphabet::new(["operator"], many.iter().map(String::as_str)).is_none());
        assert!(Alphabet::new(many.iter().take(9).map(String::as_str), []).is_none());
    }
}
