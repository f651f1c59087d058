//! The rate limit of failed credentials: a sliding window for each (scope, client), as state without a clock.
//!
//! The policy only looks ([`RateLimiter::check`]); what an attempt does to the counters comes out of it as [`Note`]s,
//! which the server applies once, when the attempt is decided ([`RateLimiter::apply`]). What comes back is how long the
//! answer has to wait.

use std::collections::{HashMap, VecDeque};

use super::http_facts::HttpFacts;
use super::locality::{self, Locality};
use crate::profile::{RateLimitRule, rate_limit_defaults as defaults};

/// Keys that are kept at most; above it, unlocked ones are forgotten.
const KEYS_MAX: usize = 10_000;
/// Failures of an exempt client that are remembered, and its shortest and longest delay.
const DELAY_HISTORY: usize = 6;
const DELAY_MIN_MS: u64 = 250;
const DELAY_MAX_MS: u64 = 5_000;

/// `gateway.auth.rateLimit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitConfig {
    /// Failures that lock.
    pub max_attempts: u32,
    /// Window in which they count, milliseconds.
    pub window_ms: u64,
    /// How long the lock lasts, milliseconds.
    pub lockout_ms: u64,
    /// Whether loopback clients are never locked.
    pub exempt_loopback: bool,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self {
            max_attempts: defaults::MAX_ATTEMPTS,
            window_ms: defaults::WINDOW_MS,
            lockout_ms: defaults::LOCKOUT_MS,
            exempt_loopback: true,
        }
    }
}

/// Which kind of credential is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Token or password of the gateway.
    SharedSecret,
    /// Token of a device.
    DeviceToken,
    /// Single-use setup token.
    BootstrapToken,
}

/// Who is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Client {
    /// A client address, or `unknown`. Loopback ones may be exempt.
    Address(String),
    /// A request with an `Origin`: counted apart, never exempt.
    Browser(String),
}

impl Client {
    /// Who an attempt is counted as; `None` = it is not limited. `fallback` is used where the address is unknown.
    fn of(rule: RateLimitRule, http: &HttpFacts, locality: &Locality, fallback: &str) -> Option<Self> {
        let address = locality.client_ip.map_or_else(|| fallback.to_owned(), |ip| ip.to_string());
        let browsers_apart = match rule {
            RateLimitRule::Never => return None,
            RateLimitRule::WhenConfigured { browsers_apart, .. } => browsers_apart,
            RateLimitRule::Always => true,
        };
        let Some(origin) = http.origin.as_deref().filter(|_| browsers_apart) else {
            return Some(Self::Address(address));
        };
        if locality.client_ip.is_some_and(|ip| ip.is_loopback()) {
            return Some(Self::Browser(match rule {
                RateLimitRule::Always => origin.trim().to_ascii_lowercase(),
                _ => "loopback".to_owned(),
            }));
        }
        Some(Self::Browser(address))
    }
}

/// Who an attempt is counted as, for each kind of credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clients {
    /// For a shared secret without a device beside it: the peer stands in for an unknown address.
    pub alone: Option<Client>,
    /// For everything else: `unknown` stands in for an unknown address.
    pub beside_device: Option<Client>,
}

impl Clients {
    /// Of a request.
    #[must_use]
    pub fn of(rule: RateLimitRule, http: &HttpFacts, locality: &Locality) -> Self {
        Self {
            alone: Client::of(rule, http, locality, &http.peer.to_string()),
            beside_device: Client::of(rule, http, locality, "unknown"),
        }
    }
}

/// What an attempt does to the counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What happens.
    pub kind: NoteKind,
    /// Which counter.
    pub scope: Scope,
    /// Whose.
    pub client: Client,
}

/// What happens to a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteKind {
    /// A failure.
    Failed,
    /// A failure whose answer waits, if the client is exempt from locking.
    FailedAndDelayed,
    /// A success: the counter starts again.
    Reset,
}

#[derive(Debug, Default)]
struct Counter {
    failures: VecDeque<u64>,
    locked_until: Option<u64>,
}

impl Counter {
    fn slide(&mut self, now_ms: u64, window_ms: u64) {
        if self.locked_until.is_some_and(|until| now_ms >= until) {
            *self = Self::default();
        }
        while self.failures.front().is_some_and(|at| now_ms.saturating_sub(*at) >= window_ms) {
            self.failures.pop_front();
        }
    }

    fn is_locked(&self, now_ms: u64) -> bool {
        self.locked_until.is_some_and(|until| now_ms < until)
    }
}

/// All counters of a gateway.
#[derive(Debug)]
pub struct RateLimiter {
    /// For clients by address; `None` = they are not limited.
    addresses: Option<RateLimitConfig>,
    /// For browsers; `None` = they are not limited.
    browsers: Option<RateLimitConfig>,
    delays: bool,
    counters: HashMap<(Scope, Client), Counter>,
}

impl RateLimiter {
    /// The counters of a profile under a configuration.
    #[must_use]
    pub fn new(rule: RateLimitRule, config: Option<RateLimitConfig>) -> Self {
        let always = config.unwrap_or_default();
        let apart = RateLimitConfig { exempt_loopback: false, ..always };
        let (addresses, browsers) = match rule {
            RateLimitRule::Never => (None, None),
            RateLimitRule::WhenConfigured { browsers_apart, .. } => (config, browsers_apart.then_some(apart)),
            RateLimitRule::Always => (Some(always), Some(apart)),
        };
        Self { addresses, browsers, delays: rule == RateLimitRule::Always, counters: HashMap::new() }
    }

    fn config(&self, client: &Client) -> Option<RateLimitConfig> {
        match client {
            Client::Address(_) => self.addresses,
            Client::Browser(_) => self.browsers,
        }
    }

    fn is_exempt(&self, client: &Client) -> bool {
        match client {
            Client::Address(address) => {
                self.addresses.is_some_and(|config| config.exempt_loopback)
                    && locality::ip(address).is_some_and(|ip| ip.is_loopback())
            }
            Client::Browser(_) => false,
        }
    }

    /// How long the client is still locked out at `now_ms`, milliseconds; `None` = it is not.
    #[must_use]
    pub fn check(&self, scope: Scope, client: Option<&Client>, now_ms: u64) -> Option<u64> {
        let client = client?;
        self.config(client)?;
        if self.is_exempt(client) {
            return None;
        }
        let until = self.counters.get(&(scope, client.clone()))?.locked_until?;
        (now_ms < until).then(|| until - now_ms)
    }

    /// Takes over what an attempt did, at `now_ms`; gives how long its answer waits, milliseconds.
    pub fn apply(&mut self, notes: &[Note], now_ms: u64) -> u64 {
        notes.iter().map(|note| self.take(note, now_ms)).max().unwrap_or_default()
    }

    fn take(&mut self, note: &Note, now_ms: u64) -> u64 {
        let Some(config) = self.config(&note.client) else { return 0 };
        let key = (note.scope, note.client.clone());
        if note.kind == NoteKind::Reset {
            self.counters.remove(&key);
            return 0;
        }
        let exempt = self.is_exempt(&note.client);
        if exempt && !self.delays {
            return 0;
        }
        if self.counters.len() >= KEYS_MAX && !self.counters.contains_key(&key) {
            self.prune(now_ms);
            if self.counters.len() >= KEYS_MAX {
                return 0;
            }
        }
        let counter = self.counters.entry(key).or_default();
        if !exempt && counter.is_locked(now_ms) {
            return 0;
        }
        counter.slide(now_ms, config.window_ms);
        counter.failures.push_back(now_ms);
        if exempt {
            while counter.failures.len() > DELAY_HISTORY {
                counter.failures.pop_front();
            }
            let doublings =
                u32::try_from(counter.failures.len().saturating_sub(1)).unwrap_or(u32::MAX).min(30);
            return match note.kind {
                NoteKind::FailedAndDelayed => (DELAY_MIN_MS << doublings).min(DELAY_MAX_MS),
                NoteKind::Failed | NoteKind::Reset => 0,
            };
        }
        if counter.failures.len() >= usize::try_from(config.max_attempts).unwrap_or(usize::MAX) {
            counter.locked_until = Some(now_ms.saturating_add(config.lockout_ms));
        }
        0
    }

    /// Forgets counters that nothing depends on any more; if that is not enough, those that are not locked.
    fn prune(&mut self, now_ms: u64) {
        let (addresses, browsers) = (self.addresses, self.browsers);
        self.counters.retain(|(_, client), counter| {
            let config = match client {
                Client::Address(_) => addresses,
                Client::Browser(_) => browsers,
            };
            counter.slide(now_ms, config.map_or(0, |config| config.window_ms));
            counter.is_locked(now_ms) || !counter.failures.is_empty()
        });
        if self.counters.len() >= KEYS_MAX {
            self.counters.retain(|_, counter| counter.is_locked(now_ms));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: RateLimitConfig =
        RateLimitConfig { max_attempts: 3, window_ms: 60_000, lockout_ms: 4_000, exempt_loopback: true };
    const CONFIGURED: RateLimitRule =
        RateLimitRule::WhenConfigured { missing_counts: false, browsers_apart: true };

    fn note(kind: NoteKind, client: &Client) -> Note {
        Note { kind, scope: Scope::SharedSecret, client: client.clone() }
    }

    fn remote() -> Client {
        Client::Address("203.0.113.7".to_owned())
    }

    #[test]
    fn the_attempt_after_the_last_failure_is_locked_until_the_lock_expires() {
        // Case f01: {maxAttempts 3, lockoutMs 4000}, the fourth attempt is locked, for 4 s.
        let mut limiter = RateLimiter::new(CONFIGURED, Some(CONFIG));
        for at in [0, 10, 20] {
            assert_eq!(limiter.check(Scope::SharedSecret, Some(&remote()), at), None);
            assert_eq!(limiter.apply(&[note(NoteKind::Failed, &remote())], at), 0);
        }
        assert_eq!(limiter.check(Scope::SharedSecret, Some(&remote()), 30), Some(3_990));
        assert_eq!(limiter.check(Scope::DeviceToken, Some(&remote()), 30), None, "another scope");
        let other = Client::Address("203.0.113.8".to_owned());
        assert_eq!(limiter.check(Scope::SharedSecret, Some(&other), 30), None, "another client");
        assert_eq!(limiter.check(Scope::SharedSecret, Some(&remote()), 4_019), Some(1));
        assert_eq!(limiter.check(Scope::SharedSecret, Some(&remote()), 4_020), None);
        limiter.apply(&[note(NoteKind::Failed, &remote())], 4_021);
        assert_eq!(limiter.check(Scope::SharedSecret, Some(&remote()), 4_022), None, "it starts again");
    }

    #[test]
    fn success_starts_again_and_old_failures_do_not_count() {
        let mut limiter = RateLimiter::new(CONFIGURED, Some(CONFIG));
        limiter.apply(&[note(NoteKind::Failed, &remote()), note(NoteKind::Failed, &remote())], 0);
        limiter.apply(&[note(NoteKind::Reset, &remote())], 1);
        limiter.apply(&[note(NoteKind::Failed, &remote()), note(NoteKind::Failed, &remote())], 2);
        limiter.apply(&[note(NoteKind::Failed, &remote())], 60_002);
        assert_eq!(limiter.check(Scope::SharedSecret, Some(&remote()), 60_003), None, "two slid out");
    }

    #[test]
    fn loopback_is_exempt_but_delayed_on_the_newest_release() {
        let loopback = Client::Address("127.0.0.1".to_owned());
        let delayed = [note(NoteKind::FailedAndDelayed, &loopback)];
        let mut limiter = RateLimiter::new(RateLimitRule::Always, None);
        let waits: Vec<u64> = (0..8).map(|at| limiter.apply(&delayed, at)).collect();
        assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
        assert_eq!(limiter.check(Scope::SharedSecret, Some(&loopback), 9), None);
        let mut older = RateLimiter::new(CONFIGURED, Some(CONFIG));
        assert_eq!(older.apply(&delayed, 0), 0);
        let strict = RateLimitConfig { exempt_loopback: false, ..CONFIG };
        let mut strict = RateLimiter::new(CONFIGURED, Some(strict));
        for at in 0..3 {
            strict.apply(&delayed, at);
        }
        assert!(strict.check(Scope::SharedSecret, Some(&loopback), 3).is_some());
    }

    #[test]
    fn browsers_are_counted_by_default_and_never_exempt() {
        let browser = Client::Browser("http://localhost:5173".to_owned());
        for rule in [CONFIGURED, RateLimitRule::Always] {
            let mut limiter = RateLimiter::new(rule, None);
            for at in 0..10 {
                limiter.apply(&[note(NoteKind::Failed, &browser)], at);
            }
            assert!(limiter.check(Scope::SharedSecret, Some(&browser), 10).is_some(), "{rule:?}");
        }
        let mut off = RateLimiter::new(RateLimitRule::Never, Some(CONFIG));
        for at in 0..10 {
            off.apply(&[note(NoteKind::Failed, &browser), note(NoteKind::Failed, &remote())], at);
        }
        assert_eq!(off.check(Scope::SharedSecret, Some(&browser), 10), None);
        assert_eq!(off.check(Scope::SharedSecret, Some(&remote()), 10), None);
    }

    proptest! {
        /// Whatever comes: a lock ends, is never longer than configured, and the map is bounded.
        #[test]
        fn locks_end(steps in proptest::collection::vec((0_u64..5_000, 0_u8..4, any::<bool>()), 1..200)) {
            let mut limiter = RateLimiter::new(CONFIGURED, Some(CONFIG));
            let mut now = 0;
            for (wait, last, fails) in steps {
                now += wait;
                let client = Client::Address(format!("203.0.113.{last}"));
                if limiter.check(Scope::SharedSecret, Some(&client), now).is_none() {
                    let kind = if fails { NoteKind::Failed } else { NoteKind::Reset };
                    limiter.apply(&[note(kind, &client)], now);
                }
                if let Some(left) = limiter.check(Scope::SharedSecret, Some(&client), now) {
                    prop_assert!(left <= CONFIG.lockout_ms);
                    prop_assert_eq!(limiter.check(Scope::SharedSecret, Some(&client), now + left), None);
                }
            }
        }
    }

    #[test]
    fn the_map_is_bounded() {
        let mut limiter = RateLimiter::new(RateLimitRule::Always, None);
        for number in 0..2 * KEYS_MAX {
            limiter.apply(&[note(NoteKind::Failed, &Client::Address(number.to_string()))], 0);
            assert!(limiter.counters.len() <= KEYS_MAX);
        }
    }
}
