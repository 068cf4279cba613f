//! Which files a running component reads anew by itself, since which release, within which time, and how that is shown.
//!
//! What the table does not have is read when the component starts and never again: the kubeconfigs of controller-manager and
//! scheduler, whose credentials are embedded, and whatever a pod uses that is none of kubeadm's.

use std::time::Duration;

use super::types::AffectedPod;
use crate::node::{CertificateId, Inventory, StaticPod};
use crate::pki::LeafName;

/// A release: 1.36 of Kubernetes, 3.5 of etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// The first number.
    pub major: u32,
    /// The second.
    pub minor: u32,
}

/// How it is shown that a component has read a file anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// A handshake with it serves the new certificate.
    Served,
    /// The kubelet counts how long the client certificates of its requests still have to live: that of the next request which the
    /// API server makes to it is the new one's.
    KubeletSaw,
    /// By nothing: the time has passed.
    Nothing,
}

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Reread {
    program: &'static str,
    /// Which certificate, with its key.
    pub leaf: LeafName,
    /// The first release that does it, as far as was looked; a newer one than any that is known is taken for the newest known.
    since: Release,
    /// Within which time after the files were replaced.
    pub within: Duration,
    /// How that is shown.
    pub shown: Shown,
    /// By what it notices, in words.
    pub how: &'static str,
}

const API_SERVER: &str = "kube-apiserver";
const ETCD: &str = "etcd";
/// Nothing older was looked at.
const KUBERNETES: Release = Release {
    major: 1,
    minor: 20,
};
/// kubeadm 1.20's.
const ETCD_OF_KUBERNETES: Release = Release { major: 3, minor: 4 };

/// inotify; a watch that failed is made anew within a minute.
const WATCHED: Duration = Duration::from_secs(60);
/// client-go looks every five minutes; seen on 1.36.2 after 227 s.
const POLLED: Duration = Duration::from_secs(360);

/// No line of the table takes longer.
pub const LONGEST: Duration = POLLED;

static TABLE: [Reread; 6] = [
    Reread {
        program: API_SERVER,
        leaf: LeafName::Apiserver,
        since: KUBERNETES,
        within: WATCHED,
        shown: Shown::Served,
        how: "watches its files",
    },
    Reread {
        program: API_SERVER,
        leaf: LeafName::ApiserverKubeletClient,
        since: KUBERNETES,
        within: POLLED,
        shown: Shown::KubeletSaw,
        how: "looks at its files every five minutes",
    },
    Reread {
        program: API_SERVER,
        leaf: LeafName::ApiserverEtcdClient,
        since: KUBERNETES,
        within: Duration::ZERO,
        shown: Shown::Nothing,
        how: "reads its files at each handshake",
    },
    Reread {
        program: API_SERVER,
        leaf: LeafName::FrontProxyClient,
        since: KUBERNETES,
        within: WATCHED,
        shown: Shown::Nothing,
        how: "watches its files",
    },
    Reread {
        program: ETCD,
        leaf: LeafName::EtcdServer,
        since: ETCD_OF_KUBERNETES,
        within: Duration::ZERO,
        shown: Shown::Served,
        how: "reads its files at each handshake",
    },
    Reread {
        program: ETCD,
        leaf: LeafName::EtcdPeer,
        since: ETCD_OF_KUBERNETES,
        within: Duration::ZERO,
        shown: Shown::Served,
        how: "reads its files at each handshake",
    },
];

/// kubeadm makes it for people and its own use; no pod reads it.
const USED_BY_NO_POD: CertificateId = CertificateId::leaf(LeafName::EtcdHealthcheckClient);

/// What a pod does about new files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reloading {
    /// It has to be restarted on account of this certificate, or of everything where none is named.
    Never(Option<CertificateId>),
    /// It reads all of them anew by itself.
    ByItself(Vec<(CertificateId, &'static Reread)>),
}

impl Release {
    /// Of `v1.36.2`, `1.30.1-custom`, `3.5.30-0`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.strip_prefix('v').unwrap_or(text).splitn(3, '.');
        let major = number(numbers.next()?)?;
        let minor = numbers.next()?;
        let digits = minor.find(|one: char| !one.is_ascii_digit());
        let minor = number(&minor[..digits.unwrap_or(minor.len())])?;
        // Beyond that it counts days or builds.
        (major < 10).then_some(Self { major, minor })
    }

    /// By the tag of the pod's image, where the image is called as the program: another's tag may count anything.
    #[must_use]
    pub fn of_image(pod: &StaticPod) -> Option<Self> {
        let program = pod.program()?;
        pod.containers.iter().find_map(|container| {
            let (image, _digest) = container
                .image
                .split_once('@')
                .unwrap_or((container.image.as_str(), ""));
            let last = image.rsplit('/').next()?;
            let (name, tag) = last.split_once(':')?;
            (name == program).then(|| Self::parse(tag))?
        })
    }
}

/// Digits and nothing else; `u32` would also read a sign.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|one| one.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// What a pod does about the new files that it uses. `asked`: what the API server says of its own release, which counts where its
/// image says none.
///
/// Where the release is not known, only what a handshake shows is believed: whatever else is waited for may end with nothing but that
/// its time has passed.
#[must_use]
pub fn reloading(inventory: &Inventory, pod: &AffectedPod, asked: Option<Release>) -> Reloading {
    let Some((static_pod, program)) = inventory
        .pod(&pod.pod)
        .and_then(|found| Some((found, found.program()?)))
    else {
        return Reloading::Never(None);
    };
    // What another container of the pod does with the files is not known.
    if static_pod.containers.len() > 1 {
        return Reloading::Never(None);
    }
    let release = Release::of_image(static_pod).or_else(|| asked.filter(|_| program == API_SERVER));
    let mut by_itself = Vec::new();
    for id in &pod.certificates {
        if *id == USED_BY_NO_POD {
            continue;
        }
        let line = TABLE
            .iter()
            .find(|line| line.program == program && CertificateId::leaf(line.leaf) == *id)
            .filter(|line| match release {
                Some(release) => release >= line.since,
                None => line.shown == Shown::Served,
            });
        match line {
            Some(line) => by_itself.push((id.clone(), line)),
            None => return Reloading::Never(Some(id.clone())),
        }
    }
    if by_itself.is_empty() {
        return Reloading::Never(None);
    }
    Reloading::ByItself(by_itself)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::*;
    use crate::host::Root;

    fn release(major: u32, minor: u32) -> Release {
        Release { major, minor }
    }

    #[test]
    fn a_release_is_read_from_whatever_names_one_and_from_nothing_else() {
        for (text, wanted) in [
            ("v1.36.2", Some(release(1, 36))),
            ("1.30.1-custom.3", Some(release(1, 30))),
            ("v1.20.2_vendor", Some(release(1, 20))),
            ("3.5.30-0", Some(release(3, 5))),
            ("v1.36+", Some(release(1, 36))),
            ("latest", None),
            ("", None),
            ("v1", None),
            ("v1.", None),
            ("v+1.36", None),
            ("v2.0.0", Some(release(2, 0))),
            ("20260101.1", None),
            ("v1.99999999999", None),
        ] {
            assert_eq!(Release::parse(text), wanted, "{text}");
        }
    }

    fn of_image(image: &str) -> Option<Release> {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: kube-apiserver}}\nspec:\n  containers:\n  \
             - {{name: kube-apiserver, image: \"{image}\", command: [kube-apiserver]}}\n"
        );
        let pod = StaticPod::parse(Path::new("/m/a.yaml"), &text, &Root::default()).unwrap();
        Release::of_image(&pod)
    }

    #[test]
    fn only_an_image_of_the_programs_name_says_its_release() {
        let wanted = Some(release(1, 36));
        assert_eq!(of_image("registry.k8s.io/kube-apiserver:v1.36.2"), wanted);
        let digest = format!("kube-apiserver:v1.36.2@sha256:{}", "a".repeat(64));
        assert_eq!(of_image(&digest), wanted);
        assert_eq!(of_image("host:5000/mirror/kube-apiserver:v1.36.2"), wanted);
        for silent in [
            "host:5000/kube-apiserver",
            "registry.k8s.io/kube-apiserver",
            "registry.example/hyperkube:v1.36.2",
            "registry.example/kube-apiserver-debug:v1.36.2",
            "kube-apiserver@sha256:1.36",
            "",
        ] {
            assert_eq!(of_image(silent), None, "{silent}");
        }
    }
}
