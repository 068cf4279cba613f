//! New certificates and kubeconfigs of a control plane.

use zeroize::Zeroizing;

use super::authorities::Ready;
use super::existing::init_server;
use super::outcome::Initialised;
use super::setting::Setting;
use crate::credentials::error::CredentialError;
use crate::credentials::file_set::{NewFile, PUBLIC, SECRET};
use crate::credentials::kubeconfig::{NewCredential, NewKubeconfig};
use crate::credentials::member::Member;
use crate::host::on_all_cores;
use crate::issuer::{Fresh, FreshError, issue_fresh};
use crate::pki::{Certificate, IssueError, PrivateKey, certificates_to_pem};

/// One that was made.
pub(super) struct Made {
    pub(super) initialised: Initialised,
    pub(super) files: Vec<NewFile>,
}

/// Makes keys on all cores and has them signed.
pub(super) fn members(
    setting: &Setting<'_>,
    authorities: &Ready,
    members: &[Member],
) -> Result<Vec<Made>, CredentialError> {
    on_all_cores(members, |member| one(setting, authorities, *member))
        .into_iter()
        .collect()
}

fn one(
    setting: &Setting<'_>,
    authorities: &Ready,
    member: Member,
) -> Result<Made, CredentialError> {
    let control_plane = setting.control_plane;
    let failed = |source: IssueError| CredentialError::CredentialNotSigned {
        name: member.name().to_owned(),
        source,
    };
    let Some((signing, trusted)) = authorities.signer(member.authority()) else {
        return Err(CredentialError::NothingThere(format!(
            "there is no {} to sign {member}",
            member.authority()
        )));
    };
    let key =
        PrivateKey::generate(control_plane.key_algorithm).map_err(|error| failed(error.into()))?;
    let leaf = member.leaf(control_plane);
    let public_key = key.public_key_der();
    let fresh = Fresh {
        leaf: &leaf,
        public_key: &public_key,
        subject: None,
        serial: None,
        validity: control_plane.validity,
    };
    let certificate =
        issue_fresh(&fresh, signing, &trusted, setting.now).map_err(|error| match error {
            FreshError::Sign(source) => failed(source),
            FreshError::Check(source) => failed(IssueError::Signing(source.to_string())),
        })?;
    let pem = key.to_pem().map_err(|error| failed(error.into()))?;
    Ok(Made {
        initialised: Initialised {
            name: member.name().to_owned(),
            is_kept: false,
            end: Some(certificate.not_after),
            differences: member.caution(control_plane).into_iter().collect(),
        },
        files: files(setting, member, &certificate, &pem, &trusted),
    })
}

fn files(
    setting: &Setting<'_>,
    member: Member,
    certificate: &Certificate,
    key: &Zeroizing<String>,
    trusted: &[Certificate],
) -> Vec<NewFile> {
    let places = setting.places;
    let pem = certificates_to_pem([certificate]);
    if !member.is_kubeconfig() {
        return vec![
            NewFile::new(places.key(member), key.as_bytes(), SECRET),
            NewFile::new(places.certificate(member), pem, PUBLIC),
        ];
    }
    let control_plane = setting.control_plane;
    let text = NewKubeconfig {
        cluster: &control_plane.cluster_name,
        server: &init_server(member, control_plane),
        authorities: Some(&certificates_to_pem(trusted)),
        user: certificate.common_name.as_deref().unwrap_or_default(),
        credential: NewCredential::Certificate(&pem, key),
    }
    .text();
    vec![NewFile::new(places.key(member), text.as_bytes(), SECRET)]
}
