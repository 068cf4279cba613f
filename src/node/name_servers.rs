//! The name servers that the standard resolver asks, resolv.conf(5).

use std::net::IpAddr;

use super::Problem;
use super::read;
use crate::host::Root;

const FILE: &str = "/etc/resolv.conf";

/// The name servers of the node. None where there is no such file: then the resolver asks this machine.
///
/// # Errors
/// The file cannot be read.
pub fn name_servers(root: &Root) -> Result<Vec<IpAddr>, Problem> {
    let path = root.join(FILE);
    match read::find_text(root, &path) {
        Ok(text) => Ok(text.map_or_else(Vec::new, |text| named(&text))),
        Err(fault) => Err(Problem { path, fault }),
    }
}

/// `nameserver 10.0.0.2`, `nameserver fe80::1%eth0`; the interface is left out.
fn named(text: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| {
            // The resolver itself wants the word at the beginning of the line.
            let rest = line.strip_prefix("nameserver")?;
            let address = rest
                .starts_with([' ', '\t'])
                .then(|| rest.split_whitespace().next())??;
            address.split('%').next()?.parse().ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_as_the_resolver_reads_them() {
        let text = "# nameserver 1.1.1.1\nsearch example\nnameserver 10.0.0.2 \nnameserver\tfe80::1%eth0\n\
                    nameserver\nnameserver10.0.0.3\nnameserver no\n; nameserver 1.1.1.2\noptions edns0\n";
        let expected: Vec<IpAddr> = vec!["10.0.0.2".parse().unwrap(), "fe80::1".parse().unwrap()];
        assert_eq!(named(text), expected);
    }
}
