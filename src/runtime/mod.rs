//! What runs on the node, asked from outside Kubernetes: the container runtime, processes, the kubelet's service; and an
//! administrator's hooks.

mod codec;
mod container_runtime;
mod hooks;
mod messages;
mod pod;
mod process;
mod service;
mod stop;
mod told;
mod units;

pub use container_runtime::{ContainerRuntime, RuntimeError};
pub use hooks::{Hook, Hooks, Moment, UnfitHook, hooks_directory};
pub(crate) use pod::sibling_names;
pub use pod::{ContainerPhase, ContainerState, PodName, PodState, SandboxState};
pub(crate) use process::{Process, processes_of};
pub use service::KubeletService;
pub(crate) use told::{Told, tell_command, tell_unit, unfit_command, unfit_unit};
pub(crate) use units::COMMAND_BOUND as UNIT_BOUND;
pub use units::{ServiceError, Units};
