//! What else a caller must be to manage devices, beside holding `operator.pairing` (reference, section 8.7).
//!
//! Up to 2026.2.22 nothing. 2026.3.13 wants the scopes that a rotation grants. 2026.9.6 wants the scopes of everything
//! that is granted, admin for every role but `operator`, and lets a caller that came by its device token, and is no
//! admin, see and manage its own device only.

use protocol::pairing::{PairList, PendingRequest, RevokeParams, RotateParams};
use protocol::scope::{ADMIN, ROLE_OPERATOR};
use protocol::{ErrorCode, ErrorShape};

use super::entry::DeviceEntry;
use super::scopes;
use crate::profile::{ManagementRule, Profile};

/// The session that calls.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// Its scopes.
    pub scopes: &'a [String],
    /// Its device, if it came by that device's token.
    pub token_device: Option<&'a str>,
}

type Verdict = Result<(), Box<ErrorShape>>;

/// What is about to be done to a device, with the text of a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// `device.pair.approve`.
    Approve,
    /// `device.pair.reject`.
    Reject,
    /// `device.pair.remove`.
    Remove,
    /// `device.pair.rename`.
    Rename,
    /// `device.token.rotate`.
    Rotate,
    /// `device.token.revoke`.
    Revoke,
}

impl Act {
    /// The one text for everything that is denied, so that a caller learns nothing of others' devices.
    #[must_use]
    pub fn denied(self) -> Box<ErrorShape> {
        invalid(match self {
            Self::Approve => "device pairing approval denied",
            Self::Reject => "device pairing rejection denied",
            Self::Remove => "device pairing removal denied",
            Self::Rename => "device pairing rename denied",
            Self::Rotate => "device token rotation denied",
            Self::Revoke => "device token revocation denied",
        })
    }
}

fn invalid(message: impl Into<String>) -> Box<ErrorShape> {
    Box::new(ErrorShape::new(ErrorCode::InvalidRequest, message))
}

impl Caller<'_> {
    fn is_admin(self) -> bool {
        self.scopes.iter().any(|scope| scope == ADMIN)
    }

    /// The only device it may see and manage, if it is bound to one.
    fn bound_to(&self) -> Option<&str> {
        self.token_device.filter(|_| !self.is_admin())
    }

    fn is_kept_from(&self, device_id: &str) -> bool {
        self.bound_to().is_some_and(|own| own != device_id)
    }

    /// The first of these scopes that it does not hold.
    fn first_missing<'s>(
        &self,
        profile: &Profile,
        asked: impl IntoIterator<Item = &'s String>,
    ) -> Option<&'s String> {
        asked
            .into_iter()
            .find(|scope| !scopes::covers(profile.coverage, self.scopes, std::slice::from_ref(*scope)))
    }
}

/// Narrows a listing to what the caller may see.
pub fn narrow(profile: &Profile, caller: Caller<'_>, list: &mut PairList) {
    if profile.management != ManagementRule::CoveredAndOwn {
        return;
    }
    if let Some(own) = caller.bound_to() {
        list.pending.retain(|request| request.device_id == own);
        list.paired.retain(|device| device.device_id == own);
    }
}

/// Before an approval; `request` is what waits under the id, `entry` that of its device.
///
/// # Errors
/// The denial.
pub fn may_approve(
    profile: &Profile,
    caller: Caller<'_>,
    request: Option<&PendingRequest>,
    entry: Option<&DeviceEntry>,
) -> Verdict {
    if profile.management != ManagementRule::CoveredAndOwn {
        return Ok(());
    }
    let Some(request) = request else {
        // Only an admin is told that there is no such request.
        return if caller.is_admin() { Ok(()) } else { Err(Act::Approve.denied()) };
    };
    if !caller.is_admin()
        && (caller.is_kept_from(&request.device_id) || asked_roles(request).any(|role| role != ROLE_OPERATOR))
    {
        return Err(Act::Approve.denied());
    }
    if !asked_roles(request).any(|role| role == ROLE_OPERATOR) {
        return Ok(());
    }
    // The operator's token will hold what is asked, and what it holds.
    let held = entry.and_then(|entry| entry.tokens.get(ROLE_OPERATOR)).map(|token| token.scopes.as_slice());
    let granted =
        request.scopes.iter().filter(|scope| scope.starts_with("operator.")).chain(held.unwrap_or_default());
    match caller.first_missing(profile, granted) {
        Some(scope) => Err(invalid(format!("missing scope: {scope}"))),
        None => Ok(()),
    }
}

fn asked_roles(request: &PendingRequest) -> impl Iterator<Item = &str> {
    request.role.iter().chain(&request.roles).map(String::as_str)
}

/// Before a rejection.
///
/// # Errors
/// The denial.
pub fn may_reject(profile: &Profile, caller: Caller<'_>, request: Option<&PendingRequest>) -> Verdict {
    if profile.management != ManagementRule::CoveredAndOwn || caller.bound_to().is_none() {
        return Ok(());
    }
    match request {
        Some(request) if !caller.is_kept_from(&request.device_id) => Ok(()),
        _ => Err(Act::Reject.denied()),
    }
}

/// Before a removal or a renaming.
///
/// # Errors
/// The denial.
pub fn may_change(
    profile: &Profile,
    act: Act,
    caller: Caller<'_>,
    device_id: &str,
    entry: Option<&DeviceEntry>,
) -> Verdict {
    if profile.management != ManagementRule::CoveredAndOwn {
        return Ok(());
    }
    let has_other_role = |entry: &DeviceEntry| {
        entry.roles().iter().chain(entry.tokens.keys()).any(|role| role != ROLE_OPERATOR)
    };
    if caller.is_kept_from(device_id) || (caller.bound_to().is_some() && entry.is_some_and(has_other_role)) {
        return Err(act.denied());
    }
    Ok(())
}

/// Before a rotation.
///
/// # Errors
/// The denial.
pub fn may_rotate(
    profile: &Profile,
    caller: Caller<'_>,
    params: &RotateParams,
    entry: Option<&DeviceEntry>,
) -> Verdict {
    let role = params.role.trim();
    let token = entry.and_then(|entry| entry.tokens.get(role)).map(|token| token.scopes.as_slice());
    let granted = scopes::sorted(
        params.scopes.as_deref().or(token).or_else(|| entry.map(DeviceEntry::scopes)).unwrap_or_default(),
    );
    match profile.management {
        ManagementRule::PairingScope => Ok(()),
        ManagementRule::RotatesWhatItHolds => {
            // An unknown device is for the rotation itself to refuse.
            match entry.and_then(|_| caller.first_missing(profile, &granted)) {
                Some(scope) => Err(invalid(format!("missing scope: {scope}"))),
                None => Ok(()),
            }
        }
        ManagementRule::CoveredAndOwn => {
            if caller.is_kept_from(&params.device_id)
                || (!caller.is_admin() && role != ROLE_OPERATOR)
                || (role == ROLE_OPERATOR && caller.first_missing(profile, &granted).is_some())
            {
                return Err(Act::Rotate.denied());
            }
            Ok(())
        }
    }
}

/// Before a revocation.
///
/// # Errors
/// The denial.
pub fn may_revoke(
    profile: &Profile,
    caller: Caller<'_>,
    params: &RevokeParams,
    entry: Option<&DeviceEntry>,
) -> Verdict {
    if profile.management != ManagementRule::CoveredAndOwn {
        return Ok(());
    }
    let role = params.role.trim();
    let token = entry.and_then(|entry| entry.tokens.get(role)).map(|token| token.scopes.as_slice());
    if caller.is_kept_from(&params.device_id)
        || (!caller.is_admin() && role != ROLE_OPERATOR)
        || (role == ROLE_OPERATOR && caller.first_missing(profile, token.unwrap_or_default()).is_some())
    {
        return Err(Act::Revoke.denied());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{ALL, V2026_2_19, V2026_3_13, V2026_9_6};
    use serde_json::{Value, json};

    fn names(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(|scope| (*scope).to_owned()).collect()
    }

    fn request(device_id: &str, role: &str, scopes: &[&str]) -> PendingRequest {
        serde_json::from_value(json!({
            "requestId": "r", "deviceId": device_id, "publicKey": "k", "role": role, "roles": [role],
            "scopes": scopes, "ts": 1,
        }))
        .unwrap()
    }

    fn entry(device_id: &str, tokens: Value) -> DeviceEntry {
        serde_json::from_value(json!({
            "deviceId": device_id, "publicKey": "k", "role": "operator", "scopes": ["operator.read"],
            "tokens": tokens,
        }))
        .unwrap()
    }

    fn said(verdict: Verdict) -> String {
        verdict.err().map(|error| error.message).unwrap_or_default()
    }

    const PAIRING: &[&str] = &["operator.pairing"];
    const ALL_OF_READ: &[&str] = &["operator.pairing", "operator.read"];
    const EVERYTHING: &[&str] = &["operator.admin", "operator.pairing", "operator.read"];

    #[test]
    fn table_of_approvals() {
        const DENIED: &str = "device pairing approval denied";
        type Row = (
            &'static [&'static str],
            Option<&'static str>,
            Option<(&'static str, &'static str)>,
            &'static str,
        );
        let rows: &[Row] = &[
            (ALL_OF_READ, None, Some(("operator", "operator.read")), ""),
            (PAIRING, None, Some(("operator", "operator.admin")), "missing scope: operator.admin"),
            (PAIRING, None, Some(("node", "")), DENIED),
            (PAIRING, None, None, DENIED),
            (EVERYTHING, None, None, ""),
            (EVERYTHING, None, Some(("node", "")), ""),
            (ALL_OF_READ, Some("mine"), Some(("operator", "operator.read")), DENIED),
            (ALL_OF_READ, Some("theirs"), Some(("operator", "operator.read")), ""),
            (EVERYTHING, Some("mine"), Some(("operator", "operator.read")), ""),
        ];
        for (scopes, token_device, asked, message) in rows {
            let scopes = names(scopes);
            let caller = Caller { scopes: &scopes, token_device: *token_device };
            let asked = asked.map(|(role, scope)| {
                request("theirs", role, if scope.is_empty() { &[] } else { std::slice::from_ref(&scope) })
            });
            let verdict = may_approve(&V2026_9_6, caller, asked.as_ref(), None);
            assert_eq!(said(verdict), *message, "{scopes:?} {token_device:?} {asked:?}");
            for profile in ALL.iter().filter(|profile| profile.management != ManagementRule::CoveredAndOwn) {
                assert_eq!(said(may_approve(profile, caller, asked.as_ref(), None)), "");
            }
        }
        // What the device's token holds already must be covered as well.
        let scopes = names(ALL_OF_READ);
        let caller = Caller { scopes: &scopes, token_device: None };
        let held = entry(
            "theirs",
            json!({"operator": {"token": "t", "role": "operator", "createdAtMs": 1,
            "scopes": ["operator.approvals"]}}),
        );
        let asked = request("theirs", "operator", &["operator.read"]);
        assert_eq!(
            said(may_approve(&V2026_9_6, caller, Some(&asked), Some(&held))),
            "missing scope: operator.approvals"
        );
    }

    #[test]
    fn who_came_by_a_token_manages_its_own_device() {
        let scopes = names(ALL_OF_READ);
        let caller = Caller { scopes: &scopes, token_device: Some("mine") };
        let theirs = request("theirs", "operator", &[]);
        let mine = request("mine", "operator", &[]);
        assert_eq!(said(may_reject(&V2026_9_6, caller, Some(&theirs))), "device pairing rejection denied");
        assert_eq!(said(may_reject(&V2026_9_6, caller, None)), "device pairing rejection denied");
        assert_eq!(said(may_reject(&V2026_9_6, caller, Some(&mine))), "");
        assert_eq!(said(may_reject(&V2026_2_19, caller, Some(&theirs))), "");
        let shared = Caller { scopes: &scopes, token_device: None };
        assert_eq!(said(may_reject(&V2026_9_6, shared, None)), "", "the store says that it is unknown");

        let change = |act, caller: Caller<'_>, device: &str, entry: Option<&DeviceEntry>| {
            said(may_change(&V2026_9_6, act, caller, device, entry))
        };
        assert_eq!(change(Act::Remove, caller, "theirs", None), "device pairing removal denied");
        assert_eq!(change(Act::Rename, caller, "theirs", None), "device pairing rename denied");
        assert_eq!(change(Act::Remove, caller, "mine", Some(&entry("mine", json!({})))), "");
        let node =
            entry("mine", json!({"node": {"token": "t", "role": "node", "scopes": [], "createdAtMs": 1}}));
        assert_eq!(change(Act::Remove, caller, "mine", Some(&node)), "device pairing removal denied");
        assert_eq!(change(Act::Remove, shared, "mine", Some(&node)), "");

        let mut list = PairList {
            pending: vec![theirs, mine],
            paired: vec![node.listed(), entry("x", json!({})).listed()],
        };
        narrow(&V2026_2_19, caller, &mut list);
        assert_eq!((list.pending.len(), list.paired.len()), (2, 2));
        narrow(&V2026_9_6, shared, &mut list);
        assert_eq!((list.pending.len(), list.paired.len()), (2, 2));
        narrow(&V2026_9_6, caller, &mut list);
        assert_eq!((list.pending.len(), list.paired.len()), (1, 1));
    }

    #[test]
    fn table_of_rotations() {
        let stored = entry(
            "theirs",
            json!({"operator": {"token": "t", "role": "operator", "createdAtMs": 1,
            "scopes": ["operator.read", "operator.write"]}}),
        );
        let params = |role: &str, scopes: Option<&[&str]>| RotateParams {
            device_id: "theirs".to_owned(),
            role: role.to_owned(),
            scopes: scopes.map(names),
        };
        let held = names(ALL_OF_READ);
        let everything = names(&["operator.admin", "operator.pairing", "operator.read", "operator.write"]);
        let caller = |scopes, token_device| Caller { scopes, token_device };
        let read: Option<&[&str]> = Some(&["operator.read"]);
        // Release, caller, what it rotates, and what it is told.
        let rows = [
            (&V2026_2_19, caller(&held, None), params("operator", None), ""),
            (&V2026_3_13, caller(&held, None), params("operator", None), "missing scope: operator.write"),
            (&V2026_3_13, caller(&held, None), params("operator", read), ""),
            (&V2026_3_13, caller(&everything, None), params("operator", None), ""),
            (&V2026_9_6, caller(&held, None), params("operator", None), "device token rotation denied"),
            (&V2026_9_6, caller(&held, None), params("operator", read), ""),
            (&V2026_9_6, caller(&held, None), params("node", Some(&[])), "device token rotation denied"),
            (&V2026_9_6, caller(&everything, None), params("node", Some(&[])), ""),
            (
                &V2026_9_6,
                caller(&held, Some("mine")),
                params("operator", read),
                "device token rotation denied",
            ),
            (&V2026_9_6, caller(&held, Some("theirs")), params("operator", read), ""),
        ];
        for (profile, caller, params, message) in rows {
            let verdict = may_rotate(profile, caller, &params, Some(&stored));
            assert_eq!(said(verdict), message, "{} {caller:?} {params:?}", profile.name);
        }
        // A device that is not there is not the scopes' matter.
        assert_eq!(
            said(may_rotate(&V2026_3_13, caller(&held, None), &params("operator", Some(&["x"])), None)),
            ""
        );

        let revoke = RevokeParams { device_id: "theirs".to_owned(), role: "operator".to_owned() };
        let said_of = |profile, caller| said(may_revoke(profile, caller, &revoke, Some(&stored)));
        assert_eq!(said_of(&V2026_9_6, caller(&held, None)), "device token revocation denied");
        assert_eq!(said_of(&V2026_9_6, caller(&everything, None)), "");
        assert_eq!(
            said_of(&V2026_9_6, caller(&everything[1..], Some("mine"))),
            "device token revocation denied"
        );
        assert_eq!(said_of(&V2026_3_13, caller(&held, None)), "");
    }
}
