//! `roughneck completions`: scripts that complete the command line in a shell.

use anyhow::Result;
use clap_complete::Shell;

use crate::terminal;

/// Arguments of `roughneck completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
To use it in every new shell:
  bash  roughneck completions bash > ~/.local/share/bash-completion/completions/roughneck
  zsh   roughneck completions zsh > DIR/_roughneck, where DIR is a folder of $fpath
  fish  roughneck completions fish > ~/.config/fish/completions/roughneck.fish")]
pub(crate) struct Arguments {
    /// The shell to write for
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn run(arguments: &Arguments, mut command: clap::Command) -> Result<()> {
    // Not straight to the output: the generator panics where nobody reads it to the end.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "roughneck", &mut script);
    terminal::print(&String::from_utf8_lossy(&script))
}
