//! Clients that have a script of their own: one step after the other, each client at its own pace.
//!
//! A session that the gateway ends in the midst of a step is taken again as the cohort's reconnect has it, and the step goes on:
//! what is left of a pause is waited for, a call that got no answer is not made again.

use std::rc::Rc;
use std::time::Duration;

use protocol::Frame;
use serde::Serialize;

use super::deadlines::Due;
use super::event_loop::EventLoop;
use super::feed::StopPhase;
use super::script::{Script, State};
use crate::client::reconnect;
use crate::clock::nanos;
use crate::history::{Call, CallEnd, Record};
use crate::observation::ScriptPlace;
use crate::plan::{Cohort, Deed, DurationRange, Nanos, ScriptCall, ScriptStep};
use crate::websocket;

/// Longest text of an answer that is kept, characters.
const ANSWER_CHARS: usize = 300;

/// Where a client stands in its script.
#[derive(Debug)]
pub(super) struct Tale {
    /// Position of the step that comes next.
    next: usize,
    doing: Doing,
    /// The call that it waits for.
    call: Option<Pending>,
    /// Id of its last request; the first one of a connection is its `connect`.
    last_id: u64,
}

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// It wants the session that its step is about.
    Connecting,
    /// It waits until then; `None` = until the run ends.
    Waiting(Option<Nanos>),
    /// It waits for an answer.
    Calling,
    /// It leaves.
    Leaving,
    /// It wants the session back that it had, to wait until then with it.
    Recovering(Option<Nanos>),
}

#[derive(Debug)]
struct Pending {
    id: String,
    sent: Nanos,
}

#[derive(Serialize)]
struct Request<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a serde_json::Value>,
}

impl Tale {
    /// At the beginning of the cohort's script, if it has one.
    pub(super) fn of(cohort: &Cohort) -> Option<Self> {
        (!cohort.script.is_empty()).then_some(Self {
            next: 0,
            doing: Doing::Waiting(Some(0)),
            call: None,
            last_id: 1,
        })
    }

    fn step<'c>(&self, cohort: &'c Cohort) -> Option<&'c ScriptStep> {
        cohort.script.get(self.next.checked_sub(1)?)
    }

    /// Whether the step is over with an attempt that gives no session.
    fn is_to_be_refused(&self, cohort: &Cohort) -> bool {
        self.doing == Doing::Connecting
            && matches!(self.step(cohort), Some(ScriptStep { deed: Deed::Connect { refused: true, .. }, .. }))
    }

    /// The answer to its call, if `message` is that.
    pub(super) fn answer(&self, message: &[u8], at: Nanos) -> Option<CallEnd> {
        let pending = self.call.as_ref()?;
        let Ok(Frame::Response(response)) = Frame::decode(message) else { return None };
        if response.id != pending.id.as_str() {
            return None;
        }
        if response.ok {
            return Some(CallEnd::Done { at });
        }
        let kept = |text: &str| text.chars().take(ANSWER_CHARS).collect::<String>();
        let error = response.error;
        Some(CallEnd::Refused {
            at,
            code: error.as_ref().map(|error| kept(error.code.as_str())).unwrap_or_default(),
            message: error.as_ref().map(|error| kept(&error.message)).unwrap_or_default(),
            detail_code: error.and_then(|error| error.details?.code).map(|code| kept(code.as_str())),
        })
    }
}

impl Script {
    /// Which step of its script the attempt belongs to that it makes; `over`: it ends with that attempt.
    pub(super) fn place(&self, over: bool) -> Option<ScriptPlace> {
        let tale = self.tale.as_ref()?;
        let step = u16::try_from(tale.next.checked_sub(1)?).ok()?;
        Some(ScriptPlace { step, last: over && tale.doing == Doing::Connecting })
    }

    /// Whether its attempt is the only one of its step, which is over with it.
    pub(super) fn is_to_be_refused(&self, cohort: &Cohort) -> bool {
        self.tale.as_ref().is_some_and(|tale| tale.is_to_be_refused(cohort))
    }
}

impl EventLoop {
    /// A client's pause was over at `at`.
    pub(super) fn resume(&mut self, key: usize, at: Nanos) {
        match self.scripts.get(key).map(|script| script.tale.as_ref().map(|tale| tale.doing)) {
            Some(Some(Doing::Waiting(_))) => self.next_step(key, at),
            Some(_) => self.attempt(key),
            None => {}
        }
    }

    /// What a client waited for while it held a session was to come until `at`.
    pub(super) fn hold_over(&mut self, key: usize, connection: usize, at: Nanos) {
        let doing = self.scripts.get(key).and_then(|script| script.tale.as_ref()).map(|tale| tale.doing);
        match doing {
            None | Some(Doing::Leaving) => self.leave(connection),
            Some(Doing::Calling) => {
                self.called(key, CallEnd::NoAnswer { at });
                self.next_step(key, at);
            }
            Some(_) => self.next_step(key, at),
        }
    }

    /// A client with a script was given a session on `connection`; false if it has none.
    pub(super) fn tale_goes_on(&mut self, key: usize, connection: usize) -> bool {
        let shared = Rc::clone(&self.shared);
        let now = shared.clock.now();
        let Some(script) = self.scripts.get_mut(key) else { return false };
        let cohort = shared.plan.cohorts.get(usize::from(script.client.planned().cohort));
        let (Some(tale), Some(cohort)) = (&mut script.tale, cohort) else { return false };
        if self.phase != StopPhase::Running || tale.is_to_be_refused(cohort) {
            tale.doing = Doing::Leaving;
            self.leave(connection);
            return true;
        }
        match tale.doing {
            Doing::Recovering(Some(until)) if until > now => self.wait(key, Some(until)),
            Doing::Recovering(None) => self.wait(key, None),
            _ => self.next_step(key, now),
        }
        true
    }

    /// The session of a client with a script is over; false if it has none, or has lost a session that it wants back.
    pub(super) fn tale_lost_session(&mut self, key: usize, left_by_itself: bool) -> bool {
        let now = self.shared.clock.now();
        let Some(tale) = self.scripts.get_mut(key).and_then(|script| script.tale.as_mut()) else {
            return false;
        };
        if left_by_itself || self.phase != StopPhase::Running || tale.doing == Doing::Leaving {
            self.next_step(key, now);
            return true;
        }
        let until = match tale.doing {
            Doing::Waiting(until) => until,
            _ => Some(now),
        };
        let unanswered = tale.doing == Doing::Calling;
        tale.doing = Doing::Recovering(until);
        if unanswered {
            self.called(key, CallEnd::NoAnswer { at: now });
        }
        false
    }

    /// The step of a client is over, at `at`: the next one begins.
    pub(super) fn next_step(&mut self, key: usize, at: Nanos) {
        let shared = Rc::clone(&self.shared);
        loop {
            let Some(script) = self.scripts.get_mut(key) else { return };
            let cohort = shared.plan.cohorts.get(usize::from(script.client.planned().cohort));
            let Some(tale) = &mut script.tale else { return };
            let step = cohort.and_then(|cohort| cohort.script.get(tale.next));
            let Some(step) = step.filter(|_| self.phase == StopPhase::Running) else {
                tale.doing = Doing::Leaving;
                return match script.state {
                    State::Holding(connection) => self.leave(connection),
                    _ => self.finish(key),
                };
            };
            tale.next += 1;
            match &step.deed {
                Deed::Change => {}
                Deed::Lose(loss) => script.client.lose(&shared, *loss),
                Deed::Connect { ask, .. } => {
                    tale.doing = Doing::Connecting;
                    script.ask = *ask;
                    script.failures = 0;
                    return self.pause_until(key, at);
                }
                Deed::Hold(None) => return self.wait(key, None),
                Deed::Hold(Some(range)) | Deed::Think(range) => {
                    let until = at + nanos(self.drawn(key, *range));
                    return self.wait(key, Some(until));
                }
                Deed::Call(call) => return self.call(key, call),
                Deed::Drop => {
                    tale.doing = Doing::Leaving;
                    if let State::Holding(connection) = script.state {
                        return self.leave(connection);
                    }
                }
            }
        }
    }

    fn drawn(&mut self, key: usize, range: DurationRange) -> Duration {
        let scale = self.shared.plan.time_scale;
        let drawn = self.scripts.get_mut(key).map(|script| reconnect::draw(range, &mut script.rng));
        drawn.unwrap_or_default().mul_f64(scale)
    }

    /// The client waits, with the session that it holds if it holds one.
    fn wait(&mut self, key: usize, until: Option<Nanos>) {
        let Some(script) = self.scripts.get_mut(key) else { return };
        let Some(tale) = &mut script.tale else { return };
        tale.doing = Doing::Waiting(until);
        match (script.state, until) {
            (State::Holding(connection), _) => {
                // What was waited for before is of the past.
                script.enter(State::Holding(connection));
                if let Some(at) = until {
                    self.appointments.add(Due { at, key, serial: script.serial });
                }
            }
            (_, Some(until)) => self.pause_until(key, until),
            (_, None) => self.finish(key),
        }
    }

    fn call(&mut self, key: usize, call: &ScriptCall) {
        let shared = Rc::clone(&self.shared);
        let Some(script) = self.scripts.get_mut(key) else { return };
        let State::Holding(connection) = script.state else {
            // A script that calls without a session is refused when it is read.
            return self.next_step(key, shared.clock.now());
        };
        let Some(tale) = &mut script.tale else { return };
        tale.last_id += 1;
        let id = tale.last_id.to_string();
        let request = Request { kind: "req", id: &id, method: &call.method, params: call.params.as_ref() };
        let text = serde_json::to_vec(&request).unwrap_or_default();
        let sent = shared.clock.now();
        tale.call = Some(Pending { id, sent });
        tale.doing = Doing::Calling;
        script.enter(State::Holding(connection));
        let due = Due { at: sent + nanos(shared.plan.attempt_timeout), key, serial: script.serial };
        self.appointments.add(due);
        let Some(held) = self.connections.get_mut(connection) else { return };
        let mut bench = shared.bench.borrow_mut();
        bench.out.clear();
        let mask = bench.mask();
        websocket::write_text(&text, mask, &mut bench.out);
        let sent = held.send(&bench.out);
        drop(bench);
        // A connection that broke is told so by its socket, and the call has no answer then.
        let _ = self.after_send(connection, sent);
    }

    /// The call of a client ended.
    pub(super) fn called(&mut self, key: usize, end: CallEnd) {
        let Some(script) = self.scripts.get_mut(key) else { return };
        let (client, attempt) = (script.client.id(), script.client.last_attempt());
        let place = script.place(false);
        let pending = script.tale.as_mut().and_then(|tale| tale.call.take());
        if let (Some(place), Some(Pending { sent, .. })) = (place, pending) {
            self.shared.lane.push(&Record::Call(Call { client, attempt, step: place.step, sent, end }));
        }
    }

    /// Nobody waits any more for the answer to a call.
    pub(super) fn forget_call(&mut self, key: usize) {
        if let Some(tale) = self.scripts.get_mut(key).and_then(|script| script.tale.as_mut()) {
            tale.call = None;
        }
    }

    /// The call of a client was answered on a session that is over with that: only the session is wanted back.
    pub(super) fn called_last(&mut self, key: usize, end: CallEnd) {
        self.called(key, end);
        let now = self.shared.clock.now();
        if let Some(tale) = self.scripts.get_mut(key).and_then(|script| script.tale.as_mut()) {
            tale.doing = Doing::Waiting(Some(now));
        }
    }
}
