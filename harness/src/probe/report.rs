//! What a probe says in the end, as JSON and as text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::budget::{Budget, CONNECTIONS_MAX};
use super::conclusion::Verdict;
use super::course;
use super::pointed::Pointed;
use super::release::Told;
use super::seen::{self, Answered, Failed, Look, Seen, TlsFailed};
use super::tls;
use crate::diagnosis::{Confidence, Diagnosis};
use crate::observation::Outcome;
use crate::record::redact::Redactor;
use crate::vocabulary::cause::Cause;

/// Version of [`Report`]'s form.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that a probe has to say. Without secrets once [`Report::redacted`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// [`SCHEMA_VERSION`]
    pub schema_version: u32,
    /// The gateway, without what may be secret of its URL.
    pub url: String,
    /// The address that answered.
    pub address: Option<String>,
    /// The release, as far as it is told.
    pub release: Release,
    /// SHA-256 of the certificate that was shown.
    pub certificate: Option<String>,
    /// What was looked at, in order.
    pub looks: Vec<Looked>,
    /// What was not looked at, and why.
    pub skipped: Vec<Skipped>,
    /// What is worth knowing and no cause.
    pub notes: Vec<String>,
    /// Why whoever was shown got in; `null` = it did not, or nobody was.
    pub let_in: Option<String>,
    /// The first cause; `null` = none was found, and somebody was let in.
    pub diagnosis: Option<Diagnosis>,
    /// Connections that were opened, of at most [`CONNECTIONS_MAX`].
    pub connections: u8,
    /// On how many of them a `connect` was sent.
    pub connects: u8,
    /// What this probe left behind on the gateway.
    pub left_behind: Vec<String>,
    /// Exit code of the command.
    pub exit_code: u8,
}

/// A release as it was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Release {
    /// The version that was said.
    pub version: Option<String>,
    /// The nearest one that is known.
    pub nearest: Option<String>,
    /// By what it was told.
    pub told_by: String,
}

/// One look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Looked {
    /// Which.
    pub look: String,
    /// What it saw.
    pub saw: String,
}

/// One look that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Skipped {
    /// Which.
    pub look: String,
    /// Why not.
    pub why: String,
}

impl Report {
    /// What is to be said of all that.
    #[must_use]
    pub fn new(
        pointed: &Pointed,
        seen: &Seen,
        told: &Told,
        verdict: Verdict,
        budget: &Budget,
        new_device: Option<&str>,
    ) -> Self {
        let (let_in, diagnosis) = match verdict {
            Verdict::LetIn(why) => (Some(why), None),
            Verdict::Cause(diagnosis) => (None, Some(diagnosis)),
        };
        let is_settled =
            diagnosis.as_ref().is_some_and(|diagnosis| diagnosis.confidence > Confidence::Possible);
        let refused = diagnosis.is_some() && !is_settled && course::kept_back(pointed, seen);
        let skipped = if is_settled { Vec::new() } else { course::skipped(pointed, seen) };
        Self {
            schema_version: SCHEMA_VERSION,
            url: pointed.address.shown(),
            address: seen.peer.map(|peer| peer.to_string()),
            release: Release {
                version: told.version.clone(),
                nearest: told.profile.map(|profile| profile.as_str().to_owned()),
                told_by: told.by.to_owned(),
            },
            certificate: seen
                .certificate
                .as_ref()
                .and_then(|shown| shown.fingerprint.as_ref())
                .map(tls::shown),
            looks: looks(seen),
            skipped: skipped
                .into_iter()
                .map(|(look, why)| Skipped { look: look.as_str().to_owned(), why })
                .collect(),
            notes: notes(pointed, seen),
            exit_code: if refused {
                super::exit_code::KEPT_BACK
            } else {
                super::exit_code::of(diagnosis.as_ref().map(|diagnosis| diagnosis.cause))
            },
            let_in,
            diagnosis,
            connections: budget.used(),
            connects: budget.connects(),
            left_behind: left_behind(pointed, seen, new_device),
        }
    }

    /// The same without the secrets that were read, in case somebody echoed one.
    #[must_use]
    pub fn redacted(self, secrets: impl IntoIterator<Item = String>) -> Self {
        let redactor = Redactor::new(secrets);
        let Ok(mut value) = serde_json::to_value(&self) else { return self };
        cover(&mut value, &redactor);
        serde_json::from_value(value).unwrap_or(self)
    }

    /// For people. The first line says it all.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |line: &str| {
            text.push_str(line.trim_end());
            text.push('\n');
        };
        match (&self.diagnosis, &self.let_in) {
            (Some(diagnosis), _) => {
                let sure = match diagnosis.confidence {
                    _ if diagnosis.cause == Cause::CannotTell => "",
                    Confidence::Certain => "",
                    Confidence::Likely => " (likely)",
                    Confidence::Possible => " (possible)",
                };
                line(&format!("{}{sure}: {}", diagnosis.cause, diagnosis.why));
            }
            (None, why) => line(&format!("let in: {}", why.as_deref().unwrap_or_default())),
        }
        line("");
        let version = self.release.version.as_deref().map(|version| format!("OpenClaw {version}"));
        let nearest = self.release.nearest.as_deref().map(|nearest| format!("as OpenClaw {nearest}"));
        let release = version.or(nearest).map(|release| format!(", {release}")).unwrap_or_default();
        let told = if self.release.told_by.is_empty() {
            String::new()
        } else {
            format!(" (told by {})", self.release.told_by)
        };
        let at = self.address.as_deref().map(|address| format!(" at {address}")).unwrap_or_default();
        line(&format!("{}{at}{release}{told}", self.url));
        line("");
        line("Looked at");
        for looked in &self.looks {
            line(&format!("  {:<12} {}", looked.look, looked.saw));
        }
        for skipped in &self.skipped {
            line(&format!("  {:<12} not: {}", skipped.look, skipped.why));
        }
        if let Some(diagnosis) = &self.diagnosis {
            let known: Vec<&str> = diagnosis.evidence.iter().map(|exhibit| exhibit.what.as_str()).collect();
            for known in known
                .into_iter()
                .filter(|known| known.starts_with("identity:") || known.starts_with("store:"))
            {
                let (what, rest) = known.split_once(": ").unwrap_or((known, ""));
                line(&format!("  {what:<12} {rest}"));
            }
            if !diagnosis.cures.is_empty() {
                line("");
                line("What to do");
            }
            for cure in &diagnosis.cures {
                line(&format!("  {}", cure.what));
                for command in &cure.commands {
                    line(&format!("    {command}"));
                }
            }
            if !diagnosis.missing.is_empty() {
                line("");
                line("What would tell more");
                for missing in &diagnosis.missing {
                    line(&format!("  {missing}"));
                }
            }
        }
        if !self.notes.is_empty() {
            line("");
            line("Notes");
            for note in &self.notes {
                line(&format!("  {note}"));
            }
        }
        line("");
        line(&format!(
            "Left behind ({} of {CONNECTIONS_MAX} connections, {} of them with a connect)",
            self.connections, self.connects
        ));
        for left in &self.left_behind {
            line(&format!("  {left}"));
        }
        text
    }
}

fn cover(value: &mut Value, redactor: &Redactor) {
    match value {
        Value::String(text) => *text = redactor.known(text),
        Value::Array(values) => values.iter_mut().for_each(|value| cover(value, redactor)),
        Value::Object(keys) => keys.values_mut().for_each(|value| cover(value, redactor)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What each look saw, in the order in which they were taken.
#[must_use]
pub fn looks(seen: &Seen) -> Vec<Looked> {
    let mut looks = Vec::new();
    let mut push = |look: Look, saw: String| looks.push(Looked { look: look.as_str().to_owned(), saw });
    match &seen.health {
        Some(Ok(health)) => {
            let like = match health.like {
                super::http::Like::Health => "a gateway that is live",
                super::http::Like::ControlUi => "a gateway's control UI",
                super::http::Like::Attribution => "a gateway that cannot attribute forwarding headers",
                super::http::Like::WantsTls => "an HTTP server that wants TLS",
                super::http::Like::Other => "an HTTP server",
            };
            let server =
                health.server.as_deref().map(|server| format!(", server {server}")).unwrap_or_default();
            let proxies: String = health.proxies.iter().map(|proxy| format!(", {proxy}")).collect();
            push(Look::Health, format!("HTTP {}: {like}{server}{proxies}", health.status));
        }
        Some(Err(error)) => push(Look::Health, failed(error)),
        None => {}
    }
    match &seen.challenge {
        Some(Ok(_)) => push(Look::Challenge, "a gateway's challenge; left unanswered".to_owned()),
        Some(Err(error)) => push(Look::Challenge, failed(error)),
        None => {}
    }
    for (look, answer) in seen.answers() {
        match answer {
            Some(Ok(answered)) => push(look, seen::words(&answered.outcome)),
            Some(Err(error)) => push(look, failed(error)),
            None => {}
        }
    }
    looks
}

fn failed(failed: &Failed) -> String {
    match failed {
        Failed::NoAddress(why) => format!("no address: {why}"),
        Failed::Tls(TlsFailed::NotTls) => "no TLS there".to_owned(),
        Failed::Tls(TlsFailed::Untrusted(certificate)) => {
            format!(
                "a certificate that is not trusted: {}",
                certificate.refused.as_deref().unwrap_or_default()
            )
        }
        Failed::Tls(TlsFailed::Other(why)) => format!("no TLS session: {why}"),
        Failed::Ended(outcome) => seen::words(outcome),
        Failed::NoneLeft => format!("not looked at: {CONNECTIONS_MAX} connections were made"),
    }
}

fn notes(pointed: &Pointed, seen: &Seen) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(Ok(challenge)) = &seen.challenge
        && challenge.ahead_ms.unsigned_abs() > 60_000
    {
        let (seconds, way) = (
            challenge.ahead_ms.unsigned_abs() / 1000,
            if challenge.ahead_ms > 0 { "ahead of" } else { "behind" },
        );
        notes.push(format!(
            "the gateway's clock is {seconds} s {way} this machine's; clients before 2026.9.6 sign with their own, and 120 s are allowed"
        ));
    }
    if pointed.address.is_readable() {
        let note = if pointed.allow_plaintext {
            "ws:// is not encrypted: a credential that was presented could be read on the way"
        } else {
            "ws:// to another machine is not encrypted: no secret was sent (--allow-plaintext sends it)"
        };
        notes.push(note.to_owned());
    }
    if let Some(configuration) = &pointed.configuration {
        if let Some(trusted) = configuration.trusted_proxies.as_ref().filter(|trusted| !trusted.is_empty()) {
            notes.push(format!("gateway.trustedProxies: {}", seen::clean(&trusted.join(", "))));
        }
        notes.extend(configuration.unread.iter().map(|unread| format!("openclaw.json, {unread}")));
    }
    if let Some(identity) = &pointed.identity {
        notes.extend(identity.unread.iter().cloned());
    }
    if let Some(directory) = seen.told(|answered| answered.state_dir.clone()) {
        notes.push(format!("the gateway says that its state directory is {directory}"));
    }
    notes
}

/// What the connects changed. Looks without one leave lines in the gateway's log at most.
fn left_behind(pointed: &Pointed, seen: &Seen, new_device: Option<&str>) -> Vec<String> {
    let mut left = Vec::new();
    for (look, answer) in seen.answers() {
        let Some(Ok(answered)) = answer else { continue };
        left.extend(left_by(look, answered, pointed, new_device));
    }
    if left.is_empty() {
        let nothing = if seen.peer.is_some() {
            "nothing is stored; the gateway may have logged the connections"
        } else {
            "nothing"
        };
        left.push(nothing.to_owned());
    }
    left
}

fn left_by(look: Look, answered: &Answered, pointed: &Pointed, new_device: Option<&str>) -> Option<String> {
    match (&answered.outcome, look) {
        (Outcome::Session(_), Look::Device) if answered.new_token => Some(
            "device: the gateway issued another device token than the identity keeps; it was thrown away"
                .to_owned(),
        ),
        (Outcome::Session(_), Look::Device) if pointed.store.is_some() => {
            Some("device: when and whence it was last seen; nothing else of its entry".to_owned())
        }
        (Outcome::Session(_), Look::Device) => {
            let name = pointed.display_name.as_deref().map_or_else(
                || "without a name (--display-name gives it one)".to_owned(),
                |name| format!("called {}", seen::clean(name)),
            );
            Some(format!(
                "device: when, whence and as what it was last seen: a command line {name}; its client's next connect says it anew"
            ))
        }
        (Outcome::Session(_), Look::NewDevice) => new_device.map(|id| {
            format!(
                "new-device: the gateway paired device {id}; remove it with `openclaw devices remove {id}`"
            )
        }),
        (Outcome::Refused(refusal), Look::Device | Look::NewDevice)
            if answered.code() == "PAIRING_REQUIRED" =>
        {
            let id = refusal.request_id.as_deref().map(seen::clean).unwrap_or_else(|| "unknown".to_owned());
            let whose = new_device.map(|id| format!(" of device {id}")).unwrap_or_default();
            Some(format!(
                "{}: request {id}{whose} waits for at most five minutes; nothing was approved",
                look.as_str()
            ))
        }
        (Outcome::Refused(_), _)
            if answered.code().ends_with("_MISMATCH") && answered.code().starts_with("AUTH_") =>
        {
            Some(format!(
                "{}: one wrong credential, which counts towards a lock-out of this address where there is one (2026.9.6: ten in a minute)",
                look.as_str()
            ))
        }
        _ => None,
    }
}
