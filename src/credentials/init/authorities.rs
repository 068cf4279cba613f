//! The authorities of a new control plane: those that are there, and those that are to be.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::outcome::Initialised;
use super::setting::Setting;
use super::target::Target;
use crate::credentials::authority::{certificates, key};
use crate::credentials::error::CredentialError;
use crate::credentials::file_set::{NewFile, PUBLIC, SECRET};
use crate::credentials::member::Member;
use crate::credentials::places::Places;
use crate::credentials::reading;
use crate::host::on_all_cores;
use crate::issuer::valid_from;
use crate::node::ControlPlane;
use crate::pki::{
    AuthorityId, Certificate, CertificateAuthority, IssueError, NewAuthority, certificates_to_pem,
};

/// One that is there.
struct Found {
    trusted: Vec<Certificate>,
    /// `None` where its key is elsewhere.
    signing: Option<CertificateAuthority>,
}

/// What was found, and what is wanted and missing.
pub(super) struct Authorities {
    found: BTreeMap<AuthorityId, Found>,
    missing: Vec<AuthorityId>,
    /// Those that are there and cannot be used.
    unsound: Vec<AuthorityId>,
    targets: Vec<AuthorityId>,
}

/// All of them, those that were made included.
pub(super) struct Ready {
    found: BTreeMap<AuthorityId, Found>,
    made: BTreeMap<AuthorityId, CertificateAuthority>,
    kept: Vec<AuthorityId>,
}

/// The common name that kubeadm gives it.
fn common_name(authority: AuthorityId) -> &'static str {
    match authority {
        AuthorityId::Kubernetes => "kubernetes",
        AuthorityId::Etcd => "etcd-ca",
        AuthorityId::FrontProxy => "front-proxy-ca",
        AuthorityId::Other(name) => name.as_str(),
    }
}

impl Authorities {
    /// Looks for those that are wanted, and those whose certificates are.
    pub(super) fn find(
        setting: &Setting<'_>,
        targets: &[Target],
        errors: &mut Vec<CredentialError>,
    ) -> Self {
        let mut authorities = Self {
            found: BTreeMap::new(),
            missing: Vec::new(),
            unsound: Vec::new(),
            targets: Vec::new(),
        };
        for id in AuthorityId::ALL {
            let is_target = targets.contains(&Target::Authority(id));
            let is_needed = targets
                .iter()
                .any(|target| matches!(target, Target::Member(member) if member.authority() == id));
            if is_target {
                authorities.targets.push(id);
            }
            if !is_target && !is_needed {
                continue;
            }
            match find(setting, id) {
                Ok(Some(found)) => {
                    authorities.found.insert(id, found);
                }
                Ok(None) if is_target => authorities.missing.push(id),
                Ok(None) => {}
                Err(error) => {
                    authorities.unsound.push(id);
                    errors.push(error);
                }
            }
        }
        authorities
    }

    /// Whether one is there that cannot be used: nothing can be said of what it signed.
    pub(super) fn is_unsound(&self, authority: AuthorityId) -> bool {
        self.unsound.contains(&authority)
    }

    /// The certificates of one, if it is there.
    pub(super) fn trusted(&self, authority: AuthorityId) -> Option<&[Certificate]> {
        self.found
            .get(&authority)
            .map(|found| found.trusted.as_slice())
    }

    /// Whether one that is missing could be signed.
    pub(super) fn can_sign(&self, member: Member) -> Result<(), CredentialError> {
        let authority = member.authority();
        if self.missing.contains(&authority) {
            return Ok(());
        }
        let reason = match self.found.get(&authority) {
            Some(found) if found.signing.is_some() => return Ok(()),
            Some(_) => format!(
                "{authority} is there without its key, so {member} cannot be made here; have it signed where the key is (kubecertd csr)"
            ),
            None => format!(
                "there is no {authority} to sign {member}; make it first (kubecertd pki init {authority})"
            ),
        };
        Err(CredentialError::NothingThere(reason))
    }

    /// Makes what is missing.
    pub(super) fn made(self, setting: &Setting<'_>) -> Result<Ready, CredentialError> {
        let control_plane = setting.control_plane;
        let validity = valid_from(setting.now, control_plane.authority_validity);
        let made = on_all_cores(&self.missing, |id| {
            CertificateAuthority::generate(&NewAuthority {
                common_name: common_name(*id).to_owned(),
                algorithm: control_plane.key_algorithm,
                not_before: validity.not_before,
                not_after: validity.not_after,
            })
        });
        let mut ready = BTreeMap::new();
        for (id, made) in self.missing.iter().zip(made) {
            let made = made.map_err(|source| not_signed(*id, source))?;
            ready.insert(*id, made);
        }
        let kept = self
            .targets
            .into_iter()
            .filter(|id| self.found.contains_key(id))
            .collect();
        Ok(Ready {
            found: self.found,
            made: ready,
            kept,
        })
    }
}

fn not_signed(id: AuthorityId, source: IssueError) -> CredentialError {
    CredentialError::CredentialNotSigned {
        name: id.name().to_owned(),
        source,
    }
}

impl Ready {
    /// One that can sign, and whom its users trust.
    pub(super) fn signer(
        &self,
        authority: AuthorityId,
    ) -> Option<(&CertificateAuthority, Vec<Certificate>)> {
        if let Some(made) = self.made.get(&authority) {
            return Some((made, vec![made.certificate().clone()]));
        }
        let found = self.found.get(&authority)?;
        Some((found.signing.as_ref()?, found.trusted.clone()))
    }

    /// The files of those that were made.
    pub(super) fn files(&self, places: &Places) -> Result<Vec<NewFile>, CredentialError> {
        let mut files = Vec::new();
        for (id, made) in &self.made {
            let key = made
                .key()
                .to_pem()
                .map_err(|error| not_signed(*id, error.into()))?;
            let certificate = certificates_to_pem([made.certificate()]);
            files.push(NewFile::new(
                places.authority(*id, "key"),
                key.as_bytes(),
                SECRET,
            ));
            files.push(NewFile::new(
                places.authority(*id, "crt"),
                certificate,
                PUBLIC,
            ));
        }
        Ok(files)
    }

    /// What became of those that were wanted.
    pub(super) fn initialised(&self, control_plane: &ControlPlane) -> Vec<Initialised> {
        let made = self.made.iter().map(|(id, made)| Initialised {
            name: id.name().to_owned(),
            is_kept: false,
            end: Some(made.certificate().not_after),
            differences: Vec::new(),
        });
        let kept = self.kept.iter().filter_map(|id| {
            let found = self.found.get(id)?;
            let first = found.trusted.first()?;
            Some(Initialised {
                name: id.name().to_owned(),
                is_kept: true,
                end: found.trusted.iter().map(|one| one.not_after).max(),
                differences: differences(*id, first, found, control_plane),
            })
        });
        made.chain(kept).collect()
    }
}

/// Where one that is kept is not as the configuration would make it.
fn differences(
    id: AuthorityId,
    certificate: &Certificate,
    found: &Found,
    control_plane: &ControlPlane,
) -> Vec<String> {
    let mut differences = Vec::new();
    if certificate.common_name.as_deref() != Some(common_name(id)) {
        differences.push(format!(
            "its name is {}, and kubeadm would call it CN={}",
            certificate.subject,
            common_name(id)
        ));
    }
    let kind = certificate.key_kind();
    if kind.made() != Some(control_plane.key_algorithm) {
        differences.push(format!(
            "its key is {kind}, and the configuration says {}",
            control_plane.key_algorithm
        ));
    }
    if found.signing.is_none() {
        differences.push("its key is not here (an external CA)".to_owned());
    }
    differences
}

/// One that is there: a CA's certificate that is valid now, with its own key or none.
fn find(setting: &Setting<'_>, id: AuthorityId) -> Result<Option<Found>, CredentialError> {
    let places = setting.places;
    let refused = |ending: &str, reason: String| CredentialError::AuthorityUnusable {
        path: places.shown(&places.authority(id, ending)),
        reason,
    };
    let Some(trusted) = certificates(places, id)? else {
        let key_path = places.authority(id, "key");
        return match reading::look(places.root(), &key_path)? {
            None => Ok(None),
            Some(_) => Err(refused(
                "key",
                "is there without its certificate; put that back, or move the key away".to_owned(),
            )),
        };
    };
    if !is_sound(&trusted, setting.now) {
        return Err(refused(
            "crt",
            "holds no CA certificate that is valid now; put a sound one there, or move it and its key away".to_owned(),
        ));
    }
    let signing = key(places, id)?
        .map(|key| CertificateAuthority::valid_at(&trusted, key, setting.now))
        .transpose()
        .map_err(|error| refused("key", error.to_string()))?;
    Ok(Some(Found { trusted, signing }))
}

fn is_sound(trusted: &[Certificate], now: Timestamp) -> bool {
    trusted
        .iter()
        .any(|certificate| certificate.is_ca && certificate.is_valid_at(now))
}
