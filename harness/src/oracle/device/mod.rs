//! Verdicts on the attempts of one device.
//!
//! | module | holds |
//! |---|---|
//! | `sightings` | when tokens and request ids were first seen |
//! | `names` | roles, scopes and texts that the device's history can bring up |
//! | `stored` | the device's state before the run |
//! | `store_faults` | damage to the store, as operations on every device |
//! | `operations` | from records to the operations of the search |
//! | `answer` | what an answer says about the device's state |
//! | `neighbours` | attempts that others of their address decide about |
//! | `pursue` | verdicts on what depends on the device's state |
//! | `grant` | what is wrong with a `hello.auth` |
//! | `fixed` | verdicts on what does not |
//! | `unanswered` | attempts without answer |
//! | `decide` | the verdict on the device as a whole, and what shows it |

mod answer;
mod decide;
mod fixed;
mod grant;
mod names;
mod neighbours;
mod operations;
mod pursue;
mod sightings;
mod store_faults;
mod stored;
mod unanswered;

use super::{CohortRules, Oracle};
use std::rc::Rc;

use super::alphabet::Alphabet;
use super::contradiction::{self, Contradiction};
use super::explain::Story;
use super::limits::Neighbours;
use super::locality::Seat;
use super::rules::{Texts, Variant};
use super::search::{Finding, Question, Search};
use super::state::{Claim, Model, Op};
use super::table::Due;
use super::timeline::Device;
use super::verdict::{DeviceJudgement, SHOWN_MAX, Verdict};
use super::windows::Windows;
use crate::history::History;
use crate::observation::{Observation, Outcome};
use crate::plan::{CohortId, Nanos};
use decide::Source;
use names::Names;
use protocol::scope::{ROLE_NODE, ROLE_OPERATOR};
use sightings::Sightings;

/// Class of a refusal for want of a store that can be written, while it could not be.
const STORE_FAILED: &str = "store_failed_in_fault";

/// Judges device after device, keeping its buffers.
pub(super) struct DeviceJudge<'o, 'p, 'h> {
    oracle: &'o Oracle<'p>,
    history: &'h History,
    windows: &'o Windows,
    neighbours: &'o Neighbours,
    search: Search,
    sightings: Sightings<'h>,
    /// Names of the last device that only its connects named any for, by its cohort and their numbers: the next device is
    /// mostly of the same cohort, and brings up the same.
    names: Option<(CohortId, Vec<u16>, Option<Rc<Names<'h>>>)>,
    ops: Vec<Op>,
    peeks: Vec<Op>,
    connects: Vec<Pursued<'o, 'h>>,
    /// Operations of operators, by their position in `ops`.
    actions: Vec<(usize, Nanos, String)>,
    /// Where each of `ops` comes from.
    sources: Vec<Source<'h>>,
    searched: Searched,
    /// Devices whose contradiction was looked for.
    shown: usize,
}

/// What the search said of one device's operations together.
#[derive(Default)]
enum Searched {
    /// Some order explains them, or there are none.
    #[default]
    Explained,
    /// None does; what shows it, if that was looked for.
    Unexplained(Option<Contradiction>),
    GaveUp,
    /// None does, but a second writer that was at work from then on may have taken back what would.
    Doubted(Nanos),
}

/// An attempt whose answer depends on the device's state.
struct Pursued<'o, 'h> {
    /// In `History::attempts`.
    position: usize,
    observation: &'h Observation,
    /// What is sent.
    variant: &'o Variant,
    /// From where.
    seat: Seat,
    /// In `ops`, if it may have had an effect.
    op: Option<usize>,
    /// The steps before and after it, where they are operations of their own.
    steps: [Option<usize>; 2],
    /// In `peeks`, if the answer is missing without excuse.
    peek: Option<usize>,
}

impl<'o, 'p: 'h, 'h> DeviceJudge<'o, 'p, 'h> {
    pub(super) fn new(
        oracle: &'o Oracle<'p>,
        history: &'h History,
        windows: &'o Windows,
        neighbours: &'o Neighbours,
    ) -> Self {
        Self {
            oracle,
            history,
            windows,
            neighbours,
            search: Search::default(),
            sightings: Sightings::default(),
            names: None,
            ops: Vec::new(),
            peeks: Vec::new(),
            connects: Vec::new(),
            actions: Vec::new(),
            sources: Vec::new(),
            searched: Searched::Explained,
            shown: 0,
        }
    }

    /// Writes the verdict on each of the device's attempts, and gives that on the device; dropped ones are left alone.
    pub(super) fn judge(
        &mut self,
        device: &Device<'_, 'h>,
        verdicts: &mut [Option<Verdict>],
    ) -> DeviceJudgement {
        self.searched = Searched::Explained;
        self.ops.clear();
        self.peeks.clear();
        self.actions.clear();
        self.sources.clear();
        self.judge_attempts(device, verdicts);
        self.decide(device, verdicts)
    }

    fn judge_attempts(&mut self, device: &Device<'_, 'h>, verdicts: &mut [Option<Verdict>]) {
        let oracle = self.oracle;
        let Some(client) = usize::try_from(device.client).ok().and_then(|at| oracle.plan.clients.get(at))
        else {
            return;
        };
        let Some(rules) = oracle.cohorts.get(usize::from(client.cohort)) else { return };
        let mut put = |position: usize, verdict: Verdict| {
            if let Some(slot) = verdicts.get_mut(position) {
                *slot = Some(verdict);
            }
        };

        self.connects.clear();
        let mut seats: Vec<(u16, Seat)> = Vec::new();
        let mut asks: Vec<u16> = Vec::new();
        for (position, observation) in device.attempts() {
            if !asks.contains(&observation.ask) {
                asks.push(observation.ask);
            }
            if matches!(observation.outcome, Outcome::Dropped(_)) {
                continue;
            }
            let Some(ask) = rules.ask(observation.ask) else {
                let why = format!("the plan has no connect {} of this cohort", observation.ask);
                put(position, Verdict::Indeterminate { why });
                continue;
            };
            if self.windows.store_failed(observation) {
                // Nothing was changed: memory went back to what it was.
                put(position, Verdict::Match { expected: STORE_FAILED.to_owned() });
                continue;
            }
            let seat = match seats.iter().find(|(number, _)| *number == observation.ask) {
                Some((_, seat)) => *seat,
                None => {
                    let seat = oracle.seat(ask, client);
                    seats.push((observation.ask, seat));
                    seat
                }
            };
            let variant = ask.variant(observation.presented_token.is_some());
            if let Some(verdict) = self.judge_by_neighbours(observation, variant, seat) {
                put(position, verdict);
                continue;
            }
            match variant.expected(seat.place).narrowed(observation) {
                (Due::Device, _) | (_, Some(Due::Device)) => {
                    self.connects.push(Pursued {
                        position,
                        observation,
                        variant,
                        seat,
                        op: None,
                        steps: [None, None],
                        peek: None,
                    });
                }
                (due, or) => put(position, self.judge_static(observation, variant, due, or)),
            }
        }
        if self.connects.is_empty() && device.operations().next().is_none() {
            return;
        }
        let Some(names) = self.names(client.cohort, rules, &asks, device) else {
            for connect in &self.connects {
                let why =
                    "the device's history names more roles, scopes or platforms than the oracle follows"
                        .to_owned();
                put(connect.position, Verdict::Indeterminate { why });
            }
            return;
        };

        let Names { alphabet, texts, covering } = &*names;
        let tokens: Vec<_> = stored::tokens(oracle, rules, client).collect();
        self.see(&tokens, device);
        let start = stored::start(rules, client, &tokens, alphabet, texts);
        let claims = self.claims(alphabet, texts);
        let usual = claims.first().copied().or_else(|| {
            let first = rules.ask(0)?;
            let place = oracle.seat(first, client).place;
            Some(first.variant(false).claim(place, &oracle.plan.gateway, false, alphabet, texts))
        });
        let Some(usual) = usual else { return };
        let clocks = oracle.clocks;
        let model = Model {
            release: oracle.release,
            covering,
            operator: alphabet.role(ROLE_OPERATOR),
            node: alphabet.role(ROLE_NODE),
            usual,
            ttl: clocks.pending_ttl,
            tolerance: clocks.pending_tolerance,
        };
        self.add_actions(device, alphabet);
        if oracle.release.store_read_at_load {
            self.add_loads();
        }
        self.add_damage();
        self.add_connects(alphabet, &claims);
        let question = Question { model, start, ops: &self.ops, peeks: &self.peeks };
        let found = self.search.run(&question);
        let unexplained = |finding: &Finding| matches!(finding, Finding::Wrong(_) | Finding::Details(_));
        if found.findings.iter().any(unexplained) {
            let looks = self.shown < SHOWN_MAX;
            self.searched = Searched::Unexplained(
                looks.then(|| contradiction::find(&mut self.search, &question)).flatten(),
            );
        } else if found.findings.contains(&Finding::GaveUp) {
            self.searched = Searched::GaveUp;
        }

        let anomalies: Vec<(Nanos, String)> = self
            .actions
            .iter()
            .filter(|(op, ..)| matches!(found.findings.get(*op), Some(Finding::Wrong(_))))
            .map(|(_, at, sentence)| (*at, sentence.clone()))
            .collect();
        let taken_back = self.taken_back_from(device);
        if let Some(from) = taken_back
            && matches!(self.searched, Searched::Unexplained(_))
            // What contradicted itself before does so whatever came later.
            && !self.ops.iter().zip(&found.findings).any(|(op, finding)| unexplained(finding) && op.until < from)
        {
            self.searched = Searched::Doubted(from);
        }
        let story = Story { device, history: self.history, anomalies: &anomalies };
        for connect in &self.connects {
            let nothing = Vec::new();
            let peeked = connect.peek.and_then(|at| found.peeked.get(at)).unwrap_or(&nothing);
            let [before, after] = connect.steps;
            let steps = [before, connect.op, after];
            let worst = steps
                .into_iter()
                .flatten()
                .filter_map(|at| found.findings.get(at))
                .max_by_key(|finding| finding.badness());
            let finding = worst.unwrap_or(&Finding::Fits);
            let verdict = self.pursue(connect, finding, peeked, &story, alphabet);
            let doubted = taken_back.filter(|from| {
                let until = connect.observation.stamps.last().unwrap_or(connect.observation.intended);
                matches!(verdict, Verdict::Mismatch(_)) && *from <= until
            });
            put(
                connect.position,
                match doubted {
                    None => verdict,
                    Some(from) => Verdict::Indeterminate { why: store_faults::taken_back(from) },
                },
            );
        }
    }

    /// Names of the device's history; `None` if there are too many.
    fn names(
        &mut self,
        cohort: CohortId,
        rules: &CohortRules<'h>,
        asks: &[u16],
        device: &Device<'_, 'h>,
    ) -> Option<Rc<Names<'h>>> {
        let coverage = self.oracle.release.coverage;
        if names::are_named_by_operations(device) {
            return Names::new(rules, asks, device, coverage).map(Rc::new);
        }
        match &self.names {
            Some((of, made, names)) if *of == cohort && made == asks => names.clone(),
            _ => {
                let names = Names::new(rules, asks, device, coverage).map(Rc::new);
                self.names = Some((cohort, asks.to_vec(), names.clone()));
                names
            }
        }
    }

    /// What each of the pursued connects claims.
    fn claims(&self, alphabet: &Alphabet<'_>, texts: &Texts) -> Vec<Claim> {
        let gateway = &self.oracle.plan.gateway;
        let mut known: Vec<(*const Variant, Claim)> = Vec::new();
        self.connects
            .iter()
            .map(|connect| {
                let variant: *const Variant = connect.variant;
                if let Some((_, claim)) = known.iter().find(|(known, _)| std::ptr::eq(*known, variant)) {
                    return *claim;
                }
                let by_token = answer::decides_by_token(connect, gateway.auth);
                let claim = connect.variant.claim(connect.seat.place, gateway, by_token, alphabet, texts);
                known.push((variant, claim));
                claim
            })
            .collect()
    }
}
