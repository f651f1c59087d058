//! The parameters of a `connect`, from the text of the message.

use protocol::connect::ConnectParams;
use protocol::{ClientId, ClientMode, close};
use serde_json::Value;

use super::refusal::Refusal;
use super::schema;
use crate::profile::{Profile, Vocabulary};

/// The parameters, if they are well-formed and not a worker's.
pub(super) fn read(profile: &Profile, text: &str) -> Result<ConnectParams, Refusal> {
    let worker = || Refusal::silent(close::code::POLICY, "invalid-handshake", "invalid-handshake");
    let knows_workers = profile.vocabulary == Vocabulary::V4;
    if let Some(params) = schema::plain_connect(profile, text) {
        let is_worker = params.role.as_deref() == Some("worker")
            || params.client.id == ClientId::Worker
            || params.client.mode == ClientMode::Worker;
        return if knows_workers && is_worker { Err(worker()) } else { Ok(params) };
    }
    let schema_error =
        |text: String| Refusal::invalid(format!("invalid connect params: {text}"), "invalid-params");
    // JSON that cannot be held, such as a number beyond every range; serde's words repeat nothing of it.
    let params: Value = serde_json::from_str(text).map_err(|error| schema_error(error.to_string()))?;
    if knows_workers && claims_to_be_a_worker(&params) {
        return Err(worker());
    }
    schema::validate(profile, schema::Params::Connect, &params).map_err(schema_error)?;
    decode(params).map_err(schema_error)
}

/// Whether parameters are those of a worker, which speaks to another door of the newest release.
fn claims_to_be_a_worker(params: &Value) -> bool {
    let text = |pointer: &str| params.pointer(pointer).and_then(Value::as_str);
    text("/role") == Some("worker")
        || text("/client/id") == Some(ClientId::Worker.as_str())
        || text("/client/mode") == Some(ClientMode::Worker.as_str())
}

/// Turns a valid value into the type. Whole numbers may be written as `3.0`, and may be beyond what the type holds.
pub(super) fn decode(mut params: Value) -> Result<ConnectParams, String> {
    for pointer in ["/minProtocol", "/maxProtocol"] {
        clamp_whole(&mut params, pointer, u64::from(u32::MAX));
    }
    clamp_whole(&mut params, "/device/signedAt", u64::MAX);
    // The value passed the validator, so that this fails only if the two disagree.
    serde_json::from_value(params).map_err(|error| error.to_string())
}

fn clamp_whole(params: &mut Value, pointer: &str, max: u64) {
    if let Some(number) = params.pointer_mut(pointer)
        && let Some(float) = number.as_f64()
    {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and the sign is checked"
        )]
        let whole = number.as_u64().unwrap_or(float as u64);
        *number = Value::from(whole.min(max));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::ALL;
    use proptest::prelude::*;
    use serde_json::json;

    /// Keys of a connect that something else may stand in, or that may be added; the first is the whole.
    const PLACES: [&str; 39] = [
        "",
        "/minProtocol",
        "/maxProtocol",
        "/client",
        "/client/id",
        "/client/mode",
        "/client/version",
        "/client/platform",
        "/client/displayName",
        "/client/deviceFamily",
        "/client/modelIdentifier",
        "/client/instanceId",
        "/client/buildId",
        "/client/timeZone",
        "/role",
        "/scopes",
        "/caps",
        "/commands",
        "/permissions",
        "/pathEnv",
        "/locale",
        "/userAgent",
        "/computerUse",
        "/workerRuns",
        "/modelCatalog",
        "/device",
        "/device/id",
        "/device/publicKey",
        "/device/nonce",
        "/device/signedAt",
        "/device/signature",
        "/auth",
        "/auth/token",
        "/auth/deviceToken",
        "/auth/bootstrapToken",
        "/auth/approvalRuntimeToken",
        "/auth/agentRuntimeIdentityToken",
        "/auth/password",
        "/bogus",
    ];
    /// Among them lists of what the objects hold, in the order of the types, and objects that name a name.
    const VALUES: [&str; 26] = [
        "null",
        "0",
        "1",
        "3.0",
        "-1",
        "4294967296",
        "\"\"",
        "\"x\"",
        "\"openclaw-tui\"",
        "\"worker\"",
        "[]",
        "[\"\"]",
        "[\"x\"]",
        "{}",
        "{\"x\":true}",
        "true",
        "\"cli\"",
        "{\"cli\":null}",
        "{\"cli\":{}}",
        "[null]",
        "[\"i\",\"k\",\"s\",1,\"n\"]",
        "[\"t\",\"p\"]",
        "[\"cli\",\"n\",\"1\",\"linux\",\"f\",\"m\",\"cli\"]",
        "[3,4,{\"id\":\"cli\",\"version\":\"1\",\"platform\":\"linux\",\"mode\":\"cli\"}]",
        "{\"token\":\"t\"}",
        "{\"token\":[\"t\"]}",
    ];

    /// A connect with nothing unusual, which every release takes.
    fn base() -> Value {
        json!({
            "minProtocol": 3, "maxProtocol": 4,
            "client": {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"},
            "role": "operator", "scopes": ["operator.read"], "caps": [], "permissions": {"camera": true},
            "device": {"id": "i", "publicKey": "k", "signature": "s", "signedAt": 1, "nonce": "n"},
            "auth": {"token": "t"},
        })
    }

    fn change(params: &mut Value, place: &str, value: &str) {
        let value = serde_json::from_str(value).unwrap();
        let Some((parent, key)) = place.rsplit_once('/') else {
            *params = value;
            return;
        };
        if let Some(object) = params.pointer_mut(parent).and_then(Value::as_object_mut) {
            object.insert(key.to_owned(), value);
        }
    }

    /// What is read without a tree is what the validator and the tree give. Gives how it was read.
    fn read_both_ways(profile: &Profile, params: &Value) -> Option<ConnectParams> {
        let text = params.to_string();
        let plain = schema::plain_connect(profile, &text)?;
        let valid = schema::validate(profile, schema::Params::Connect, params);
        assert_eq!(valid, Ok(()), "{text} on {}", profile.name);
        assert_eq!(decode(params.clone()).as_ref(), Ok(&plain), "{text} on {}", profile.name);
        Some(plain)
    }

    #[test]
    fn an_ordinary_connect_is_read_plainly_and_every_change_of_it_as_any_other() {
        for profile in ALL {
            assert!(read_both_ways(profile, &base()).is_some(), "{}", profile.name);
            for place in PLACES {
                for value in VALUES {
                    let mut params = base();
                    change(&mut params, place, value);
                    let is_plain = read_both_ways(profile, &params).is_some();
                    // Only these are taken by the validator alone.
                    let is_odd = value == "3.0" || value == "4294967296";
                    if !is_odd && schema::validate(profile, schema::Params::Connect, &params).is_ok() {
                        assert!(is_plain, "{params} on {}", profile.name);
                    }
                }
            }
        }
    }

    #[test]
    fn a_list_in_the_place_of_an_object_is_told_so() {
        for (place, value, said) in [
            ("/auth", "[]", "at /auth: must be object"),
            ("/auth", "[\"t\"]", "at /auth: must be object"),
            ("/device", "[\"i\",\"k\",\"s\",1,\"n\"]", "at /device: must be object"),
            (
                "",
                "[3,4,{\"id\":\"cli\",\"version\":\"1\",\"platform\":\"linux\",\"mode\":\"cli\"}]",
                "must be object",
            ),
        ] {
            for profile in ALL {
                let mut params = base();
                change(&mut params, place, value);
                let refusal = read(profile, &params.to_string()).unwrap_err();
                let message = refusal.error.map(|error| error.message);
                assert_eq!(message, Some(format!("invalid connect params: {said}")), "{}", profile.name);
            }
        }
    }

    proptest! {
        /// What is read without a tree is what the validator and the tree give.
        #[test]
        fn a_plain_connect_is_read_as_any_other(
            changes in proptest::collection::vec((0_usize..PLACES.len(), 0_usize..VALUES.len()), 0..4),
        ) {
            let mut params = base();
            for (place, value) in changes {
                change(&mut params, PLACES[place], VALUES[value]);
            }
            for profile in ALL {
                read_both_ways(profile, &params);
            }
        }
    }
}
