//! Whether this is a good moment: what would make an operation fail half-way, or do harm, is found before anything is
//! touched.
//!
//! [`read`] looks at the node and never fails as a whole; [`judge`] is pure and turns what was read into findings, each
//! with how to take over. Soft findings lose their force when the end of a certificate is near: nothing here lets a
//! certificate end because of a doubt.

mod addresses;
mod ask;
mod cause;
mod check;
mod clock;
mod cluster_signer;
mod finding;
mod hooks;
mod images;
mod intent;
mod judge;
mod kubeadm;
mod needed_addresses;
mod obstacles;
mod outlook;
mod places;
mod readings;
mod renewers;
mod space;
mod users;
mod when;
mod words;

pub use addresses::{AddressFilter, Addresses, Purpose, judge_addresses, plain};
pub use ask::outlook;
pub use cause::Cause;
pub use check::Check;
pub use clock::{Clock, Lives, Mark, clock};
pub use cluster_signer::{ClusterSigner, ClusterSignerFault, cluster_signers};
pub use finding::{Effect, Finding, Severity, blocking};
pub use images::ImageDisk;
pub use intent::{Asked, Deadline, Intent, Overridden, users};
pub use judge::judge;
pub use kubeadm::{Kubeadm, KubeadmProcesses, running_kubeadm, scratch_changed};
pub use needed_addresses::{
    Needed, Resolved, Unresolved, Wanted, known_control_planes, needed, resolve, wanted,
};
pub use obstacles::unrenewable;
pub use outlook::{Outlook, judge_outlook};
pub use places::{Hindered, Hindrance};
pub use readings::{Doubled, Elsewhere, Readings, Unread, read, read_places};
pub use renewers::{Renewer, renewers};
pub use space::FileSystem;
pub use users::unfit_users;
