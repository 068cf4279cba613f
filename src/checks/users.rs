//! Whether whoever is to be told of certificates that are not kubeadm's can be: found out before their files are replaced.

use super::cause::Cause;
use super::finding::{Effect, Finding, Severity};
use super::intent::{Asked, Intent};
use super::judge::Case;
use crate::config::CertificateUser;
use crate::node::CertificateId;
use crate::runtime::{KubeletService, unfit_command, unfit_unit};

/// The findings about the users of what is renewed: units that are not there or masked, commands that cannot be run.
pub async fn unfit_users(service: &KubeletService, intent: &Intent, asked: Asked) -> Vec<Finding> {
    let case = Case {
        intent,
        asked,
        now: crate::host::now(),
    };
    let mut findings = Vec::new();
    for (user, certificates) in &intent.users {
        let reason = match user {
            CertificateUser::Unit(unit) => unfit_unit(service.units(), unit).await,
            CertificateUser::Command(words) => unfit_command(words),
            CertificateUser::StaticPod(_) | CertificateUser::Unsaid => None,
        };
        if let Some((user, reason)) = user.in_words().zip(reason) {
            findings.push(case.user(user, certificates.clone(), reason));
        }
    }
    findings
}

impl Case<'_> {
    /// New files of which nobody is told are of use only where the old ones are of none any more.
    fn user(&self, user: String, certificates: Vec<CertificateId>, reason: String) -> Finding {
        let ending = self
            .intent
            .last_day(self.now)
            .filter(|(id, _)| certificates.contains(id))
            .cloned();
        let cause = Cause::UserUnfit {
            user,
            certificates,
            reason,
        };
        let ending = ending.as_ref().map(|(id, ends)| (id, *ends));
        let severity = if self.intent.separable {
            Severity::Skip
        } else {
            Severity::Refuse
        };
        let finding = self.unless(ending, cause, severity);
        match finding.severity {
            Severity::Skip => Finding {
                effect: Effect::CertificateLeftOut,
                ..finding
            },
            _ => finding,
        }
    }
}
