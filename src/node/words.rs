//! Problems in an administrator's words.

use std::fmt;
use std::path::PathBuf;

use super::problem::{Block, Document, Fault, NamedBy, Problem};

const RESTORE: &str = "restore it from a backup";

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.path.display(), self.fault)
    }
}

/// A sentence without the path.
impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotBeRead { reason }
            | Self::UnsupportedKey { reason }
            | Self::NotOwn { reason }
            | Self::NotDelivered { reason }
            | Self::NoAnswer { reason }
            | Self::OrderDamaged { reason }
            | Self::NotEditable { reason } => out.write_str(reason),
            Self::PermissionDenied => out.write_str("permission denied; run as root"),
            Self::LinkLoop => out.write_str(
                "is a loop of symbolic links; remove the loop or restore the file",
            ),
            Self::FileInPath => out
                .write_str("cannot be reached, a part of its path is a file and not a directory"),
            Self::LinkLeadsNowhere { target, directory } => {
                if let Some(directory) = directory {
                    write!(out, "its directory {} is a ", directory.display())?;
                }
                write!(
                    out,
                    "symbolic link to {}, which does not exist; restore the target or replace the link",
                    target.display()
                )
            }
            Self::DoesNotExist { named_by } => write!(out, "does not exist{named_by}"),
            Self::Empty { kubeadm_makes_it: true } => write!(
                out,
                "is empty; {RESTORE}, or remove it and make it again with kubeadm"
            ),
            Self::Empty { kubeadm_makes_it: false } => write!(out, "is empty; {RESTORE}"),
            Self::NotText => write!(out, "is not text (binary data); {RESTORE}"),
            Self::Malformed { what, reason } => malformed(out, *what, reason),
            Self::KeyOfAuthority => out.write_str(
                "is the private key of an authority or of the service account, under this name or by a link, and is not \
                 read; put the right file here",
            ),
            Self::Der => out.write_str(
                "is a certificate in DER form, not PEM; convert it with `openssl x509 -inform DER`",
            ),
            Self::NoLineBreaks => write!(out, "is PEM without its line breaks; {RESTORE}"),
            Self::Truncated { what } => {
                write!(out, "is truncated, the end of the {what} is missing; {RESTORE}")
            }
            Self::BinaryData { what } => {
                write!(out, "holds binary data and no PEM {what}; {RESTORE}")
            }
            Self::OtherContent { wanted, label: Some(label) } => write!(
                out,
                "holds a PEM block {label} where {} should be; another file was put in its place",
                match wanted {
                    Block::Certificate => "CERTIFICATE",
                    Block::PrivateKey => "a private key",
                }
            ),
            Self::OtherContent { wanted, label: None } => write!(
                out,
                "holds no PEM block {}; {RESTORE}",
                match wanted {
                    Block::Certificate => "CERTIFICATE",
                    Block::PrivateKey => "with a private key",
                }
            ),
            Self::Undecodable { reason } => out.write_str(reason),
            Self::TooManyCertificates { most } => write!(
                out,
                "holds more than {most} certificates, which no file of this kind does"
            ),
            Self::TooMuchText { most } => write!(
                out,
                "holds more than {most} MiB where a certificate should be; {RESTORE}"
            ),
            Self::CertificatesNotLookedAt { seen } => write!(
                out,
                "holds more than the {seen} certificates that were looked at; split the file"
            ),
            Self::NotAuthority { subject } => write!(
                out,
                "is no CA certificate but one for {subject} (basicConstraints say CA:FALSE or nothing); \
                 restore the CA's from a backup"
            ),
            Self::AuthorityInPlace => {
                write!(out, "holds a CA's certificate where a leaf should be; {RESTORE}")
            }
            Self::SaysAuthority => out.write_str(
                "says that it is a CA's certificate (CA:TRUE), and its key is not beside it; restore both from a backup",
            ),
            Self::KeyMissing => out.write_str(
                "the key is missing, so nothing can use the certificate; renewing makes both anew",
            ),
            Self::KeyMismatched => out.write_str(
                "the key does not belong to the certificate; restore both from one backup, or renew",
            ),
            Self::InField { field, fault } => write!(out, "{field} {fault}"),
            Self::Setting { key, value, wanted, assumed } => {
                write!(out, "{key} {value:?} is not {wanted}")?;
                match assumed {
                    Some(assumed) => write!(out, "; {assumed} is assumed"),
                    None => Ok(()),
                }
            }
            Self::NamesNotLookedAt { seen } => write!(
                out,
                "has more than {seen} entries, and only as many were looked at; move what is not in use elsewhere"
            ),
            Self::TooDeep { most: Some(most) } => write!(
                out,
                "was not entered, as it lies more than {most} directories below the certificates; move it elsewhere if \
                 nothing in it is in use"
            ),
            Self::TooDeep { most: None } => {
                out.write_str("is too deep below --config-dir to be read")
            }
            Self::FilesNotRead { left, most: [files, mib, all_files, all_mib] } => write!(
                out,
                "{left} of its files that may be certificates were not read: at most {files} files and {mib} MiB of a \
                 directory are, {all_files} files and {all_mib} MiB in all; move what is not in use elsewhere"
            ),
            Self::FilesElsewhereNotRead { left, directories } => write!(
                out,
                "{left} files in {directories} further directories were not read either"
            ),
            Self::DirectoriesNotEntered { left, most } => write!(
                out,
                "{left} of the directories below it were not entered: at most {most} are; move what is not in use elsewhere"
            ),
            Self::TooManyMatches { most } => write!(
                out,
                "matches more than {most} files, and only the first by name were looked at; write a narrower pattern"
            ),
            Self::DropInNotRead { most } => {
                write!(out, "was not read: --config-dir holds more than {most} files")
            }
            Self::ManifestNotRead { most } => write!(
                out,
                "was not read, as the manifests before it already hold {most} MiB; move what is no pod elsewhere"
            ),
            Self::NoManifestDirectory => {
                out.write_str("the manifest directory does not exist, so no static pod is known")
            }
            Self::ManifestDirectoryIsFile => out.write_str(
                "is a file where kubecertd needs the kubelet's manifest directory; point staticPodPath to a directory",
            ),
            Self::SeveralManifests { pod, manifests, runs } => write!(
                out,
                "{} manifests for the one pod {pod}: {}; the kubelet runs only {}, move the others elsewhere",
                manifests.len(),
                joined(manifests),
                runs.display()
            ),
        }
    }
}

/// What follows "does not exist".
impl fmt::Display for NamedBy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsaid => Ok(()),
            Self::Flag(flag) => write!(
                out,
                ", but {flag} names it; {RESTORE}, or correct the manifest"
            ),
            Self::Configuration(table) => write!(
                out,
                ", but [certificate.{table}] names it; correct the path there, or put the file in place"
            ),
            Self::ConfigurationAsKey(table) => write!(
                out,
                ", but [certificate.{table}] names it as ca-key; correct the path there, put the key in place, or leave ca-key out \
                 if the key of that CA is elsewhere"
            ),
            Self::KubeletUnit => out.write_str(
                ", but the kubelet's unit names it; the kubelet does not start without it",
            ),
            Self::Kubeconfig(path) => {
                write!(out, ", but {} refers to it; {RESTORE}", path.display())
            }
            Self::KubeconfigAuthority(path) => write!(
                out,
                ", but {} refers to it as certificate-authority",
                path.display()
            ),
        }
    }
}

fn malformed(out: &mut fmt::Formatter<'_>, what: Document, reason: &str) -> fmt::Result {
    match what {
        Document::Kubeconfig | Document::PublicKey => out.write_str(reason),
        Document::KubeletConfiguration => write!(out, "is not a kubelet configuration: {reason}"),
        Document::Manifest => write!(
            out,
            "{reason}; the kubelet tries to run every file of this directory as a pod, so move it elsewhere or repair it"
        ),
    }
}

fn joined(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    names.join(" and ")
}
