//! Pairing: the four reasons, pending requests, silent approval, device tokens, and what operators change (reference,
//! section 8; article profile, sections 6 and 7).
//!
//! Every function takes what is known of one device and gives what to answer and what to change ([`Effects`]); nothing
//! is changed here.
//!
//! | file | concern |
//! |---|---|
//! | `checks` | which of the four reasons applies, who is approved silently, who is not looked at |
//! | `request` | what an ask makes of a waiting request |
//! | `approval` | what an approval makes of an entry |
//! | `token` | the token of a session, `hello.auth` |
//! | `draft` | a device while an attempt works on it |
//! | `answer` | `pairing required` |
//! | `manage` | operators' calls |

mod answer;
mod approval;
mod checks;
mod draft;
mod manage;
mod request;
pub(super) mod token;

use protocol::PairingReason;
use protocol::hello::HelloAuth;
use protocol::pairing::{PendingRequest, Resolved};

pub use manage::{approve, is_visible, reject, remove, rename, revoke, rotate};
pub use request::{aged_from, is_waiting, listed};

use self::draft::Draft;
use super::attempt::DeviceAttempt;
use super::credential::{self, Method};
use super::entry::{DeviceEntry, DeviceView};
use super::rate_limit::Note;
use super::refusal::Refusal;
use super::{Fresh, Rules};
use crate::profile::{AdmissionSteps, DetailLevel, RefreshRule, SkipPairing, StoreKind};

/// What becomes of a stored value.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Change<T> {
    /// It stays.
    #[default]
    Keep,
    /// It becomes this.
    Put(Box<T>),
    /// It goes.
    Drop,
}

impl<T> Change<T> {
    /// Whether anything changes.
    #[must_use]
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

/// What to broadcast once a change is durable.
#[derive(Debug, Clone, PartialEq)]
pub enum PairingEvent {
    /// `device.pair.requested`.
    Requested(Box<PendingRequest>),
    /// `device.pair.resolved`.
    Resolved(Resolved),
}

/// Something that is only written with the next change or on drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// The token of the attempt's role was used.
    TokenUsed,
    /// The waiting request was asked again.
    AskedAgain,
    /// A device that is as it was before was let in (9.6).
    Seen {
        /// Whether by the token of the attempt's role.
        token_used: bool,
    },
}

/// Changes to one device.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Effects {
    /// To its entry.
    pub entry: Change<DeviceEntry>,
    /// To its pending request.
    pub pending: Change<PendingRequest>,
    /// To broadcast, in order.
    pub events: Vec<PairingEvent>,
    /// To write lazily; nothing else changes then.
    pub touch: Option<Touch>,
}

impl Effects {
    /// Whether anything must be durable before it is answered.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        !self.entry.is_keep() || !self.pending.is_keep()
    }
}

/// An accepted connect.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// Role of the session.
    pub role: String,
    /// Scopes of the session.
    pub scopes: Vec<String>,
    /// `hello.auth`, if there is one.
    pub auth: Option<HelloAuth>,
    /// How the client showed that it may ask.
    pub method: Method,
    /// The device.
    pub device_id: String,
    /// What it does to the rate limit.
    pub notes: Vec<Note>,
}

/// What an attempt gets, and what it changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    /// A session or a refusal.
    pub outcome: Result<Accepted, Refusal>,
    /// What changes.
    pub effects: Effects,
}

impl From<Refusal> for Admission {
    fn from(refusal: Refusal) -> Self {
        Self { outcome: Err(refusal), effects: Effects::default() }
    }
}

/// The rows that look at the device, credentials and pairing, in one step. `now_ms` is the gateway's clock,
/// milliseconds since the Unix epoch.
#[must_use]
pub fn admit(
    rules: &Rules,
    attempt: &DeviceAttempt,
    view: &DeviceView<'_>,
    now_ms: u64,
    fresh: &mut dyn Fresh,
) -> Admission {
    admit_in_two_steps(rules, attempt, view, view, now_ms, fresh)
}

/// As [`admit`] for gateways that judge first and record afterwards ([`AdmissionSteps`]): `judged` is what was known when
/// the attempt was judged, `live` what is known when its consequences are recorded.
#[must_use]
pub fn admit_in_two_steps(
    rules: &Rules,
    attempt: &DeviceAttempt,
    judged: &DeviceView<'_>,
    live: &DeviceView<'_>,
    now_ms: u64,
    fresh: &mut dyn Fresh,
) -> Admission {
    let decided = credential::decide(rules, attempt, judged);
    let method = match decided.result {
        Ok(method) => method,
        Err(failure) => {
            let local = attempt.place == super::Place::Local;
            let refusal = credential::refusal(rules, &failure, &attempt.auth, &attempt.client, true, local);
            return refusal.noting(&decided.notes).into();
        }
    };
    let attempt = checks::with_known_names(rules, attempt);
    let mut draft = Draft::new(rules, live, now_ms, fresh);
    let paired = pair(&mut draft, &attempt, judged, method);
    if paired.is_err() && method == Method::DeviceToken {
        draft.use_token_in_vain(&attempt.role);
    }
    let outcome = paired
        .and_then(|()| accept(&mut draft, &attempt, method, &decided.notes))
        .map_err(|refusal| refusal.noting(&decided.notes));
    let mut effects = draft.into_effects(live, &attempt.role);
    // A token that this very step issued is not a used one.
    let counts = rules.profile.store == StoreKind::JsonLoaded || method == Method::DeviceToken;
    if outcome.is_ok() && counts && !effects.is_durable() && effects.touch.is_none() {
        effects.touch = Some(Touch::TokenUsed);
    }
    Admission { outcome, effects }
}

/// Brings the device to where it may have a session, or says why not.
fn pair(
    draft: &mut Draft<'_>,
    attempt: &DeviceAttempt,
    judged: &DeviceView<'_>,
    method: Method,
) -> Result<(), Refusal> {
    let rules = draft.rules;
    if method == Method::DeviceToken {
        draft.use_token(&attempt.role);
    }
    if checks::is_skipped(rules, attempt, method) {
        if rules.profile.skip_pairing == SkipPairing::LocalHelpersAndOpenControlUi {
            draft.refresh(attempt);
        }
        return Ok(());
    }
    let repaired = judged
        .entry
        .filter(|entry| checks::needs_repair(rules, attempt, entry, judged.repairable))
        .map(|entry| draft.repair(entry, attempt));
    let Some(entry) = repaired.as_ref().or(judged.entry).filter(|entry| checks::same_key(attempt, entry))
    else {
        return require(draft, attempt, judged.entry, PairingReason::NotPaired, method);
    };
    for (reason, applies) in checks::reasons(rules, attempt, entry) {
        if applies {
            require(draft, attempt, Some(entry), reason, method)?;
        }
    }
    if rules.profile.refresh != RefreshRule::Nothing {
        draft.refresh(attempt);
    }
    Ok(())
}

/// Records an ask, and approves it where that needs no operator. `entry` is what the attempt was judged by.
fn require(
    draft: &mut Draft<'_>,
    attempt: &DeviceAttempt,
    entry: Option<&DeviceEntry>,
    reason: PairingReason,
    method: Method,
) -> Result<(), Refusal> {
    let rules = draft.rules;
    let silent = checks::is_silent(rules, attempt, entry, reason, method);
    let asked = draft.ask(attempt, silent);
    if asked.silent && draft.approve_silently(attempt, entry) {
        if rules.profile.admission != AdmissionSteps::JudgeRecordJudge
            || checks::is_allowed_now(rules, attempt, draft.entry())
        {
            return Ok(());
        }
    } else {
        draft.announce(asked);
        if rules.profile.admission == AdmissionSteps::JudgeRecordJudge
            && checks::is_allowed_now(rules, attempt, draft.entry())
        {
            return Ok(());
        }
    }
    Err(answer::pairing_required(rules, attempt, draft.waiting(), entry, reason))
}

/// The session, with its token where one is due.
fn accept(
    draft: &mut Draft<'_>,
    attempt: &DeviceAttempt,
    method: Method,
    notes: &[Note],
) -> Result<Accepted, Refusal> {
    let rules = draft.rules;
    let profile = rules.profile;
    let token = draft.issue(attempt, method);
    if let (Some(ours), DetailLevel::Hints) = (profile.control_ui_build, profile.details)
        && attempt.is_own_page
        && attempt.client.id == protocol::ClientId::ControlUi
        && ![Some("dev"), Some(ours)].contains(&attempt.client.build_id.as_deref().map(str::trim))
    {
        return Err(answer::reload_required(ours));
    }
    let scopes = token::session_scopes(profile, &attempt.scopes, attempt.scope_cap.as_deref());
    let auth = token::hello_auth(
        rules,
        &attempt.role,
        &scopes,
        method,
        Some(&attempt.device_id),
        token.as_ref(),
        attempt.presented.user.as_deref(),
    );
    Ok(Accepted {
        role: attempt.role.clone(),
        scopes,
        auth,
        method,
        device_id: attempt.device_id.clone(),
        notes: notes.to_vec(),
    })
}

#[cfg(test)]
mod tests;
