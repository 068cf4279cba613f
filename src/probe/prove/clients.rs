//! Whether etcd and the kubelet accept a client certificate.

use super::Node;
use super::doubt::Doubt;
use crate::net::{Address, Answer, Identity, Server, handshake, http, parse_url};
use crate::node::Entry;
use crate::probe::{
    endpoint::{API_SERVER, ETCD, ETCD_HEALTH, etcd_http_address, kubelet_address, runs},
    peer::Peer,
};

impl Node<'_> {
    /// etcd demands a certificate of every client; with TLS 1.3 a refusal shows only when something is read.
    pub(crate) async fn accepted_by_etcd(&self, entry: &Entry) -> Result<String, Doubt> {
        let identity = identity(entry)?;
        let address = self.etcd()?;
        let peer = Peer::etcd(self.inventory, &address.host)
            .and_then(Peer::by_authorities_only)
            .map_err(|reason| Doubt::Passing(format!("etcd at https://{address}: {reason}")))?;
        let server = Server {
            address: &address,
            security: peer.security(Some(&identity)),
        };
        let answer = http::get(server, ETCD_HEALTH)
            .await
            .map_err(|error| Doubt::of_request("etcd", &error))?;
        etcd_verdict(&address, &answer)
    }

    /// Where etcd is: the local pod's address, else the API server's flags.
    fn etcd(&self) -> Result<Address, Doubt> {
        let local = self
            .inventory
            .static_pods
            .iter()
            .find(|pod| runs(pod, ETCD))
            .and_then(etcd_http_address);
        let remote = || -> Option<Address> {
            let urls = self.pod(API_SERVER).ok()?.flag("etcd-servers")?;
            urls.split(',')
                .filter_map(parse_url)
                .find(|(https, _, _)| *https)
                .map(|(_, address, _)| address)
        };
        local.or_else(remote).ok_or_else(|| {
            Doubt::Lasting("no manifest of this node says where etcd answers over TLS".to_owned())
        })
    }

    pub(crate) fn is_etcd_client_of_api_server(&self, entry: &Entry) -> bool {
        self.pod(API_SERVER)
            .ok()
            .and_then(|pod| pod.file_flag("etcd-certfile"))
            .is_some_and(|path| path == entry.path)
    }

    /// The kubelet listens on all addresses unless told otherwise; then on the node's.
    pub(crate) async fn accepted_by_kubelet(&self, entry: &Entry) -> Result<String, Doubt> {
        let identity = identity(entry)?;
        let Address { host, port } = kubelet_address(self.inventory);
        let mut hosts = vec![host];
        if let Ok(pod) = self.pod(API_SERVER) {
            hosts.extend(pod.flag("advertise-address").map(str::to_owned));
        }
        let mut seen = Vec::new();
        for host in hosts {
            let address = Address { host, port };
            let Some(peer) = Peer::kubelet(self.inventory, &address.host) else {
                match self.of_unverified_kubelet(&address, &identity).await {
                    Ok(said) => return Err(Doubt::Unverified(format!("unverified: {said}"))),
                    Err(reason) => seen.push(reason),
                }
                continue;
            };
            let server = Server {
                address: &address,
                security: peer.security(Some(&identity)),
            };
            match http::get(server, "/healthz").await {
                Ok(answer) => return kubelet_verdict(&address, &answer),
                Err(error) if error.is_refusal() => {
                    return Err(Doubt::of_request("the kubelet", &error));
                }
                Err(error) => seen.push(error.to_string()),
            }
        }
        Err(Doubt::Passing(format!(
            "the kubelet cannot be asked: {}",
            seen.join("; ")
        )))
    }

    /// What a kubelet says whose serving certificate no CA vouches for. The certificate is shown only to the holder of the key
    /// on this node; and as nothing else speaks for that, the answer neither proves nor refuses anything.
    async fn of_unverified_kubelet(
        &self,
        address: &Address,
        identity: &Identity,
    ) -> Result<String, String> {
        const WHY: &str = "the API server has no --kubelet-certificate-authority, so nothing vouches for its certificate";
        if let Some(peer) = Peer::kubelet_by_its_file(self.inventory, &address.host) {
            let server = Server {
                address,
                security: peer.security(Some(identity)),
            };
            match http::get(server, "/healthz").await {
                Ok(answer) => {
                    return Ok(format!(
                        "the kubelet at https://{address}/healthz answered {}; {WHY}",
                        answer.describe()
                    ));
                }
                Err(error) if error.is_refusal() => {
                    return Ok(format!("the kubelet at https://{error}; {WHY}"));
                }
                Err(error) if error.is_unreachable() => return Err(error.to_string()),
                Err(_) => {}
            }
        }
        handshake(address, &address.host, None)
            .await
            .map(|served| {
                format!(
                    "{address} serves serial {}, which is not in a file of this node, and it was not asked; {WHY}",
                    served.leaf.serial
                )
            })
            .map_err(|error| error.to_string())
    }
}

fn identity(entry: &Entry) -> Result<Identity, Doubt> {
    let key = entry
        .key_path
        .as_ref()
        .ok_or_else(|| Doubt::Lasting("it has no key file".to_owned()))?;
    Identity::from_files(&entry.path, key).map_err(|error| Doubt::Lasting(error.to_string()))
}

/// An etcd that is not well says nothing about its clients.
fn etcd_verdict(address: &Address, answer: &Answer) -> Result<String, Doubt> {
    let said = || format!("etcd at https://{address}/health: {}", answer.describe());
    match answer.status {
        200 => Ok(format!("etcd accepts it at https://{address}")),
        401 | 403 => Err(Doubt::Refused(said())),
        _ => Err(Doubt::Passing(said())),
    }
}

/// 401 is a refusal, and 403 as the anonymous user. 403 as any other is an acceptance, whatever that user may do. What else it
/// says is about the kubelet.
fn kubelet_verdict(address: &Address, answer: &Answer) -> Result<String, Doubt> {
    let said = || {
        format!(
            "the kubelet at https://{address}/healthz: {}",
            answer.describe()
        )
    };
    match answer.status {
        200 => Ok(format!("the kubelet accepts it at https://{address}")),
        403 if !answer.body.contains("system:anonymous") => Ok(format!(
            "the kubelet at https://{address} accepts it, but gives its holder no right to /healthz"
        )),
        401 | 403 => Err(Doubt::Refused(said())),
        _ => Err(Doubt::Passing(said())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            body: body.to_owned(),
        }
    }

    fn address() -> Address {
        Address {
            host: "127.0.0.1".to_owned(),
            port: 10250,
        }
    }

    #[test]
    fn the_kubelet_refuses_by_401_or_by_taking_the_holder_for_anonymous() {
        let verdict = |status: u16, body: &str| kubelet_verdict(&address(), &answer(status, body));
        assert!(verdict(200, "ok").is_ok());
        assert!(
            verdict(
                403,
                "Forbidden (user=kube-apiserver-kubelet-client, verb=get)"
            )
            .is_ok()
        );
        for (status, body) in [
            (403, "Forbidden (user=system:anonymous, verb=get)"),
            (401, "Unauthorized"),
        ] {
            assert!(matches!(verdict(status, body), Err(Doubt::Refused(_))));
        }
        for status in [404, 429, 500, 503] {
            let said = verdict(status, "Authorization error");
            assert!(matches!(said, Err(Doubt::Passing(_))), "{said:?}");
        }
    }

    #[test]
    fn an_etcd_that_is_not_well_refuses_nobody() {
        let verdict = |status: u16| etcd_verdict(&address(), &answer(status, ""));
        assert!(verdict(200).is_ok());
        for status in [401, 403] {
            assert!(matches!(verdict(status), Err(Doubt::Refused(_))));
        }
        for status in [404, 429, 500, 503] {
            assert!(matches!(verdict(status), Err(Doubt::Passing(_))));
        }
    }
}
