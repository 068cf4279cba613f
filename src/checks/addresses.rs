//! Whether a filter of addresses in the daemon's unit (`IPAddressDeny=`) lets through what the daemon needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::cause::Cause;
use super::finding::{Finding, Severity};
use super::intent::Asked;
use crate::host::printable;
use crate::node::ServiceSetting;

/// Longer names are cut where they are shown.
const LONGEST_NAME: usize = 100;

/// For what kubecertd connects to an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// This node's API server.
    ApiServer,
    /// This node's etcd.
    Etcd,
    /// This node's kubelet.
    Kubelet,
    /// The health of another static pod, by its component.
    Pod(String),
    /// Where a certificate that is not kubeadm's is served, by its name.
    Certificate(String),
    /// The server that a kubeconfig names, by the kubeconfig's name.
    Server(String),
    /// An etcd that this node's API server uses.
    EtcdServer,
    /// Another control plane, by the name of its etcd member.
    Member(String),
    /// It tells the address of one of the above.
    NameServer,
}

impl fmt::Display for Purpose {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiServer => out.write_str("API server of this node"),
            Self::Etcd => out.write_str("etcd of this node"),
            Self::Kubelet => out.write_str("kubelet of this node"),
            Self::Pod(component) => write!(out, "health of {}", plain(component)),
            Self::Certificate(name) => write!(out, "server of the certificate {}", plain(name)),
            Self::Server(kubeconfig) => write!(out, "server of {}", plain(kubeconfig)),
            Self::EtcdServer => out.write_str("etcd of the API server"),
            Self::Member(name) => write!(out, "etcd member {}", plain(name)),
            Self::NameServer => out.write_str("name server"),
        }
    }
}

/// A name of others where it must be nothing but a name: letters, digits and `-._/` as they are, any other text in quotes and
/// escaped, so that it neither ends a line nor goes on in the next.
#[must_use]
pub fn plain(name: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._/".contains(letter);
    let short: String = name.chars().take(LONGEST_NAME).collect();
    if !short.is_empty() && short.len() == name.len() && short.chars().all(is_plain) {
        return short;
    }
    let cut = if short.len() < name.len() { "…" } else { "" };
    printable(&format!("{short:?}{cut}")).into_owned()
}

/// Addresses with what they are needed for; none of them is this machine's loopback.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addresses(BTreeMap<IpAddr, BTreeSet<Purpose>>);

impl Addresses {
    /// Adds one; the loopback and the wildcard, at which the same answers, are left out.
    pub fn add(&mut self, address: IpAddr, purpose: Purpose) {
        let address = address.to_canonical();
        if !address.is_loopback() && !address.is_unspecified() {
            self.0.entry(address).or_default().insert(purpose);
        }
    }

    /// Each address with what it is for, in words.
    pub fn described(&self) -> impl Iterator<Item = (IpAddr, String)> + '_ {
        self.0.iter().map(|(address, purposes)| {
            let purposes: Vec<String> = purposes.iter().map(Purpose::to_string).collect();
            (*address, purposes.join("; "))
        })
    }
}

/// A network: `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    length: u32,
}

impl Network {
    /// What a word of systemd's stands for (systemd.resource-control(5)); nothing for what systemd ignores.
    fn all_of(word: &str) -> Vec<Self> {
        let words: &[&str] = match word {
            "any" => &["0.0.0.0/0", "::/0"],
            "localhost" => &["127.0.0.0/8", "::1/128"],
            "link-local" => &["169.254.0.0/16", "fe80::/64"],
            "multicast" => &["224.0.0.0/4", "ff00::/8"],
            _ => return Self::parse(word).into_iter().collect(),
        };
        words.iter().filter_map(|word| Self::parse(word)).collect()
    }

    fn parse(word: &str) -> Option<Self> {
        let (address, length) = match word.split_once('/') {
            Some((address, length)) => (address, Some(length.parse().ok()?)),
            None => (word, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(longest);
        (length <= longest).then_some(Self { address, length })
    }

    fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differing = own.to_bits() ^ other.to_bits();
                differing.leading_zeros() >= self.length
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differing = own.to_bits() ^ other.to_bits();
                differing.leading_zeros() >= self.length
            }
            _ => false,
        }
    }
}

/// The filter of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressFilter {
    /// The file that denies something, the last of them.
    pub path: PathBuf,
    allowed: Vec<Network>,
    denied: Vec<Network>,
}

impl AddressFilter {
    /// What the settings of a unit say together; `None` where nothing is denied.
    #[must_use]
    pub fn of(settings: &[ServiceSetting]) -> Option<Self> {
        let (mut allowed, mut denied, mut path) = (Vec::new(), Vec::new(), None);
        for ServiceSetting {
            path: file,
            key,
            value,
        } in settings
        {
            let networks = match key.as_str() {
                "IPAddressAllow" => &mut allowed,
                "IPAddressDeny" => {
                    path = Some(file);
                    &mut denied
                }
                _ => continue,
            };
            if value.is_empty() {
                networks.clear();
            }
            networks.extend(value.split_whitespace().flat_map(Network::all_of));
        }
        Some(Self {
            path: path.filter(|_| !denied.is_empty())?.clone(),
            allowed,
            denied,
        })
    }

    /// Whether packets from and to the address get through: what is allowed does, whatever is denied.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let holds = |networks: &[Network]| networks.iter().any(|one| one.holds(address));
        holds(&self.allowed) || !holds(&self.denied)
    }
}

/// What follows from a filter, the addresses that are needed now and what is not known of either. Only said: what cannot be
/// reached says so itself when it is asked.
#[must_use]
pub fn judge_addresses(
    filter: &AddressFilter,
    needed: &Addresses,
    unknown: &[String],
) -> Vec<Finding> {
    let missing: Vec<String> = needed
        .described()
        .filter(|(address, _)| !filter.allows(*address))
        .map(|(address, purposes)| format!("{address} ({purposes})"))
        .collect();
    let warn = |cause| Finding::new(cause, Severity::Warn, Asked::BySchedule);
    let filter = &filter.path;
    let denied = (!missing.is_empty()).then(|| Cause::AddressDenied {
        filter: filter.clone(),
        addresses: missing,
    });
    let unknown = unknown.iter().map(|reason| Cause::AddressUnknown {
        filter: filter.clone(),
        reason: reason.clone(),
    });
    denied.into_iter().chain(unknown).map(warn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn filter(settings: &[(&str, &str)]) -> Option<AddressFilter> {
        let settings: Vec<ServiceSetting> = settings
            .iter()
            .enumerate()
            .map(|(at, (key, value))| ServiceSetting {
                path: PathBuf::from(format!("/{at}.conf")),
                key: (*key).to_owned(),
                value: (*value).to_owned(),
            })
            .collect();
        AddressFilter::of(&settings)
    }

    #[test]
    fn a_filter_is_read_as_systemd_reads_it() {
        assert_eq!(filter(&[("IPAddressAllow", "10.0.0.1")]), None);
        assert_eq!(
            filter(&[("IPAddressDeny", "any"), ("IPAddressDeny", "")]),
            None
        );
        let some = filter(&[
            ("IPAddressAllow", "10.0.0.9"),
            ("IPAddressAllow", ""),
            ("IPAddressDeny", "any"),
            ("IPAddressAllow", "localhost 10.1.0.0/16 # 10.3.0.1 no/8"),
            ("IPAddressAllow", "fd00::/64 10.2.0.1 10.4.0.1/33"),
        ])
        .unwrap();
        assert_eq!(some.path, PathBuf::from("/2.conf"));
        for address in ["127.1.2.3", "::1", "10.1.255.255", "10.2.0.1", "fd00::1:2"] {
            assert!(some.allows(ip(address)), "{address}");
        }
        for address in [
            "10.0.0.9",
            "10.2.0.2",
            "10.4.0.1",
            "fd00:0:0:1::1",
            "1.1.1.1",
        ] {
            assert!(!some.allows(ip(address)), "{address}");
        }
        let one = filter(&[("IPAddressDeny", "10.0.0.0/8 link-local")]).unwrap();
        assert!(one.allows(ip("192.0.2.1")) && one.allows(ip("fd00::1")));
        assert!(!one.allows(ip("10.9.9.9")) && !one.allows(ip("fe80::1")));
    }

    #[test]
    fn what_is_needed_and_not_allowed_is_said_with_what_it_is_for() {
        let filter = filter(&[
            ("IPAddressDeny", "any"),
            ("IPAddressAllow", "localhost 10.0.0.11"),
        ])
        .unwrap();
        let mut needed = Addresses::default();
        needed.add(ip("10.0.0.11"), Purpose::ApiServer);
        needed.add(ip("127.0.0.1"), Purpose::Etcd);
        assert_eq!(judge_addresses(&filter, &needed, &[]), []);
        needed.add(ip("10.0.0.13"), Purpose::Member("cp3".to_owned()));
        let unknown = "api.example has no address".to_owned();
        let found = judge_addresses(&filter, &needed, &[unknown]);
        assert_eq!(found.len(), 2);
        assert!(
            found
                .iter()
                .all(|finding| finding.severity == Severity::Warn)
        );
        assert!(
            found[0].to_string().starts_with(
                "the address filter in /0.conf does not allow 10.0.0.13 (etcd member cp3); run `kubecertd generate address-filter`"
            ),
            "{}",
            found[0]
        );
        assert!(found[1].cause.is_unknown() && found[1].to_string().contains("api.example"));
    }

    #[test]
    fn loopback_and_wildcard_need_no_line_and_mapped_addresses_are_what_they_map() {
        let mut needed = Addresses::default();
        for address in ["0.0.0.0", "::", "127.0.0.53", "::1", "::ffff:127.0.0.1"] {
            needed.add(ip(address), Purpose::NameServer);
        }
        assert_eq!(needed, Addresses::default());
        needed.add(ip("::ffff:10.0.0.1"), Purpose::NameServer);
        needed.add(ip("10.0.0.1"), Purpose::ApiServer);
        assert_eq!(
            needed.described().collect::<Vec<_>>(),
            [(
                ip("10.0.0.1"),
                "API server of this node; name server".to_owned()
            )]
        );
    }

    #[test]
    fn names_of_others_stay_names() {
        for (name, shown) in [
            ("cp-3.example/x", "cp-3.example/x"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            (
                "a\n[Service]\nIPAddressAllow=any",
                r#""a\n[Service]\nIPAddressAllow=any""#,
            ),
            ("a\\", r#""a\\""#),
            ("a\u{202e}", r#""a\u{202e}""#),
            ("a\u{2028}", r#""a\u{2028}""#),
        ] {
            let told = plain(name);
            assert_eq!(told, shown);
        }
        assert!(plain(&"a".repeat(1_000_000)).len() < 200);
    }
}
