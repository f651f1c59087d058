//! From attempts to the lock-outs that there are or may be.

use std::collections::HashMap;

use super::book::{Book, Limit, Span};
use super::counted::{Answer, Counted, Who};
use super::{Lock, Of};
use crate::oracle::lockouts::{RateLimit, RateLimits};
use crate::plan::Nanos;

/// One attempt that counts, or that may be locked out.
#[derive(Debug, Clone, Copy)]
pub(in crate::oracle) struct Try {
    pub(in crate::oracle) of: Of,
    pub(in crate::oracle) who: Who,
    pub(in crate::oracle) counted: Counted,
    /// When the gateway judged, at the earliest and the latest.
    pub(in crate::oracle) from: Nanos,
    pub(in crate::oracle) until: Nanos,
    pub(in crate::oracle) answer: Answer,
}

impl Try {
    fn span(&self) -> Span {
        (self.from, self.until)
    }
}

/// The counters of one of those who are counted.
#[derive(Debug, Default)]
struct Books {
    shared: Book,
    device: Book,
    /// How many of the restarts they know of.
    restarts: usize,
}

/// Lock-outs that there are or may be. `restarts`: when processes were gone, sorted.
pub(in crate::oracle) fn locks(
    mut tries: Vec<Try>,
    limits: RateLimits,
    scale: f64,
    restarts: &[Nanos],
) -> HashMap<Of, Lock> {
    tries.retain(|one| limit_of(one.who, limits).is_some());
    tries.sort_unstable_by_key(|one| (one.from, one.of));
    let mut all: HashMap<Who, Books> = HashMap::new();
    for one in &tries {
        let Some(limit) = limit_of(one.who, limits).map(|limit| Limit::new(limit, scale)) else { continue };
        let books = all.entry(one.who).or_default();
        while let Some(exit) = restarts.get(books.restarts).filter(|exit| **exit < one.from) {
            books.shared.restart(*exit);
            books.device.restart(*exit);
            books.restarts += 1;
        }
        let (shared, device) = (books.shared.lock(one.of, one.span()), books.device.lock(one.of, one.span()));
        let [on_shared, on_device] = one.counted.effects(one.answer, shared, device);
        books.shared.note(on_shared, one.of, one.span(), limit);
        books.device.note(on_device, one.of, one.span(), limit);
    }
    // Only now is known what else was under way.
    let locks = tries.iter().filter_map(|one| {
        let books = all.get(&one.who)?;
        let lock =
            one.counted.lock(books.shared.lock(one.of, one.span()), books.device.lock(one.of, one.span()));
        (lock != Lock::Open).then_some((one.of, lock))
    });
    locks.collect()
}

/// What locks them out; `None`: nothing does.
fn limit_of(who: Who, limits: RateLimits) -> Option<RateLimit> {
    match who {
        Who::Address(address) => {
            limits.addresses.filter(|limit| !(limit.exempt_loopback && address.is_loopback()))
        }
        Who::Pages(_) | Who::LocalPages(_) => limits.pages,
    }
}
