//! The private copy: every file that matters, at the same place below another root, with doubles of all certificates and
//! new keys. No private key of the node is in it, nor anything else of a kubeconfig that opens a door.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::doubles::Doubles;
use super::kubeconfig::{parts, text};
use crate::node::{
    Authority, AuthorityState, CertificateState, Entry, Inventory, KeyState, Kubeconfig, Present,
};
use crate::operation::Context;
use crate::pki::{
    AuthorityName, Certificate, IssueError, KeyAlgorithm, PrivateKey, certificates_from_pem,
    certificates_to_pem,
};
use crate::root::Root;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A file could not be written.
    #[error("{}: could not be made for the rehearsal: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A throw-away key or certificate could not be made.
    #[error("the copy has no certificates: {0}")]
    Double(#[from] IssueError),
}

/// The flags of static pods that name files of trusted authorities.
const TRUST_FLAGS: [&str; 8] = [
    "client-ca-file",
    "requestheader-client-ca-file",
    "etcd-cafile",
    "kubelet-certificate-authority",
    "root-ca-file",
    "cluster-signing-cert-file",
    "trusted-ca-file",
    "peer-trusted-ca-file",
];

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

/// What can be told apart of every file whose change would be a change of the node: nothing of a file is read for it.
#[must_use]
pub(super) fn states(root: &Root, inventory: &Inventory) -> BTreeMap<PathBuf, [i64; 6]> {
    let mut paths: Vec<&Path> = Vec::new();
    for entry in &inventory.entries {
        paths.extend([entry.path.as_path(), entry.certificate_path.as_path()]);
        paths.extend(entry.key_path.as_deref());
    }
    for authority in &inventory.authorities {
        paths.extend([
            authority.certificate_path.as_path(),
            authority.key_path.as_path(),
        ]);
    }
    let service_account = &inventory.service_account;
    paths.extend([
        service_account.key_path.as_path(),
        service_account.public_key_path.as_path(),
    ]);
    paths.extend(inventory.static_pods.iter().map(|pod| pod.path.as_path()));
    paths
        .into_iter()
        .filter_map(|path| {
            let file = fs::symlink_metadata(root.resolve(path).ok()?).ok()?;
            let state = [
                i64::try_from(file.ino()).unwrap_or_default(),
                i64::try_from(file.size()).unwrap_or_default(),
                file.mtime(),
                file.mtime_nsec(),
                file.ctime(),
                file.ctime_nsec(),
            ];
            Some((path.to_path_buf(), state))
        })
        .collect()
}

/// What is read of the node besides its inventory.
struct Sources {
    /// By path: those of entries; `None` where one cannot be read.
    kubeconfigs: BTreeMap<PathBuf, Option<Kubeconfig>>,
    /// Files of trusted authorities, by path.
    bundles: BTreeMap<PathBuf, Vec<Certificate>>,
    entries: Vec<Certificate>,
}

impl Sources {
    fn of(root: &Root, inventory: &Inventory) -> Self {
        let mut kubeconfigs = BTreeMap::new();
        let mut trusted: Vec<PathBuf> = inventory.kubelet.client_ca_file.iter().cloned().collect();
        let mut certificates = Vec::new();
        for entry in inventory.entries.iter().filter(|entry| is_copied(entry)) {
            if let Some(present) = entry.present() {
                certificates.extend(
                    std::iter::once(&present.leaf)
                        .chain(&present.chain)
                        .cloned(),
                );
            }
            if !super::kubeconfig::is_kubeconfig(entry) {
                continue;
            }
            let kubeconfig = read(root, &entry.path)
                .and_then(|bytes| Kubeconfig::parse(std::str::from_utf8(&bytes).ok()?).ok());
            if let Some(kubeconfig) = &kubeconfig {
                if let Some(file) = &kubeconfig.certificate_authority_file {
                    trusted.push(super::kubeconfig::beside(root, &entry.path, file));
                }
                let embedded = kubeconfig.certificate_authority.as_deref();
                certificates.extend(embedded.map(parsed).unwrap_or_default());
            }
            kubeconfigs.insert(entry.path.clone(), kubeconfig);
        }
        for authority in &inventory.authorities {
            certificates.extend(authority.certificates().unwrap_or_default().iter().cloned());
        }
        for pod in &inventory.static_pods {
            trusted.extend(TRUST_FLAGS.iter().filter_map(|flag| pod.file_flag(flag)));
        }
        let bundles = trusted
            .into_iter()
            .filter_map(|path| {
                let found = parsed(&read(root, &path)?);
                (!found.is_empty()).then_some((path, found))
            })
            .collect();
        Self {
            kubeconfigs,
            bundles,
            entries: certificates,
        }
    }

    fn certificates(&self) -> Vec<Certificate> {
        let bundled = self.bundles.values().flatten();
        self.entries.iter().chain(bundled).cloned().collect()
    }
}

/// What nobody renews and nobody asks is not needed.
fn is_copied(entry: &Entry) -> bool {
    entry.is_catalogued() || super::kubeconfig::is_kubelets(entry)
}

fn parsed(pem: &[u8]) -> Vec<Certificate> {
    certificates_from_pem(pem).unwrap_or_default()
}

fn read(root: &Root, path: &Path) -> Option<Zeroizing<Vec<u8>>> {
    root.read(path).ok().map(Zeroizing::new)
}

/// Authorities whose keys cannot sign, and why: what stands for such a key would be told of in other words.
pub(super) type Broken = Vec<(AuthorityName, String)>;

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
                    let key = match key {
                        KeyState::Unread => self.signing_key(authority, certificates, broken)?,
                        other => self.key(other, signing.first())?,
                    };
                    if let Some(key) = key {
                        self.put(&authority.key_path, key, None)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What stands for an authority's key, which is looked at here as a renewal would, and not kept.
    fn signing_key(
        &self,
        authority: &Authority,
        certificates: &[Certificate],
        broken: &mut Broken,
    ) -> Result<Option<Content>, CopyError> {
        let mut is_broken = |reason: &dyn std::fmt::Display| {
            let reason = format!("{}: {reason}", authority.key_path.display());
            broken.push((authority.name, reason));
        };
        let text = match self.from.read(&authority.key_path).map(Zeroizing::new) {
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
            KeyState::OutOfReach(_) => Some(Content::Unreadable),
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

    /// Writes a file where the original really lies, and a link to it where that is elsewhere. What is there already, for
    /// another certificate, stays.
    fn put(
        &self,
        path: &Path,
        content: Content,
        modified: Option<Timestamp>,
    ) -> Result<(), CopyError> {
        let real = self
            .from
            .resolve(path)
            .unwrap_or_else(|_| path.to_path_buf());
        let target = self.to.join(self.from.node_path(&real));
        let link = self.to.join(self.from.node_path(path));
        let written = || -> io::Result<()> {
            if target.symlink_metadata().is_err() {
                write_private(&target, &content, modified)?;
            }
            if link != target && link.symlink_metadata().is_err() {
                make_directory_of(&link)?;
                symlink(self.relative(&link, &target), &link)?;
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
