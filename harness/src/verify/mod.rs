//! What a scenario must show, held against what a run of it showed (`pairstorm verify`).
//!
//! Beside `NAME.toml` lies `NAME.expected.toml`: at which size the scenario is run, and what must come out of each of its runs.
//! Everything here is pure; the command makes the runs.
//!
//! | module | what |
//! |---|---|
//! | [`expected`] | the file: read, checked, written |
//! | [`count`] | how often something may be seen |
//! | [`seen`] | what a run showed, from its result and its history |
//! | [`compare`] | the differences, in words |
//! | [`result`] | what was verified, as text and as JSON |

pub mod compare;
pub mod count;
pub mod expected;
pub mod result;
pub mod seen;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

/// How the name of an expected result ends.
pub const ENDING: &str = ".expected.toml";

/// Whether a file is an expected result, and so no scenario.
#[must_use]
pub fn is_expected(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ENDING))
}

/// The file beside a scenario that holds its expected result.
#[must_use]
pub fn beside(scenario: &Path) -> PathBuf {
    let stem = scenario.file_stem().unwrap_or_default().to_string_lossy();
    scenario.with_file_name(format!("{stem}{ENDING}"))
}
