//! Reading requests and Nodes, and writing decisions.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use super::backlog::Backlog;
use super::case::{Lookup, Lookups};
use super::node_table::NodeTable;
use super::request::{KubeletRequest, RequestText, SERVING};
use crate::api::{
    Access, ApiError, Decision, Nodes, SigningRequestObject, SigningRequests, first_answer,
};
use crate::net::Address;

/// For one name.
const LOOKUP_BOUND: Duration = Duration::from_secs(3);
/// So many addresses of a name are looked at; a machine has fewer.
const MOST_ADDRESSES: usize = 64;

/// By what and where requests are asked for.
#[derive(Debug, Clone)]
pub struct RequestDesk {
    access: Arc<Access>,
    servers: Vec<Address>,
}

impl RequestDesk {
    /// Nothing is asked yet. The servers are asked in their order.
    #[must_use]
    pub fn new(access: Arc<Access>, servers: Vec<Address>) -> Self {
        Self { access, servers }
    }

    /// All requests to all signers, without what is asked for.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn list(&self) -> Result<Vec<KubeletRequest>, ApiError> {
        first_answer(&self.servers, async |server| {
            let all = RefCell::new(Vec::new());
            let see = |object: SigningRequestObject| {
                let mut request = KubeletRequest::of(&object);
                request.text = RequestText::Text(Vec::new());
                all.borrow_mut().push(request);
            };
            SigningRequests::at(&self.access, server)
                .each(None, see)
                .await?;
            Ok(all.take())
        })
        .await
    }

    /// Kubelets' requests for serving certificates.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn backlog(&self) -> Result<Backlog, ApiError> {
        first_answer(&self.servers, async |server| {
            let mut backlog = Backlog::default();
            let see = |object: SigningRequestObject| backlog.see(KubeletRequest::of(&object));
            SigningRequests::at(&self.access, server)
                .each(Some(SERVING), see)
                .await?;
            Ok(backlog)
        })
        .await
    }

    /// The Nodes and their addresses.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn nodes(&self) -> Result<NodeTable, ApiError> {
        first_answer(&self.servers, async |server| {
            let mut nodes = NodeTable::default();
            let see = |node| nodes.add(node);
            Nodes::at(&self.access, server).each_addressed(see).await?;
            Ok(nodes)
        })
        .await
    }

    /// One request; `None` where there is none.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn get(&self, name: &str) -> Result<Option<SigningRequestObject>, ApiError> {
        first_answer(&self.servers, async |server| {
            SigningRequests::at(&self.access, server).get(name).await
        })
        .await
    }

    /// Writes a decision upon the version that was read.
    ///
    /// # Errors
    /// [`ApiError::ApiConflict`] where that is not the newest any more.
    pub async fn decide(
        &self,
        object: &SigningRequestObject,
        decision: &Decision,
    ) -> Result<(), ApiError> {
        first_answer(&self.servers, async |server| {
            let requests = SigningRequests::at(&self.access, server);
            requests.decide(object.clone(), decision).await.map(drop)
        })
        .await
    }
}

/// Where names lead, by this machine's resolver.
pub async fn look_up(names: &[String]) -> Lookups {
    let mut lookups = Lookups::new();
    for name in names {
        let found = match timeout(LOOKUP_BOUND, lookup_host((name.as_str(), 0))).await {
            Ok(Ok(addresses)) => {
                let addresses: Vec<_> = addresses
                    .take(MOST_ADDRESSES)
                    .map(|address| address.ip())
                    .collect();
                if addresses.is_empty() {
                    Lookup::Failed("it has no address".to_owned())
                } else {
                    Lookup::To(addresses)
                }
            }
            Ok(Err(error)) => Lookup::Failed(error.to_string()),
            Err(_) => Lookup::Failed(format!("no answer within {} s", LOOKUP_BOUND.as_secs())),
        };
        lookups.insert(name.clone(), found);
    }
    lookups
}
