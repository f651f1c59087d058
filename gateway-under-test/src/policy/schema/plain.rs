//! The short way for a `connect` that is plainly well-formed.

use protocol::connect::ConnectParams;

use crate::profile::{Profile, Vocabulary};

/// The parameters of a `connect` that is plainly well-formed, read without building a tree: nearly every one. `None` says
/// nothing: [`validate`](super::validate) has to look.
#[must_use]
pub(in crate::policy) fn plain_connect(profile: &Profile, text: &str) -> Option<ConnectParams> {
    // serde takes a list of the values for the object, too; below the top the types see to that themselves.
    if !text.starts_with('{') {
        return None;
    }
    // Repeated keys, and whole numbers written as `3.0`, fail here, though the validator takes them.
    let params: ConnectParams = serde_json::from_str(text).ok()?;
    let ConnectParams { client, device, auth, caps, commands, scopes, .. } = &params;
    let is_v4 = profile.vocabulary == Vocabulary::V4;
    let is_new = client.build_id.is_some()
        || client.time_zone.is_some()
        || params.computer_use.is_some()
        || params.worker_runs.is_some()
        || params.model_catalog.is_some();
    let is_known = is_v4 || (!is_new && client.id.known_before_v4() && client.mode.known_before_v4());
    let is_short =
        |text: &Option<String>, max| text.as_ref().is_none_or(|text| (1..=max).contains(&text.len()));
    let is_there = |text: &Option<String>| text.as_ref().is_none_or(|text| !text.is_empty());
    let are_there = |list: &Option<Vec<String>>| {
        list.as_ref().is_none_or(|list| list.iter().all(|text| !text.is_empty()))
    };
    let is_client = !client.version.is_empty()
        && !client.platform.is_empty()
        && is_there(&client.display_name)
        && is_there(&client.device_family)
        && is_there(&client.model_identifier)
        && is_there(&client.instance_id)
        // In bytes, where the rule counts characters: who comes near it is looked at.
        && is_short(&client.build_id, 96)
        && is_short(&client.time_zone, 64);
    let is_device = device.as_ref().is_none_or(|device| {
        !device.id.is_empty()
            && !device.public_key.is_empty()
            && !device.signature.is_empty()
            && device.nonce.as_ref().is_some_and(|nonce| !nonce.is_empty())
    });
    let is_auth = auth.as_ref().is_none_or(|auth| {
        let keys = [
            ("token", &auth.token),
            ("password", &auth.password),
            ("deviceToken", &auth.device_token),
            ("bootstrapToken", &auth.bootstrap_token),
            ("approvalRuntimeToken", &auth.approval_runtime_token),
            ("agentRuntimeIdentityToken", &auth.agent_runtime_identity_token),
        ];
        keys.iter().all(|(key, value)| value.is_none() || profile.auth_keys.contains(key))
    });
    let is_plain = is_known
        && params.min_protocol >= 1
        && params.max_protocol >= 1
        && params.worker_runs.is_none()
        && is_client
        && is_device
        && is_auth
        && is_there(&params.role)
        && are_there(caps)
        && are_there(commands)
        && are_there(scopes);
    is_plain.then_some(params)
}
