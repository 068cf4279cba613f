//! Where something listens.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;

/// A host and port to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// IP address (without brackets) or name.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

/// The address and the rest of a URL: (https, address, path).
pub(crate) fn parse_url(url: &str) -> Option<(bool, Address, String)> {
    let uri = Uri::from_str(url.trim()).ok()?;
    let https = uri.scheme_str()? == "https";
    let host = uri.host()?.trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    Some((
        https,
        Address { host, port },
        uri.path().trim_end_matches('/').to_owned(),
    ))
}
