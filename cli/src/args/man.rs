//! What can be typed behind `pairstorm man`.

use std::path::PathBuf;

use clap::Args;

/// Write the manual pages, one a command
///
/// They say what `--help` says. A page of the same name is replaced, others stay.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pairstorm man --out ~/.local/share/man/man1      then: man pairstorm-run
  pairstorm man --out pages                        then: man -l pages/pairstorm-run.1")]
pub(crate) struct ManArguments {
    /// Folder to write to; is made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}
