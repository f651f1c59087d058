//! The oracle: which outcomes a device's history allows, written from the reference and from nothing of the gateway's.
//!
//! The rule is `docs/reference/article-profile.md` for `article`, and `docs/reference/profiles.md` with the recordings of
//! real gateways for the releases. It is applied in two halves, neither of which walks through a connect the way a
//! gateway does:
//!
//! 1. [`table`]: a decision table over what is *sent* ([`facts`]), from *where* ([`locality`]), to *which release*
//!    ([`release`]). It settles every connect whose answer does not depend on the device's state.
//! 2. a search over the *history* of the device (`search`, with the device's state in `state`): connects, operators'
//!    actions, edits and loads of the store are operations with an interval each; an outcome is allowed if some order of
//!    the overlapping ones explains it together with everything before. This is linearizability checking in the
//!    just-in-time form of Lowe ("Testing for linearizability", 2017) over Wing and Gong's search; states are kept as a
//!    set, so the cost is near linear in the attempts as long as few operations overlap.
//!
//! | module | holds |
//! |---|---|
//! | [`release`] | what differs between releases, as one table |
//! | [`facts`] | the facts of one connect, whoever sends it |
//! | [`table`], [`refusal`] | the static decision table, and what a refusal reads like |
//! | [`credential`], [`origin`], [`locality`] | sections 7, 6 and 5 of the reference |
//! | [`classify`] | the class of an outcome, in one word |
//! | [`verdict`] | what the oracle says |
//! | `rules` | what one connect of a cohort is to expect, prepared once |
//! | `state` | entry, pending request and tokens of one device, and what each operation does to them (section 8) |
//! | `alphabet` | roles and scopes of one device as small sets, and which cover which |
//! | `search` | the search over orders |
//! | [`Survey`] | what the judgement of one shard has to know of all the others |
//! | [`lockouts`] | whose failed credentials lock out, under which configuration |
//! | `limits` | what the attempts of one address do to each other |
//! | `timeline` | from the history to the operations of one device |
//! | `device` | verdicts on one device's attempts |
//! | `form` | code, texts, details and close of one refusal, grant of one session |
//! | `windows` | when faults excuse an attempt that got no answer |
//! | `invariants` | the second axis: what a gateway should do, whatever its release does |
//! | `conduct` | what a gateway did beside answering connects |
//! | `calls` | what it answered to calls over clients' sessions |
//! | `expectation` | the scenario's own expectations |
//! | `contradiction` | the shortest sub-history that no order explains |
//! | `explain` | the sentence for people |

mod alphabet;
mod calls;
pub mod classify;
mod conduct;
mod contradiction;
pub mod credential;
mod device;
mod expectation;
mod explain;
pub mod facts;
mod form;
mod invariants;
mod limits;
pub mod locality;
pub mod lockouts;
pub mod origin;
pub mod refusal;
pub mod release;
mod rules;
mod search;
mod state;
mod survey;
pub mod table;
#[cfg(test)]
mod tests;
mod timeline;
pub mod verdict;
mod windows;

pub use classify::class_of;
pub use credential::{Secret, Sent};
pub use facts::Facts;
pub use release::Release;
pub use survey::{Survey, Surveyed};
pub use table::{Ask, Due, Expected, expected_static};
pub use verdict::{
    Breach, DeviceJudgement, DeviceVerdict, Judgement, Mismatch, MismatchKind, SessionEndFinding, Verdict,
};

use std::collections::HashMap;

use crate::history::{EndedBy, History, OperationEnd, OperationKind};
use crate::observation::{CloseSeen, DropReason, Observation, Outcome};
use crate::plan::identity::Identities;
use crate::plan::{ClientId, Cohort, Nanos, OracleMode, Plan, PlannedClient, route};
use device::DeviceJudge;
use expectation::Wanted;
use explain::seconds;
use locality::{Seat, TrustedProxies, Wire};
use lockouts::RateLimits;
use rules::AskRules;
use timeline::Timelines;
use windows::Windows;

/// Class of a match when an attempt without answer is excused by a fault.
pub const NO_ANSWER_IN_FAULT: &str = "no_answer_in_fault";
/// Class of a match when an attempt was never started because the run ended.
pub const NOT_STARTED: &str = "not_started";
/// Class of a match when nothing in particular was expected.
pub const ANYTHING: &str = "anything";

/// Verdicts on a whole history, or on a prefix of one.
///
/// Pure. In a prefix, operations that are still in progress must be present with
/// [`OperationEnd::Unknown`]: they may or may not have happened. Attempts in
/// progress may be left out, because nothing but their own outcome shows what they did, except to a client that has
/// several at a time.
#[must_use]
pub fn judge(plan: &Plan, identities: &Identities, history: &History) -> Judgement {
    Oracle::new(plan, identities).judge(history)
}

/// The oracle of one plan, with everything prepared that does not depend on the history.
pub struct Oracle<'p> {
    plan: &'p Plan,
    release: &'static Release,
    identities: Identities,
    proxies: TrustedProxies,
    cohorts: Vec<CohortRules<'p>>,
    /// What steps expect, by client and attempt; they stand in for the cohort's expectation.
    steps: HashMap<(ClientId, u32), Wanted<'p>>,
    clocks: Clocks,
    rate_limits: RateLimits,
}

/// What one cohort's clients are to expect.
struct CohortRules<'p> {
    cohort: &'p Cohort,
    /// By [`Observation::ask`].
    asks: Vec<AskRules<'p>>,
}

impl<'p> CohortRules<'p> {
    fn ask(&self, number: u16) -> Option<&AskRules<'p>> {
        self.asks.get(usize::from(number))
    }

    /// Whether some of its connects come with an `Origin`.
    fn sends_origin(&self) -> bool {
        self.asks.iter().any(|ask| ask.variant(false).facts.has_origin())
    }
}

/// The gateway's durations, scaled, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    /// Life of a pending request since its last refresh.
    pending_ttl: Nanos,
    /// How far from the end of that life both answers are allowed: the gateway counts whole milliseconds of the wall
    /// clock, the harness nanoseconds of the monotonic one.
    pending_tolerance: Nanos,
    /// Time from the upgrade to an accepted connect.
    handshake: Nanos,
    /// How long a client waits.
    attempt: Nanos,
}

const MILLISECOND: Nanos = 1_000_000;

impl Clocks {
    fn new(plan: &Plan, release: &Release) -> Self {
        // The cast saturates and turns NaN to 0: a senseless scale makes senseless verdicts, never a panic.
        let scaled = |seconds: f64| (seconds * 1e9 * plan.time_scale) as Nanos;
        let pending_ttl = scaled(300.0);
        Self {
            pending_ttl,
            pending_tolerance: 100 * MILLISECOND + pending_ttl / 200,
            handshake: scaled(release.handshake_ms as f64 / 1000.0),
            attempt: u64::try_from(plan.attempt_timeout.as_nanos()).unwrap_or(Nanos::MAX),
        }
    }
}

impl<'p> Oracle<'p> {
    /// Prepares the oracle of `plan`; `identities` are those of the run and give the tokens of store fixtures.
    #[must_use]
    pub fn new(plan: &'p Plan, identities: &Identities) -> Self {
        let release = Release::of(plan.gateway.profile);
        let clocks = Clocks::new(plan, release);
        let longest_ms = clocks.attempt / MILLISECOND;
        let cohorts = plan
            .cohorts
            .iter()
            .map(|cohort| CohortRules {
                cohort,
                asks: std::iter::once(&cohort.connect)
                    .chain(&cohort.variants)
                    .map(|spec| AskRules::new(spec, &plan.gateway, longest_ms))
                    .collect(),
            })
            .collect();
        Self {
            plan,
            release,
            identities: identities.clone(),
            proxies: TrustedProxies::new(&plan.gateway.trusted_proxies, release.locality),
            cohorts,
            steps: expectation::of_steps(plan),
            clocks,
            rate_limits: release.lockouts.limits_in(&plan.gateway.config),
        }
    }

    /// Verdicts on `history`, which is whole; see [`judge`].
    #[must_use]
    pub fn judge(&self, history: &History) -> Judgement {
        let mut survey = self.survey();
        if self.needs_survey(history) {
            survey.add(history);
        }
        let mut surveyed = survey.finish(history);
        let mut judgement = self.judge_shard(history, &surveyed);
        judgement.breaches.append(&mut surveyed.take_breaches());
        judgement
    }

    /// Verdicts on one shard of a history: *all* attempts, ends of sessions and overheard events of some clients, and
    /// of the rest at least the operations on these clients, what operators noticed of them, and every fault. Any clients
    /// will do: those with a number of the same remainder, or, while a run goes on, those that have new records.
    ///
    /// `surveyed` must come from all shards ([`Oracle::survey`]). [`Surveyed::breaches`] are of no shard and belong to
    /// the run's judgement beside those of its shards. Positions in the judgement are positions in `shard`.
    #[must_use]
    pub fn judge_shard(&self, shard: &History, surveyed: &Surveyed) -> Judgement {
        let windows = Windows::new(&shard.faults, self.clocks);
        let mut verdicts: Vec<Option<Verdict>> = vec![None; shard.attempts.len()];
        let timelines = Timelines::new(shard, self.plan);
        let by_profile = self.plan.oracle == OracleMode::Profile;
        let mut devices = Vec::new();
        if by_profile {
            let mut judge = DeviceJudge::new(self, shard, &windows, &surveyed.neighbours);
            devices.extend(timelines.devices().map(|device| judge.judge(&device, &mut verdicts)));
        }
        // Verdicts come first, so that they are turned in their place.
        let attempts = verdicts
            .into_iter()
            .zip(&shard.attempts)
            .map(|(verdict, observation)| self.with_expectation(observation, verdict, &windows))
            .collect();
        if !by_profile {
            // Nothing is asked of sessions then, nor of anything else that no step of a script expects.
            let breaches = calls::of_clients(self.plan, shard, &windows, false);
            return Judgement { attempts, breaches, ..Judgement::default() };
        }
        let mut breaches = conduct::of_clients(self.plan, shard, &surveyed.stops);
        breaches.extend(calls::of_clients(self.plan, shard, &windows, true));
        Judgement {
            attempts,
            session_ends: self.session_ends(shard, &timelines, &windows),
            breaches,
            invariants: invariants::broken(self.plan, shard, &timelines, &windows),
            devices,
        }
    }

    /// Joins the profile's verdict (`None`: not asked for, or no such client) with the scenario's expectation.
    fn with_expectation(
        &self,
        observation: &Observation,
        profile: Option<Verdict>,
        windows: &Windows,
    ) -> Verdict {
        if let Outcome::Dropped(reason) = &observation.outcome {
            return match reason {
                DropReason::RunEnded => Verdict::Match { expected: NOT_STARTED.to_owned() },
                other => Verdict::Indeterminate { why: format!("never started: {}", other.as_str()) },
            };
        }
        let Some(rules) = self.rules_of(observation) else {
            return Verdict::Indeterminate { why: format!("the plan has no client {}", observation.client) };
        };
        let matched = |expected: &str| Verdict::Match { expected: expected.to_owned() };
        let of_cohort = rules.cohort.expect.as_ref().map(|expect| Wanted { expect, place: None });
        let of_step = self.steps.get(&(observation.client, observation.attempt)).copied();
        let of_step = of_step.or_else(|| expectation::of_script(rules.cohort, observation));
        let Some(wanted) =
            of_step.or_else(|| of_cohort.filter(|wanted| expectation::concerns(wanted.expect, observation)))
        else {
            return profile.unwrap_or_else(|| matched(ANYTHING));
        };
        if let Some(Verdict::Mismatch(mismatch)) = profile {
            return Verdict::Mismatch(mismatch);
        }
        match wanted.violated(observation, windows) {
            Some(_) if windows.excuse(observation) => profile.unwrap_or_else(|| matched(NO_ANSWER_IN_FAULT)),
            Some(mismatch) => Verdict::Mismatch(mismatch),
            None => profile.unwrap_or_else(|| matched(&classify::class(&observation.outcome))),
        }
    }

    fn rules_of(&self, observation: &Observation) -> Option<&CohortRules<'p>> {
        self.cohorts.get(usize::from(self.client_of(observation)?.cohort))
    }

    fn client_of(&self, observation: &Observation) -> Option<&PlannedClient> {
        self.plan.clients.get(usize::try_from(observation.client).ok()?)
    }

    /// Where the gateway sees a client that makes this connect.
    fn seat(&self, ask: &AskRules<'_>, client: &PlannedClient) -> Seat {
        // A client dials from where the path of this ask begins, not from where its cohort's does.
        let (release, cohorts) = (self.plan.gateway.profile, self.plan.cohorts.len());
        let (source, forwarded) = route(release, &ask.spec.path, client.cohort, cohorts, client.index);
        let client = PlannedClient { source, forwarded, ..client.clone() };
        let wire = Wire::of(&ask.spec.path, &client);
        locality::seat(&wire, &self.proxies, self.release.locality, self.plan.gateway.allow_real_ip_fallback)
    }

    /// Sessions that the gateway ended although no restart was under way.
    fn session_ends(
        &self,
        shard: &History,
        timelines: &Timelines<'_>,
        windows: &Windows,
    ) -> Vec<SessionEndFinding> {
        shard
            .session_ends
            .iter()
            .enumerate()
            .filter_map(|(position, end)| match &end.by {
                EndedBy::Client => None,
                EndedBy::Gateway(_) if windows.restarting(end.at, end.at) => None,
                EndedBy::Gateway(close) if self.is_retired(timelines, end.client, end.at, close) => None,
                EndedBy::Gateway(close) => Some(SessionEndFinding {
                    session_end: position,
                    why: format!(
                        "the gateway ended the session of client {}, attempt {}, at {} with {} outside every restart",
                        end.client,
                        end.attempt,
                        seconds(end.at),
                        explain::close(close),
                    ),
                }),
            })
            .collect()
    }

    /// Whether the release ends a session because of what an operator did to its device.
    fn is_retired(&self, timelines: &Timelines<'_>, client: u32, at: Nanos, close: &CloseSeen) -> bool {
        /// How long a gateway may take to end a session after it answered the operator.
        const TIME: Nanos = 5_000 * MILLISECOND;
        let CloseSeen::Frame { code: protocol::close::code::DEVICE_REMOVED, .. } = close else {
            return false;
        };
        self.release.retires_sessions
            && timelines.operations_on(client).any(|operation| {
                let changes =
                    !matches!(operation.kind, OperationKind::Reject { .. } | OperationKind::Edit(_));
                let until = match operation.end {
                    OperationEnd::Done { at, .. } => at.saturating_add(TIME),
                    OperationEnd::Unknown => Nanos::MAX,
                    OperationEnd::Refused { .. } => return false,
                };
                changes && operation.invoked <= at && at <= until
            })
    }
}
