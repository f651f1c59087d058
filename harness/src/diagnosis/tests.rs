//! One case a cause at least, as a log, a run or a probe would know it; and that the score notices when the answers are worse.

use super::answer::Confidence;
use super::evidence::{
    Act, ActEnd, ActKind, Answer, Attempt, ClientEvidence, CredentialKind, Entry, Forwarded, GatewayEvidence,
    LogLine, RefusalSeen,
};
use super::judge::Found;
use super::rules::{RULES, Rule};
use super::score::Score;
use super::{Cause, cause_of, diagnose};
use protocol::ProfileName;

const SECOND: u64 = 1_000_000_000;

struct Labelled {
    cause: Cause,
    gateway: GatewayEvidence,
    client: ClientEvidence,
}

/// A client that was answered the same every second, `times` times from the second `from` on.
fn again(answer: &Answer, from: u64, times: u64) -> Vec<Attempt> {
    (from..from + times).map(|second| attempt(second, answer.clone())).collect()
}

fn attempt(second: u64, answer: Answer) -> Attempt {
    Attempt {
        at: second * SECOND,
        ended: Some(second * SECOND + SECOND / 10),
        credential: Some(CredentialKind::Shared),
        scopes: Some(vec!["operator.read".to_owned(), "operator.write".to_owned()]),
        forwarded: Some(Forwarded::Absent),
        peer: Some("127.1.0.1".parse().unwrap()),
        answer,
        ..Attempt::default()
    }
}

fn refused(code: &str, message: &str) -> Answer {
    let detail_code = (!code.is_empty()).then(|| code.to_owned());
    let refusal = RefusalSeen { message: message.to_owned(), detail_code, ..RefusalSeen::default() };
    Answer::Refused(Box::new(refusal))
}

fn pairing(reason: &str) -> Answer {
    let refusal = RefusalSeen {
        message: "pairing required".to_owned(),
        detail_code: Some("PAIRING_REQUIRED".to_owned()),
        reason: (!reason.is_empty()).then(|| reason.to_owned()),
        request_id: Some("r1".to_owned()),
        ..RefusalSeen::default()
    };
    Answer::Refused(Box::new(refusal))
}

const fn session() -> Answer {
    Answer::Session { scopes: None }
}

fn http(status: u16, body: &str) -> Answer {
    Answer::Http { status, body: body.to_owned() }
}

fn closed(code: u16, reason: &str) -> Answer {
    Answer::Closed { code, reason: reason.to_owned(), upgraded: true }
}

fn done(second: u64, kind: ActKind) -> Act {
    let at = second * SECOND;
    Act { at, ended: Some(at + SECOND / 100), kind, end: ActEnd::Done, state_dir: None }
}

fn approved(second: u64) -> Act {
    done(second, ActKind::Approve { request_id: Some("r1".to_owned()) })
}

fn holds(scopes: &[&str]) -> Option<Option<Entry>> {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    Some(Some(Entry { scopes: Some(scopes), roles: Some(vec!["operator".to_owned()]), ..Entry::default() }))
}

fn gateway() -> GatewayEvidence {
    GatewayEvidence {
        release: Some(ProfileName::V2026_3_13),
        ends: 60 * SECOND,
        ..GatewayEvidence::default()
    }
}

fn client(attempts: Vec<Attempt>) -> ClientEvidence {
    ClientEvidence { name: "c".to_owned(), attempts, ..ClientEvidence::default() }
}

fn behind(entries: &[&str], release: ProfileName) -> (GatewayEvidence, ClientEvidence) {
    let mut gateway = GatewayEvidence { release: Some(release), ..gateway() };
    gateway.config.trusted_proxies = Some(entries.iter().map(|entry| (*entry).to_owned()).collect());
    let mut attempts = again(&pairing("not-paired"), 0, 4);
    for attempt in &mut attempts {
        attempt.peer = Some("172.17.0.1".parse().unwrap());
        attempt.forwarded = Some(Forwarded::Present("203.0.113.7".to_owned()));
    }
    (gateway, client(attempts))
}

/// Refused four times with a device token of its own.
fn by_token(answer: &Answer, from: u64) -> Vec<Attempt> {
    let mut attempts = again(answer, from, 4);
    attempts.iter_mut().for_each(|attempt| attempt.credential = Some(CredentialKind::DeviceToken));
    attempts
}

/// Closed at once and without a word, after it had sent something or nothing.
fn silently_closed(sent: bool) -> Vec<Attempt> {
    let mut attempts = again(&closed(1000, ""), 0, 3);
    attempts.iter_mut().for_each(|attempt| attempt.sent = Some(sent));
    attempts
}

/// Neither a device nor a credential.
fn shows_nothing(role: &str) -> Vec<Attempt> {
    let mut attempts = again(&refused("DEVICE_IDENTITY_REQUIRED", "device identity required"), 0, 3);
    for attempt in &mut attempts {
        (attempt.device, attempt.credential) = (Some(false), Some(CredentialKind::Missing));
        attempt.role = Some(role.to_owned());
    }
    attempts
}

fn of(cause: Cause, client: ClientEvidence) -> Labelled {
    Labelled { cause, gateway: gateway(), client }
}

fn cases() -> Vec<Labelled> {
    let plain = |cause, answer: Answer| of(cause, client(again(&answer, 0, 4)));
    let with = |cause, client: ClientEvidence, change: &dyn Fn(&mut ClientEvidence)| {
        let mut client = client;
        change(&mut client);
        of(cause, client)
    };
    let restarted = |cause, client, second: u64| Labelled {
        gateway: GatewayEvidence { restarts: vec![second * SECOND], ..gateway() },
        ..of(cause, client)
    };
    let then = |first: Answer, answer: Answer| {
        let mut attempts = vec![attempt(0, first)];
        attempts.extend(again(&answer, 5, 4));
        client(attempts)
    };
    let mut late = again(&closed(1000, ""), 0, 3);
    late.iter_mut().for_each(|attempt| attempt.ended = Some(attempt.at + 3 * SECOND));
    let mut device =
        then(session(), refused("AUTH_DEVICE_TOKEN_MISMATCH", "unauthorized: device token mismatch"));
    device.attempts.iter_mut().for_each(|attempt| attempt.credential = Some(CredentialKind::DeviceToken));
    let mut lost_by_token = device.clone();
    lost_by_token.acts.clear();
    let device_mismatch = refused(
        "AUTH_DEVICE_TOKEN_MISMATCH",
        "unauthorized: device token mismatch (rotate/reissue device token)",
    );
    let rotate = |scopes: &[&str]| ActKind::Rotate {
        role: Some("operator".to_owned()),
        scopes: Some(scopes.iter().map(|scope| (*scope).to_owned()).collect()),
    };
    let (article, cidr) = behind(&["172.17.0.0/16"], ProfileName::Article);
    let (release, ranged) = behind(&["172.17.0.0/16"], ProfileName::V2026_3_13);
    let (none, untrusted) = behind(&["10.0.0.1"], ProfileName::V2026_3_13);
    let mut cases = vec![
        plain(Cause::WrongUrl, Answer::ConnectionRefused),
        plain(Cause::WrongUrl, Answer::NotAGateway("it speaks SSH".to_owned())),
        plain(Cause::WrongUrl, http(404, "")),
        plain(Cause::GatewayStarting, http(503, "Gateway websocket admission closed")),
        restarted(Cause::GatewayStarting, then(session(), Answer::ConnectionRefused), 60),
        // Who was never in may have the wrong URL, whatever the gateway does.
        restarted(Cause::WrongUrl, client(again(&Answer::ConnectionRefused, 0, 3)), 60),
        plain(Cause::ProtocolMismatch, refused("PROTOCOL_MISMATCH", "protocol mismatch")),
        plain(Cause::ProtocolMismatch, closed(1002, "protocol mismatch")),
        plain(Cause::ClockSkew, refused("DEVICE_AUTH_SIGNATURE_EXPIRED", "device signature expired")),
        plain(Cause::BrokenHandshake, refused("DEVICE_AUTH_NONCE_MISMATCH", "device nonce mismatch")),
        plain(Cause::BrokenHandshake, refused("", "invalid connect params: at /client/id")),
        of(Cause::BrokenHandshake, client(silently_closed(true))),
        of(Cause::HandshakeTimeout, client(late)),
        // It said nothing, and a gateway that waits for less than any release closed.
        of(Cause::HandshakeTimeout, client(silently_closed(false))),
        plain(Cause::HandshakeTimeout, Answer::TimedOut { dialled: true }),
        plain(Cause::SocketBudget, http(503, "Too many unauthenticated sockets")),
        plain(Cause::ProxyAttribution, http(403, "{\"error\":{\"type\":\"proxy_attribution_required\"}}")),
        plain(Cause::Origin, refused("CONTROL_UI_ORIGIN_NOT_ALLOWED", "origin not allowed (open …)")),
        plain(Cause::Origin, refused("", "origin not allowed (open …)")),
        plain(
            Cause::InsecureContext,
            refused("CONTROL_UI_DEVICE_IDENTITY_REQUIRED", "control ui requires …"),
        ),
        plain(Cause::TokenDrift, refused("AUTH_TOKEN_MISMATCH", "unauthorized: gateway token mismatch")),
        // What 2026.2.19 says of a wrong shared token.
        plain(
            Cause::TokenDrift,
            refused("", "unauthorized: device token mismatch (rotate/reissue device token)"),
        ),
        of(Cause::TokenDrift, client(shows_nothing("operator"))),
        of(Cause::BrokenHandshake, client(shows_nothing("node"))),
        of(
            Cause::TokenDrift,
            client(
                [
                    again(&refused("AUTH_TOKEN_MISMATCH", "unauthorized: gateway token mismatch"), 0, 10),
                    again(&refused("AUTH_RATE_LIMITED", "unauthorized: too many failed"), 10, 5),
                ]
                .concat(),
            ),
        ),
        plain(Cause::RateLimitedNeighbour, refused("AUTH_RATE_LIMITED", "unauthorized: too many failed")),
        with(Cause::StaleDeviceToken, device, &|client| {
            client.acts.push(done(2, ActKind::Rotate { role: None, scopes: None }));
        }),
        plain(
            Cause::BootstrapSpent,
            refused("AUTH_BOOTSTRAP_TOKEN_INVALID", "unauthorized: setup code invalid"),
        ),
        plain(Cause::NotApproved, pairing("not-paired")),
        with(Cause::NotApproved, then(session(), pairing("not-paired")), &|client| {
            client.acts.push(done(2, ActKind::Remove));
        }),
        with(
            Cause::NotApproved,
            client([vec![attempt(0, session())], by_token(&device_mismatch, 5)].concat()),
            &|client| client.acts.push(done(2, ActKind::Remove)),
        ),
        with(Cause::PausedClient, client(again(&pairing("not-paired"), 0, 1)), &|client| {
            client.acts.push(approved(5));
        }),
        with(Cause::ApprovedElsewhere, client(again(&pairing("not-paired"), 0, 6)), &|client| {
            client.acts.push(approved(2));
        }),
        with(Cause::ApprovedElsewhere, client(again(&pairing("not-paired"), 0, 6)), &|client| {
            let end = ActEnd::Refused("unknown requestId".to_owned());
            client.acts.push(Act { end, ..approved(2) });
        }),
        // Approved, unknown, approved, unknown: whoever takes the entry out.
        with(Cause::ApprovedElsewhere, client(again(&pairing("not-paired"), 0, 6)), &|client| {
            for second in [1, 3] {
                client.acts.push(approved(second));
                client.acts.push(done(second, ActKind::Edit { scopes: None }));
            }
        }),
        with(Cause::NarrowRotation, then(session(), pairing("scope-upgrade")), &|client| {
            client.entry = holds(&["operator.read", "operator.write"]);
            client.acts.push(done(2, rotate(&["operator.read"])));
        }),
        with(Cause::ReadOnlyPoisoned, then(session(), pairing("scope-upgrade")), &|client| {
            client.entry = holds(&["operator.read"]);
            client.attempts[0].scopes = Some(vec!["operator.read".to_owned()]);
        }),
        // Somebody may have approved just that.
        with(Cause::ScopeLadder, client(again(&pairing("scope-upgrade"), 0, 4)), &|client| {
            client.entry = holds(&["operator.read"]);
        }),
        // A token that is the right one and too narrow, before there was a code for that.
        with(Cause::ScopeLadder, client(by_token(&device_mismatch, 0)), &|client| {
            client.entry = holds(&["operator.read"]);
        }),
        // Neither roles nor scopes: the gateway looks at the role first.
        with(Cause::ScopeLadder, client(again(&pairing("role-upgrade"), 0, 4)), &|client| {
            client.entry =
                Some(Some(Entry { roles: Some(vec![]), scopes: Some(vec![]), ..Entry::default() }));
        }),
        with(Cause::Role, client(again(&pairing("role-upgrade"), 0, 4)), &|client| {
            client.entry = holds(&["operator.read"]);
        }),
        with(Cause::ScopeLadder, client(again(&pairing("scope-upgrade"), 0, 4)), &|client| {
            client.entry = holds(&["operator.admin", "operator.approvals", "operator.pairing"]);
        }),
        // 2026.2.19 tells the reason to its log only.
        with(Cause::ScopeLadder, client(again(&pairing(""), 0, 4)), &|client| {
            let text =
                "security audit: device access upgrade requested reason=scope-upgrade device=…".to_owned();
            client.log.push(LogLine { at: SECOND, text });
        }),
        plain(Cause::Role, pairing("role-upgrade")),
        plain(Cause::MetadataPin, pairing("metadata-upgrade")),
        Labelled { gateway: article, ..of(Cause::CidrIgnored, cidr) },
        // Releases read ranges: there it is an approval that is missing.
        Labelled { gateway: release, ..of(Cause::NotApproved, ranged) },
        Labelled { gateway: none, ..of(Cause::UntrustedProxy, untrusted) },
        restarted(Cause::LostStore, then(session(), pairing("not-paired")), 3),
        restarted(Cause::LostStore, lost_by_token, 3),
        with(Cause::LostStore, then(session(), pairing("not-paired")), &|client| {
            client.acts.push(done(2, ActKind::Edit { scopes: None }));
        }),
        with(Cause::LostStore, client(again(&pairing("not-paired"), 0, 4)), &|client| {
            client.acts.push(approved(1));
            client.acts.push(done(1, ActKind::Edit { scopes: None }));
        }),
        // An approval that a restart lost was given where it belongs.
        restarted(Cause::LostStore, client(again(&pairing("not-paired"), 0, 6)), 3),
        plain(Cause::CannotTell, refused("", "the moon is full")),
    ];
    let approved_then_lost = cases.len() - 2;
    // No refusal comes between approval and restart: one would say that the approval never took.
    cases[approved_then_lost].client.acts.push(approved(2));
    cases
}

fn scored(rules: &[(Cause, Rule)], rotate_labels: usize) -> Score {
    let cases = cases();
    let mut score = Score::default();
    for (number, case) in cases.iter().enumerate() {
        let label = cases[(number + rotate_labels) % cases.len()].cause;
        let found = Found::by(rules, &case.gateway, &case.client).map(|found| found.cause());
        score.add(&number.to_string(), Some(label), found);
    }
    score
}

#[test]
fn every_cause_is_found_where_it_is() {
    let score = scored(&RULES, 0);
    assert!(score.wrong().is_empty(), "{}", score.markdown());
    for cause in Cause::ALL {
        assert!(cases().iter().any(|case| case.cause == cause), "no case of {cause}");
    }
}

#[test]
fn the_score_is_worse_without_any_one_rule_and_with_labels_that_are_not_theirs() {
    let right = scored(&RULES, 0).right();
    for (cause, _) in RULES {
        let without: Vec<(Cause, Rule)> = RULES.into_iter().filter(|(other, _)| *other != cause).collect();
        assert!(scored(&without, 0).right() < right, "nothing misses the rule of {cause}");
    }
    assert!(scored(&RULES, 7).right() < right / 2);
}

#[test]
fn every_answer_names_what_shows_it_and_a_way_out() {
    for case in cases() {
        let diagnosis = diagnose(&case.gateway, &case.client).unwrap();
        assert!(!diagnosis.evidence.is_empty() && !diagnosis.why.is_empty(), "{diagnosis:?}");
        assert!(diagnosis.cures.iter().all(|cure| !cure.commands.is_empty()), "{diagnosis:?}");
        assert!(!diagnosis.cures.is_empty(), "{diagnosis:?}");
        assert_eq!(
            diagnosis.cause == Cause::CannotTell,
            !diagnosis.missing.is_empty() && diagnosis.excluded.is_empty()
        );
    }
}

#[test]
fn whoever_is_well_has_no_diagnosis() {
    let well = |attempts| cause_of(&gateway(), &client(attempts));
    assert_eq!(well(Vec::new()), None);
    assert_eq!(well(again(&session(), 0, 5)), None);
    // Two refusals before a session are no loop, three are; it is over.
    let before = |refusals| {
        let mut attempts = again(&pairing("not-paired"), 0, refusals);
        attempts.push(attempt(9, session()));
        attempts
    };
    assert_eq!(well(before(2)), None);
    assert_eq!(well(before(3)), Some(Cause::NotApproved));
    assert_eq!(well(again(&Answer::Unknown, 0, 5)), None);
}

#[test]
fn a_restart_in_the_midst_does_not_hide_the_cause() {
    let drift = refused("AUTH_TOKEN_MISMATCH", "unauthorized: gateway token mismatch");
    let attempts =
        [again(&drift, 0, 3), again(&Answer::ConnectionRefused, 3, 2), again(&drift, 5, 3)].concat();
    assert_eq!(cause_of(&gateway(), &client(attempts.clone())), Some(Cause::TokenDrift));
    let gone = [attempts, again(&Answer::ConnectionRefused, 8, 3)].concat();
    assert_eq!(cause_of(&gateway(), &client(gone)), Some(Cause::WrongUrl));
}

/// A restart loses nothing of whom the gateway refused in the same way before, and a rotation of 2026.2.21 widens no device.
#[test]
fn a_restart_and_a_rotation_explain_only_what_they_changed() {
    let gateway =
        GatewayEvidence { release: Some(ProfileName::V2026_2_21), restarts: vec![3 * SECOND], ..gateway() };
    let mut client = client(again(&pairing(""), 1, 5));
    client.entry = holds(&["operator.admin", "operator.approvals", "operator.pairing"]);
    let scopes = ["operator.read", "operator.write"].map(str::to_owned).to_vec();
    client.acts.push(done(2, ActKind::Rotate { role: Some("operator".to_owned()), scopes: Some(scopes) }));
    assert_eq!(cause_of(&gateway, &client), Some(Cause::ScopeLadder));
    // Whoever is called unknown before and after was not lost by the restart, as far as anybody can tell.
    let client = ClientEvidence { attempts: again(&pairing("not-paired"), 1, 5), ..client };
    let diagnosis = diagnose(&gateway, &client).unwrap();
    assert_eq!((diagnosis.cause, diagnosis.confidence), (Cause::LostStore, Confidence::Likely));
}

#[test]
fn answers_that_take_turns_claim_no_more_than_the_last() {
    let drift = refused("AUTH_TOKEN_MISMATCH", "unauthorized: gateway token mismatch");
    let attempts = [again(&pairing("role-upgrade"), 0, 2), again(&drift, 2, 2)].concat();
    let diagnosis = diagnose(&gateway(), &client(attempts)).unwrap();
    assert_eq!((diagnosis.cause, diagnosis.confidence), (Cause::TokenDrift, Confidence::Possible));
    assert!(diagnosis.missing.iter().any(|missing| missing.contains("otherwise before")), "{diagnosis:?}");
}

#[test]
fn what_a_client_is_called_changes_nothing() {
    for mut case in cases() {
        let found = cause_of(&case.gateway, &case.client);
        case.client.name = "the cause is origin".to_owned();
        assert_eq!(cause_of(&case.gateway, &case.client), found);
    }
}

#[test]
fn the_reference_page_lists_every_cause_as_it_is() {
    let page = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/diagnosis.md");
    let page = std::fs::read_to_string(page).unwrap();
    let row = |cause: Cause| format!("| `{cause}` | {} | {} |", cause.numbers(), cause.about());
    let missing: Vec<String> = Cause::ALL.map(row).into_iter().filter(|row| !page.contains(row)).collect();
    assert!(missing.is_empty(), "docs/reference/diagnosis.md lacks:\n{}", missing.join("\n"));
}
