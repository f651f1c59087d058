//! What the benchmarks measure against, and the drivers that several of them share. `benches/README.md` says how each number
//! is made.
//!
//! | module | holds |
//! |---|---|
//! | [`reference_server`] | a gateway's side of the handshake that decides nothing and is never the bottleneck |
//! | [`floor`] | the client that every other is compared with: fixed bytes, no JSON, no signature |
//! | [`engine`] | pairstorm's own engine as a client |
//! | [`report`] | what a client process says when it is done |
//! | [`processes`] | server and clients as processes, each on its core |
//! | [`rounds`] | medians of rounds, and how sure they are |
//! | [`story`] | a run that never took place, for the recorder and what counts instructions, and its pieces |
//! | [`numbered`] | what a gateway makes up, the same each time |
//! | [`workload`] | pieces of a handshake without sockets |
//! | [`usage`] | clock, CPU time, memory |
//! | [`cores`] | where a process runs and how many descriptors it has |
//! | [`wire`] | the few WebSocket frames that server and floor client exchange |
//! | [`recorded`] | recorded messages of real gateways |

pub mod cores;
pub mod engine;
pub mod floor;
pub mod numbered;
pub mod processes;
pub mod recorded;
pub mod reference_server;
pub mod report;
pub mod rounds;
pub mod story;
pub mod usage;
pub mod wire;
pub mod workload;
