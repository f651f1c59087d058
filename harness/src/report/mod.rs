//! Reports on a run, each made from its [`crate::record::RunResult`] alone.
//!
//! | module | gives |
//! |---|---|
//! | [`text`] | the summary for a terminal |
//! | [`json`] | `result.json` |
//! | [`files`] | the folder of a run |
//! | [`picture`] | the history of one device as a picture |
//! | `waterfall` | the wait of approved people, drawn |
//! | [`units`] | figures as people read them |

pub mod files;
pub mod json;
mod page;
pub mod picture;
pub mod text;
mod timeline;
pub mod units;
mod waterfall;

pub use crate::record::exit_code;
