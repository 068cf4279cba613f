//! The private copy: every file that matters, at the same place below another root, with doubles of all certificates and
//! new keys. No private key of the node is in it, nor anything else of a kubeconfig that opens a door.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::doubles::Doubles;
use super::kubeconfig::{parts, text};
use super::sources::{Sources, is_copied, parsed, read};
use crate::host::Root;
use crate::node::{
    AuthorityState, CertificateState, Entry, Inventory, KeyState, Kubeconfig, Present,
};
use crate::operation::Context;
use crate::pki::{
    AuthorityId, Certificate, IssueError, KeyAlgorithm, PrivateKey, certificates_to_pem,
};

/// Why there is no copy.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum CopyError {
    /// A file could not be written.
    #[error("{}: could not be made for the rehearsal: {source}", path.display())]
    #[strum(serialize = "copy-not-written")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A throw-away key or certificate could not be made.
    #[error("the copy has no certificates: {0}")]
    #[strum(serialize = "copy-not-signed")]
    Double(#[from] IssueError),
}

impl CopyError {
    /// Its code, which never changes; `docs/codes.md` lists the codes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// Makes the copy of the node below `to`, private to the owner. Returns the authorities whose keys cannot sign.
///
/// # Errors
/// [`CopyError`].
pub(super) fn copy_node(
    context: &Context,
    inventory: &Inventory,
    to: &Root,
) -> Result<Broken, CopyError> {
    let mut broken = Broken::new();
    let sources = Sources::of(&context.root, inventory);
    let copy = Copy {
        from: &context.root,
        to,
        inventory,
        doubles: Doubles::of(&sources.certificates())?,
    };
    copy.authorities(&mut broken)?;
    copy.service_account()?;
    for entry in &inventory.entries {
        if let Some(kubeconfig) = sources.kubeconfigs.get(&entry.path) {
            copy.kubeconfig(entry, kubeconfig)?;
        }
        copy.certificate(entry, sources.kubeconfigs.contains_key(&entry.path))?;
    }
    for (path, certificates) in &sources.bundles {
        copy.put(path, Content::Text(copy.pem(certificates)), None)?;
    }
    copy.as_they_are(context)?;
    Ok(broken)
}

/// Authorities whose keys cannot sign, and why: what stands for such a key would be told of in other words.
pub(super) type Broken = Vec<(AuthorityId, String)>;

/// What stands in the place of a key that is none.
const DAMAGED: &str = "damaged as the original\n";

/// What is put in the place of a file.
enum Content {
    /// This.
    Text(Zeroizing<String>),
    /// Something that cannot be read, as the original.
    Unreadable,
}

impl Content {
    fn text(text: impl Into<String>) -> Self {
        Self::Text(Zeroizing::new(text.into()))
    }
}

struct Copy<'a> {
    from: &'a Root,
    to: &'a Root,
    inventory: &'a Inventory,
    doubles: Doubles,
}

impl Copy<'_> {
    fn authorities(&self, broken: &mut Broken) -> Result<(), CopyError> {
        for authority in &self.inventory.authorities {
            match &authority.state {
                AuthorityState::Missing => {}
                AuthorityState::Unreadable(_) => {
                    self.put(&authority.certificate_path, Content::Unreadable, None)?;
                }
                AuthorityState::Present {
                    certificates,
                    key,
                    signing,
                } => {
                    let bundle = Content::Text(self.pem(certificates));
                    self.put(&authority.certificate_path, bundle, None)?;
                    let Some(path) = &authority.key_path else {
                        continue;
                    };
                    let key = match key {
                        KeyState::Unread => {
                            self.signing_key((authority.name, path), certificates, broken)?
                        }
                        other => self.key(other, signing.first())?,
                    };
                    if let Some(key) = key {
                        self.put(path, key, None)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What stands for an authority's key, which is looked at here as a renewal would, and not kept.
    fn signing_key(
        &self,
        (authority, path): (AuthorityId, &Path),
        certificates: &[Certificate],
        broken: &mut Broken,
    ) -> Result<Option<Content>, CopyError> {
        let mut is_broken = |reason: &dyn std::fmt::Display| {
            let reason = format!("{}: {reason}", path.display());
            broken.push((authority, reason));
        };
        let text = match self.from.read(path).map(Zeroizing::new) {
            Ok(text) => text,
            Err(error) => {
                is_broken(&error);
                return Ok(Some(Content::Unreadable));
            }
        };
        let state = match PrivateKey::from_pem(&text) {
            Err(error) => {
                is_broken(&error);
                return Ok(Some(Content::text(DAMAGED)));
            }
            Ok(key) => certificates.iter().find(|one| key.matches(one)),
        };
        match state {
            Some(certificate) => self.key(&KeyState::Unread, Some(certificate)),
            None => self.key(&KeyState::Mismatched, None),
        }
    }

    /// A pair that has nothing to do with the node's.
    fn service_account(&self) -> Result<(), CopyError> {
        let paths = &self.inventory.service_account;
        if matches!(paths.key, KeyState::Missing | KeyState::OutOfReach(_)) {
            return Ok(());
        }
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).map_err(IssueError::from)?;
        self.put(&paths.key_path, Content::Text(pem_of(&key)?), None)?;
        if !paths.public_key_present {
            return Ok(());
        }
        let public = pem::encode(&pem::Pem::new("PUBLIC KEY", key.public_key_der()));
        self.put(&paths.public_key_path, Content::text(public), None)
    }

    fn kubeconfig(&self, entry: &Entry, kubeconfig: &Option<Kubeconfig>) -> Result<(), CopyError> {
        let Some(kubeconfig) = kubeconfig else {
            return match entry.state {
                CertificateState::Missing => Ok(()),
                CertificateState::Unreadable(_) | CertificateState::Present(_) => {
                    self.put(&entry.path, Content::Unreadable, None)
                }
            };
        };
        let present = entry.present();
        let key = match present {
            Some(present) => self.key(&present.key, Some(&present.leaf))?,
            None => None,
        };
        let trusted = kubeconfig
            .certificate_authority
            .as_ref()
            .map(|pem| self.pem(&parsed(pem)));
        let contents = text(
            kubeconfig,
            &parts(
                present.map(|present| self.chain(present)),
                match key {
                    Some(Content::Text(key)) => Some(key),
                    Some(Content::Unreadable) | None => None,
                },
                trusted,
            ),
        );
        let modified = present.and_then(|present| present.modified);
        self.put(&entry.path, Content::Text(contents), modified)
    }

    /// The files of a certificate and its key; not the kubeconfig around them.
    fn certificate(&self, entry: &Entry, in_kubeconfig: bool) -> Result<(), CopyError> {
        if !is_copied(entry) {
            return Ok(());
        }
        let is_own_file = |path: &Path| !in_kubeconfig || path != entry.path;
        let own_key = entry.key_path.as_deref().filter(|path| is_own_file(path));
        let present = match &entry.state {
            CertificateState::Present(present) => present,
            CertificateState::Unreadable(_) if is_own_file(&entry.certificate_path) => {
                return self.put(&entry.certificate_path, Content::Unreadable, None);
            }
            CertificateState::Unreadable(_) | CertificateState::Missing => return Ok(()),
        };
        let key = self.key(&present.key, Some(&present.leaf))?;
        if let Some(path) = own_key
            && path != entry.certificate_path
            && let Some(key) = key
        {
            self.put(path, key, None)?;
        } else if own_key.is_some_and(|path| path == entry.certificate_path) {
            // As the kubelet's own: one file holds both.
            let key = match key {
                Some(Content::Text(key)) => key,
                Some(Content::Unreadable) | None => Zeroizing::default(),
            };
            let both = Zeroizing::new([self.chain(present).as_str(), key.as_str()].concat());
            return self.put(
                &entry.certificate_path,
                Content::Text(both),
                present.modified,
            );
        }
        if is_own_file(&entry.certificate_path) {
            let chain = Content::Text(self.chain(present));
            self.put(&entry.certificate_path, chain, present.modified)?;
        }
        Ok(())
    }

    /// What holds no secret and has no double: manifests and the kubelet's settings.
    fn as_they_are(&self, context: &Context) -> Result<(), CopyError> {
        let configuration = self
            .from
            .join(&context.config.locations.kubelet_configuration);
        let mut paths: Vec<PathBuf> = ["instance-config.yaml", "kubeadm-flags.env"]
            .iter()
            .filter_map(|name| Some(configuration.parent()?.join(name)))
            .collect();
        paths.push(configuration);
        paths.extend(
            [
                "/etc/default/kubelet",
                "/etc/sysconfig/kubelet",
                "/etc/hostname",
            ]
            .map(|path| self.from.join(path)),
        );
        paths.extend(
            self.inventory
                .static_pods
                .iter()
                .map(|pod| pod.path.clone()),
        );
        for path in paths {
            let text = read(self.from, &path)
                .and_then(|bytes| std::str::from_utf8(&bytes).map(str::to_owned).ok());
            if let Some(text) = text {
                self.put(&path, Content::text(text), None)?;
            }
        }
        Ok(())
    }

    fn pem(&self, certificates: &[Certificate]) -> Zeroizing<String> {
        let doubles = certificates
            .iter()
            .filter_map(|certificate| self.doubles.certificate(certificate));
        Zeroizing::new(certificates_to_pem(doubles))
    }

    fn chain(&self, present: &Present) -> Zeroizing<String> {
        let all: Vec<Certificate> = std::iter::once(&present.leaf)
            .chain(&present.chain)
            .cloned()
            .collect();
        self.pem(&all)
    }

    /// What stands for a key that was found in that state; nothing for none.
    fn key(
        &self,
        found: &KeyState,
        certificate: Option<&Certificate>,
    ) -> Result<Option<Content>, CopyError> {
        Ok(match found {
            KeyState::Missing => None,
            KeyState::OutOfReach(_) | KeyState::NotOwn(_) => Some(Content::Unreadable),
            KeyState::Damaged(_) => Some(Content::text(DAMAGED)),
            KeyState::Mismatched => {
                let other =
                    PrivateKey::generate(KeyAlgorithm::EcdsaP256).map_err(IssueError::from)?;
                Some(Content::Text(pem_of(&other)?))
            }
            KeyState::Matching(_) | KeyState::Unread | KeyState::Unsupported(_) => {
                let key = certificate.and_then(|certificate| self.doubles.key(certificate));
                key.map(|key| pem_of(key).map(Content::Text)).transpose()?
            }
        })
    }

    /// Where `target` lies, seen from beside `link`: an absolute link would lead out of the copy whoever follows it without
    /// minding the copy's root.
    fn relative(&self, link: &Path, target: &Path) -> PathBuf {
        let below = |path: &Path| self.to.node_path(path);
        let depth = below(link).components().count().saturating_sub(2);
        let up: PathBuf = std::iter::repeat_n("..", depth).collect();
        up.join(below(target).strip_prefix("/").unwrap_or(target))
    }

    /// Where the original really lies, and the links that lead there.
    fn way(&self, path: &Path, content: &Content) -> io::Result<(PathBuf, Vec<PathBuf>)> {
        let (way, name) = match (content, path.parent(), path.file_name()) {
            // What a link in its place leads to may well be another's.
            (Content::Unreadable, Some(directory), Some(name)) => {
                (self.from.way(directory)?, Some(name))
            }
            _ => (self.from.way(path)?, None),
        };
        let real = name.map_or_else(|| way.real.clone(), |name| way.real.join(name));
        Ok((real, way.links.into_iter().map(|link| link.path).collect()))
    }

    /// Writes a file where the original really lies, and the same links on the way to it. What is there already, for another
    /// certificate, stays.
    fn put(
        &self,
        path: &Path,
        content: Content,
        modified: Option<Timestamp>,
    ) -> Result<(), CopyError> {
        let (real, links) = self
            .way(path, &content)
            .unwrap_or_else(|_| (path.to_path_buf(), Vec::new()));
        let target = self.to.join(self.from.node_path(&real));
        let written = || -> io::Result<()> {
            if target.symlink_metadata().is_err() {
                write_private(&target, &content, modified)?;
            }
            for link in &links {
                let leads_to = self.from.resolve(link)?;
                let leads_to = self.to.join(self.from.node_path(&leads_to));
                let link = self.to.join(self.from.node_path(link));
                if link.symlink_metadata().is_err() {
                    make_directory_of(&link)?;
                    symlink(self.relative(&link, &leads_to), &link)?;
                }
            }
            Ok(())
        };
        written().map_err(|source| CopyError::File {
            path: target.clone(),
            source,
        })
    }
}

fn pem_of(key: &PrivateKey) -> Result<Zeroizing<String>, CopyError> {
    key.to_pem()
        .map_err(|error| CopyError::Double(error.into()))
}

fn make_directory_of(path: &Path) -> io::Result<()> {
    let Some(directory) = path.parent() else {
        return Ok(());
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

fn write_private(path: &Path, content: &Content, modified: Option<Timestamp>) -> io::Result<()> {
    make_directory_of(path)?;
    let Content::Text(text) = content else {
        // A directory cannot be read as a file, not even by root.
        return fs::DirBuilder::new().mode(0o700).create(path);
    };
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    modified.map_or(Ok(()), |moment| file.set_modified(moment.into()))
}
