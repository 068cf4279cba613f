//! etcd's members: who they are, by what they are verified, and how they are asked. Whatever asks etcd does it through here.

mod client;
mod error;
mod grpc;
mod message;
mod url;

pub(crate) use client::{Askable, EtcdClient, Way};
pub use error::EtcdError;
pub(crate) use message::{
    AlarmRequest, AlarmResponse, Member, MoveLeaderRequest, MoveLeaderResponse, StatusRequest,
    StatusResponse,
};
pub(crate) use url::client_address;
