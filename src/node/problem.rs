//! What is wrong with a file of the node.

use std::path::{Path, PathBuf};

use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// Something that could not be read or makes no sense, with the file and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Problem {
    /// The file or directory.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

impl Problem {
    /// A file or directory, and what is wrong with it.
    #[must_use]
    pub fn new(path: impl AsRef<Path>, fault: Fault) -> Self {
        Self {
            path: path.as_ref().to_path_buf(),
            fault,
        }
    }

    /// The kind, which never changes its meaning.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.fault.code()
    }
}

/// `{"path": …, "code": …, "reason": …}`
impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("path", &self.path.to_string_lossy())?;
        map.serialize_entry("code", self.code())?;
        map.serialize_entry("reason", &self.fault.to_string())?;
        map.end()
    }
}

/// What can be wrong with a file or directory. `docs/codes.md` lists the codes; `words.rs` has the sentences, which end in what
/// can be done where that is known.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Fault {
    /// The system refuses to read it, or it is no regular file, or too large.
    CannotBeRead {
        /// What the system says.
        reason: String,
    },
    /// This process may not read it.
    PermissionDenied,
    /// Links that lead to each other.
    LinkLoop,
    /// A part of its path is a file.
    FileInPath,
    /// A link leads to nothing.
    LinkLeadsNowhere {
        /// Where it leads, as the node sees it.
        target: PathBuf,
        /// The link, where it is a directory on the way and not the file itself.
        directory: Option<PathBuf>,
    },
    /// There is no such file, though something needs it.
    DoesNotExist {
        /// What names it.
        named_by: NamedBy,
    },
    /// Nothing is in it.
    Empty {
        /// Whether kubeadm can make it again.
        kubeadm_makes_it: bool,
    },
    /// It holds what is no text.
    NotText,
    /// The text is not what it should be.
    Malformed {
        /// What it should be.
        what: Document,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// The private key of an authority or of the service account, which is opened only to sign.
    KeyOfAuthority,
    /// A certificate in binary form where PEM belongs.
    Der,
    /// PEM on one line.
    NoLineBreaks,
    /// The end of the PEM block is missing.
    Truncated {
        /// `certificate` or `key`
        what: &'static str,
    },
    /// Binary data where PEM belongs.
    BinaryData {
        /// `certificate` or `key`
        what: &'static str,
    },
    /// PEM of another kind, or none.
    OtherContent {
        /// What belongs there.
        wanted: Block,
        /// The label of the block that is there instead.
        label: Option<String>,
    },
    /// A certificate or key that cannot be decoded.
    Undecodable {
        /// What is wrong with it.
        reason: String,
    },
    /// A key of a kind that is not supported.
    UnsupportedKey {
        /// Its kind, and which are supported.
        reason: String,
    },
    /// More certificates than belong there.
    TooManyCertificates {
        /// How many may be there.
        most: usize,
    },
    /// More text than belongs there.
    TooMuchText {
        /// MiB that may be there.
        most: usize,
    },
    /// More certificates than were looked at.
    CertificatesNotLookedAt {
        /// How many were looked at.
        seen: usize,
    },
    /// A leaf's certificate where a CA's belongs.
    NotAuthority {
        /// Whose it is.
        subject: String,
    },
    /// A CA's certificate where a leaf belongs.
    AuthorityInPlace,
    /// It says that it is a CA's certificate, and its key is not beside it.
    SaysAuthority,
    /// The key is missing.
    KeyMissing,
    /// The key is another's.
    KeyMismatched,
    /// Something is wrong with what a field of a kubeconfig holds.
    InField {
        /// `users[NAME].client-key-data`
        field: String,
        /// What is wrong with it.
        fault: Box<Self>,
    },
    /// A setting of the kubelet that has no meaning.
    Setting {
        /// Its key.
        key: &'static str,
        /// What is written.
        value: String,
        /// What it should be.
        wanted: &'static str,
        /// What is assumed instead, where something is.
        assumed: Option<String>,
    },
    /// More names in a directory than were looked at.
    NamesNotLookedAt {
        /// How many were looked at.
        seen: usize,
    },
    /// It lies too deep to be entered or read.
    TooDeep {
        /// How many directories below the certificates are entered; `None` for the kubelet's drop-ins.
        most: Option<usize>,
    },
    /// Files that may be certificates were left out, as there are too many.
    FilesNotRead {
        /// How many.
        left: usize,
        /// How many files and MiB of a directory are read, and of all.
        most: [u64; 4],
    },
    /// The same in further directories.
    FilesElsewhereNotRead {
        /// How many.
        left: usize,
        /// In how many directories.
        directories: usize,
    },
    /// Directories were left out, as there are too many.
    DirectoriesNotEntered {
        /// How many.
        left: usize,
        /// How many are entered.
        most: usize,
    },
    /// A pattern of the configuration matches too many files.
    TooManyMatches {
        /// How many are looked at.
        most: usize,
    },
    /// The kubelet's drop-ins are too many.
    DropInNotRead {
        /// How many are read.
        most: usize,
    },
    /// The manifests are too large together.
    ManifestNotRead {
        /// MiB that are read.
        most: u64,
    },
    /// The directory of manifests is missing.
    NoManifestDirectory,
    /// A file is where the directory of manifests belongs.
    ManifestDirectoryIsFile,
    /// One pod has several manifests.
    SeveralManifests {
        /// `namespace/name`
        pod: String,
        /// The manifests, as the node sees them.
        manifests: Vec<PathBuf>,
        /// The one that the kubelet runs.
        runs: PathBuf,
    },
    /// Nothing is written there for this certificate.
    NotOwn {
        /// Why, and what to do.
        reason: String,
    },
    /// The inbox, or a file in it, is not read.
    NotDelivered {
        /// Why, and what to do.
        reason: String,
    },
    /// A file in the inbox is no answer to an open request.
    NoAnswer {
        /// What it is, and what to do.
        reason: String,
    },
    /// What is kept of a request cannot be read.
    OrderDamaged {
        /// Why, and what to do.
        reason: String,
    },
    /// New credentials cannot be put into the kubeconfig in place.
    NotEditable {
        /// The construct and its line.
        reason: String,
    },
}

/// What names a file that is missing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NamedBy {
    /// Somebody who says so elsewhere.
    Unsaid,
    /// A flag of a pod, in words.
    Flag(String),
    /// The configuration: the name of a `[certificate.NAME]`.
    Configuration(String),
    /// The same, as the key of a CA.
    ConfigurationAsKey(String),
    /// The unit of the kubelet.
    KubeletUnit,
    /// A kubeconfig, as the node sees it: its user's certificate or key.
    Kubeconfig(PathBuf),
    /// A kubeconfig, as the node sees it: the CA that it trusts.
    KubeconfigAuthority(PathBuf),
}

/// Texts that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Document {
    /// A kubeconfig.
    Kubeconfig,
    /// A static pod's manifest.
    Manifest,
    /// The kubelet's configuration.
    KubeletConfiguration,
    /// A public key of the service account.
    PublicKey,
}

/// Blocks of PEM that are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Block {
    /// A certificate.
    Certificate,
    /// A private key.
    PrivateKey,
}

impl Fault {
    /// The kind, which never changes its meaning; that of what is in a field, where it is about one.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InField { fault, .. } => fault.code(),
            other => other.into(),
        }
    }

    /// What a field of a kubeconfig holds.
    #[must_use]
    pub fn in_field(self, field: String) -> Self {
        Self::InField {
            field,
            fault: Box::new(self),
        }
    }
}
