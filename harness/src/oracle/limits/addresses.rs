//! Every attempt of every address, in as little memory as will do: there may be millions.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Neighbours;
use super::counted::{Answer, Counted, Who};
use super::locks::{Try, locks};
use super::sockets::Sockets;
use crate::observation::Observation;
use crate::oracle::lockouts::RateLimits;
use crate::oracle::windows::AFTERMATH;
use crate::plan::{ClientId, Nanos};

/// Every attempt of every address, as far as another one's answer may hang on it.
#[derive(Debug, Default)]
pub(in crate::oracle) struct Addresses {
    touches: Vec<Touch>,
    /// Addresses, each with what is counted there and whose failures it counts among, if anything is.
    places: Vec<Place>,
    numbers: HashMap<Place, u32>,
}

type Place = (IpAddr, Option<(Who, Counted)>);

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
/// Marks of [`Touch::sent`]: no connect was sent, or what one was answered.
const NOT_SENT: u8 = 0;
const ANSWERS: [(u8, Answer); 5] =
    [(1, Answer::Good), (2, Answer::Bad), (3, Answer::LockedOut), (4, Answer::Other), (5, Answer::Unknown)];

impl Addresses {
    /// Number of an address with what is counted there. `None` if there are too many.
    pub(in crate::oracle) fn place(
        &mut self,
        address: IpAddr,
        counted: Option<(Who, Counted)>,
    ) -> Option<u32> {
        let place = (address, counted);
        if let Some(known) = self.numbers.get(&place) {
            return Some(*known);
        }
        let next = u32::try_from(self.places.len()).ok()?;
        self.numbers.insert(place, next);
        self.places.push(place);
        Some(next)
    }

    /// Notes an attempt from a place.
    pub(in crate::oracle) fn add(&mut self, observation: &Observation, place: u32, answer: Answer) {
        let stamps = observation.stamps;
        let Some(begun) = stamps.started.or(stamps.sent) else { return };
        let since = |at: Option<Nanos>| at.unwrap_or(begun).saturating_sub(begun);
        let mark = ANSWERS.iter().find(|(_, of)| *of == answer).map_or(NOT_SENT, |(mark, _)| *mark);
        self.touches.push(Touch {
            begun,
            client: observation.client,
            attempt: observation.attempt,
            place,
            sent: Short::new(since(stamps.sent), if stamps.sent.is_some() { mark } else { NOT_SENT }),
            end: Short::new(
                since(stamps.answered.or_else(|| stamps.last())),
                if stamps.started.is_some() { STARTED } else { 0 },
            ),
        });
    }

    /// What they did to each other. `scale`: that of the run's durations; `restarts`: when processes were gone, sorted.
    pub(in crate::oracle) fn neighbours(
        &self,
        sockets_max: Option<u32>,
        limits: RateLimits,
        scale: f64,
        restarts: &[Nanos],
    ) -> Neighbours {
        let mut neighbours = Neighbours::default();
        if let Some(most) = sockets_max {
            neighbours.sockets = self.sockets(most);
        }
        if let Some(fewest) = limits.fewest_failures() {
            let counted = |touch: &Touch| self.places.get(touch.place as usize)?.1;
            // Most counters never see a failure, and without enough of them they lock nobody out.
            let mut failures: HashMap<Who, u32> = HashMap::new();
            for touch in self.touches.iter().filter(|touch| touch.may_count()) {
                if let Some((who, _)) = counted(touch) {
                    *failures.entry(who).or_default() += 1;
                }
            }
            failures.retain(|_, count| *count >= fewest);
            let tries = self.touches.iter().filter_map(|touch| {
                let (who, counted) = counted(touch).filter(|(who, _)| failures.contains_key(who))?;
                touch.tried(who, counted)
            });
            neighbours.locks = locks(tries.collect(), limits, scale, restarts);
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

    fn answer(&self) -> Option<Answer> {
        let mark = self.sent.mark();
        ANSWERS.iter().find(|(of, _)| u64::from(*of) == mark).map(|(_, answer)| *answer)
    }

    /// Whether a failure may have been counted.
    fn may_count(&self) -> bool {
        self.answer().is_some_and(|answer| answer != Answer::Good)
    }

    fn tried(&self, who: Who, counted: Counted) -> Option<Try> {
        let from = self.begun.saturating_add(self.sent.time());
        let answer = self.answer()?;
        // What nobody waits for any more, the gateway may still judge.
        let longer = if answer == Answer::Unknown { AFTERMATH } else { 0 };
        let until = self.until().saturating_add(longer);
        Some(Try { of: (self.client, self.attempt), who, counted, from, until, answer })
    }
}
