//! What is on the wire between an OpenClaw gateway and its clients, and nothing else.
//!
//! Shapes, names, close codes, the device id and the bytes that a device signs. No IO, no clock, no policy: who may
//! connect is decided by the gateway and, separately, predicted by the harness's oracle; both depend on this crate and
//! never on each other. Section numbers in the documentation are those of the wire reference that was observed on
//! OpenClaw 2026.2.19, 2026.2.21, 2026.2.22, 2026.3.13 and 2026.9.6; `docs/reference/wire.md` restates what this crate
//! implements of it, and `fixtures/` holds recorded messages to which the tests hold this crate.
//!
//! | module | holds |
//! |---|---|
//! | [`frame`] | the three frames (request, response, event) and their decoder |
//! | [`connect`] | parameters of the `connect` request, the challenge, and the closed name sets |
//! | [`hello`] | the payload of an accepted `connect` |
//! | [`error`] | error shape, error codes, `details.code`, pairing reasons |
//! | [`close`] | WebSocket close codes and reasons, and the 120-byte cut |
//! | [`device`] | device id and signature payloads v1, v2, v3 |
//! | [`pairing`] | pairing RPCs, their parameters and results, and the two pairing events |
//! | [`profile`] | names of the gateway behaviours that both sides know |
//! | [`scope`] | the operator scope names |

pub mod close;
pub mod connect;
pub mod device;
pub mod error;
pub mod frame;
pub mod hello;
pub mod pairing;
pub mod profile;
pub mod scope;

pub use close::Close;
pub use connect::{Challenge, ClientId, ClientInfo, ClientMode, ConnectParams};
pub use device::{PayloadVersion, SignaturePayload, device_id};
pub use error::{DetailCode, ErrorCode, ErrorDetails, ErrorShape, PairingReason};
pub use frame::{Frame, FrameError};
pub use hello::HelloOk;
pub use profile::ProfileName;
