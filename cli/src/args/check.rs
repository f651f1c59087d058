//! What can be typed behind `pairstorm check`.

use std::path::PathBuf;

use clap::Args;

use super::name_and_value;

/// Check scenario files without running them
///
/// Names every error of every file at once, each with its line, its column and what to do. A file that extends another one is
/// checked with all it inherits, a sweep in every combination. The exit code is 0, or 64 if a file is wrong.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    pairstorm check scenarios                                            every file in the folder\n  \
    pairstorm check scenarios/first-contact.toml --set think=1s..2s      with another value of a variable\n  \
    pairstorm check scenarios/first-contact.toml --json                  for editors: docs/reference/check.md\n  \
    pairstorm schema                                                     for completion while writing")]
pub(crate) struct CheckArguments {
    /// Scenario files, or folders to search for them
    #[arg(required = true, value_name = "FILE OR FOLDER")]
    pub(crate) paths: Vec<PathBuf>,
    /// Give a variable of the files' [vars] another value; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) sets: Vec<(String, String)>,
    /// Print what is wrong as JSON on stdout, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}
