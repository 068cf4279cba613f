//! The drop-in by which systemd lets the daemon reach what it needs and nothing else.

use jiff::Timestamp;

use crate::checks::{Addresses, plain};

/// The drop-in, as it was right on `node` at `at`. Its assignments have nothing in them but addresses; what others have named
/// is in comments, escaped.
#[must_use]
pub fn address_filter(addresses: &Addresses, node: Option<&str>, at: Timestamp) -> String {
    let node = node.map_or_else(|| "this node".to_owned(), plain);
    let mut text = format!(
        "# What kubecertd.service may reach: this node's components, the servers of its kubeconfigs, the other control planes.\n\
         # Whatever else it was made to connect to, systemd keeps the packets from getting there.\n\
         # Install it as /etc/systemd/system/kubecertd.service.d/address-filter.conf; then `systemctl daemon-reload` and \
         `systemctl restart kubecertd`.\n\
         # Make it again when a control plane joins or an address changes: `kubecertd preflight` says when it is out of date.\n\
         # Made by `kubecertd generate address-filter` on {node}, {}.\n\
         [Service]\n\
         IPAddressDeny=any\n\
         IPAddressAllow=localhost\n",
        at.strftime("%Y-%m-%dT%H:%M:%SZ")
    );
    for (address, purposes) in addresses.described() {
        text.push_str(&format!("# {purposes}.\nIPAddressAllow={address}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Purpose;

    #[test]
    fn each_address_has_its_line_and_above_it_what_it_is_for() {
        let mut addresses = Addresses::default();
        for (address, purpose) in [
            ("10.0.0.11", Purpose::ApiServer),
            ("10.0.0.11", Purpose::Etcd),
            ("fd00::13", Purpose::Member("cp3".to_owned())),
        ] {
            addresses.add(address.parse().unwrap(), purpose);
        }
        let at = "2026-11-26T10:00:00.5Z".parse().unwrap();
        let text = address_filter(&addresses, Some("cp1"), at);
        let (what, rules) = text.split_once("[Service]\n").unwrap();
        assert!(what.lines().all(|line| line.starts_with("# ")));
        assert!(what.ends_with("on cp1, 2026-11-26T10:00:00Z.\n"), "{what}");
        assert_eq!(
            rules,
            "IPAddressDeny=any\nIPAddressAllow=localhost\n\
             # API server of this node; etcd of this node.\nIPAddressAllow=10.0.0.11\n\
             # etcd member cp3.\nIPAddressAllow=fd00::13\n"
        );
    }

    #[test]
    fn names_of_others_end_no_comment() {
        let hostile = "x\n[Service]\nExecStart=/bin/evil %i\\";
        let mut addresses = Addresses::default();
        let address = "10.0.0.1".parse().unwrap();
        for purpose in [Purpose::Member, Purpose::Pod, Purpose::Server] {
            addresses.add(address, purpose(hostile.to_owned()));
        }
        let text = address_filter(&addresses, Some(hostile), Timestamp::UNIX_EPOCH);
        let rules: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with("# "))
            .collect();
        assert_eq!(
            rules,
            [
                "[Service]",
                "IPAddressDeny=any",
                "IPAddressAllow=localhost",
                "IPAddressAllow=10.0.0.1"
            ]
        );
        assert!(!text.lines().any(|line| line.ends_with('\\')), "{text}");
    }
}
