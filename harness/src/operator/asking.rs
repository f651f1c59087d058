//! How an operation is asked for: as a call over a session, or as a `devices` command; and how each says that it is done.

use protocol::Frame;
use protocol::pairing::{DeviceIdParams, RequestIdParams, RevokeParams, RotateParams, method};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::handshake::bounded;
use crate::gateway::command_line::Said;
use crate::history::{OperationEnd, OperationKind};
use crate::plan::Nanos;

/// Texts with which every known release refuses an operation. A command that fails with another one may have failed after the
/// gateway had done what it asked.
const REFUSALS: [&str; 9] = [
    "unknown requestId",
    "unknown device",
    "approval denied",
    "rejection denied",
    "removal denied",
    "rotation denied",
    "revocation denied",
    "missing scope",
    "unauthorized role",
];

/// Method and parameters of an operation on a device; `None` if no call does it.
#[must_use]
pub fn call(kind: &OperationKind, device_id: &str) -> Option<(&'static str, Value)> {
    let device_id = || device_id.to_owned();
    match kind {
        OperationKind::Approve { request_id } => {
            value(method::APPROVE, &RequestIdParams { request_id: request_id.clone() })
        }
        OperationKind::Reject { request_id } => {
            value(method::REJECT, &RequestIdParams { request_id: request_id.clone() })
        }
        OperationKind::Remove => value(method::REMOVE, &DeviceIdParams { device_id: device_id() }),
        OperationKind::Rotate { role, scopes } => value(
            method::ROTATE,
            &RotateParams { device_id: device_id(), role: role.clone(), scopes: scopes.clone() },
        ),
        OperationKind::Revoke { role } => {
            value(method::REVOKE, &RevokeParams { device_id: device_id(), role: role.clone() })
        }
        OperationKind::Edit(_) => None,
    }
}

fn value(method: &'static str, params: &impl Serialize) -> Option<(&'static str, Value)> {
    Some((method, serde_json::to_value(params).ok()?))
}

/// What is typed after `devices` for an operation on a device; `None` if no command does it.
#[must_use]
pub fn words(kind: &OperationKind, device_id: &str) -> Option<Vec<String>> {
    let words = match kind {
        OperationKind::Approve { request_id } => vec!["approve", request_id],
        OperationKind::Reject { request_id } => vec!["reject", request_id],
        OperationKind::Remove => vec!["remove", device_id],
        OperationKind::Rotate { role, scopes } => {
            let mut words = vec!["rotate", "--device", device_id, "--role", role];
            words.extend(scopes.iter().flatten().flat_map(|scope| ["--scope", scope]));
            words
        }
        OperationKind::Revoke { role } => vec!["revoke", "--device", device_id, "--role", role],
        OperationKind::Edit(_) => return None,
    };
    Some(words.into_iter().map(str::to_owned).collect())
}

/// How an operation ended whose command ended at `at`.
#[must_use]
pub fn end_of_command(said: &Said, at: Nanos) -> OperationEnd {
    match said {
        Said::Done { .. } => OperationEnd::Done { at, token: None },
        Said::Failed { text } => match REFUSALS.iter().find(|refusal| text.contains(**refusal)) {
            Some(_) => OperationEnd::Refused { at, code: String::new(), message: bounded(text.trim()) },
            None => OperationEnd::Unknown,
        },
        Said::Unknown => OperationEnd::Unknown,
    }
}

/// The secret in the answer to a rotation, where the release and the caller get one.
#[derive(Deserialize)]
struct Rotated {
    token: Option<String>,
}

/// The token in the answer to a rotation, which is a secret.
#[must_use]
pub fn rotated(response: &[u8]) -> Option<String> {
    match Frame::decode(response) {
        Ok(Frame::Response(response)) => serde_json::from_str::<Rotated>(response.payload?.get()).ok()?.token,
        _ => None,
    }
}

/// The token that a `devices rotate` printed.
#[must_use]
pub fn printed_token(stdout: &str) -> Option<String> {
    let from = stdout.find('{')?;
    serde_json::from_str::<Rotated>(stdout.get(from..)?.trim()).ok()?.token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_and_a_command_ask_for_the_same() {
        let rotate = OperationKind::Rotate { role: "node".to_owned(), scopes: Some(vec!["a".to_owned()]) };
        let (method, params) = call(&rotate, "d1").unwrap();
        assert_eq!(
            (method, params["deviceId"].as_str(), params["role"].as_str()),
            ("device.token.rotate", Some("d1"), Some("node"))
        );
        assert_eq!(
            words(&rotate, "d1").unwrap(),
            ["rotate", "--device", "d1", "--role", "node", "--scope", "a"]
        );
        let approve = OperationKind::Approve { request_id: "r1".to_owned() };
        assert_eq!(call(&approve, "").unwrap().1["requestId"], "r1");
        assert_eq!(words(&approve, "").unwrap(), ["approve", "r1"]);
    }

    #[test]
    fn a_command_that_failed_was_refused_only_if_it_says_so() {
        let failed = |text: &str| end_of_command(&Said::Failed { text: text.to_owned() }, 5);
        assert!(matches!(failed("error: unknown requestId\n"), OperationEnd::Refused { at: 5, .. }));
        for refusal in
            ["unknown deviceId/role", "device pairing approval denied", "device token rotation denied"]
        {
            assert!(matches!(failed(refusal), OperationEnd::Refused { .. }), "{refusal}");
        }
        assert!(matches!(failed("gateway closed (1006)"), OperationEnd::Unknown));
        // The system's word, not the gateway's.
        assert!(matches!(failed("openclaw.json: Permission denied (os error 13)"), OperationEnd::Unknown));
        assert!(matches!(end_of_command(&Said::Unknown, 5), OperationEnd::Unknown));
        assert_eq!(
            printed_token("note\n{\"token\": \"secret\", \"role\": \"node\"}\n").as_deref(),
            Some("secret")
        );
        assert_eq!(printed_token("nothing"), None);
    }
}
