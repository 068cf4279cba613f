//! Restarting what uses new files, and proving that it uses them.

use jiff::Timestamp;

use super::OperationError;
use super::authority_proof::{authorities_of, witnesses_of};
use super::ending::Ending;
use super::event::Event;
use super::kubelet::provable;
use super::remark::Remark;
use super::report::RenewalReport;
use super::restarts::{Restarts, may_restart};
use super::run::Run;
use super::users::tell_users;
use super::waiting::reported;
use crate::files::Operation;
use crate::journal::Record;
use crate::node::CertificateId;
use crate::plan::RestartMethod;
use crate::probe::{Proof, node_is_ready, prove};
use crate::restart::RestartError;

/// Does the restarts, then asks the components about these certificates.
pub(super) async fn restart_and_prove(
    run: &mut Run<'_>,
    operation: &mut Operation<'_>,
    restarts: &mut Restarts,
    names: &[CertificateId],
    report: &mut RenewalReport,
) -> Result<(), RestartError> {
    for remark in restarts.without_manifest() {
        run.remark(remark.clone());
        report.unproved.push(remark);
    }
    report.warnings.append(&mut restarts.not_shown);
    let begun = crate::host::now();
    report.restarts = restarts.run(run, operation).await?;
    tell_users(run, operation, report).await?;
    let told = if may_restart(run.context) {
        operation.users()
    } else {
        Vec::new()
    };
    let names = if restarts.provable {
        provable(names, restarts.concern_kubelet(names))
    } else {
        // Those of which no pod has to be asked.
        let is_told = |id: &&CertificateId| told.contains(id);
        names.iter().filter(is_told).cloned().collect()
    };
    let answers = prove_in_use(run, operation, &names).await?;
    report.proofs = answers.proofs;
    report.unproved.extend(answers.unproved);
    report.warnings.extend(answers.unverified);
    if restarts.provable && restarts.method != RestartMethod::Manifests {
        let stop = run.stop;
        tokio::select! {
            biased;
            // All is done; what the API server shows can be looked up later.
            () = crate::host::stopped(stop) => {}
            () = expect_ready(run, begun, report) => {}
        }
    }
    Ok(())
}

/// Expired certificates are of no use, and what an earlier operation left is not done by going back: the rest is tried again, where
/// restarts or components of kubeadm's are the rest. `names`: the certificates.
pub(super) fn new_files_stay(
    error: &RestartError,
    operation: &Operation<'_>,
    names: &[CertificateId],
) -> Ending {
    let told = operation.users();
    // Whoever was told and did not take them does not take them the next time, and must not keep others from going back.
    // The same of a kubelet that was restarted with them and is well.
    let of_kubelet = operation.is_about_kubelet() && matches!(error, RestartError::NotInUse(_));
    let are_told = operation.restarts_left().is_empty()
        && operation.users_left().is_empty()
        && names.iter().all(|id| told.contains(id));
    if are_told || of_kubelet || error.is_told_once() {
        return Ending::failed(OperationError::Failed(error.into()));
    }
    Ending::failed(OperationError::NewFilesStay(error.into())).retried()
}

/// What the components said that did not refuse a certificate.
#[derive(Default)]
struct Answers {
    proofs: Vec<Proof>,
    /// What could not be asked.
    unproved: Vec<Remark>,
    /// What answered but cannot be verified by anything on this node: no proof, and no fault either.
    unverified: Vec<Remark>,
}

/// Asks the components about these certificates, after a roll-back.
pub(super) async fn prove_again(
    run: &mut Run<'_>,
    operation: &mut Operation<'_>,
    names: &[CertificateId],
) -> Result<(), RestartError> {
    let names = provable(names, false);
    prove_in_use(run, operation, &names).await.map(|_| ())
}

/// Asks the components about these certificates. What they refuse is an error.
async fn prove_in_use(
    run: &mut Run<'_>,
    operation: &mut Operation<'_>,
    names: &[CertificateId],
) -> Result<Answers, RestartError> {
    let mut answers = Answers::default();
    if names.is_empty() {
        return Ok(answers);
    }
    let node = run.node();
    let changed = names;
    let names = &witnesses_of(&node, changed, crate::host::now());
    if !names.is_empty() {
        run.emit(Event::Proving { count: names.len() });
    }
    let mut refused = Vec::new();
    let (context, stop) = (run.context, run.stop);
    let bound = context.proof_bound;
    let proving = prove(&node, &context.config.restart, names, bound);
    let results = tokio::select! {
        biased;
        () = crate::host::stopped(stop) => return Err(RestartError::Stopped),
        results = reported(proving, ("proof", "every component's answer"), bound, run.events()) => results,
    };
    for result in results {
        match result {
            Ok(proof) => {
                run.emit(Event::Proved {
                    certificate: proof.id.clone(),
                    evidence: proof.evidence.clone(),
                });
                answers.proofs.push(proof);
            }
            Err(error) if error.refused => refused.push(error.to_string()),
            Err(error) if run.answering.contains(&error.id) => {
                refused.push(format!("{error}; before, somebody answered there"));
            }
            Err(error) if error.unverified => {
                let remark = Remark::Unverified {
                    certificate: error.id,
                    reason: error.reason,
                };
                run.remark(remark.clone());
                answers.unverified.push(remark);
            }
            Err(error) => {
                let remark = Remark::NotProved {
                    certificate: error.id,
                    reason: error.reason,
                };
                run.remark(remark.clone());
                answers.unproved.push(remark);
            }
        }
    }
    if !refused.is_empty() {
        return Err(RestartError::NotInUse(refused.join("; ")));
    }
    let mut proved: Vec<CertificateId> = answers
        .proofs
        .iter()
        .map(|proof| proof.id.clone())
        .collect();
    for (authority, witness) in authorities_of(&node, changed, crate::host::now()) {
        match witness {
            Some(witness) if proved.contains(&witness) => proved.push(authority),
            Some(_) => {}
            // Nobody can ever be asked.
            None => {
                let remark = Remark::Unverified {
                    certificate: authority.clone(),
                    reason: "no client's certificate of it is here to show that it is accepted"
                        .to_owned(),
                };
                run.remark(remark.clone());
                answers.unverified.push(remark);
                proved.push(authority);
            }
        }
    }
    operation.note(Record::Proved { names: proved })?;
    Ok(answers)
}

/// Waits until `kubectl get nodes` would show this node as Ready, by what its kubelet said since then.
async fn expect_ready(run: &mut Run<'_>, since: Timestamp, report: &mut RenewalReport) {
    let node = run.node();
    // A worker has no admin.conf, and its kubelet may read its own Node and Lease.
    let Some(asks) = [CertificateId::ADMIN, CertificateId::KubeletConfig]
        .iter()
        .filter_map(|id| node.entry(id))
        .find(|entry| entry.present().is_some())
    else {
        return;
    };
    let bound = run.context.proof_bound;
    let asking = node_is_ready(&node, &asks.path, since, bound);
    let what = ("node", "the API server to show it as Ready");
    match reported(asking, what, bound, run.events()).await {
        Ok(seen) => run.emit(Event::NodeReady { seen }),
        Err(seen) => {
            let remark = Remark::NodeNotReady { seen };
            run.remark(remark.clone());
            report.unproved.push(remark);
        }
    }
}
