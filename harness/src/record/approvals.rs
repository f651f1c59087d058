//! From a pending request to a session: the chain of every approval, link by link.
//!
//! The links tell a slow store (`approve_to_ack`) from a lazy client (`ack_to_attempt`) and both from an operator who
//! was not looking (`pending_to_noticed`).

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_client::ByClient;
use super::histogram::{LatencyHistogram, LatencySummary};
use super::waterfall::Waterfall;
use crate::history::{History, Notice, Operation, OperationEnd, OperationKind};
use crate::observation::{Observation, Outcome};
use crate::plan::{ClientId, Nanos};

/// Stages of one acknowledged approval of one of the plan's clients; nanoseconds, `None` = not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovalChain {
    /// The device.
    pub client: ClientId,
    /// Who approved.
    pub operator: u16,
    /// The `connect` was sent that was first refused with the request: it cannot be older.
    pub asked: Option<Nanos>,
    /// First refusal that named the request.
    pub pending: Option<Nanos>,
    /// The operator learnt of the request.
    pub noticed: Option<Nanos>,
    /// The approval was sent.
    pub invoked: Nanos,
    /// It was acknowledged.
    pub acknowledged: Nanos,
    /// From where on the client was at work again: start of its first attempt after the acknowledgement, or the
    /// acknowledgement itself if the attempt that became the session was already in progress. `None` without a
    /// session, or when the session came before the acknowledgement.
    pub resumed: Option<Nanos>,
    /// hello-ok of the first session that was answered after the approval was sent.
    pub session: Option<Nanos>,
    /// How late after its time, or the acknowledgement if that came later, the attempt at `resumed` was started.
    pub late: Nanos,
    /// What filled the time from `resumed` to the session.
    pub last_link: LastLink,
}

/// What filled the time from a client's first attempt after its approval to its session. The rest were pauses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastLink {
    /// Attempts in progress.
    pub in_attempts: Nanos,
    /// Attempts after the first were due, but not started by the generator.
    pub late: Nanos,
}

impl ApprovalChain {
    /// The client saw its refusal -> the operator saw the request. 0 if the operator was faster than the client.
    #[must_use]
    pub fn pending_to_noticed(&self) -> Option<Nanos> {
        Some(self.noticed?.saturating_sub(self.pending?))
    }

    /// The operator saw the request -> sent the approval: its think time.
    #[must_use]
    pub fn noticed_to_approve(&self) -> Option<Nanos> {
        Some(self.invoked.saturating_sub(self.noticed?))
    }

    /// Approval sent -> acknowledged: the gateway's time.
    #[must_use]
    pub const fn approve_to_ack(&self) -> Nanos {
        self.acknowledged.saturating_sub(self.invoked)
    }

    /// Acknowledged -> the client's next attempt started: its back-off.
    #[must_use]
    pub fn ack_to_attempt(&self) -> Option<Nanos> {
        Some(self.resumed?.saturating_sub(self.acknowledged))
    }

    /// Next attempt started -> hello-ok, further attempts that failed included.
    #[must_use]
    pub fn attempt_to_session(&self) -> Option<Nanos> {
        Some(self.session?.saturating_sub(self.resumed?))
    }

    /// The headline: approval sent -> hello-ok. If `resumed` is known, it is exactly the sum of the last three links.
    #[must_use]
    pub fn approval_to_session(&self) -> Option<Nanos> {
        Some(self.session?.saturating_sub(self.invoked))
    }

    /// The session was there before the operator knew that its approval had been taken.
    #[must_use]
    pub fn session_before_ack(&self) -> bool {
        self.session.is_some_and(|session| session < self.acknowledged)
    }
}

/// What became of the approvals of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalCounts {
    /// Approvals that were sent.
    pub approvals: u64,
    /// Acknowledged by the gateway.
    pub acknowledged: u64,
    /// Refused by the gateway.
    pub refused: u64,
    /// The connection ended before the answer: may have happened or not.
    pub unknown: u64,
    /// Acknowledged ones whose device is none of the plan's; they have no chain.
    pub unplanned: u64,
    /// Acknowledged ones that no session of the device followed.
    pub without_session: u64,
    /// Acknowledged ones whose session came before the acknowledgement; they count in the headline, but not in
    /// `ack_to_attempt` and `attempt_to_session`.
    pub session_before_ack: u64,
}

/// Latencies of the links of the chain, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalLinks {
    /// The client saw its refusal -> the operator noticed the request.
    pub pending_to_noticed: LatencySummary,
    /// Noticed -> approval sent: the operator's think time.
    pub noticed_to_approve: LatencySummary,
    /// Approval sent -> acknowledged: the gateway's time.
    pub approve_to_ack: LatencySummary,
    /// Acknowledged -> the client's next attempt started: its back-off; 0 if one was in progress.
    pub ack_to_attempt: LatencySummary,
    /// That attempt started -> hello-ok.
    pub attempt_to_session: LatencySummary,
}

/// Approval sent -> hello-ok of the device's first session that was answered after it; and the links in between.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalToSession {
    /// The headline, in microseconds. An acknowledged approval counts once; a device that is approved again later
    /// counts again, with the session that follows then.
    #[serde(flatten)]
    pub headline: LatencySummary,
    /// What became of all approvals.
    #[serde(flatten)]
    pub counts: ApprovalCounts,
    /// The links of the chain.
    pub links: ApprovalLinks,
    /// From the request to the session, for each operator and cohort that had an approval.
    #[serde(default)]
    pub waterfalls: Vec<Waterfall>,
}

/// What the operations and notices of a run tell without its attempts. Every shard of a run holds all of them.
#[derive(Debug, Clone, Default)]
pub struct Approvals {
    counts: ApprovalCounts,
    /// By position in `History::operations`: when the operator who approved noticed the request first.
    noticed: Vec<Option<Nanos>>,
    noticed_to_approve: LatencyHistogram,
    approve_to_ack: LatencyHistogram,
}

impl Approvals {
    /// Looks at all operations and notices of a run.
    #[must_use]
    pub fn new(history: &History) -> Self {
        let notices = notices_by_request(history);
        let mut approvals = Self { counts: count_ends(history), ..Self::default() };
        for operation in &history.operations {
            let noticed = match &operation.kind {
                OperationKind::Approve { request_id } => notices
                    .get(request_id.as_str())
                    .and_then(|notices| noticed(notices, operation.operator, operation.invoked)),
                _ => None,
            };
            approvals.noticed.push(noticed);
            if let Some((_, acknowledged)) = acknowledged_of_planned(operation) {
                let waited = noticed.map(|noticed| operation.invoked.saturating_sub(noticed));
                add(&mut approvals.noticed_to_approve, waited);
                approvals.approve_to_ack.record(acknowledged.saturating_sub(operation.invoked));
            }
        }
        approvals
    }
}

/// Recorder of the chains of the clients that made attempts. Recorders of parts of a run merge.
#[derive(Debug, Clone, Default)]
pub struct ApprovalRecorder {
    with_session: u64,
    session_before_ack: u64,
    headline: LatencyHistogram,
    pending_to_noticed: LatencyHistogram,
    ack_to_attempt: LatencyHistogram,
    attempt_to_session: LatencyHistogram,
}

impl ApprovalRecorder {
    /// Adds the chain of one approval.
    pub fn chain(&mut self, chain: &ApprovalChain) {
        self.with_session += u64::from(chain.session.is_some());
        self.session_before_ack += u64::from(chain.session_before_ack());
        add(&mut self.headline, chain.approval_to_session());
        add(&mut self.pending_to_noticed, chain.pending_to_noticed());
        add(&mut self.ack_to_attempt, chain.ack_to_attempt());
        add(&mut self.attempt_to_session, chain.attempt_to_session());
    }

    /// Adds what another recorder saw.
    pub fn merge(&mut self, other: &Self) {
        self.with_session += other.with_session;
        self.session_before_ack += other.session_before_ack;
        self.headline.merge(&other.headline);
        self.pending_to_noticed.merge(&other.pending_to_noticed);
        self.ack_to_attempt.merge(&other.ack_to_attempt);
        self.attempt_to_session.merge(&other.attempt_to_session);
    }

    /// Figures over the approvals of a run.
    #[must_use]
    pub fn summary(&self, approvals: &Approvals) -> ApprovalToSession {
        let counts = approvals.counts;
        ApprovalToSession {
            headline: self.headline.summary(),
            counts: ApprovalCounts {
                without_session: (counts.acknowledged - counts.unplanned).saturating_sub(self.with_session),
                session_before_ack: self.session_before_ack,
                ..counts
            },
            links: ApprovalLinks {
                pending_to_noticed: self.pending_to_noticed.summary(),
                noticed_to_approve: approvals.noticed_to_approve.summary(),
                approve_to_ack: approvals.approve_to_ack.summary(),
                ack_to_attempt: self.ack_to_attempt.summary(),
                attempt_to_session: self.attempt_to_session.summary(),
            },
            waterfalls: Vec::new(),
        }
    }
}

/// Follows the acknowledged approvals of all clients that made an attempt, in the order of the history's operations.
pub fn chains<'a>(
    history: &'a History,
    by_client: &'a ByClient<'_>,
    approvals: &'a Approvals,
) -> impl Iterator<Item = ApprovalChain> + 'a {
    // One for all: an allocation for every approval would be one for every handshake of some runs.
    let mut walk = Vec::new();
    history.operations.iter().zip(&approvals.noticed).filter_map(move |(operation, noticed)| {
        let (client, acknowledged) = acknowledged_of_planned(operation)?;
        if !by_client.knows(client) {
            return None;
        }
        let invoked = operation.invoked;
        let refusal = first_refusal(by_client, client, &operation.kind);
        let session = by_client.first_session_after(client, invoked);
        let resumed = session.and_then(|(attempt, answered)| {
            let started = attempt.stamps.started?;
            if answered < acknowledged {
                return None;
            }
            if started <= acknowledged {
                return Some(acknowledged);
            }
            by_client
                .attempts_of(client)
                .filter_map(|attempt| attempt.stamps.started)
                .filter(|started| *started > acknowledged)
                .min()
        });
        let session = session.map(|(_, answered)| answered);
        let (late, last_link) = match resumed.zip(session) {
            Some((resumed, session)) => (
                lateness(by_client, client, resumed, acknowledged),
                last_link(by_client, client, resumed, session, &mut walk),
            ),
            None => (0, LastLink::default()),
        };
        Some(ApprovalChain {
            client,
            operator: operation.operator,
            asked: refusal.and_then(|refusal| refusal.stamps.sent),
            pending: refusal.and_then(|refusal| refusal.stamps.answered),
            noticed: *noticed,
            invoked,
            acknowledged,
            resumed,
            session,
            late,
            last_link,
        })
    })
}

/// How late the attempt was that started at `resumed`; 0 if it was in progress at the acknowledgement.
fn lateness(by_client: &ByClient<'_>, client: ClientId, resumed: Nanos, acknowledged: Nanos) -> Nanos {
    let mut attempts = by_client.attempts_of(client);
    let first = attempts.find(|attempt| attempt.stamps.started == Some(resumed) && resumed > acknowledged);
    first.map_or(0, |attempt| resumed.saturating_sub(attempt.intended.max(acknowledged)))
}

/// Walks from `resumed` to the session, over the attempts in between: their start, end and intended start, which `attempts` has
/// room for.
fn last_link(
    by_client: &ByClient<'_>,
    client: ClientId,
    resumed: Nanos,
    session: Nanos,
    attempts: &mut Vec<(Nanos, Nanos, Nanos)>,
) -> LastLink {
    let mut link = LastLink::default();
    attempts.clear();
    attempts.extend(
        by_client
            .attempts_of(client)
            .filter_map(|attempt| Some((attempt.stamps.started?, attempt.stamps.last()?, attempt.intended)))
            .filter(|(started, ended, _)| *started <= session && *ended > resumed),
    );
    attempts.sort_unstable();
    let mut at = resumed;
    for &(started, ended, intended) in &*attempts {
        link.late += started.saturating_sub(intended.max(at));
        let from = started.max(at);
        at = ended.min(session).max(at);
        link.in_attempts += at.saturating_sub(from);
    }
    link
}

/// Client and acknowledgement of an approval that has both.
fn acknowledged_of_planned(operation: &Operation) -> Option<(ClientId, Nanos)> {
    match (&operation.kind, &operation.end) {
        (OperationKind::Approve { .. }, OperationEnd::Done { at, .. }) => Some((operation.client?, *at)),
        _ => None,
    }
}

fn count_ends(history: &History) -> ApprovalCounts {
    let mut counts = ApprovalCounts::default();
    for operation in &history.operations {
        if !matches!(operation.kind, OperationKind::Approve { .. }) {
            continue;
        }
        counts.approvals += 1;
        match operation.end {
            OperationEnd::Done { .. } => {
                counts.acknowledged += 1;
                counts.unplanned += u64::from(operation.client.is_none());
            }
            OperationEnd::Refused { .. } => counts.refused += 1,
            OperationEnd::Unknown => counts.unknown += 1,
        }
    }
    counts
}

/// The attempt of a client that was first refused with the request of an approval.
fn first_refusal<'a>(
    by_client: &'a ByClient<'_>,
    client: ClientId,
    kind: &OperationKind,
) -> Option<&'a Observation> {
    let OperationKind::Approve { request_id } = kind else { return None };
    by_client
        .attempts_of(client)
        .filter(|attempt| match &attempt.outcome {
            Outcome::Refused(refusal) => refusal.request_id.as_ref() == Some(request_id),
            _ => false,
        })
        .filter(|attempt| attempt.stamps.answered.is_some())
        .min_by_key(|attempt| attempt.stamps.answered)
}

fn notices_by_request(history: &History) -> HashMap<&str, Vec<&Notice>> {
    let mut by_request: HashMap<&str, Vec<&Notice>> = HashMap::new();
    for notice in &history.notices {
        by_request.entry(&notice.request_id).or_default().push(notice);
    }
    by_request
}

/// When the operator who approved noticed the request first.
fn noticed(notices: &[&Notice], operator: u16, invoked: Nanos) -> Option<Nanos> {
    notices.iter().filter(|n| n.operator == operator && n.at <= invoked).map(|n| n.at).min()
}

fn add(series: &mut LatencyHistogram, value: Option<Nanos>) {
    if let Some(value) = value {
        series.record(value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::test_support::{MS, Story, refusal_for, session};

    fn figures(story: &Story) -> ApprovalToSession {
        story.result().approval_to_session
    }

    fn only(summary: LatencySummary) -> u64 {
        assert_eq!(summary.count, 1);
        summary.max.expect("one value")
    }

    #[test]
    fn every_link_of_a_plain_approval() {
        let mut story = Story::new(&[("phones", 1)]);
        story.attempt(0, 0).started(90).answered(100, refusal_for("r1"));
        story.notice(0, 0, "r1", 104);
        story.approve(0, 0, "r1", 1_104, Some(1_109));
        story.attempt(0, 1).started(1_500).answered(1_507, session());
        let figures = figures(&story);
        assert_eq!(only(figures.links.pending_to_noticed), 4_000);
        assert_eq!(only(figures.links.noticed_to_approve), 1_000_000);
        assert_eq!(only(figures.links.approve_to_ack), 5_000);
        assert_eq!(only(figures.links.ack_to_attempt), 391_000);
        assert_eq!(only(figures.links.attempt_to_session), 7_000);
        assert_eq!(only(figures.headline), 403_000);
        assert_eq!(
            figures.counts,
            ApprovalCounts { approvals: 1, acknowledged: 1, ..ApprovalCounts::default() }
        );
    }

    #[test]
    fn an_attempt_in_progress_at_the_acknowledgement_waits_for_nothing() {
        let mut story = Story::new(&[("phones", 1)]);
        story.approve(0, 0, "r1", 100, Some(110));
        story.attempt(0, 1).started(105).answered(118, session());
        let figures = figures(&story);
        assert_eq!(only(figures.links.ack_to_attempt), 0);
        assert_eq!(only(figures.links.attempt_to_session), 8_000);
        assert_eq!(only(figures.headline), 18_000);
    }

    #[test]
    fn a_session_before_the_acknowledgement_has_a_headline_and_no_later_links() {
        let mut story = Story::new(&[("phones", 1)]);
        story.approve(0, 0, "r1", 100, Some(110));
        story.attempt(0, 1).started(102).answered(107, session());
        let figures = figures(&story);
        assert_eq!(only(figures.headline), 7_000);
        assert_eq!(only(figures.links.approve_to_ack), 10_000);
        assert_eq!((figures.links.ack_to_attempt.count, figures.links.attempt_to_session.count), (0, 0));
        assert_eq!(figures.counts.session_before_ack, 1);
    }

    #[test]
    fn failed_attempts_after_the_acknowledgement_belong_to_the_last_link() {
        let mut story = Story::new(&[("phones", 1)]);
        story.approve(0, 0, "r1", 100, Some(110));
        story.attempt(0, 1).started(95).answered(112, refusal_for("r1"));
        story.attempt(0, 2).started(120).ended(121, Outcome::ConnectionRefused);
        story.attempt(0, 3).started(200).answered(205, session());
        let figures = figures(&story);
        assert_eq!(only(figures.links.ack_to_attempt), 10_000);
        assert_eq!(only(figures.links.attempt_to_session), 85_000);
    }

    #[test]
    fn a_device_that_is_approved_again_counts_again_with_its_next_session() {
        let mut story = Story::new(&[("phones", 1)]);
        story.approve(0, 0, "r1", 100, Some(110));
        story.attempt(0, 1).started(120).answered(125, session());
        story.approve(0, 0, "r2", 500, Some(501));
        story.attempt(0, 2).started(510).answered(600, session());
        let figures = figures(&story);
        assert_eq!(
            (figures.headline.count, figures.headline.p50, figures.headline.max),
            (2, Some(25_007), Some(100_000))
        );
        assert_eq!(figures.counts.without_session, 0);
    }

    #[test]
    fn approvals_without_a_happy_end_are_counted() {
        let mut story = Story::new(&[("phones", 2)]);
        story.attempt(0, 0).started(1).answered(5, session());
        story.approve(0, 0, "r1", 100, Some(110));
        story.approve(0, 1, "r2", 100, None);
        story.operation_refused(0, 1, "r2", 120, 125);
        story.approve(0, 1, "r3", 200, Some(210));
        if let Some(last) = story.history.operations.last_mut() {
            last.client = None;
        }
        let figures = figures(&story);
        assert_eq!(
            figures.counts,
            ApprovalCounts {
                approvals: 4,
                acknowledged: 2,
                refused: 1,
                unknown: 1,
                unplanned: 1,
                without_session: 1,
                session_before_ack: 0
            }
        );
        assert_eq!(figures.headline.count, 0);
    }

    #[test]
    fn the_notice_is_the_approving_operators_own() {
        let mut story = Story::new(&[("phones", 1)]);
        story.notice(1, 0, "r1", 50);
        story.notice(0, 0, "r1", 80);
        story.notice(0, 0, "r1", 90);
        story.approve(0, 0, "r1", 100, Some(110));
        assert_eq!(only(figures(&story).links.noticed_to_approve), 20_000);
    }

    proptest! {
        #[test]
        fn links_sum_to_the_headline_when_all_are_there(
            invoked in 0_u64..1_000 * MS,
            ack in 0_u64..100 * MS,
            starts in prop::collection::vec((0_u64..2_000 * MS, 0_u64..500 * MS, any::<bool>()), 1..8),
        ) {
            let mut story = Story::new(&[("phones", 1)]);
            story.approve_ns(0, 0, "r1", invoked, Some(invoked + ack));
            for (attempt, (start, took, opens)) in starts.iter().enumerate() {
                let outcome = if *opens { session() } else { refusal_for("r1") };
                story.attempt(0, attempt as u32).started_ns(*start).answered_ns(start + took, outcome);
            }
            let by_client = ByClient::new(&story.history);
            let chain = chains(&story.history, &by_client, &Approvals::new(&story.history)).next().expect("one");
            let expected = starts
                .iter()
                .filter(|(start, took, opens)| *opens && start + took > invoked)
                .map(|(start, took, _)| start + took - invoked)
                .min();
            prop_assert_eq!(chain.approval_to_session(), expected);
            if let (Some(wait), Some(last)) = (chain.ack_to_attempt(), chain.attempt_to_session()) {
                prop_assert_eq!(Some(chain.approve_to_ack() + wait + last), chain.approval_to_session());
            } else {
                prop_assert!(chain.session.is_none() || chain.session_before_ack());
            }
        }
    }
}
