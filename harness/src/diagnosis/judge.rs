//! From a client in trouble to a diagnosis: the rules in their order, and what is said when none of them holds.

use super::answer::{Confidence, Diagnosis, Exhibit};
use super::case::{Case, describe};
use super::cures::{self, Facts};
use super::evidence::{ClientEvidence, GatewayEvidence};
use super::loops::{LOOP_ATTEMPTS, Loop};
use super::rules::{Finding, RULES, Rule};
use crate::vocabulary::cause::Cause;

/// Why a client does not get in, or did not for a while; `None` = nothing is wrong with it.
#[must_use]
pub fn diagnose(gateway: &GatewayEvidence, client: &ClientEvidence) -> Option<Diagnosis> {
    Some(Found::of(gateway, client)?.explain())
}

/// The cause alone, without what is told about it.
#[must_use]
pub fn cause_of(gateway: &GatewayEvidence, client: &ClientEvidence) -> Option<Cause> {
    Some(Found::of(gateway, client)?.cause())
}

/// What was found of a client, before it is told.
pub(crate) struct Found<'a> {
    case: Case<'a>,
    finding: Finding,
}

impl<'a> Found<'a> {
    /// `None` = nothing is wrong with it.
    pub(crate) fn of(gateway: &'a GatewayEvidence, client: &'a ClientEvidence) -> Option<Self> {
        Self::by(&RULES, gateway, client)
    }

    pub(super) fn by(
        rules: &[(Cause, Rule)],
        gateway: &'a GatewayEvidence,
        client: &'a ClientEvidence,
    ) -> Option<Self> {
        let mut case = Case::new(gateway, client)?;
        let mut finding = first(rules, &case);
        if finding.is_none() && case.keep_alike() {
            // Nothing explains what took turns; the last answers alone may be explained, and no more is claimed.
            finding = first(rules, &case).map(|finding| Finding {
                confidence: Confidence::Possible,
                missing: [finding.missing, vec!["why it was answered otherwise before".to_owned()]].concat(),
                ..finding
            });
        }
        let finding = finding.unwrap_or_else(|| nothing(&case));
        Some(Self { case, finding })
    }

    pub(crate) const fn cause(&self) -> Cause {
        self.finding.cause
    }

    /// Whether what it met may well be over: it has not tried since the gateway is there again.
    pub(crate) fn is_outage_over(&self) -> bool {
        self.case.outage_is_over()
    }

    pub(crate) const fn row(&self) -> &Loop {
        &self.case.row
    }

    pub(crate) fn explain(self) -> Diagnosis {
        let Self { case, finding } = self;
        let mut evidence: Vec<Exhibit> = case.exhibits();
        evidence.extend(finding.exhibits);
        Diagnosis {
            cause: finding.cause,
            confidence: finding.confidence,
            why: finding.why,
            evidence,
            excluded: finding.excluded,
            missing: finding.missing,
            cures: cures::of(finding.cause, &Facts::of(&case)),
        }
    }
}

fn first(rules: &[(Cause, Rule)], case: &Case<'_>) -> Option<Finding> {
    rules.iter().find_map(|(_, rule)| rule(case))
}

/// No rule explains it: what would have to be known.
fn nothing(case: &Case<'_>) -> Finding {
    let mut missing = Vec::new();
    if case.row.attempts < LOOP_ATTEMPTS as u64 {
        missing.push("more attempts: a few seconds more of log, or of the run".to_owned());
    }
    if case.row.classes.len() > 1 {
        missing.push("which of the answers is the one that lasts: they take turns".to_owned());
    }
    if case.client.log.is_empty() && case.gateway.log.is_empty() {
        missing.push("the gateway's log of the same time".to_owned());
    }
    if case.client.entry.is_none() {
        missing.push("the gateway's entry of this device (`openclaw devices list --json`)".to_owned());
    }
    if missing.is_empty() {
        missing.push("an answer that names a cause".to_owned());
    }
    let seen = case.last().map_or_else(|| "nothing is known of its attempts".to_owned(), describe);
    Finding {
        cause: Cause::CannotTell,
        confidence: Confidence::Possible,
        why: format!("no single cause explains all that is known; the last attempt was {seen}"),
        exhibits: Vec::new(),
        excluded: Vec::new(),
        missing,
    }
}
