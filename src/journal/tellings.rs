//! Whose users an operation has to tell of files, and whom it has told.

use crate::node::CertificateId;

/// Certificates whose users are told of their files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tellings(Vec<Telling>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Telling {
    certificate: CertificateId,
    /// They may use the new files.
    touched: bool,
    done: bool,
}

impl Tellings {
    /// Those of these are to be told.
    pub(super) fn planned(certificates: &[CertificateId]) -> Self {
        let planned = certificates.iter().map(|certificate| Telling {
            certificate: certificate.clone(),
            touched: false,
            done: false,
        });
        Self(planned.collect())
    }

    /// Those of these are about to be told.
    pub(super) fn begin(&mut self, certificates: &[CertificateId]) {
        self.of(certificates).for_each(|one| one.touched = true);
    }

    /// Those of these were.
    pub(super) fn end(&mut self, certificates: &[CertificateId]) {
        self.of(certificates).for_each(|one| one.done = true);
    }

    /// Old files come back: who may use the new ones is to be told of those.
    pub(super) fn turn_back(&mut self) {
        self.0.retain(|one| one.touched);
        self.0.iter_mut().for_each(|one| one.done = false);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those who are not told yet.
    pub(super) fn left(&self) -> Vec<CertificateId> {
        let left = self.0.iter().filter(|one| !one.done);
        left.map(|one| one.certificate.clone()).collect()
    }

    /// All of them, told or not.
    pub(super) fn all(&self) -> Vec<CertificateId> {
        self.0.iter().map(|one| one.certificate.clone()).collect()
    }

    fn of<'a>(
        &'a mut self,
        certificates: &'a [CertificateId],
    ) -> impl Iterator<Item = &'a mut Telling> {
        let is_it = |one: &&mut Telling| certificates.contains(&one.certificate);
        self.0.iter_mut().filter(is_it)
    }
}
