//! Seeing one static pod go and come back: by the container runtime, else by its processes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::remedy::Presence;
use crate::node::{Inventory, StaticPod};
use crate::runtime::{
    ContainerPhase, ContainerRuntime, ContainerState, PodName, PodState, Process, processes_of,
    sibling_names,
};

/// How often the runtime is asked what is there before the first manifest goes out.
const FIRST_LOOKS: u32 = 3;

/// One look at a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// What was waited for is there.
    Done,
    /// Not yet; what was seen instead, in words.
    NotYet(String),
}

/// A look at a pod that is to run anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sighting {
    pub(super) look: Look,
    pub(super) presence: Presence,
    /// Whether the container runtime knows anything of it.
    pub(super) remains: bool,
    /// Whether one of its containers has ended: with the next end the kubelet begins to wait before it makes another.
    pub(super) has_dead: bool,
}

/// A pod that is watched from before its manifest goes out.
#[derive(Debug)]
pub(super) struct PodWatch<'a> {
    pod: &'a StaticPod,
    inventory: &'a Inventory,
    siblings: Vec<String>,
    sight: Sight,
}

/// What the pod is seen by, with what was there before.
#[derive(Debug)]
enum Sight {
    Runtime {
        runtime: ContainerRuntime,
        /// Ids of containers that were seen before the manifest was back.
        old: BTreeSet<String>,
    },
    Processes {
        old: BTreeSet<Process>,
    },
}

/// Containers of a pod that are to be ended.
#[derive(Debug)]
pub(super) struct RunningContainers {
    runtime: ContainerRuntime,
    ids: Vec<String>,
}

impl RunningContainers {
    /// Asks them to end, and has them killed after the grace.
    ///
    /// # Errors
    /// What the runtime said.
    pub(super) async fn end(self, grace: Duration) -> Result<(), String> {
        for id in &self.ids {
            let stopped = self.runtime.stop_container(id, grace).await;
            stopped.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

impl<'a> PodWatch<'a> {
    /// Looks at what is there now. A runtime that knows nothing of a pod whose processes run is not the kubelet's, or
    /// has lost its state; then the processes count.
    pub(super) async fn begin(
        pod: &'a StaticPod,
        inventory: &'a Inventory,
        runtime: Option<ContainerRuntime>,
    ) -> Self {
        let mut watch = Self {
            pod,
            inventory,
            siblings: sibling_names(inventory),
            sight: Sight::Processes {
                old: processes_of(pod),
            },
        };
        let Some(runtime) = runtime else {
            return watch;
        };
        for _ in 0..FIRST_LOOKS {
            match watch.ask(&runtime).await {
                Ok(state) if !state.is_alive() && watch.sees_old_processes() => {
                    tracing::warn!(
                        component = pod.component(),
                        "{}: runs, but {} does not know it; going by its processes",
                        pod.component(),
                        runtime.description()
                    );
                    return watch;
                }
                Ok(state) => {
                    watch.sight = Sight::Runtime {
                        runtime,
                        old: ids(&state),
                    };
                    return watch;
                }
                Err(reason) => tracing::debug!(component = pod.component(), "{reason}"),
            }
        }
        tracing::warn!(
            component = pod.component(),
            "{}: the container runtime does not answer; going by its processes",
            pod.component()
        );
        watch
    }

    /// Whether the pod is gone, `out` after its manifest went out.
    pub(super) async fn gone(&mut self, out: Duration) -> Look {
        let state = match &self.sight {
            Sight::Runtime { runtime, .. } => match self.ask(runtime).await {
                Ok(state) => state,
                Err(reason) => return Look::NotYet(reason),
            },
            Sight::Processes { old } => return self.processes_gone(old, out),
        };
        if let Sight::Runtime { old, .. } = &mut self.sight {
            // The kubelet may have started another container just before it saw the manifest go.
            old.extend(ids(&state));
        }
        if state.is_alive() {
            Look::NotYet(state.to_string())
        } else {
            Look::Done
        }
    }

    /// Whether every container of the manifest runs anew, `back` after the manifest came back.
    pub(super) async fn returned(&self, back: Duration) -> Sighting {
        match &self.sight {
            Sight::Runtime { runtime, old } => match self.ask(runtime).await {
                Ok(state) => Sighting {
                    look: if self.runs_anew(&state, old) {
                        Look::Done
                    } else {
                        Look::NotYet(state.to_string())
                    },
                    presence: presence(&state, old),
                    remains: !state.sandboxes.is_empty() || !state.containers.is_empty(),
                    has_dead: state
                        .containers
                        .iter()
                        .any(|one| one.phase == ContainerPhase::Exited),
                },
                Err(reason) => Sighting {
                    look: Look::NotYet(reason),
                    presence: Presence::Unknown,
                    remains: false,
                    has_dead: false,
                },
            },
            Sight::Processes { old } => {
                let alive = processes_of(self.pod);
                // A pod whose processes were never recognised is given the time the kubelet may take.
                let blind = old.is_empty() && back >= self.interval();
                let anew = alive.difference(old).count() > 0;
                Sighting {
                    look: if anew || blind {
                        Look::Done
                    } else {
                        Look::NotYet("no new process of it".to_owned())
                    },
                    presence: match (anew, alive.is_empty()) {
                        (true, _) => Presence::New,
                        (false, false) => Presence::Old,
                        (false, true) => Presence::Absent,
                    },
                    remains: false,
                    has_dead: false,
                }
            }
        }
    }

    /// How long the kubelet may take to notice a change, where nothing else tells that it has.
    pub(super) fn interval(&self) -> Duration {
        match self.sight {
            Sight::Runtime { .. } => Duration::ZERO,
            Sight::Processes { .. } => self.inventory.kubelet.file_check_frequency,
        }
    }

    /// Whether its containers can be ended through a container runtime.
    pub(super) fn has_runtime(&self) -> bool {
        matches!(self.sight, Sight::Runtime { .. })
    }

    /// Ends those of its containers that were there from the beginning and still run.
    ///
    /// # Errors
    /// What the runtime said.
    pub(super) async fn end_old(&self, grace: Duration) -> Result<(), String> {
        self.running_old().await?.end(grace).await
    }

    /// Those of its containers that were there from the beginning and still run.
    ///
    /// # Errors
    /// What the runtime said.
    pub(super) async fn running_old(&self) -> Result<RunningContainers, String> {
        let Sight::Runtime { runtime, old } = &self.sight else {
            return Err("the container runtime does not answer".to_owned());
        };
        let state = self.ask(runtime).await?;
        let is_old =
            |one: &ContainerState| one.phase == ContainerPhase::Running && old.contains(&one.id);
        let containers = state.containers.into_iter().filter(is_old);
        Ok(RunningContainers {
            runtime: runtime.clone(),
            ids: containers.map(|one| one.id).collect(),
        })
    }

    /// Ends all its containers and removes what is left of them.
    ///
    /// # Errors
    /// What the runtime said.
    pub(super) async fn remove(&self, grace: Duration) -> Result<(), String> {
        let Sight::Runtime { runtime, .. } = &self.sight else {
            return Err("the container runtime does not answer".to_owned());
        };
        runtime
            .remove_pod(
                PodName::new(self.pod, self.inventory, &self.siblings),
                grace,
            )
            .await
            .map(|_| ())
            .map_err(|error| error.to_string())
    }

    /// Removes what is left of it from before. A sandbox that was made since is one that the kubelet is filling.
    ///
    /// # Errors
    /// What the runtime said.
    pub(super) async fn remove_old(&self) -> Result<(), String> {
        let Sight::Runtime { runtime, old } = &self.sight else {
            return Ok(());
        };
        let mut state = self.ask(runtime).await?;
        state.sandboxes.retain(|sandbox| old.contains(&sandbox.id));
        runtime
            .remove_sandboxes(&state)
            .await
            .map_err(|error| error.to_string())
    }

    /// Removes what is left of it, if nothing of it lives.
    ///
    /// # Errors
    /// What the runtime said.
    pub(super) async fn remove_dead(&self) -> Result<(), String> {
        let Sight::Runtime { runtime, .. } = &self.sight else {
            return Ok(());
        };
        let state = self.ask(runtime).await?;
        if state.is_alive() {
            return Ok(());
        }
        runtime
            .remove_sandboxes(&state)
            .await
            .map_err(|error| error.to_string())
    }

    fn runs_anew(&self, state: &PodState, old: &BTreeSet<String>) -> bool {
        self.pod.containers.iter().all(|wanted| {
            state.containers.iter().any(|container| {
                container.name == wanted.name
                    && container.phase == ContainerPhase::Running
                    && !old.contains(&container.id)
            })
        })
    }

    /// Without a runtime nobody sees containers end, so the kubelet is also given its own interval to notice.
    fn processes_gone(&self, old: &BTreeSet<Process>, out: Duration) -> Look {
        let alive = processes_of(self.pod);
        if let Some(process) = alive.first() {
            return Look::NotYet(format!("process {} still runs", process.pid));
        }
        let mut wanted = self.interval();
        if old.is_empty() {
            wanted += Duration::from_secs(self.pod.termination_grace_seconds);
        }
        if out < wanted {
            return Look::NotYet(format!(
                "no process of it is seen; the kubelet is given {} s to notice",
                wanted.as_secs()
            ));
        }
        Look::Done
    }

    fn sees_old_processes(&self) -> bool {
        matches!(&self.sight, Sight::Processes { old } if !old.is_empty())
    }

    async fn ask(&self, runtime: &ContainerRuntime) -> Result<PodState, String> {
        runtime
            .pod(PodName::new(self.pod, self.inventory, &self.siblings))
            .await
            .map_err(|error| error.to_string())
    }
}

/// What there is of a pod, given the containers that were there before.
fn presence(state: &PodState, old: &BTreeSet<String>) -> Presence {
    let runs = |container: &&ContainerState| {
        matches!(
            container.phase,
            ContainerPhase::Running | ContainerPhase::Created
        )
    };
    let (earlier, new): (Vec<_>, Vec<_>) = state
        .containers
        .iter()
        .partition(|container| old.contains(&container.id));
    if earlier.iter().any(runs) {
        Presence::Old
    } else if new.iter().any(runs) {
        Presence::New
    } else if new.is_empty() {
        Presence::Absent
    } else {
        Presence::Ended
    }
}

/// Of its containers and sandboxes.
fn ids(state: &PodState) -> BTreeSet<String> {
    let containers = state.containers.iter().map(|container| &container.id);
    let sandboxes = state.sandboxes.iter().map(|sandbox| &sandbox.id);
    containers.chain(sandboxes).cloned().collect()
}
