//! What was seen at each step of a book, and where it differs: from what the oracle allows, or between two gateways.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::history::{EndedBy, History, Operation, OperationEnd, OperationKind, STEPS};
use crate::observation::{CloseSeen, Fingerprint, Observation, Outcome};
use crate::oracle::{Judgement, Verdict};
use crate::plan::{ClientId, CohortId, Plan, Step};

/// Something that is not as it should be at one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Position in the plan's cohorts: the tale.
    pub cohort: CohortId,
    /// Position in the plan's steps.
    pub step: usize,
    /// What should be, and what is.
    pub what: String,
}

/// Steps whose outcome the oracle does not allow; `of` names the gateway.
#[must_use]
pub fn faults(plan: &Plan, history: &History, judgement: &Judgement, of: &str) -> Vec<Difference> {
    let records = Records::new(plan, history);
    let mut found = Vec::new();
    for (step, position) in &records.attempts {
        let (Some(attempt), Some(Verdict::Mismatch(mismatch))) =
            (history.attempts.get(*position), judgement.attempts.get(*position))
        else {
            continue;
        };
        found.push(Difference {
            cohort: cohort_of(plan, attempt.client),
            step: *step,
            what: format!(
                "{of}: {}: expected {}, saw {}: {}",
                mismatch.kind.as_str(),
                mismatch.expected.join(" or "),
                mismatch.observed,
                mismatch.why
            ),
        });
    }
    for finding in &judgement.session_ends {
        let Some(end) = history.session_ends.get(finding.session_end) else { continue };
        let step = records.step_of_attempt(end.client, end.attempt).unwrap_or_default();
        found.push(Difference {
            cohort: cohort_of(plan, end.client),
            step,
            what: format!("{of}: {}", finding.why),
        });
    }
    found.sort_by_key(|difference| difference.step);
    found
}

/// Attempts that the oracle could not judge.
#[must_use]
pub fn not_judged(judgement: &Judgement) -> usize {
    judgement.attempts.iter().filter(|verdict| matches!(verdict, Verdict::Indeterminate { .. })).count()
}

/// Steps at which two gateways that were told the same plan did not do the same.
#[must_use]
pub fn differences(plan: &Plan, ours: &History, theirs: &History) -> Vec<Difference> {
    let (ours, theirs) = (seen(plan, ours), seen(plan, theirs));
    let mut found = Vec::new();
    for (step, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        if ours.what != theirs.what {
            found.push(Difference {
                cohort: ours.cohort,
                step,
                what: format!("in-repo: {}\n    real:    {}", ours.what, theirs.what),
            });
        }
    }
    found
}

/// What was seen at one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The tale.
    pub cohort: CohortId,
    /// In words, request ids and tokens numbered in the order of the tale.
    pub what: String,
}

/// What was seen at each step of the plan.
#[must_use]
pub fn seen(plan: &Plan, history: &History) -> Vec<Seen> {
    let records = Records::new(plan, history);
    let mut names: HashMap<CohortId, Names> = HashMap::new();
    let mut cohort = 0;
    (plan.steps.iter().enumerate())
        .map(|(position, step)| {
            cohort = client_of(step).map_or(cohort, |client| cohort_of(plan, client));
            let names = names.entry(cohort).or_default();
            let what = match step {
                Step::Connect(_) => records
                    .attempts
                    .get(&position)
                    .and_then(|at| history.attempts.get(*at))
                    .map(|attempt| attempt_words(plan, history, position, attempt, names)),
                Step::Act { .. } | Step::Edit { .. } => records
                    .operations
                    .get(&position)
                    .and_then(|at| history.operations.get(*at))
                    .map(|operation| operation_words(operation, names)),
                Step::Leave(_) | Step::Fault(_) | Step::Wait(_) => Some(String::new()),
            };
            Seen { cohort, what: what.unwrap_or_else(|| "nothing: the story did not get here".to_owned()) }
        })
        .collect()
}

/// Where the record of each step stands in the history, by the step's position.
struct Records {
    attempts: std::collections::BTreeMap<usize, usize>,
    operations: HashMap<usize, usize>,
    by_attempt: HashMap<(ClientId, u32), usize>,
}

impl Records {
    fn new(plan: &Plan, history: &History) -> Self {
        let numbers: HashMap<(ClientId, u32), usize> = (history.attempts.iter().enumerate())
            .map(|(position, attempt)| ((attempt.client, attempt.attempt), position))
            .collect();
        let mut done: Vec<usize> = (history.operations.iter().enumerate())
            .filter(|(_, operation)| operation.operator == STEPS)
            .map(|(position, _)| position)
            .collect();
        done.sort_by_key(|position| history.operations.get(*position).map(|operation| operation.invoked));
        let mut done = done.into_iter();
        let mut records =
            Self { attempts: Default::default(), operations: HashMap::new(), by_attempt: HashMap::new() };
        let mut next: HashMap<ClientId, u32> = HashMap::new();
        for (step, kind) in plan.steps.iter().enumerate() {
            match kind {
                Step::Connect(connect) => {
                    let number = next.entry(connect.client).or_default();
                    records.by_attempt.insert((connect.client, *number), step);
                    if let Some(position) = numbers.get(&(connect.client, *number)) {
                        records.attempts.insert(step, *position);
                    }
                    *number += 1;
                }
                Step::Act { .. } | Step::Edit { .. } => {
                    if let Some(position) = done.next() {
                        records.operations.insert(step, position);
                    }
                }
                Step::Leave(_) | Step::Fault(_) | Step::Wait(_) => {}
            }
        }
        records
    }

    fn step_of_attempt(&self, client: ClientId, attempt: u32) -> Option<usize> {
        self.by_attempt.get(&(client, attempt)).copied()
    }
}

fn client_of(step: &Step) -> Option<ClientId> {
    use crate::plan::{Action, Request};
    match step {
        Step::Connect(connect) => Some(connect.client),
        Step::Leave(client) | Step::Edit { client, .. } => Some(*client),
        Step::Act { action, by } => match action {
            Action::Approve(Request::Of(client))
            | Action::Reject(Request::Of(client))
            | Action::Remove(client)
            | Action::Rotate { client, .. }
            | Action::Revoke { client, .. } => Some(*client),
            Action::Approve(Request::Latest) | Action::Reject(Request::Latest) => *by,
        },
        Step::Fault(_) | Step::Wait(_) => None,
    }
}

fn cohort_of(plan: &Plan, client: ClientId) -> CohortId {
    plan.clients.get(client as usize).map_or(0, |client| client.cohort)
}

/// Request ids and tokens of one tale, numbered in the order in which they were seen.
#[derive(Default)]
struct Names {
    ids: Vec<String>,
    tokens: Vec<Fingerprint>,
}

impl Names {
    fn id(&mut self, id: &str) -> usize {
        if let Some(at) = self.ids.iter().position(|known| known == id) {
            return at + 1;
        }
        self.ids.push(id.to_owned());
        self.ids.len()
    }

    fn token(&mut self, token: Fingerprint) -> usize {
        if let Some(at) = self.tokens.iter().position(|known| *known == token) {
            return at + 1;
        }
        self.tokens.push(token);
        self.tokens.len()
    }

    /// A text of the gateway with the ids in it replaced by their numbers. A close reason may be cut within an id.
    fn plain(&self, text: &str) -> String {
        let mut plain = text.to_owned();
        for (number, id) in (1..).zip(&self.ids) {
            plain = plain.replace(id, &format!("<request {number}>"));
            if let Some(at) = plain.find("(requestId: ") {
                let from = at + "(requestId: ".len();
                let cut = plain.get(from..).unwrap_or_default();
                if cut.len() >= 4 && id.starts_with(cut) {
                    plain.replace_range(from.., &format!("<request {number}, cut to {}>", cut.len()));
                }
            }
        }
        plain
    }
}

fn attempt_words(
    plan: &Plan,
    history: &History,
    step: usize,
    attempt: &Observation,
    names: &mut Names,
) -> String {
    let mut words = attempt.outcome.word().to_owned();
    match &attempt.outcome {
        Outcome::Session(grant) => {
            let _ = write!(words, " protocol {}", grant.protocol);
            match &grant.auth {
                None => words.push_str(", no auth"),
                Some(auth) => {
                    let _ = write!(words, ", role {} [{}]", auth.role, auth.scopes.join(" "));
                    match auth.token {
                        None => words.push_str(", no token"),
                        Some(token) => {
                            let _ = write!(words, ", token {}", names.token(token));
                        }
                    }
                }
            }
            words.push_str(&end_words(plan, history, step, attempt));
        }
        Outcome::Refused(refusal) => {
            let id = refusal.request_id.as_deref().map(|id| names.id(id));
            let _ = write!(words, " {} {:?}", refusal.code, names.plain(&refusal.message));
            let details = [
                ("code", &refusal.detail_code),
                ("reason", &refusal.reason),
                ("authReason", &refusal.auth_reason),
                ("next", &refusal.next_step),
            ];
            for (key, value) in details {
                if let Some(value) = value {
                    let _ = write!(words, " {key}={value}");
                }
            }
            if let Some(id) = id {
                let _ = write!(words, " request {id}");
            }
            let close = refusal.close.as_ref().map(|close| close_words(close, names));
            let _ = write!(words, ", {}", close.unwrap_or_else(|| "no close".to_owned()));
        }
        Outcome::UpgradeRefused { status, body } => {
            let _ = write!(words, " {status} {body:?}");
        }
        Outcome::Closed(closed) => {
            let _ =
                write!(words, " {} awaiting {}", close_words(&closed.close, names), closed.phase.as_str());
        }
        Outcome::TimedOut { phase } => {
            let _ = write!(words, " {}", phase.as_str());
        }
        Outcome::NotAGateway { what } => {
            let _ = write!(words, " {what}");
        }
        Outcome::ConnectionRefused | Outcome::Unreachable { .. } | Outcome::Dropped(_) => {}
    }
    words
}

/// How a session that was held ended, if the gateway ended it. Says nothing of one that its client was told to leave right
/// after something was done to the device: who was faster is nobody's fault.
fn end_words(plan: &Plan, history: &History, step: usize, attempt: &Observation) -> String {
    let later = plan.steps.get(step + 1..).unwrap_or_default();
    let leaves = later.iter().any(|step| matches!(step, Step::Leave(client) if *client == attempt.client));
    let end = history
        .session_ends
        .iter()
        .find(|end| (end.client, end.attempt) == (attempt.client, attempt.attempt));
    match end.map(|end| &end.by) {
        Some(EndedBy::Gateway(close)) if !leaves => {
            format!("; ended by the gateway: {}", close_words(close, &Names::default()))
        }
        _ => String::new(),
    }
}

fn close_words(close: &CloseSeen, names: &Names) -> String {
    match close {
        CloseSeen::Frame { code, reason } => format!("close {code} {:?}", names.plain(reason)),
        CloseSeen::Abrupt => "no close frame".to_owned(),
    }
}

fn operation_words(operation: &Operation, names: &mut Names) -> String {
    let subject = match &operation.kind {
        OperationKind::Approve { request_id } | OperationKind::Reject { request_id } => {
            format!("request {}: ", names.id(request_id))
        }
        _ => String::new(),
    };
    let end = match &operation.end {
        OperationEnd::Done { token: None, .. } => "done".to_owned(),
        OperationEnd::Done { token: Some(token), .. } => format!("done, token {}", names.token(*token)),
        OperationEnd::Refused { code, message, .. } => format!("refused {code} {:?}", names.plain(message)),
        OperationEnd::Unknown => "no answer".to_owned(),
    };
    format!("{subject}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Grant, GrantAuth, Refusal, Stamps};
    use crate::plan::{Overrides, unfold};
    use crate::scenario;

    const STORY: &str = r#"
name = "x"
[cohort.a]
persona = "cli"
count = 1
[[step]]
connect = "a"
[[step]]
approve = "a"
[[step]]
connect = "a"
hold = true
[[step]]
remove = "a"
"#;

    fn plan() -> Plan {
        let scenario = scenario::parse("x.toml", STORY, &[]).unwrap();
        unfold(&scenario, &Overrides::default()).unwrap()
    }

    fn attempt(number: u32, outcome: Outcome) -> Observation {
        let stamps = Stamps::default();
        Observation {
            client: 0,
            attempt: number,
            ask: 0,
            step: None,
            intended: 0,
            stamps,
            presented_token: None,
            outcome,
        }
    }

    fn operation(invoked: u64, kind: OperationKind) -> Operation {
        let end = OperationEnd::Done { at: invoked + 1, token: None };
        Operation { operator: STEPS, caller: None, client: Some(0), kind, invoked, end }
    }

    /// What a gateway did that gave this id and this token.
    fn history(id: &str, token: u64, scopes: &[&str]) -> History {
        let refusal = Refusal {
            code: "NOT_PAIRED".to_owned(),
            message: "pairing required".to_owned(),
            detail_code: None,
            reason: Some("not-paired".to_owned()),
            auth_reason: None,
            next_step: None,
            request_id: Some(id.to_owned()),
            close: Some(CloseSeen::Frame {
                code: 1008,
                reason: format!("pairing required (requestId: {}", &id[..8]),
            }),
        };
        let auth = GrantAuth {
            role: "operator".to_owned(),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            token: Some(Fingerprint(token)),
        };
        History {
            attempts: vec![
                attempt(1, Outcome::Session(Grant { protocol: 3, auth: Some(auth) })),
                attempt(0, Outcome::Refused(refusal)),
            ],
            operations: vec![
                operation(30, OperationKind::Remove),
                operation(10, OperationKind::Approve { request_id: id.to_owned() }),
            ],
            session_ends: vec![crate::history::SessionEnd {
                client: 0,
                attempt: 1,
                at: 40,
                by: EndedBy::Gateway(CloseSeen::Frame { code: 4001, reason: "device removed".to_owned() }),
            }],
            ..History::default()
        }
    }

    const ONE: &str = "11111111-2222-4333-8444-555555555555";
    const OTHER: &str = "99999999-2222-4333-8444-555555555555";

    #[test]
    fn steps_are_told_without_what_may_differ() {
        let seen: Vec<String> =
            seen(&plan(), &history(ONE, 7, &["operator.read"])).into_iter().map(|seen| seen.what).collect();
        insta::assert_snapshot!(seen.join("\n"), @r#"
        refused NOT_PAIRED "pairing required" reason=not-paired request 1, close 1008 "pairing required (requestId: <request 1, cut to 8>"
        request 1: done
        session protocol 3, role operator [operator.read], token 1; ended by the gateway: close 4001 "device removed"
        done
        "#);
    }

    #[test]
    fn only_what_matters_is_a_difference() {
        let plan = plan();
        let ours = history(ONE, 7, &["operator.read"]);
        assert_eq!(differences(&plan, &ours, &history(OTHER, 9, &["operator.read"])), []);
        let wider = differences(&plan, &ours, &history(OTHER, 9, &["operator.admin"]));
        assert_eq!(wider.iter().map(|it| it.step).collect::<Vec<_>>(), [2]);
        let mut cut_short = history(OTHER, 9, &["operator.read"]);
        cut_short.operations.clear();
        cut_short.session_ends.clear();
        let missing = differences(&plan, &ours, &cut_short);
        assert_eq!(missing.iter().map(|it| it.step).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
