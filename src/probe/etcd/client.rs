//! Asking one member: JSON over its HTTP gateway, gRPC where that is switched off.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::error::EtcdError;
use super::grpc;
use super::message::{Member, MemberListRequest, MemberListResponse};
use crate::net::{Address, Answer, HttpError, Identity, Server, http, printable};
use crate::node::{Inventory, StaticPod};
use crate::probe::endpoint::{
    ETCD, addresses_of_flag, etcd_client_address, etcd_http_address, runs,
};
use crate::probe::health::etcd_identity;
use crate::probe::peer::Peer;

/// For one question with its answer, however many ways are tried.
const BOUND: Duration = Duration::from_secs(10);

/// A question, by both of its names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) json: &'static str,
    pub(crate) grpc: &'static str,
}

const MEMBER_LIST: Way = Way {
    json: "/v3/cluster/member/list",
    grpc: "/etcdserverpb.Cluster/MemberList",
};

/// What asks the members of this node's etcd, with the client certificate that is there for it.
#[derive(Debug)]
pub(crate) struct EtcdClient<'a> {
    inventory: &'a Inventory,
    pod: &'a StaticPod,
    identity: Option<Identity>,
}

/// A member that can be asked: by what it is verified, and where.
#[derive(Debug)]
pub(crate) struct Askable {
    peer: Peer,
    json: Address,
    grpc: Address,
}

impl<'a> EtcdClient<'a> {
    /// `None` where no etcd runs on this node.
    pub(crate) fn of(inventory: &'a Inventory) -> Option<Self> {
        let pod = inventory.static_pods.iter().find(|pod| runs(pod, ETCD))?;
        Some(Self {
            inventory,
            pod,
            identity: etcd_identity(pod, inventory),
        })
    }

    /// The manifest of this node's member.
    pub(crate) fn pod(&self) -> &'a StaticPod {
        self.pod
    }

    /// What it shows to members.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// This node's member, where its manifest says that it listens.
    ///
    /// # Errors
    /// It serves no TLS, or cannot be verified.
    pub(crate) fn own(&self) -> Result<Askable, EtcdError> {
        let no_tls = || EtcdError::NotAskable("it serves its clients no TLS".to_owned());
        let json = etcd_http_address(self.pod).ok_or_else(no_tls)?;
        let grpc = etcd_client_address(self.pod).unwrap_or_else(|| json.clone());
        let peer = Peer::etcd(self.inventory, &json.host).map_err(EtcdError::NotAskable)?;
        Ok(Askable { peer, json, grpc })
    }

    /// A member on another node.
    ///
    /// # Errors
    /// There is no CA by which it could be verified.
    pub(crate) fn other(&self, address: Address) -> Result<Askable, EtcdError> {
        let peer = Peer::etcd(self.inventory, &address.host)
            .and_then(|peer| peer.on_another_node(&address.host))
            .map_err(EtcdError::NotAskable)?;
        Ok(Askable {
            peer,
            json: address.clone(),
            grpc: address,
        })
    }

    /// Whether a member is this node's: by its name, or where it listens to other members.
    pub(crate) fn is_own(&self, member: &Member) -> bool {
        let own_peers = addresses_of_flag(self.pod, "initial-advertise-peer-urls");
        let named = !member.name.is_empty() && self.pod.flag("name") == Some(&member.name);
        named
            || member
                .peer_urls
                .iter()
                .filter_map(|url| crate::net::parse_url(url))
                .any(|(_, address, _)| own_peers.contains(&address))
    }

    /// The members that one of them knows.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub(crate) async fn members(
        &self,
        of: &Askable,
        linearizable: bool,
    ) -> Result<Vec<Member>, EtcdError> {
        let question = MemberListRequest { linearizable };
        let answer: MemberListResponse = self.ask(of, MEMBER_LIST, question).await?;
        Ok(answer.members)
    }

    /// One question, over JSON, and over gRPC where the member does not speak JSON there.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub(crate) async fn ask<Q, A>(
        &self,
        member: &Askable,
        way: Way,
        question: Q,
    ) -> Result<A, EtcdError>
    where
        Q: prost::Message + Serialize + Clone + Send + Sync + 'static,
        A: prost::Message + DeserializeOwned + Default + Send + Sync + 'static,
    {
        let asked = async {
            let no_gateway = match self.ask_json(member, way, &question).await? {
                Gateway::Answered(answer) => return Ok(answer),
                Gateway::Off(reason) => reason,
            };
            let security = member.peer.security(self.identity());
            let address = &member.grpc;
            grpc::ask(Server { address, security }, way.grpc, question)
                .await
                .map_err(|error| error.after(&no_gateway))
        };
        timeout(BOUND, asked).await.unwrap_or_else(|_| {
            let (address, seconds) = (&member.json, BOUND.as_secs());
            Err(EtcdError::Silent(format!(
                "{address}: no answer within {seconds} s"
            )))
        })
    }

    async fn ask_json<Q: Serialize, A: DeserializeOwned>(
        &self,
        member: &Askable,
        way: Way,
        question: &Q,
    ) -> Result<Gateway<A>, EtcdError> {
        let address = &member.json;
        let body = serde_json::to_string(question)
            .map_err(|error| EtcdError::NotAskable(error.to_string()))?;
        let server = Server {
            address,
            security: member.peer.security(self.identity()),
        };
        match http::post(server, way.json, &body).await {
            Ok(Answer { status: 200, body }) => serde_json::from_str(&body)
                .map(Gateway::Answered)
                .map_err(|error| EtcdError::NotUnderstood(format!("{address}: {error}"))),
            Ok(answer) if is_no_gateway(answer.status) => Ok(Gateway::Off(answer.describe())),
            Ok(answer) => Err(EtcdError::Refused(format!(
                "{address}: {}",
                answer.describe()
            ))),
            // A port for gRPC alone hangs up.
            Err(
                error @ (HttpError::NoResponse { alert: None, .. } | HttpError::TooLong { .. }),
            ) => Ok(Gateway::Off(printable(&error.to_string()))),
            Err(error) => Err(EtcdError::Silent(printable(&error.to_string()))),
        }
    }
}

enum Gateway<A> {
    Answered(A),
    /// What came instead.
    Off(String),
}

/// What a server says that has no such path, or takes no such request.
fn is_no_gateway(status: u16) -> bool {
    matches!(status, 404 | 405 | 415 | 501)
}
