//! Who is locked out by whose failed credentials: behind one address somebody sends a wrong token with his device, somebody
//! sends none, and others send a good token, or their device's.

use std::net::Ipv4Addr;

use protocol::ProfileName;
use serde_json::{Value, json};

use super::fixture::{Case, READ, frame, session_as, stored};
use crate::history::History;
use crate::observation::{Fingerprint, Grant, Observation, Outcome, Refusal, Stamps, fingerprint};
use crate::oracle::refusal::DueRefusal;
use crate::oracle::rules::AskRules;
use crate::oracle::{self, MismatchKind, Release, Verdict};
use crate::plan::identity::Identities;
use crate::plan::{
    Credential, ForwardedFor, Nanos, NetworkPath, Plan, PlannedClient, SignatureVersion, StoredMetadata,
};
use Said::{Bad, In, Locked};
use Who::{ByToken, Good, Missing, Wrong};

const MS: Nanos = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Who {
    Wrong,
    Missing,
    Good,
    ByToken,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Said {
    In,
    Bad,
    Locked,
}

fn plan(profile: ProfileName, limit: Value) -> Plan {
    let mut case = Case::paired().with_gateway(|gateway| {
        gateway.profile = profile;
        if !limit.is_null() {
            gateway.config = json!({"gateway": {"auth": {"rateLimit": limit}}});
        }
    });
    case = case.with_spec(|spec| {
        // Which every release takes.
        spec.signature = SignatureVersion::V2;
        spec.path = NetworkPath::Proxy {
            from: Ipv4Addr::new(127, 2, 0, 1),
            forwarded_for: ForwardedFor::Fixed("203.0.113.50".to_owned()),
            host: None,
        };
    });
    let (cohort, client) = (case.plan.cohorts[0].clone(), case.plan.clients[0].clone());
    let credentials = [
        ("wrong", Credential::WrongToken),
        ("missing", Credential::Missing),
        ("good", Credential::SharedToken),
        ("by-token", Credential::DeviceToken),
    ];
    case.plan.cohorts = credentials
        .into_iter()
        .map(|(name, credential)| {
            let mut cohort = cohort.clone();
            cohort.name = name.to_owned();
            cohort.connect.credential = credential;
            cohort.stored = Some(stored(&["operator"], &[READ], StoredMetadata::Same));
            cohort
        })
        .collect();
    case.plan.clients = (0..4).map(|cohort| PlannedClient { cohort, ..client.clone() }).collect();
    case.plan
}

fn refused(due: DueRefusal) -> Outcome {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let message = due.message.text();
    Outcome::Refused(Refusal {
        code: due.code.to_owned(),
        message: message.to_owned(),
        detail_code: owned(due.detail_code),
        reason: owned(due.reason),
        auth_reason: owned(due.auth_reason),
        next_step: owned(due.next_step),
        request_id: None,
        close: Some(frame(due.close, &message[..message.len().min(120)])),
    })
}

/// The verdicts on attempts a tenth of a second apart.
fn judged(plan: &Plan, attempts: &[(Who, Said)]) -> Vec<Verdict> {
    let identities = Identities::reproducible(plan.seed);
    let release = Release::of(plan.gateway.profile);
    let mut history = History { ended: 1_000_000 * MS, ..History::default() };
    for (number, (who, said)) in (0_u32..).zip(attempts) {
        let client = *who as u32;
        let cohort = &plan.cohorts[client as usize];
        let token = fingerprint(&identities.stored_token(&cohort.name, 0, "operator"));
        let presented_token: Option<Fingerprint> = (*who == ByToken).then_some(token);
        let rules = AskRules::new(&cohort.connect, &plan.gateway, 20_000);
        let variant = rules.variant(presented_token.is_some());
        let outcome = match said {
            In => match session_as("operator", &[READ], token.0) {
                Outcome::Session(grant) => Outcome::Session(Grant { protocol: release.protocol, ..grant }),
                other => other,
            },
            Bad => refused(variant.bad_token),
            Locked => refused(variant.locked_out),
        };
        let sent = u64::from(number) * 100 * MS + 10 * MS;
        let answered = Some(sent + 5 * MS);
        history.attempts.push(Observation {
            client,
            attempt: number,
            ask: 0,
            step: None,
            intended: sent - 2 * MS,
            stamps: Stamps {
                started: Some(sent - 2 * MS),
                dialled: Some(sent - MS),
                upgraded: Some(sent - MS),
                challenged: Some(sent - MS),
                sent: Some(sent),
                answered,
                ended: answered.filter(|_| *said != In),
            },
            presented_token,
            outcome,
        });
    }
    oracle::judge(plan, &identities, &history).attempts
}

/// Attempts of which all are right, and what is wrong with the last one if it is answered otherwise.
fn check(plan: &Plan, attempts: &[(Who, Said)], otherwise: Said, kind: MismatchKind) {
    for (verdict, attempt) in judged(plan, attempts).iter().zip(attempts) {
        assert!(matches!(verdict, Verdict::Match { .. }), "{attempt:?} of {attempts:?}: {verdict:?}");
    }
    let mut wrong = attempts.to_vec();
    if let Some((_, said)) = wrong.last_mut() {
        *said = otherwise;
    }
    match judged(plan, &wrong).last() {
        Some(Verdict::Mismatch(mismatch)) => assert_eq!(mismatch.kind, kind, "{wrong:?}"),
        other => panic!("{wrong:?}: {other:?}"),
    }
}

fn three() -> Value {
    json!({"maxAttempts": 3, "lockoutMs": 4000})
}

/// 2026.9.6 tries a wrong token as the device's, and counts it as both.
#[test]
fn a_wrong_token_with_a_device_counts_twice_on_the_newest() {
    let plan = plan(ProfileName::V2026_9_6, Value::Null);
    let failures = [(Wrong, Bad); 10];
    for who in [ByToken, Good, Wrong] {
        let kind = if who == Wrong { MismatchKind::WrongReason } else { MismatchKind::FalseAccept };
        let otherwise = if who == Wrong { Bad } else { In };
        check(&plan, &[&failures[..], &[(who, Locked)]].concat(), otherwise, kind);
    }
    check(&plan, &[&failures[..9], &[(ByToken, In)]].concat(), Locked, MismatchKind::FalseReject);
}

/// A good shared secret makes only the counter of shared secrets begin again.
#[test]
fn a_success_with_the_secret_leaves_failed_device_tokens_counted() {
    let plan = plan(ProfileName::V2026_9_6, Value::Null);
    let attempts = [&[(Wrong, Bad); 6][..], &[(Good, In)], &[(Wrong, Bad); 4], &[(Wrong, Locked)]].concat();
    check(&plan, &attempts, Bad, MismatchKind::WrongReason);
}

/// While the secret is locked out, a right one is tried as the device's token, and counts as a wrong one of those.
#[test]
fn good_secrets_of_a_locked_out_address_lock_out_its_device_tokens() {
    let mut good = plan(ProfileName::V2026_9_6, three());
    // Nobody's token is tried in its place.
    good.cohorts[Wrong as usize].connect.deviation = crate::plan::Deviation::NoDevice;
    let attempts = [&[(Wrong, Bad); 3][..], &[(Good, Locked); 3], &[(ByToken, Locked)]].concat();
    check(&good, &attempts, In, MismatchKind::FalseAccept);
    let fewer = [&[(Wrong, Bad); 3][..], &[(Good, Locked); 2], &[(ByToken, In)]].concat();
    check(&good, &fewer, Locked, MismatchKind::FalseReject);
}

/// Before, what is tried as the device's token counts as that alone.
#[test]
fn a_wrong_token_with_a_device_counts_as_a_device_token_before() {
    for profile in [ProfileName::V2026_2_19, ProfileName::V2026_3_13] {
        let plan = plan(profile, three());
        let failures = [(Wrong, Bad); 3];
        check(&plan, &[&failures[..], &[(Good, In)]].concat(), Locked, MismatchKind::FalseReject);
        check(&plan, &[&failures[..], &[(ByToken, Locked)]].concat(), In, MismatchKind::FalseAccept);
    }
}

/// A missing token counts until 2026.2.22 although a device is shown, and not afterwards.
#[test]
fn a_missing_token_counts_on_the_older_releases() {
    let failures = [(Missing, Bad); 3];
    for profile in [ProfileName::V2026_2_19, ProfileName::V2026_2_22] {
        let plan = plan(profile, three());
        check(&plan, &[&failures[..], &[(Good, Locked)]].concat(), In, MismatchKind::FalseAccept);
        check(&plan, &[&failures[..], &[(Missing, Locked)]].concat(), Bad, MismatchKind::WrongReason);
    }
    for profile in [ProfileName::V2026_3_13, ProfileName::V2026_9_6] {
        let plan = plan(profile, three());
        check(&plan, &[&failures[..], &[(Good, In)]].concat(), Locked, MismatchKind::FalseReject);
    }
}

/// Nobody is locked out unless that is configured, and never in `article`.
#[test]
fn nobody_is_locked_out_for_nothing() {
    for (profile, limit) in [(ProfileName::V2026_2_19, Value::Null), (ProfileName::Article, three())] {
        let attempts = [&[(Missing, Bad); 20][..], &[(Good, In)]].concat();
        check(&plan(profile, limit), &attempts, Locked, MismatchKind::FalseReject);
    }
}
