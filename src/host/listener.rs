//! Whose process listens on a TCP port of this machine, as the kernel shows it.
//!
//! Any local user can listen on a port that is free, and answer there in another's place.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Listening sockets come first in the kernel's lists; what follows them is not read. Bytes.
const LIMIT: u64 = 4 * 1024 * 1024;
/// A socket that listens (include/net/tcp_states.h).
const LISTENING: &str = "0A";

/// The users whose processes listen where a connection to `address` would end; none where nobody does.
///
/// # Errors
/// When the kernel does not show it, or shows it otherwise than it is known to.
pub fn listeners(address: SocketAddr) -> io::Result<Vec<u32>> {
    let mut all = Vec::new();
    for list in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        match File::open(list) {
            Ok(file) => all.extend(listening(file.take(LIMIT))?),
            // A kernel without IPv6.
            Err(error) if list.ends_with('6') && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let of = |host: &dyn Fn(IpAddr) -> bool| -> Vec<u32> {
        all.iter()
            .filter(|(bound, _)| bound.port() == address.port() && host(plain(bound.ip())))
            .map(|(_, user)| *user)
            .collect()
    };
    let exact = of(&|host| host == plain(address.ip()));
    Ok(if exact.is_empty() {
        of(&|host| host.is_unspecified())
    } else {
        exact
    })
}

/// An IPv4 address inside an IPv6 one is that address.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The listening sockets at the beginning of a list, each with its user.
fn listening(list: impl io::Read) -> io::Result<Vec<(SocketAddr, u32)>> {
    let strange = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the kernel's list of sockets is strange",
        )
    };
    let mut found = Vec::new();
    for line in BufReader::new(list).lines().skip(1) {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, state, _, _, _, user, ..] = words.as_slice() else {
            return Err(strange());
        };
        if *state != LISTENING {
            break;
        }
        let socket = socket(local).ok_or_else(strange)?;
        found.push((socket, user.parse().map_err(|_| strange())?));
    }
    Ok(found)
}

/// `0100007F:2808`: the address in words of the machine's own byte order, the port as people write it.
fn socket(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |index: usize| -> Option<[u8; 4]> {
        let digits = host.get(index * 8..index * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let host = match host.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?))
        }
        _ => return None,
    };
    Some(SocketAddr::new(host, port))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_listener_of_a_port_and_no_connection_is_found() {
        let own = nix::unistd::geteuid().as_raw();
        for host in ["127.0.0.1", "0.0.0.0"] {
            let listener = TcpListener::bind((host, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let _client = std::net::TcpStream::connect(address).unwrap();
            assert_eq!(listeners(address).unwrap(), [own], "{host}");
            drop(listener);
            // A program that another test starts at this moment has it open until it runs.
            let is_gone = (0..500).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                listeners(address).unwrap().is_empty()
            });
            assert!(is_gone, "{host}");
        }
    }

    #[test]
    fn the_kernels_lists_are_read_up_to_the_first_connection() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                    0: 0100007F:2808 00000000:0000 0A 00000000:00000000 00:00000000 00000000   998        0 1 1 0 100\n   \
                    1: 00000000000000000000000001000000:2808 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n   \
                    2: 0100007F:2808 0100007F:8888 01 00000000:00000000 00:00000000 00000000     7        0 1 1\n";
        let found = listening(text.as_bytes()).unwrap();
        let of = |text: &str| -> SocketAddr { text.parse().unwrap() };
        assert_eq!(
            found,
            [(of("127.0.0.1:10248"), 998), (of("[::1]:10248"), 0)]
        );
        assert!(listening(&b"x\n 0: nonsense\n"[..]).is_err());
        assert!(listening(&b"x\n 0: 01:x 00:0 0A a b c 7\n"[..]).is_err());
    }
}
