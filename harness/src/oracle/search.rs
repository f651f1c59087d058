//! The search over orders: just-in-time linearization.
//!
//! Operations begin and end; in between they take effect at one moment. The search walks the beginnings and ends in
//! time and keeps the set of *configurations* that explain everything up to there: a state, and which of the operations
//! still open have already taken effect in it. An operation is made to take effect only when an end forces it: at the
//! end of X, every configuration in which X has not taken effect is led on through any sequence of open operations that
//! ends in X (Lowe, "Testing for linearizability", 2017). An operation that is optional (nobody saw its answer) may
//! also never take effect; at its end both kinds of configuration live on.
//!
//! A configuration that has used up fewer optional operations can do whatever its twin in the same state can, so the
//! twin is dropped.

use super::state::{Fit, Model, Op, Out, State};
use crate::plan::Nanos;

/// Most configurations kept; beyond, the search gives up.
pub(super) const CONFIGURATIONS_MAX: usize = 4096;
/// Most configurations made in one step, before twins are dropped.
const CANDIDATES_MAX: usize = 8 * CONFIGURATIONS_MAX;
/// Most operations of one device that overlap.
const OPEN_MAX: usize = 64;

/// What the search says of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// Some order explains it. Also of optional operations.
    Fits,
    /// The class of the answer is right; these are the answers that would have been.
    Details(Vec<Out>),
    /// No order gives this class; these are the answers that would have been right.
    Wrong(Vec<Out>),
    /// Too many orders to tell.
    GaveUp,
}

impl Finding {
    /// The greater, the worse.
    pub(super) const fn badness(&self) -> u8 {
        match self {
            Self::Fits => 0,
            Self::Details(_) => 1,
            Self::Wrong(_) => 2,
            Self::GaveUp => 3,
        }
    }
}

/// Whether some order explains a whole history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Explained {
    /// One does.
    Yes,
    /// None does: the first operation, by position, that ended unexplained.
    No { at: usize },
    /// Too many orders to tell.
    GaveUp,
}

/// What the search is asked about.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) model: Model<'a>,
    pub(super) start: State,
    pub(super) ops: &'a [Op],
    /// Connects without answer of which the allowed answers are asked. They change nothing: what they may have done
    /// stands in `ops` if they were sent.
    pub(super) peeks: &'a [Op],
}

/// Answers, by the operation's position.
pub(super) struct Answer {
    pub(super) findings: Vec<Finding>,
    /// In the order of [`Question::peeks`].
    pub(super) peeked: Vec<Vec<Out>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    // In this order at the same time: what touches, overlaps.
    Begin,
    Peek,
    End,
}

/// An open operation has a slot, and a bit in [`Configuration::done`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Configuration {
    state: State,
    /// Slots of the open operations that have taken effect.
    done: u64,
}

/// The search gave up.
struct TooMany;

/// Buffers of the search, kept from one device to the next.
#[derive(Default)]
pub(super) struct Search {
    steps: Vec<(Nanos, Step, usize)>,
    configurations: Vec<Configuration>,
    level: Vec<Configuration>,
    next_level: Vec<Configuration>,
    settled: Vec<Configuration>,
    applied: Vec<(State, Out)>,
    /// Position of the operation in each slot.
    slots: Vec<Option<usize>>,
}

impl Search {
    /// Runs the search.
    pub(super) fn run(&mut self, question: &Question<'_>) -> Answer {
        let mut answer = Answer {
            findings: vec![Finding::Fits; question.ops.len()],
            peeked: vec![Vec::new(); question.peeks.len()],
        };
        self.prepare(question);
        let steps = std::mem::take(&mut self.steps);
        let mut gave_up = false;
        for &(_, step, position) in &steps {
            match step {
                Step::Begin if !gave_up => gave_up = !self.begin(position),
                Step::Peek if !gave_up => {
                    let asked = question.peeks.get(position).zip(answer.peeked.get_mut(position));
                    if let Some((op, outs)) = asked {
                        self.peek(question, op, outs);
                    }
                }
                Step::End => {
                    let Some(op) = question.ops.get(position) else { continue };
                    let finding = if gave_up {
                        Finding::GaveUp
                    } else {
                        self.end(question, position, op).unwrap_or_else(|TooMany| {
                            gave_up = true;
                            Finding::GaveUp
                        })
                    };
                    if let Some(slot) = answer.findings.get_mut(position) {
                        *slot = finding;
                    }
                }
                Step::Begin | Step::Peek => {}
            }
        }
        self.steps = steps;
        answer
    }

    /// Whether some order explains everything; stops at the first end that none does.
    pub(super) fn explains(&mut self, question: &Question<'_>) -> Explained {
        self.prepare(question);
        // The later step of a connect ends first: whether the one that it needs has taken effect is known as long as that is open.
        self.steps.sort_unstable_by_key(|(at, step, position)| (*at, *step, std::cmp::Reverse(*position)));
        let steps = std::mem::take(&mut self.steps);
        let mut explained = Explained::Yes;
        let mut outs = Vec::new();
        for &(_, step, position) in &steps {
            explained = match step {
                Step::Begin if self.begin(position) => continue,
                Step::Begin => Explained::GaveUp,
                Step::Peek => continue,
                Step::End => {
                    let Some((op, slot)) = question.ops.get(position).zip(self.slot_of(position)) else {
                        continue;
                    };
                    match self.settle(question, slot, op, Fit::Exact, &mut outs) {
                        Err(TooMany) => Explained::GaveUp,
                        Ok(()) if self.settled.is_empty() => Explained::No { at: position },
                        Ok(()) => {
                            self.free(slot);
                            continue;
                        }
                    }
                }
            };
            break;
        }
        self.steps = steps;
        explained
    }

    fn slot_of(&self, position: usize) -> Option<usize> {
        self.slots.iter().position(|open| *open == Some(position))
    }

    /// Goes on with what was settled, without the operation that ended.
    fn free(&mut self, slot: usize) {
        std::mem::swap(&mut self.configurations, &mut self.settled);
        if let Some(freed) = self.slots.get_mut(slot) {
            *freed = None;
        }
    }

    fn prepare(&mut self, question: &Question<'_>) {
        self.steps.clear();
        for (position, op) in question.ops.iter().enumerate() {
            self.steps.push((op.from, Step::Begin, position));
            self.steps.push((op.until.max(op.from), Step::End, position));
        }
        self.steps
            .extend(question.peeks.iter().enumerate().map(|(position, op)| (op.from, Step::Peek, position)));
        self.steps.sort_unstable();
        self.slots.clear();
        self.configurations.clear();
        self.configurations.push(Configuration { state: question.start, done: 0 });
    }

    /// Gives the operation a slot; `false` if there are too many open ones.
    fn begin(&mut self, position: usize) -> bool {
        if let Some(free) = self.slots.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(position);
        } else if self.slots.len() < OPEN_MAX {
            self.slots.push(Some(position));
        } else {
            return false;
        }
        true
    }

    /// The answers that are possible as things stand.
    fn peek(&mut self, question: &Question<'_>, op: &Op, outs: &mut Vec<Out>) {
        for configuration in &self.configurations {
            self.applied.clear();
            question.model.apply(&configuration.state, op, Fit::Any, &mut self.applied);
            collect(outs, self.applied.iter().map(|(_, out)| *out));
        }
    }

    fn end(&mut self, question: &Question<'_>, position: usize, op: &Op) -> Result<Finding, TooMany> {
        let Some(slot) = self.slot_of(position) else { return Ok(Finding::Fits) };
        let mut outs = Vec::new();
        let mut finding = Finding::Fits;
        self.settle(question, slot, op, Fit::Exact, &mut outs)?;
        if self.settled.is_empty() {
            outs.clear();
            self.settle(question, slot, op, Fit::Class, &mut outs)?;
            finding = Finding::Details(std::mem::take(&mut outs));
        }
        if self.settled.is_empty() {
            self.settle(question, slot, op, Fit::Any, &mut outs)?;
            finding = Finding::Wrong(outs);
        }
        self.free(slot);
        Ok(finding)
    }

    /// Fills `settled` with the configurations after the end of the operation in `slot`.
    fn settle(
        &mut self,
        question: &Question<'_>,
        slot: usize,
        op: &Op,
        fit: Fit,
        outs: &mut Vec<Out>,
    ) -> Result<(), TooMany> {
        let bit = 1_u64 << slot;
        self.settled.clear();
        self.level.clear();
        for configuration in &self.configurations {
            let without = Configuration { done: configuration.done & !bit, ..*configuration };
            if configuration.done & bit != 0 {
                self.settled.push(without);
            } else {
                if op.optional {
                    self.settled.push(without);
                }
                self.level.push(without);
            }
        }
        if self.slots.iter().flatten().count() == 1 {
            // Alone, as most are: nothing can come before it.
            for configuration in &self.level {
                self.applied.clear();
                question.model.apply(&configuration.state, op, fit, &mut self.applied);
                if fit != Fit::Exact {
                    collect(outs, self.applied.iter().map(|(_, out)| *out));
                }
                self.settled.extend(
                    self.applied.iter().map(|(state, _)| Configuration { state: *state, ..*configuration }),
                );
            }
            self.level.clear();
        }
        let optional = self.optional_bits(question);
        while !self.level.is_empty() {
            self.next_level.clear();
            for configuration in &self.level {
                for (other, open) in self.slots.iter().enumerate() {
                    let mask = 1_u64 << other;
                    let Some(other_op) = open.and_then(|position| question.ops.get(position)) else {
                        continue;
                    };
                    if configuration.done & mask != 0 || !self.may_begin(other_op, configuration) {
                        continue;
                    }
                    self.applied.clear();
                    if other == slot {
                        question.model.apply(&configuration.state, op, fit, &mut self.applied);
                        if fit != Fit::Exact {
                            collect(outs, self.applied.iter().map(|(_, out)| *out));
                        }
                        self.settled.extend(
                            self.applied
                                .iter()
                                .map(|(state, _)| Configuration { state: *state, done: configuration.done }),
                        );
                    } else {
                        question.model.apply(&configuration.state, other_op, Fit::Exact, &mut self.applied);
                        self.next_level.extend(self.applied.iter().map(|(state, _)| Configuration {
                            state: *state,
                            done: configuration.done | mask,
                        }));
                    }
                }
                if self.next_level.len() > CANDIDATES_MAX || self.settled.len() > CANDIDATES_MAX {
                    return Err(TooMany);
                }
            }
            drop_twins(&mut self.next_level, optional);
            std::mem::swap(&mut self.level, &mut self.next_level);
        }
        drop_twins(&mut self.settled, optional);
        if self.settled.len() > CONFIGURATIONS_MAX { Err(TooMany) } else { Ok(()) }
    }

    /// Whether the operation that has to come first has taken effect.
    fn may_begin(&self, op: &Op, configuration: &Configuration) -> bool {
        let Some(first) = op.after else { return true };
        let open = self.slots.iter().position(|open| *open == Some(first));
        open.is_none_or(|slot| configuration.done & (1 << slot) != 0)
    }

    fn optional_bits(&self, question: &Question<'_>) -> u64 {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, open)| {
                open.and_then(|position| question.ops.get(position)).is_some_and(|op| op.optional)
            })
            .fold(0, |bits, (slot, _)| bits | (1 << slot))
    }
}

fn collect(outs: &mut Vec<Out>, more: impl Iterator<Item = Out>) {
    /// More answers than this say no more to anybody.
    const OUTS_MAX: usize = 16;
    for out in more {
        if outs.len() < OUTS_MAX && !outs.contains(&out) {
            outs.push(out);
        }
    }
}

/// Keeps, of the configurations in one state with the same required operations done, those whose optional ones are not
/// a superset of another's.
fn drop_twins(configurations: &mut Vec<Configuration>, optional: u64) {
    if configurations.len() < 2 {
        return;
    }
    let key = |configuration: &Configuration| (configuration.state, configuration.done & !optional);
    configurations.sort_unstable_by(|a, b| {
        (a.state.cmp(&b.state))
            .then_with(|| (a.done & !optional).cmp(&(b.done & !optional)))
            .then_with(|| (a.done & optional).count_ones().cmp(&(b.done & optional).count_ones()))
            .then_with(|| a.done.cmp(&b.done))
    });
    let mut kept: Vec<Configuration> = Vec::with_capacity(configurations.len());
    for configuration in configurations.iter() {
        let dominated = kept
            .iter()
            .rev()
            .take_while(|other| key(other) == key(configuration))
            .any(|other| other.done & optional & !configuration.done == 0);
        if !dominated {
            kept.push(*configuration);
        }
    }
    std::mem::swap(configurations, &mut kept);
}
