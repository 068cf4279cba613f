//! What can speak against approving a request, and which check finds it.

use std::net::IpAddr;

use crate::config::Network;

/// What is looked at, in this order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Check {
    /// Nobody has decided yet.
    State,
    /// It is for the signer of kubelets' serving certificates.
    Signer,
    /// A kubelet asks, in the group of the nodes.
    Requestor,
    /// It is one request, well-formed, of usual size.
    Form,
    /// Whoever made it has the key.
    Signature,
    /// The subject is that node's, and nothing else is in it.
    Subject,
    /// It is not for a CA.
    Authority,
    /// The usages are a serving certificate's, and nothing else is asked for.
    Usages,
    /// The key is strong enough.
    Key,
    /// The lifetime is a usual one.
    Lifetime,
    /// It asks for names and addresses of the usual forms.
    Names,
    /// None of them is a service's, the API server's or the machine's own alone.
    Forbidden,
    /// The Node is there, and has been for a while.
    Node,
    /// All of them are in the Node's list.
    NodeAddresses,
    /// None of them is another Node's as well.
    OtherNodes,
    /// Every address is in `approver.cidrs`.
    Networks,
    /// Every name is one of `approver.names`.
    Patterns,
    /// Every name leads to the node, where `approver.dns` wants that.
    Dns,
    /// Not too many are approved at once.
    Rate,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::State,
        Self::Signer,
        Self::Requestor,
        Self::Form,
        Self::Signature,
        Self::Subject,
        Self::Authority,
        Self::Usages,
        Self::Key,
        Self::Lifetime,
        Self::Names,
        Self::Forbidden,
        Self::Node,
        Self::NodeAddresses,
        Self::OtherNodes,
        Self::Networks,
        Self::Patterns,
        Self::Dns,
        Self::Rate,
    ];

    /// Its code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.into()
    }
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult<'judgement> {
    /// Nothing speaks against it.
    Passed,
    /// It could not be done, since something before it failed.
    NotLookedAt,
    /// The configuration does not ask for it.
    NotAskedFor,
    /// This speaks against it.
    Failed(Vec<&'judgement Reason>),
}

/// What speaks against approving a request. The name of each is its code; `docs/codes.md` lists them.
///
/// Most of it is doubt: a kubelet with an odd configuration, a stale Node, a machine that got another's old address, a tool of an
/// administrator's. Doubt is left to a person. Proof is what no kubelet does that is what it says, whatever its configuration and
/// whatever others wrote, and what only a program does that misuses a node's credential ([`Reason::is_proof`]):
///
/// - the common name of another than the one that asks. A kubelet takes it from its own credential;
/// - groups beside `system:nodes`, since in a client certificate they would be rights;
/// - to be an authority, or to sign certificates;
/// - names under which the API server is reached within the cluster (`kubernetes.default…`): no host is called so.
///
/// Not proof, though it looks like it: another node's address (addresses are handed on, and a Node is stale until it is removed; and
/// any kubelet could write another's address into its own Node, to have that one denied), the API server's address (an address that
/// moves between control planes is in a Node's list with some clouds), `localhost` or `kubernetes` as a name (there are machines
/// called so), a service's address (networks overlap by mistake), a wildcard, an e-mail address or URI (the signer refuses them
/// anyway), a wrong signature or two blocks (whoever damages a request gains nothing).
#[derive(
    Debug, Clone, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames, serde::Serialize,
)]
#[strum(serialize_all = "kebab-case")]
#[serde(
    tag = "code",
    content = "fields",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Reason {
    /// It is decided already, or signed.
    AlreadyDecided {
        /// As kubectl shows it.
        state: &'static str,
    },
    /// It is for another signer.
    OtherSigner {
        /// Which.
        signer: String,
    },
    /// No kubelet asked for it.
    RequestorNotNode {
        /// Who.
        username: String,
    },
    /// Who asked is not in the group of the nodes.
    RequestorNotInGroup,
    /// It has more groups, usages or bytes than a kubelet's.
    RequestTooLong {
        /// Of the request itself, where that is it.
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<usize>,
    },
    /// It is not one plain PEM block of a request.
    RequestNotPlain {
        /// What it is.
        reason: String,
    },
    /// The request is damaged, or a part of it is there twice.
    RequestMalformed {
        /// How.
        reason: String,
    },
    /// Its signature is not by its own key.
    SignatureWrong,
    /// Its signature cannot be checked.
    SignatureUnchecked {
        /// Why.
        reason: String,
    },
    /// Its common name is not the user that asks.
    CommonNameOfOther {
        /// What is asked for.
        common_name: String,
        /// Who asks.
        username: String,
    },
    /// It asks for other groups than the nodes'.
    OtherGroups {
        /// Those asked for.
        organizations: Vec<String>,
    },
    /// It does not ask for the group of the nodes.
    NodesGroupMissing,
    /// Something else is in its subject, or in a way in which no kubelet writes it.
    SubjectUnusual {
        /// The subject.
        subject: String,
    },
    /// It asks to be an authority, or to sign certificates.
    AuthorityWanted,
    /// It asks for other usages than a serving certificate's.
    OtherUsages {
        /// Those asked for.
        usages: Vec<String>,
    },
    /// It asks for other extensions, or has attributes that no kubelet's has.
    OtherExtensions {
        /// Their numbers.
        numbers: Vec<String>,
    },
    /// Its key is too weak, or of a kind that is not known to be strong.
    KeyWeak {
        /// Of which kind.
        key: String,
    },
    /// It asks for a lifetime that no kubelet asks for.
    LifetimeUnusual {
        /// Which.
        seconds: i32,
    },
    /// It asks for no name and no address.
    NoNames,
    /// It asks for more than are looked at.
    TooManyNames {
        /// How many.
        count: usize,
    },
    /// It asks for an e-mail address, a URI or another kind of name.
    OtherKindOfName {
        /// Which.
        name: String,
    },
    /// It asks for a wildcard.
    Wildcard {
        /// Which.
        name: String,
    },
    /// It asks for a name that no host has: capital letters, a dot at the end, letters that are not ASCII.
    NameUnusual {
        /// Which.
        name: String,
    },
    /// It asks for an IPv4 address in the form of one of IPv6.
    AddressUnusual {
        /// Which.
        address: IpAddr,
    },
    /// It asks for a name that every machine has for itself.
    LocalName {
        /// Which.
        name: String,
    },
    /// It asks for an address that no machine has alone: a loopback, link-local, multicast or unspecified one.
    LocalAddress {
        /// Which.
        address: IpAddr,
    },
    /// It asks for the address of a service.
    ServiceAddress {
        /// Which.
        address: IpAddr,
        /// The network of services that it is in.
        #[serde(serialize_with = "as_text")]
        network: Network,
    },
    /// Which addresses services have is not known.
    ServiceNetworkUnknown,
    /// It asks for a name that services have within the cluster.
    ServiceName {
        /// Which.
        name: String,
    },
    /// It asks for the name under which the API server is reached within the cluster.
    ApiServerService {
        /// Which.
        name: String,
    },
    /// It asks for a name of the API server.
    ApiServerName {
        /// Which.
        name: String,
    },
    /// It asks for an address of the API server that is not this node's own.
    ApiServerAddress {
        /// Which.
        address: IpAddr,
    },
    /// There is no such Node.
    NodeMissing {
        /// Which.
        node: String,
    },
    /// The Node is being removed.
    NodeGoing,
    /// The Node was made a moment ago.
    NodeTooYoung {
        /// How long ago, in seconds.
        seconds: i64,
    },
    /// The Node has no such address or name.
    NotOfNode {
        /// Which.
        name: String,
    },
    /// Another Node has it as well.
    AlsoOfNode {
        /// Which.
        name: String,
        /// Whose it is.
        node: String,
    },
    /// There are more Nodes than are looked at.
    TooManyNodes,
    /// An address is in none of the networks that the configuration names.
    OutsideNetworks {
        /// Which.
        address: IpAddr,
    },
    /// A name is none of those that the configuration names.
    OutsideNames {
        /// Which.
        name: String,
    },
    /// Where a name leads was not looked up.
    NotLookedUp {
        /// Which.
        name: String,
    },
    /// A name leads nowhere.
    LookupFailed {
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
    /// A name leads to an address that is not the Node's.
    LeadsElsewhere {
        /// Which.
        name: String,
        /// Where.
        address: IpAddr,
    },
    /// As many were approved within the last minute as may be.
    RateReached {
        /// So many.
        approved: usize,
    },
    /// As many of this node were approved within the last hour as may be.
    NodeRateReached {
        /// So many.
        approved: usize,
    },
    /// The kubelet has asked again since, and waits for that.
    NewerRequest {
        /// Which it waits for.
        name: String,
    },
}

impl Reason {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// Whether no kubelet does that which is what it says.
    #[must_use]
    pub fn is_proof(&self) -> bool {
        matches!(
            self,
            Self::CommonNameOfOther { .. }
                | Self::OtherGroups { .. }
                | Self::AuthorityWanted
                | Self::ApiServerService { .. }
        )
    }

    /// Whether it ends without anybody's doing, so that nobody needs to hear of it.
    #[must_use]
    pub fn passes_by_itself(&self) -> bool {
        matches!(
            self,
            Self::NodeTooYoung { .. } | Self::RateReached { .. } | Self::NewerRequest { .. }
        )
    }

    /// Which check finds it.
    #[must_use]
    pub fn check(&self) -> Check {
        match self {
            Self::AlreadyDecided { .. } => Check::State,
            Self::OtherSigner { .. } => Check::Signer,
            Self::RequestorNotNode { .. } | Self::RequestorNotInGroup => Check::Requestor,
            Self::RequestTooLong { .. }
            | Self::RequestNotPlain { .. }
            | Self::RequestMalformed { .. } => Check::Form,
            Self::SignatureWrong | Self::SignatureUnchecked { .. } => Check::Signature,
            Self::CommonNameOfOther { .. }
            | Self::OtherGroups { .. }
            | Self::NodesGroupMissing
            | Self::SubjectUnusual { .. } => Check::Subject,
            Self::AuthorityWanted => Check::Authority,
            Self::OtherUsages { .. } | Self::OtherExtensions { .. } => Check::Usages,
            Self::KeyWeak { .. } => Check::Key,
            Self::LifetimeUnusual { .. } => Check::Lifetime,
            Self::NoNames
            | Self::TooManyNames { .. }
            | Self::OtherKindOfName { .. }
            | Self::Wildcard { .. }
            | Self::NameUnusual { .. }
            | Self::AddressUnusual { .. } => Check::Names,
            Self::LocalName { .. }
            | Self::LocalAddress { .. }
            | Self::ServiceAddress { .. }
            | Self::ServiceNetworkUnknown
            | Self::ServiceName { .. }
            | Self::ApiServerService { .. }
            | Self::ApiServerName { .. }
            | Self::ApiServerAddress { .. } => Check::Forbidden,
            Self::NodeMissing { .. } | Self::NodeGoing | Self::NodeTooYoung { .. } => Check::Node,
            Self::NotOfNode { .. } => Check::NodeAddresses,
            Self::AlsoOfNode { .. } | Self::TooManyNodes => Check::OtherNodes,
            Self::OutsideNetworks { .. } => Check::Networks,
            Self::OutsideNames { .. } => Check::Patterns,
            Self::NotLookedUp { .. } | Self::LookupFailed { .. } | Self::LeadsElsewhere { .. } => {
                Check::Dns
            }
            Self::RateReached { .. } | Self::NodeRateReached { .. } | Self::NewerRequest { .. } => {
                Check::Rate
            }
        }
    }
}

fn as_text<S: serde::Serializer>(network: &Network, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.collect_str(network)
}
