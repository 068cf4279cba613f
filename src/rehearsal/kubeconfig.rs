//! Kubeconfigs of the copy: the current context of the original with doubles, and nothing else of it. Other users' keys
//! and tokens stay where they are.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::host::Root;
use crate::node::{CertificateId, Credential, Entry, Kubeconfig};
use crate::pki::Catalogued;

/// Whether the entry's file is a kubeconfig that takes part.
pub(super) fn is_kubeconfig(entry: &Entry) -> bool {
    matches!(
        entry.id,
        CertificateId::Catalogued(Catalogued::Kubeconfig(_)) | CertificateId::KubeletConfig
    )
}

/// Whether it is one of the kubelet's own.
pub(super) fn is_kubelets(entry: &Entry) -> bool {
    matches!(
        entry.id,
        CertificateId::KubeletConfig
            | CertificateId::KubeletClient
            | CertificateId::KubeletServing(_)
    )
}

/// The real path of a file that a kubeconfig names: relative ones start at the kubeconfig.
pub(super) fn beside(root: &Root, kubeconfig: &Path, file: &Path) -> PathBuf {
    let directory = kubeconfig.parent().unwrap_or(kubeconfig);
    root.join(root.node_path(directory).join(file))
}

/// What is embedded in the copy's kubeconfig.
pub(super) struct Parts {
    certificate: Zeroizing<String>,
    key: Zeroizing<String>,
    trusted: Option<Zeroizing<String>>,
}

/// `None` for what could not be read, in whose place something stands that cannot either.
pub(super) fn parts(
    certificate: Option<Zeroizing<String>>,
    key: Option<Zeroizing<String>>,
    trusted: Option<Zeroizing<String>>,
) -> Parts {
    let or_damaged = |part: Option<Zeroizing<String>>| {
        part.unwrap_or_else(|| Zeroizing::new("damaged as the original\n".to_owned()))
    };
    Parts {
        certificate: or_damaged(certificate),
        key: or_damaged(key),
        trusted,
    }
}

/// The text, as JSON, which is YAML too.
pub(super) fn text(original: &Kubeconfig, parts: &Parts) -> Zeroizing<String> {
    let mut cluster = Map::new();
    cluster.insert("server".to_owned(), json!(original.server));
    if let Some(name) = &original.tls_server_name {
        cluster.insert("tls-server-name".to_owned(), json!(name));
    }
    if let Some(trusted) = &parts.trusted {
        cluster.insert("certificate-authority-data".to_owned(), encoded(trusted));
    }
    if let Some(file) = &original.certificate_authority_file {
        cluster.insert("certificate-authority".to_owned(), path(file));
    }
    let mut user = Map::new();
    for (name, credential, part) in [
        (
            "client-certificate",
            &original.certificate,
            &parts.certificate,
        ),
        ("client-key", &original.key, &parts.key),
    ] {
        match credential {
            Credential::Embedded(_) => user.insert(format!("{name}-data"), encoded(part)),
            Credential::File(file) => user.insert(name.to_owned(), path(file)),
        };
    }
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": original.context,
        "contexts": [{
            "name": original.context,
            "context": { "cluster": original.cluster, "user": original.user },
        }],
        "clusters": [{ "name": original.cluster, "cluster": cluster }],
        "users": [{ "name": original.user, "user": user }],
    });
    Zeroizing::new(format!("{kubeconfig:#}\n"))
}

fn encoded(pem: &str) -> Value {
    Value::String(STANDARD.encode(pem))
}

fn path(file: &Path) -> Value {
    Value::String(file.to_string_lossy().into_owned())
}
