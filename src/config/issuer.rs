//! `[issuer.NAME]`: who signs where this node has no CA key, or is to sign instead of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::pki::AuthorityId;

/// Who signs where this node has no CA key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Issuers {
    /// `[issuer.files]`
    pub files: RequestFiles,
    /// Every other `[issuer.NAME]`, by name.
    pub named: BTreeMap<String, NamedIssuer>,
}

/// `[issuer.files]`: requests as files, for whoever signs them elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestFiles {
    /// `enabled`
    pub enabled: bool,
    /// `lead`: so long before a certificate ends its request is written, 45 d; never later than its renewal is due.
    pub lead: Duration,
}

impl Default for RequestFiles {
    fn default() -> Self {
        Self {
            enabled: true,
            lead: Duration::from_secs(45 * 86_400),
        }
    }
}

/// `[issuer.NAME]`: a program that is given the request and answers it, or a signer of the certificates API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedIssuer {
    /// `command`: the program, an absolute path, and its arguments; empty where a signer is asked.
    pub command: Vec<String>,
    /// `authorities`: for which CAs a program answers; all whose key is not on this node.
    pub authorities: Vec<AuthorityId>,
    /// `time-limit`: how long one call of a program may take, 60 s.
    pub time_limit: Duration,
    /// `certificates`: those that it signs, wherever the CA's key is; for a program, none stands for `authorities`.
    pub certificates: BTreeSet<String>,
    /// `signer-name`: the `spec.signerName` of the CertificateSigningRequests that are made.
    pub signer_name: Option<String>,
    /// `approve`: whether the request is approved by who makes it.
    pub approve: bool,
    /// `kubeconfig`: by which the API is asked; none for the one that is used for turns.
    pub kubeconfig: Option<PathBuf>,
}

/// How an issuer is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuerWay<'a> {
    /// By a program.
    Command {
        /// The program and its arguments.
        command: &'a [String],
        /// How long one call may take.
        time_limit: Duration,
    },
    /// By the certificates API.
    Signer(ApiSigner<'a>),
}

/// A signer of the certificates API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiSigner<'a> {
    /// `spec.signerName`
    pub name: &'a str,
    /// Whether the request is approved by who makes it.
    pub approve: bool,
    /// By which the API is asked.
    pub kubeconfig: Option<&'a Path>,
}

impl Default for NamedIssuer {
    /// What a table that says nothing yet has. `command` or `signer-name` has to be said.
    fn default() -> Self {
        Self {
            command: Vec::new(),
            authorities: AuthorityId::ALL.to_vec(),
            time_limit: Duration::from_secs(60),
            certificates: BTreeSet::new(),
            signer_name: None,
            approve: false,
            kubeconfig: None,
        }
    }
}

impl NamedIssuer {
    /// How it is asked.
    #[must_use]
    pub fn way(&self) -> IssuerWay<'_> {
        match &self.signer_name {
            Some(name) => IssuerWay::Signer(ApiSigner {
                name,
                approve: self.approve,
                kubeconfig: self.kubeconfig.as_deref(),
            }),
            None => IssuerWay::Command {
                command: &self.command,
                time_limit: self.time_limit,
            },
        }
    }
}

impl Issuers {
    /// Whether certificates of that CA are asked for where its key is not on this node.
    #[must_use]
    pub fn asks(&self, authority: AuthorityId) -> bool {
        self.files.enabled || self.for_authority(authority).is_some()
    }

    /// So long before its end the request for a certificate is written: a program or a signer answers soon, so it is not asked before
    /// the renewal is due.
    #[must_use]
    pub fn lead(&self, certificate: &str, authority: AuthorityId) -> Duration {
        match self.asked_for(certificate, authority) {
            Some(_) => Duration::ZERO,
            None => self.files.lead,
        }
    }

    /// Who is asked for a certificate of that CA, and his name: whoever it is given to, else the program for all of that CA.
    #[must_use]
    pub fn asked_for(
        &self,
        certificate: &str,
        authority: AuthorityId,
    ) -> Option<(&str, &NamedIssuer)> {
        self.given_to(certificate)
            .or_else(|| self.for_authority(authority))
    }

    /// Who signs that certificate by `certificates`, wherever the CA's key is.
    #[must_use]
    pub fn given_to(&self, certificate: &str) -> Option<(&str, &NamedIssuer)> {
        self.find(|issuer| issuer.certificates.contains(certificate))
    }

    /// The program that answers for that CA: the first by name, if there are several.
    fn for_authority(&self, authority: AuthorityId) -> Option<(&str, &NamedIssuer)> {
        self.find(|issuer| {
            issuer.certificates.is_empty() && issuer.authorities.contains(&authority)
        })
    }

    fn find(&self, is_it: impl Fn(&NamedIssuer) -> bool) -> Option<(&str, &NamedIssuer)> {
        let mut named = self.named.iter();
        let (name, issuer) = named.find(|(_, issuer)| is_it(issuer))?;
        Some((name.as_str(), issuer))
    }
}
