//! The oracle against what real gateways did: every recorded connect, turned into facts and device state.
//!
//! `recorded/` holds what was recorded of four releases, reduced to facts (its README says how). For each connect the
//! allowed answers must contain the one that was given, in every field, and be of one class.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use protocol::{ClientId, ClientMode, PayloadVersion, ProfileName};
use serde_json::Value;

use super::fixture::gateway;
use crate::observation::{CloseSeen, Closed, Fingerprint, Grant, GrantAuth, Outcome, Phase, Refusal};
use crate::oracle::alphabet::{Alphabet, Covering};
use crate::oracle::credential::{Secret, Sent};
use crate::oracle::facts::{Facts, Message, Nonce, Proof, SentOrigin};
use crate::oracle::limits::{self, Answer, Counted, Lock, Try, Who};
use crate::oracle::locality::{self, Place, TrustedProxies, Wire};
use crate::oracle::refusal::{self, Refused};
use crate::oracle::release::Release;
use crate::oracle::rules::{Texts, Variant};
use crate::oracle::state::{Act, Away, Connect, End, Fit, Mark, Model, Op, Out, Seen, SeenAuth, State};
use crate::oracle::table::Due;
use crate::oracle::{classify, form};
use crate::plan::{AuthMode, GatewayPlan, Nanos};

const MS: Nanos = 1_000_000;
const TTL: Nanos = 300_000 * MS;

/// What one recording gave.
#[derive(Debug, Default)]
struct Tally {
    /// Connects that were judged.
    judged: usize,
    /// Of them, those whose answer depends on the device's state.
    by_device: usize,
    /// Connects that were not, by reason.
    skipped: BTreeMap<&'static str, usize>,
    /// What the oracle does not allow.
    wrong: Vec<String>,
}

#[test]
fn what_real_gateways_did_is_allowed_and_nothing_else_of_another_class() {
    // How many connects of each recording are judged, and how many of them hang on the device's state, at least.
    let recordings = [
        (ProfileName::V2026_2_19, include_str!("recorded/2026.2.19.jsonl"), 424, 228),
        (ProfileName::V2026_2_21, include_str!("recorded/2026.2.21.jsonl"), 367, 219),
        (ProfileName::V2026_3_13, include_str!("recorded/2026.3.13.jsonl"), 401, 209),
        (ProfileName::V2026_9_6, include_str!("recorded/2026.9.6.jsonl"), 433, 219),
    ];
    let mut faults = Vec::new();
    for (name, text, judged_min, by_device_min) in recordings {
        let tally = Recording::new(name, text).judge();
        println!(
            "{name}: {} judged, {} by device, skipped {:?}",
            tally.judged, tally.by_device, tally.skipped
        );
        faults.extend(tally.wrong.iter().map(|wrong| format!("{name} {wrong}")));
        if tally.judged < judged_min || tally.by_device < by_device_min {
            faults.push(format!("{name}: only {} judged, {} by device", tally.judged, tally.by_device));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

struct Recording {
    release: &'static Release,
    lines: Vec<Value>,
    /// When each request id was first seen, and its number.
    ids: HashMap<String, Mark>,
    /// When each token was first seen.
    tokens: HashMap<u64, Nanos>,
    /// Which device asked under which request id.
    askers: HashMap<String, u64>,
    epoch: u64,
}

impl Recording {
    fn new(name: ProfileName, text: &str) -> Self {
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let epoch = lines.iter().filter_map(|line| line["t"].as_u64()).filter(|t| *t > 0).min().unwrap();
        let mut recording = Self {
            release: Release::of(name),
            lines: Vec::new(),
            ids: HashMap::new(),
            tokens: HashMap::new(),
            askers: HashMap::new(),
            epoch,
        };
        for line in &lines {
            let at = recording.at(line);
            if let Some(id) = line["res"]["details"]["requestId"].as_str() {
                let next = recording.ids.len() as u64;
                recording.ids.entry(id.to_owned()).or_insert(Mark { value: next, first: at });
                if let Some(device) = line["d"].as_u64() {
                    recording.askers.insert(id.to_owned(), device);
                }
            }
            for token in [&line["res"]["auth"]["token"], &line["res"]["token"]] {
                if let Some(token) = token.as_u64() {
                    let first = recording.tokens.entry(token).or_insert(at);
                    *first = at.min(*first);
                }
            }
        }
        recording.lines = lines;
        recording
    }

    fn at(&self, line: &Value) -> Nanos {
        line["t"].as_u64().unwrap_or_default().saturating_sub(self.epoch) * MS
    }

    fn judge(&self) -> Tally {
        let mut tally = Tally::default();
        let mut devices: HashMap<u64, Vec<State>> = HashMap::new();
        let mut from = 0;
        while from < self.lines.len() {
            let next = (from + 1..self.lines.len())
                .find(|at| !self.lines[*at]["case"].is_null())
                .unwrap_or(self.lines.len());
            let (header, lines) = (&self.lines[from], &self.lines[from + 1..next]);
            if !header["group"].is_null() {
                // Another gateway, with a store of its own.
                devices.clear();
            }
            self.judge_case(header, lines, &mut devices, &mut tally);
            from = next;
        }
        tally
    }

    fn judge_case(
        &self,
        header: &Value,
        lines: &[Value],
        devices: &mut HashMap<u64, Vec<State>>,
        tally: &mut Tally,
    ) {
        let case = header["case"].as_str().unwrap();
        let gateway = self.gateway(header);
        let proxies = TrustedProxies::new(&gateway.trusted_proxies, self.release.locality);
        let asked: Vec<Option<(Variant, locality::Seat, Outcome)>> = lines
            .iter()
            .map(|line| {
                let outcome = outcome(line)?;
                let wire = wire(line);
                let seat = locality::seat(&wire, &proxies, self.release.locality, false);
                Some((Variant::new(facts(line, &wire), &gateway, 0), seat, outcome))
            })
            .collect();
        let locks = self.locks(lines, &asked, &gateway);
        let mut unknown = false;
        for (position, line) in lines.iter().enumerate() {
            match line["k"].as_str().unwrap() {
                "unknown" => unknown = true,
                "rpc" => self.operate(line, devices),
                _ => {
                    let device = line["d"].as_u64();
                    if unknown && device.is_some() {
                        *tally.skipped.entry("the store was edited by hand").or_default() += 1;
                        continue;
                    }
                    let Some((variant, seat, outcome)) = &asked[position] else {
                        *tally.skipped.entry("no answer is recorded").or_default() += 1;
                        continue;
                    };
                    if line["raced"].as_bool() == Some(true) {
                        *tally.skipped.entry("other requests were under way").or_default() += 1;
                        // Either may have come first.
                        devices.insert(device.unwrap_or(u64::MAX), Vec::new());
                        continue;
                    }
                    if device.is_some_and(|device| devices.get(&device).is_some_and(Vec::is_empty)) {
                        *tally.skipped.entry("after a race").or_default() += 1;
                        continue;
                    }
                    let of = (0, u32::try_from(position).unwrap());
                    let lock = locks.get(&of).copied().unwrap_or_default();
                    let found = self.judge_connect(line, variant, *seat, outcome, &gateway, lock, devices);
                    tally.judged += 1;
                    match found {
                        Ok(by_device) => tally.by_device += usize::from(by_device),
                        Err(why) => tally.wrong.push(format!("{case}: {}: {why}", line["step"])),
                    }
                }
            }
        }
    }

    fn gateway(&self, header: &Value) -> GatewayPlan {
        let texts = |value: &Value| {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        GatewayPlan {
            profile: self.release.name,
            config: serde_json::json!({"gateway": {"auth": header["config"]}}),
            auth: match header["mode"].as_str() {
                Some("password") => AuthMode::Password,
                Some("none") => AuthMode::None,
                _ => AuthMode::Token,
            },
            trusted_proxies: texts(&header["trusted"]),
            allowed_origins: texts(&header["origins"]),
            ..gateway()
        }
    }

    fn locks(
        &self,
        lines: &[Value],
        asked: &[Option<(Variant, locality::Seat, Outcome)>],
        gateway: &GatewayPlan,
    ) -> HashMap<limits::Of, Lock> {
        let config = if gateway.config["gateway"]["auth"].is_null() { &Value::Null } else { &gateway.config };
        let tries = lines.iter().zip(asked).enumerate().filter_map(|(position, (line, asked))| {
            let (variant, seat, outcome) = asked.as_ref()?;
            let counted = Counted::of(variant, seat.place, gateway.auth)?;
            let who = Who::of(&variant.facts, seat.address?, &self.release.lockouts);
            let at = self.at(line);
            let of = (0, u32::try_from(position).unwrap());
            Some(Try { of, who, counted, from: at, until: at, answer: Answer::of(outcome, variant) })
        });
        limits::locks(tries.collect(), self.release.lockouts.limits_in(config), 1.0, &[])
    }

    /// Whether the answer hung on the device's state; or what is wrong with it.
    #[expect(clippy::too_many_arguments, reason = "one recorded connect and everything around it")]
    fn judge_connect(
        &self,
        line: &Value,
        variant: &Variant,
        seat: locality::Seat,
        outcome: &Outcome,
        gateway: &GatewayPlan,
        lock: Lock,
        devices: &mut HashMap<u64, Vec<State>>,
    ) -> Result<bool, String> {
        let class = classify::class(outcome);
        let held = |due: refusal::DueRefusal| match outcome {
            Outcome::Refused(seen) => form::refusal(&due, seen, false).map_err(|(_, why)| why),
            _ => Err(format!("{class} came, {} is due", due.class)),
        };
        let starting = refusal::due(Refused::Starting, self.release);
        if self.release.starting_phase && class == starting.class {
            return held(starting).map(|()| false);
        }
        if lock == Lock::Locked || (lock == Lock::Either && class == variant.locked_out.class) {
            return held(variant.locked_out).map(|()| false);
        }
        match variant.expected(seat.place).due {
            Due::Device => {
                self.judge_by_device(line, variant, seat.place, outcome, gateway, devices).map(|()| true)
            }
            Due::Refuse(due) => held(due).map(|()| false),
            Due::Upgrade(status) => match outcome {
                Outcome::UpgradeRefused { status: seen, .. } if *seen == status => Ok(false),
                _ => Err(format!("{class} came, HTTP {status} is due")),
            },
            Due::Close(due) => match outcome {
                Outcome::Closed(Closed { close: CloseSeen::Frame { code, reason }, .. })
                    if *code == due.code && reason == due.reason =>
                {
                    Ok(false)
                }
                _ => Err(format!("{outcome:?} came, close {} is due", due.code)),
            },
            Due::AcceptWithoutDevice { keeps_scopes } => match outcome {
                Outcome::Session(grant) => {
                    form::grant_without_device(grant, &variant.facts, keeps_scopes, self.release)
                        .map(|()| false)
                        .map_err(|(_, why)| why)
                }
                _ => Err(format!("{class} came, a session without device is due")),
            },
        }
    }

    fn judge_by_device(
        &self,
        line: &Value,
        variant: &Variant,
        place: Place,
        outcome: &Outcome,
        gateway: &GatewayPlan,
        devices: &mut HashMap<u64, Vec<State>>,
    ) -> Result<(), String> {
        let class = classify::class(outcome);
        let device = line["d"].as_u64().ok_or("no device")?;
        let (alphabet, texts) = self.names(device);
        let covering = Covering::new(&alphabet, self.release.coverage);
        let shared = variant.facts.sent.is_good_shared(gateway.auth, self.release);
        let by_token =
            variant.facts.sent.candidate() == Secret::Issued && gateway.auth != AuthMode::None && !shared;
        let presented = by_token.then(|| {
            ["device", "token"].iter().find_map(|key| line["auth"][*key].as_u64()).unwrap_or(u64::MAX)
        });
        let claim = variant.claim(place, gateway, by_token, &alphabet, &texts);
        let model = self.model(&alphabet, &covering, claim);
        let foreign_build = variant.facts.foreign_build && class == "PROTOCOL_MISMATCH";
        let seen = if foreign_build { Seen::Open } else { self.seen(outcome, variant, &alphabet) };
        let connect =
            Connect { claim, presented, may_be_stale: false, records_later: false, raced: false, seen };
        let at = self.at(line);
        let op = Op { act: Act::Connect(connect), from: at, until: at, optional: false, after: None };
        let nothing = vec![State { entry: None, pending: None, edited: None, away: Away::default() }];
        let before = devices.get(&device).cloned().unwrap_or(nothing);
        let apply = |fit| {
            let mut next = Vec::new();
            for state in &before {
                model.apply(state, &op, fit, &mut next);
            }
            next
        };
        let class_of = |out: &Out| match out {
            Out::Session(_) => classify::SESSION,
            Out::Pairing { reason, .. } => variant.pairing(*reason).class,
            Out::TokenRefused { narrow: false } => variant.bad_token.class,
            Out::TokenRefused { narrow: true } => variant.narrow_token.class,
            Out::Stale | Out::Done => "other",
        };
        let exact = apply(Fit::Exact);
        let all = apply(Fit::Any);
        let mut allowed: Vec<&str> = all.iter().map(|(_, out)| class_of(out)).collect();
        allowed.sort_unstable();
        allowed.dedup();
        let mut after: Vec<State> = exact.iter().map(|(state, _)| *state).collect();
        if after.is_empty() {
            after = all.iter().map(|(state, _)| *state).collect();
        }
        after.sort_unstable();
        after.dedup();
        devices.insert(device, after);
        if exact.is_empty() {
            return Err(format!("{class} came ({outcome:?}), {allowed:?} are due: {:?}", all.first()));
        }
        if allowed.len() != 1 {
            return Err(format!("{allowed:?} are all allowed"));
        }
        match outcome {
            _ if foreign_build => Ok(()),
            Outcome::Session(grant) => form::protocol(grant, self.release).map_err(|(_, why)| why),
            Outcome::Refused(seen) => {
                let due = variant.due_of_class(&class).ok_or("no such refusal")?;
                form::refusal(&due, seen, false).map_err(|(_, why)| why)
            }
            _ => Ok(()),
        }
    }

    fn model<'a>(
        &self,
        alphabet: &Alphabet<'_>,
        covering: &'a Covering,
        usual: crate::oracle::state::Claim,
    ) -> Model<'a> {
        Model {
            release: self.release,
            covering,
            operator: alphabet.role("operator"),
            node: alphabet.role("node"),
            usual,
            ttl: TTL,
            tolerance: 2_000 * MS,
        }
    }

    /// Every role, scope, platform and family that a device's lines name.
    fn names(&self, device: u64) -> (Alphabet<'_>, Texts) {
        let own = || self.lines.iter().filter(|line| line["d"].as_u64() == Some(device));
        let roles = own()
            .filter(|line| line["res"]["message"].as_str() != Some("invalid role"))
            .flat_map(|line| [&line["role"], &line["params"]["role"]])
            .filter_map(Value::as_str)
            .chain(["operator"]);
        let scopes = own().flat_map(|line| {
            let given = line["params"]["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str);
            split(&line["scopes"]).chain(given)
        });
        let alphabet = Alphabet::new(roles, scopes).unwrap();
        let texts = own().flat_map(|line| {
            [line["platform"].as_str().unwrap_or("linux"), line["family"].as_str().unwrap_or_default()]
        });
        (alphabet, Texts::new(texts).unwrap())
    }

    fn seen(&self, outcome: &Outcome, variant: &Variant, alphabet: &Alphabet<'_>) -> Seen {
        match outcome {
            Outcome::Session(grant) => Seen::Session(grant.auth.as_ref().map(|auth| SeenAuth {
                role_fits: auth.role == variant.facts.role,
                scopes: alphabet.listed(&auth.scopes),
                as_asked: auth.scopes == variant.facts.distinct_scopes(),
                token: auth.token.map(|token| Mark { value: token.0, first: self.tokens[&token.0] }),
            })),
            Outcome::Refused(refused) => {
                let class = classify::refusal_class(refused);
                let id = refused.request_id.as_deref().and_then(|id| self.ids.get(id)).copied();
                match classify::pairing_reason(class) {
                    reason if classify::is_pairing(class) => Seen::Pairing { reason, id },
                    _ if class == variant.bad_token.class => Seen::TokenRefused { narrow: false },
                    _ if class == variant.narrow_token.class => Seen::TokenRefused { narrow: true },
                    _ => Seen::Foreign,
                }
            }
            _ => Seen::Open,
        }
    }

    /// Applies an operator's action; one that was refused for want of a right changes nothing.
    fn operate(&self, line: &Value, devices: &mut HashMap<u64, Vec<State>>) {
        let params = &line["params"];
        let id = params["requestId"].as_str();
        let asker = id.and_then(|id| self.askers.get(id)).copied();
        let Some(device) = line["d"].as_u64().or(asker) else { return };
        let end = match (line["res"]["ok"].as_bool(), line["res"]["message"].as_str()) {
            (Some(true), _) => End::Done,
            (_, Some(message)) if message.starts_with("unknown ") => End::UnknownId,
            _ => return,
        };
        let (alphabet, texts) = self.names(device);
        let covering = Covering::new(&alphabet, self.release.coverage);
        let usual = Variant::new(facts(&Value::Null, &wire(&Value::Null)), &gateway(), 0).claim(
            Place::Remote,
            &gateway(),
            false,
            &alphabet,
            &texts,
        );
        let model = self.model(&alphabet, &covering, usual);
        let mark = id.and_then(|id| self.ids.get(id)).copied();
        let role = params["role"].as_str().and_then(|role| alphabet.role(role));
        let act = match (line["method"].as_str(), mark, role) {
            (Some("device.pair.approve"), Some(id), _) => Act::Approve { id, end },
            (Some("device.pair.reject"), Some(id), _) => Act::Reject { id, end },
            (Some("device.pair.remove"), ..) => Act::Remove { end },
            (Some("device.token.revoke"), _, Some(role)) => Act::Revoke { role, end },
            (Some("device.token.rotate"), _, Some(role)) => Act::Rotate {
                role,
                scopes: params["scopes"]
                    .as_array()
                    .map(|scopes| alphabet.set(scopes.iter().filter_map(Value::as_str))),
                token: line["res"]["token"].as_u64().map(|value| Mark { value, first: self.tokens[&value] }),
                end,
            },
            _ => return,
        };
        let at = self.at(line);
        let op = Op { act, from: at, until: at, optional: false, after: None };
        let Some(states) = devices.get_mut(&device).filter(|states| !states.is_empty()) else { return };
        let mut next = Vec::new();
        for state in states.iter() {
            model.apply(state, &op, Fit::Exact, &mut next);
        }
        assert!(!next.is_empty(), "{line} is not explained by {states:?}");
        *states = next.into_iter().map(|(state, _)| state).collect();
    }
}

fn split(list: &Value) -> impl Iterator<Item = &str> {
    list.as_str().unwrap_or_default().split(',').filter(|scope| !scope.is_empty())
}

fn wire(line: &Value) -> Wire {
    let wire = &line["wire"];
    let text = |key: &str| wire[key].as_str().map(str::to_owned);
    let peer = wire["peer"].as_str().unwrap_or("127.0.0.1");
    Wire {
        peer: peer.parse::<IpAddr>().unwrap(),
        forwarded_for: text("xff"),
        real_ip: text("real"),
        forwarded_host: wire["fhost"].as_bool().unwrap_or_default(),
        other_forwarding: wire["other"].as_bool().unwrap_or_default(),
        host: text("host"),
    }
}

fn facts(line: &Value, wire: &Wire) -> Facts {
    let id = line["id"].as_str().unwrap_or("cli");
    let mode = line["mode"].as_str().unwrap_or("cli");
    let known = |value: &Value| match value {
        Value::Null => Secret::Absent,
        Value::Number(_) => Secret::Issued,
        Value::String(text) if text == "shared" => Secret::Shared,
        _ => Secret::Wrong,
    };
    let auth = &line["auth"];
    let origin = match (line["wire"]["same"].as_bool(), line["wire"]["origin"].as_str()) {
        (Some(true), _) => SentOrigin::SameHost,
        (_, Some(text)) => SentOrigin::Text(text.to_owned()),
        _ => SentOrigin::Absent,
    };
    let same = origin == SentOrigin::SameHost;
    Facts {
        message: match line["msg"].as_str() {
            Some("not-json") => Message::NotJson,
            Some("not-a-request") => Message::NotARequest,
            Some("wrong-method") => Message::WrongMethod,
            _ => Message::Connect { bytes: line["bytes"].as_u64().unwrap_or_default() as usize },
        },
        malformed: line["malformed"].as_bool().unwrap_or_default(),
        protocol: match &line["protocol"] {
            Value::Array(range) => (range[0].as_u64().unwrap() as u32, range[1].as_u64().unwrap() as u32),
            _ => (3, 4),
        },
        id: *ClientId::ALL.iter().find(|known| known.as_str() == id).unwrap(),
        mode: *ClientMode::ALL.iter().find(|known| known.as_str() == mode).unwrap(),
        role: line["role"].as_str().unwrap_or("operator").to_owned(),
        scopes: split(&line["scopes"]).map(str::to_owned).collect(),
        platform: line["platform"].as_str().unwrap_or("linux").to_owned(),
        device_family: line["family"].as_str().map(str::to_owned),
        origin,
        host: wire.host.clone(),
        proof: line["proof"].as_object().map(|proof| Proof {
            own_id: proof.get("own").is_none(),
            skew_ms: proof.get("skew").and_then(Value::as_i64).unwrap_or_default(),
            nonce: match proof.get("nonce").and_then(Value::as_str) {
                Some("wrong") => Nonce::Wrong,
                Some("blank") => Nonce::Blank,
                Some("absent") => Nonce::Absent,
                _ => Nonce::Right,
            },
            signature: match proof.get("sig").and_then(Value::as_u64) {
                Some(1) => Some(PayloadVersion::V1),
                Some(2) => Some(PayloadVersion::V2),
                Some(3) => Some(PayloadVersion::V3),
                _ => None,
            },
        }),
        sent: Sent {
            token: known(&auth["token"]),
            password: known(&auth["password"]),
            device_token: known(&auth["device"]),
            bootstrap: auth["bootstrap"].as_bool().unwrap_or_default(),
        },
        foreign_build: id == "openclaw-control-ui" && same && line["build"].as_str() != Some("dev"),
    }
}

fn outcome(line: &Value) -> Option<Outcome> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let (res, close) = (&line["res"], &line["close"]);
    if let Some(status) = line["http"].as_u64() {
        return Some(Outcome::UpgradeRefused { status: u16::try_from(status).unwrap(), body: String::new() });
    }
    let frame = || {
        let code = u16::try_from(close[0].as_u64()?).unwrap();
        Some(CloseSeen::Frame { code, reason: text(&close[1])? })
    };
    match res["ok"].as_bool() {
        Some(true) => Some(Outcome::Session(Grant {
            protocol: res["protocol"].as_u64()? as u32,
            auth: res["auth"].as_object().map(|auth| GrantAuth {
                role: auth["role"].as_str().unwrap().to_owned(),
                scopes: split(&auth["scopes"]).map(str::to_owned).collect(),
                token: auth.get("token").and_then(Value::as_u64).map(Fingerprint),
            }),
        })),
        Some(false) => {
            let details = &res["details"];
            let message = text(&res["message"])?;
            let as_usual = || {
                let close = protocol::Close::cut(1008, &message);
                CloseSeen::Frame { code: close.code, reason: close.reason }
            };
            Some(Outcome::Refused(Refusal {
                code: text(&res["code"])?,
                detail_code: text(&details["code"]),
                reason: text(&details["reason"]),
                auth_reason: text(&details["authReason"]),
                next_step: text(&details["next"]),
                request_id: text(&details["requestId"]),
                close: frame().or_else(|| line["noclose"].is_null().then(as_usual)),
                message,
            }))
        }
        None => frame().map(|close| Outcome::Closed(Closed { close, phase: Phase::Verdict })),
    }
}
