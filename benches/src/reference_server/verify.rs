//! Whether what a client signed is what it should have signed, by the gateway's own rule.

use gateway_under_test::clock::wall_ms;
use gateway_under_test::policy::device_proof::{Claim, verify};
use gateway_under_test::profile;
use protocol::connect::ConnectParams;
use protocol::{Frame, scope};

/// Looks at a `connect` that answers the challenge with `nonce`.
///
/// # Errors
/// What is wrong with it, as the gateway's log would say.
pub(super) fn connect(message: &[u8], nonce: &str) -> Result<(), &'static str> {
    let Ok(Frame::Request(request)) = Frame::decode(message) else { return Err("not-a-request") };
    let params = request.params.map(serde_json::value::RawValue::get).unwrap_or_default();
    let params: ConnectParams = serde_json::from_str(params).map_err(|_| "bad-params")?;
    let device = params.device.as_ref().ok_or("no-device")?;
    let claim = Claim {
        device,
        client: &params.client,
        role: params.role.as_deref().unwrap_or(scope::ROLE_OPERATOR),
        scopes: params.scopes.as_deref().unwrap_or_default(),
        token: params.auth.as_ref().map(protocol::connect::AuthParams::signed_token).unwrap_or_default(),
        nonce,
        defect: None,
        local: true,
    };
    verify(&profile::V2026_9_6, &claim, wall_ms()).map(drop).map_err(|refusal| refusal.cause)
}
