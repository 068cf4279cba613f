//! `kubecertd`: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubecertd::cli::main()
}
