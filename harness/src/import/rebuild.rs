//! Who came when, put together from the lines of a log.
//!
//! Everything is bounded: clients, what is kept of each, connections that are open, and connections that are known to have
//! ended. What is beyond a bound is counted, so that a report can say that it does not know everything.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::io::BufRead;

use super::line::{self, Line, Stamp, Unread};
use super::link::link;
use super::rebuilt::{Client, Event, Generation, Rebuilt, Restart, What};
use super::said::{Facts, Said, said};
use super::why::Why;

/// Clients that are told apart.
pub const CLIENTS_MAX: usize = 20_000;
/// What is kept of all clients together.
pub const EVENTS_MAX: usize = 1_000_000;
/// Connections of which something was said, and not yet how they ended.
const OPEN_MAX: usize = 8_192;
/// Connections whose end was seen, so that a log file and a console's copy of it count once.
const ENDED_MAX: usize = 1_000_000;
/// Bad lines that are named.
const NAMED_MAX: usize = 10;
/// Restarts that are kept.
const RESTARTS_MAX: usize = 200;
/// A gateway says that it listens once for each address, milliseconds apart; a terminal's times have whole seconds.
const ONE_START_MS: i64 = 1_500;
/// A warning about a proxy belongs to a connection that ends within this time, milliseconds.
const WARNING_MS: i64 = 2_000;
const DAY_MS: i64 = 86_400_000;

/// Who a client is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Device(String),
    /// No device is known.
    Place(Box<Place>),
}

/// Where a client without a device comes from, as what, and whether it was its credential that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    from: Option<String>,
    client: Option<String>,
    origin: Option<String>,
    by_credential: bool,
}

/// Reads logs.
#[derive(Debug, Default)]
pub struct Rebuilder {
    rebuilt: Rebuilt,
    keys: HashMap<Key, usize>,
    /// Which client a request was told to.
    requests: HashMap<String, usize>,
    events: usize,
    open: HashMap<String, Facts>,
    /// In the order in which they came to be known.
    opened: VecDeque<String>,
    ended: HashSet<u64>,
    hasher: RandomState,
    /// Sessions that are there, by connection.
    sessions: HashMap<String, usize>,
    /// The connection that a line at level debug means when it names none: the one before.
    last_conn: Option<String>,
    last_device: Option<(String, i64)>,
    untrusted_at: Option<i64>,
    now: i64,
    /// Day of the lines without a date: since 1970, or since the first of them as long as no line has a date.
    day: i64,
    dated: bool,
    up: Option<bool>,
    last_start: Option<i64>,
    stopping: Option<i64>,
}

impl Rebuilder {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one file. Several are best read oldest first; the same connection in two of them counts once.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn file(&mut self, name: &str, mut input: impl BufRead) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        let mut number = 0_u64;
        loop {
            bytes.clear();
            let cut = line::next(&mut input, &mut bytes)?;
            let Some(cut) = cut else { return Ok(()) };
            number += 1;
            self.line(name, number, if cut { Err(Unread::Broken("too long")) } else { line::read(&bytes) });
        }
    }

    /// Takes one line that was read.
    fn line(&mut self, name: &str, number: u64, read: Result<Line, Unread>) {
        let lines = &mut self.rebuilt.lines;
        lines.all += 1;
        match read {
            Ok(line) => {
                lines.gateway += 1;
                self.told(&line);
            }
            Err(Unread::Blank) => {}
            Err(Unread::Foreign) => lines.foreign += 1,
            Err(Unread::Broken(why)) => {
                lines.broken += 1;
                if lines.named.len() < NAMED_MAX {
                    lines.named.push((name.to_owned(), number, why));
                }
            }
        }
    }

    fn told(&mut self, line: &Line) {
        let before = self.now;
        self.time(line.stamp);
        if line.fields.iter().any(|(key, _)| matches!(key.as_str(), "peer" | "phase"))
            || line.message.starts_with("loading configuration")
        {
            self.rebuilt.generation = Generation::New;
        }
        match said(line) {
            Said::Facts(facts) => self.heard(facts),
            Said::Refused(facts) => self.refused(facts),
            Said::Session(facts) => self.session(facts),
            Said::Left { conn, held_ms } => self.left(conn, held_ms),
            Said::Approved { device, role, silent } => {
                let facts = Facts { device: Some(device.clone()), role, ..Facts::default() };
                if silent {
                    // The connection that it was approved for names no device, and follows at once.
                    self.last_device = Some((device, self.now));
                }
                self.happened(facts, What::Approved { silent });
            }
            Said::Changed { device, how } => {
                self.happened(Facts { device: Some(device), ..Facts::default() }, What::Changed(how));
            }
            Said::Began => self.began(before),
            Said::Stops => {
                self.stopping = Some(self.now);
                self.up = Some(false);
            }
            Said::Listens { profile } => self.listens(before, profile),
            Said::Release(release) => self.rebuilt.release = Some(release),
            Said::UntrustedProxy => self.untrusted_at = Some(self.now),
            Said::Nothing => {}
        }
    }

    fn time(&mut self, stamp: Stamp) {
        match stamp {
            Stamp::At(at) => {
                if !self.dated {
                    self.dated = true;
                    self.date(at);
                }
                self.now = at;
            }
            Stamp::OfDay(of_day) => {
                self.rebuilt.coarse = true;
                let at = self.day * DAY_MS + of_day;
                // Past midnight; a little back is two writers.
                if at + DAY_MS / 2 < self.now {
                    self.day += 1;
                } else if self.dated && at > self.now + DAY_MS / 2 {
                    self.day -= 1;
                }
                self.now = self.day * DAY_MS + of_day;
            }
            Stamp::Unsaid => return,
        }
        let (from, until) = self.rebuilt.span.unwrap_or((self.now, self.now));
        self.rebuilt.span = Some((from.min(self.now), until.max(self.now)));
    }

    /// Moves what was read without a date to the day of `at`, the first line with one: a console has both forms when its style
    /// is changed by a configuration that is read late.
    fn date(&mut self, at: i64) {
        let day = at.div_euclid(DAY_MS);
        let shift = (day - self.day) * DAY_MS;
        self.day = day;
        let move_on = |time: &mut i64| *time += shift;
        if let Some((from, until)) = &mut self.rebuilt.span {
            move_on(from);
            move_on(until);
        }
        self.rebuilt
            .clients
            .iter_mut()
            .flat_map(|client| &mut client.events)
            .for_each(|event| move_on(&mut event.at));
        self.rebuilt.restarts.iter_mut().for_each(|restart| move_on(&mut restart.at));
        [&mut self.last_start, &mut self.stopping, &mut self.untrusted_at]
            .into_iter()
            .flatten()
            .for_each(move_on);
        if let Some((_, at)) = &mut self.last_device {
            move_on(at);
        }
    }

    fn heard(&mut self, facts: Facts) {
        let Some(conn) = self.conn(&facts) else { return };
        if let Some(known) = self.open.get_mut(&conn) {
            known.learn(facts);
            return;
        }
        if self.opened.len() >= OPEN_MAX
            && let Some(oldest) = self.opened.pop_front()
        {
            self.open.remove(&oldest);
        }
        self.opened.push_back(conn.clone());
        self.open.insert(conn, facts);
    }

    /// The short form of the connection that `facts` are about.
    fn conn(&mut self, facts: &Facts) -> Option<String> {
        let conn = facts.conn.as_deref().map(short);
        if conn.is_some() {
            self.last_conn.clone_from(&conn);
        }
        conn.or_else(|| self.last_conn.clone())
    }

    fn forget(&mut self, conn: &str) -> Option<Facts> {
        // Its place in `opened` stays: it is popped when it is the oldest.
        self.open.remove(conn)
    }

    /// Whether an end of this connection was read before.
    fn again(&mut self, conn: &str) -> bool {
        let hash = self.hasher.hash_one(conn);
        if self.ended.len() >= ENDED_MAX {
            return self.ended.contains(&hash);
        }
        !self.ended.insert(hash)
    }

    fn refused(&mut self, mut facts: Facts) {
        let named = facts.conn.as_deref().map(short);
        if let Some(conn) = &named {
            if let Some(known) = self.forget(conn) {
                // What the gateway said before it closed is why; that the client then left is not.
                if known.why.is_some()
                    && matches!(facts.why, None | Some(Why::Left | Why::NotPaired | Why::Unsaid))
                {
                    facts.why = known.why;
                }
                facts.learn(known);
            }
            if self.again(conn) {
                return;
            }
        }
        let why = facts.why.unwrap_or(Why::Unsaid);
        let request = facts.request.clone();
        let untrusted = facts.forwarded.is_some()
            && self.untrusted_at.take().is_some_and(|at| (0..=WARNING_MS).contains(&(self.now - at)));
        facts.why = Some(why);
        let Some(client) = self.happened(facts, What::Refused(why)) else { return };
        if let Some(client) = self.rebuilt.clients.get_mut(client) {
            client.untrusted |= untrusted;
        }
        if let Some(request) = request
            && self.requests.len() < CLIENTS_MAX
        {
            self.requests.insert(request, client);
        }
    }

    fn session(&mut self, mut facts: Facts) {
        let Some(conn) = self.conn(&facts) else { return };
        if let Some(known) = self.forget(&conn) {
            facts.learn(known);
        }
        if self.again(&conn) {
            return;
        }
        if facts.device.is_none()
            && let Some((device, at)) = self.last_device.take()
            && (0..=WARNING_MS).contains(&(self.now - at))
        {
            facts.device = Some(device);
        }
        let Some(client) = self.happened(facts, What::Session) else { return };
        if self.sessions.len() < CLIENTS_MAX {
            self.sessions.insert(conn, client);
        }
    }

    fn left(&mut self, conn: Option<String>, held_ms: Option<i64>) {
        let conn = conn.as_deref().map(short).or_else(|| self.last_conn.clone());
        let Some(client) = conn.and_then(|conn| self.sessions.remove(&conn)) else { return };
        if let (Some(client), Some(held)) = (self.rebuilt.clients.get_mut(client), held_ms)
            && self.events < EVENTS_MAX
        {
            self.events += 1;
            client.events.push(Event { at: self.now, what: What::Left(held), took: 0 });
        }
    }

    /// Notes that `what` happened to whom `facts` describe, and gives its position.
    fn happened(&mut self, facts: Facts, what: What) -> Option<usize> {
        let by_request = facts.request.as_ref().and_then(|request| self.requests.get(request).copied());
        let key = key(&facts, what);
        let known = self.keys.get(&key).copied().or(by_request);
        let position = match known {
            Some(position) => position,
            None if self.rebuilt.clients.len() < CLIENTS_MAX => {
                self.rebuilt.clients.push(Client::default());
                self.rebuilt.clients.len() - 1
            }
            None => {
                self.rebuilt.beyond += 1;
                return None;
            }
        };
        if known.is_none() || facts.device.is_some() {
            self.keys.entry(key).or_insert(position);
        }
        if self.events >= EVENTS_MAX {
            self.rebuilt.beyond += 1;
            return None;
        }
        let client = self.rebuilt.clients.get_mut(position)?;
        let took = facts.took.unwrap_or(0);
        client.facts.learn(facts);
        client.events.push(Event { at: self.now, what, took });
        self.events += 1;
        Some(position)
    }

    fn began(&mut self, before: i64) {
        if self.up == Some(true) && self.stopping.is_none() {
            self.stopping = Some(before);
            self.crashed();
        }
        self.up = Some(false);
        self.last_start = Some(self.now);
    }

    /// Marks the stop that is under way as one that nobody asked for.
    fn crashed(&mut self) {
        if let Some(at) = self.stopping
            && self.rebuilt.restarts.len() < RESTARTS_MAX
        {
            self.rebuilt.restarts.push(Restart { at, down: 0, crash: true });
        }
    }

    fn listens(&mut self, before: i64, profile: Option<String>) {
        if profile.is_some() {
            self.rebuilt.generation = Generation::InRepo;
            self.rebuilt.release = profile;
        }
        let same_start = self.last_start.is_some_and(|at| self.now - at < ONE_START_MS);
        if self.up == Some(true) {
            // It says so twice, once for each address.
            if same_start {
                return;
            }
            self.stopping = Some(before);
            self.crashed();
        }
        if let Some(at) = self.stopping.take() {
            let down = (self.now - at).max(0);
            let restarts = &mut self.rebuilt.restarts;
            if let Some(crash) = restarts.last_mut().filter(|last| last.crash && last.at == at) {
                crash.down = down;
            } else if restarts.len() < RESTARTS_MAX {
                restarts.push(Restart { at, down, crash: false });
            } else {
                self.rebuilt.beyond += 1;
            }
        }
        self.up = Some(true);
        self.last_start = Some(self.now);
    }

    /// What all files together tell.
    #[must_use]
    pub fn finish(mut self) -> Rebuilt {
        // Connections of which only a complaint was read: the line about their end is beyond the log, or below its level.
        let open: Vec<Facts> = self.opened.drain(..).filter_map(|conn| self.open.remove(&conn)).collect();
        for facts in open {
            if let Some(why) = facts.why {
                self.happened(facts, What::Refused(why));
            }
        }
        for client in &mut self.rebuilt.clients {
            client.events.sort_by_key(|event| event.at);
        }
        link(&mut self.rebuilt);
        self.rebuilt
    }
}

/// The first eight and the last four characters: what lines at level debug show of a connection.
fn short(conn: &str) -> String {
    if conn.contains('…') {
        return conn.to_owned();
    }
    let head: String = conn.chars().take(8).collect();
    let count = conn.chars().count();
    let tail: String = conn.chars().skip(count.saturating_sub(4)).collect();
    format!("{head}…{tail}")
}

fn key(facts: &Facts, what: What) -> Key {
    if let Some(device) = &facts.device {
        return Key::Device(device.clone());
    }
    let from = facts.forwarded.clone().or_else(|| facts.remote.clone());
    let by_credential = matches!(what, What::Refused(why) if why.is_credential());
    Key::Place(Box::new(Place {
        from,
        client: facts.client.clone(),
        origin: facts.origin.clone(),
        by_credential,
    }))
}
