//! What is there already: kept if it is sound.

use std::path::Path;

use super::authorities::Authorities;
use super::outcome::Initialised;
use super::setting::Setting;
use crate::credentials::check::{Allowed, leaf_of};
use crate::credentials::error::CredentialError;
use crate::credentials::generate::server;
use crate::credentials::member::Member;
use crate::credentials::reading;
use crate::issuer::accept_signed;
use crate::node::{ControlPlane, Waiting};
use crate::pki::{Certificate, PrivateKey, SubjectAltName, certificates_from_pem};

/// One that is there and sound; `None` where nothing of it is there.
pub(super) fn member(
    setting: &Setting<'_>,
    member: Member,
    authorities: &Authorities,
) -> Result<Option<Initialised>, CredentialError> {
    Existing(setting).member(member, authorities)
}

struct Existing<'a>(&'a Setting<'a>);

impl Existing<'_> {
    fn member(
        &self,
        member: Member,
        authorities: &Authorities,
    ) -> Result<Option<Initialised>, CredentialError> {
        let found = if member.is_kubeconfig() {
            self.kubeconfig(member, authorities)?
        } else {
            self.pair(member)?
        };
        let Some((path, pair, mut differences)) = found else {
            return Ok(None);
        };
        let Some((chain, key)) = pair else {
            return Ok(Some(Initialised {
                name: member.name().to_owned(),
                is_kept: true,
                end: None,
                differences,
            }));
        };
        let refused = |reason: String| CredentialError::CredentialRefused {
            path: self.0.places.shown(&path),
            reason,
        };
        let trusted = authorities.trusted(member.authority()).ok_or_else(|| {
            refused(format!(
                "is there, and its authority {} is not; put that back, or move this away",
                member.authority()
            ))
        })?;
        // Whatever groups an older kubeadm gave are said below.
        let leaf = chain
            .first()
            .ok_or_else(|| "holds no certificate".to_owned())
            .and_then(|certificate| {
                leaf_of(
                    member,
                    certificate,
                    Allowed {
                        masters: true,
                        cluster_admins: true,
                    },
                )
            })
            .map_err(refused)?;
        accept_signed(&leaf, &chain, &key.public_key_der(), trusted, self.0.now).map_err(
            |error| {
                refused(format!(
                    "{error}; renew it (kubecertd renew {member}), or move it and its key away"
                ))
            },
        )?;
        let certificate = chain.first().map(|certificate| certificate.not_after);
        differences.extend(
            chain
                .first()
                .into_iter()
                .flat_map(|certificate| self.differences(member, certificate)),
        );
        Ok(Some(Initialised {
            name: member.name().to_owned(),
            is_kept: true,
            end: certificate,
            differences,
        }))
    }

    fn pair(&self, member: Member) -> Result<Option<Found>, CredentialError> {
        let (path, key_path) = (self.0.places.certificate(member), self.0.places.key(member));
        let root = self.0.places.root();
        let found = (reading::find(root, &path)?, reading::find(root, &key_path)?);
        let refused = |path: &Path, reason: String| CredentialError::CredentialRefused {
            path: self.0.places.shown(path),
            reason,
        };
        match found {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(refused(
                &key_path,
                "is there without its certificate; have its request signed (kubecertd csr sign), or move the key away".to_owned(),
            )),
            (Some(_), None) => Err(refused(
                &path,
                "is there without its key; put that back, or move the certificate away".to_owned(),
            )),
            (Some(certificate), Some(key)) => {
                let chain = certificates_from_pem(&certificate)
                    .map_err(|error| refused(&path, error.to_string()))?;
                let key = PrivateKey::from_pem(&key)
                    .map_err(|error| refused(&key_path, error.to_string()))?;
                Ok(Some((path, Some((chain, key)), Vec::new())))
            }
        }
    }

    fn kubeconfig(
        &self,
        member: Member,
        authorities: &Authorities,
    ) -> Result<Option<Found>, CredentialError> {
        let path = self.0.places.key(member);
        let Some(text) = reading::find(self.0.places.root(), &path)? else {
            return Ok(None);
        };
        let refused = |reason: String| CredentialError::CredentialRefused {
            path: self.0.places.shown(&path),
            reason,
        };
        let waiting =
            Waiting::parse(text.as_slice()).map_err(|error| refused(error.to_string()))?;
        if waiting.key.is_some() && waiting.certificate.is_none() {
            return Err(refused(
                "waits for its certificate; have its request signed and embedded (kubecertd csr sign, csr install), or move it away"
                    .to_owned(),
            ));
        }
        let mut differences = Vec::new();
        let wanted = init_server(member, self.0.control_plane);
        if waiting.server != wanted {
            differences.push(format!(
                "it leads to {}, and by the configuration it would be {wanted}",
                waiting.server
            ));
        }
        if waiting.cluster != self.0.control_plane.cluster_name {
            differences.push(format!(
                "its cluster is {:?}, and by the configuration it would be {:?}",
                waiting.cluster, self.0.control_plane.cluster_name
            ));
        }
        let own = match &waiting.authorities {
            Some(pem) => certificates_from_pem(pem).map_err(|error| refused(error.to_string()))?,
            None => Vec::new(),
        };
        let Some(trusted) = authorities.trusted(member.authority()) else {
            return Err(refused(format!(
                "is there, and its authority {} is not; put that back, or move this away",
                member.authority()
            )));
        };
        // Without a key its authorities may be in a file as well.
        let are_elsewhere = waiting.key.is_none() && waiting.authorities.is_none();
        if !are_elsewhere && !own.iter().any(|one| trusted.contains(one)) {
            return Err(refused(format!(
                "trusts none of the certificates of {}: it is of another cluster, or lacks them; move it away",
                member.authority()
            )));
        }
        let (Some(key), Some(certificate)) = (&waiting.key, &waiting.certificate) else {
            differences.push(
                "there is no key in it, so its credentials are elsewhere and were not checked (kubecertd check-expiration shows those of \
                 the kubelet)"
                    .to_owned(),
            );
            return Ok(Some((path, None, differences)));
        };
        let chain =
            certificates_from_pem(certificate).map_err(|error| refused(error.to_string()))?;
        let key = PrivateKey::from_pem(key).map_err(|error| refused(error.to_string()))?;
        Ok(Some((path, Some((chain, key)), differences)))
    }

    /// Where a certificate that is kept is not as the configuration would make it.
    fn differences(&self, member: Member, certificate: &Certificate) -> Vec<String> {
        let wanted = member.leaf(self.0.control_plane);
        let mut differences = Vec::new();
        if certificate.common_name.as_deref() != Some(wanted.common_name.as_str()) {
            differences.push(format!(
                "it is for {:?}, and by the configuration it would be for {:?}",
                certificate.common_name.as_deref().unwrap_or_default(),
                wanted.common_name
            ));
        }
        let groups = |list: &[String]| format!("[{}]", list.join(", "));
        if certificate.organizations != wanted.organizations {
            differences.push(format!(
                "its groups are {}, and by the configuration they would be {}",
                groups(&certificate.organizations),
                groups(&wanted.organizations)
            ));
        }
        let lacking = listed(&wanted.subject_alt_names, &certificate.subject_alt_names);
        if !lacking.is_empty() {
            differences.push(format!("it lacks {lacking}"));
        }
        let more = listed(&certificate.subject_alt_names, &wanted.subject_alt_names);
        if !more.is_empty() {
            differences.push(format!("it has {more} as well"));
        }
        differences
    }
}

/// Where it is; the certificate with those behind it, and the key, unless they are elsewhere; and differences so far.
type Found = (
    std::path::PathBuf,
    Option<(Vec<Certificate>, PrivateKey)>,
    Vec<String>,
);

/// Those of `names` that are not among `others`.
fn listed(names: &[SubjectAltName], others: &[SubjectAltName]) -> String {
    let texts: Vec<String> = names
        .iter()
        .filter(|name| !others.contains(name))
        .map(|name| match name {
            SubjectAltName::Dns(name) | SubjectAltName::Email(name) | SubjectAltName::Uri(name) => {
                name.clone()
            }
            SubjectAltName::Ip(address) => address.to_string(),
            SubjectAltName::Other(_) => "a name of another kind".to_owned(),
        })
        .collect();
    texts.join(", ")
}

/// As [`server`], and the kubelet of a control plane talks to its own API server since 1.35.
pub(super) fn init_server(member: Member, control_plane: &ControlPlane) -> String {
    if member == Member::Kubelet && control_plane.kubelet_uses_local_server() {
        control_plane.local_server()
    } else {
        server(member, control_plane)
    }
}
