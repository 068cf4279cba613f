//! The CAs of a node: where each certificate lies, who has which, and whether it can be extended here. Pure.

use std::path::PathBuf;

use jiff::Timestamp;

use super::{AuthorityChange, Coded, columns};
use crate::host::{printable, serialize_path};
use crate::node::{Inventory, PodRef};
use crate::pki::{AuthorityId, Certificate, date, serde_end};
use crate::plan::{AuthorityPlace, Extension, ExtensionObstacle, Reading, authority_places};

/// What `kubecertd ca status -o json` prints. Fields are added to it, never renamed or removed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthoritiesView {
    api_version: &'static str,
    kind: &'static str,
    authorities: Vec<AuthorityView>,
}

/// What is known of one CA besides what is on the disk.
#[derive(Debug)]
pub struct AuthorityKnown {
    /// Which.
    pub name: AuthorityId,
    /// What extending it would mean, or why it cannot be.
    pub extension: Result<Extension, ExtensionObstacle>,
    /// How kubecertd changed its certificate last.
    pub changed: Option<AuthorityChange>,
    /// Since when pods run, as far as that is known.
    pub running: Vec<(PodRef, Timestamp)>,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthorityView {
    name: AuthorityId,
    #[serde(serialize_with = "serialize_path")]
    path: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<CertificateView>,
    extendable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    obstacle: Option<Coded>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Timestamp>,
    places: Vec<PlaceView>,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct CertificateView {
    subject: String,
    serial: String,
    #[serde(with = "serde_end")]
    not_after: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct PlaceView {
    #[serde(serialize_with = "serialize_path")]
    path: PathBuf,
    current: bool,
    certificates: Vec<CertificateView>,
    readers: Vec<ReaderView>,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct ReaderView {
    name: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    by: &'static str,
    at_start: bool,
    /// Since when it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// Whether it was started after the certificate was changed last; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_since_change: Option<bool>,
}

impl AuthoritiesView {
    /// Of these CAs.
    #[must_use]
    pub fn new(inventory: &Inventory, known: &[AuthorityKnown]) -> Self {
        Self {
            api_version: "kubecertd/v1alpha1",
            kind: "Authorities",
            authorities: known
                .iter()
                .filter_map(|one| AuthorityView::of(inventory, one))
                .collect(),
        }
    }

    /// For people.
    #[must_use]
    pub fn to_text(&self) -> String {
        if self.authorities.is_empty() {
            return "This node has no CA.\n".to_owned();
        }
        let texts: Vec<String> = self.authorities.iter().map(AuthorityView::text).collect();
        texts.join("\n")
    }
}

impl AuthorityView {
    fn of(inventory: &Inventory, known: &AuthorityKnown) -> Option<Self> {
        let authority = inventory.authority(known.name)?;
        let (present, places) = match &known.extension {
            Ok(extension) => (Some(&extension.present), extension.places.clone()),
            Err(_) => {
                let present = authority.certificate();
                let places = present.map(|present| authority_places(inventory, present));
                (present, places.unwrap_or_default())
            }
        };
        Some(Self {
            name: known.name,
            path: authority.certificate_path.clone(),
            certificate: present.map(CertificateView::of),
            extendable: known.extension.is_ok(),
            obstacle: known
                .extension
                .as_ref()
                .err()
                .map(|obstacle| Coded::of(obstacle.code(), obstacle)),
            changed: known.changed.as_ref().map(|change| change.finished),
            places: places
                .iter()
                .map(|place| PlaceView::of(place, present, known))
                .collect(),
        })
    }

    fn text(&self) -> String {
        let head = match &self.certificate {
            Some(certificate) => format!("{}: {certificate}", self.name),
            None => format!("{}: {}", self.name, self.path.display()),
        };
        let extended = match &self.obstacle {
            None => "it can be extended here".to_owned(),
            Some(obstacle) => format!("it cannot be extended here: {}", obstacle.message),
        };
        let mut text = format!("{}\n", printable(&format!("{head}; {extended}")));
        let mut rows = vec![["FILE", "CERTIFICATE", "READ BY"].map(str::to_owned)];
        for place in &self.places {
            let has = if place.current {
                "current".to_owned()
            } else {
                let all: Vec<String> = place.certificates.iter().map(ToString::to_string).collect();
                format!("older: {}", all.join("; "))
            };
            let mut first = [place.path.display().to_string(), has];
            let mut readers: Vec<String> = place.readers.iter().map(ToString::to_string).collect();
            if readers.is_empty() {
                readers.push(String::new());
            }
            for reader in readers {
                let [path, has] = std::mem::take(&mut first);
                rows.push([path, has, reader]);
            }
        }
        if rows.len() > 1 {
            text.push_str(&columns(&rows));
        }
        text
    }
}

impl std::fmt::Display for CertificateView {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            subject,
            serial,
            not_after,
        } = self;
        write!(
            out,
            "{subject}, until {}, serial {serial}",
            date(*not_after)
        )
    }
}

impl std::fmt::Display for ReaderView {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.name)?;
        match self.by {
            "" => {}
            // A word of its configuration, and not a flag.
            by if by.contains(|letter: char| letter.is_uppercase() || letter == '.') => {
                write!(out, " ({by})")?;
            }
            by => write!(out, " (--{by})")?,
        }
        if !self.at_start {
            return Ok(());
        }
        out.write_str(", only at its start")?;
        match (self.since, self.started_since_change) {
            (Some(since), Some(true)) => {
                write!(out, ", which was after the last change ({})", date(since))
            }
            (Some(since), Some(false)) => {
                write!(out, ", which was before the last change ({})", date(since))
            }
            (Some(since), None) => write!(out, ", which was {}", date(since)),
            (None, _) => Ok(()),
        }
    }
}

impl CertificateView {
    fn of(certificate: &Certificate) -> Self {
        Self {
            subject: certificate.subject.clone(),
            serial: certificate.serial.clone(),
            not_after: certificate.not_after,
        }
    }
}

impl PlaceView {
    fn of(place: &AuthorityPlace, present: Option<&Certificate>, known: &AuthorityKnown) -> Self {
        let readers = place.readers.iter().map(|reader| {
            let since = match &reader.when {
                Reading::AtStart(pod) => known
                    .running
                    .iter()
                    .find(|(running, _)| running == pod)
                    .map(|(_, since)| *since),
                Reading::Anew | Reading::AtKubeletsStart => None,
            };
            ReaderView {
                name: reader.name.clone(),
                by: reader.by,
                at_start: reader.when != Reading::Anew,
                since,
                started_since_change: since
                    .zip(known.changed.as_ref())
                    .map(|(since, change)| change.is_known_since(&reader.name, since)),
            }
        });
        Self {
            path: place.path.clone(),
            current: present.is_some_and(|present| place.holds_only(present)),
            certificates: place.certificates.iter().map(CertificateView::of).collect(),
            readers: readers.collect(),
        }
    }
}
