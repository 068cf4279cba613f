//! A slot at a FleetLock server: the lock that Zincati takes before it reboots a machine, so that no reboot and no renewal fall
//! together.
//!
//! The server keeps a slot for an id until the same id gives it back; it never expires. Taking it twice is taking it once, and giving
//! back what one does not have is no error. So a slot is kept over a crash, and given back at every start that finds nothing
//! unfinished, and after each operation.
//!
//! What this does not do: over plain http any machine on the way can answer, and a server that lies can let two nodes in or none. It is
//! one lock more, never the only one; the operation that waits for it must not wait past the end of a certificate.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::config::Turn;
use crate::host::{Root, application_id, printable};
use crate::net::{
    Address, Anchors, Answer, HttpError, Security, Server, authorities_in, http, parse_url,
    system_authorities,
};

/// kubecertd's own, by which a machine's id here differs from that at other programs.
const APPLICATION: [u8; 16] = 0xa825_9cc9_cce5_4940_8f15_3818_ab7f_18e6_u128.to_be_bytes();
/// A server may have to ask others before it answers; besides connecting.
const ANSWER_BOUND: Duration = Duration::from_secs(10);
/// So much of what it says is shown; letters.
const MOST_SHOWN: usize = 200;

const TAKE: &str = "/v1/pre-reboot";
const GIVE_BACK: &str = "/v1/steady-state";

/// Why there is no slot, or why it was not given back.
#[derive(
    Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "kebab-case")]
pub enum FleetLockError {
    /// The server says no, for now: others have all slots of the group, as a rule.
    #[error("FleetLock at {url} gives no slot now ({kind}): {value}; it is asked again later")]
    FleetLockRefused {
        /// The server.
        url: String,
        /// The server's own code for it.
        kind: String,
        /// The server's own words.
        value: String,
    },
    /// No answer.
    #[error("FleetLock cannot be reached at {url}: {reason}; see whether it runs")]
    FleetLockUnreachable {
        /// The server.
        url: String,
        /// What was seen instead.
        reason: String,
    },
    /// What answers cannot be verified, or nothing is there to verify it by.
    #[error("FleetLock at {url} cannot be verified: {reason}; see turn.fleet-lock-ca")]
    FleetLockUnverified {
        /// The server.
        url: String,
        /// Why.
        reason: String,
    },
    /// What answers is no FleetLock server.
    #[error("what answers at {url} is no FleetLock server: {reason}; see turn.fleet-lock-url")]
    FleetLockNotUnderstood {
        /// The server.
        url: String,
        /// What it answers.
        reason: String,
    },
}

impl FleetLockError {
    /// Its code, which never changes; `docs/codes.md` lists the codes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// Whether the server itself said no; otherwise it is not known whether it would.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::FleetLockRefused { .. })
    }
}

/// A slot at a server, for one id in one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetLock {
    url: String,
    https: bool,
    address: Address,
    path: String,
    authorities: Option<PathBuf>,
    body: String,
}

/// What a node is called at the server: its name, for administrators who look, and an id made from its machine-id, since one server may
/// serve clusters whose nodes have the same names.
///
/// It is not the id that Zincati has on the same machine, on purpose: the server would take both for one. Zincati could then reboot
/// the node in the middle of a renewal, and would give the slot back at its own start; and servers that drain the nodes whose
/// Zincati asks would drain this one.
///
/// # Errors
/// The machine-id cannot be read.
pub fn slot_id(root: &Root, node: &str) -> std::io::Result<String> {
    let machine = application_id(root, APPLICATION)?;
    Ok(format!("kubecertd-{node}-{machine}"))
}

impl FleetLock {
    /// As configured; `None` where no server is. `id` is [`slot_id`]'s: it must be the same in every life of this node.
    #[must_use]
    pub fn new(turn: &Turn, id: &str) -> Option<Self> {
        let url = turn.fleet_lock_url.clone()?;
        let (https, address, path) = parse_url(&url)?;
        let body = json!({"client_params": {"id": id, "group": turn.fleet_lock_group}});
        Some(Self {
            url,
            https,
            address,
            path,
            authorities: turn.fleet_lock_ca.clone(),
            body: body.to_string(),
        })
    }

    /// Takes the slot, or finds that this node has it already. Takes at most sixteen seconds.
    ///
    /// # Errors
    /// [`FleetLockError`]. If it is not a refusal the slot may have been taken all the same: give it back unless it is asked for again.
    pub async fn acquire(&self) -> Result<(), FleetLockError> {
        self.post(TAKE).await
    }

    /// Gives the slot back, or finds that this node has none. Takes at most sixteen seconds.
    ///
    /// # Errors
    /// [`FleetLockError`]: the slot may still be this node's, so that others wait until it was given back.
    pub async fn release(&self) -> Result<(), FleetLockError> {
        self.post(GIVE_BACK).await
    }

    async fn post(&self, call: &str) -> Result<(), FleetLockError> {
        let (url, host) = (self.url.clone(), &self.address.host);
        let authorities = match (self.https, &self.authorities) {
            (false, _) => Ok(Vec::new()),
            (true, Some(path)) => authorities_in(path),
            (true, None) => system_authorities(),
        };
        let authorities = authorities.map_err(|reason| FleetLockError::FleetLockUnverified {
            url: url.clone(),
            reason,
        })?;
        let security = if self.https {
            Security::Verified {
                anchors: Anchors {
                    authorities: &authorities,
                    exactly: None,
                },
                server_name: host,
                identity: None,
            }
        } else {
            Security::Plain
        };
        let server = Server {
            address: &self.address,
            security,
        };
        let path = format!("{}{call}", self.path);
        let header = ("fleet-lock-protocol", "true");
        match http::post_with(server, &path, &self.body, header, ANSWER_BOUND).await {
            Ok(answer) if answer.status == 200 => Ok(()),
            Ok(answer) => Err(refusal(url, &answer)),
            Err(error) => Err(no_answer(url, &error)),
        }
    }
}

#[derive(Deserialize)]
struct Refusal {
    kind: String,
    value: String,
}

fn refusal(url: String, answer: &Answer) -> FleetLockError {
    match serde_json::from_str::<Refusal>(&answer.body) {
        Ok(Refusal { kind, value }) => FleetLockError::FleetLockRefused {
            url,
            kind: shown(&kind),
            value: shown(&value),
        },
        Err(_) => FleetLockError::FleetLockNotUnderstood {
            url,
            reason: shown(&answer.describe()),
        },
    }
}

fn no_answer(url: String, error: &HttpError) -> FleetLockError {
    let reason = shown(&error.to_string());
    match error {
        _ if error.is_unreachable() => FleetLockError::FleetLockUnreachable { url, reason },
        HttpError::Tls(_) => FleetLockError::FleetLockUnverified { url, reason },
        HttpError::NoResponse { .. } | HttpError::TooLong { .. } => {
            FleetLockError::FleetLockNotUnderstood { url, reason }
        }
    }
}

fn shown(text: &str) -> String {
    let text: String = text.chars().take(MOST_SHOWN).collect();
    printable(&text).into_owned()
}
