//! The loop of a reactor: waits for sockets and for times, and lets each client take its next step.
//!
//! Everything here happens on one thread and is decided elsewhere: what bytes mean in [`attempt`](super::attempt) and
//! [`session`](super::session), when a client tries again in [`crate::client::reconnect`]. Starts come before everything
//! else that is ready, because a start that is late falsifies what is measured; the clock is looked at between any two
//! events.

use std::io::{ErrorKind, Read as _};
use std::rc::Rc;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use super::alarm::Alarm;
use super::attempt::{Attempt, End};
use super::client::Client;
use super::connection::{Connection, Sent, Stage};
use super::deadlines::{Appointments, Due, Limits};
use super::feed::StopPhase;
use super::recording::{self, Made};
use super::script::{Script, State};
use super::shared::Shared;
use super::socket;
use super::starts::Starts;
use super::tale::Tale;
use super::told::Inbox;
use super::waiting::Waiting;
use crate::client::Hello;
use crate::client::reconnect::Hints;
use crate::clock::nanos;
use crate::observation::{Direction, DropReason, Outcome, Stamps};
use crate::plan::{Nanos, stream};

/// How long a client waits for the close that follows an error frame.
pub(super) const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// How long it waits, after the closing handshake, for the gateway to close TCP first, so that TIME_WAIT stays on the
/// gateway's side (shared performance notes, section 6: otherwise the client runs out of ports).
pub(super) const EOF_WITHIN: Duration = Duration::from_millis(500);
/// How long it waits for the answer to its own close.
pub(super) const LEAVE_WITHIN: Duration = Duration::from_millis(1_500);
/// Records are handed over at least this often.
const FLUSH_EVERY: Duration = Duration::from_millis(100);
/// Clients that start before sockets are looked at again: more would let answers wait, and their times be wrong.
const STARTS_AT_ONCE: usize = 32;
/// One read takes a hello-ok of any release, and what follows it.
const READ_BYTES: usize = 64 << 10;
/// Reads of one socket before the others have their turn: a gateway that floods has no end.
const READS_AT_ONCE: usize = 16;
const EVENTS_AT_ONCE: usize = 256;

pub(super) const WAKE: Token = Token(0);
const ALARM: Token = Token(1);
/// Keys of connections begin here in tokens.
const FIRST: usize = 2;
/// The upper half of a token is the connection's serial number: an event that was on its way when its connection went must
/// not be taken for one of the next that has its key.
const SERIAL_SHIFT: u32 = 32;

const fn token(key: usize, serial: u32) -> Token {
    Token((serial as usize) << SERIAL_SHIFT | (FIRST + key))
}

/// A reactor at work.
pub(super) struct EventLoop {
    pub(super) shared: Rc<Shared>,
    poll: Poll,
    alarm: Alarm,
    pub(super) starts: Starts,
    pub(super) scripts: Slab<Script>,
    pub(super) connections: Slab<Connection>,
    serials: u32,
    /// Ends of pauses and of sessions; keys are those of scripts.
    pub(super) appointments: Appointments,
    /// Time limits; keys are those of connections.
    pub(super) attempts: Limits,
    pub(super) closes: Limits,
    pub(super) leaves: Limits,
    pub(super) drains: Limits,
    buffer: Vec<u8>,
    pub(super) phase: StopPhase,
    flushed: Nanos,
    pub(super) waiting: Waiting,
}

impl EventLoop {
    pub(super) fn new(shared: Rc<Shared>, poll: Poll, starts: Starts, inbox: Inbox) -> std::io::Result<Self> {
        let alarm = Alarm::new(poll.registry(), ALARM)?;
        Ok(Self {
            shared,
            poll,
            alarm,
            starts,
            scripts: Slab::new(),
            connections: Slab::new(),
            serials: 0,
            appointments: Appointments::default(),
            attempts: Limits::default(),
            closes: Limits::default(),
            leaves: Limits::default(),
            drains: Limits::default(),
            buffer: vec![0; READ_BYTES],
            phase: StopPhase::Running,
            flushed: 0,
            waiting: Waiting::new(inbox),
        })
    }

    /// Runs until every client has ended, or the run says so.
    pub(super) fn run(mut self) -> std::io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_AT_ONCE);
        for slot in 0..self.starts.slots() {
            self.fill(slot);
        }
        loop {
            self.look_at_phase();
            self.read_inbox();
            self.begin_due(self.shared.clock.now());
            let now = self.shared.clock.now();
            self.expire(now);
            if self.is_done() {
                return Ok(());
            }
            if now - self.flushed >= nanos(FLUSH_EVERY) {
                self.shared.lane.flush();
                self.flushed = now;
            }
            let wake = self.next_wake();
            let timeout = if wake <= now {
                Some(Duration::ZERO)
            } else {
                self.alarm.set(wake, now)?;
                None
            };
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            for event in &events {
                let Token(token) = event.token();
                let serial = token >> SERIAL_SHIFT;
                let key = (token & u32::MAX as usize).checked_sub(FIRST);
                if let Some(key) = key.filter(|key| self.is_connection(*key, serial)) {
                    self.ready(key, event.is_read_closed() && !event.is_error());
                }
                let now = self.shared.clock.now();
                if self.next_start().is_some_and(|at| at <= now) {
                    self.begin_due(now);
                }
            }
        }
    }

    fn is_connection(&self, key: usize, serial: usize) -> bool {
        self.connections.get(key).is_some_and(|connection| connection.serial as usize == serial)
    }

    fn is_done(&mut self) -> bool {
        self.scripts.is_empty() && self.connections.is_empty() && self.starts.next_arrival().is_none()
    }

    fn next_start(&mut self) -> Option<Nanos> {
        [self.starts.next_arrival(), self.appointments.next()].into_iter().flatten().min()
    }

    fn next_wake(&mut self) -> Nanos {
        let limits = [&self.attempts, &self.closes, &self.leaves, &self.drains].map(Limits::next);
        let flush = self.flushed + nanos(FLUSH_EVERY);
        limits.into_iter().chain([self.next_start()]).flatten().min().unwrap_or(flush).min(flush)
    }

    /// Lets begin what is due, a bounded number at once, in the order of time.
    fn begin_due(&mut self, now: Nanos) {
        for _ in 0..STARTS_AT_ONCE {
            let until = self.appointments.next().unwrap_or(now).min(now);
            if let Some((intended, id)) = self.starts.arrive(until) {
                if let Some(client) = self.starts.make(id, &self.shared) {
                    let key = self.enlist(client, intended, None);
                    self.resume(key, intended);
                }
                continue;
            }
            let Some(due) = self.appointments.take(now) else { return };
            let Some(script) = self.scripts.get(due.key).filter(|script| script.serial == due.serial) else {
                continue;
            };
            match script.state {
                State::Pausing => self.resume(due.key, due.at),
                State::Holding(connection) => self.hold_over(due.key, connection, due.at),
                State::Attempting(_) | State::Leaving(_) => {}
            }
        }
    }

    /// Lets the next client of a closed model in.
    pub(super) fn fill(&mut self, slot: usize) {
        let now = self.shared.clock.now();
        if self.phase == StopPhase::Running
            && let Some((intended, client)) = self.starts.fill(slot, &self.shared, now)
        {
            let key = self.enlist(client, intended, Some(slot));
            self.make_appointment(key, intended);
        }
    }

    fn enlist(&mut self, client: Client, intended: Nanos, slot: Option<usize>) -> usize {
        let plan = &self.shared.plan;
        let planned = client.planned();
        let cohort = plan.cohorts.get(usize::from(planned.cohort));
        let name = cohort.map(|cohort| cohort.name.as_str()).unwrap_or_default();
        let rng = stream(plan.seed, "client", name, planned.index);
        let reconnects_left = cohort.map_or(0, |cohort| cohort.session.reconnects);
        self.scripts.insert(Script {
            client,
            rng,
            intended,
            ask: 0,
            tale: cohort.and_then(Tale::of),
            failures: 0,
            reconnects_left,
            slot,
            state: State::Pausing,
            serial: 0,
        })
    }

    fn make_appointment(&mut self, key: usize, at: Nanos) {
        if let Some(script) = self.scripts.get(key) {
            self.appointments.add(Due { at, key, serial: script.serial });
        }
    }

    /// A client makes its next attempt.
    pub(super) fn attempt(&mut self, key: usize) {
        let shared = Rc::clone(&self.shared);
        let Some(script) = self.scripts.get_mut(key) else { return };
        let number = script.client.begin_attempt();
        let who = (script.client.id(), number);
        let Some(place) = shared.enter() else {
            return self.failed(
                key,
                Stamps::default(),
                Outcome::Dropped(DropReason::InFlightLimit),
                Hints::default(),
            );
        };
        let Some(route) = script.client.route(&shared, script.ask) else { return self.finish(key) };
        let started = shared.clock.now();
        let at_once = Stamps { started: Some(started), ended: Some(started), ..Stamps::default() };
        let opening = match route.opening {
            Ok(opening) => opening,
            Err(error) => return self.failed(key, at_once, Outcome::Unreachable { error }, Hints::default()),
        };
        let source = shared.target.is_loopback_v4().then_some(route.source);
        let stream = match socket::connect(shared.target.socket, source) {
            Ok(stream) => stream,
            Err(outcome) => return self.failed(key, at_once, *outcome, Hints::default()),
        };
        let mut bench = shared.bench.borrow_mut();
        let random = bench.key();
        let mut attempt = Box::new(Attempt::new(who, started, random));
        bench.out.clear();
        attempt.open(&opening, &mut bench);
        self.serials = self.serials.wrapping_add(1);
        let serial = self.serials;
        let entry = self.connections.vacant_entry();
        let connection = entry.key();
        let mut made = Connection {
            stream,
            serial,
            script: key,
            stage: Stage::Draining,
            received: Vec::new(),
            unsent: Vec::new(),
        };
        // On loopback the connection is there as soon as it is asked for: writing at once saves a wait and a wake-up.
        let sent = made.send(&bench.out);
        drop(bench);
        let interest = match sent {
            Sent::All => {
                attempt.dialled(shared.clock.now());
                Interest::READABLE
            }
            Sent::Partly => Interest::READABLE | Interest::WRITABLE,
            Sent::Broken(error) => {
                let outcome = attempt.fail(socket::broken(&error, false), shared.clock.now());
                return self.failed(key, *attempt.stamps(), outcome, Hints::default());
            }
        };
        if let Err(error) =
            self.poll.registry().register(&mut made.stream, token(connection, serial), interest)
        {
            let outcome = attempt.fail(socket::failure(&error), shared.clock.now());
            return self.failed(key, *attempt.stamps(), outcome, Hints::default());
        }
        made.stage = Stage::Attempt(attempt, place);
        entry.insert(made);
        script.enter(State::Attempting(connection));
        let at = started + nanos(shared.plan.attempt_timeout);
        self.attempts.add(Due { at, key: connection, serial });
    }

    /// A socket is ready. `closed`: it has been closed for reading, so that what is read is followed by the end.
    fn ready(&mut self, key: usize, closed: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.unsent.is_empty() {
            match connection.send_rest() {
                Sent::All => {
                    if let Stage::Attempt(attempt, _) = &mut connection.stage
                        && attempt.stamps().dialled.is_none()
                    {
                        attempt.dialled(self.shared.clock.now());
                    }
                }
                // Once it is connected the answer may still be there to be read, or the same error is.
                Sent::Broken(error) => {
                    if matches!(&connection.stage, Stage::Attempt(attempt, _) if attempt.stamps().dialled.is_none())
                    {
                        return self.broke(key, &error);
                    }
                }
                Sent::Partly => {}
            }
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut reads = 0;
        while let Some(connection) = self.connections.get_mut(key) {
            if reads == READS_AT_ONCE {
                // What is there is told again, after the others.
                if let Err(error) = self.listen_again(key) {
                    self.broke(key, &error);
                }
                break;
            }
            reads += 1;
            match connection.stream.read(&mut buffer) {
                Ok(0) => {
                    self.received(key, &[], true);
                    break;
                }
                Ok(read) => {
                    self.received(key, buffer.get(..read).unwrap_or_default(), false);
                    // Less than was asked for means that there is no more (epoll(7), question 9). If the peer had closed
                    // before, the end is what comes next, and need not be asked for.
                    if read < buffer.len() {
                        if closed {
                            self.received(key, &[], true);
                        }
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    break;
                }
                Err(error) => {
                    self.broke(key, &error);
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    fn received(&mut self, key: usize, bytes: &[u8], ended: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let mut kept = std::mem::take(&mut connection.received);
        if kept.is_empty() {
            let consumed = self.handle(key, bytes, ended);
            if let (Some(rest), Some(connection)) =
                (bytes.get(consumed..).filter(|rest| !rest.is_empty()), self.connections.get_mut(key))
            {
                connection.received = rest.to_vec();
            }
        } else {
            kept.extend_from_slice(bytes);
            let consumed = self.handle(key, &kept, ended);
            if consumed < kept.len()
                && let Some(connection) = self.connections.get_mut(key)
            {
                kept.drain(..consumed);
                connection.received = kept;
            }
        }
    }

    /// Gives the number of bytes that are used up.
    fn handle(&mut self, key: usize, bytes: &[u8], ended: bool) -> usize {
        let Some(connection) = self.connections.get(key) else { return bytes.len() };
        match connection.stage {
            Stage::Attempt(..) => self.attempt_received(key, bytes, ended),
            Stage::Session(..) => self.session_received(key, bytes, ended),
            Stage::Leaving(_) => self.leaving_received(key, bytes, ended),
            Stage::Draining => {
                if ended {
                    self.connections.remove(key);
                }
                bytes.len()
            }
        }
    }

    fn attempt_received(&mut self, key: usize, bytes: &[u8], ended: bool) -> usize {
        let shared = Rc::clone(&self.shared);
        let Some(connection) = self.connections.get_mut(key) else { return bytes.len() };
        let Stage::Attempt(attempt, _) = &mut connection.stage else { return bytes.len() };
        let owner = connection.script;
        let Some(script) = self.scripts.get_mut(owner) else { return bytes.len() };
        let Some((_, spec, prepared)) = shared.ask(script.client.planned().cohort, script.ask) else {
            return bytes.len();
        };
        let who = attempt.who();
        let mut issued: Option<Box<str>> = None;
        let client = &script.client;
        let terms = client.terms(&shared, spec, prepared);
        let made = Made { ask: script.ask, step: script.place(true), intended: script.intended };
        let presented = client.presented(&terms);
        let mut accept = |hello: &Hello<'_>, stamps: &Stamps| {
            let token = hello.auth.as_ref().and_then(|auth| auth.device_token.as_deref());
            recording::session(
                &shared.lane,
                who,
                made,
                *stamps,
                presented,
                hello,
                token.map(|token| client.fingerprint(token)),
            );
            issued = token.filter(|token| !client.holds(token)).map(Into::into);
        };
        let mut bench = shared.bench.borrow_mut();
        bench.out.clear();
        let waited = attempt.awaits_close();
        let received = attempt.receive(&terms, &mut bench, bytes, ended, &mut accept);
        let awaits_close = !waited && attempt.awaits_close();
        let own_echo = matches!(&received.end, Some(End::Over(Outcome::NotAGateway { .. })))
            && attempt.stamps().upgraded.is_none()
            && socket::is_own_echo(&connection.stream);
        let (stamps, hints, serial) = (*attempt.stamps(), attempt.hints(), connection.serial);
        let sent = if bench.out.is_empty() { Sent::All } else { connection.send(&bench.out) };
        if let Sent::Broken(error) = &sent {
            bench.note(who, shared.clock.now(), Direction::Note, error.to_string().as_bytes());
        }
        drop(bench);
        if let Some(token) = issued {
            script.client.receive(&shared, &token);
        }
        let _ = self.after_send(key, sent);
        match received.end {
            None => {
                if awaits_close && let Some(answered) = stamps.answered {
                    self.closes.add(Due { at: answered + nanos(CLOSE_WITHIN), key, serial });
                }
                // A message that cannot be sent is no end: a gateway may answer an oversized one before it was read whole, and
                // the answer is still there to be read.
                received.consumed
            }
            Some(End::Session) => {
                self.begin_session(key, owner);
                let rest = bytes.get(received.consumed..).unwrap_or_default();
                if rest.is_empty() && !ended {
                    received.consumed
                } else {
                    received.consumed + self.handle(key, rest, ended)
                }
            }
            Some(End::Closing(outcome)) => {
                self.drain(key, ended);
                self.failed(owner, stamps, outcome, hints);
                bytes.len()
            }
            Some(End::Over(outcome)) => {
                self.connections.try_remove(key);
                let outcome = if own_echo { Outcome::ConnectionRefused } else { outcome };
                self.failed(owner, stamps, outcome, hints);
                bytes.len()
            }
        }
    }

    /// Asks to be told when a socket takes more, if it did not take all.
    pub(super) fn after_send(&mut self, key: usize, sent: Sent) -> Result<(), std::io::Error> {
        match sent {
            Sent::All => Ok(()),
            Sent::Partly => self.listen_again(key),
            Sent::Broken(error) => Err(error),
        }
    }

    /// Asks to be told of everything that a socket is ready for, even if that was told before.
    fn listen_again(&mut self, key: usize) -> Result<(), std::io::Error> {
        let Some(connection) = self.connections.get_mut(key) else { return Ok(()) };
        let interest = if connection.unsent.is_empty() {
            Interest::READABLE
        } else {
            Interest::READABLE | Interest::WRITABLE
        };
        let token = token(key, connection.serial);
        self.poll.registry().reregister(&mut connection.stream, token, interest)
    }
}
