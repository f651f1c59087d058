//! Starts the real binary on a free port, and a small blocking client to drive it.

mod connection;
mod device;
mod gateway;
mod state;
mod way;

use std::time::Duration;

use serde_json::Value;

pub(crate) use connection::{Connection, Got};
pub(crate) use device::Device;
pub(crate) use gateway::Gateway;
pub(crate) use state::State;
pub(crate) use way::Way;

pub(crate) const TOKEN: &str = "shared-secret-of-these-tests";
/// Source address of connections that come through the trusted proxy.
pub(crate) const PROXY: &str = "127.2.0.1";
/// Nothing here takes this long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// `error.details.reason` and `requestId` of a pairing refusal, which must be one.
pub(crate) fn pairing(refused: &(Value, Option<(u16, String)>)) -> (String, String) {
    let (error, close) = refused;
    assert_eq!(error["code"], "NOT_PAIRED", "{error}");
    assert_eq!(error["message"], "pairing required");
    assert_eq!(error["details"]["code"], "PAIRING_REQUIRED");
    assert_eq!(*close, Some((1008, "pairing required".to_owned())));
    let text = |key: &str| error["details"][key].as_str().unwrap().to_owned();
    (text("reason"), text("requestId"))
}
