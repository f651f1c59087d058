//! The engine: turns a plan into attempts on real sockets, one single-threaded reactor a core.
//!
//! | module | does |
//! |---|---|
//! | [`reactor`] | a thread, its clients made before the run begins |
//! | `event_loop`, `steps` | waits for sockets and times; lets each client take its next step |
//! | `starts`, `deadlines`, `alarm` | who starts when, what is due when, and waking up for it |
//! | `script`, `tale`, `connection`, `client`, `shared` | what a client does, step by step if it has a script, its socket, who it is, what all share |
//! | [`attempt`], [`session`] | what bytes mean, before and after hello-ok; without sockets |
//! | [`opening`], [`workbench`], [`transcripts`] | upgrade requests, buffers, what passed lately |
//! | [`socket`], [`dial`] | TCP connections from the planned source address, for the load and for tokio |
//! | [`single`], [`conversation`], [`held`], [`puppets`] | the same attempt on tokio, for operators and stories |
//! | `ears` | notes the events that not every session may hear |
//! | [`assignment`] | what a reactor is given, and what it gives back |
//! | [`told`], `waiting` | tells clients that pause of their approval |
//! | [`feed`], `lane`, [`stop`] | hands records to the run; tells everybody to stop |

mod alarm;
pub mod assignment;
pub mod attempt;
mod client;
mod connection;
pub mod conversation;
mod deadlines;
pub mod dial;
mod ears;
mod event_loop;
pub mod feed;
pub mod held;
mod lane;
pub mod opening;
pub mod puppets;
pub mod reactor;
mod recording;
mod script;
pub mod session;
mod shared;
pub mod single;
pub mod socket;
mod starts;
mod steps;
pub mod stop;
mod tale;
pub mod told;
pub mod transcripts;
mod waiting;
pub mod workbench;

pub use assignment::{Assignment, ReactorOutput};
pub use conversation::Conversation;
pub use feed::{Feed, Look, Progress, StopPhase, Underway};
pub use held::Held;
pub use lane::Lane;
pub use puppets::Puppets;
pub use reactor::{PreparedReactor, Reactor};
pub use stop::StopSwitch;
pub use told::Told;
