//! A plan as people and scripts see it: a table, and a document whose shape does not change.

use jiff::Timestamp;
use serde_json::Value;

use super::coded::{Coded, fields};
use super::columns::columns;
use super::copies::CopiesView;
use super::pending_use::PendingUse;
use super::plan_users::{self, PlanUser};
use crate::config::Renewal;
use crate::files::FoundCopies;
use crate::host::printable;
use crate::node::{HardLinks, Problem, components};
use crate::pki::{date, serde_end};
use crate::plan::{
    Action, AffectedPod, ClusterSays, Opening, Plan, PlanItem, RestartGroup, restart_due_at,
};
use crate::probe::InMemory;
use crate::runtime::{Hook, Moment};

/// What `kubecertd plan -o json` prints. Fields are added to it, never renamed or removed.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanView {
    api_version: &'static str,
    kind: &'static str,
    at: Timestamp,
    certificates: Vec<CertificateView>,
    affected_pods: Vec<PodView>,
    restarts: Vec<GroupView>,
    next_due: Option<NextView>,
    unread_manifests: Vec<Problem>,
    /// What lives only in components' memory; absent where nothing was seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    in_memory: Vec<InMemoryView>,
    /// What components have still to show of earlier renewals; absent where that is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pending: Vec<PendingUse>,
    /// What the cluster's own configuration says otherwise than this node's; absent where that is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cluster_says: Vec<Coded>,
    /// The copies of admin.conf and super-admin.conf.
    #[serde(flatten)]
    copies: CopiesView,
    /// What else is to be known, one sentence each.
    notes: Vec<String>,
    /// The maintenance window in which the daemon acts on what is due now, or else on what is due next; absent without windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<WindowView>,
    /// Who is told of certificates that are not kubeadm's; absent where that is nobody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<PlanUser>,
    /// The hooks that are run, in their order; absent without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hooks: Vec<HookView>,
}

#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct HookView {
    moment: Moment,
    path: String,
    #[serde(skip)]
    name: String,
}

#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct WindowView {
    name: String,
    opens: Timestamp,
    closes: Timestamp,
}

#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct CertificateView {
    name: String,
    authority: Option<&'static str>,
    #[serde(serialize_with = "serde_end::option::serialize")]
    not_after: Option<Timestamp>,
    due_at: Option<Timestamp>,
    action: &'static str,
    /// Why, in a word for scripts.
    reason: Option<&'static str>,
    /// What belongs to the reason, for scripts; absent where that is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Value>,
    /// Why, in a sentence for people.
    message: Option<String>,
    /// What is to be known of its renewal; absent where that is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// The same with codes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<Coded>,
}

#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct PodView {
    component: String,
    manifest: String,
    certificates: Vec<String>,
    /// `restart`, `re-read` (by itself; it is restarted if it does not show that) or `none`.
    action: &'static str,
}

#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupView {
    out: Vec<Vec<String>>,
    back: Vec<Vec<String>>,
    /// Under its first name, which scripts know.
    #[serde(rename = "heldOut")]
    out_meanwhile: Vec<String>,
}

/// A certificate that a restart of its component makes anew.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct InMemoryView {
    name: String,
    not_after: Timestamp,
    due_at: Timestamp,
}

#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct NextView {
    at: Timestamp,
    name: String,
}

impl From<&Plan> for PlanView {
    fn from(plan: &Plan) -> Self {
        Self {
            api_version: "kubecertd/v1alpha1",
            kind: "Plan",
            at: plan.at,
            certificates: plan.items.iter().map(CertificateView::from).collect(),
            affected_pods: plan
                .affected
                .iter()
                .map(|pod| PodView::of(pod, plan))
                .collect(),
            restarts: plan.expected.iter().map(GroupView::from).collect(),
            next_due: plan.next_due.as_ref().map(|(at, id)| NextView {
                at: *at,
                name: id.to_string(),
            }),
            unread_manifests: plan.unread_manifests.clone(),
            in_memory: Vec::new(),
            pending: Vec::new(),
            cluster_says: Vec::new(),
            copies: CopiesView::default(),
            notes: Vec::new(),
            window: None,
            users: Vec::new(),
            hooks: Vec::new(),
        }
    }
}

impl From<&PlanItem> for CertificateView {
    fn from(item: &PlanItem) -> Self {
        let (reason, fields, message) = match &item.action {
            Action::Renew(reason) => (Some(reason.code()), None, Some(reason.to_string())),
            Action::Wait => (None, None, None),
            Action::Leave(obstacle) => (
                Some(obstacle.code()),
                fields(obstacle),
                Some(obstacle.said_of(&item.id)),
            ),
        };
        let notes = || item.notes.iter().chain(&item.trust_notes);
        Self {
            name: item.id.to_string(),
            authority: item.authority.map(crate::pki::AuthorityId::name),
            not_after: item.not_after,
            due_at: item.due_at,
            action: item.action.code(),
            reason,
            fields,
            message,
            notes: notes().map(ToString::to_string).collect(),
            remarks: notes().map(|note| Coded::of(note.code(), note)).collect(),
        }
    }
}

impl PodView {
    fn of(pod: &AffectedPod, plan: &Plan) -> Self {
        let is_restarted = |group: &RestartGroup| group.pods().any(|one| *one == pod.pod);
        Self {
            action: if plan.rereading.contains(&pod.pod) {
                "re-read"
            } else if plan.restarts.iter().any(is_restarted) {
                "restart"
            } else {
                "none"
            },
            component: pod.pod.component.clone(),
            manifest: pod.pod.manifest.display().to_string(),
            certificates: pod.certificates.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<&RestartGroup> for GroupView {
    fn from(group: &RestartGroup) -> Self {
        Self {
            out: group.out.iter().map(components).collect(),
            back: group.back.iter().map(components).collect(),
            out_meanwhile: components(&group.out_meanwhile),
        }
    }
}

impl PlanView {
    /// The same with what else is to be known.
    #[must_use]
    pub fn with_notes(mut self, notes: &[HardLinks]) -> Self {
        self.notes = notes.iter().map(ToString::to_string).collect();
        self
    }

    /// The same with what lives only in components' memory, and when they are restarted on that account.
    #[must_use]
    pub fn with_in_memory(mut self, seen: &[InMemory], renewal: &Renewal) -> Self {
        self.in_memory = seen
            .iter()
            .map(|one| InMemoryView {
                name: one.name(),
                not_after: one.not_after,
                due_at: restart_due_at(one.not_before, one.not_after, renewal.before),
            })
            .collect();
        self
    }

    /// The same with what components have still to show of earlier renewals.
    #[must_use]
    pub fn with_pending(mut self, pending: Vec<PendingUse>) -> Self {
        self.pending = pending;
        self
    }

    /// The same with the copies of what is planned.
    #[must_use]
    pub fn with_copies(mut self, found: &FoundCopies) -> Self {
        self.copies = CopiesView::from(found);
        self
    }

    /// The same with what the cluster's own configuration says otherwise.
    #[must_use]
    pub fn with_cluster(mut self, says: &[ClusterSays]) -> Self {
        self.cluster_says = says.iter().map(|one| Coded::of(one.code(), one)).collect();
        self
    }

    fn is_renewed(&self, name: &str) -> bool {
        let mut certificates = self.certificates.iter();
        certificates.any(|one| one.name == name && one.action == "renew")
    }

    /// The same with the window in which the daemon acts, and what speaks against acting at its time.
    #[must_use]
    pub fn with_window(mut self, opening: Option<Opening>, notes: Vec<String>) -> Self {
        self.window = opening.map(|opening| WindowView {
            name: opening.window,
            opens: opening.opens,
            closes: opening.closes,
        });
        self.notes.extend(notes);
        self
    }

    /// The same with those who are told of certificates that are not kubeadm's.
    #[must_use]
    pub fn with_users(mut self, users: Vec<PlanUser>) -> Self {
        self.users = users;
        self
    }

    /// The same with the hooks that are run, where anything is done.
    #[must_use]
    pub fn with_hooks(mut self, hooks: &[Hook]) -> Self {
        self.hooks = hooks
            .iter()
            .map(|hook| HookView {
                moment: hook.moment,
                path: hook.path.display().to_string(),
                name: hook.name(),
            })
            .collect();
        self
    }

    /// What `kubecertd plan` prints: the certificates, the restarts in their order, and what comes next.
    #[must_use]
    pub fn to_table(&self) -> String {
        let mut rows =
            vec![["CERTIFICATE", "EXPIRES", "RENEWAL DUE", "ACTION", "WHY"].map(str::to_owned)];
        rows.extend(self.certificates.iter().map(|certificate| {
            [
                certificate.name.clone(),
                certificate.not_after.map(date).unwrap_or_default(),
                certificate.due_at.map(date).unwrap_or_default(),
                certificate.action.to_owned(),
                certificate.message.clone().unwrap_or_default(),
            ]
        }));
        rows.extend(self.in_memory.iter().map(|one| {
            let is_due = one.due_at <= self.at;
            [
                one.name.clone(),
                date(one.not_after),
                date(one.due_at),
                if is_due { "restart" } else { "wait" }.to_owned(),
                if is_due {
                    "only a restart makes another"
                } else {
                    ""
                }
                .to_owned(),
            ]
        }));
        format!(
            "{}{}{}{}{}{}{}",
            columns(&rows),
            self.notes_in_words(),
            self.restarts_in_words(),
            plan_users::in_words(&self.users),
            self.hooks_in_words(),
            self.unread_in_words(),
            self.next_in_words()
        )
    }

    fn notes_in_words(&self) -> String {
        let notes: String = self
            .certificates
            .iter()
            .flat_map(|certificate| {
                let name = &certificate.name;
                let notes = certificate.notes.iter();
                notes.map(move |note| format!("Note: {name}: {note}"))
            })
            .chain(self.pending.iter().map(|one| format!("Note: {one}")))
            .chain(
                self.copies
                    .sentences(|name| self.is_renewed(name))
                    .iter()
                    .map(|copy| format!("Note: {copy}")),
            )
            .chain(
                self.cluster_says
                    .iter()
                    .map(|one| format!("Note: {}", one.message)),
            )
            .chain(self.notes.iter().map(|note| format!("Note: {note}")))
            .map(|note| format!("{}\n", printable(&note)))
            .collect();
        if notes.is_empty() {
            notes
        } else {
            format!("\n{notes}")
        }
    }

    fn restarts_in_words(&self) -> String {
        if self.affected_pods.is_empty() {
            return String::new();
        }
        let mut rows = vec![["STATIC POD", "ACTION", "USES"].map(str::to_owned)];
        rows.extend(self.affected_pods.iter().map(|pod| {
            [
                pod.component.clone(),
                match pod.action {
                    "re-read" => "re-reads it by itself".to_owned(),
                    other => other.to_owned(),
                },
                pod.certificates.join(", "),
            ]
        }));
        let mut text = format!("\n{}", columns(&rows));
        if self.restarts.is_empty() {
            text.push_str("\nNone of them is restarted.\n");
        }
        if self.affected_pods.iter().any(|pod| pod.action == "re-read") {
            text.push_str(
                "\nWhat re-reads its files is restarted if it does not show that it did.\n",
            );
        }
        for group in &self.restarts {
            text.push_str(&format!(
                "\nRestart: out {}; back {}",
                printable(&in_turn(&group.out)),
                printable(&in_turn(&group.back))
            ));
            if !group.out_meanwhile.is_empty() {
                text.push_str(&format!(
                    "\n         ({} only because the API is away meanwhile)",
                    printable(&group.out_meanwhile.join(", "))
                ));
            }
            text.push('\n');
        }
        text
    }

    fn hooks_in_words(&self) -> String {
        let Some((first, others)) = self.hooks.split_first() else {
            return String::new();
        };
        let mut text = format!("\nHooks: {}\n", printable(&first.name));
        for hook in others {
            text.push_str(&format!("       {}\n", printable(&hook.name)));
        }
        text
    }

    fn unread_in_words(&self) -> String {
        if self.unread_manifests.is_empty() {
            return String::new();
        }
        let mut text = "\nNot read, so a pod in it is neither restarted nor proved:\n".to_owned();
        for one in &self.unread_manifests {
            let said = format!("- {one}");
            text.push_str(&printable(&said));
            text.push('\n');
        }
        text
    }

    fn next_in_words(&self) -> String {
        let mut text = match &self.next_due {
            Some(next) => format!("\nNext: {}, {}\n", date(next.at), printable(&next.name)),
            None => String::new(),
        };
        if let Some(window) = &self.window {
            text.push_str(&format!(
                "\nWindow: {}, from {} to {}\n",
                printable(&window.name),
                date(window.opens),
                date(window.closes)
            ));
        }
        text
    }
}

/// `kube-controller-manager and kube-scheduler, then kube-apiserver`
fn in_turn(waves: &[Vec<String>]) -> String {
    waves
        .iter()
        .map(|wave| wave.join(" and "))
        .collect::<Vec<_>>()
        .join(", then ")
}
