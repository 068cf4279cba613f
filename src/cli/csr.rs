//! `kubecertd csr`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::credential_arguments::{
    CredentialPlaces, CsrAction, CsrClean, CsrGenerate, CsrInstall, CsrSign,
};
use super::output::{line, print, warning};
use crate::credentials::{
    Allowed, Installed, Member, Places, SignOptions, clean, control_plane, generate,
    generate_successors, install, sign,
};
use crate::node::ControlPlane;
use crate::operation::Context;
use crate::pki::date;

pub(super) const CERTIFICATES: &str = "/etc/kubernetes/pki";
pub(super) const KUBECONFIGS: &str = "/etc/kubernetes";
/// Where requests for successors go: beside what they are to follow, and not over it.
const RENEWAL: [&str; 2] = ["/etc/kubernetes/renewal/pki", "/etc/kubernetes/renewal"];

pub(super) fn run(context: &Context, action: &CsrAction) -> anyhow::Result<ExitCode> {
    match action {
        CsrAction::Generate(options) if options.from_existing => from_existing(context, options),
        CsrAction::Generate(options) => from_configuration(context, options),
        CsrAction::Sign(options) => sign_requests(context, options),
        CsrAction::Install(options) => put_in_place(context, options),
        CsrAction::Clean(options) => tidy(context, options),
    }
}

/// The directories that were given, else these.
fn places(
    context: &Context,
    given: &CredentialPlaces,
    certificates: &Path,
    kubeconfigs: &Path,
) -> anyhow::Result<Places> {
    Ok(Places::new(
        &context.root,
        given.cert_dir.as_deref().unwrap_or(certificates),
        given.kubeconfig_dir.as_deref().unwrap_or(kubeconfigs),
    )?)
}

/// What kubeadm's configuration says, and where its files lie.
pub(super) fn configured(
    context: &Context,
    config: Option<&Path>,
    given: &CredentialPlaces,
) -> anyhow::Result<(ControlPlane, Places)> {
    let control_plane = control_plane(&context.root, config)?;
    let certificates = &control_plane.certificates_directory;
    let places = places(context, given, certificates, Path::new(KUBECONFIGS))?;
    Ok((control_plane, places))
}

fn default_places(context: &Context, given: &CredentialPlaces) -> anyhow::Result<Places> {
    places(
        context,
        given,
        Path::new(CERTIFICATES),
        Path::new(KUBECONFIGS),
    )
}

/// Those that were named, else all.
pub(super) fn members(names: &[String]) -> anyhow::Result<Vec<Member>> {
    if names.is_empty() {
        return Ok(Member::all());
    }
    let mut named = names
        .iter()
        .map(|name| {
            Member::by_name(name).ok_or_else(|| {
                let all: Vec<&str> = Member::all().into_iter().map(Member::name).collect();
                anyhow::anyhow!("{name:?} is none of {}", all.join(", "))
            })
        })
        .collect::<anyhow::Result<Vec<Member>>>()?;
    named.sort();
    named.dedup();
    Ok(named)
}

fn from_configuration(context: &Context, options: &CsrGenerate) -> anyhow::Result<ExitCode> {
    let (control_plane, places) = configured(context, options.config.as_deref(), &options.places)?;
    let mut wanted = members(&options.only)?;
    if control_plane.external_etcd {
        // With etcd elsewhere no certificate of it is used here.
        let named = wanted.iter().find(|member| member.is_of_etcd());
        if let Some(member) = named.filter(|_| !options.only.is_empty()) {
            anyhow::bail!("{member} is not made here: the configuration has an external etcd");
        }
        wanted.retain(|member| !member.is_of_etcd());
    }
    let made = generate(&places, &control_plane, &wanted)?;
    say_generated(&places, &made)?;
    for member in made {
        if let Some(caution) = member.caution(&control_plane) {
            warning(&format!("{member}: {caution}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn from_existing(context: &Context, options: &CsrGenerate) -> anyhow::Result<ExitCode> {
    let [certificates, kubeconfigs] = RENEWAL.map(PathBuf::from);
    let places = places(context, &options.places, &certificates, &kubeconfigs)?;
    let inventory = context.observe();
    let renewal = &context.config.renewal;
    let (made, missing) =
        generate_successors(&places, &inventory, &members(&options.only)?, |id, old| {
            renewal.of(id.as_str()).key_algorithm.after(&old.key_kind())
        })?;
    say_generated(&places, &made)?;
    for member in missing {
        warning(&format!(
            "{member}: there is no certificate of this node to follow, or the kubelet renews it by itself"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// kubeadm's words, in a fixed order.
fn say_generated(places: &Places, made: &[Member]) -> anyhow::Result<()> {
    for (directory, is_kubeconfig) in [(&places.certificates, false), (&places.kubeconfigs, true)] {
        let of_it: Vec<&Member> = made
            .iter()
            .filter(|member| member.is_kubeconfig() == is_kubeconfig)
            .collect();
        if of_it.is_empty() {
            continue;
        }
        let directory = places.shown(directory);
        print(&line(format_args!(
            "generating keys and CSRs in {}",
            directory.display()
        )))?;
        for member in of_it {
            print(&line(format_args!("  {member}")))?;
        }
    }
    Ok(())
}

fn sign_requests(context: &Context, options: &CsrSign) -> anyhow::Result<ExitCode> {
    let control_plane = match &options.config {
        Some(config) => Some(control_plane(&context.root, Some(config))?),
        None => None,
    };
    let certificates = control_plane
        .as_ref()
        .map_or(Path::new(CERTIFICATES), |control_plane| {
            &control_plane.certificates_directory
        });
    let places = places(
        context,
        &options.places,
        certificates,
        Path::new(KUBECONFIGS),
    )?;
    let authorities = authorities(context, &places, options.ca_dir.as_deref())?;
    let wanted = members(&options.only)?;
    let options = SignOptions {
        members: &wanted,
        authorities: &authorities,
        validity: Duration::from_secs(u64::from(options.days) * 24 * 3600),
        control_plane: control_plane.as_ref(),
        allowed: Allowed {
            masters: options.allow_system_masters,
            cluster_admins: options.allow_cluster_admins,
        },
    };
    for signed in sign(&places, &options, crate::host::now())? {
        let what = match &signed.again {
            _ if signed.is_kept => "was signed before".to_owned(),
            Some(reason) => {
                format!("signed again, since the certificate there is of no use ({reason})")
            }
            None => "signed".to_owned(),
        };
        print(&line(format_args!(
            "{}: {what}, until {}, serial {}: {}",
            signed.member,
            date(signed.certificate.not_after),
            signed.certificate.serial,
            signed.path.display()
        )))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn authorities(context: &Context, places: &Places, given: Option<&Path>) -> anyhow::Result<Places> {
    Ok(match given {
        Some(directory) => Places::new(&context.root, directory, directory)?,
        None => places.clone(),
    })
}

fn put_in_place(context: &Context, options: &CsrInstall) -> anyhow::Result<ExitCode> {
    let places = default_places(context, &options.places)?;
    let authorities = authorities(context, &places, options.ca_dir.as_deref())?;
    let allowed = Allowed {
        masters: options.allow_system_masters,
        // An authority gave it already; clusters older than 1.36.1 have it so.
        cluster_admins: true,
    };
    let mut is_complete = true;
    for found in install(&places, &authorities, allowed, crate::host::now())? {
        let said = match found {
            Installed::InPlace(member, end) => format!("{member}: in place, until {}", date(end)),
            Installed::Embedded(member, end) => format!("{member}: embedded, until {}", date(end)),
            Installed::Skipped(member) => {
                format!("{member}: skipped, there is no key in it; its credentials are elsewhere")
            }
            Installed::Waiting(member, path) => {
                is_complete = false;
                format!(
                    "{member}: not signed yet; its certificate is expected at {}",
                    path.display()
                )
            }
        };
        print(&line(format_args!("{said}")))?;
    }
    Ok(super::renew::exit_code(is_complete))
}

fn tidy(context: &Context, options: &CsrClean) -> anyhow::Result<ExitCode> {
    let places = default_places(context, &options.places)?;
    let cleaned = clean(&places, options.unsigned)?;
    for path in &cleaned.removed {
        print(&line(format_args!("removed {}", path.display())))?;
    }
    for (path, reason) in &cleaned.kept {
        warning(&format!("{}: {reason}", path.display()));
    }
    Ok(super::renew::exit_code(cleaned.kept.is_empty()))
}
