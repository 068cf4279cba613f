//! Connections: addresses, TLS that remembers what the server showed and whether it proved to have the key, HTTP/1.1.

mod address;
mod default_address;
pub(crate) mod http;
mod system_authorities;
mod tls;
mod together;
mod witness;
mod words;

pub use address::Address;
pub(crate) use address::parse_url;
pub use default_address::default_address;
pub(crate) use http::{Answer, HttpError, Security, Server, connect_http2, printable};
pub(crate) use system_authorities::{authorities_in, system_authorities};
pub use tls::{Identity, IdentityError, Served, TlsError, handshake};
pub(crate) use tls::{STEP_BOUND, authorities_from_pem};
pub(crate) use together::together;
pub(crate) use witness::Anchors;
