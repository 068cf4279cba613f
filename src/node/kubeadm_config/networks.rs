//! Networks of a cluster.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The first address of the first of several networks (`a,b` for two families), which the API server's service has.
///
/// # Errors
/// Why it is none.
pub(crate) fn first_service_address(networks: &str) -> Result<IpAddr, String> {
    let wrong = || format!("{networks:?} is no network; write 10.96.0.0/12, or two with a comma");
    let all: Vec<&str> = networks.split(',').map(str::trim).collect();
    if all.len() > 2 {
        return Err(format!("{networks:?} has more than two networks"));
    }
    let mut addresses = Vec::new();
    for network in all {
        let (address, length) = network.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let length: u8 = length.parse().map_err(|_| wrong())?;
        addresses.push(second_address(address, length).ok_or_else(wrong)?);
    }
    addresses.into_iter().next().ok_or_else(wrong)
}

/// The address after the network's own. kubeadm wants room for ten services at least.
fn second_address(address: IpAddr, length: u8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) if length <= 28 => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            let first = u32::from(address) & mask;
            Some(Ipv4Addr::from(first.checked_add(1)?).into())
        }
        IpAddr::V6(address) if length <= 124 => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            let first = u128::from(address) & mask;
            Some(Ipv6Addr::from(first.checked_add(1)?).into())
        }
        _ => None,
    }
}
