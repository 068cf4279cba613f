//! The command line: one file per command, each calls the library and prints.

mod address_filter;
mod arguments;
mod ca;
mod ca_arguments;
mod check_expiration;
mod config;
mod credential_arguments;
mod csr;
mod exit_codes;
mod fleet;
mod generate;
mod hints;
mod history;
mod hold;
mod kubeconfig;
mod kubelet;
mod kubelet_accept;
mod kubelet_arguments;
mod kubelet_issue;
mod orders;
mod output;
mod pki;
mod plan;
mod preflight;
mod recover;
mod rehearse;
mod renew;
mod requests;
mod requirements;
mod restart;
mod rollback;
mod run;
mod runtime;
mod serving_bootstrap;
mod signer;
mod status;
mod turn;
mod values;
mod wrong_config;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use nix::sys::resource::{Resource, setrlimit};

use arguments::{Arguments, Command, Generated, RequestsAction, SignerAction};
use ca_arguments::CaAction;
use wrong_config::WrongConfig;

use crate::config::{ConfigError, Loaded, LogFormat, load, load_what_is_right};
use crate::host::Root;
use crate::operation::{Context, log_line};

/// Reads the arguments, runs the command, turns its result into an exit code.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let failure = failure(&arguments.command);
    match dispatch(arguments) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let lines: Vec<String> = match error.downcast_ref::<WrongConfig>() {
                Some(WrongConfig(errors)) => errors.iter().map(ToString::to_string).collect(),
                // Several of them are a line each.
                None => format!("{}{}", once_each(&error), hint(&error))
                    .lines()
                    .map(str::to_owned)
                    .collect(),
            };
            for line in lines {
                output::error(&line);
                log_line(true, &line);
            }
            match failure {
                None if error.is::<WrongConfig>() => ExitCode::from(exit_codes::CONFIG),
                None => ExitCode::from(exit_codes::NO),
                Some(code) => ExitCode::from(code),
            }
        }
    }
}

/// An error with its causes, without those that it says itself.
fn once_each(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told.push_str(": ");
            told.push_str(&cause);
        }
    }
    told
}

/// What to do about it where only root may.
fn hint(error: &anyhow::Error) -> &'static str {
    let is_denied = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied)
    };
    if !nix::unistd::geteuid().is_root() && error.chain().any(is_denied) {
        "; run it as root"
    } else {
        ""
    }
}

/// The exit code of any failure, for a command that answers a question with 0 and 1.
fn failure(command: &Command) -> Option<u8> {
    match command {
        Command::CheckExpiration(options) if options.within.is_some() => {
            Some(exit_codes::UNANSWERED)
        }
        _ => None,
    }
}

fn dispatch(arguments: Arguments) -> anyhow::Result<ExitCode> {
    keep_secrets_out_of_core_dumps();
    let root = match &arguments.root {
        Some(directory) if !directory.is_dir() => {
            anyhow::bail!("--root {}: is no directory", directory.display());
        }
        Some(directory) => Root::new(directory)?,
        None => Root::default(),
    };
    // These must work when the configuration does not.
    match &arguments.command {
        Command::Config { action } => {
            return config::run(&root, arguments.config.as_deref(), action);
        }
        Command::Recover {
            manifests_only: true,
            ..
        } => return recover::return_manifests(&root, arguments.config.as_deref()),
        Command::Generate {
            kind: Generated::Man { directory },
        } => return generate::man(directory),
        Command::Generate {
            kind: Generated::Completions { directory },
        } => return generate::completions(directory),
        Command::Status { output } => return status::run(&root, *output),
        Command::History { action, output } => {
            return history::run(&root, action.as_ref(), *output);
        }
        _ => {}
    }
    let (loaded, mistakes) = configured(&arguments, &root)?;
    let is_daemon = matches!(arguments.command, Command::Run { .. });
    // The daemon has them in its log and its status.
    for odd in loaded.warnings.iter().filter(|_| !is_daemon) {
        output::warning(&odd.to_string());
    }
    let context = Context::new(root, loaded.config, arguments.config.clone());
    hints::are_for(&context.root);
    requirements::check(&context, &arguments.command)?;
    if let Command::Run { once } = arguments.command {
        let level = arguments.log_level.as_ref();
        let level = level.unwrap_or(&context.config.log.level);
        let to_journal = context.root.is_system();
        let log = crate::report::start(level, context.config.log.format, to_journal)?;
        // What was said by hand is not overruled by a configuration that is read again.
        let log = arguments.log_level.is_none().then_some(log);
        return run::run(context, once, log);
    }
    // A command says what happens on standard output; its log is for what goes wrong.
    let level = arguments.log_level.as_deref().unwrap_or("warn");
    let changes = arguments.command.changes_something() && context.root.is_system();
    let journal = changes.then_some(context.config.log.level.as_str());
    crate::report::start_for_command(level, context.config.log.format, journal)?;
    match arguments.command {
        Command::CheckExpiration(options) => {
            check_expiration::run(&context, &options, mistakes.is_empty())
        }
        Command::Renew(options) => renew::run(&context, &options),
        Command::Rollback(options) => rollback::run(&context, &options),
        Command::Restart { components } => restart::run(&context, &components),
        Command::Turn { action } => turn::run(&context, action.as_ref()),
        Command::Fleet { output } => fleet::run(&context, output),
        Command::Orders { action } => orders::run(&context, action.as_ref()),
        Command::Signer {
            action: SignerAction::Check { output },
        } => signer::check(&context, output),
        Command::Ca { action } => ca::run(&context, &action),
        Command::Kubelet { action } => kubelet::run(&context, action),
        Command::Requests { action } => requests::run(&context, action.as_ref()),
        Command::Csr(csr) => csr::run(&context, &csr.action),
        Command::Pki(pki) => pki::run(&context, &pki.action),
        Command::Kubeconfig(command) => kubeconfig::run(&context, &command.action),
        Command::Hold { reason, until } => hold::hold(&context, reason, until),
        Command::Unhold => hold::unhold(&context),
        Command::Plan { at, output } => plan::run(&context, at, output),
        Command::Preflight { output } => preflight::run(&context, output),
        Command::Rehearse { sample } => rehearse::run(&context, sample),
        Command::Recover {
            expired: true,
            force,
            ..
        } => recover::expired(&context, force),
        Command::Recover { give_up: true, .. } => recover::give_up_pending(&context),
        Command::Recover { .. } => recover::run(&context),
        Command::Generate {
            kind: Generated::AddressFilter,
        } => address_filter::run(&context),
        Command::Config { .. }
        | Command::Generate { .. }
        | Command::History { .. }
        | Command::Run { .. }
        | Command::Status { .. } => Ok(ExitCode::SUCCESS),
    }
}

/// The configuration. What only reads, or goes back to what was, works without the files that are wrong.
fn configured(arguments: &Arguments, root: &Root) -> anyhow::Result<(Loaded, Vec<ConfigError>)> {
    let file = arguments.config.as_deref();
    if !can_do_without(&arguments.command) {
        return match load(root, file) {
            Ok(loaded) => Ok((loaded, Vec::new())),
            Err(errors) => Err(refuse(arguments, root, errors)),
        };
    }
    let (loaded, mistakes) = load_what_is_right(root, file);
    for mistake in &mistakes {
        output::warning(&mistake.to_string());
    }
    let mut left_out: Vec<String> = mistakes
        .iter()
        .map(|mistake| mistake.path().display().to_string())
        .collect();
    left_out.dedup();
    if !left_out.is_empty() {
        output::warning(&format!(
            "going on without {}; the defaults hold for what only that says",
            left_out.join(", ")
        ));
    }
    Ok((loaded, mistakes))
}

fn can_do_without(command: &Command) -> bool {
    match command {
        Command::CheckExpiration(_)
        | Command::Fleet { .. }
        | Command::Plan { .. }
        | Command::Preflight { .. }
        | Command::Rehearse { .. }
        | Command::Rollback(_)
        | Command::Generate { .. }
        | Command::Status { .. }
        | Command::Hold { .. }
        | Command::Orders { .. }
        | Command::Signer { .. }
        | Command::Unhold
        | Command::History { .. } => true,
        // What is approved goes by the configuration.
        Command::Requests { action } => {
            matches!(action, None | Some(RequestsAction::List { .. }))
        }
        Command::Renew(options) => options.dry_run,
        Command::Ca { action } => matches!(action, CaAction::Status { .. }),
        // Also on a machine that only has the authorities' keys.
        Command::Csr(_) | Command::Pki(_) | Command::Kubeconfig(_) => true,
        Command::Run { .. }
        | Command::Restart { .. }
        | Command::Turn { .. }
        | Command::Kubelet { .. }
        | Command::Recover { .. }
        | Command::Config { .. } => false,
    }
}

/// A wrong configuration ends the program, but whoever can finish operations first does of it what needs none.
fn refuse(arguments: &Arguments, root: &Root, errors: Vec<ConfigError>) -> anyhow::Error {
    if matches!(
        arguments.command,
        Command::Run { .. } | Command::Recover { .. }
    ) {
        // What is done is said on the terminal.
        let journal = root.is_system().then_some("info");
        let settled = crate::report::start_for_command("info", LogFormat::Auto, journal)
            .map_err(anyhow::Error::from)
            .and_then(|()| recover::settle(root, arguments.config.as_deref()));
        if let Err(error) = settled {
            output::error(&format!("{error:#}"));
        }
    }
    WrongConfig(errors).into()
}

/// Private keys pass through this process: nobody may read its memory, and no core dump may hold it. The limit says the
/// same where it can be seen, in /proc/PID/limits.
fn keep_secrets_out_of_core_dumps() {
    let limit = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    if let Err(error) = nix::sys::prctl::set_dumpable(false).and(limit) {
        output::error(&format!("core dumps could not be switched off: {error}"));
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
    })
}
