//! What can be made by its name.

use crate::credentials::member::Member;
use crate::node::ControlPlane;
use crate::pki::AuthorityId;

/// One thing of a control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// An authority: its certificate and key.
    Authority(AuthorityId),
    /// The key pair that signs tokens of service accounts.
    ServiceAccount,
    /// One of the credentials.
    Member(Member),
}

const SERVICE_ACCOUNT: &str = "sa";

impl Target {
    /// kubeadm's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Authority(authority) => authority.name(),
            Self::ServiceAccount => SERVICE_ACCOUNT,
            Self::Member(member) => member.name(),
        }
    }

    /// Those that a name stands for: `all` for all of the certificates directory, as `kubeadm init phase certs all`, and `kubeconfigs`
    /// for all kubeconfigs, as `kubeadm init phase kubeconfig all`. What etcd needs is left out where it runs elsewhere.
    ///
    /// # Errors
    /// The names there are.
    pub fn named(name: &str, control_plane: &ControlPlane) -> Result<Vec<Self>, String> {
        let all = Self::all();
        let is_needed = |target: &Self| !(control_plane.external_etcd && target.is_of_etcd());
        let is_kubeconfig =
            |target: &Self| matches!(target, Self::Member(member) if member.is_kubeconfig());
        match name {
            "all" => Ok(all
                .into_iter()
                .filter(|target| !is_kubeconfig(target) && is_needed(target))
                .collect()),
            "kubeconfigs" => Ok(all.into_iter().filter(is_kubeconfig).collect()),
            _ => match all.iter().find(|target| target.name() == name) {
                Some(target) if is_needed(target) => Ok(vec![*target]),
                Some(_) => Err(format!(
                    "{name} is not made here: the configuration has an external etcd"
                )),
                None => {
                    let names: Vec<&str> = all.iter().map(|target| target.name()).collect();
                    Err(format!(
                        "{name:?} is none of all, kubeconfigs, {}",
                        names.join(", ")
                    ))
                }
            },
        }
    }

    fn all() -> Vec<Self> {
        let authorities = AuthorityId::ALL.into_iter().map(Self::Authority);
        let members = Member::all().into_iter().map(Self::Member);
        authorities
            .chain([Self::ServiceAccount])
            .chain(members)
            .collect()
    }

    fn is_of_etcd(self) -> bool {
        match self {
            Self::Authority(authority) => authority == AuthorityId::Etcd,
            Self::ServiceAccount => false,
            Self::Member(member) => member.is_of_etcd(),
        }
    }
}
