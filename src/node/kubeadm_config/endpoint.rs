//! Where a control plane is reached.

use std::net::IpAddr;

use super::names::{canonical, is_dns_name};
use crate::pki::SubjectAltName;

/// `controlPlaneEndpoint`: a name or address, perhaps with a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) host: SubjectAltName,
    pub(super) port: Option<u16>,
}

impl Endpoint {
    /// # Errors
    /// Why it is none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no endpoint; write NAME, NAME:PORT, ADDRESS:PORT or [ADDRESS]:PORT"
            )
        };
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self {
                host: SubjectAltName::Ip(canonical(address)),
                port: None,
            });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => {
                let port: u16 = port.parse().map_err(|_| wrong())?;
                (host, Some(port).filter(|port| *port > 0).ok_or_else(wrong)?)
            }
            None => return Self::named(text, None).ok_or_else(wrong),
        };
        Self::named(host, Some(port)).ok_or_else(wrong)
    }

    fn named(host: &str, port: Option<u16>) -> Option<Self> {
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let host = match bare.parse::<IpAddr>() {
            // Without brackets the last part of an address cannot be told from a port.
            Ok(IpAddr::V6(_)) if bare == host && port.is_some() => return None,
            Ok(address) => SubjectAltName::Ip(canonical(address)),
            Err(_) if is_dns_name(bare) && bare == host => SubjectAltName::Dns(bare.to_owned()),
            Err(_) => return None,
        };
        Some(Self { host, port })
    }
}

/// The URL of a server.
pub(super) fn url(host: &SubjectAltName, port: u16) -> String {
    match host {
        SubjectAltName::Ip(IpAddr::V6(address)) => format!("https://[{address}]:{port}"),
        SubjectAltName::Ip(IpAddr::V4(address)) => format!("https://{address}:{port}"),
        SubjectAltName::Dns(name) | SubjectAltName::Email(name) | SubjectAltName::Uri(name) => {
            format!("https://{name}:{port}")
        }
        SubjectAltName::Other(_) => String::new(),
    }
}
