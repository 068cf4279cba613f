//! What `check-expiration` prints: kubeadm's table, JSON and YAML to the byte.

mod document;
mod rows;
mod table;
mod yaml;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Renewal;
use crate::files::FoundCopies;
use crate::node::{
    Authority, AuthorityState, CertificateId, CertificateState, Entry, Fault, Inventory, KeyState,
    Present, Problem, Signer, StaticPod, all_missing_names,
};
use crate::pki::{AuthorityId, Certificate};
use crate::probe::InMemory;
use crate::report::CopiesView;
pub use rows::{CertificateRow, ExpirationInfo, Found};

/// The answer to `--within`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Within {
    /// What ends within the time or has ended, and when; the earliest first.
    pub due: Vec<(String, Timestamp)>,
    /// What could not be read or makes no sense, and why.
    pub unreadable: Vec<(String, String)>,
}

impl Within {
    /// 0: nothing is due. 1: something is. 2: something could not be read or makes no sense, so nobody
    /// knows; this one counts first.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if !self.unreadable.is_empty() {
            2
        } else {
            u8::from(!self.due.is_empty())
        }
    }
}

impl ExpirationInfo {
    /// Gathers the rows. With `all`, also the kubelet's certificates, unknown ones and the effective expiry.
    #[must_use]
    pub fn new(inventory: &Inventory, now: Timestamp, all: bool) -> Self {
        let rows = |catalogued: bool| -> Vec<CertificateRow> {
            inventory
                .entries
                .iter()
                .filter(|entry| entry.id.is_catalogued() == catalogued)
                .map(|entry| certificate_row(inventory, entry))
                .collect()
        };
        let authorities = |kubeadms: bool| {
            let all = inventory.authorities.iter();
            let wanted = all.filter(move |one| one.name.is_kubeadms() == kubeadms);
            let mut rows: Vec<CertificateRow> = wanted.map(authority_row).collect();
            rows.sort_by(|one, other| one.name.cmp(&other.name));
            rows
        };
        let others = if all {
            [rows(false), authorities(false)].concat()
        } else {
            Vec::new()
        };
        Self {
            certificates: rows(true),
            authorities: authorities(true),
            others,
            missing_names: if all {
                all_missing_names(inventory)
            } else {
                Vec::new()
            },
            copies: CopiesView::default(),
            problems: problems(inventory, all),
            named_by_pods: [named_by_pods(inventory), authorities(false)].concat(),
            unread: inventory.problems.clone(),
            all,
            now,
        }
    }

    /// Leaves the end of those alone that the configuration says so of, as far as kubeadm does not know them: kubeadm's own are
    /// always counted, since the control plane stops with them.
    #[must_use]
    pub fn leaving(mut self, renewal: &Renewal) -> Self {
        for row in self.others.iter_mut().chain(&mut self.named_by_pods) {
            row.left_alone = renewal.of(&row.name).skip;
        }
        self
    }

    /// The same with what lives only in components' memory, among the others.
    #[must_use]
    pub fn with_in_memory(mut self, seen: &[InMemory]) -> Self {
        self.others.extend(seen.iter().map(|one| CertificateRow {
            name: one.name(),
            path: PathBuf::from(one.address.to_string()),
            found: Found::Expires {
                not_after: one.not_after,
                effective: one.not_after,
            },
            authority: None,
            externally_managed: false,
            signed_by: "itself".to_owned(),
            optional: false,
            left_alone: false,
        }));
        self
    }

    /// The same with the copies of admin.conf. What of them ends is the affair of whoever has them.
    #[must_use]
    pub fn with_copies(mut self, found: &FoundCopies) -> Self {
        self.copies = CopiesView::from(found);
        self
    }

    /// The two tables; with `--all` a third, and what could not be read in a list after them.
    #[must_use]
    pub fn to_table(&self) -> String {
        table::render(self)
    }

    /// kubeadm's JSON, four spaces of indentation, with a final newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        document::to_json(self)
    }

    /// kubeadm's YAML.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        yaml::render(&document::document(self))
    }

    /// What ends within the time, authorities included, by the effective expiry; with `--all` also the kubelet's, which the
    /// kubelet renews, and what nothing on the node names. A missing certificate counts as one that could not be read, except
    /// for super-admin.conf, which is normal; so does whatever else is wrong.
    #[must_use]
    pub fn due_within(&self, within: Duration, now: Timestamp) -> Within {
        let limit = now.saturating_add(within).unwrap_or(Timestamp::MAX);
        let mut answer = Within::default();
        for row in self.rows() {
            match &row.found {
                Found::Missing if row.optional => {}
                Found::Missing => answer.unreadable.push((
                    row.name.clone(),
                    format!("{} does not exist", row.path.display()),
                )),
                Found::Unreadable(reason) => {
                    answer.unreadable.push((row.name.clone(), reason.clone()));
                }
                Found::Expires { effective, .. } => {
                    if *effective <= limit && !row.left_alone {
                        answer.due.push((row.name.clone(), *effective));
                    }
                }
            }
        }
        for problem in &self.problems {
            let said = problem.to_string();
            if !answer.unreadable.iter().any(|(_, reason)| *reason == said) {
                let path = problem.path.display().to_string();
                answer.unreadable.push((path, problem.fault.to_string()));
            }
        }
        answer.due.sort_by_key(|(_, end)| *end);
        answer
    }

    /// What was to be looked at and could not be: file and reason.
    #[must_use]
    pub fn unread(&self) -> Vec<(String, String)> {
        let rows = self.rows().filter_map(|row| match &row.found {
            Found::Unreadable(reason) => {
                let path = row.path.display().to_string();
                let reason = reason.strip_prefix(&format!("{path}: ")).unwrap_or(reason);
                Some((path, reason.to_owned()))
            }
            Found::Missing | Found::Expires { .. } => None,
        });
        let rest = self.unread.iter().map(|problem| {
            (
                problem.path.display().to_string(),
                problem.fault.to_string(),
            )
        });
        let mut unread: Vec<(String, String)> = Vec::new();
        for one in rows.chain(rest) {
            if !unread.contains(&one) {
                unread.push(one);
            }
        }
        unread
    }

    /// Why something ends when the table, as it is printed, does not show that end.
    #[must_use]
    pub fn unseen_end(&self, name: &str) -> Option<&'static str> {
        let row = self.rows().find(|row| row.name == name)?;
        match row.found {
            Found::Expires {
                not_after,
                effective,
            } if effective < not_after => Some("with its CA or a certificate of its chain"),
            _ if self.named_by_pods.contains(row) && !self.others.contains(row) => {
                Some("which a static pod uses or the configuration names")
            }
            _ => None,
        }
    }

    fn rows(&self) -> impl Iterator<Item = &CertificateRow> {
        let unseen = self
            .named_by_pods
            .iter()
            .filter(|row| !self.others.contains(row));
        self.certificates
            .iter()
            .chain(&self.authorities)
            .chain(&self.others)
            .chain(unseen)
    }
}

/// What static pods use and what the configuration describes counts in any case.
fn named_by_pods(inventory: &Inventory) -> Vec<CertificateRow> {
    let named: BTreeSet<PathBuf> = inventory
        .static_pods
        .iter()
        .flat_map(StaticPod::files)
        .map(|path| inventory.real(&path).to_path_buf())
        .collect();
    inventory
        .entries
        .iter()
        .filter(|entry| matches!(entry.id, CertificateId::Found(_)))
        .filter(|entry| {
            entry.described.is_some() || named.contains(inventory.real(&entry.certificate_path))
        })
        .map(|entry| certificate_row(inventory, entry))
        .collect()
}

fn certificate_row(inventory: &Inventory, entry: &Entry) -> CertificateRow {
    let authority = entry.authority.and_then(|name| inventory.authority(name));
    let found = match &entry.state {
        CertificateState::Missing => Found::Missing,
        CertificateState::Unreadable(problem) => Found::Unreadable(problem.to_string()),
        CertificateState::Present(present) => Found::Expires {
            not_after: present.leaf.not_after,
            effective: present.effective_not_after(signing_certificate(present, authority)),
        },
    };
    CertificateRow {
        name: entry.id.to_string(),
        path: entry.path.clone(),
        found,
        authority: entry.authority,
        externally_managed: authority.is_some_and(Authority::is_external),
        signed_by: entry
            .present()
            .map(|present| signed_by(&present.signer, entry.authority))
            .unwrap_or_default(),
        optional: entry.id == CertificateId::SUPER_ADMIN,
        left_alone: false,
    }
}

fn authority_row(authority: &Authority) -> CertificateRow {
    let found = match &authority.state {
        AuthorityState::Missing => Found::Missing,
        AuthorityState::Unreadable(problem) => Found::Unreadable(problem.to_string()),
        AuthorityState::Present { .. } => match authority.certificate() {
            Some(certificate) => Found::Expires {
                not_after: certificate.not_after,
                effective: certificate.not_after,
            },
            None => Found::Missing,
        },
    };
    CertificateRow {
        name: authority.name.name().to_owned(),
        path: authority.certificate_path.clone(),
        found,
        authority: None,
        externally_managed: authority.is_external(),
        signed_by: authority
            .certificate()
            .map(|certificate| {
                if certificate.is_self_signed() {
                    "itself".to_owned()
                } else {
                    certificate.issuer.clone()
                }
            })
            .unwrap_or_default(),
        optional: false,
        left_alone: false,
    }
}

/// The certificate of the authority's file that signed it; the first where none did, but only if one should have.
fn signing_certificate<'a>(
    present: &Present,
    authority: Option<&'a Authority>,
) -> Option<&'a Certificate> {
    if !matches!(present.signer, Signer::Expected | Signer::Unchecked(_)) {
        return None;
    }
    authority?.signer_of_present(present)
}

fn signed_by(signer: &Signer, authority: Option<AuthorityId>) -> String {
    let own = authority.map(AuthorityId::name).unwrap_or_default();
    match signer {
        Signer::Expected => own.to_owned(),
        Signer::Unchecked(_) => format!("{own} (unchecked)"),
        Signer::Foreign(issuer) => issuer.clone(),
        Signer::SelfSigned => "itself".to_owned(),
        Signer::Unknown => "unknown".to_owned(),
    }
}

/// Everything that is wrong: certificates, keys, authorities, then the rest.
fn problems(inventory: &Inventory, all: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for entry in &inventory.entries {
        if !all && !entry.id.is_catalogued() && entry.described.is_none() {
            continue;
        }
        match &entry.state {
            CertificateState::Missing => {}
            CertificateState::Unreadable(problem) => problems.push(problem.clone()),
            CertificateState::Present(present) => {
                // Nobody promised a key beside an unknown certificate.
                if let Some(path) = &entry.key_path
                    && let Some(problem) =
                        key_problem(path, &present.key, !entry.id.is_catalogued())
                {
                    problems.push(problem);
                }
            }
        }
    }
    for authority in &inventory.authorities {
        match &authority.state {
            AuthorityState::Missing => {}
            AuthorityState::Unreadable(problem) => problems.push(problem.clone()),
            AuthorityState::Present { key, .. } => {
                let path = authority.key_path.as_ref();
                problems.extend(path.and_then(|path| key_problem(path, key, true)));
            }
        }
    }
    let service_account = &inventory.service_account;
    problems.extend(key_problem(
        &service_account.key_path,
        &service_account.key,
        true,
    ));
    problems.extend(inventory.problems.iter().cloned());
    let mut seen = std::collections::HashSet::new();
    problems.retain(|problem| seen.insert(problem.clone()));
    problems
}

fn key_problem(path: &std::path::Path, key: &KeyState, may_be_missing: bool) -> Option<Problem> {
    let fault = match key {
        KeyState::Matching(_) | KeyState::Unread => return None,
        KeyState::Missing if may_be_missing => return None,
        KeyState::Missing => Fault::KeyMissing,
        KeyState::Mismatched => Fault::KeyMismatched,
        KeyState::OutOfReach(problem)
        | KeyState::Damaged(problem)
        | KeyState::NotOwn(problem)
        | KeyState::Unsupported(problem) => {
            return Some(problem.clone());
        }
    };
    Some(Problem::new(path, fault))
}
