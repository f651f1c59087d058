//! What the attempts of one address do to each other: lock-outs after failed credentials, and sockets without connect
//! (reference, sections 1.1 and 7.1).

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use super::MILLISECOND;
use super::credential::{CredentialRefusal, Secret};
use super::facts::{Facts, SentOrigin};
use super::release::{RateLimit, Release, WrongToken};
use crate::observation::{Fingerprint, Observation, fingerprint};
use crate::plan::{ClientId, Nanos};

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

/// An attempt, by its client and number.
pub(super) type Of = (ClientId, u32);

/// One attempt of an address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Try {
    pub(super) of: Of,
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

/// Lock-outs that there are or may be.
pub(super) fn locks(
    mut tries: Vec<Try>,
    limit: RateLimit,
    scale: f64,
    restarts: &[Nanos],
) -> HashMap<Of, Lock> {
    // The cast saturates: a senseless scale makes senseless verdicts, never a panic.
    let scaled = |ms: u64| (ms as f64 * 1e6 * scale.clamp(0.0, 1.0)) as Nanos;
    let exact = |ms: u64| ms.saturating_mul(MILLISECOND);
    let mut books: HashMap<(Who, Scope), Book> = HashMap::new();
    let mut locks = HashMap::new();
    tries.sort_unstable_by_key(|one| (one.from, one.of));
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
            locks.insert(one.of, lock);
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

/// What the attempts of one address did to each other.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    pub(super) locks: HashMap<Of, Lock>,
    pub(super) sockets: Sockets,
}

/// How many sockets of each address were open at most, without connect, while another one of its was.
#[derive(Debug, Default)]
pub(super) struct Sockets(HashMap<IpAddr, Spans>);

/// Starts and ends of the sockets of one address, each sorted.
#[derive(Debug, Default)]
struct Spans {
    starts: Vec<Nanos>,
    ends: Vec<Nanos>,
}

impl Sockets {
    pub(super) fn new(spans: impl Iterator<Item = (IpAddr, Nanos, Nanos)>) -> Self {
        let mut sockets = Self::default();
        for (address, from, until) in spans {
            let spans = sockets.0.entry(address).or_default();
            spans.starts.push(from);
            spans.ends.push(until);
        }
        for spans in sockets.0.values_mut() {
            spans.starts.sort_unstable();
            spans.ends.sort_unstable();
        }
        sockets
    }

    /// The most there can have been between the two times, this one included.
    pub(super) fn at_most(&self, address: IpAddr, from: Nanos, until: Nanos) -> usize {
        self.0.get(&address).map_or(0, |spans| {
            let begun = spans.starts.partition_point(|start| *start <= until);
            begun.saturating_sub(spans.ends.partition_point(|end| *end < from))
        })
    }
}

/// Every attempt of every address, as far as another one's answer may hang on it.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    touches: Vec<Touch>,
    /// Addresses, each with the counter that failures are held against, if one is.
    places: Vec<(IpAddr, Option<u32>)>,
    books: Vec<(Who, Scope)>,
    numbers_of_places: HashMap<(IpAddr, Option<u32>), u32>,
    numbers_of_books: HashMap<(Who, Scope), u32>,
}

/// One attempt of one address, in 32 bytes: there is one for every attempt of a run.
#[derive(Debug, Clone, Copy)]
struct Touch {
    begun: Nanos,
    client: ClientId,
    attempt: u32,
    place: u32,
    /// From `begun` until the connect was sent, and until the attempt ended, in nanoseconds.
    sent: Short,
    end: Short,
}

/// Up to 2^44 ns, which are almost five hours, with a mark of four bits: six bytes.
#[derive(Debug, Clone, Copy)]
struct Short([u8; 6]);

impl Short {
    const BITS: u32 = 44;

    fn new(time: Nanos, mark: u8) -> Self {
        let value = time.min((1 << Self::BITS) - 1) | (u64::from(mark) << Self::BITS);
        let [a, b, c, d, e, f, ..] = value.to_le_bytes();
        Self([a, b, c, d, e, f])
    }

    fn value(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
    }

    fn time(self) -> Nanos {
        self.value() & ((1 << Self::BITS) - 1)
    }

    fn mark(self) -> u64 {
        self.value() >> Self::BITS
    }
}

/// Mark of [`Touch::end`]: `begun` is the start of a socket.
const STARTED: u8 = 1;
/// Marks of [`Touch::sent`]: no connect was sent, or the fate of one that was.
const NOT_SENT: u8 = 0;
const FATES: [(u8, Fate); 3] = [(1, Fate::Failed), (2, Fate::Good), (3, Fate::Neutral)];

impl Addresses {
    /// Number of an address with a counter. `None` if there are too many.
    pub(super) fn place(&mut self, address: IpAddr, book: Option<(Who, Scope)>) -> Option<u32> {
        let book = match book {
            None => None,
            Some(book) => Some(number(&mut self.numbers_of_books, &mut self.books, book)?),
        };
        number(&mut self.numbers_of_places, &mut self.places, (address, book))
    }

    /// Notes an attempt from a place.
    pub(super) fn add(&mut self, observation: &Observation, place: u32, fate: Fate) {
        let stamps = observation.stamps;
        let Some(begun) = stamps.started.or(stamps.sent) else { return };
        let since = |at: Option<Nanos>| at.unwrap_or(begun).saturating_sub(begun);
        let fate = FATES.iter().find(|(_, of)| *of == fate).map_or(NOT_SENT, |(mark, _)| *mark);
        self.touches.push(Touch {
            begun,
            client: observation.client,
            attempt: observation.attempt,
            place,
            sent: Short::new(since(stamps.sent), if stamps.sent.is_some() { fate } else { NOT_SENT }),
            end: Short::new(
                since(stamps.answered.or_else(|| stamps.last())),
                if stamps.started.is_some() { STARTED } else { 0 },
            ),
        });
    }

    /// What they did to each other. `scale`: that of the run's durations; `restarts`: when processes were gone, sorted.
    pub(super) fn neighbours(
        &self,
        sockets_max: Option<u32>,
        limit: Option<RateLimit>,
        scale: f64,
        restarts: &[Nanos],
    ) -> Neighbours {
        let mut neighbours = Neighbours::default();
        if let Some(most) = sockets_max {
            neighbours.sockets = self.sockets(most);
        }
        if let Some(limit) = limit {
            let places = &self.places;
            let book = |touch: &Touch| places.get(touch.place as usize).and_then(|place| place.1);
            // Most counters never see a failure, and without enough of them they lock nobody out.
            let mut failures = vec![0_u32; self.books.len()];
            for touch in self.touches.iter().filter(|touch| touch.has_failed()) {
                if let Some(count) = book(touch).and_then(|book| failures.get_mut(book as usize)) {
                    *count += 1;
                }
            }
            let locks_out =
                |book: u32| failures.get(book as usize).is_some_and(|count| *count >= limit.failures.max(1));
            let tries = self.touches.iter().filter_map(|touch| {
                let number = book(touch).filter(|book| locks_out(*book))?;
                let (who, scope) = self.books.get(number as usize)?;
                touch.tried(*who, *scope)
            });
            neighbours.locks = locks(tries.collect(), limit, scale, restarts);
        }
        neighbours
    }

    /// Sockets of the addresses that had enough of them to matter.
    fn sockets(&self, most: u32) -> Sockets {
        let mut of_places = vec![0_u32; self.places.len()];
        for touch in &self.touches {
            if let Some(count) = of_places.get_mut(touch.place as usize) {
                *count += 1;
            }
        }
        let mut counts: HashMap<IpAddr, u32> = HashMap::new();
        for ((address, _), count) in self.places.iter().zip(of_places) {
            *counts.entry(*address).or_default() += count;
        }
        let address = |touch: &Touch| self.places.get(touch.place as usize).map(|place| place.0);
        counts.retain(|_, count| *count > most);
        if counts.is_empty() {
            return Sockets::default();
        }
        Sockets::new(self.touches.iter().filter_map(|touch| {
            let address = address(touch).filter(|address| counts.contains_key(address))?;
            let (from, until) = touch.socket()?;
            Some((address, from, until))
        }))
    }
}

impl Touch {
    fn socket(&self) -> Option<(Nanos, Nanos)> {
        (self.end.mark() == u64::from(STARTED)).then(|| (self.begun, self.until()))
    }

    fn until(&self) -> Nanos {
        self.begun.saturating_add(self.end.time())
    }

    fn has_failed(&self) -> bool {
        FATES.iter().any(|(mark, fate)| u64::from(*mark) == self.sent.mark() && *fate == Fate::Failed)
    }

    fn tried(&self, who: Who, scope: Scope) -> Option<Try> {
        let mark = self.sent.mark();
        let fate = FATES.iter().find(|(of, _)| u64::from(*of) == mark).map(|(_, fate)| *fate)?;
        let from = self.begun.saturating_add(self.sent.time());
        Some(Try { of: (self.client, self.attempt), who, scope, from, until: self.until(), fate })
    }
}

/// The number of `thing`, which is its position in `all`; a new one if it has none.
fn number<T: Copy + Eq + std::hash::Hash>(
    numbers: &mut HashMap<T, u32>,
    all: &mut Vec<T>,
    thing: T,
) -> Option<u32> {
    if let Some(known) = numbers.get(&thing) {
        return Some(*known);
    }
    let next = u32::try_from(all.len()).ok()?;
    numbers.insert(thing, next);
    all.push(thing);
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit =
        RateLimit { failures: 3, window_ms: 60_000, lockout_ms: 4_000, exempt_loopback: true };

    fn one(number: u32, at: u64, fate: Fate) -> Try {
        Try {
            of: (0, number),
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
        let failed = |number| one(number, 100 * u64::from(number), Fate::Failed);
        let tries = vec![
            failed(1),
            failed(2),
            failed(3),
            one(4, 400, Fate::Neutral),
            one(5, 4_350, Fate::Neutral),
            one(6, 5_000, Fate::Neutral),
        ];
        let locks = locks(tries, LIMIT, 1.0, &[]);
        assert_eq!(locks.get(&(0, 3)), None);
        assert_eq!(locks.get(&(0, 4)), Some(&Lock::Locked));
        assert_eq!(locks.get(&(0, 5)), Some(&Lock::Either));
        assert_eq!(locks.get(&(0, 6)), None);
    }

    #[test]
    fn a_success_a_restart_and_loopback_forgive() {
        let failed = |number| one(number, 100 * u64::from(number), Fate::Failed);
        let reset =
            vec![failed(1), failed(2), one(3, 300, Fate::Good), failed(4), one(5, 500, Fate::Neutral)];
        assert!(locks(reset, LIMIT, 1.0, &[]).is_empty());
        let tries = vec![failed(1), failed(2), failed(3), one(4, 400, Fate::Neutral)];
        let restarted = locks(tries.clone(), LIMIT, 1.0, &[350 * MILLISECOND]);
        assert_eq!(restarted.get(&(0, 4)), Some(&Lock::Either));
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
