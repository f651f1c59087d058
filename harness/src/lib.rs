//! The load harness of pairstorm.
//!
//! Data flows one way. A module uses those before it in this list and none after it (`cli/tests/tidy.rs` looks):
//!
//! [`vocabulary`], [`observation`], [`history`], [`scenario`], [`plan`], [`clock`], [`client`], [`websocket`],
//! [`gateway`], [`engine`], [`conform`], [`operator`], [`nemesis`], [`story`], [`diagnosis`], [`oracle`], [`record`],
//! [`report`], [`sweep`], [`verify`], [`differential`], [`import`], [`probe`], and [`run`], the only one that sees all of them.

pub mod client;
pub mod clock;
pub mod conform;
pub mod diagnosis;
pub mod differential;
pub mod engine;
pub mod gateway;
pub mod history;
pub mod import;
pub mod nemesis;
pub mod observation;
pub mod operator;
pub mod oracle;
pub mod plan;
pub mod probe;
pub mod record;
pub mod report;
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod story;
pub mod sweep;
pub mod verify;
pub mod vocabulary;
pub mod websocket;
