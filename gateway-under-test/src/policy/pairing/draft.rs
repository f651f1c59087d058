//! A device while an attempt works on it: its entry and request as they will be, and what happened on the way.

use std::borrow::Cow;

use protocol::pairing::{Decision, PendingRequest, Resolved};

use super::super::attempt::DeviceAttempt;
use super::super::credential::{self, Method};
use super::super::entry::{DeviceEntry, DeviceView, TokenEntry};
use super::super::{Fresh, Rules, scopes};
use super::approval::{self, By};
use super::request::{self, Asked};
use super::{Change, Effects, PairingEvent, Touch, checks, token};
use crate::profile::{HelloAuthRule, RefreshRule, StoreKind, TokenBinding, TrustedProxyRule};

/// The device, half changed.
pub(super) struct Draft<'a> {
    pub(super) rules: &'a Rules,
    now_ms: u64,
    fresh: &'a mut dyn Fresh,
    entry: Option<Cow<'a, DeviceEntry>>,
    /// Possibly too old to count.
    pending: Option<Cow<'a, PendingRequest>>,
    events: Vec<PairingEvent>,
    /// Where the gateway keeps when it last saw a device (9.6).
    seen: Option<Seen>,
}

/// That the gateway has seen a device just now.
#[derive(Debug, Clone, Copy)]
struct Seen {
    reason: &'static str,
    /// Whether the token of its role was what it came by.
    token_used: bool,
}

/// How a device was seen that was let in.
const BY_CONNECT: &str = "connect";
/// How a device was seen whose token was right.
const BY_TOKEN: &str = "device-token-auth";

impl<'a> Draft<'a> {
    pub(super) fn new(
        rules: &'a Rules,
        live: &DeviceView<'a>,
        now_ms: u64,
        fresh: &'a mut dyn Fresh,
    ) -> Self {
        Self {
            rules,
            now_ms,
            fresh,
            entry: live.entry.map(Cow::Borrowed),
            pending: live.pending.map(Cow::Borrowed),
            events: Vec::new(),
            seen: None,
        }
    }

    pub(super) fn entry(&self) -> Option<&DeviceEntry> {
        self.entry.as_deref()
    }

    /// The request, if it still counts.
    pub(super) fn waiting(&self) -> Option<&PendingRequest> {
        self.pending.as_deref().filter(|request| request::is_waiting(self.rules, request, self.now_ms))
    }

    /// Notes that the token of a role was used to authenticate.
    pub(super) fn use_token(&mut self, role: &str) {
        // Elsewhere the last use is written lazily.
        if self.rules.profile.refresh != RefreshRule::LastSeen {
            return;
        }
        if self.entry.as_ref().is_some_and(|entry| entry.tokens.contains_key(role)) {
            self.seen = Some(Seen { reason: BY_TOKEN, token_used: true });
        }
    }

    /// Notes that the token of a role was right although its device must be approved anew: the releases that keep a file
    /// write the use down as soon as they have checked the token (recorded of 2.22).
    pub(super) fn use_token_in_vain(&mut self, role: &str) {
        if self.rules.profile.store != StoreKind::JsonReread {
            return;
        }
        let now_ms = self.now_ms;
        if let Some(entry) = &mut self.entry
            && entry.tokens.contains_key(role)
            && let Some(token) = entry.to_mut().tokens.get_mut(role)
        {
            token.last_used_at_ms = Some(now_ms);
        }
    }

    /// Writes what the client says of itself into an entry that has no metadata, and drops what waited.
    pub(super) fn repair(&mut self, entry: &DeviceEntry, attempt: &DeviceAttempt) -> DeviceEntry {
        let mut entry = entry.clone();
        entry.platform = Some(attempt.client.platform.clone());
        entry.device_family.clone_from(&attempt.client.device_family);
        self.entry = Some(Cow::Owned(entry.clone()));
        self.pending = None;
        entry
    }

    /// Records an ask.
    pub(super) fn ask(&mut self, attempt: &DeviceAttempt, silent: bool) -> Asked {
        let is_repair = self.entry.is_some();
        let waiting = self.waiting().cloned();
        let ask = request::Ask { is_repair, silent, now_ms: self.now_ms };
        let asked = request::ask(self.rules, attempt, waiting.as_ref(), ask, self.fresh);
        if let Some(superseded) = &asked.superseded {
            self.resolve(superseded.clone(), &attempt.device_id, Decision::Rejected);
        }
        self.pending = Some(Cow::Owned(asked.request.clone()));
        asked
    }

    fn resolve(&mut self, request_id: String, device_id: &str, decision: Decision) {
        let resolved = Resolved { request_id, device_id: device_id.to_owned(), decision, ts: self.now_ms };
        self.events.push(PairingEvent::Resolved(resolved));
    }

    /// Tells of a new request.
    pub(super) fn announce(&mut self, asked: Asked) {
        // A silent one that could not be approved is told of like any other.
        if asked.created || asked.silent {
            let shown = request::listed(&asked.request);
            self.events.push(PairingEvent::Requested(Box::new(shown)));
        }
    }

    /// Approves the waiting request without an operator; `false` when even that cannot be.
    pub(super) fn approve_silently(&mut self, attempt: &DeviceAttempt, judged: Option<&DeviceEntry>) -> bool {
        let Some(request) = self.pending.as_deref().cloned() else { return false };
        let known = judged.and_then(DeviceEntry::scope_baseline).unwrap_or_default();
        let may_grant = scopes::union(&attempt.scopes, known);
        let by = By::Silently { may_grant: &may_grant, attempt };
        match approval::approve(self.rules, &request, self.entry.as_deref(), by, self.now_ms, self.fresh) {
            Ok(entry) => {
                self.entry = Some(Cow::Owned(entry));
                self.pending = None;
                self.resolve(request.request_id, &attempt.device_id, Decision::Approved);
                true
            }
            Err(_) => false,
        }
    }

    /// Writes what an accepted connect leaves in the entry.
    pub(super) fn refresh(&mut self, attempt: &DeviceAttempt) {
        let Some(entry) = &mut self.entry else { return };
        let client = &attempt.client;
        let remote_ip = attempt.kept_ip.map(|ip| ip.to_string());
        if self.rules.profile.refresh == RefreshRule::LastSeen {
            let token_used = self.seen.is_some_and(|seen| seen.token_used);
            self.seen = Some(Seen { reason: BY_CONNECT, token_used });
            // Nearly always it says what it said before, and then nothing is copied.
            if checks::refreshed_platform(client, entry).is_none()
                && entry.display_name == client.display_name
                && entry.remote_ip == remote_ip
            {
                return;
            }
        }
        let entry = entry.to_mut();
        match self.rules.profile.refresh {
            RefreshRule::Nothing => {}
            RefreshRule::LastSeen => {
                if let Some(platform) = checks::refreshed_platform(client, entry) {
                    entry.platform = Some(platform.to_owned());
                }
            }
            rule @ (RefreshRule::ClientAndAccess | RefreshRule::Access) => {
                if rule == RefreshRule::ClientAndAccess {
                    entry.platform = Some(client.platform.clone());
                }
                entry.client_id = Some(client.id.as_str().to_owned());
                entry.client_mode = Some(client.mode.as_str().to_owned());
                let roles = scopes::union(&entry.approved_roles(), std::slice::from_ref(&attempt.role));
                entry.roles = Some(roles);
                entry.role = Some(attempt.role.clone());
                let all = scopes::union(entry.scopes(), &attempt.scopes);
                entry.scopes = (!all.is_empty()).then_some(all);
            }
        }
        if self.rules.profile.refresh != RefreshRule::Nothing {
            entry.display_name.clone_from(&client.display_name);
            entry.remote_ip = remote_ip;
        }
    }

    /// The token of the session, if one is due: the stored one if it is good enough, else a new one.
    pub(super) fn issue(&mut self, attempt: &DeviceAttempt, method: Method) -> Option<TokenEntry> {
        let rules = self.rules;
        let entry = self.entry.as_deref()?;
        let is_vouched_for = rules.profile.trusted_proxy == TrustedProxyRule::LoopbackNeedsLeave
            && method == Method::TrustedProxy
            && attempt.is_control_ui(rules.profile);
        if is_vouched_for {
            return None;
        }
        let issuer = self.issuer(attempt, method);
        let due = token::due(rules, attempt, entry, issuer.as_deref());
        match due {
            token::Due::Nothing => None,
            token::Due::Stored(token) => Some(token.clone()),
            token::Due::New(scopes) => {
                let held = entry.tokens.get(&attempt.role);
                let mut token = token::issue(&attempt.role, scopes, held, self.now_ms, self.fresh);
                token.bind(issuer);
                if let Some(entry) = &mut self.entry {
                    entry.to_mut().tokens.insert(attempt.role.clone(), token.clone());
                }
                Some(token)
            }
        }
    }

    /// The shared secret that a browser's token is bound to.
    fn issuer(&self, attempt: &DeviceAttempt, method: Method) -> Option<String> {
        if self.rules.profile.token_binding != TokenBinding::DeviceRoleIssuer
            || self.rules.profile.hello_auth != HelloAuthRule::Session
        {
            return None;
        }
        let by_bound_token = || {
            let entry = self.entry.as_deref()?;
            entry.tokens.get(&attempt.role)?.issuer().map(str::to_owned)
        };
        match method {
            Method::DeviceToken => by_bound_token(),
            Method::None => None,
            Method::Token | Method::Password | Method::TrustedProxy => {
                let is_browser = matches!(
                    attempt.client.id,
                    protocol::ClientId::ControlUi | protocol::ClientId::BrowserCopilot
                ) || super::super::origin::is_webchat(&attempt.client);
                is_browser.then(|| credential::generation(self.rules)).flatten()
            }
        }
    }

    /// Writes down that the device, which asked for `role`, was seen; lazily if nothing else changes and it was let in.
    fn note_seen(&mut self, live: &DeviceView<'_>, role: &str) -> Option<Touch> {
        let seen = self.seen?;
        let is_entry_kept = matches!(self.entry, Some(Cow::Borrowed(_)));
        let is_pending_kept = match (&self.pending, live.pending) {
            (None, None) | (Some(Cow::Borrowed(_)), _) => true,
            (Some(Cow::Owned(now)), Some(before)) => now == before,
            (Some(Cow::Owned(_)), None) | (None, Some(_)) => false,
        };
        if seen.reason == BY_CONNECT && is_entry_kept && is_pending_kept {
            return Some(Touch::Seen { token_used: seen.token_used });
        }
        let entry = self.entry.as_mut()?.to_mut();
        entry.last_seen_at_ms = Some(self.now_ms);
        entry.last_seen_reason = Some(seen.reason.to_owned());
        if seen.token_used
            && let Some(token) = entry.tokens.get_mut(role)
        {
            token.last_used_at_ms = Some(self.now_ms);
        }
        None
    }

    /// What has become of the device that `live` shows and that asked for `role`.
    pub(super) fn into_effects(mut self, live: &DeviceView<'_>, role: &str) -> Effects {
        let touch = self.note_seen(live, role);
        let mut effects = Effects {
            touch,
            entry: change(live.entry, self.entry),
            pending: change(live.pending, self.pending),
            events: self.events,
        };
        // Where everything is kept in memory, an ask that says nothing new is written lazily.
        if self.rules.profile.store == StoreKind::JsonLoaded
            && effects.entry.is_keep()
            && let (Change::Put(now), Some(before)) = (&effects.pending, live.pending)
            && (PendingRequest { ts: before.ts, ..PendingRequest::clone(now) }) == *before
        {
            effects.pending = Change::Keep;
            effects.touch = Some(Touch::AskedAgain);
        }
        effects
    }
}

fn change<T: Clone + PartialEq>(before: Option<&T>, after: Option<Cow<'_, T>>) -> Change<T> {
    match (before, after) {
        (None, None) | (_, Some(Cow::Borrowed(_))) => Change::Keep,
        (Some(_), None) => Change::Drop,
        (Some(before), Some(Cow::Owned(after))) if *before == after => Change::Keep,
        (_, Some(Cow::Owned(after))) => Change::Put(Box::new(after)),
    }
}
