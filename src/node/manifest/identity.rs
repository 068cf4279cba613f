//! Which component a static pod is: the one rule, for planning as for probing.

use super::pod::{Container, StaticPod};
use crate::host::process::program_name;

/// The programs of the static pods that kubeadm makes.
const PROGRAMS: [&str; 4] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];

const KUBE_VIP: &str = "kube-vip";
/// Its images.
const KUBE_VIP_IMAGES: [&str; 2] = [KUBE_VIP, "kube-vip-iptables"];
/// The variable that says whether it holds the control plane's address, and not only those of services.
const CONTROL_PLANE: &str = "cp_enable";

/// By what a pod is known, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    LabelAndName,
    Label,
    Name,
    Command,
}

fn known(pod: &StaticPod) -> Option<(&'static str, By)> {
    let known = |name: &str| PROGRAMS.into_iter().find(|program| *program == name);
    let label = pod.component_label.as_deref().and_then(known);
    let name = known(&pod.name);
    match (label, name) {
        (Some(label), Some(name)) if label == name => Some((label, By::LabelAndName)),
        (Some(label), _) => Some((label, By::Label)),
        (None, Some(name)) => Some((name, By::Name)),
        (None, None) => PROGRAMS
            .into_iter()
            .find(|program| pod.containers.iter().any(|one| one.runs(program)))
            .map(|program| (program, By::Command)),
    }
}

/// kubeadm's program that the pod runs, by its label, its name or its containers' commands.
pub(super) fn program(pod: &StaticPod) -> Option<&'static str> {
    known(pod).map(|(program, _)| program)
}

/// Whether it is a kube-vip that holds the control plane's address: by the image that it runs, whatever registry that is from, or
/// by its name.
pub(super) fn is_kube_vip(pod: &StaticPod) -> bool {
    let only_services = |container: &Container| {
        let enabled = container.environment.get(CONTROL_PLANE);
        enabled.is_some_and(|value| value.eq_ignore_ascii_case("false"))
    };
    let named = pod.name == KUBE_VIP;
    pod.containers.iter().any(|one| {
        (named || KUBE_VIP_IMAGES.contains(&image_name(&one.image))) && !only_services(one)
    })
}

/// `kube-vip` of `ghcr.io/kube-vip/kube-vip:v1.0.0@sha256:…`
fn image_name(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split(['@', ':']).next().unwrap_or(name)
}

/// What the pod is called where no other one is known.
pub(super) fn component(pod: &StaticPod) -> String {
    let label = pod.component_label.as_deref();
    label.or(program(pod)).unwrap_or(&pod.name).to_owned()
}

/// Of several pods that run the same program one has its role: the one that is known for it the surest, `elsewhere` (manifests
/// that are out) included. The others go by their own names.
pub(super) fn settle(pods: &mut [StaticPod], elsewhere: &[StaticPod]) {
    for program in PROGRAMS {
        let claim = |pod: &StaticPod| {
            known(pod)
                .filter(|(known, _)| *known == program)
                .map(|(_, by)| (by, pod.namespace != "kube-system"))
        };
        let mut best = elsewhere.iter().filter_map(claim).min();
        let mut chosen = None;
        for (index, pod) in pods.iter().enumerate() {
            if let Some(claim) = claim(pod)
                && best.is_none_or(|best| claim < best)
            {
                best = Some(claim);
                chosen = Some(index);
            }
        }
        for (index, pod) in pods.iter_mut().enumerate() {
            if Some(index) != chosen && claim(pod).is_some() {
                pod.role = None;
                if pod.component == program {
                    pod.component = if pod.name == program {
                        format!("{}/{}", pod.namespace, pod.name)
                    } else {
                        pod.name.clone()
                    };
                }
            }
        }
    }
}

impl Container {
    /// Whether it is the program's, by its command or its name.
    pub(super) fn is(&self, program: &str) -> bool {
        self.runs(program) || self.name == program
    }

    /// Whether it runs the program, by its command.
    pub(super) fn runs(&self, program: &str) -> bool {
        self.command
            .first()
            .is_some_and(|first| program_name(first) == program)
    }
}
