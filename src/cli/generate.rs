//! `kubecertd generate`: man pages and completions from the one definition of the command line.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory;
use clap_complete::Shell;

use super::arguments::Arguments;
use super::exit_codes;

/// Writes the man pages.
pub(super) fn man(directory: &Path) -> anyhow::Result<ExitCode> {
    make(directory)?;
    let wrong = || unwritten(directory);
    let command = Arguments::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, directory).with_context(wrong)?;
    let mut page = std::fs::File::options()
        .append(true)
        .open(directory.join("kubecertd.1"))
        .with_context(wrong)?;
    page.write_all(exit_codes::section().as_bytes())
        .with_context(wrong)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the completions for each shell.
pub(super) fn completions(directory: &Path) -> anyhow::Result<ExitCode> {
    make(directory)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut command = Arguments::command();
        clap_complete::generate_to(shell, &mut command, "kubecertd", directory)
            .with_context(|| unwritten(directory))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn make(directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("{} could not be made", directory.display()))
}

fn unwritten(directory: &Path) -> String {
    format!("{} could not be written to", directory.display())
}
