//! What kubeadm makes before there is a node to renew: keys, requests, certificates and kubeconfigs from its configuration, and
//! kubeconfigs for further users.
//!
//! Everything is written as sets: checked as a whole before the first file is made, and then all of it or nothing is there.

mod authority;
mod check;
mod clean;
mod error;
mod file_set;
mod generate;
mod init;
mod install;
mod issued;
mod kubeconfig;
mod locks;
mod machine;
mod member;
mod node;
mod node_file;
mod places;
mod reading;
mod serial_file;
mod set_mark;
mod sign;
mod successor;
mod user;

pub use check::Allowed;
pub use clean::{Cleaned, clean};
pub use error::CredentialError;
pub use generate::generate;
pub use init::{Initialised, Target, init};
pub use install::{Installed, install};
pub use issued::{IssuedRecord, IssuedToUser};
pub use machine::{control_plane, control_plane_of_others};
pub use member::Member;
pub use node::{check_node_name, for_node};
pub use node_file::NodeFile;
pub use places::Places;
pub use sign::{SignOptions, Signed, sign};
pub use successor::generate_successors;
pub use user::{
    NewUser, TargetCluster, UserKubeconfig, with_certificate, with_token, write_kubeconfig,
};
