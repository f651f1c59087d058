//! What becomes of a client when an attempt, a session or a pause of it ends; the other half of
//! [`EventLoop`](super::event_loop::EventLoop).

use std::rc::Rc;
use std::sync::atomic::Ordering;

use slab::Slab;

use super::attempt::MESSAGE_BYTES_MAX;
use super::connection::{Connection, Stage};
use super::deadlines::{Due, Limits};
use super::ears::Ears;
use super::event_loop::{EOF_WITHIN, EventLoop, LEAVE_WITHIN};
use super::feed::StopPhase;
use super::recording::{self, Made};
use super::script::State;
use super::session::{self, SessionOver};
use crate::client::reconnect::{self, Hints, Next};
use crate::clock::nanos;
use crate::history::{EndedBy, Record, SessionEnd};
use crate::observation::{CloseSeen, DropReason, Observation, Outcome, Stamps};
use crate::plan::Nanos;
use crate::websocket;

impl EventLoop {
    /// An attempt ended without a session: it is recorded, and the client tries again or gives up.
    pub(super) fn failed(&mut self, key: usize, stamps: Stamps, outcome: Outcome, hints: Hints) {
        let shared = Rc::clone(&self.shared);
        let Some(script) = self.scripts.get_mut(key) else { return };
        let Some((cohort, spec, prepared)) = shared.ask(script.client.planned().cohort, script.ask) else {
            return;
        };
        let presented = script.client.presented(&script.client.terms(&shared, spec, prepared));
        let who = (script.client.id(), script.client.last_attempt());
        script.failures += 1;
        let scale = shared.plan.time_scale;
        let (policy, failures) = (&cohort.reconnect, script.failures);
        let next = reconnect::after_failure(policy, &outcome, hints, failures, scale, &mut script.rng);
        let to_be_refused = script.is_to_be_refused(cohort);
        let step = script.place(to_be_refused || next == Next::GiveUp);
        let made = Made { ask: script.ask, step, intended: script.intended };
        recording::ended(&shared.lane, who, made, stamps, presented, &outcome);
        if to_be_refused {
            return self.next_step(key, shared.clock.now());
        }
        match next {
            Next::GiveUp => self.finish(key),
            Next::UntilTold => {
                let since = stamps.started.unwrap_or(script.intended);
                self.until_told(key, since);
            }
            Next::Retry(pause) => self.pause(key, nanos(pause)),
        }
    }

    /// The next attempt is due after `pause`, if the run lasts so long.
    fn pause(&mut self, key: usize, pause: Nanos) {
        self.pause_until(key, self.shared.clock.now() + pause);
    }

    /// The next attempt is due at a time, if the run lasts so long.
    pub(super) fn pause_until(&mut self, key: usize, at: Nanos) {
        if self.phase != StopPhase::Running {
            return self.finish(key);
        }
        let Some(script) = self.scripts.get_mut(key) else { return };
        script.intended = at;
        script.enter(State::Pausing);
        self.appointments.add(Due { at, key, serial: script.serial });
    }

    /// A client's script has ended; in a closed model the next client may come.
    pub(super) fn finish(&mut self, key: usize) {
        let Some(script) = self.scripts.try_remove(key) else { return };
        self.waiting.forget(script.client.id());
        self.shared.feed.progress().finished.fetch_add(1, Ordering::Relaxed);
        if let Some(slot) = script.slot {
            self.starts.free(slot, &self.shared, self.shared.clock.now());
            self.fill(slot);
        }
    }

    /// An attempt on `connection` gave the client a session.
    pub(super) fn begin_session(&mut self, connection: usize, key: usize) {
        let shared = Rc::clone(&self.shared);
        let Some(script) = self.scripts.get_mut(key) else { return };
        if let Some(connection) = self.connections.get_mut(connection)
            && let Stage::Attempt(attempt, _place) = std::mem::replace(&mut connection.stage, Stage::Draining)
        {
            connection.stage = Stage::Session(attempt.into_reader(), Ears::default());
        }
        shared.feed.progress().held.fetch_add(1, Ordering::Relaxed);
        script.failures = 0;
        script.enter(State::Holding(connection));
        if self.tale_goes_on(key, connection) {
            return;
        }
        let Some(script) = self.scripts.get_mut(key) else { return };
        let hold = shared
            .plan
            .cohorts
            .get(usize::from(script.client.planned().cohort))
            .and_then(|it| it.session.hold);
        let hold = hold.map(|range| reconnect::draw(range, &mut script.rng).mul_f64(shared.plan.time_scale));
        if self.phase != StopPhase::Running || hold.is_some_and(|hold| hold.is_zero()) {
            self.leave(connection);
        } else if let Some(hold) = hold {
            let at = shared.clock.now() + nanos(hold);
            self.appointments.add(Due { at, key, serial: script.serial });
        }
    }

    /// The client leaves, as the official ones do: close 1000, then the gateway closes TCP.
    pub(super) fn leave(&mut self, connection: usize) {
        let shared = Rc::clone(&self.shared);
        let Some(left) = self.connections.get_mut(connection) else { return };
        let (owner, serial) = (left.script, left.serial);
        self.note_session_end(owner, EndedBy::Client);
        self.forget_call(owner);
        let Some(left) = self.connections.get_mut(connection) else { return };
        if let Stage::Session(reader, _) = std::mem::replace(&mut left.stage, Stage::Draining) {
            left.stage = Stage::Leaving(reader);
        }
        let mut bench = shared.bench.borrow_mut();
        bench.out.clear();
        let mask = bench.mask();
        websocket::write_close(1000, "", mask, &mut bench.out);
        let sent = left.send(&bench.out);
        drop(bench);
        if let Some(script) = self.scripts.get_mut(owner) {
            script.enter(State::Leaving(connection));
        }
        if self.after_send(connection, sent).is_err() {
            self.connections.try_remove(connection);
            self.after_session(owner, true);
            return;
        }
        let at = shared.clock.now() + nanos(LEAVE_WITHIN);
        self.leaves.add(Due { at, key: connection, serial });
    }

    fn note_session_end(&self, key: usize, by: EndedBy) {
        self.shared.feed.progress().held.fetch_sub(1, Ordering::Relaxed);
        let Some(script) = self.scripts.get(key) else { return };
        let (client, attempt) = (script.client.id(), script.client.last_attempt());
        let at = self.shared.clock.now();
        self.shared.lane.push(&Record::SessionEnd(SessionEnd { client, attempt, at, by }));
    }

    /// A session is over and its connection no longer the client's.
    fn after_session(&mut self, key: usize, left_by_itself: bool) {
        let shared = Rc::clone(&self.shared);
        if self.tale_lost_session(key, left_by_itself) {
            return;
        }
        let Some(script) = self.scripts.get_mut(key) else { return };
        if left_by_itself {
            if script.reconnects_left == 0 {
                return self.finish(key);
            }
            script.reconnects_left -= 1;
        }
        let Some(cohort) = shared.plan.cohorts.get(usize::from(script.client.planned().cohort)) else {
            return;
        };
        let pause = reconnect::pause(&cohort.reconnect, 1, shared.plan.time_scale, &mut script.rng);
        self.pause(key, nanos(pause));
    }

    pub(super) fn session_received(&mut self, key: usize, bytes: &[u8], ended: bool) -> usize {
        let shared = Rc::clone(&self.shared);
        let Some(connection) = self.connections.get_mut(key) else { return bytes.len() };
        let Stage::Session(reader, ears) = &mut connection.stage else { return bytes.len() };
        let owner = connection.script;
        let Some(script) = self.scripts.get(owner) else { return bytes.len() };
        let (client, attempt) = (script.client.id(), script.client.last_attempt());
        let mut bench = shared.bench.borrow_mut();
        bench.out.clear();
        let mut answer = None;
        let heard = session::listen(reader, &mut bench, bytes, ended, MESSAGE_BYTES_MAX, &mut |message| {
            ears.hear(&shared, client, attempt, message);
            if answer.is_none()
                && let Some(tale) = &script.tale
            {
                answer = tale.answer(message, shared.clock.now());
            }
            true
        });
        let sent = connection.send(&bench.out);
        drop(bench);
        let sent = self.after_send(key, sent);
        let over = match (heard.end, sent) {
            (Some(over), _) => over,
            (None, Ok(())) => {
                if let Some(answer) = answer {
                    self.called(owner, answer);
                    self.next_step(owner, shared.clock.now());
                }
                return heard.consumed;
            }
            (None, Err(_)) => SessionOver { close: CloseSeen::Abrupt, answered: false },
        };
        if let Some(answer) = answer {
            self.called_last(owner, answer);
        }
        self.session_over(key, owner, over, ended);
        bytes.len()
    }

    fn session_over(&mut self, connection: usize, owner: usize, over: SessionOver, ended: bool) {
        if over.answered {
            self.drain(connection, ended);
        } else {
            self.connections.try_remove(connection);
        }
        self.note_session_end(owner, EndedBy::Gateway(over.close));
        self.after_session(owner, false);
    }

    /// A client that leaves waits for the answer to its close, and the end of the stream.
    pub(super) fn leaving_received(&mut self, key: usize, bytes: &[u8], ended: bool) -> usize {
        let shared = Rc::clone(&self.shared);
        let Some(connection) = self.connections.get_mut(key) else { return bytes.len() };
        let Stage::Leaving(reader) = &mut connection.stage else { return bytes.len() };
        let owner = connection.script;
        let mut bench = shared.bench.borrow_mut();
        bench.out.clear();
        let heard = session::listen(reader, &mut bench, bytes, ended, MESSAGE_BYTES_MAX, &mut |_| true);
        drop(bench);
        let Some(over) = heard.end else { return heard.consumed };
        if over.answered {
            self.drain(key, ended);
        } else {
            self.connections.try_remove(key);
        }
        self.after_session(owner, true);
        bytes.len()
    }

    /// Nothing more is expected on a connection but its end.
    pub(super) fn drain(&mut self, key: usize, ended: bool) {
        if ended {
            self.connections.try_remove(key);
            return;
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.stage = Stage::Draining;
        connection.script = usize::MAX;
        let at = self.shared.clock.now() + nanos(EOF_WITHIN);
        self.drains.add(Due { at, key, serial: connection.serial });
    }

    /// A connection broke.
    pub(super) fn broke(&mut self, key: usize, error: &std::io::Error) {
        let now = self.shared.clock.now();
        let Some(mut connection) = self.connections.try_remove(key) else { return };
        let owner = connection.script;
        match &mut connection.stage {
            Stage::Attempt(attempt, _) => {
                let connected = attempt.stamps().dialled.is_some();
                let hints = attempt.hints();
                let outcome = attempt.fail(super::socket::broken(error, connected), now);
                let stamps = *attempt.stamps();
                drop(connection);
                self.failed(owner, stamps, outcome, hints);
            }
            Stage::Session(..) => {
                self.note_session_end(owner, EndedBy::Gateway(CloseSeen::Abrupt));
                self.after_session(owner, false);
            }
            Stage::Leaving(_) => self.after_session(owner, true),
            Stage::Draining => {}
        }
    }

    /// Time limits that have been reached.
    pub(super) fn expire(&mut self, now: Nanos) {
        let is_attempt = |stage: &Stage| matches!(stage, Stage::Attempt(..));
        let awaits_close =
            |stage: &Stage| matches!(stage, Stage::Attempt(attempt, _) if attempt.awaits_close());
        while let Some(mut connection) = expired(&mut self.attempts, &mut self.connections, now, is_attempt)
            .or_else(|| expired(&mut self.closes, &mut self.connections, now, awaits_close))
        {
            let Stage::Attempt(attempt, _) = &mut connection.stage else { continue };
            let outcome = attempt.on_timeout(now);
            let (stamps, hints, owner) = (*attempt.stamps(), attempt.hints(), connection.script);
            // Gives its place back before the client tries again.
            drop(connection);
            self.failed(owner, stamps, outcome, hints);
        }
        let leaves = |stage: &Stage| matches!(stage, Stage::Leaving(_));
        while let Some(connection) = expired(&mut self.leaves, &mut self.connections, now, leaves) {
            self.after_session(connection.script, true);
        }
        let drains = |stage: &Stage| matches!(stage, Stage::Draining);
        while expired(&mut self.drains, &mut self.connections, now, drains).is_some() {}
    }

    /// Follows what the run has been told.
    pub(super) fn look_at_phase(&mut self) {
        let phase = *self.shared.stop.borrow();
        if phase <= self.phase {
            return;
        }
        let before = std::mem::replace(&mut self.phase, phase);
        if before == StopPhase::Running {
            self.stop_starting();
        }
        if phase == StopPhase::Cut {
            self.cut();
        }
    }

    /// Nobody starts any more, and who holds a session leaves.
    fn stop_starting(&mut self) {
        for (intended, client) in self.starts.stop(self.shared.clock.now()) {
            // An arrival that the end of the run forestalled is counted, not skipped.
            self.shared.lane.push(&Record::Attempt(Observation {
                client,
                attempt: 0,
                ask: 0,
                step: None,
                intended,
                stamps: Stamps::default(),
                presented_token: None,
                outcome: Outcome::Dropped(DropReason::RunEnded),
            }));
        }
        let keys: Vec<(usize, State)> =
            self.scripts.iter().map(|(key, script)| (key, script.state)).collect();
        for (key, state) in keys {
            match state {
                State::Pausing => self.finish(key),
                State::Holding(connection) => self.leave(connection),
                State::Attempting(_) | State::Leaving(_) => {}
            }
        }
    }

    /// Attempts in progress are dropped, and nothing more is awaited.
    fn cut(&mut self) {
        let scripts: Vec<(usize, State)> =
            self.scripts.iter().map(|(key, script)| (key, script.state)).collect();
        self.connections.clear();
        for (key, state) in scripts {
            match state {
                State::Attempting(_) => {
                    self.failed(
                        key,
                        Stamps::default(),
                        Outcome::Dropped(DropReason::RunEnded),
                        Hints::default(),
                    );
                }
                State::Holding(_) => self.note_session_end(key, EndedBy::Client),
                State::Pausing | State::Leaving(_) => {}
            }
            self.finish(key);
        }
    }
}

/// Takes the next connection whose limit has been reached, if it still `is` at the stage that the limit was set for.
fn expired(
    limits: &mut Limits,
    connections: &mut Slab<Connection>,
    now: Nanos,
    is: impl Fn(&Stage) -> bool,
) -> Option<Connection> {
    let concerns = |due: &Due| {
        let connection = connections.get(due.key);
        connection.is_some_and(|connection| connection.serial == due.serial && is(&connection.stage))
    };
    let due = limits.take(now, concerns)?;
    connections.try_remove(due.key)
}
