//! The engine: turns a plan into attempts on real sockets, one single-threaded reactor a core.
//!
//! | module | does |
//! |---|---|
//! | [`dial`] | TCP connection from the planned source address, and the upgrade |
//! | [`attempt`] | drives one [`crate::client::Handshake`] to its outcome |
//! | [`script`] | one client: attempts, sessions, pauses, until its script ends |
//! | [`assignment`] | what a reactor is given, and what it gives back |
//! | [`reactor`] | starts clients when they are due, on a thread of its own |
//! | [`held`] | a session that is kept, called and left on demand |
//! | `ears` | notes the events that not every session may hear |
//! | [`puppets`] | clients that act step by step |
//! | [`feed`] | hands records to the run |

pub mod assignment;
pub mod attempt;
pub mod dial;
mod ears;
pub mod feed;
pub mod held;
mod lane;
pub mod puppets;
pub mod reactor;
pub mod script;
mod shared;

pub use assignment::{Assignment, ReactorOutput};
pub use feed::{Feed, Look, Progress, StopPhase, Underway};
pub use held::Held;
pub use lane::Lane;
pub use puppets::Puppets;
pub use reactor::Reactor;
