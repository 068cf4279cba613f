//! What is due, when the rest will be, what is left alone and why, and which static pods a renewal concerns.
//!
//! Pure: no disk, no clock, no randomness. `--at` and the property tests live on that.

mod affected;
mod authority_place;
mod awaited;
mod candidate;
mod cluster_says;
mod decide;
mod elsewhere;
mod expired;
mod extension;
mod extension_words;
mod fit;
mod hold;
mod kubelet;
mod longest;
mod note;
mod obstacle;
mod order;
mod pods;
mod readmission;
mod reason;
mod reload;
mod rotation;
mod schedule;
mod serving;
mod settle;
mod signer_words;
mod signing;
mod spread;
mod trust;
mod types;
mod unfinished;
mod window;
mod words;

pub use affected::affected_pods;
pub use authority_place::{AuthorityPlace, Reader, Reading, authority_places};
pub use awaited::{Answered, Awaited, Left};
pub use cluster_says::{ClusterSays, cluster_says};
pub use decide::{plan, plan_awaiting, plan_due};
pub use expired::{KubeletNeed, Reachability, expired, is_node_down, kubelet_need};
pub use extension::{AUTHORITY_VALIDITY, Extension, ExtensionObstacle, extension};
pub use hold::Hold;
pub use kubelet::{KubeletRepairs, kubelet_repair, kubelet_repairs, unread_of_kubelet};
pub use longest::longest;
pub use note::Note;
pub use obstacle::{AuthorityFault, KubeletFault, Obstacle, UnsupportedKey};
pub use order::{RestartGroup, RestartMethod, restart_groups};
pub use readmission::{
    OwnKnowledge, Presented, ReadmissionDoubt, readmission_doubts, signer as readmission_signer,
};
pub use reason::Reason;
pub use reload::{LONGEST as LONGEST_REREAD, Release, Reloading, Reread, Shown, reloading};
pub use rotation::{Rotation, RotationFault};
pub use schedule::{due_at, jitter, lead, lifetime, restart_due_at};
pub use serving::ServingNeed;
pub use spread::Share;
pub use trust::{Doubter, Refusal, doubters, is_renewed_nevertheless, is_trusted};
pub use types::{Action, AffectedPod, Plan, PlanItem, Request, UnknownName};
pub use unfinished::Unfinished;
pub use window::{Opening, next_opening};
