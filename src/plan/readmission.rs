//! Whether a kubelet may take a certificate that was made for it elsewhere. Whoever brings the file is not believed: what this node knows
//! of itself and of its cluster decides.

use jiff::Timestamp;

use super::expired::NODE;
use crate::pki::{Certificate, PrivateKey, date};

/// What a file presents.
#[derive(Debug)]
pub struct Presented<'a> {
    /// Its certificates.
    pub certificates: &'a [Certificate],
    /// Its key.
    pub key: &'a PrivateKey,
    /// The API server that it leads to.
    pub server: &'a str,
    /// The authorities that it brings.
    pub authorities: &'a [Certificate],
}

/// What this node knows.
#[derive(Debug)]
pub struct OwnKnowledge<'a> {
    /// Its name.
    pub node: &'a str,
    /// Its API server, as kubelet.conf has it.
    pub server: &'a str,
    /// The authorities of its cluster.
    pub trusted: &'a [Certificate],
    /// The kubelet's present certificate.
    pub present: Option<&'a Certificate>,
}

/// What speaks against a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadmissionDoubt {
    /// Not one certificate, but so many.
    #[error("it has {0} certificates, and exactly one is wanted")]
    NotOne(usize),
    /// The key is another's.
    #[error("its key is not its certificate's")]
    AnotherKey,
    /// It is an authority's.
    #[error("its certificate is a CA's")]
    IsAuthority,
    /// It is for another node, or none.
    #[error("it is for {subject}, and this node is {node}: have one issued for {node}")]
    AnotherNode {
        /// Its subject.
        subject: String,
        /// This node's name.
        node: String,
    },
    /// It gives other rights than a node's.
    #[error("its organizations are {0:?}, and a node's is system:nodes alone")]
    OtherGroups(Vec<String>),
    /// It is not for clients alone.
    #[error("its extended key usages are {0:?}, and a kubelet's client has clientAuth alone")]
    OtherUsages(Vec<String>),
    /// It is not valid now.
    #[error(
        "it is valid from {} to {}, and not now: have another issued, or check this machine's clock",
        date(*.from),
        date(*.to)
    )]
    NotValidNow {
        /// From when.
        from: Timestamp,
        /// Until when.
        to: Timestamp,
    },
    /// Nobody vouches for it whom this node knows.
    #[error(
        "no CA that this node trusts signed it, nor one in the file; it says that {issuer} did"
    )]
    SignedByNobody {
        /// The issuer that it names.
        issuer: String,
    },
    /// Only the file itself brings the CA that signed it.
    #[error(
        "no CA that this node trusts signed it, but one that only the file brings: {subject}, SHA-256 {fingerprint}; compare that \
         with `openssl x509 -noout -fingerprint -sha256 -in /etc/kubernetes/pki/ca.crt` on a control plane, and use --force if it is the same"
    )]
    UnknownAuthority {
        /// Its subject.
        subject: String,
        /// SHA-256 of its certificate.
        fingerprint: String,
    },
    /// It leads elsewhere.
    #[error(
        "it leads to {file}, and kubelet.conf to {own}; --force takes the certificate, and kubelet.conf stays with {own}"
    )]
    AnotherServer {
        /// The file's server.
        file: String,
        /// The node's.
        own: String,
    },
    /// The present one lasts as long.
    #[error("the kubelet's present certificate is valid until {}, and this one until {}", date(*.present), date(*.new))]
    EndsNoLater {
        /// End of the present one.
        present: Timestamp,
        /// End of this one.
        new: Timestamp,
    },
}

impl ReadmissionDoubt {
    /// Whether an administrator may know better.
    #[must_use]
    pub fn may_be_overruled(&self) -> bool {
        matches!(
            self,
            Self::UnknownAuthority { .. } | Self::AnotherServer { .. } | Self::EndsNoLater { .. }
        )
    }
}

/// id-kp-clientAuth (RFC 5280 §4.2.1.12).
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

/// Everything that speaks against the file at `now`.
#[must_use]
pub fn readmission_doubts(
    presented: &Presented<'_>,
    own: &OwnKnowledge<'_>,
    now: Timestamp,
) -> Vec<ReadmissionDoubt> {
    use ReadmissionDoubt as Doubt;
    let [leaf] = presented.certificates else {
        return vec![Doubt::NotOne(presented.certificates.len())];
    };
    let name = leaf.common_name.as_deref();
    let is_own = name.and_then(|name| name.strip_prefix(NODE)) == Some(own.node);
    let is_valid = leaf.is_valid_at(now);
    let lasts_as_long =
        |present: &&Certificate| present.is_valid_at(now) && present.not_after >= leaf.not_after;
    let server = |text: &str| text.trim_end_matches('/').to_owned();
    let doubts = [
        (!presented.key.matches(leaf)).then_some(Doubt::AnotherKey),
        leaf.is_ca.then_some(Doubt::IsAuthority),
        (!is_own).then(|| Doubt::AnotherNode {
            subject: leaf.subject.clone(),
            node: own.node.to_owned(),
        }),
        (leaf.organizations != ["system:nodes"])
            .then(|| Doubt::OtherGroups(leaf.organizations.clone())),
        (leaf.extended_key_usage != [CLIENT_AUTH])
            .then(|| Doubt::OtherUsages(leaf.extended_key_usage.clone())),
        (!is_valid).then_some(Doubt::NotValidNow {
            from: leaf.not_before,
            to: leaf.not_after,
        }),
        untrusted(leaf, presented, own, now),
        (server(presented.server) != server(own.server)).then(|| Doubt::AnotherServer {
            file: presented.server.to_owned(),
            own: own.server.to_owned(),
        }),
        own.present
            .filter(lasts_as_long)
            .filter(|_| is_valid)
            .map(|present| Doubt::EndsNoLater {
                present: present.not_after,
                new: leaf.not_after,
            }),
    ];
    doubts.into_iter().flatten().collect()
}

fn untrusted(
    leaf: &Certificate,
    presented: &Presented<'_>,
    own: &OwnKnowledge<'_>,
    now: Timestamp,
) -> Option<ReadmissionDoubt> {
    if signer(leaf, own.trusted, now).is_some() {
        return None;
    }
    Some(match signer(leaf, presented.authorities, now) {
        Some(authority) => ReadmissionDoubt::UnknownAuthority {
            subject: authority.subject.clone(),
            fingerprint: authority.fingerprint(),
        },
        None => ReadmissionDoubt::SignedByNobody {
            issuer: leaf.issuer.clone(),
        },
    })
}

/// The one of these authorities, valid now, that signed it. A signature that cannot be checked here counts for nothing.
#[must_use]
pub fn signer<'a>(
    leaf: &Certificate,
    authorities: &'a [Certificate],
    now: Timestamp,
) -> Option<&'a Certificate> {
    authorities
        .iter()
        .find(|one| one.is_ca && one.is_valid_at(now) && leaf.is_signed_by(one))
}
