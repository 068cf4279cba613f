//! Whether a request asks for what its file's name says, and for nothing more.

use std::collections::BTreeSet;

use super::member::{CLUSTER_ADMINS, MASTERS, Member, NODE_USER, NODES};
use crate::node::{ControlPlane, is_dns_name};
use crate::pki::{
    Certificate, CertificateRequest, KeyKind, KubeconfigName, LeafName, NewLeaf, SubjectAltName,
};

/// What an administrator allows besides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowed {
    /// `system:masters`: for super-admin.conf, and for others as clusters older than 1.29 have it.
    pub masters: bool,
    /// The administrators' group for the API server's client of the kubelets, as clusters older than 1.36.1 have it.
    pub cluster_admins: bool,
}

const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

/// The certificate that such a request may get.
///
/// What is asked for comes from whoever could write the file; the name of the file is what the administrator meant to sign. With a
/// configuration the names have to be exactly those that follow from it.
pub(super) fn leaf_for(
    member: Member,
    request: &CertificateRequest,
    control_plane: Option<&ControlPlane>,
    allowed: Allowed,
) -> Result<NewLeaf, String> {
    check_subject(member, request, allowed)?;
    check_opt_in(member, request, control_plane, allowed)?;
    check_names(member, request)?;
    if let Some(control_plane) = control_plane {
        check_against(member, request, control_plane)?;
        check_groups_against(member, request, control_plane, allowed)?;
    }
    check_usages(member, request)?;
    check_key(&request.key_kind())?;
    let (server_auth, client_auth) = member.usages();
    Ok(NewLeaf {
        common_name: request.common_name.clone().unwrap_or_default(),
        organizations: request.organizations.clone(),
        subject_alt_names: request.subject_alt_names.clone(),
        server_auth,
        client_auth,
    })
}

fn check_subject(
    member: Member,
    request: &CertificateRequest,
    allowed: Allowed,
) -> Result<(), String> {
    let subject = &request.subject;
    if !request.has_plain_subject {
        return Err(format!(
            "asks for the subject {subject}, and {member} has one common name, perhaps organizations (O), and nothing else"
        ));
    }
    check_name(member, request.common_name.as_deref().unwrap_or_default())?;
    check_groups(member, &request.organizations, allowed)
}

fn check_name(member: Member, name: &str) -> Result<(), String> {
    match member.fixed_common_name() {
        Some(fixed) if fixed != name => {
            return Err(format!(
                "asks for the name {name:?}, and {member} is {fixed}"
            ));
        }
        None if member == Member::Kubelet => {
            let node = name.strip_prefix(NODE_USER);
            if !node.is_some_and(is_dns_name) {
                return Err(format!(
                    "asks for the name {name:?}, and {member} is {NODE_USER}NODE"
                ));
            }
        }
        None if !is_dns_name(name) => {
            return Err(format!(
                "asks for the name {name:?}, and {member} has the node's name"
            ));
        }
        _ => {}
    }
    Ok(())
}

fn check_groups(member: Member, groups: &[String], allowed: Allowed) -> Result<(), String> {
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let usual: &[&[&str]] = match member {
        Member::Kubeconfig(KubeconfigName::Admin) => &[&[CLUSTER_ADMINS]],
        Member::Kubeconfig(KubeconfigName::SuperAdmin) => &[&[MASTERS]],
        Member::Leaf(LeafName::ApiserverKubeletClient) => &[&[], &[CLUSTER_ADMINS]],
        Member::Kubelet => &[&[NODES]],
        Member::Leaf(_) | Member::Kubeconfig(_) => &[&[]],
    };
    // Before 1.29.
    let old = matches!(
        member,
        Member::Kubeconfig(KubeconfigName::Admin)
            | Member::Leaf(
                LeafName::ApiserverKubeletClient
                    | LeafName::ApiserverEtcdClient
                    | LeafName::EtcdHealthcheckClient
            )
    );
    if usual.contains(&groups.as_slice()) || (old && allowed.masters && groups == [MASTERS]) {
        return Ok(());
    }
    let asked = groups.join(", ");
    Err(if old && groups == [MASTERS] {
        format!(
            "asks for the group {asked}, which no role limits and no role takes rights from; clusters older than 1.29 have {member} \
             so: give --allow-system-masters if this is one"
        )
    } else {
        format!("asks for the groups (O) [{asked}], which {member} does not have")
    })
}

/// That the groups which give a whole cluster away are meant.
fn check_opt_in(
    member: Member,
    request: &CertificateRequest,
    control_plane: Option<&ControlPlane>,
    allowed: Allowed,
) -> Result<(), String> {
    let groups = request.organizations.as_slice();
    if member == Member::Kubeconfig(KubeconfigName::SuperAdmin)
        && groups == [MASTERS]
        && !allowed.masters
    {
        return Err(format!(
            "asks for the group {MASTERS}, which no role limits and no role takes rights from: give --allow-system-masters if {member} \
             is meant to be signed, or sign only others (--only)"
        ));
    }
    let by_version = control_plane.is_some_and(ControlPlane::knows_its_version);
    if member == Member::Leaf(LeafName::ApiserverKubeletClient)
        && groups == [CLUSTER_ADMINS]
        && !by_version
        && !allowed.cluster_admins
    {
        return Err(format!(
            "asks for the group {CLUSTER_ADMINS}, an administrator's rights in the whole cluster, which {member} has in clusters older \
             than 1.36.1: give --config with a kubernetesVersion that says so, or --allow-cluster-admins"
        ));
    }
    Ok(())
}

/// That the groups are those that follow from the configuration.
fn check_groups_against(
    member: Member,
    request: &CertificateRequest,
    control_plane: &ControlPlane,
    allowed: Allowed,
) -> Result<(), String> {
    let wanted: BTreeSet<String> = member
        .leaf(control_plane)
        .organizations
        .into_iter()
        .collect();
    let asked: BTreeSet<String> = request.organizations.iter().cloned().collect();
    let is_only = |group: &str| asked.len() == 1 && asked.contains(group);
    // Whether a configuration without a version wants the administrators' group cannot be told from it.
    let is_open = member == Member::Leaf(LeafName::ApiserverKubeletClient)
        && !control_plane.knows_its_version()
        && (asked.is_empty() || is_only(CLUSTER_ADMINS));
    if asked == wanted || is_open || (allowed.masters && is_only(MASTERS)) {
        return Ok(());
    }
    let shown = |groups: BTreeSet<String>| groups.into_iter().collect::<Vec<_>>().join(", ");
    Err(format!(
        "asks for the groups (O) [{}], and by the configuration {member} has [{}]; make the request again, or correct kubernetesVersion",
        shown(asked),
        shown(wanted)
    ))
}

/// What a certificate that came back says of itself, where that is what its file's name says. An authority may add names and usages,
/// but no groups, since those are rights.
pub(super) fn leaf_of(
    member: Member,
    certificate: &Certificate,
    allowed: Allowed,
) -> Result<NewLeaf, String> {
    let name = certificate.common_name.clone().unwrap_or_default();
    check_name(member, &name).map_err(is_for)?;
    check_groups(member, &certificate.organizations, allowed).map_err(is_for)?;
    let (server_auth, client_auth) = member.usages();
    if server_auth && certificate.subject_alt_names.is_empty() {
        return Err(format!(
            "has no names, so no client of {member} would accept it; have it signed with the names that the request asks for"
        ));
    }
    Ok(NewLeaf {
        common_name: name,
        organizations: certificate.organizations.clone(),
        subject_alt_names: Vec::new(),
        server_auth,
        client_auth,
    })
}

/// Of a certificate, what a request would ask for.
fn is_for(reason: String) -> String {
    reason.replacen("asks for", "is for", 1)
}

fn check_names(member: Member, request: &CertificateRequest) -> Result<(), String> {
    let is_server = member.usages().0;
    let names = &request.subject_alt_names;
    if !is_server && !names.is_empty() {
        return Err(format!(
            "asks for {} names, and {member}, a client's, has none",
            names.len()
        ));
    }
    if is_server && names.is_empty() {
        return Err(format!(
            "asks for no names, so no client of {member} would accept it"
        ));
    }
    for name in names {
        match name {
            SubjectAltName::Dns(name) if is_dns_name(name.strip_prefix("*.").unwrap_or(name)) => {}
            SubjectAltName::Ip(_) => {}
            SubjectAltName::Dns(name) => {
                return Err(format!("asks for the name {name:?}, which is no DNS name"));
            }
            SubjectAltName::Email(_) | SubjectAltName::Uri(_) | SubjectAltName::Other(_) => {
                return Err(format!(
                    "asks for a name that is neither a DNS name nor an IP address, and {member} has no other"
                ));
            }
        }
    }
    let is_etcds = matches!(
        member,
        Member::Leaf(LeafName::EtcdServer | LeafName::EtcdPeer)
    );
    let own = request.common_name.as_deref().unwrap_or_default();
    if is_etcds && !names.contains(&SubjectAltName::Dns(own.to_owned())) {
        return Err(format!(
            "asks for the name {own:?}, which is not among its DNS names"
        ));
    }
    Ok(())
}

/// That subject and names are those that follow from the configuration.
fn check_against(
    member: Member,
    request: &CertificateRequest,
    control_plane: &ControlPlane,
) -> Result<(), String> {
    let wanted = member.leaf(control_plane);
    if request.common_name.as_deref() != Some(wanted.common_name.as_str()) {
        return Err(format!(
            "asks for the name {:?}, and the configuration makes it {:?}: it is of another node or cluster",
            request.common_name.as_deref().unwrap_or_default(),
            wanted.common_name
        ));
    }
    let shown = |name: &SubjectAltName| match name {
        SubjectAltName::Dns(name) | SubjectAltName::Email(name) | SubjectAltName::Uri(name) => {
            name.clone()
        }
        SubjectAltName::Ip(address) => address.to_string(),
        SubjectAltName::Other(_) => "of another kind".to_owned(),
    };
    let (asked, wanted) = (&request.subject_alt_names, &wanted.subject_alt_names);
    if let Some(more) = asked.iter().find(|name| !wanted.contains(name)) {
        return Err(format!(
            "asks for {}, which does not follow from the configuration",
            shown(more)
        ));
    }
    if let Some(less) = wanted.iter().find(|name| !asked.contains(name)) {
        return Err(format!(
            "does not ask for {}, which follows from the configuration; make the request again",
            shown(less)
        ));
    }
    Ok(())
}

fn check_usages(member: Member, request: &CertificateRequest) -> Result<(), String> {
    if request.is_ca {
        return Err(format!(
            "asks for a CA's certificate, which {member} is not"
        ));
    }
    if request.asks_for_more_key_usages() {
        return Err(
            "asks for more key usages than digitalSignature and keyEncipherment".to_owned(),
        );
    }
    let (server, client) = member.usages();
    for usage in &request.extended_key_usage {
        let may = match usage.as_str() {
            SERVER_AUTH => server,
            CLIENT_AUTH => client,
            _ => false,
        };
        if !may {
            return Err(format!(
                "asks for the extended key usage {usage}, which {member} does not have"
            ));
        }
    }
    match request.other_extensions.first() {
        Some(other) => Err(format!(
            "asks for the extension {other}, which {member} does not have"
        )),
        None => Ok(()),
    }
}

fn check_key(kind: &KeyKind) -> Result<(), String> {
    match kind.made() {
        Some(algorithm) if algorithm != crate::pki::KeyAlgorithm::Ed25519 => Ok(()),
        // Kubernetes' own readers of keys know RSA and ECDSA; RSA of other sizes does as well.
        _ if matches!(kind, KeyKind::Rsa(bits) if *bits >= 2048) => Ok(()),
        _ => Err(format!(
            "has a key of {kind}; Kubernetes takes RSA of 2048 bits or more, and ECDSA on P-256, P-384 and P-521"
        )),
    }
}
