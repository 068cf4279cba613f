//! The address by which this machine speaks to others.

use std::net::{IpAddr, UdpSocket};

/// Networks for documentation (RFC 5737, RFC 3849): never this machine's own, so the default route leads there.
const ELSEWHERE: [(&str, &str); 2] = [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")];

/// The source address of the default route, IPv4 before IPv6; `None` where there is no such route. The kernel is asked, and
/// nothing is sent.
#[must_use]
pub fn default_address() -> Option<IpAddr> {
    ELSEWHERE.iter().find_map(|(from, to)| {
        let socket = UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        let address = socket.local_addr().ok()?.ip();
        (!address.is_loopback() && !address.is_unspecified()).then_some(address)
    })
}
