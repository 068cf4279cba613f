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
