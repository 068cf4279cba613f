//! Made-up keys and certificates, used nowhere.

pub(crate) const CERTIFICATE: &str = include_str!("../../tests/data/kubeadm/apiserver.crt");
pub(crate) const KEY: &str = include_str!("../../tests/data/kubeadm/apiserver.key");
pub(crate) const OTHER_CERTIFICATE: &str = include_str!("../../tests/data/kubeadm/etcd-server.crt");
pub(crate) const OTHER_KEY: &str = include_str!("../../tests/data/keys/p384-pkcs8.pem");
