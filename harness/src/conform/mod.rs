//! Replays recorded sessions against a gateway and compares field by field (docs/reference/conform.md).
//!
//! | module | does | pure |
//! |---|---|---|
//! | [`format`](mod@format) | reads a folder of recordings, both versions | yes |
//! | [`words`] | what version 1 says in words | yes |
//! | [`session`] | what a case is made of | yes |
//! | `sequence` | what follows from the order of what was done and seen | yes |
//! | [`reconstruct`] | lines to a session: connections, steps, one sequence | yes |
//! | [`signing`] | how a connect was signed, rightly or wrongly, and how to do it again | yes |
//! | [`identity`] | the recording's names and the replay's | yes |
//! | [`compare`] | recorded against live, field by field | yes |
//! | `store` | the hand edits of a store | no |
//! | `wires` | the replay's sockets | no |
//! | [`replay`] | one case, from start to end | no |
//! | [`tally`] | agreement by release, case and field | yes |
//! | [`run`] | a folder | no |
//! | [`redaction`] | what a recording may not hold | yes |
//! | [`recorder`] | makes the lines of a recording, version 2 | yes |
//! | [`proxy`] | stands between a client and a gateway and records | no |

pub mod compare;
pub mod format;
pub mod identity;
pub mod proxy;
pub mod reconstruct;
pub mod recorder;
pub mod redaction;
pub mod replay;
pub mod run;
mod sequence;
pub mod session;
pub mod signing;
mod socket;
mod store;
pub mod tally;
mod wires;
pub mod words;
