//! An OpenClaw-compatible gateway for handshake tests.
//!
//! `docs/reference/article-profile.md` is the rule this crate follows; the harness's oracle was written from it by other
//! means, and the two are compared at every run. So nothing here may be shared with the harness but what is on the
//! wire (`pairstorm-protocol`).
//!
//! | module | holds |
//! |---|---|
//! | [`policy`] | who may connect: pure, without sockets, files, clocks |
//! | [`profile`] | what differs between gateways, as data |
//! | [`store`] | devices and requests, in JSON files or SQLite: one thread that owns them, snapshots for everybody else |
//! | [`server`] | listener, HTTP, one task a connection, methods, events, drain, metrics |
//! | [`defect`] | deliberate faults |
//! | [`config`] | `openclaw.json` |
//! | [`state_dir`] | which gateway holds a state directory, and where it listens |
//! | [`clock`] | the only readers of clocks and randomness |
//! | [`cli`] | command line of the gateway and of `devices` |
//!
//! A connect travels: [`server`] reads the first message, [`policy::screen`] judges what can be judged from it alone,
//! [`policy::admit`] judges it against the published snapshot of the store. If that wants no durable change the answer
//! goes out at once; otherwise the store's thread judges again on its working state, writes, publishes, and only then is
//! it answered.

pub mod cli;
pub mod clock;
pub mod config;
pub mod defect;
pub mod policy;
pub mod profile;
pub mod server;
pub mod state_dir;
pub mod store;
