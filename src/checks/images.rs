//! Whether the kubelet may remove the image of a pod whose manifest is out: it removes unused ones on a full disk.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fstatfs};

use crate::host::{self, Place, Root};
use crate::node::Inventory;

/// Where each runtime keeps images unless it was told otherwise, by what its socket is called.
const DIRECTORIES: [(&str, &str); 3] = [
    ("containerd", "/var/lib/containerd"),
    ("crio", "/var/lib/containers"),
    ("dockerd", "/var/lib/docker"),
];

/// The disk with the images, reckoned as the kubelet does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDisk {
    /// The runtime's directory.
    pub directory: PathBuf,
    /// How much of its file system is used, in percent.
    pub used_percent: u64,
    /// From this on the kubelet removes unused images.
    pub threshold_percent: u64,
}

/// The disk with the images; `None` where it is not known, which needs a socket by a usual name and a directory in its
/// usual place.
///
/// # Errors
/// When the file system cannot be asked.
pub(super) fn image_disk(root: &Root, inventory: &Inventory) -> io::Result<Option<ImageDisk>> {
    let socket = inventory.kubelet.container_runtime_socket.as_deref();
    let Some(directory) = socket
        .and_then(directory)
        .and_then(|path| root.resolve(&root.join(path)).ok())
        .filter(|directory| host::is_directory(directory))
    else {
        return Ok(None);
    };
    let numbers = fstatfs(Place::at(&directory)?.open(OFlags::PATH)?)?;
    Ok(
        used_percent(numbers.f_blocks, numbers.f_bavail).map(|used_percent| ImageDisk {
            directory,
            used_percent,
            threshold_percent: inventory.kubelet.image_gc_high_threshold_percent,
        }),
    )
}

fn directory(socket: &Path) -> Option<&'static str> {
    let name = socket.file_name()?.to_str()?;
    DIRECTORIES
        .iter()
        .find(|(part, _)| name.contains(part))
        .map(|(_, directory)| *directory)
}

/// `None` where there is no such thing as a full disk.
fn used_percent(all: u64, available: u64) -> Option<u64> {
    let free = available.min(all).saturating_mul(100).checked_div(all)?;
    Some(100 - free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_usual_names_are_known() {
        for (socket, expected) in [
            (
                "/run/containerd/containerd.sock",
                Some("/var/lib/containerd"),
            ),
            ("/var/run/crio/crio.sock", Some("/var/lib/containers")),
            ("/run/cri-dockerd.sock", Some("/var/lib/docker")),
            ("/run/containerd/other.sock", None),
        ] {
            assert_eq!(directory(Path::new(socket)), expected, "{socket}");
        }
    }

    #[test]
    fn the_used_part_is_rounded_as_the_kubelet_rounds_it() {
        assert_eq!(used_percent(1000, 150), Some(85));
        assert_eq!(used_percent(1000, 159), Some(85));
        assert_eq!(used_percent(1000, 160), Some(84));
        assert_eq!(used_percent(1000, 2000), Some(0));
        assert_eq!(used_percent(0, 0), None);
    }
}
