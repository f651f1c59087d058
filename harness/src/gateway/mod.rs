//! The gateway as the harness sees it: a process that it starts, signals and stops, or a URL that somebody else serves.
//!
//! The harness knows a gateway's command line, its state directory and its wire, never its code.

pub mod address;
pub mod command_line;
pub mod error;
mod family;
pub mod fixture;
pub mod metrics;
pub mod openclaw;
pub mod port;
pub mod process;
pub mod program;
mod readiness;
pub mod stamp;
pub mod state_dir;
pub mod store_edit;

pub use address::TargetAddress;
pub use command_line::CommandLine;
pub use error::TargetError;
pub use process::{GatewayCommand, GatewayProcess, Launch};
pub use program::Program;
pub use state_dir::StateDir;
