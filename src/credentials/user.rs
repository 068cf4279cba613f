//! Kubeconfigs for further users, as `kubeadm kubeconfig user` makes them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::authority::{signer, trusted};
use super::error::CredentialError;
use super::issued::{IssuedRecord, IssuedToUser};
use super::kubeconfig::{NewCredential, NewKubeconfig};
use super::member::MASTERS;
use super::places::Places;
use super::reading;
use crate::host::{Actor, Root, write_atomically};
use crate::issuer::{Fresh, FreshError, issue_fresh};
use crate::node::{ControlPlane, Waiting};
use crate::pki::{
    AuthorityId, Certificate, IssueError, KeyAlgorithm, NewLeaf, PrivateKey, certificates_from_pem,
    certificates_to_pem,
};

/// The cluster that a kubeconfig leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetCluster {
    /// Its name in the kubeconfig.
    pub name: String,
    /// Its API server.
    pub server: String,
    /// What keys are made of; `None` for the same kind as the authority's.
    pub key_algorithm: Option<KeyAlgorithm>,
    /// How long certificates are valid.
    pub validity: Duration,
}

const YEAR: Duration = Duration::from_secs(8760 * 3600);

impl TargetCluster {
    /// Of a configuration of kubeadm's.
    #[must_use]
    pub fn of(control_plane: &ControlPlane) -> Self {
        Self {
            name: control_plane.cluster_name.clone(),
            server: control_plane.server(),
            key_algorithm: Some(control_plane.key_algorithm),
            validity: control_plane.validity,
        }
    }

    /// The node's own, as its admin.conf says it.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn of_node(root: &Root) -> Result<Self, CredentialError> {
        let path = root.join("/etc/kubernetes/admin.conf");
        let Some(text) = reading::find(root, &path)? else {
            return Err(CredentialError::NothingThere(
                "there is no /etc/kubernetes/admin.conf that says which cluster this is; give kubeadm's configuration (--config)"
                    .to_owned(),
            ));
        };
        let admin = Waiting::parse(text.as_slice()).map_err(|error| {
            CredentialError::CredentialRefused {
                path: root.node_path(&path),
                reason: error.to_string(),
            }
        })?;
        if admin.server.is_empty() {
            return Err(CredentialError::CredentialRefused {
                path: root.node_path(&path),
                reason: "its cluster has no server; give kubeadm's configuration (--config)"
                    .to_owned(),
            });
        }
        Ok(Self {
            name: admin.cluster,
            server: admin.server,
            key_algorithm: None,
            validity: YEAR,
        })
    }
}

/// Who is to get a kubeconfig.
#[derive(Debug)]
pub struct NewUser<'a> {
    /// `--client-name`
    pub name: &'a str,
    /// `--org`
    pub groups: &'a [String],
    /// `--validity-period`; `None` for the configuration's.
    pub validity: Option<Duration>,
    /// Whether `system:masters` is meant.
    pub allow_masters: bool,
}

/// A kubeconfig, and the certificate in it.
pub struct UserKubeconfig {
    /// The text.
    pub text: Zeroizing<String>,
    /// `None` for one with a token.
    pub certificate: Option<Certificate>,
    /// What an administrator should think about.
    pub warnings: Vec<String>,
}

/// Without the text, which has a key or a token in it.
impl std::fmt::Debug for UserKubeconfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("UserKubeconfig")
            .field("certificate", &self.certificate)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

/// A kubeconfig with a token, which needs no authority's key.
///
/// # Errors
/// [`CredentialError`].
pub fn with_token(
    places: &Places,
    cluster: &TargetCluster,
    user: &NewUser<'_>,
    token: &str,
    now: Timestamp,
) -> Result<UserKubeconfig, CredentialError> {
    check_name(user.name)?;
    let authorities = trusted(places, AuthorityId::Kubernetes, now)?;
    let text = NewKubeconfig {
        cluster: &cluster.name,
        server: &cluster.server,
        authorities: Some(&certificates_to_pem(&authorities)),
        user: user.name,
        credential: NewCredential::Token(token),
    }
    .text();
    Ok(UserKubeconfig {
        text,
        certificate: None,
        warnings: Vec::new(),
    })
}

/// A kubeconfig with a certificate. It is recorded before it is given out; `file` says where it goes.
///
/// # Errors
/// [`CredentialError`].
pub fn with_certificate(
    places: &Places,
    cluster: &TargetCluster,
    user: &NewUser<'_>,
    record: (&IssuedRecord, Option<&Path>),
    now: Timestamp,
) -> Result<UserKubeconfig, CredentialError> {
    check_name(user.name)?;
    check_groups(user)?;
    let mut made = signed(places, cluster, user, record, now)?;
    if let Some(certificate) = &made.certificate {
        let validity = user.validity.unwrap_or(cluster.validity);
        let mut warnings = warnings(user, validity);
        warnings.extend(ends_sooner(certificate, validity, now));
        warnings.append(&mut made.warnings);
        made.warnings = warnings;
    }
    Ok(made)
}

/// The same whatever the user is called. It warns of another cluster alone.
pub(super) fn signed(
    places: &Places,
    cluster: &TargetCluster,
    user: &NewUser<'_>,
    record: (&IssuedRecord, Option<&Path>),
    now: Timestamp,
) -> Result<UserKubeconfig, CredentialError> {
    let signer = signer(places, AuthorityId::Kubernetes, now)?;
    let failed = |source: IssueError| CredentialError::CredentialNotSigned {
        name: user.name.to_owned(),
        source,
    };
    let kind = signer.signing.certificate().key_kind();
    let algorithm = cluster.key_algorithm.unwrap_or_else(|| kind.successor());
    let key = PrivateKey::generate(algorithm).map_err(|error| failed(error.into()))?;
    let leaf = NewLeaf {
        common_name: user.name.to_owned(),
        organizations: user.groups.to_vec(),
        subject_alt_names: Vec::new(),
        server_auth: false,
        client_auth: true,
    };
    let validity = user.validity.unwrap_or(cluster.validity);
    let public_key = key.public_key_der();
    let fresh = Fresh {
        leaf: &leaf,
        public_key: &public_key,
        subject: None,
        serial: None,
        validity,
    };
    let certificate = issue_fresh(&fresh, &signer.signing, &signer.trusted, now).map_err(
        |error| match error {
            FreshError::Sign(source) => failed(source),
            FreshError::Check(source) => failed(IssueError::Signing(source.to_string())),
        },
    )?;
    let pem = key.to_pem().map_err(|error| failed(error.into()))?;
    let text = NewKubeconfig {
        cluster: &cluster.name,
        server: &cluster.server,
        authorities: Some(&certificates_to_pem(&signer.trusted)),
        user: user.name,
        credential: NewCredential::Certificate(&certificates_to_pem([&certificate]), &pem),
    }
    .text();
    let (record, file) = record;
    record.append(&issued(
        &certificate,
        user,
        file.map(|file| places.shown(file)),
        now,
    ))?;
    Ok(UserKubeconfig {
        text,
        warnings: another_cluster(places, &signer.trusted)
            .into_iter()
            .collect(),
        certificate: Some(certificate),
    })
}

fn issued(
    certificate: &Certificate,
    user: &NewUser<'_>,
    file: Option<PathBuf>,
    now: Timestamp,
) -> IssuedToUser {
    IssuedToUser {
        client_name: user.name.to_owned(),
        groups: user.groups.to_vec(),
        serial: certificate.serial.clone(),
        fingerprint: certificate.fingerprint(),
        issued: now,
        end: certificate.not_after,
        by: Actor::of_this_process(),
        file,
    }
}

/// RFC 5280's limit of a common name, which Go does not have and OpenSSL has.
const LONGEST_NAME: usize = 64;

fn check_name(name: &str) -> Result<(), CredentialError> {
    let refused = |reason: &str| {
        Err(CredentialError::NothingThere(format!(
            "--client-name {name:?}: {reason}"
        )))
    };
    if name.trim().is_empty() {
        return refused("say who it is for");
    }
    if name.chars().any(char::is_control) {
        return refused("has control characters in it");
    }
    if name.chars().count() > LONGEST_NAME {
        return refused("is longer than 64 letters");
    }
    Ok(())
}

fn check_groups(user: &NewUser<'_>) -> Result<(), CredentialError> {
    let refused = |reason: String| Err(CredentialError::NothingThere(reason));
    for group in user.groups {
        if group.trim().is_empty()
            || group.chars().any(char::is_control)
            || group.chars().count() > LONGEST_NAME
        {
            return refused(format!("--org {group:?}: is no name of a group"));
        }
    }
    if user.groups.iter().any(|group| group == MASTERS) && !user.allow_masters {
        return refused(format!(
            "--org {MASTERS}: no role limits its members, and no role takes these rights away again; bind a role to a group of your \
             own, or give --allow-system-masters as well"
        ));
    }
    Ok(())
}

/// Whether the authority is another than the one that this node's own administrator trusts: then the certificate is of no use
/// here.
fn another_cluster(places: &Places, trusted: &[Certificate]) -> Option<String> {
    let path = places.root().join("/etc/kubernetes/admin.conf");
    // An admin.conf that cannot be read says nothing about another cluster.
    let text = reading::find(places.root(), &path).ok()??;
    let pem = Waiting::parse(text.as_slice()).ok()?.authorities?;
    let own = certificates_from_pem(&pem).ok()?;
    let is_same = own.iter().any(|one| trusted.contains(one));
    (!is_same).then(|| {
        "the authority that signed it is not the one of this node's admin.conf: it is for another cluster".to_owned()
    })
}

/// Where an authority ends before that which it signs was to end.
pub(super) fn ends_sooner(
    certificate: &Certificate,
    validity: Duration,
    now: Timestamp,
) -> Option<String> {
    let asked = now.checked_add(validity).unwrap_or(Timestamp::MAX);
    // A certificate's moments are whole seconds.
    (certificate.not_after.as_second() < asked.as_second())
        .then(|| "it ends with its authority, sooner than was asked for".to_owned())
}

fn warnings(user: &NewUser<'_>, validity: Duration) -> Vec<String> {
    let mut warnings = Vec::new();
    if user.groups.iter().any(|group| group == MASTERS) {
        warnings.push(format!(
            "{} belongs to {MASTERS}: this file gives every right in the cluster, until it ends, and nothing takes that back but another CA",
            user.name
        ));
    }
    if user
        .groups
        .iter()
        .any(|group| group == super::member::CLUSTER_ADMINS)
    {
        warnings.push(format!(
            "{} is an administrator of the whole cluster",
            user.name
        ));
    }
    if user.name.starts_with("system:")
        || user
            .groups
            .iter()
            .any(|group| group.starts_with("system:") && group != MASTERS)
    {
        warnings.push(format!(
            "{} acts as a part of Kubernetes itself (system:)",
            user.name
        ));
    }
    if validity > YEAR {
        warnings.push(
            "it is valid for more than a year, and a certificate cannot be taken back".to_owned(),
        );
    }
    warnings
}

/// Writes a kubeconfig into a new file that only its owner may read.
///
/// # Errors
/// [`CredentialError`].
pub fn write_kubeconfig(file: &Path, made: &UserKubeconfig) -> Result<(), CredentialError> {
    Ok(write_atomically(file, made.text.as_bytes(), 0o600)?)
}
