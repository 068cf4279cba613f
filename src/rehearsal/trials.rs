//! Which handshakes show that the certificates are of use: every server under each of its names, and every client with
//! its server, each side with its own trust.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use hyper::Uri;
use tokio_rustls::rustls::pki_types::ServerName;

use super::kubeconfig::{beside, is_kubeconfig};
use crate::host::Root;
use crate::node::{CertificateId, Entry, Inventory, Kubeconfig, Present};
use crate::pki::{
    AuthorityId, Catalogued, Certificate, KubeconfigName, LeafName, SubjectAltName,
    certificates_from_pem,
};

/// What a failure says that was there before the renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name that no client need use, or a server that need not be this node's: nothing of this node is broken.
    Aside,
    /// A client and a server of this node, which do not come together.
    Pair,
}

/// One handshake to be tried.
pub(super) struct Trial<'node> {
    /// The certificate it is about.
    pub(super) id: &'node CertificateId,
    /// `as server under kubernetes.default`, `as client of apiserver`
    pub(super) what: String,
    pub(super) kind: Kind,
    pub(super) server: Server<'node>,
    pub(super) client: Client<'node>,
}

/// The server's side.
pub(super) struct Server<'node> {
    /// The certificate it serves; one made for the occasion where that is not on this node.
    pub(super) serves: Option<(&'node Entry, &'node Present)>,
    /// Whose clients it accepts; any without a certificate where it asks for none.
    pub(super) accepts: Option<Bundle>,
}

/// The client's side.
pub(super) struct Client<'node> {
    pub(super) shows: Option<(&'node Entry, &'node Present)>,
    /// Whom it trusts; the certificate made for the occasion where that is served.
    pub(super) trusts: Bundle,
    pub(super) under: ServerName<'static>,
}

/// Certificates of authorities, or why there are none.
pub(super) type Bundle = Result<Vec<Certificate>, String>;

/// Everything that is to be tried on a node, in the order of its certificates. A certificate that cannot be tried at all
/// is in the second list, with the reason.
pub(super) fn trials<'node>(
    root: &Root,
    inventory: &'node Inventory,
) -> (Vec<Trial<'node>>, Vec<(&'node CertificateId, String)>) {
    let node = Node { root, inventory };
    let mut trials = Vec::new();
    let mut untried = Vec::new();
    for entry in &inventory.entries {
        let Some(present) = entry.present() else {
            continue;
        };
        let of_entry = node.of_entry(entry, present);
        if of_entry.is_empty() {
            continue;
        }
        if present.leaf.is_ca {
            untried.push((
                &entry.id,
                "it is marked as a CA's certificate (basicConstraints CA:TRUE), with which no handshake is tried"
                    .to_owned(),
            ));
        } else {
            trials.extend(of_entry);
        }
    }
    (trials, untried)
}

struct Node<'a, 'node> {
    root: &'a Root,
    inventory: &'node Inventory,
}

impl<'node> Node<'_, 'node> {
    fn of_entry(&self, entry: &'node Entry, present: &'node Present) -> Vec<Trial<'node>> {
        if is_kubeconfig(entry) {
            return self.kubeconfig(entry, present);
        }
        let CertificateId::Catalogued(Catalogued::Leaf(leaf)) = entry.id else {
            return Vec::new();
        };
        let of = Shown { entry, present };
        match leaf {
            LeafName::Apiserver => {
                let pods = self.flag("kube-controller-manager", "root-ca-file");
                of.under_each_name(&self.or_authority(pods, AuthorityId::Kubernetes))
            }
            LeafName::EtcdServer => {
                let clients = self.flag("kube-apiserver", "etcd-cafile");
                let mut trials = of.under_each_name(&self.or_authority(clients, AuthorityId::Etcd));
                // etcd's gateway shows the server's certificate to the server itself.
                let trusts = self.etcd_clients();
                trials.extend(self.client(of, LeafName::EtcdServer, self.etcd_clients(), trusts));
                trials
            }
            LeafName::EtcdPeer => {
                let peers = || self.flag("etcd", "peer-trusted-ca-file");
                let mut trials = of.under_each_name(&self.or_authority(peers(), AuthorityId::Etcd));
                let trust = || self.or_authority(peers(), AuthorityId::Etcd);
                trials.extend(self.client(of, LeafName::EtcdPeer, trust(), trust()));
                trials
            }
            LeafName::ApiserverEtcdClient => {
                let own = self.flag("kube-apiserver", "etcd-cafile");
                let trusts = self.or_authority(own, AuthorityId::Etcd);
                self.client(of, LeafName::EtcdServer, self.etcd_clients(), trusts)
            }
            LeafName::EtcdHealthcheckClient => {
                let trusts = self.or_authority(None, AuthorityId::Etcd);
                self.client(of, LeafName::EtcdServer, self.etcd_clients(), trusts)
            }
            LeafName::ApiserverKubeletClient => {
                let accepts = self.inventory.kubelet.client_ca_file.clone();
                vec![of.shown_to(
                    "as client of the kubelet",
                    self.or_authority(accepts, AuthorityId::Kubernetes),
                )]
            }
            LeafName::FrontProxyClient => {
                let accepts = self.flag("kube-apiserver", "requestheader-client-ca-file");
                vec![of.shown_to(
                    "as client of extension API servers",
                    self.or_authority(accepts, AuthorityId::FrontProxy),
                )]
            }
        }
    }

    /// The user of a kubeconfig connects to the API server, trusting what the kubeconfig trusts.
    fn kubeconfig(&self, entry: &'node Entry, present: &'node Present) -> Vec<Trial<'node>> {
        let of = Shown { entry, present };
        let clients = self.flag("kube-apiserver", "client-ca-file");
        let accepts = self.or_authority(clients, AuthorityId::Kubernetes);
        let Some(server) = self.server(LeafName::Apiserver) else {
            return vec![of.shown_to(
                "as client of apiserver, whose certificate is not here",
                accepts,
            )];
        };
        let kubeconfig = self.parsed(&entry.path);
        let trusts = kubeconfig
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|kubeconfig| self.trusted_by(kubeconfig, &entry.path));
        let host = kubeconfig.ok().and_then(|kubeconfig| host(&kubeconfig));
        let names = names(server.1);
        let mut trials = Vec::new();
        let under = match &host {
            Some(host) if !names.iter().any(|(_, name)| covers(name, host)) => {
                trials.push(Trial {
                    id: &server.0.id,
                    what: format!("as server under {}, as {} calls it", text(host), entry.id),
                    kind: Kind::Aside,
                    server: Server {
                        serves: Some(server),
                        accepts: None,
                    },
                    client: Client {
                        shows: None,
                        trusts: trusts.clone(),
                        under: host.clone(),
                    },
                });
                None
            }
            Some(host) => Some(host.clone()),
            None => None,
        };
        let Some(under) = under.or_else(|| names.into_iter().next().map(|(_, name)| name)) else {
            trials.push(of.shown_to(
                "as client of apiserver, whose certificate has no name",
                accepts,
            ));
            return trials;
        };
        trials.push(Trial {
            id: &entry.id,
            what: "as client of apiserver".to_owned(),
            // Its server may be another's, behind a load balancer.
            kind: match entry.id {
                CertificateId::Catalogued(Catalogued::Kubeconfig(
                    KubeconfigName::ControllerManager | KubeconfigName::Scheduler,
                )) => Kind::Pair,
                _ => Kind::Aside,
            },
            server: Server {
                serves: Some(server),
                accepts: Some(accepts),
            },
            client: Client {
                shows: Some((entry, present)),
                trusts,
                under,
            },
        });
        trials
    }

    fn client(
        &self,
        of: Shown<'node>,
        server: LeafName,
        accepts: Bundle,
        trusts: Bundle,
    ) -> Vec<Trial<'node>> {
        let what = format!("as client of {}", server.name());
        let served = self
            .server(server)
            .and_then(|served| Some((served, names(served.1).into_iter().next()?.1)));
        let Some((served, under)) = served else {
            return vec![of.shown_to(&format!("{what}, whose certificate is of no use"), accepts)];
        };
        vec![Trial {
            id: &of.entry.id,
            what,
            kind: Kind::Pair,
            server: Server {
                serves: Some(served),
                accepts: Some(accepts),
            },
            client: Client {
                shows: Some((of.entry, of.present)),
                trusts,
                under,
            },
        }]
    }

    /// A server's certificate, if a handshake can be tried with it.
    fn server(&self, leaf: LeafName) -> Option<(&'node Entry, &'node Present)> {
        let entry = self.inventory.entry(&CertificateId::leaf(leaf))?;
        let present = entry.present()?;
        (!present.leaf.is_ca).then_some((entry, present))
    }

    /// Whose clients etcd accepts.
    fn etcd_clients(&self) -> Bundle {
        self.or_authority(self.flag("etcd", "trusted-ca-file"), AuthorityId::Etcd)
    }

    fn flag(&self, component: &str, flag: &str) -> Option<PathBuf> {
        self.inventory.static_pod(component)?.file_flag(flag)
    }

    /// The certificates in a file, kubeadm's where none is named.
    fn or_authority(&self, file: Option<PathBuf>, authority: AuthorityId) -> Bundle {
        let file = match file {
            Some(file) => file,
            None => self
                .inventory
                .authority(authority)
                .map(|authority| authority.certificate_path.clone())
                .ok_or_else(|| format!("the authority {authority} is not on this node"))?,
        };
        self.bundle(&file)
    }

    fn bundle(&self, file: &Path) -> Bundle {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let bytes = self.root.read(file).map_err(|error| failed(&error))?;
        certificates_from_pem(&bytes).map_err(|error| failed(&error))
    }

    fn parsed(&self, path: &Path) -> Result<Kubeconfig, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let bytes = self
            .root
            .read(path)
            .map(zeroize::Zeroizing::new)
            .map_err(|error| failed(&error))?;
        let text = std::str::from_utf8(&bytes).map_err(|error| failed(&error))?;
        Kubeconfig::parse(text).map_err(|error| failed(&error))
    }

    fn trusted_by(&self, kubeconfig: &Kubeconfig, path: &Path) -> Bundle {
        if let Some(pem) = &kubeconfig.certificate_authority {
            return certificates_from_pem(pem).map_err(|error| {
                format!("{}: certificate-authority-data: {error}", path.display())
            });
        }
        match &kubeconfig.certificate_authority_file {
            Some(file) => self.bundle(&beside(self.root, path, file)),
            None => Err(format!(
                "{} names no certificate-authority, so whom it trusts is up to the machine it is used on",
                path.display()
            )),
        }
    }
}

#[derive(Clone, Copy)]
struct Shown<'node> {
    entry: &'node Entry,
    present: &'node Present,
}

impl<'node> Shown<'node> {
    /// Served under each name that a client can use, to clients that trust `trusts`.
    fn under_each_name(self, trusts: &Bundle) -> Vec<Trial<'node>> {
        names(self.present)
            .into_iter()
            .map(|(shown, under)| Trial {
                id: &self.entry.id,
                what: format!("as server under {shown}"),
                kind: Kind::Aside,
                server: Server {
                    serves: Some((self.entry, self.present)),
                    accepts: None,
                },
                client: Client {
                    shows: None,
                    trusts: trusts.clone(),
                    under,
                },
            })
            .collect()
    }

    /// Shown to a server that is made for the occasion.
    fn shown_to(self, what: &str, accepts: Bundle) -> Trial<'node> {
        Trial {
            id: &self.entry.id,
            what: what.to_owned(),
            kind: Kind::Pair,
            server: Server {
                serves: None,
                accepts: Some(accepts),
            },
            client: Client {
                shows: Some((self.entry, self.present)),
                trusts: Ok(Vec::new()),
                under: ServerName::from(IpAddr::from([127, 0, 0, 1])),
            },
        }
    }
}

/// The names of a certificate that a client can connect under, as they are shown and as they are asked for.
fn names(present: &Present) -> Vec<(String, ServerName<'static>)> {
    let names = present.leaf.subject_alt_names.iter();
    names
        .filter_map(|name| match name {
            SubjectAltName::Dns(dns) => {
                // A wildcard stands for any one label.
                let concrete = dns.replacen('*', "any", 1);
                Some((dns.clone(), ServerName::try_from(concrete).ok()?))
            }
            SubjectAltName::Ip(address) => Some((address.to_string(), ServerName::from(*address))),
            SubjectAltName::Email(_) | SubjectAltName::Uri(_) | SubjectAltName::Other(_) => None,
        })
        .collect()
}

/// Whether a certificate's name is the one that a client uses. A wildcard's stand-in covers what has the same rest.
fn covers(own: &ServerName<'static>, used: &ServerName<'static>) -> bool {
    let rest = |name: &ServerName<'static>| match name {
        ServerName::DnsName(dns) => dns
            .as_ref()
            .split_once('.')
            .map(|(first, rest)| (first.to_owned(), rest.to_ascii_lowercase())),
        _ => None,
    };
    if text(own).eq_ignore_ascii_case(&text(used)) {
        return true;
    }
    match (rest(own), rest(used)) {
        (Some((first, own)), Some((_, used))) => first == "any" && own == used,
        _ => false,
    }
}

fn text(name: &ServerName<'static>) -> String {
    name.to_str().into_owned()
}

/// The name under which a kubeconfig's user connects.
fn host(kubeconfig: &Kubeconfig) -> Option<ServerName<'static>> {
    if let Some(name) = &kubeconfig.tls_server_name {
        return ServerName::try_from(name.clone()).ok();
    }
    let uri: Uri = kubeconfig.server.parse().ok()?;
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).ok()
}
