//! The load harness of pairstorm.
//!
//! Data flows one way, a module a step; a step may use the types of earlier steps, never of later ones:
//!
//! ```text
//! scenario -> plan -> client -> engine -> observation -> oracle -> record -> report
//!                        operator, nemesis --^  (history)
//! ```
//!
//! [`run`] is the only module that sees all of them.

pub mod client;
pub mod clock;
pub mod engine;
pub mod history;
pub mod nemesis;
pub mod observation;
pub mod operator;
pub mod oracle;
pub mod plan;
pub mod record;
pub mod report;
pub mod run;
pub mod scenario;
pub mod target;
