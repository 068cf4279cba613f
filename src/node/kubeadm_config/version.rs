//! Versions of kubeadm's configuration.

/// The versions that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// Extra arguments are a mapping; no validity and no algorithm of keys.
    V1Beta3,
    /// v1beta4, and v1 which has the same fields.
    Newer,
}

const GROUP: &str = "kubeadm.k8s.io/";

/// The version of a document of kubeadm's; `None` for one of another group.
pub(super) fn version(api_version: &str) -> Result<Option<Version>, String> {
    let Some(version) = api_version.strip_prefix(GROUP) else {
        return Ok(None);
    };
    match version {
        "v1beta3" => Ok(Some(Version::V1Beta3)),
        "v1beta4" | "v1" => Ok(Some(Version::Newer)),
        "v1alpha1" | "v1alpha2" | "v1alpha3" | "v1beta1" | "v1beta2" => Err(format!(
            "apiVersion {api_version} is too old; write {GROUP}v1beta4, into which a kubeadm of its own time translates the file \
             (kubeadm config migrate)"
        )),
        _ => Err(format!(
            "apiVersion {api_version:?} is not known; write {GROUP}v1beta3, {GROUP}v1beta4 or {GROUP}v1"
        )),
    }
}
