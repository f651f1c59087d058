//! What each operator did, and how it ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::history::{History, OperationEnd, OperationKind};
use crate::plan::{Plan, describe_operator};

/// What one operator did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OperatorResult {
    /// Name in the scenario.
    pub name: String,
    /// What it does, in words.
    pub behaviour: String,
    /// Requests that it noticed.
    pub noticed: u64,
    /// Approvals.
    pub approvals: Ends,
    /// Rejections.
    pub rejections: Ends,
    /// Rotations of tokens.
    pub rotations: Ends,
    /// Revocations of tokens.
    pub revocations: Ends,
    /// Removals of devices.
    pub removals: Ends,
}

/// How operations of one kind ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ends {
    /// Acknowledged by the gateway.
    pub acknowledged: u64,
    /// Refused by the gateway, for example because somebody else was faster.
    pub refused: u64,
    /// Without an answer: may have happened or not.
    pub unknown: u64,
}

impl Ends {
    /// All of them.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.acknowledged + self.refused + self.unknown
    }

    const fn count(&mut self, end: &OperationEnd) {
        match end {
            OperationEnd::Done { .. } => self.acknowledged += 1,
            OperationEnd::Refused { .. } => self.refused += 1,
            OperationEnd::Unknown => self.unknown += 1,
        }
    }
}

impl OperatorResult {
    /// What is counted apart, each with its name.
    #[must_use]
    pub const fn kinds(&self) -> [(&'static str, &Ends); 5] {
        [
            ("approvals", &self.approvals),
            ("rejections", &self.rejections),
            ("rotations", &self.rotations),
            ("revocations", &self.revocations),
            ("removals", &self.removals),
        ]
    }
}

/// What the operators of a plan did, in its order. Every part of a run holds all operations and notices.
#[must_use]
pub fn operators(plan: &Plan, history: &History) -> Vec<OperatorResult> {
    let mut results: Vec<OperatorResult> = plan
        .operators
        .iter()
        .map(|operator| OperatorResult {
            name: operator.name.clone(),
            behaviour: describe_operator(operator),
            ..OperatorResult::default()
        })
        .collect();
    for notice in &history.notices {
        if let Some(result) = results.get_mut(usize::from(notice.operator)) {
            result.noticed += 1;
        }
    }
    for operation in &history.operations {
        let Some(result) = results.get_mut(usize::from(operation.operator)) else { continue };
        let ends = match operation.kind {
            OperationKind::Approve { .. } => &mut result.approvals,
            OperationKind::Reject { .. } => &mut result.rejections,
            OperationKind::Rotate { .. } => &mut result.rotations,
            OperationKind::Revoke { .. } => &mut result.revocations,
            OperationKind::Remove => &mut result.removals,
            OperationKind::Edit(_) => continue,
        };
        ends.count(&operation.end);
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::test_support::{MS, Story};

    #[test]
    fn each_operators_deeds_are_counted_by_their_end() {
        let mut story = Story::new(&[("phones", 2)]);
        story.notice(1, 0, "r1", 1);
        story.approve(0, 0, "r1", 5, Some(6));
        story.operation_refused(1, 0, "r1", 5, 7);
        story.approve(1, 1, "r2", 9, None);
        let done = || OperationEnd::Done { at: 20 * MS, token: None };
        story.operation(1, 0, OperationKind::Remove, 10, done());
        story.operation(crate::history::STEPS, 0, OperationKind::Remove, 10, done());
        let [owner, deputy] = &story.result().operators[..] else { panic!("two operators") };
        assert_eq!((owner.noticed, owner.approvals.acknowledged, owner.approvals.sent()), (0, 1, 1));
        assert_eq!((deputy.name.as_str(), deputy.noticed), ("deputy", 1));
        assert_eq!(deputy.approvals, Ends { acknowledged: 0, refused: 1, unknown: 1 });
        assert_eq!((deputy.removals.acknowledged, deputy.rotations.sent()), (1, 0));
    }
}
