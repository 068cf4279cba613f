//! Addresses that members say of themselves: text that other nodes write.

use crate::net::{Address, parse_url};

/// No URL of a member is longer; bytes.
const LONGEST: usize = 512;
/// So many of a member's URLs are looked at.
const MOST_URLS: usize = 8;

/// Where a member is asked: the first of its client URLs that is `https://HOST:PORT` and no more.
///
/// # Errors
/// In words, why there is none. Over plain http nothing is verified, and no certificate is shown.
pub(crate) fn client_address(urls: &[String]) -> Result<Address, String> {
    if urls.is_empty() {
        return Err("it says of itself no URL for clients".to_owned());
    }
    let mut reason = None;
    for url in urls.iter().take(MOST_URLS) {
        match parse(url) {
            Ok(address) => return Ok(address),
            Err(why) => {
                let shown: String = url.chars().take(80).collect();
                reason = reason.or_else(|| Some(format!("its client URL {shown:?} {why}")));
            }
        }
    }
    Err(reason.unwrap_or_default())
}

fn parse(url: &str) -> Result<Address, &'static str> {
    if url.len() > LONGEST {
        return Err("is too long");
    }
    let Some(rest) = url.strip_prefix("https://") else {
        return Err(if url.starts_with("http://") {
            "is plain http, by which it cannot be verified"
        } else {
            "is not https://HOST:PORT"
        });
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let odd = |letter: char| !letter.is_ascii_alphanumeric() && !"-._:[]".contains(letter);
    let address = match parse_url(url) {
        Some((true, address, path)) if path.is_empty() && !authority.contains(odd) => address,
        _ => return Err("is not https://HOST:PORT"),
    };
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse() == Ok(address.port));
    if address.host.is_empty() || address.port == 0 || !has_port {
        return Err("is not https://HOST:PORT");
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn of(url: &str) -> Result<String, String> {
        client_address(&[url.to_owned()]).map(|address| address.to_string())
    }

    #[test]
    fn only_https_with_host_and_port_is_asked() {
        for url in [
            "https://10.0.0.1:2379",
            "https://[fd00::1]:2379",
            "https://cp-1.lan:1",
        ] {
            assert_eq!(format!("https://{}", of(url).unwrap()), url);
        }
        assert_eq!(of("https://10.0.0.1:2379/").unwrap(), "10.0.0.1:2379");
        for wrong in [
            "",
            "10.0.0.1:2379",
            "http://10.0.0.1:2379",
            "HTTP://10.0.0.1:2379",
            "unix://etcd:2379",
            "https://10.0.0.1",
            "https://10.0.0.1:0",
            "https://10.0.0.1:99999",
            "https://:2379",
            "https://root@10.0.0.1:2379",
            "https://10.0.0.1:2379@evil.example:443",
            "https://10.0.0.1:2379/v3",
            "https://10.0.0.1:2379//",
            "https://10.0.0.1:2379?x",
            "https://10.0.0.1:2379#x",
            "https://10.0.0.1:2379 ",
            "https://10.0.0.1:2379\r\nHost: x",
            "https://\u{1b}[2J:2379",
            "https://f\u{f6}\u{f6}:2379",
        ] {
            let reason = of(wrong).unwrap_err();
            assert!(!reason.contains(char::is_control), "{reason}");
        }
        assert!(of(&format!("https://{}:2379", "a".repeat(600))).is_err());
    }

    #[test]
    fn the_first_that_can_be_asked_is_taken() {
        let urls = ["http://10.0.0.1:2379", "https://10.0.0.2:2379"].map(str::to_owned);
        assert_eq!(client_address(&urls).unwrap().to_string(), "10.0.0.2:2379");
        let reason = client_address(&urls[..1]).unwrap_err();
        assert!(reason.contains("plain http"), "{reason}");
        assert!(client_address(&[]).is_err());
        let many = vec!["https://x".to_owned(); 100_000];
        assert!(client_address(&many).is_err());
    }
}
