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
}

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
        let now_ms = self.now_ms;
        if let Some(entry) = &mut self.entry
            && entry.tokens.contains_key(role)
        {
            let entry = entry.to_mut();
            if let Some(token) = entry.tokens.get_mut(role) {
                token.last_used_at_ms = Some(now_ms);
            }
            entry.last_seen_at_ms = Some(now_ms);
            entry.last_seen_reason = Some("device-token-auth".to_owned());
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
        let entry = entry.to_mut();
        let client = &attempt.client;
        match self.rules.profile.refresh {
            RefreshRule::Nothing => {}
            RefreshRule::LastSeen => {
                entry.last_seen_at_ms = Some(self.now_ms);
                entry.last_seen_reason = Some("connect".to_owned());
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
            entry.remote_ip = attempt.kept_ip.map(|ip| ip.to_string());
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

    /// What has become of the device that `live` shows.
    pub(super) fn into_effects(self, live: &DeviceView<'_>) -> Effects {
        let mut effects = Effects {
            entry: change(live.entry, self.entry),
            pending: change(live.pending, self.pending),
            events: self.events,
            ..Effects::default()
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
