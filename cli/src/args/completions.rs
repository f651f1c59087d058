//! What can be typed behind `pairstorm completions`.

use clap::Args;

/// Print a script that completes commands and options in a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pairstorm completions bash > pairstorm.bash     then, in ~/.bashrc: source PATH/pairstorm.bash
  pairstorm completions zsh > _pairstorm          in a folder that $fpath names
  pairstorm completions fish > pairstorm.fish     in ~/.config/fish/completions")]
pub(crate) struct CompletionsArguments {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}
