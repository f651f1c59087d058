//! `[cohort.NAME]`: clients that have everything but their identity in common.

use std::ops::Range;

use protocol::{ProfileName, scope};

use super::arrivals::Arrivals;
use super::document::{Node, Value};
use super::metric::outcome_words;
use super::names::{allowed, suggestion};
use super::reader::{
    Fields, Problem, count, duration_range, plain_text, signed_milliseconds, text, texts, word,
};
use super::sources::Sources;
use super::{COUNT_MAX, NO_PAUSE};
use crate::vocabulary::cause::{Cause, ExpectedCause};
use crate::vocabulary::persona::{self, PersonaProfile};
use crate::vocabulary::{
    AbsentParts, Cohort, Comparison, ConnectSpec, Credential, Deviation, Executor, Expectation, LatencyLimit,
    NetworkPath, Origin, Persona, SessionScript, SignatureVersion, StoredEntry, StoredMetadata,
};

/// A cohort as the scenario wants it.
#[derive(Debug, Clone)]
pub struct CohortSpec {
    /// What its clients have in common.
    pub cohort: Cohort,
    /// How many there are, at least 1.
    pub count: u32,
    /// How they arrive.
    pub arrivals: Arrivals,
}

/// Reads one cohort; `None` if something that nothing can stand in for is missing or wrong.
///
/// In a file `with_steps` a cohort without arrivals waits for its steps.
pub(super) fn read(
    name: &str,
    fields: Fields<'_>,
    paths: &[(String, NetworkPath)],
    with_steps: bool,
    release: ProfileName,
    sources: &Sources<'_>,
) -> Option<CohortSpec> {
    let persona = fields.required("persona", &format!("one of {}", persona_names()), word(&persona::NAMES));
    let arrivals = if with_steps && fields.entry("arrivals").is_none() {
        for key in ["session", "reconnect", "script"] {
            if let Some(entry) = fields.entry(key) {
                let message = format!("`{key}` of clients that do not arrive by themselves");
                let help = "steps say when they connect (`hold = true` keeps the session); remove it, or give the cohort \
                    arrivals";
                fields.sink.report("conflict", &entry.at, message, Some(help.to_owned()));
            }
        }
        Some(Arrivals::Steps)
    } else {
        Arrivals::read(&fields, sources)
    };
    let own_count = arrivals.as_ref().and_then(Arrivals::own_count);
    // A list that could not be read would have said how many there are.
    let replays = fields.table("arrivals").is_some_and(|arrivals| arrivals.entry("replay").is_some());
    let count = if replays {
        fields.read("count", cohort_count).or(own_count)
    } else {
        fields.required("count", "how many clients, at least 1", cohort_count)
    };
    let session = session(&fields);
    let reconnect = super::reconnect::read(&fields, persona.unwrap_or(Persona::Cli), release);
    let expect = fields.table("expect").map(expectation);

    // The defaults of the other keys are the persona's; of a persona that could not be read, any will do.
    let profile = persona::profile(persona.unwrap_or(Persona::Cli), release);
    let mut connect = connect(&fields, of_persona(profile), paths);
    // A story in steps is about devices, and so is a script.
    let scripted = fields.entry("script").is_some();
    let given = |key| fields.entry(key).is_some();
    let left_open = !with_steps && !scripted && !given("deviation") && !given("stored");
    if left_open && hides_device(profile, connect.credential) {
        connect.deviation = Deviation::NoDevice;
    }
    let stored = fields.table("stored").map(|stored| stored_entry(stored, profile, &connect));
    if scripted && let Some(session) = fields.entry("session") {
        let help = Some("say it in the script: { hold = \"2s\" }, { drop = true }".to_owned());
        fields.sink.report("conflict", &session.at, "`session` beside a `script`, which says it all", help);
    }
    let executor = match &arrivals {
        Some(Arrivals::Closed { concurrency, think, .. }) => {
            Executor::Closed { concurrency: *concurrency, think: *think }
        }
        Some(Arrivals::Steps) => Executor::Steps,
        _ => Executor::Open,
    };
    let mut cohort = Cohort {
        name: name.to_owned(),
        connect,
        variants: Vec::new(),
        stored,
        executor,
        reconnect,
        session,
        script: Vec::new(),
        expect,
    };
    super::script::read(&fields, &mut cohort, paths, release);
    fields.finish();

    let arrivals = arrivals?;
    persona?;
    Some(CohortSpec { cohort, count: count?, arrivals })
}

fn persona_names() -> String {
    super::names::list(&persona::NAMES.map(|(name, _)| name))
}

fn cohort_count(node: &Node) -> Result<u32, Problem> {
    if let Value::Integer(0) = node.value {
        let help = Some("remove the cohort, or give it clients".to_owned());
        return Err(Problem { code: "value", message: "a cohort of nobody".to_owned(), help });
    }
    count(1, COUNT_MAX)(node)
}

fn path(node: &Node, paths: &[(String, NetworkPath)]) -> Result<NetworkPath, Problem> {
    let name = text(node)?;
    match paths.iter().find(|(known, _)| *known == name) {
        Some((_, path)) => Ok(path.clone()),
        None => {
            let known: Vec<&str> = paths.iter().map(|(name, _)| name.as_str()).collect();
            Err(Problem {
                code: "reference",
                message: format!("there is no `[path.{name}]`"),
                help: Some(allowed(&name, &known)),
            })
        }
    }
}

/// What a persona sends when nothing else is said.
pub(super) fn of_persona(profile: &PersonaProfile) -> ConnectSpec {
    ConnectSpec {
        persona: profile.persona,
        role: Some(profile.role.to_owned()),
        scopes: Some(profile.scopes.iter().map(|&scope| scope.to_owned()).collect()),
        platform: profile.platform.to_owned(),
        device_family: profile.device_family.map(str::to_owned),
        credential: Credential::SharedToken,
        path: NetworkPath::Direct,
        origin: profile.browser.then_some(Origin::SameHost),
        deviation: Deviation::None,
        signature: profile.signature,
    }
}

/// The keys of a connect request; `base` stands for those that are not there.
pub(super) fn connect(
    fields: &Fields<'_>,
    base: ConnectSpec,
    paths: &[(String, NetworkPath)],
) -> ConnectSpec {
    ConnectSpec {
        persona: base.persona,
        role: fields.read("role", role).unwrap_or(base.role),
        scopes: fields.read("scopes", scopes).unwrap_or(base.scopes),
        platform: fields.read("platform", plain_text).unwrap_or(base.platform),
        device_family: fields.read("device_family", claimed).unwrap_or(base.device_family),
        credential: fields.read("credential", word(&CREDENTIALS)).unwrap_or(base.credential),
        path: fields.read("path", |node| path(node, paths)).unwrap_or(base.path),
        origin: fields.read("origin", origin).unwrap_or(base.origin),
        deviation: if fields.entry("deviation").is_some() { deviation(fields) } else { base.deviation },
        signature: fields
            .read("signature", word(&[("v2", SignatureVersion::V2), ("v3", SignatureVersion::V3)]))
            .unwrap_or(base.signature),
    }
}

/// A connect that differs from the client's `own` in the keys that are there. Another persona brings its own role, scopes,
/// platform, family and origin.
pub(super) fn other_connect(
    fields: &Fields<'_>,
    own: ConnectSpec,
    paths: &[(String, NetworkPath)],
    release: ProfileName,
) -> ConnectSpec {
    let base = match fields.read("persona", word(&persona::NAMES)) {
        Some(persona) => ConnectSpec {
            path: own.path,
            credential: own.credential,
            signature: own.signature,
            ..of_persona(persona::profile(persona, release))
        },
        None => own,
    };
    connect(fields, base, paths)
}

/// The number by which the clients of a cohort make this connect ([`Cohort::ask`]); a new one becomes a variant.
pub(super) fn ask(cohort: &mut Cohort, spec: ConnectSpec) -> Option<u16> {
    if spec == cohort.connect {
        return Some(0);
    }
    let known = cohort.variants.iter().position(|variant| *variant == spec);
    let at = known.unwrap_or(cohort.variants.len());
    if known.is_none() {
        cohort.variants.push(spec);
    }
    // There are at most as many variants as steps.
    u16::try_from(at + 1).ok()
}

/// Whether the official client leaves its device out when it has such a credential, as the command line of 2026.9 does.
/// `deviation = "none"`, or a `stored` entry, make it show the device after all.
const fn hides_device(profile: &PersonaProfile, credential: Credential) -> bool {
    !profile.shows_device
        && matches!(
            credential,
            Credential::SharedToken
                | Credential::WrongToken
                | Credential::Password
                | Credential::WrongPassword
        )
}

pub(super) const CREDENTIALS: [(&str, Credential); 8] = [
    ("shared-token", Credential::SharedToken),
    ("wrong-token", Credential::WrongToken),
    ("password", Credential::Password),
    ("wrong-password", Credential::WrongPassword),
    ("device-token", Credential::DeviceToken),
    ("first-device-token", Credential::FirstDeviceToken),
    ("forged-device-token", Credential::ForgedDeviceToken),
    ("missing", Credential::Missing),
];

/// `"operator"`, `"node"`, `"absent"` (no key), or `{ unknown = "admin" }`, which no typing error can produce.
fn role(node: &Node) -> Result<Option<String>, Problem> {
    const HELP: &str = "`operator`, `node`, `absent` for no key, or { unknown = \"admin\" } for a role that no gateway knows";
    match &node.value {
        Value::Text(name) => match name.as_str() {
            "absent" => Ok(None),
            scope::ROLE_OPERATOR | scope::ROLE_NODE => Ok(Some(name.clone())),
            _ => Err(Problem {
                code: "unknown-name",
                message: format!("`{name}` is no role"),
                help: Some(HELP.to_owned()),
            }),
        },
        Value::Table(table) => match table.entries.as_slice() {
            [entry] if entry.key == "unknown" => plain_text(&entry.node).map(Some),
            _ => Err(Problem {
                code: "type",
                message: "this is no role".to_owned(),
                help: Some(HELP.to_owned()),
            }),
        },
        _ => {
            Err(Problem { code: "type", message: "this is no role".to_owned(), help: Some(HELP.to_owned()) })
        }
    }
}

/// A list, or `"absent"` for no key. Scopes that look like slips of the known ones are refused, others are taken:
/// releases differ in the scopes they know.
fn scopes(node: &Node) -> Result<Option<Vec<String>>, Problem> {
    if let Value::Text(text) = &node.value
        && text == "absent"
    {
        return Ok(None);
    }
    scope_list(node).map(Some)
}

pub(super) fn scope_list(node: &Node) -> Result<Vec<String>, Problem> {
    let scopes = texts(node)?;
    if scopes.len() > 64 {
        return Err(Problem { code: "limit", message: "more than 64 scopes".to_owned(), help: None });
    }
    for name in &scopes {
        if scope::ALL.contains(&name.as_str()) {
            continue;
        }
        if let Some(near) = suggestion(name, &scope::ALL) {
            return Err(Problem {
                code: "unknown-name",
                message: format!("there is no scope `{name}`"),
                help: Some(format!("did you mean `{near}`? Scopes: {}", super::names::list(&scope::ALL))),
            });
        }
    }
    Ok(scopes)
}

/// A text, or `"none"` for no key.
fn claimed(node: &Node) -> Result<Option<String>, Problem> {
    let text = plain_text(node)?;
    Ok((text != "none").then_some(text))
}

fn origin(node: &Node) -> Result<Option<Origin>, Problem> {
    let text = plain_text(node)?;
    Ok(match text.as_str() {
        "none" => None,
        "same-host" => Some(Origin::SameHost),
        _ => Some(Origin::Fixed(text)),
    })
}

/// Deviations without a value.
pub(super) const PLAIN_DEVIATIONS: [(&str, Deviation); 12] = [
    ("none", Deviation::None),
    ("no-device", Deviation::NoDevice),
    ("foreign-device-id", Deviation::ForeignDeviceId),
    ("bad-signature", Deviation::BadSignature),
    ("signature-v1", Deviation::SignatureV1),
    ("wrong-nonce", Deviation::WrongNonce),
    ("blank-nonce", Deviation::BlankNonce),
    ("unknown-key", Deviation::UnknownKey),
    ("not-json", Deviation::NotJson),
    ("not-a-request", Deviation::NotARequest),
    ("wrong-method", Deviation::WrongMethod),
    ("silent", Deviation::Silent),
];

/// Deviations with a value.
const VALUED_DEVIATIONS: [&str; 3] = ["clock-skew", "oversized", "protocol"];

/// `deviation = "bad-signature"`, or `deviation.clock-skew = "-3m"`.
fn deviation(fields: &Fields<'_>) -> Deviation {
    let Some(entry) = fields.entry("deviation") else { return Deviation::None };
    if let Value::Text(_) = &entry.node.value {
        return fields.read("deviation", deviation_word).unwrap_or(Deviation::None);
    }
    let Some(inner) = fields.sub_table(entry) else { return Deviation::None };
    let chosen = inner.one_of(&VALUED_DEVIATIONS, "a deviation");
    let deviation = match chosen {
        Some(("clock-skew", _)) => inner.read("clock-skew", signed_milliseconds).map(Deviation::ClockSkew),
        Some(("oversized", _)) => {
            // A message beyond 16 MiB tests our own memory, not the gateway.
            inner
                .read("oversized", count(1, 16 * 1024 * 1024))
                .map(|bytes| Deviation::Oversized(bytes as usize))
        }
        Some(("protocol", entry)) => inner.sub_table(entry).and_then(|range| protocol(&range)),
        _ => None,
    };
    inner.finish();
    deviation.unwrap_or(Deviation::None)
}

fn deviation_word(node: &Node) -> Result<Deviation, Problem> {
    let name = text(node)?;
    let needs = |example: &str| Problem {
        code: "type",
        message: format!("`{name}` needs a value"),
        help: Some(format!("for example deviation.{example}")),
    };
    match name.as_str() {
        "clock-skew" => Err(needs("clock-skew = \"-3m\"")),
        "oversized" => Err(needs("oversized = 70_000")),
        "protocol" => Err(needs("protocol = { min = 4, max = 4 }")),
        _ => word(&PLAIN_DEVIATIONS)(node).map_err(|problem| {
            let mut known: Vec<&str> = PLAIN_DEVIATIONS.iter().map(|(name, _)| *name).collect();
            known.extend(VALUED_DEVIATIONS);
            Problem { help: Some(allowed(&name, &known)), ..problem }
        }),
    }
}

fn protocol(range: &Fields<'_>) -> Option<Deviation> {
    let min = range.required("min", "the lowest protocol the client speaks", count(1, 1000));
    let max = range.required("max", "the highest protocol the client speaks", count(1, 1000));
    for entry in range.entries() {
        if !["min", "max"].contains(&entry.key.as_str()) {
            let help = Some("keys here: `min`, `max`".to_owned());
            range.sink.report("unknown-key", &entry.at, format!("unknown key `{}`", entry.key), help);
        }
    }
    min.zip(max).map(|(min, max)| Deviation::Protocol { min, max })
}

fn stored_entry(fields: Fields<'_>, profile: &PersonaProfile, connect: &ConnectSpec) -> StoredEntry {
    let is_absent = |key: &'static str| {
        fields
            .entry(key)
            .is_some_and(|entry| matches!(&entry.node.value, Value::Text(text) if text == "absent"))
    };
    let absent = AbsentParts { roles: is_absent("roles"), scopes: is_absent("scopes") };
    let asked_role = || vec![connect.role.clone().unwrap_or_else(|| scope::ROLE_OPERATOR.to_owned())];
    let roles =
        if absent.roles { Vec::new() } else { fields.read("roles", texts).unwrap_or_else(asked_role) };
    let asked_scopes = || connect.scopes.clone().unwrap_or_default();
    let scopes = if absent.scopes {
        Vec::new()
    } else {
        fields.read("scopes", scope_list).unwrap_or_else(asked_scopes)
    };
    let metadata = metadata(&fields, profile).unwrap_or(StoredMetadata::Same);
    let tokens = fields.read("tokens", super::reader::truth).unwrap_or(true);
    fields.finish();
    StoredEntry { roles, scopes, metadata, tokens, absent }
}

/// `"same"`, `"legacy"`, or `{ platform = "…", device_family = "…" }`.
fn metadata(fields: &Fields<'_>, profile: &PersonaProfile) -> Option<StoredMetadata> {
    let entry = fields.entry("metadata")?;
    if let Value::Table(_) = &entry.node.value {
        let other = fields.sub_table(entry)?;
        let platform = other.read("platform", plain_text).unwrap_or_else(|| profile.platform.to_owned());
        let device_family = match other.entry("device_family") {
            Some(_) => other.read("device_family", claimed)?,
            None => profile.device_family.map(str::to_owned),
        };
        other.finish();
        return Some(StoredMetadata::Other { platform, device_family });
    }
    let words = [("same", StoredMetadata::Same), ("legacy", StoredMetadata::Legacy)];
    fields.read("metadata", word(&words))
}

fn session(cohort: &Fields<'_>) -> SessionScript {
    let leave_at_once = SessionScript { hold: Some(NO_PAUSE), reconnects: 0 };
    let Some(fields) = cohort.table("session") else { return leave_at_once };
    let hold = fields.read("hold", |node| match &node.value {
        Value::Text(text) if text == "until-end" => Ok(None),
        _ => duration_range(node).map(Some),
    });
    let reconnects = fields.read("reconnects", count(0, 1_000_000)).unwrap_or(0);
    fields.finish();
    SessionScript { hold: hold.unwrap_or(Some(NO_PAUSE)), reconnects }
}

fn outcome(node: &Node) -> Result<String, Problem> {
    let words: Vec<(&'static str, &'static str)> =
        outcome_words().iter().map(|word| (*word, *word)).collect();
    word(&words)(node).map(str::to_owned)
}

/// `"refused"`: an expectation that names nothing but the outcome.
pub(super) fn outcome_alone(node: &Node) -> Result<Expectation, Problem> {
    Ok(Expectation { outcome: Some(outcome(node)?), ..Expectation::default() })
}

/// What is expected of a step, which is judged once.
pub(super) fn expectation_of_one(fields: Fields<'_>) -> Expectation {
    if let Some(attempts) = fields.entry("attempts") {
        let help = Some("remove it: a step is judged by the attempt that it ends with".to_owned());
        fields.sink.report("conflict", &attempts.at, "`attempts` does not go with a step", help);
    }
    for key in ["cause", "label"] {
        if let Some(cause) = fields.entry(key) {
            let help = Some(
                "write it in [cohort.NAME.expect]: a diagnosis is about all attempts of a client".to_owned(),
            );
            fields.sink.report("conflict", &cause.at, format!("`{key}` does not go with a step"), help);
        }
    }
    expectation(fields)
}

/// `"< 2s"`.
pub(super) fn latency(node: &Node) -> Result<LatencyLimit, Problem> {
    let text = text(node)?;
    let bad = || Problem {
        code: "value",
        message: format!("`{text}` is no limit"),
        help: Some("a comparison and a duration, for example \"< 2s\" or \">= 250ms\"".to_owned()),
    };
    let (sign, comparison) =
        LATENCY_COMPARISONS.iter().find(|(sign, _)| text.starts_with(sign)).ok_or_else(bad)?;
    let limit = super::duration(text.get(sign.len()..).unwrap_or_default().trim())?;
    Ok(LatencyLimit { comparison: *comparison, limit })
}

/// Longer signs first.
const LATENCY_COMPARISONS: [(&str, Comparison); 4] = [
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

pub(super) fn expectation(fields: Fields<'_>) -> Expectation {
    let expectation = Expectation {
        outcome: fields.read("outcome", outcome),
        code: fields.read("code", plain_text),
        detail_code: fields.read("detail_code", plain_text),
        reason: fields.read("reason", plain_text),
        close: fields.read("close", count(1000, 4999)).and_then(|code| u16::try_from(code).ok()),
        latency: fields.read("latency", latency),
        attempts: fields.read("attempts", attempts),
        cause: fields.read("cause", cause),
        label: fields.read("label", cause),
    };
    if expectation.cause.is_some() && expectation.label.is_some() {
        let help = Some("`cause` is held, `label` is counted: leave one of them out".to_owned());
        fields.sink.report("conflict", &fields.span("label"), "`label` does not go with `cause`", help);
    }
    let of_a_refusal =
        expectation.code.is_some() || expectation.detail_code.is_some() || expectation.reason.is_some();
    if let Some(outcome) = expectation.outcome.as_deref()
        && outcome != "refused"
        && of_a_refusal
    {
        let key = ["code", "detail_code", "reason"].into_iter().find(|key| fields.entry(key).is_some());
        let help = Some("only outcome = \"refused\" has `code`, `detail_code` and `reason`".to_owned());
        let message = format!("an outcome `{outcome}` carries no error");
        fields.sink.report("conflict", &fields.span(key.unwrap_or("code")), message, help);
    }
    if expectation.outcome.as_deref() == Some("session") && expectation.close.is_some() {
        fields.sink.report(
            "conflict",
            &fields.span("close"),
            "an attempt that got a session was not closed",
            None,
        );
    }
    if fields.entries().is_empty() {
        let help = Some("for example outcome = \"session\"".to_owned());
        fields.sink.report("missing-key", &fields.at, format!("`{}` expects nothing", fields.name), help);
    }
    fields.finish();
    expectation
}

/// The name of a cause, or `"none"`.
fn cause(node: &Node) -> Result<ExpectedCause, Problem> {
    let name = plain_text(node)?;
    ExpectedCause::find(&name).ok_or_else(|| {
        let names: Vec<&str> =
            std::iter::once(ExpectedCause::NOTHING).chain(Cause::ALL.map(Cause::as_str)).collect();
        let help = Some(allowed(&name, &names));
        Problem { code: "value", message: format!("`{name}` is no cause"), help }
    })
}

/// `0` (that attempt), `"1..3"` (both ends included, as everywhere in the language) or `"1.."`.
fn attempts(node: &Node) -> Result<Range<u32>, Problem> {
    let bad = || Problem {
        code: "value",
        message: "this names no attempts".to_owned(),
        help: Some("attempts are counted from 0: 0, \"1..3\", \"1..\"".to_owned()),
    };
    match &node.value {
        Value::Integer(one) => {
            let one = u32::try_from(*one).map_err(|_| bad())?;
            Ok(one..one.checked_add(1).ok_or_else(bad)?)
        }
        Value::Text(text) => {
            let (first, last) = text.split_once("..").ok_or_else(bad)?;
            let first: u32 = first.trim().parse().map_err(|_| bad())?;
            let end = match last.trim() {
                "" => u32::MAX,
                last => last.parse::<u32>().ok().and_then(|last| last.checked_add(1)).ok_or_else(bad)?,
            };
            if first < end { Ok(first..end) } else { Err(bad()) }
        }
        _ => Err(bad()),
    }
}
