//! The wait of approved people as a waterfall: how long each link of the chain took, and who made them wait.
//!
//! A waterfall is about chains that are complete: somebody noticed the request, approved it, and a session followed. Of each
//! of them the links sum up to the whole, to the nanosecond. There is a waterfall for every operator and cohort that it
//! serves; beyond [`PAIRS_MAX`] pairs the rest shares one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::approvals::ApprovalChain;
use super::histogram::{LatencyHistogram, LatencySummary, micros};
use crate::plan::{Approves, CohortId, Nanos, Notices, Plan, describe_operator, describe_reconnect};

/// Pairs of an operator and a cohort that have a waterfall of their own.
pub const PAIRS_MAX: usize = 64;
/// Name of operator and cohort of the waterfall of all further pairs.
const OTHERS: &str = "(others)";

/// A link of the chain, in the order in which they follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Link {
    /// The request is known to exist -> the operator noticed it.
    PendingToNoticed,
    /// Noticed -> approval sent.
    NoticedToApprove,
    /// Approval sent -> acknowledged, or session if that came first.
    ApproveToAck,
    /// Acknowledged -> the client's next attempt started.
    AckToAttempt,
    /// That attempt started -> hello-ok.
    AttemptToSession,
}

impl Link {
    /// All links, in order.
    pub const ALL: [Self; 5] = [
        Self::PendingToNoticed,
        Self::NoticedToApprove,
        Self::ApproveToAck,
        Self::AckToAttempt,
        Self::AttemptToSession,
    ];

    /// Its name in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PendingToNoticed => "pending_to_noticed",
            Self::NoticedToApprove => "noticed_to_approve",
            Self::ApproveToAck => "approve_to_ack",
            Self::AckToAttempt => "ack_to_attempt",
            Self::AttemptToSession => "attempt_to_session",
        }
    }
}

/// A complete chain, cut into slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// From when on the request was known to exist: its client's refusal, or the operator's notice if that came first.
    pub from: Nanos,
    /// hello-ok.
    pub to: Nanos,
    /// How long each link took, in the order of [`Link::ALL`]; `None` = it did not occur, because the session came before
    /// the acknowledgement.
    pub links: [Option<Nanos>; 5],
}

impl Wait {
    /// The wait of a chain; `None` if it is not complete.
    #[must_use]
    pub fn of(chain: &ApprovalChain) -> Option<Self> {
        let (noticed, to) = (chain.noticed?, chain.session?);
        let from = chain.pending.map_or(noticed, |pending| pending.min(noticed));
        let acknowledged = chain.acknowledged.min(to);
        let resumed = chain.resumed;
        if resumed.is_none() && !chain.session_before_ack() {
            return None;
        }
        let links = [
            Some(noticed.checked_sub(from)?),
            Some(chain.invoked.checked_sub(noticed)?),
            Some(acknowledged.checked_sub(chain.invoked)?),
            resumed.map(|resumed| resumed.saturating_sub(acknowledged)),
            resumed.map(|resumed| to.saturating_sub(resumed)),
        ];
        Some(Self { from, to, links })
    }

    /// From the request to the session.
    #[must_use]
    pub const fn whole(&self) -> Nanos {
        self.to - self.from
    }

    /// When each link that occurred ended.
    pub fn ends(&self) -> impl Iterator<Item = (Link, Nanos, Nanos)> {
        let mut at = self.from;
        Link::ALL.into_iter().zip(self.links).filter_map(move |(link, took)| {
            at += took?;
            Some((link, at, took?))
        })
    }
}

/// Who made a person wait. The parts sum up to the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Blame {
    /// The operator: had not looked, or thought.
    pub people: Nanos,
    /// The gateway: told of the request, acknowledged, answered attempts.
    pub gateway: Nanos,
    /// The client: its back-off or pause.
    pub client: Nanos,
    /// This generator: attempts that it started late.
    pub generator: Nanos,
}

impl Blame {
    /// Divides a wait. `listed`: the operator looks at lists, so that it is up to it when it notices.
    #[must_use]
    pub fn of(wait: &Wait, chain: &ApprovalChain, listed: bool) -> Self {
        let [noticing, thinking, acknowledging, pausing, rest] = wait.links.map(Option::unwrap_or_default);
        let late = chain.late.min(pausing);
        let in_attempts = chain.last_link.in_attempts.min(rest);
        let late_again = chain.last_link.late.min(rest - in_attempts);
        let (people, gateway) = if listed { (noticing, 0) } else { (0, noticing) };
        Self {
            people: people + thinking,
            gateway: gateway + acknowledging + in_attempts,
            client: (pausing - late) + (rest - in_attempts - late_again),
            generator: late + late_again,
        }
    }
}

/// From a request to the session that its approval allowed. All times in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Waterfall {
    /// Name of the operator who approved; `(others)` = of the pairs beyond the 64th.
    pub operator: String,
    /// What the operator does, in words.
    pub behaviour: String,
    /// Name of the cohort that waited.
    pub cohort: String,
    /// What its clients do after a refusal, in words.
    pub reconnect: String,
    /// Acknowledged approvals whose chain is not complete: no session followed, or nobody was seen to notice the request.
    pub incomplete: u64,
    /// Request known to exist -> hello-ok, of complete chains; everything below is about the same ones.
    pub whole: LatencySummary,
    /// Before the request was known to exist: its client's `connect` sent -> `whole` begins. The gateway made the request
    /// somewhere in between. Not part of `whole`.
    pub unknown_before: LatencySummary,
    /// The links, in order. Of each chain they sum up to the whole.
    pub links: WaterfallLinks,
    /// Who made them wait, as shares of all the time that they waited; `null` = nobody waited.
    pub shares: Option<WaitShares>,
}

/// The links of a waterfall.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaterfallLinks {
    /// The request is known to exist -> the operator noticed it, by event or in a list.
    pub pending_to_noticed: Slice,
    /// Noticed -> approval sent.
    pub noticed_to_approve: Slice,
    /// Approval sent -> acknowledged; -> session, if that came first.
    pub approve_to_ack: Slice,
    /// Acknowledged -> the client's next attempt started; 0 if one was in progress.
    pub ack_to_attempt: Slice,
    /// That attempt started -> hello-ok, further attempts that failed and the pauses between them included.
    pub attempt_to_session: Slice,
}

impl WaterfallLinks {
    /// The slice of a link.
    #[must_use]
    pub const fn get(&self, link: Link) -> &Slice {
        match link {
            Link::PendingToNoticed => &self.pending_to_noticed,
            Link::NoticedToApprove => &self.noticed_to_approve,
            Link::ApproveToAck => &self.approve_to_ack,
            Link::AckToAttempt => &self.ack_to_attempt,
            Link::AttemptToSession => &self.attempt_to_session,
        }
    }
}

/// A link of a waterfall.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Slice {
    /// Its latencies; a `count` below that of the whole = in some chains it did not occur.
    #[serde(flatten)]
    pub latency: LatencySummary,
    /// Its share of all the time that people waited, 0 to 1; `null` = nobody waited.
    pub share: Option<f64>,
}

/// Who made people wait, as shares of the whole; they sum up to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitShares {
    /// Operators: thinking, and not looking (of those that list).
    pub people: f64,
    /// The gateway: the event (of operators that wait for it), the acknowledgement, attempts until they were answered.
    pub gateway: f64,
    /// The clients' own pauses.
    pub client: f64,
    /// Attempts that the generator started after their time.
    pub generator: f64,
}

/// The pairs of a plan, each with the place of its waterfall. The same for every part of a run.
#[derive(Debug, Clone, Default)]
pub struct Pairs {
    cohorts: usize,
    /// By operator and cohort.
    slots: Vec<Option<u16>>,
    pairs: Vec<(u16, CohortId)>,
    crowded: bool,
}

impl Pairs {
    /// Operators and the cohorts that each serves, in the order of the scenario.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let cohorts = plan.cohorts.len();
        let mut pairs =
            Self { cohorts, slots: vec![None; cohorts * plan.operators.len()], ..Self::default() };
        for (position, operator) in (0..).zip(&plan.operators) {
            for cohort in 0..CohortId::try_from(cohorts).unwrap_or(CohortId::MAX) {
                // Whoever approves the latest may hit anybody.
                let everyone = operator.approves == Approves::Latest;
                if !everyone && operator.serves.as_ref().is_some_and(|served| !served.contains(&cohort)) {
                    continue;
                }
                if pairs.pairs.len() == PAIRS_MAX {
                    pairs.crowded = true;
                    return pairs;
                }
                let slot = u16::try_from(pairs.pairs.len()).ok();
                if let Some(place) =
                    pairs.slots.get_mut(usize::from(position) * cohorts + usize::from(cohort))
                {
                    *place = slot;
                }
                pairs.pairs.push((position, cohort));
            }
        }
        pairs
    }

    /// The place of a pair; `None` for what no operator of the plan does.
    #[must_use]
    pub fn slot(&self, operator: u16, cohort: CohortId) -> Option<u16> {
        if usize::from(cohort) >= self.cohorts {
            return None;
        }
        let place = self.slots.get(usize::from(operator) * self.cohorts + usize::from(cohort))?;
        place.or_else(|| self.crowded.then(|| u16::try_from(PAIRS_MAX).unwrap_or(u16::MAX)))
    }

    /// Names of operator and cohort, by place.
    #[must_use]
    pub fn names(&self, plan: &Plan) -> Vec<(String, String)> {
        let mut names: Vec<(String, String)> = self
            .pairs
            .iter()
            .map(|(operator, cohort)| {
                let operator = plan.operators.get(usize::from(*operator)).map(|it| it.name.clone());
                let cohort = plan.cohorts.get(usize::from(*cohort)).map(|it| it.name.clone());
                (operator.unwrap_or_default(), cohort.unwrap_or_default())
            })
            .collect();
        if self.crowded {
            names.push((OTHERS.to_owned(), OTHERS.to_owned()));
        }
        names
    }
}

/// Recorder of all waterfalls of a run. Recorders of parts of a run merge.
#[derive(Debug, Clone, Default)]
pub struct WaterfallRecorder {
    pairs: Pairs,
    /// By place; grows with the places that are used.
    figures: Vec<Figures>,
}

#[derive(Debug, Clone, Default)]
struct Figures {
    incomplete: u64,
    whole: LatencyHistogram,
    unknown_before: LatencyHistogram,
    links: [LatencyHistogram; 5],
    /// Nanoseconds in each link, and in all.
    in_links: [u128; 5],
    in_all: u128,
    people: u128,
    gateway: u128,
    client: u128,
    generator: u128,
}

impl WaterfallRecorder {
    /// A recorder of a plan's pairs.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self { pairs: Pairs::new(plan), figures: Vec::new() }
    }

    /// The pairs.
    #[must_use]
    pub const fn pairs(&self) -> &Pairs {
        &self.pairs
    }

    /// Adds the chain of one approval; gives its place and its wait, if it is complete.
    pub fn chain(&mut self, plan: &Plan, chain: &ApprovalChain) -> Option<(u16, Wait)> {
        let cohort = plan.clients.get(chain.client as usize)?.cohort;
        let slot = self.pairs.slot(chain.operator, cohort)?;
        while self.figures.len() <= usize::from(slot) {
            self.figures.push(Figures::default());
        }
        let figures = self.figures.get_mut(usize::from(slot))?;
        let Some(wait) = Wait::of(chain) else {
            figures.incomplete += 1;
            return None;
        };
        let operator = plan.operators.get(usize::from(chain.operator));
        let listed = operator.is_some_and(|operator| operator.notices != Notices::Event);
        figures.add(&wait, chain, &Blame::of(&wait, chain, listed));
        Some((slot, wait))
    }

    /// Adds what another recorder of the same plan saw.
    pub fn merge(&mut self, other: &Self) {
        while self.figures.len() < other.figures.len() {
            self.figures.push(Figures::default());
        }
        for (mine, theirs) in self.figures.iter_mut().zip(&other.figures) {
            mine.merge(theirs);
        }
    }

    /// The waterfalls of all pairs that had an acknowledged approval.
    #[must_use]
    pub fn summary(&self, plan: &Plan) -> Vec<Waterfall> {
        let names = self.pairs.names(plan);
        let behind = self.pairs.pairs.iter().map(|pair| Some(*pair)).chain([None]);
        let rows = self.figures.iter().zip(names).zip(behind);
        rows.filter(|((figures, _), _)| figures.incomplete > 0 || figures.whole.count() > 0)
            .map(|((figures, (operator, cohort)), pair)| {
                let behaviour = pair.and_then(|(operator, _)| plan.operators.get(usize::from(operator)));
                let reconnect = pair.and_then(|(_, cohort)| plan.cohorts.get(usize::from(cohort)));
                Waterfall {
                    operator,
                    behaviour: behaviour.map(describe_operator).unwrap_or_default(),
                    cohort,
                    reconnect: reconnect
                        .map(|cohort| describe_reconnect(&cohort.reconnect))
                        .unwrap_or_default(),
                    ..figures.waterfall()
                }
            })
            .collect()
    }
}

impl Figures {
    fn add(&mut self, wait: &Wait, chain: &ApprovalChain, blame: &Blame) {
        self.whole.record(wait.whole());
        self.in_all += u128::from(wait.whole());
        if let Some(asked) = chain.asked {
            self.unknown_before.record(wait.from.saturating_sub(asked));
        }
        let series = self.links.iter_mut().zip(&mut self.in_links);
        for ((series, sum), took) in series.zip(wait.links) {
            if let Some(took) = took {
                series.record(took);
                *sum += u128::from(took);
            }
        }
        self.people += u128::from(blame.people);
        self.gateway += u128::from(blame.gateway);
        self.client += u128::from(blame.client);
        self.generator += u128::from(blame.generator);
    }

    fn merge(&mut self, other: &Self) {
        self.incomplete += other.incomplete;
        self.whole.merge(&other.whole);
        self.unknown_before.merge(&other.unknown_before);
        for (mine, theirs) in self.links.iter_mut().zip(&other.links) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.in_links.iter_mut().zip(&other.in_links) {
            *mine += theirs;
        }
        self.in_all += other.in_all;
        self.people += other.people;
        self.gateway += other.gateway;
        self.client += other.client;
        self.generator += other.generator;
    }

    fn waterfall(&self) -> Waterfall {
        let share = |part: u128| (self.in_all > 0).then(|| part as f64 / self.in_all as f64);
        let mut slices = self
            .links
            .iter()
            .zip(&self.in_links)
            .map(|(series, sum)| Slice { latency: series.summary(), share: share(*sum) });
        let mut next = || slices.next().unwrap_or_default();
        let links = WaterfallLinks {
            pending_to_noticed: next(),
            noticed_to_approve: next(),
            approve_to_ack: next(),
            ack_to_attempt: next(),
            attempt_to_session: next(),
        };
        let shares = || {
            Some(WaitShares {
                people: share(self.people)?,
                gateway: share(self.gateway)?,
                client: share(self.client)?,
                generator: share(self.generator)?,
            })
        };
        Waterfall {
            incomplete: self.incomplete,
            whole: self.whole.summary(),
            unknown_before: self.unknown_before.summary(),
            links,
            shares: shares(),
            ..Waterfall::default()
        }
    }
}

impl Waterfall {
    /// Mean time of this share of the whole, µs.
    #[must_use]
    pub fn part(&self, share: f64) -> Option<u64> {
        // Latencies are at most an hour.
        self.whole.mean.map(|mean| micros((mean as f64 * 1_000.0 * share) as Nanos))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::observation::Outcome;
    use crate::plan::OperatorPlan;
    use crate::record::test_support::{MS, Story, refusal_for, session};

    fn waterfalls(story: &Story) -> Vec<Waterfall> {
        story.result().approval_to_session.waterfalls
    }

    /// Refused at 100, noticed at 104, approved from 1104 to 1109, back at 1500 (6 ms late), session at 1507.
    fn plain() -> Story {
        let mut story = Story::new(&[("phones", 1)]);
        story.attempt(0, 0).started(90).answered(100, refusal_for("r1"));
        story.notice(0, 0, "r1", 104);
        story.approve(0, 0, "r1", 1_104, Some(1_109));
        story.attempt(0, 1).intended(1_494).started(1_500).answered(1_507, session());
        story
    }

    #[test]
    fn a_plain_wait_is_cut_into_its_links_and_divided_among_those_who_made_it() {
        let story = plain();
        let [waterfall] = &waterfalls(&story)[..] else { panic!("one pair") };
        assert_eq!((waterfall.operator.as_str(), waterfall.cohort.as_str()), ("owner", "phones"));
        assert_eq!(waterfall.behaviour, "on event, thinks 0s");
        let links = Link::ALL.map(|link| waterfall.links.get(link).latency.max.expect("occurred"));
        assert_eq!(links, [4_000, 1_000_000, 5_000, 391_000, 7_000]);
        assert_eq!(waterfall.whole.max, Some(1_407_000));
        assert_eq!(waterfall.unknown_before.max, Some(10_000), "connect sent to refusal");
        let shares = waterfall.shares.expect("somebody waited");
        let us = |share: f64| (share * 1_407_000.0).round();
        assert_eq!(
            [shares.people, shares.gateway, shares.client, shares.generator].map(us),
            [1_000_000.0, 16_000.0, 385_000.0, 6_000.0]
        );
    }

    #[test]
    fn who_lists_is_to_blame_for_not_having_looked() {
        let mut story = plain();
        story.plan.operators[0].notices = Notices::List(std::time::Duration::from_secs(1));
        let shares = waterfalls(&story)[0].shares.expect("somebody waited");
        assert_eq!((shares.people * 1_407.0).round(), 1_004.0);
        assert_eq!((shares.gateway * 1_407.0).round(), 12.0);
    }

    #[test]
    fn pauses_between_failed_attempts_are_the_clients() {
        let mut story = Story::new(&[("phones", 1)]);
        story.notice(0, 0, "r1", 100);
        story.approve(0, 0, "r1", 100, Some(110));
        story.attempt(0, 0).started(120).ended(125, Outcome::ConnectionRefused);
        story.attempt(0, 1).intended(1_125).started(1_135).answered(1_150, session());
        let waterfall = waterfalls(&story).remove(0);
        assert_eq!(waterfall.links.attempt_to_session.latency.max, Some(1_030_000));
        let shares = waterfall.shares.expect("somebody waited");
        let ms = |share: f64| (share * 1_050.0).round();
        assert_eq!(
            [shares.people, shares.gateway, shares.client, shares.generator].map(ms),
            [0.0, 30.0, 1_010.0, 10.0]
        );
    }

    #[test]
    fn links_that_did_not_occur_have_no_samples_and_the_others_sum_up() {
        let mut story = Story::new(&[("phones", 1)]);
        story.notice(0, 0, "r1", 90);
        story.approve(0, 0, "r1", 100, Some(110));
        story.attempt(0, 1).started(102).answered(107, session());
        let waterfall = waterfalls(&story).remove(0);
        assert_eq!(waterfall.whole.max, Some(17_000));
        assert_eq!(waterfall.links.approve_to_ack.latency.max, Some(7_000), "it ended with the session");
        assert_eq!(waterfall.links.ack_to_attempt.latency.count, 0);
        assert_eq!(waterfall.links.attempt_to_session.latency.count, 0);
    }

    #[test]
    fn each_pair_has_its_own_and_who_got_no_session_is_counted() {
        let mut story = Story::new(&[("phones", 1), ("tabs", 2)]);
        for (client, operator) in [(0, 0), (1, 0), (2, 1)] {
            let request = format!("r{client}");
            story.notice(operator, client, &request, 10);
            story.approve(operator, client, &request, 20, Some(30));
        }
        story.attempt(1, 0).started(40).answered(50, session());
        for client in [0, 2] {
            story.attempt(client, 0).started(1).ended(2, Outcome::ConnectionRefused);
        }
        let seen: Vec<_> = waterfalls(&story)
            .into_iter()
            .map(|it| (it.operator, it.cohort, it.whole.count, it.incomplete))
            .collect();
        let row = |operator: &str, cohort: &str, whole, incomplete| {
            (operator.to_owned(), cohort.to_owned(), whole, incomplete)
        };
        assert_eq!(
            seen,
            [row("owner", "phones", 0, 1), row("owner", "tabs", 1, 0), row("deputy", "tabs", 0, 1)]
        );
    }

    #[test]
    fn beyond_the_bound_pairs_share_one() {
        let names: Vec<String> = (0..50).map(|cohort| format!("c{cohort}")).collect();
        let cohorts: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let mut story = Story::new(&cohorts);
        for operator in 0..2 {
            for client in 0..50 {
                let request = format!("r{operator}-{client}");
                story.notice(operator, client, &request, 10);
                story.approve(operator, client, &request, 20, Some(30));
            }
        }
        for client in 0..50 {
            story.attempt(client, 0).started(40).answered(50, session());
        }
        let seen = waterfalls(&story);
        assert_eq!(seen.len(), PAIRS_MAX + 1);
        let last = seen.last().expect("the others");
        assert_eq!((last.operator.as_str(), last.whole.count), (OTHERS, 36));
        let served = OperatorPlan { serves: Some(vec![3]), ..story.plan.operators[0].clone() };
        story.plan.operators[0] = served;
        let pairs = Pairs::new(&story.plan);
        assert_eq!((pairs.slot(0, 3), pairs.slot(1, 0), pairs.slot(0, 50)), (Some(0), Some(1), None));
        assert_eq!(pairs.slot(crate::history::STEPS, 0), None);
    }

    proptest! {
        #[test]
        fn links_and_blame_sum_up_to_the_whole(
            refused in 1_u64..500 * MS,
            noticed in 1_u64..500 * MS,
            thought in 0_u64..300 * MS,
            ack in 0_u64..100 * MS,
            starts in prop::collection::vec((0_u64..2_000 * MS, 0_u64..500 * MS, 0_u64..50 * MS, any::<bool>()), 1..8),
            listed in any::<bool>(),
        ) {
            let mut story = Story::new(&[("phones", 1)]);
            story.attempt(0, 0).started_ns(refused / 2).answered_ns(refused, refusal_for("r1"));
            story.history.notices.push(crate::history::Notice {
                operator: 0, client: Some(0), request_id: "r1".to_owned(), at: noticed,
            });
            let invoked = noticed + thought;
            story.approve_ns(0, 0, "r1", invoked, Some(invoked + ack));
            for (attempt, (start, took, late, opens)) in (1..).zip(&starts) {
                let outcome = if *opens { session() } else { refusal_for("r2") };
                story.attempt(0, attempt).started_ns(*start).answered_ns(start + took, outcome);
                story.history.attempts.last_mut().expect("just made").intended = start.saturating_sub(*late);
            }
            let by_client = crate::record::by_client::ByClient::new(&story.history);
            let approvals = crate::record::approvals::Approvals::new(&story.history);
            let chain = crate::record::approvals::chains(&story.history, &by_client, &approvals).next().expect("one");
            prop_assert_eq!(Wait::of(&chain).is_some(), chain.session.is_some());
            if let Some(wait) = Wait::of(&chain) {
                prop_assert_eq!(wait.links.into_iter().flatten().sum::<u64>(), wait.whole());
                prop_assert_eq!(wait.from, refused.min(noticed));
                let blame = Blame::of(&wait, &chain, listed);
                prop_assert_eq!(blame.people + blame.gateway + blame.client + blame.generator, wait.whole());
                prop_assert_eq!(wait.ends().last().map(|(_, at, _)| at), Some(wait.to));
            }
        }
    }
}
