//! `kubecertd kubeconfig`

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::credential_arguments::{KubeconfigAction, KubeconfigUser};
use super::csr::{CERTIFICATES, KUBECONFIGS};
use super::output::{line, print, warning};
use super::values::Format;
use crate::credentials::{
    IssuedRecord, NewUser, Places, TargetCluster, UserKubeconfig, control_plane_of_others,
    with_certificate, with_token, write_kubeconfig,
};
use crate::operation::Context;
use crate::pki::date;

pub(super) fn run(context: &Context, action: &KubeconfigAction) -> anyhow::Result<ExitCode> {
    match action {
        KubeconfigAction::User(options) => user(context, options),
        KubeconfigAction::List { all, output } => list(context, *all, *output),
    }
}

fn user(context: &Context, options: &KubeconfigUser) -> anyhow::Result<ExitCode> {
    let (cluster, directory) = match &options.config {
        Some(config) => {
            let control_plane = control_plane_of_others(&context.root, config)?;
            (
                TargetCluster::of(&control_plane),
                control_plane.certificates_directory,
            )
        }
        None => {
            let configured = context.config.locations.certificates.clone();
            let directory = configured.unwrap_or_else(|| PathBuf::from(CERTIFICATES));
            (TargetCluster::of_node(&context.root)?, directory)
        }
    };
    let directory = options.cert_dir.clone().unwrap_or(directory);
    let places = Places::new(&context.root, &directory, Path::new(KUBECONFIGS))?;
    let file = options
        .file
        .as_deref()
        .map(|file| places.free(file))
        .transpose()?;
    let new = NewUser {
        name: &options.client_name,
        groups: &options.org,
        validity: options.validity_period,
        allow_masters: options.allow_system_masters,
    };
    let now = crate::host::now();
    let made = match &options.token {
        Some(token) => with_token(&places, &cluster, &new, &token.0, now)?,
        None => {
            let record = IssuedRecord::new(&context.store());
            with_certificate(&places, &cluster, &new, (&record, file.as_deref()), now)?
        }
    };
    give_out(&places, file.as_deref(), &made)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes it into its file, or to standard output.
pub(super) fn give_out(
    places: &Places,
    file: Option<&Path>,
    made: &UserKubeconfig,
) -> anyhow::Result<()> {
    for text in &made.warnings {
        warning(text);
    }
    match file {
        Some(file) => write_kubeconfig(file, made)?,
        // As it is: what adapts texts for a terminal would leave copies of the key behind.
        None => {
            let mut output = std::io::stdout().lock();
            output.write_all(made.text.as_bytes())?;
            output.flush()?;
        }
    }
    if let (Some(file), Some(certificate)) = (file, &made.certificate) {
        print(&line(format_args!(
            "{}: until {}, serial {}",
            places.shown(file).display(),
            date(certificate.not_after),
            certificate.serial
        )))?;
    }
    Ok(())
}

fn list(context: &Context, all: bool, output: Format) -> anyhow::Result<ExitCode> {
    let now = crate::host::now();
    let mut issued = IssuedRecord::new(&context.store()).all()?;
    issued.retain(|one| all || one.end >= now);
    if output == Format::Json {
        print(&format!("{:#}\n", serde_json::to_value(&issued)?))?;
        return Ok(ExitCode::SUCCESS);
    }
    if issued.is_empty() {
        print(if all {
            "No certificate of a user is recorded on this node.\n"
        } else {
            "No certificate of a user that is still valid is recorded on this node; --all shows those that have ended.\n"
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    for one in issued {
        let groups = if one.groups.is_empty() {
            String::new()
        } else {
            format!(" ({})", one.groups.join(", "))
        };
        let ended = if one.end < now { ", ended" } else { "" };
        print(&line(format_args!(
            "{}{groups}: until {}{ended}, serial {}",
            one.client_name,
            date(one.end),
            one.serial
        )))?;
        let whereto = one.file.map_or_else(
            || "to standard output".to_owned(),
            |file| format!("to {}", file.display()),
        );
        print(&line(format_args!(
            "    issued {} by {}, {whereto}",
            date(one.issued),
            one.by
        )))?;
    }
    Ok(ExitCode::SUCCESS)
}
