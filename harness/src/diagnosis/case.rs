//! One client in trouble, as the rules look at it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::answer::Exhibit;
use super::evidence::{
    Act, ActEnd, ActKind, Answer, Attempt, ClientEvidence, CredentialKind, Entry, Forwarded, GatewayEvidence,
    RefusalSeen,
};
use super::loops::{LOOP_ATTEMPTS, Loop, trouble};
use super::release;
use crate::vocabulary::Nanos;

/// Attempts whose answers take turns are looked at so far back.
const TURNS: usize = 6;
/// Exhibits that a diagnosis names at most.
const EXHIBITS_MAX: usize = 14;

/// A client in trouble.
pub(super) struct Case<'a> {
    pub gateway: &'a GatewayEvidence,
    pub client: &'a ClientEvidence,
    /// The row of attempts without a session.
    pub row: Loop,
    /// The attempts of the row whose end is known.
    pub streak: Vec<&'a Attempt>,
    /// Those at its end that are alike, or take turns, without what an outage explains.
    pub recent: Vec<&'a Attempt>,
    /// A session that the client had before.
    pub session_before: Option<&'a Attempt>,
}

/// What a pairing refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    NotPaired,
    Scopes,
    Role,
    Metadata,
    /// The release does not say, and nothing else does.
    Unsaid,
}

/// A reason, and whether it was said or follows from something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pairing {
    pub reason: Reason,
    pub said: bool,
}

impl<'a> Case<'a> {
    /// The trouble of a client; `None` = it has none.
    pub(super) fn new(gateway: &'a GatewayEvidence, client: &'a ClientEvidence) -> Option<Self> {
        let mut row = trouble(client)?;
        let streak: Vec<&Attempt> = client
            .attempts
            .get(row.first..=row.last)?
            .iter()
            .filter(|attempt| attempt.answer.class().is_some())
            .collect();
        let session_before =
            client.attempts.iter().take(row.first).rev().find(|attempt| attempt.answer.is_session());
        let recent = recent(&streak);
        // Beside what lasts, what a restart explains is no cause that takes turns with others.
        let counts = |attempt: &&&Attempt| !is_passing(&attempt.answer);
        let lasting: BTreeSet<String> =
            streak.iter().filter(counts).filter_map(|attempt| attempt.answer.class()).collect();
        if recent.iter().any(|attempt| !is_passing(&attempt.answer)) {
            row.classes = lasting;
        }
        Some(Self { gateway, client, row, streak, recent, session_before })
    }

    /// Forgets all that counts but what is like the last; whether that changed anything.
    pub(super) fn keep_alike(&mut self) -> bool {
        let last = self.last().and_then(|attempt| attempt.answer.class());
        let before = self.recent.len();
        let other = self.recent.iter().rposition(|attempt| attempt.answer.class() != last);
        self.recent.drain(..other.map_or(0, |other| other + 1));
        self.recent.len() < before
    }

    /// When the trouble began.
    pub(super) fn from(&self) -> Nanos {
        self.streak.first().map_or(0, |attempt| attempt.at)
    }

    /// When its last attempt began.
    pub(super) fn to(&self) -> Nanos {
        self.streak.last().map_or(0, |attempt| attempt.at)
    }

    /// Whether it was in once, so that its URL is right, and all that it met since is an outage, and the gateway was started again
    /// after its last attempt: nobody knows what it would be told now.
    pub(super) fn outage_is_over(&self) -> bool {
        let to = self.to();
        self.session_before.is_some()
            && self.all(|attempt| is_passing(&attempt.answer))
            && self.gateway.restarts.iter().any(|at| *at > to)
    }

    /// The last attempt that counts.
    pub(super) fn last(&self) -> Option<&'a Attempt> {
        self.recent.last().copied()
    }

    /// The refusals among those that count.
    pub(super) fn refusals(&self) -> impl Iterator<Item = &'a RefusalSeen> + '_ {
        self.recent.iter().filter_map(|attempt| refusal(attempt))
    }

    /// Whether all that counts are refusals for which this holds.
    pub(super) fn all_refused(&self, holds: impl Fn(&RefusalSeen) -> bool) -> bool {
        !self.recent.is_empty() && self.recent.iter().all(|attempt| refusal(attempt).is_some_and(&holds))
    }

    /// Whether all that counts have an end for which this holds.
    pub(super) fn all(&self, holds: impl Fn(&Attempt) -> bool) -> bool {
        !self.recent.is_empty() && self.recent.iter().all(|attempt| holds(attempt))
    }

    /// What operators were told was done before the last attempt, in order.
    pub(super) fn done(&self) -> impl DoubleEndedIterator<Item = &'a Act> + '_ {
        let to = self.to();
        self.client.acts.iter().filter(move |act| act.end == ActEnd::Done && act.told_at() <= to)
    }

    /// The last approval that was acknowledged before an attempt of the trouble and not taken back.
    pub(super) fn approval(&self) -> Option<&'a Act> {
        let last = self.done().rfind(|act| {
            matches!(
                act.kind,
                ActKind::Approve { .. } | ActKind::Remove | ActKind::Edit { scopes: None } | ActKind::Reject
            )
        })?;
        matches!(last.kind, ActKind::Approve { .. }).then_some(last)
    }

    /// The first restart of the gateway before the last attempt, not before `from`.
    pub(super) fn restart_since(&self, from: Nanos) -> Option<Nanos> {
        let to = self.to();
        self.gateway.restarts.iter().find(|at| **at >= from && **at <= to).copied()
    }

    /// The restart that may have lost what the gateway knew at `known`. Whoever was refused in the same way before it has lost
    /// nothing by it.
    pub(super) fn lost_by_restart(&self, known: Nanos) -> Option<Nanos> {
        let restart = self.restart_since(known)?;
        let last = self.last().and_then(|attempt| attempt.answer.class());
        let between = |attempt: &&&Attempt| attempt.at > known && attempt.at < restart;
        let before = self.streak.iter().filter(between).any(|attempt| attempt.answer.class() == last);
        (!before).then_some(restart)
    }

    /// Whether somebody outside knows that the gateway had an entry of this device.
    pub(super) fn was_known(&self) -> Option<(Nanos, &'static str)> {
        if let Some(attempt) = self.session_before {
            return Some((attempt.at, "it had a session"));
        }
        self.entry().map(|entry| (entry.at, "the gateway listed it as paired"))
    }

    /// Scopes that the device holds, as far as anybody can know, and who says so.
    pub(super) fn held_scopes(&self) -> Option<(Vec<String>, &'static str)> {
        if let Some(scopes) = self.refusals().filter_map(|refusal| refusal.approved_scopes.as_ref()).last() {
            return Some((scopes.clone(), "the refusal itself says so"));
        }
        let mut held = self.entry().and_then(|entry| entry.scopes.clone());
        let mut says = "the list of devices says so";
        for act in self.done() {
            match &act.kind {
                ActKind::Rotate { scopes: Some(scopes), .. }
                    if self.gateway.release.is_none() || release::rotation_replaces(self.gateway.release) =>
                {
                    (held, says) = (Some(scopes.clone()), "it was rotated to these");
                }
                ActKind::Edit { scopes: Some(scopes) } => {
                    (held, says) = (Some(scopes.clone()), "the entry was edited to these");
                }
                _ => {}
            }
        }
        if let Some(held) = held {
            return Some((held, says));
        }
        let granted = self.client.attempts.iter().take(self.row.first).rev();
        granted
            .filter_map(|attempt| match &attempt.answer {
                Answer::Session { scopes } => scopes.clone().or_else(|| attempt.scopes.clone()),
                _ => None,
            })
            .next()
            .map(|scopes| (scopes, "its last session had these"))
    }

    /// The entry that the gateway lists.
    pub(super) fn entry(&self) -> Option<&'a Entry> {
        self.client.entry.as_ref()?.as_ref()
    }

    /// Whether the entry has neither roles nor scopes, as those that older builds wrote.
    pub(super) fn entry_is_bare(&self) -> bool {
        let none = |texts: &Option<Vec<String>>| texts.as_ref().is_some_and(Vec::is_empty);
        self.entry().is_some_and(|entry| none(&entry.roles) && none(&entry.scopes))
    }

    /// Whether the first session that is known of asked for one scope alone, or was granted no more.
    pub(super) fn began_with(&self, scope: &str) -> bool {
        let mut before = self.client.attempts.iter().take(self.row.first);
        let Some(first) = before.find(|attempt| attempt.answer.is_session()) else { return false };
        let granted = match &first.answer {
            Answer::Session { scopes } => scopes.as_ref(),
            _ => None,
        };
        granted.or(first.scopes.as_ref()).is_some_and(|scopes| scopes.iter().eq([scope]))
    }

    /// Whether the gateway refuses the very device token that it issued because of the scopes that it lacks: before there was a code
    /// for that, releases called it a token that does not match.
    pub(super) fn token_is_too_narrow(&self) -> bool {
        let replaced = |act: &Act| !matches!(act.kind, ActKind::Reject | ActKind::Edit { scopes: Some(_) });
        self.all_refused(names_device_token)
            && self.credential() == Some(CredentialKind::DeviceToken)
            && self.last().and_then(|attempt| attempt.newest_token) != Some(false)
            && self.scopes_lacking().is_some_and(|lacking| !lacking.is_empty())
            && !self.done().any(replaced)
    }

    /// Whether somebody removed the device, and the token that the client still presents went with it.
    pub(super) fn token_was_removed(&self) -> bool {
        let last = self.done().rfind(|act| {
            matches!(
                act.kind,
                ActKind::Rotate { .. } | ActKind::Revoke { .. } | ActKind::Remove | ActKind::Approve { .. }
            )
        });
        last.is_some_and(|act| act.kind == ActKind::Remove)
            && self.credential() == Some(CredentialKind::DeviceToken)
            && self.all_refused(|refusal| names_device_token(refusal) || refusal.is_pairing())
    }

    /// Whether it shows neither a device nor a credential where a credential alone would do: for an operator, unless the gateway
    /// wants none.
    pub(super) fn shows_nothing(&self) -> bool {
        let nothing = |attempt: &Attempt| {
            attempt.device == Some(false)
                && attempt.credential == Some(CredentialKind::Missing)
                && attempt.role.as_deref().is_none_or(|role| role == "operator")
                && refusal(attempt).is_some_and(|refusal| {
                    refusal.detail_code.as_deref() == Some("DEVICE_IDENTITY_REQUIRED")
                        || refusal.message.starts_with("device identity required")
                })
        };
        self.gateway.config.auth_mode.as_deref() != Some("none") && self.all(nothing)
    }

    /// Scopes that the client asks last.
    pub(super) fn asked_scopes(&self) -> Option<&'a [String]> {
        self.last().and_then(|attempt| attempt.scopes.as_deref())
    }

    /// Scopes asked that the device does not hold; `None` = not known.
    pub(super) fn scopes_lacking(&self) -> Option<Vec<String>> {
        let (held, _) = self.held_scopes()?;
        let asked = self.asked_scopes()?;
        let lacking = asked.iter().filter(|scope| !release::covers(self.gateway.release, &held, scope));
        Some(lacking.cloned().collect())
    }

    /// What the pairing refusals are about; `None` = the trouble is none of pairing.
    pub(super) fn pairing(&self) -> Option<Pairing> {
        if !self.all_refused(RefusalSeen::is_pairing) {
            return None;
        }
        let said = self.refusals().last().and_then(|refusal| match refusal.reason.as_deref() {
            Some("not-paired") => Some(Reason::NotPaired),
            Some("scope-upgrade") => Some(Reason::Scopes),
            Some("role-upgrade") => Some(Reason::Role),
            Some("metadata-upgrade") => Some(Reason::Metadata),
            _ => None,
        });
        if let Some(reason) = said {
            return Some(Pairing { reason, said: true });
        }
        Some(Pairing { reason: self.inferred(), said: false })
    }

    /// What a refusal without a reason must be about: an old release tells it to its log only.
    fn inferred(&self) -> Reason {
        let logged = self.client.log.iter().rev().find_map(|line| {
            let (_, reason) = line.text.split_once("reason=")?;
            match reason.split(|c: char| !c.is_ascii_alphabetic() && c != '-').next()? {
                "not-paired" => Some(Reason::NotPaired),
                "scope-upgrade" => Some(Reason::Scopes),
                "role-upgrade" => Some(Reason::Role),
                "metadata-upgrade" => Some(Reason::Metadata),
                _ => None,
            }
        });
        if let Some(reason) = logged {
            return reason;
        }
        let entry = self.client.entry.as_ref();
        let roles = self.entry().and_then(|entry| entry.roles.as_ref());
        let role = self.last().and_then(|attempt| attempt.role.as_deref()).unwrap_or("operator");
        if roles.is_some_and(|roles| !roles.iter().any(|held| held == role)) {
            return Reason::Role;
        }
        if self.scopes_lacking().is_some_and(|lacking| !lacking.is_empty()) {
            return Reason::Scopes;
        }
        // What it holds suffices, and these releases look at nothing else of an entry: there is none.
        let suffices = self.scopes_lacking().is_some_and(|lacking| lacking.is_empty());
        match entry {
            Some(None) => Reason::NotPaired,
            Some(Some(_)) if suffices => Reason::NotPaired,
            None if self.session_before.is_none() || suffices => Reason::NotPaired,
            _ => Reason::Unsaid,
        }
    }

    /// A proxy that forwards for the client and that the gateway does not trust, with how its address stands in
    /// `trustedProxies`. `None`: there is none, or nobody knows.
    pub(super) fn untrusted_proxy(&self) -> Option<UntrustedProxy> {
        let attempt = self.last()?;
        let forwards = matches!(attempt.forwarded, Some(Forwarded::Present(_)));
        if let (true, Some(peer), Some(entries)) =
            (forwards, attempt.peer, self.gateway.config.trusted_proxies.as_ref())
        {
            return match release::named(entries, peer) {
                Some(release::Names::Exactly) => None,
                Some(release::Names::InRange) => {
                    match release::honours_ranges(self.gateway.release, self.gateway.version.as_deref()) {
                        Some(true) => None,
                        _ => Some(UntrustedProxy { peer: Some(peer), in_range: true, logged: None }),
                    }
                }
                None => Some(UntrustedProxy { peer: Some(peer), in_range: false, logged: None }),
            };
        }
        let lines = self.client.log.iter().chain(&self.gateway.log);
        const WARNING: &str = "Proxy headers detected from untrusted address";
        let logged = lines.rev().find(|line| line.text.contains(WARNING))?.clone();
        (attempt.forwarded != Some(Forwarded::Absent)).then_some(UntrustedProxy {
            peer: attempt.peer,
            in_range: false,
            logged: Some(logged),
        })
    }

    /// The credential that the last attempt presented.
    pub(super) fn credential(&self) -> Option<CredentialKind> {
        self.last().and_then(|attempt| attempt.credential)
    }

    /// What shows the trouble, in order of time: where it began and ended, what was done meanwhile, restarts.
    pub(super) fn exhibits(&self) -> Vec<Exhibit> {
        let mut exhibits: Vec<(Nanos, String)> = Vec::new();
        let told = |attempt: &Attempt| describe(attempt);
        if let Some(session) = self.session_before {
            exhibits.push((session.at, "it had a session".to_owned()));
        }
        if let (Some(first), Some(last)) = (self.streak.first(), self.streak.last()) {
            exhibits.push((first.at, format!("it was {}", told(first))));
            if self.row.attempts > 1 {
                let (attempts, ids) = (self.row.attempts, self.row.request_ids);
                let ids = if ids > 1 { format!(", {ids} request ids in all") } else { String::new() };
                exhibits.push((last.at, format!("attempt {attempts} in a row: it was {}{ids}", told(last))));
            }
        }
        // What leads to a trouble may lie before it.
        let acts = self.client.acts.iter().rev().take(EXHIBITS_MAX / 2);
        exhibits.extend(acts.map(|act| (act.at, act.to_string())));
        let since = self.session_before.map_or_else(|| self.from(), |session| session.at);
        let restarts = self.gateway.restarts.iter().filter(|at| **at >= since && **at <= self.gateway.ends);
        exhibits.extend(restarts.take(3).map(|at| (*at, "the gateway had been started again".to_owned())));
        exhibits.extend(self.client.log.iter().rev().take(3).map(|line| (line.at, line.text.clone())));
        exhibits.sort_by_key(|(at, _)| *at);
        exhibits.truncate(EXHIBITS_MAX);
        exhibits.into_iter().map(|(at, what)| Exhibit { at_us: Some(at / 1_000), what }).collect()
    }
}

/// A proxy that the gateway does not trust.
pub(super) struct UntrustedProxy {
    pub peer: Option<IpAddr>,
    /// A range of `trustedProxies` holds it.
    pub in_range: bool,
    /// The gateway's own words.
    pub logged: Option<super::evidence::LogLine>,
}

impl Act {
    /// When its operator knew.
    pub(super) fn told_at(&self) -> Nanos {
        self.ended.unwrap_or(self.at)
    }
}

impl std::fmt::Display for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scopes = |scopes: &Option<Vec<String>>| match scopes {
            Some(scopes) => format!(" to {}", scopes.join(", ")),
            None => String::new(),
        };
        let what = match &self.kind {
            ActKind::Approve { request_id: Some(id) } => format!("approved request {id}"),
            ActKind::Approve { request_id: None } => "approved it".to_owned(),
            ActKind::Reject => "rejected it".to_owned(),
            ActKind::Remove => "removed the device".to_owned(),
            ActKind::Rotate { scopes: to, .. } => format!("rotated its token{}", scopes(to)),
            ActKind::Revoke { .. } => "revoked its token".to_owned(),
            ActKind::Edit { scopes: None } => "took its entry out of the store by hand".to_owned(),
            ActKind::Edit { scopes: to } => format!("edited its entry by hand{}", scopes(to)),
        };
        match &self.end {
            ActEnd::Done => write!(f, "somebody {what}, and was told that it was done"),
            ActEnd::Refused(text) => write!(f, "somebody {what}, and was told: {text}"),
            ActEnd::Unknown => write!(f, "somebody {what}, and was told nothing"),
        }
    }
}

/// The refusal of an attempt, if it was refused.
pub(super) fn refusal(attempt: &Attempt) -> Option<&RefusalSeen> {
    match &attempt.answer {
        Answer::Refused(refusal) => Some(refusal),
        _ => None,
    }
}

/// Whether it is about the device token. 2026.2.19 and 2026.2.21 say so of a wrong shared one, too.
pub(super) fn names_device_token(refusal: &RefusalSeen) -> bool {
    refusal.detail_code.as_deref() == Some("AUTH_DEVICE_TOKEN_MISMATCH")
        || refusal.message.contains("device token mismatch")
        || refusal.message.contains("device_token_mismatch")
}

/// What an outage, a start or a stop of the gateway explains.
pub(super) fn is_passing(answer: &Answer) -> bool {
    match answer {
        Answer::ConnectionRefused | Answer::Unreachable(_) | Answer::TimedOut { dialled: false } => true,
        Answer::Http { status: 503, body } => !body.contains("unauthenticated sockets"),
        Answer::Refused(refusal) => refusal.code.as_deref() == Some("UNAVAILABLE"),
        Answer::Closed { code, .. } => matches!(code, 1001 | 1005 | 1006 | 1011..=1013),
        _ => false,
    }
}

/// The end of a row that is alike, or takes turns.
fn recent<'a>(streak: &[&'a Attempt]) -> Vec<&'a Attempt> {
    let passing = |attempt: &&&Attempt| is_passing(&attempt.answer);
    let outage = streak.iter().rev().take_while(passing).count();
    if outage >= LOOP_ATTEMPTS || outage == streak.len() {
        return streak.iter().skip(streak.len() - outage).copied().collect();
    }
    let lasting: Vec<&Attempt> =
        streak.iter().filter(|attempt| !is_passing(&attempt.answer)).copied().collect();
    let class = |attempt: &Attempt| attempt.answer.class();
    let last = lasting.last().and_then(|attempt| class(attempt));
    let alike = lasting.iter().rev().take_while(|attempt| class(attempt) == last).count();
    let take = if alike >= LOOP_ATTEMPTS { alike } else { alike.max(TURNS).min(lasting.len()) };
    lasting.iter().skip(lasting.len() - take).copied().collect()
}

/// How an attempt ended, in words.
pub(super) fn describe(attempt: &Attempt) -> String {
    match &attempt.answer {
        Answer::Unknown => "not known how it ended".to_owned(),
        Answer::Session { .. } => "let in".to_owned(),
        Answer::Refused(refusal) => {
            let reason = refusal.reason.as_ref().or(refusal.detail_code.as_ref());
            let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            let request = refusal.request_id.as_ref().map(|id| format!(", request {id}")).unwrap_or_default();
            format!("refused: {}{reason}{request}", refusal.message)
        }
        Answer::Http { status, body } => {
            format!("answered with HTTP {status} {}", body.chars().take(120).collect::<String>())
        }
        Answer::Closed { code, reason, .. } => format!("closed with {code} \"{reason}\" without an answer"),
        Answer::TimedOut { dialled: true } => "connected, and nothing came".to_owned(),
        Answer::TimedOut { dialled: false } => "not even connected in time".to_owned(),
        Answer::ConnectionRefused => "told by TCP that nothing listens there".to_owned(),
        Answer::Unreachable(error) => format!("unable to get there: {error}"),
        Answer::NotAGateway(what) => format!("answered by something that is no gateway: {what}"),
    }
}
