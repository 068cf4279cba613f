//! Authorities, certificates, keys and kubeconfigs of a new control plane, as `kubeadm init phase certs` and `init phase kubeconfig`
//! make them. What is there is kept, and has to be sound; where it differs from the configuration, that is said.

mod authorities;
mod existing;
mod make;
mod outcome;
mod service_account;
mod setting;
mod target;

use jiff::Timestamp;

use super::error::CredentialError;
use super::file_set::Sets;
use super::places::Places;
use crate::node::ControlPlane;
use authorities::Authorities;
use setting::Setting;

pub use outcome::Initialised;
pub use target::Target;

/// Makes what is missing of `targets`. All is looked at before anything is written, and nothing is written unless all is sound.
///
/// # Errors
/// [`CredentialError`].
pub fn init(
    places: &Places,
    control_plane: &ControlPlane,
    targets: &[Target],
    now: Timestamp,
) -> Result<Vec<Initialised>, CredentialError> {
    let setting = Setting {
        places,
        control_plane,
        now,
    };
    let mut errors = Vec::new();
    let mut done = Vec::new();
    let mut files = Vec::new();
    let authorities = Authorities::find(&setting, targets, &mut errors);
    let mut members = Vec::new();
    for target in targets {
        match target {
            Target::Authority(_) => {}
            Target::ServiceAccount => match service_account::find_or_make(&setting) {
                Ok((account, made)) => {
                    done.push(account);
                    files.extend(made);
                }
                Err(error) => errors.push(error),
            },
            Target::Member(member) if authorities.is_unsound(member.authority()) => {}
            Target::Member(member) => match existing::member(&setting, *member, &authorities) {
                Ok(Some(kept)) => done.push(kept),
                Ok(None) => members.push(*member),
                Err(error) => errors.push(error),
            },
        }
    }
    // Of what an unsound authority signed nothing is said beside that authority.
    for member in members
        .iter()
        .filter(|one| !authorities.is_unsound(one.authority()))
    {
        if let Err(error) = authorities.can_sign(*member) {
            errors.push(error);
        }
    }
    CredentialError::of_all(errors)?;
    let authorities = authorities.made(&setting)?;
    files.extend(authorities.files(places)?);
    done.extend(authorities.initialised(control_plane));
    for made in make::members(&setting, &authorities, &members)? {
        done.push(made.initialised);
        files.extend(made.files);
    }
    let order: Vec<&str> = targets.iter().map(|target| target.name()).collect();
    done.sort_by_key(|one| order.iter().position(|name| *name == one.name));
    if !files.is_empty() {
        Sets::open(places)?.put(&files)?;
    }
    Ok(done)
}
