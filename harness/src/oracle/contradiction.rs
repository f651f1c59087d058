//! The shortest sub-history that shows that no order explains a device's history.
//!
//! Leaving an operation out would not do: without the approval a session is wrong that was right. So an operation that is
//! not to count is left *open* instead, as one is that nobody saw the end of: it may have happened, with the answer that
//! was seen, or not at all. Everything that explains a history also explains it with more operations left open. So whatever contradicts
//! itself although all others are open contradicts itself in the whole history, and an operation that is needed once stays
//! needed: one pass over the operations finds a sub-history of which none can be spared (as deletion finds a core of an
//! unsatisfiable formula). Halves, quarters and so on are tried first, because most operations of a long history have no
//! part in what is wrong (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002).
//!
//! The search itself is the judge. It is asked a bounded number of times; when the bound is reached, or it gives up because
//! too many are open, what is left is still a contradiction, only not the shortest.

use super::search::{Explained, Question, Search};
use super::state::{Act, Op};

/// Most operations that are searched through, all askings together.
const WORK_MAX: usize = 400_000;
/// A contradiction of more operations than this is looked for from the other end of the history as well.
const SHORT: usize = 2;

/// Operations that contradict each other, whatever became of all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contradiction {
    /// Positions in the question's operations, rising. The steps of one connect are in it together.
    pub(super) ops: Vec<usize>,
    /// Leaving any of them open explains the rest.
    pub(super) shortest: bool,
}

/// The contradiction in a history that no order explains; `None` if one does, or the search cannot tell.
pub(super) fn find(search: &mut Search, question: &Question<'_>) -> Option<Contradiction> {
    let Explained::No { at } = search.explains(question) else { return None };
    let until = question.ops.get(at)?.until;
    let forward = Halving::new(question, until).run(search, false);
    if forward.shortest && forward.ops.len() > SHORT {
        let backward = Halving::new(question, until).run(search, true);
        if backward.shortest && backward.ops.len() < forward.ops.len() {
            return Some(backward);
        }
    }
    Some(forward)
}

/// What is left of a history on the way to its contradiction.
struct Halving<'q, 'm> {
    question: &'q Question<'m>,
    /// Positions of the operations that began before the contradiction was there; later ones cannot be part of it.
    before: Vec<usize>,
    /// Number of the connect or action that each of `before` is a step of.
    units: Vec<usize>,
    /// By unit: whether its outcome counts.
    counts: Vec<bool>,
    /// By unit: whether it changed what the device may do, and is no connect.
    telling: Vec<bool>,
    /// The history that is asked about.
    asked: Vec<Op>,
    work: usize,
    gave_up: bool,
}

impl<'q, 'm> Halving<'q, 'm> {
    fn new(question: &'q Question<'m>, until: u64) -> Self {
        let ops = question.ops;
        let early = ops.iter().enumerate().filter(|(_, op)| op.from <= until);
        let before: Vec<usize> = early.map(|(position, _)| position).collect();
        // A step comes behind the one that it follows, and all steps of a connect have its times.
        let mut places: Vec<Option<usize>> = vec![None; ops.len()];
        let (mut units, mut counts, mut telling) = (Vec::with_capacity(before.len()), Vec::new(), Vec::new());
        let mut asked = Vec::with_capacity(before.len());
        for (place, position) in before.iter().enumerate() {
            let Some(op) = ops.get(*position) else { continue };
            let after = op.after.and_then(|first| places.get(first).copied().flatten());
            let unit = after.and_then(|first| units.get(first).copied()).unwrap_or(counts.len());
            if unit == counts.len() {
                counts.push(!op.optional);
                let is_connect =
                    matches!(op.act, Act::Connect(_) | Act::Verify(_) | Act::Ask(_) | Act::Record(_));
                telling.push(!is_connect && !matches!(op.act, Act::Load { .. }));
            }
            units.push(unit);
            asked.push(Op { after, ..*op });
            if let Some(slot) = places.get_mut(*position) {
                *slot = Some(place);
            }
        }
        Self { question, before, units, counts, telling, asked, work: 0, gave_up: false }
    }

    fn run(mut self, search: &mut Search, backward: bool) -> Contradiction {
        let mut size = self.counts.len().div_ceil(2).max(1);
        loop {
            let mut counted: Vec<usize> =
                self.counts.iter().enumerate().filter(|(_, counts)| **counts).map(|(unit, _)| unit).collect();
            if backward {
                counted.reverse();
            }
            // What an operator did says more to people than what a client was told: it is spared last.
            counted.sort_by_key(|unit| self.telling.get(*unit).copied());
            for some in counted.chunks(size) {
                if !self.contradicts_without(search, some) {
                    self.set(some, true);
                }
            }
            if size == 1 {
                break;
            }
            size = size.div_ceil(2).min(counted.len().div_ceil(2).max(1));
        }
        let counted = |place: &usize| {
            self.units.get(*place).and_then(|unit| self.counts.get(*unit)).copied().unwrap_or_default()
        };
        let places = (0..self.before.len()).filter(counted);
        let ops = places.filter_map(|place| self.before.get(place).copied()).collect();
        Contradiction { ops, shortest: !self.gave_up }
    }

    fn set(&mut self, units: &[usize], counts: bool) {
        for unit in units {
            if let Some(slot) = self.counts.get_mut(*unit) {
                *slot = counts;
            }
        }
    }

    /// Leaves these open, and says whether the rest still contradicts itself.
    fn contradicts_without(&mut self, search: &mut Search, units: &[usize]) -> bool {
        self.work = self.work.saturating_add(self.asked.len());
        if self.work > WORK_MAX {
            self.gave_up = true;
            return false;
        }
        self.set(units, false);
        let Question { model, start, ops, .. } = *self.question;
        for ((op, position), unit) in self.asked.iter_mut().zip(&self.before).zip(&self.units) {
            let was = ops.get(*position).is_some_and(|op| op.optional);
            op.optional = was || !self.counts.get(*unit).copied().unwrap_or_default();
        }
        match search.explains(&Question { model, start, ops: &self.asked, peeks: &[] }) {
            Explained::No { .. } => true,
            Explained::Yes => false,
            Explained::GaveUp => {
                // Nothing is known of it: it stays, and the contradiction may not be the shortest.
                self.gave_up = true;
                false
            }
        }
    }
}
