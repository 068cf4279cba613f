//! How certificates are renewed: what holds for all, and what for one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::written_name::written_name;
use crate::pki::{KeyAlgorithm, KeyKind};

/// `[renewal]`, which holds for all certificates, and `[certificate.NAME]`, which wins for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// `before`: renew when less than this remains, 30 d; but never before the last third of the lifetime.
    pub before: Duration,
    /// `jitter`: so much earlier at most, by a part of it that is each machine's own, 0.
    pub jitter: Duration,
    /// `validity`: lifetime of new certificates, 8760 h as kubeadm's.
    pub validity: Duration,
    /// `key-algorithm`: `keep` or one of kubeadm's.
    pub key_algorithm: KeyPolicy,
    /// `reuse-key`: sign the old key again instead of making a new one.
    pub reuse_key: bool,
    /// `skip`: certificates by name that are never renewed.
    pub skip: BTreeSet<String>,
    /// `other-renewer`: what another renewer on the node means to the daemon.
    pub other_renewer: OtherRenewer,
    /// `enabled`: false makes the daemon watch and report only.
    pub enabled: bool,
    /// `window-override`: from so long before the end of a certificate on, windows and holds hold nothing back, 7 d.
    pub window_override: Duration,
    /// `[certificate.NAME]`, by name.
    pub certificates: BTreeMap<String, OwnRenewal>,
}

impl Default for Renewal {
    fn default() -> Self {
        Self {
            before: Duration::from_secs(30 * 86_400),
            jitter: Duration::ZERO,
            validity: Duration::from_secs(8760 * 3600),
            key_algorithm: KeyPolicy::Keep,
            reuse_key: false,
            skip: BTreeSet::new(),
            other_renewer: OtherRenewer::Wait,
            enabled: true,
            window_override: Duration::from_secs(7 * 86_400),
            certificates: BTreeMap::new(),
        }
    }
}

/// `[certificate.NAME]`: what is not said here holds as `[renewal]` says it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnRenewal {
    /// `before`
    pub before: Option<Duration>,
    /// `validity`
    pub validity: Option<Duration>,
    /// `key-algorithm`
    pub key_algorithm: Option<KeyPolicy>,
    /// `reuse-key`
    pub reuse_key: Option<bool>,
    /// `skip`: false also where `renewal.skip` names it.
    pub skip: Option<bool>,
    /// Whether `file` is a pattern: then it holds for all certificates `NAME/…`.
    pub is_pattern: bool,
}

/// What holds for the renewal of one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateRenewal {
    /// How long before its end it is renewed, at most: never before the last third of its lifetime.
    pub before: Duration,
    /// Lifetime of the new one.
    pub validity: Duration,
    /// What its new key is made of.
    pub key_algorithm: KeyPolicy,
    /// Whether its old key is signed again.
    pub reuse_key: bool,
    /// Whether it is left alone.
    pub skip: bool,
    /// Whether the daemon renews it, or only a command.
    pub enabled: bool,
}

impl Renewal {
    /// What holds for the certificate of that name.
    #[must_use]
    pub fn of(&self, name: &str) -> CertificateRenewal {
        CertificateRenewal {
            before: self.first(name, |own| own.before).unwrap_or(self.before),
            validity: self
                .first(name, |own| own.validity)
                .unwrap_or(self.validity),
            key_algorithm: self
                .first(name, |own| own.key_algorithm)
                .unwrap_or(self.key_algorithm),
            reuse_key: self
                .first(name, |own| own.reuse_key)
                .unwrap_or(self.reuse_key),
            skip: self
                .first(name, |own| own.skip)
                .unwrap_or_else(|| self.skip.contains(name)),
            enabled: self.enabled,
        }
    }

    /// What the first of its tables says that says anything.
    fn first<T>(&self, name: &str, said: impl Fn(&OwnRenewal) -> Option<T>) -> Option<T> {
        self.tables(name).find_map(|(_, own)| said(own))
    }

    /// The tables that hold for the certificate of that name, each key of the first that has it: its own, and that of the pattern
    /// that it matches.
    fn tables<'all>(
        &'all self,
        name: &str,
    ) -> impl Iterator<Item = (&'all String, &'all OwnRenewal)> + use<'all> {
        let of_pattern = name.rsplit_once('/').and_then(|(table, _)| {
            let of_pattern = self.certificates.get_key_value(table);
            of_pattern.filter(|(_, own)| own.is_pattern)
        });
        let own = self.certificates.get_key_value(name);
        own.into_iter().chain(of_pattern)
    }

    /// The key that says that this certificate is left alone: `renewal.skip` or `certificate."admin.conf".skip`.
    #[must_use]
    pub fn skipped_by(&self, name: &str) -> Option<String> {
        let is_skipped = self.of(name).skip;
        is_skipped.then(|| format!("{}.skip", table_with(self, name, |own| own.skip.is_some())))
    }
}

/// The table that says something of the certificate of that name: `certificate."admin.conf"`, or `renewal` where no own one does.
pub(super) fn table_with(
    renewal: &Renewal,
    name: &str,
    says: impl Fn(&OwnRenewal) -> bool,
) -> String {
    let own = renewal.tables(name).find(|(_, own)| says(own));
    own.map_or_else(
        || "renewal".to_owned(),
        |(table, _)| format!("certificate.{}", written_name(table)),
    )
}

/// `renewal.other-renewer`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherRenewer {
    /// The daemon leaves the renewal to it until the end is near.
    Wait,
    /// It is not looked for.
    Ignore,
}

/// What new keys are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPolicy {
    /// The old key's algorithm and size.
    Keep,
    /// This one.
    Always(KeyAlgorithm),
}

impl KeyPolicy {
    /// The algorithm of the key that follows one of that kind.
    #[must_use]
    pub fn after(self, old: &KeyKind) -> KeyAlgorithm {
        match self {
            Self::Always(algorithm) => algorithm,
            Self::Keep => old.successor(),
        }
    }
}
