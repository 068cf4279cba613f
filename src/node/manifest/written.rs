//! A Pod as it is written: the fields of concern, all optional, and what they mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::ManifestError;
use super::identity;
use super::paths::{LONGEST, extent, looks_like_a_file, normalized};
use super::pod::{Container, HttpProbe, StaticPod};
use crate::host::Root;
use crate::node::yaml;

/// The API's default for `terminationGracePeriodSeconds`.
const GRACE_SECONDS: u64 = 30;

/// A list in which, as in Go, null is an empty one.
type List<T> = Option<Vec<T>>;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pod {
    api_version: Option<String>,
    kind: Option<String>,
    metadata: Option<Metadata>,
    spec: Option<Spec>,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    labels: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    containers: List<WrittenContainer>,
    init_containers: List<WrittenContainer>,
    volumes: List<Volume>,
    termination_grace_period_seconds: Option<i64>,
    host_network: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenContainer {
    name: Option<String>,
    image: Option<String>,
    command: List<String>,
    args: List<String>,
    env: List<Variable>,
    ports: List<Port>,
    volume_mounts: List<Mount>,
    readiness_probe: Option<Probe>,
    liveness_probe: Option<Probe>,
}

#[derive(Debug, Deserialize)]
struct Variable {
    name: Option<String>,
    value: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    name: Option<String>,
    container_port: Option<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mount {
    name: Option<String>,
    mount_path: Option<String>,
    sub_path: Option<String>,
    sub_path_expr: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    http_get: Option<HttpGet>,
}

#[derive(Debug, Deserialize)]
struct HttpGet {
    host: Option<String>,
    port: Option<String>,
    path: Option<String>,
    scheme: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Volume {
    name: Option<String>,
    host_path: Option<HostPath>,
}

#[derive(Debug, Deserialize)]
struct HostPath {
    path: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

pub(super) fn static_pod(path: &Path, text: &str, root: &Root) -> Result<StaticPod, ManifestError> {
    let pod: Option<Pod> = if yaml::looks_like_json(text) {
        yaml::read_json(text).map_err(ManifestError::Json)?
    } else {
        yaml::read(text).map_err(ManifestError::Syntax)?
    };
    let Some(pod) = pod else {
        return Err(ManifestError::NotAPod(empty(text).to_owned()));
    };
    match (pod.kind.as_deref(), pod.api_version.as_deref()) {
        (Some("Pod"), Some("v1")) => {}
        (Some("Pod"), version) => {
            return Err(ManifestError::NotAPod(format!(
                "apiVersion is {:?} and not \"v1\"",
                version.unwrap_or_default()
            )));
        }
        (kind, _) => {
            return Err(ManifestError::NotAPod(format!(
                "kind is {:?} and not \"Pod\"",
                kind.unwrap_or_default()
            )));
        }
    }
    let metadata = pod.metadata.unwrap_or_default();
    let name = metadata.name.unwrap_or_default();
    if name.is_empty() {
        return Err(ManifestError::NotAPod(
            "metadata.name is not set".to_owned(),
        ));
    }
    let spec = pod.spec.unwrap_or_default();
    let volumes = Volumes::of(spec.volumes, root);
    let containers = |list: List<WrittenContainer>| -> Vec<Container> {
        list.into_iter()
            .flatten()
            .map(|written| written.into_container(&volumes.paths))
            .collect()
    };
    let mut pod = StaticPod {
        path: path.to_path_buf(),
        name,
        component: String::new(),
        role: None,
        namespace: metadata
            .namespace
            .filter(|namespace| !namespace.is_empty())
            .unwrap_or_else(|| "default".to_owned()),
        component_label: metadata
            .labels
            .and_then(|mut labels| labels.remove("component").flatten())
            .filter(|component| !component.is_empty()),
        uid: metadata.uid.filter(|uid| !uid.is_empty()),
        termination_grace_seconds: spec
            .termination_grace_period_seconds
            // A negative one means the shortest there is.
            .map_or(GRACE_SECONDS, |seconds| u64::try_from(seconds).unwrap_or(1)),
        host_network: spec.host_network.unwrap_or_default(),
        containers: containers(spec.containers),
        init_containers: containers(spec.init_containers),
        single_files: volumes.single_files,
        host_paths: volumes.paths,
    };
    pod.component = identity::component(&pod);
    pod.role = identity::program(&pod);
    check_extent(&pod)?;
    Ok(pod)
}

fn empty(text: &str) -> &'static str {
    if text.trim().is_empty() {
        "the file is empty"
    } else {
        "its first document is empty, and the kubelet reads no other"
    }
}

/// Files and mounts that a pod may have, and the bytes of their paths: thousands of times what any pod needs.
const MOST_FILES: usize = 50_000;
const MOST_BYTES: usize = 8 << 20;

/// Few lines can name many long paths: each flag stands for a file below a volume.
fn check_extent(pod: &StaticPod) -> Result<(), ManifestError> {
    let (mut files, mut bytes) = (0, 0);
    for container in pod.init_containers.iter().chain(&pod.containers) {
        let (own_files, own_bytes) = extent(container);
        files += own_files;
        bytes += own_bytes;
    }
    if files > MOST_FILES || bytes > MOST_BYTES {
        return Err(ManifestError::NotAPod(format!(
            "its flags and mounts name more than {MOST_FILES} files, or {} MiB of paths",
            MOST_BYTES >> 20
        )));
    }
    Ok(())
}

struct Volumes {
    paths: BTreeMap<String, PathBuf>,
    single_files: Vec<PathBuf>,
}

impl Volumes {
    fn of(written: List<Volume>, root: &Root) -> Self {
        let mut volumes = Self {
            paths: BTreeMap::new(),
            single_files: Vec::new(),
        };
        for volume in written.into_iter().flatten() {
            let Some(host_path) = volume.host_path else {
                continue;
            };
            let path = host_path.path.unwrap_or_default();
            // Nothing can be there.
            if path.len() > LONGEST {
                continue;
            }
            let real = root.join(path);
            let is_file = match host_path.kind.as_deref().unwrap_or_default() {
                "File" | "FileOrCreate" => true,
                "" => looks_like_a_file(&real),
                _ => false,
            };
            // Sockets and devices are neither files nor directories with files.
            if matches!(
                host_path.kind.as_deref(),
                Some("Socket" | "CharDevice" | "BlockDevice")
            ) {
                continue;
            }
            if is_file {
                volumes.single_files.push(real.clone());
            }
            volumes.paths.insert(volume.name.unwrap_or_default(), real);
        }
        volumes
    }
}

impl WrittenContainer {
    fn into_container(self, volumes: &BTreeMap<String, PathBuf>) -> Container {
        let ports: Vec<Port> = self.ports.unwrap_or_default();
        let probe = [self.readiness_probe, self.liveness_probe]
            .into_iter()
            .flatten()
            .find_map(|probe| probe.http_get)
            .map(|http_get| http_get.into_probe(&ports));
        Container {
            name: self.name.unwrap_or_default(),
            image: self.image.unwrap_or_default(),
            command: self
                .command
                .into_iter()
                .chain(self.args)
                .flatten()
                .collect(),
            environment: self
                .env
                .into_iter()
                .flatten()
                .filter_map(|variable| Some((variable.name?, variable.value?)))
                .collect(),
            mounts: self
                .volume_mounts
                .into_iter()
                .flatten()
                .filter_map(|mount| mount.resolved(volumes))
                .collect(),
            probe,
        }
    }
}

impl Mount {
    /// The path in the container and the real one; `None` for another kind of volume.
    fn resolved(self, volumes: &BTreeMap<String, PathBuf>) -> Option<(PathBuf, PathBuf)> {
        let volume = volumes.get(&self.name.unwrap_or_default())?;
        let seen = normalized(Path::new(&self.mount_path?));
        // An expression of variables could be any path below the volume, so the volume itself stands for it.
        let sub_path = self.sub_path.filter(|_| self.sub_path_expr.is_none());
        if seen.as_os_str().len() > LONGEST
            || sub_path.as_ref().is_some_and(|below| below.len() > LONGEST)
        {
            return None;
        }
        let real = match sub_path.as_deref().map(Path::new) {
            Some(below)
                if below
                    .components()
                    .all(|part| matches!(part, std::path::Component::Normal(_))) =>
            {
                normalized(&volume.join(below))
            }
            _ => volume.clone(),
        };
        Some((seen, real))
    }
}

impl HttpGet {
    fn into_probe(self, ports: &[Port]) -> HttpProbe {
        let port = self.port.unwrap_or_default();
        HttpProbe {
            host: self.host.unwrap_or_default(),
            port: port.parse().ok().or_else(|| {
                ports
                    .iter()
                    .find(|named| named.name.as_ref() == Some(&port))
                    .and_then(|named| named.container_port)
            }),
            path: self
                .path
                .filter(|path| !path.is_empty())
                .unwrap_or_else(|| "/".to_owned()),
            https: self
                .scheme
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
        }
    }
}
