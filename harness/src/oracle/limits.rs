//! What the attempts of one address do to each other: lock-outs after failed credentials, and sockets without connect
//! (reference, sections 1.1 and 7.1).

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use super::MILLISECOND;
use super::credential::{CredentialRefusal, Secret};
use super::facts::{Facts, SentOrigin};
use super::release::{RateLimit, Release, WrongToken};
use crate::observation::{Fingerprint, fingerprint};
use crate::plan::Nanos;

/// How sure it is that an address is locked out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lock {
    /// It cannot be.
    #[default]
    Open,
    /// It may be.
    Either,
    /// It is.
    Locked,
}

/// Which failures are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    Shared,
    Device,
}

/// Which counter a connect is held against; `None` = none.
pub(super) fn scope(facts: &Facts, release: &Release) -> Option<Scope> {
    let sent = facts.sent;
    let as_device = release.wrong_token_with_device == WrongToken::AsDeviceToken || !release.live_grant;
    let in_token = as_device && matches!(sent.token, Secret::Wrong | Secret::Issued);
    if facts.proof.is_some() && (sent.device_token != Secret::Absent || in_token) {
        Some(Scope::Device)
    } else if sent.is_shared() {
        Some(Scope::Shared)
    } else {
        None
    }
}

/// What became of an attempt, as far as lock-outs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The credential was refused, and it counts.
    Failed,
    /// It was good.
    Good,
    /// Neither.
    Neutral,
}

/// Whether a refusal of this kind counts.
pub(super) const fn counts(refusal: CredentialRefusal) -> bool {
    !matches!(
        refusal,
        CredentialRefusal::TokenMissing | CredentialRefusal::PasswordMissing | CredentialRefusal::RateLimited
    )
}

/// One attempt of an address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Try {
    /// Position in the history.
    pub(super) position: usize,
    pub(super) who: Who,
    pub(super) scope: Scope,
    /// When the gateway judged, at the earliest and the latest.
    pub(super) from: Nanos,
    pub(super) until: Nanos,
    pub(super) fate: Fate,
}

/// Whose failures are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// Those of an address.
    Address(IpAddr),
    /// Those of pages of one origin on this machine, whatever their address.
    Origin(Fingerprint),
}

/// Whose failures a connect from this address counts among.
pub(super) fn who(facts: &Facts, address: IpAddr) -> Who {
    let origin = match &facts.origin {
        SentOrigin::Text(text) => text.trim(),
        SentOrigin::SameHost => "its own host",
        SentOrigin::Absent => "",
    };
    if address.is_loopback() && facts.has_origin() {
        Who::Origin(fingerprint(&origin.to_ascii_lowercase()))
    } else {
        Who::Address(address)
    }
}

/// How far the counters of gateway and harness may differ.
const TOLERANCE: Nanos = 200 * MILLISECOND;

/// Lock-outs, by position in the history.
pub(super) fn locks(
    mut tries: Vec<Try>,
    limit: RateLimit,
    scale: f64,
    restarts: &[Nanos],
) -> HashMap<usize, Lock> {
    // The cast saturates: a senseless scale makes senseless verdicts, never a panic.
    let scaled = |ms: u64| (ms as f64 * 1e6 * scale.clamp(0.0, 1.0)) as Nanos;
    let exact = |ms: u64| ms.saturating_mul(MILLISECOND);
    let mut books: HashMap<(Who, Scope), Book> = HashMap::new();
    let mut locks = HashMap::new();
    tries.sort_unstable_by_key(|one| (one.from, one.position));
    for one in tries {
        if limit.exempt_loopback && matches!(one.who, Who::Address(address) if address.is_loopback()) {
            continue;
        }
        let book = books.entry((one.who, one.scope)).or_default();
        let longest =
            exact(limit.window_ms).saturating_add(exact(limit.lockout_ms)).saturating_add(TOLERANCE);
        while book.failures.front().is_some_and(|failure| failure.1.saturating_add(longest) < one.from) {
            book.failures.pop_front();
        }
        let shortest = (scaled(limit.window_ms), scaled(limit.lockout_ms));
        let lock = book.lock(&one, limit, shortest, restarts);
        if lock != Lock::Open {
            locks.insert(one.position, lock);
        }
        match one.fate {
            Fate::Failed => book.failures.push_back((one.from, one.until)),
            Fate::Good => {
                book.last_good = Some(one.until);
                book.failures.retain(|failure| failure.1 >= one.from);
            }
            Fate::Neutral => {}
        }
    }
    locks
}

/// Failures of one address in one scope.
#[derive(Debug, Default)]
struct Book {
    failures: VecDeque<(Nanos, Nanos)>,
    last_good: Option<Nanos>,
}

impl Book {
    fn lock(&self, one: &Try, limit: RateLimit, shortest: (Nanos, Nanos), restarts: &[Nanos]) -> Lock {
        let most = usize::try_from(limit.failures.max(1)).unwrap_or(usize::MAX);
        if self.failures.len() < most {
            return Lock::Open;
        }
        let window = limit.window_ms.saturating_mul(MILLISECOND);
        let lockout = limit.lockout_ms.saturating_mul(MILLISECOND);
        let (short_window, short_lockout) = shortest;
        let mut lock = Lock::Open;
        for (first, last) in self.failures.iter().zip(self.failures.iter().skip(most - 1)) {
            let may = last.0.saturating_sub(first.1) <= window.saturating_add(TOLERANCE)
                && one.from <= last.1.saturating_add(lockout).saturating_add(TOLERANCE);
            let reset = self.last_good.is_some_and(|good| good >= first.0)
                || restarts.iter().any(|exit| first.0 <= *exit && *exit <= one.until);
            let must = !reset
                && last.1 < one.from
                && last.1.saturating_sub(first.0).saturating_add(TOLERANCE) <= short_window
                && one.until.saturating_add(TOLERANCE) < last.0.saturating_add(short_lockout);
            if must {
                return Lock::Locked;
            }
            if may {
                lock = Lock::Either;
            }
        }
        lock
    }
}

/// How many sockets of each address were open at most, without connect, while another one of its was.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    starts: HashMap<IpAddr, Vec<Nanos>>,
    ends: HashMap<IpAddr, Vec<Nanos>>,
}

impl Sockets {
    pub(super) fn new(spans: impl Iterator<Item = (IpAddr, Nanos, Nanos)>) -> Self {
        let mut sockets = Self::default();
        for (address, from, until) in spans {
            sockets.starts.entry(address).or_default().push(from);
            sockets.ends.entry(address).or_default().push(until);
        }
        for times in sockets.starts.values_mut().chain(sockets.ends.values_mut()) {
            times.sort_unstable();
        }
        sockets
    }

    /// The most there can have been between the two times, this one included.
    pub(super) fn at_most(&self, address: IpAddr, from: Nanos, until: Nanos) -> usize {
        let count = |times: &HashMap<IpAddr, Vec<Nanos>>, until: Nanos| {
            times.get(&address).map_or(0, |times| times.partition_point(|time| *time <= until))
        };
        count(&self.starts, until).saturating_sub(count(&self.ends, from.saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit =
        RateLimit { failures: 3, window_ms: 60_000, lockout_ms: 4_000, exempt_loopback: true };

    fn one(position: usize, at: u64, fate: Fate) -> Try {
        Try {
            position,
            who: Who::Address(IpAddr::from([203, 0, 113, 7])),
            scope: Scope::Shared,
            from: at * MILLISECOND,
            until: (at + 10) * MILLISECOND,
            fate,
        }
    }

    #[test]
    fn the_fourth_failure_is_locked_out_until_the_time_is_over() {
        // Transcript 2026.2.19/f01-rate-limit-configured.
        let failed = |position| one(position, 100 * position as u64, Fate::Failed);
        let tries = vec![
            failed(1),
            failed(2),
            failed(3),
            one(4, 400, Fate::Neutral),
            one(5, 4_350, Fate::Neutral),
            one(6, 5_000, Fate::Neutral),
        ];
        let locks = locks(tries, LIMIT, 1.0, &[]);
        assert_eq!(locks.get(&3), None);
        assert_eq!(locks.get(&4), Some(&Lock::Locked));
        assert_eq!(locks.get(&5), Some(&Lock::Either));
        assert_eq!(locks.get(&6), None);
    }

    #[test]
    fn a_success_a_restart_and_loopback_forgive() {
        let failed = |position| one(position, 100 * position as u64, Fate::Failed);
        let reset =
            vec![failed(1), failed(2), one(3, 300, Fate::Good), failed(4), one(5, 500, Fate::Neutral)];
        assert!(locks(reset, LIMIT, 1.0, &[]).is_empty());
        let tries = vec![failed(1), failed(2), failed(3), one(4, 400, Fate::Neutral)];
        let restarted = locks(tries.clone(), LIMIT, 1.0, &[350 * MILLISECOND]);
        assert_eq!(restarted.get(&4), Some(&Lock::Either));
        let local = tries
            .into_iter()
            .map(|one| Try { who: Who::Address(IpAddr::from([127, 0, 0, 1])), ..one })
            .collect();
        assert!(locks(local, LIMIT, 1.0, &[]).is_empty());
    }

    #[test]
    fn sockets_are_counted_while_they_overlap() {
        let address = IpAddr::from([127, 0, 0, 1]);
        let sockets = Sockets::new(
            [(0, 10), (5, 20), (30, 40)].into_iter().map(|(from, until)| (address, from, until)),
        );
        assert_eq!(sockets.at_most(address, 5, 10), 2);
        assert_eq!(sockets.at_most(address, 25, 29), 0);
        assert_eq!(sockets.at_most(address, 0, 40), 3);
    }
}
