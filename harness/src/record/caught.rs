//! What restarts made of the approvals of a run: of those that were acknowledged before, and of those that were never answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_client::ByClient;
use crate::history::{History, Operation, OperationEnd, OperationKind};
use crate::observation::{Observation, Outcome};
use crate::plan::{FaultKind, Nanos};

/// Approvals that a restart came after, or between.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalsAtRestarts {
    /// Acknowledged before the process ended.
    pub acknowledged: Fates,
    /// Never answered, because the process ended.
    pub unknown: Fates,
}

/// What the device met next, in a process that was started after the approval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fates {
    /// Approvals.
    pub all: u64,
    /// It was let in: the approval is there.
    pub let_in: u64,
    /// It was asked for an approval: there is none.
    pub refused: u64,
    /// An operator approved it again before it came, so that nobody can say.
    pub approved_again: u64,
    /// It did not come again, or came to no answer of these.
    pub not_seen: u64,
}

impl Fates {
    const fn add(&mut self, fate: Fate) {
        self.all += 1;
        match fate {
            Fate::LetIn => self.let_in += 1,
            Fate::Refused => self.refused += 1,
            Fate::ApprovedAgain => self.approved_again += 1,
            Fate::NotSeen => self.not_seen += 1,
        }
    }

    const fn merge(&mut self, other: &Self) {
        self.all += other.all;
        self.let_in += other.let_in;
        self.refused += other.refused;
        self.approved_again += other.approved_again;
        self.not_seen += other.not_seen;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    LetIn,
    Refused,
    ApprovedAgain,
    NotSeen,
}

impl ApprovalsAtRestarts {
    /// Adds the approvals of the clients of one part of a run.
    pub fn add(&mut self, history: &History, by_client: &ByClient<'_>) {
        let exits = exits(history);
        if exits.is_empty() {
            return;
        }
        let mut approvals: Vec<&Operation> = history
            .operations
            .iter()
            .filter(|operation| matches!(operation.kind, OperationKind::Approve { .. }))
            .filter(|operation| operation.client.is_some_and(|client| by_client.knows(client)))
            .collect();
        approvals.sort_by_key(|operation| (operation.client, operation.invoked));
        for (position, approval) in approvals.iter().enumerate() {
            let (moment, fates) = match approval.end {
                OperationEnd::Done { at, .. } => (at, &mut self.acknowledged),
                OperationEnd::Unknown => (approval.invoked, &mut self.unknown),
                OperationEnd::Refused { .. } => continue,
            };
            let Some(exit) = exits.get(exits.partition_point(|exit| *exit < moment)) else { continue };
            // Two operators may approve the same request at the same time, which is not again; one that was refused
            // approved nobody.
            let again = approvals
                .iter()
                .skip(position + 1)
                .take_while(|next| next.client == approval.client)
                .find(|next| next.invoked >= *exit && !matches!(next.end, OperationEnd::Refused { .. }))
                .map(|next| next.invoked);
            let Some(client) = approval.client else { continue };
            fates.add(fate(by_client.attempts_of(client), *exit, again));
        }
    }

    /// Adds what another part of the same run found.
    pub const fn merge(&mut self, other: &Self) {
        self.acknowledged.merge(&other.acknowledged);
        self.unknown.merge(&other.unknown);
    }
}

/// When processes were gone, in order.
fn exits(history: &History) -> Vec<Nanos> {
    let restarts = history.faults.iter().filter(|fault| matches!(fault.kind, FaultKind::Restart { .. }));
    let mut exits: Vec<Nanos> = restarts.filter_map(|fault| fault.restart?.exited).collect();
    exits.sort_unstable();
    exits
}

/// What the first attempt that a later process answered says; nothing if an operator approved there `again` before.
fn fate<'a>(attempts: impl Iterator<Item = &'a Observation>, exit: Nanos, again: Option<Nanos>) -> Fate {
    let next = attempts
        .filter(|attempt| attempt.stamps.started.is_some_and(|started| started >= exit))
        .find_map(|attempt| {
            let answered = attempt.stamps.answered.or_else(|| attempt.stamps.last())?;
            match &attempt.outcome {
                Outcome::Session(_) => Some((answered, Fate::LetIn)),
                Outcome::Refused(refusal) if refusal.message.starts_with("pairing required") => {
                    Some((answered, Fate::Refused))
                }
                _ => None,
            }
        });
    match (next, again) {
        (None, Some(_)) => Fate::ApprovedAgain,
        (Some((answered, _)), Some(again)) if again <= answered => Fate::ApprovedAgain,
        (Some((_, fate)), _) => fate,
        (None, None) => Fate::NotSeen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::RestartStamps;
    use crate::record::test_support::{MS, Story, refusal, session};

    #[test]
    fn each_approval_is_followed_into_the_next_process() {
        let mut story = Story::new(&[("phones", 8)]);
        story.restart(
            1_000,
            RestartStamps { exited: Some(1_005 * MS), spawned: Some(1_006 * MS), ..RestartStamps::default() },
        );
        for client in 0..8 {
            story.attempt(client, 0).started(10).answered(20, refusal("not-paired"));
        }
        // Acknowledged before the kill: kept, lost, never seen again; and one after it, which nothing came after.
        for (client, ack) in [(0, 990), (1, 990), (2, 990), (3, 2_000)] {
            story.approve(0, client, &format!("r{client}"), ack - 10, Some(ack));
        }
        // Never answered: happened, did not, and approved again before anybody could see.
        for client in [4, 5, 6] {
            story.approve(0, client, &format!("r{client}"), 999, None);
        }
        story.approve(0, 6, "r6", 1_200, Some(1_210));
        // A second operator was as fast, and a third came too late: both say nothing of what became of the first's.
        story.approve(1, 0, "r0", 1_000, None);
        story.operation_refused(1, 4, "r4", 1_050, 1_055);
        // This one got in before the kill, which says nothing.
        story.attempt(2, 1).started(991).answered(995, session());
        story.attempt(0, 1).started(1_100).answered(1_110, session());
        story.attempt(1, 1).started(1_100).answered(1_110, refusal("not-paired"));
        story.attempt(4, 1).started(1_100).answered(1_110, session());
        story.attempt(5, 1).started(1_100).answered(1_110, refusal("not-paired"));
        story.attempt(6, 1).started(1_300).answered(1_310, session());
        let at_restarts = story.result().approvals_at_restarts;
        assert_eq!(
            at_restarts,
            ApprovalsAtRestarts {
                acknowledged: Fates { all: 3, let_in: 1, refused: 1, approved_again: 0, not_seen: 1 },
                unknown: Fates { all: 4, let_in: 2, refused: 1, approved_again: 1, not_seen: 0 },
            }
        );
    }
}
