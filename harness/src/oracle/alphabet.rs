//! Roles and scopes of one device as small sets.
//!
//! A device's history names a handful of roles and scopes. Numbered in sorted order they fit a machine word, so that a
//! state is a plain value that is copied, compared and hashed without allocation.

use protocol::scope::{ADMIN, APPROVALS, PAIRING, READ, WRITE};

use super::release::Coverage;

/// Most scopes of one device.
const SCOPES_MAX: usize = 64;
/// Most roles of one device.
pub(super) const ROLES_MAX: usize = 8;

/// A set of scopes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ScopeSet(u64);

impl ScopeSet {
    /// Plain set inclusion.
    pub(super) const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    pub(super) const fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
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

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Role> {
        (0..ROLES_MAX as Role).filter(move |role| self.contains(*role))
    }
}

/// Which scopes of an alphabet cover which, in one release.
#[derive(Debug, Clone)]
pub(super) struct Covering {
    /// For each scope, what an operator who holds it holds with it.
    operator: Vec<ScopeSet>,
    /// The same where admin is spelt out as the scopes that were known.
    spelt: Vec<ScopeSet>,
    /// The same where a list is written out before it is compared: admin as read and write, write as read.
    written: Vec<ScopeSet>,
    /// Scopes whose name begins with `operator.`
    pub(super) of_operator: ScopeSet,
    /// Scopes that can be covered for an operator, and for a node.
    coverable: [ScopeSet; 2],
}

impl Covering {
    pub(super) fn new(alphabet: &Alphabet<'_>, rule: Coverage) -> Self {
        let set = |wanted: &dyn Fn(&str) -> bool| {
            alphabet.set(alphabet.scopes.iter().copied().filter(|scope| wanted(scope)))
        };
        let expand = |implied: &dyn Fn(&str, &str) -> bool| {
            (alphabet.scopes.iter())
                .map(|held| set(&|scope| scope == *held || implied(held, scope)))
                .collect::<Vec<_>>()
        };
        let of_operator = set(&|scope| scope.starts_with(OPERATOR_PREFIX));
        let all = set(&|_| true);
        Self {
            operator: expand(&|held, scope| implies(rule, held, scope)),
            spelt: expand(&|held, scope| spells(held, scope)),
            written: expand(&|held, scope| writes_out(held, scope)),
            of_operator,
            coverable: match rule {
                Coverage::AdminAndSessions => [of_operator, set(&|scope| scope.starts_with("node."))],
                _ => [all, all],
            },
        }
    }

    /// Whether who holds `held` in this role may ask for `asked`.
    pub(super) fn covers(&self, operator: bool, held: ScopeSet, asked: ScopeSet) -> bool {
        let [of_operator, of_node] = self.coverable;
        let held =
            if operator { expanded(&self.operator, held).within(of_operator) } else { held.within(of_node) };
        held.covers(asked)
    }

    /// The same between lists that are spelt out on both sides.
    pub(super) fn covers_spelt(&self, held: ScopeSet, asked: ScopeSet) -> bool {
        expanded(&self.spelt, held).covers(expanded(&self.spelt, asked))
    }

    /// Whether two lists say the same once they are written out.
    pub(super) fn same_written(&self, one: ScopeSet, other: ScopeSet) -> bool {
        expanded(&self.written, one) == expanded(&self.written, other)
    }
}

fn expanded(table: &[ScopeSet], held: ScopeSet) -> ScopeSet {
    let mut all = held;
    let mut left = held.0;
    while left != 0 {
        let position = left.trailing_zeros();
        all = all.with(table.get(position as usize).copied().unwrap_or_default());
        left &= left - 1;
    }
    all
}

const OPERATOR_PREFIX: &str = "operator.";

/// Reference, section 8.3.
fn implies(rule: Coverage, held: &str, scope: &str) -> bool {
    let write_covers: &[&str] = match rule {
        Coverage::Exact => &[],
        Coverage::ReadOnly | Coverage::Admin => &[READ],
        Coverage::AdminAndSessions => &[READ, "operator.talk", SESSIONS_READ, SESSIONS_WRITE],
    };
    match held {
        ADMIN => match rule {
            Coverage::Exact => false,
            Coverage::ReadOnly => scope == READ,
            Coverage::Admin | Coverage::AdminAndSessions => scope.starts_with(OPERATOR_PREFIX),
        },
        WRITE => write_covers.contains(&scope),
        READ | SESSIONS_WRITE => rule == Coverage::AdminAndSessions && scope == SESSIONS_READ,
        _ => false,
    }
}

/// How 2026.9.6 writes lists out before it compares a request with a new ask. Read there, and seen: a node that waits with
/// read and write, and then asks write, keeps its request.
fn writes_out(held: &str, scope: &str) -> bool {
    match held {
        ADMIN => [READ, WRITE].contains(&scope),
        WRITE => scope == READ,
        _ => false,
    }
}

/// What 2026.2.21 and 2026.2.22 spell out when a token is rotated.
fn spells(held: &str, scope: &str) -> bool {
    match held {
        ADMIN => [READ, WRITE, APPROVALS, PAIRING].contains(&scope),
        WRITE => scope == READ,
        _ => false,
    }
}

const SESSIONS_READ: &str = "operator.sessions.read";
const SESSIONS_WRITE: &str = "operator.sessions.write";

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
    fn coverage_is_the_release_s() {
        // Reference, section 8.3.
        let scopes = [ADMIN, READ, WRITE, PAIRING, "operator.talk", SESSIONS_READ, "node.exec", "other"];
        let alphabet = Alphabet::new(["operator"], scopes).unwrap();
        let covers = |rule, operator, held, asked| {
            Covering::new(&alphabet, rule).covers(operator, alphabet.set([held]), alphabet.set([asked]))
        };
        let rules = [Coverage::Exact, Coverage::ReadOnly, Coverage::Admin, Coverage::AdminAndSessions];
        let row = |operator, held, asked| rules.map(|rule| covers(rule, operator, held, asked));
        assert_eq!(row(true, ADMIN, READ), [false, true, true, true]);
        assert_eq!(row(true, ADMIN, WRITE), [false, false, true, true]);
        assert_eq!(row(true, ADMIN, PAIRING), [false, false, true, true]);
        assert_eq!(row(true, WRITE, READ), [false, true, true, true]);
        assert_eq!(row(true, READ, WRITE), [false, false, false, false]);
        assert_eq!(row(true, WRITE, "operator.talk"), [false, false, false, true]);
        assert_eq!(row(true, READ, SESSIONS_READ), [false, false, false, true]);
        assert_eq!(row(true, "other", "other"), [true, true, true, false]);
        assert_eq!(row(true, ADMIN, "node.exec"), [false, false, false, false]);
        assert_eq!(row(false, "node.exec", "node.exec"), [true, true, true, true]);
        assert_eq!(row(false, ADMIN, READ), [false, false, false, false]);
        assert_eq!(row(false, READ, READ), [true, true, true, false]);
    }

    #[test]
    fn nothing_is_always_covered() {
        let alphabet = Alphabet::new(["operator"], [READ]).unwrap();
        let covering = Covering::new(&alphabet, Coverage::AdminAndSessions);
        assert!(covering.covers(true, alphabet.set([]), alphabet.set([])));
        assert!(!covering.covers(true, alphabet.set([]), alphabet.set([READ])));
    }

    #[test]
    fn lists_are_compared_as_written_out() {
        let alphabet = Alphabet::new(["node"], [ADMIN, WRITE, READ, APPROVALS]).unwrap();
        let covering = Covering::new(&alphabet, Coverage::AdminAndSessions);
        let same = |one: &[&str], other: &[&str]| {
            let set = |scopes: &[&str]| alphabet.set(scopes.iter().copied());
            covering.same_written(set(one), set(other))
        };
        assert!(same(&[READ, WRITE], &[WRITE]));
        assert!(same(&[ADMIN], &[ADMIN, READ]));
        assert!(!same(&[WRITE], &[READ]));
        assert!(!same(&[ADMIN], &[ADMIN, APPROVALS]));
    }

    #[test]
    fn too_many_names_are_refused_instead_of_confused() {
        let many: Vec<String> = (0..65).map(|n| format!("s{n}")).collect();
        assert!(Alphabet::new(["operator"], many.iter().map(String::as_str)).is_none());
        assert!(Alphabet::new(many.iter().take(9).map(String::as_str), []).is_none());
    }
}
