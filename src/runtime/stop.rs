//! Ending a pod's containers behind the kubelet's back, which then makes new ones.

use std::time::Duration;

use super::container_runtime::{CALL_BOUND, ContainerRuntime, RuntimeError};
use super::messages::{Empty, PodSandboxRequest, StopContainerRequest};
use super::pod::ContainerPhase;
use super::pod::{PodName, PodState};

impl ContainerRuntime {
    /// Ends a container: asked by a signal, killed after `grace`. One that has ended, or is gone, is no error. The
    /// kubelet starts another one in its place, also while it does not act on manifests.
    ///
    /// # Errors
    /// [`RuntimeError::Call`].
    pub async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), RuntimeError> {
        let request = StopContainerRequest {
            container_id: id.to_owned(),
            timeout: i64::try_from(grace.as_secs()).unwrap_or(i64::MAX),
        };
        // After the grace the runtime kills it and waits for that as well.
        self.end(grace + CALL_BOUND * 2, "StopContainer", request)
            .await
    }

    /// Ends every running container of a pod and removes its sandboxes with all that is left of its containers. A pod
    /// of which nothing is left is made anew without the kubelet's back-off. Gives the number of sandboxes removed.
    ///
    /// # Errors
    /// [`RuntimeError::Call`].
    pub async fn remove_pod(
        &self,
        pod: PodName<'_>,
        grace: Duration,
    ) -> Result<usize, RuntimeError> {
        let state = self.pod(pod).await?;
        for container in &state.containers {
            if container.phase == ContainerPhase::Running {
                self.stop_container(&container.id, grace).await?;
            }
        }
        self.remove_sandboxes(&state).await?;
        Ok(state.sandboxes.len())
    }

    /// Removes a pod's sandboxes with all that is left of its containers.
    ///
    /// # Errors
    /// [`RuntimeError::Call`].
    pub async fn remove_sandboxes(&self, state: &PodState) -> Result<(), RuntimeError> {
        for sandbox in &state.sandboxes {
            let request = PodSandboxRequest {
                pod_sandbox_id: sandbox.id.clone(),
            };
            let bound = CALL_BOUND * 2;
            self.end(bound, "StopPodSandbox", request.clone()).await?;
            self.end(bound, "RemovePodSandbox", request).await?;
        }
        Ok(())
    }

    /// A call that ends something; what is gone already needs no ending.
    async fn end<Q>(
        &self,
        bound: Duration,
        call: &'static str,
        request: Q,
    ) -> Result<(), RuntimeError>
    where
        Q: prost::Message + Send + Sync + 'static,
    {
        match self.call_within::<Q, Empty>(bound, call, request).await {
            Ok(Empty {}) => Ok(()),
            Err(status) if status.code() == tonic::Code::NotFound => Ok(()),
            Err(status) => Err(self.failed(call, &status)),
        }
    }
}
