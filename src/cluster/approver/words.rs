//! The reasons and checks in words.

use std::fmt;

use super::reason::{Check, Reason};

impl Check {
    /// What holds where it passed.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::State => "nobody has decided about it yet",
            Self::Signer => "it is for the signer of kubelets' serving certificates",
            Self::Requestor => "a kubelet asks, in the group system:nodes",
            Self::Form => "it is one well-formed request of usual size",
            Self::Signature => "its signature is by its own key",
            Self::Subject => "the subject is that node's and has nothing else in it",
            Self::Authority => "it is not for an authority",
            Self::Usages => "the usages are a serving certificate's",
            Self::Key => "the key is strong enough",
            Self::Lifetime => "the lifetime is a usual one",
            Self::Names => "its names and addresses are of the usual forms",
            Self::Forbidden => {
                "none of them is a service's, the API server's or every machine's own"
            }
            Self::Node => "the Node is there, and not made just now",
            Self::NodeAddresses => "all of them are in the Node's list",
            Self::OtherNodes => "none of them is another Node's as well",
            Self::Networks => "every address is in approver.cidrs",
            Self::Patterns => "every name is one of approver.names",
            Self::Dns => "every name leads to the node (approver.dns)",
            Self::Rate => "not too many were approved just now",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyDecided { state } => write!(out, "it is decided already ({state})"),
            Self::OtherSigner { signer } => {
                write!(out, "it is for the signer {signer}, which is not looked after here")
            }
            Self::RequestorNotNode { username } => {
                write!(out, "{username} asks for it, which is no kubelet")
            }
            Self::RequestorNotInGroup => {
                out.write_str("whoever asks is not in the group system:nodes")
            }
            Self::RequestTooLong { bytes: Some(bytes) } => {
                write!(out, "the request has {bytes} bytes, more than any kubelet's")
            }
            Self::RequestTooLong { bytes: None } => {
                out.write_str("it has more or longer groups or usages than any kubelet's")
            }
            Self::RequestNotPlain { reason } => write!(out, "the request {reason}"),
            Self::RequestMalformed { reason } => write!(out, "the request is damaged: {reason}"),
            Self::SignatureWrong => {
                out.write_str("the request's signature is not by its own key, so it was changed or made without the key")
            }
            Self::SignatureUnchecked { reason } => {
                write!(out, "the request's signature cannot be checked here: {reason}")
            }
            Self::CommonNameOfOther { common_name, username } => {
                write!(out, "{username} asks for the common name {common_name:?}, which is another's")
            }
            Self::OtherGroups { organizations } => {
                write!(out, "it asks for the organization {}, which would be a group", quoted(organizations))
            }
            Self::NodesGroupMissing => {
                out.write_str("the subject's organization is not system:nodes, once")
            }
            Self::SubjectUnusual { subject } => {
                write!(out, "the subject is not as a kubelet writes it: {subject}")
            }
            Self::AuthorityWanted => {
                out.write_str("it asks to be an authority, or to sign certificates")
            }
            Self::OtherUsages { usages } => {
                write!(out, "its usages are not a serving certificate's: {}", usages.join(", "))
            }
            Self::OtherExtensions { numbers } => write!(
                out,
                "it asks for extensions or has attributes that no kubelet's has: {}",
                numbers.join(", ")
            ),
            Self::KeyWeak { key } => {
                write!(out, "a key of the kind {key} is too weak; RSA-2048 or ECDSA-P256 at least is needed")
            }
            Self::LifetimeUnusual { seconds } => {
                write!(out, "a lifetime of {seconds} s is asked for; 600 s to 366 days are usual")
            }
            Self::NoNames => out.write_str("it asks for no name and no address"),
            Self::TooManyNames { count } => {
                write!(out, "it asks for {count} names and addresses, more than any machine has")
            }
            Self::OtherKindOfName { name } => {
                write!(out, "{name} is neither a host's name nor its address")
            }
            Self::Wildcard { name } => write!(out, "{name:?} stands for many names"),
            Self::NameUnusual { name } => write!(
                out,
                "{name:?} is not as a host's name is written: small letters, digits, '-' and '.'"
            ),
            Self::AddressUnusual { address } => {
                write!(out, "{address} is an IPv4 address in the form of one of IPv6")
            }
            Self::LocalName { name } => write!(out, "{name} is what every machine calls itself"),
            Self::LocalAddress { address } => {
                write!(out, "{address} is no address at which others reach one machine")
            }
            Self::ServiceAddress { address, network } => {
                write!(out, "{address} is a service's address ({network})")
            }
            Self::ServiceNetworkUnknown => out.write_str(
                "which addresses services have is not known, as kube-apiserver's manifest on this node does not say it",
            ),
            Self::ServiceName { name } => write!(out, "{name} is a service's name in the cluster"),
            Self::ApiServerService { name } => {
                write!(out, "{name} is the API server's name in the cluster")
            }
            Self::ApiServerName { name } => write!(out, "{name} is a name of the API server"),
            Self::ApiServerAddress { address } => {
                write!(out, "{address} is an address of the API server, and not this node's own")
            }
            Self::NodeMissing { node } => write!(out, "there is no Node {node}"),
            Self::NodeGoing => out.write_str("the Node is being removed"),
            Self::NodeTooYoung { seconds } => write!(
                out,
                "the Node was made {seconds} s ago; it is looked at again when it has approver.node-age"
            ),
            Self::NotOfNode { name } => write!(out, "{name} is not in the Node's list of addresses"),
            Self::AlsoOfNode { name, node } => write!(out, "{name} is the Node {node}'s as well"),
            Self::TooManyNodes => {
                out.write_str("the cluster has more Nodes than are looked at, so whose an address is cannot be told")
            }
            Self::OutsideNetworks { address } => {
                write!(out, "{address} is in no network of approver.cidrs")
            }
            Self::OutsideNames { name } => write!(out, "{name} is none of approver.names"),
            Self::NotLookedUp { name } => write!(out, "where {name} leads was not looked up"),
            Self::LookupFailed { name, reason } => write!(out, "{name} leads nowhere: {reason}"),
            Self::LeadsElsewhere { name, address } => {
                write!(out, "{name} leads to {address}, which is not the Node's")
            }
            Self::RateReached { approved } => write!(
                out,
                "{approved} requests were approved within the last minute, as many as approver.rate allows"
            ),
            Self::NodeRateReached { approved } => {
                write!(out, "{approved} requests of this node were approved within the last hour")
            }
            Self::NewerRequest { name } => {
                write!(out, "the kubelet has asked again since ({name}) and waits for that")
            }
        }
    }
}

fn quoted(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    words.join(", ")
}
