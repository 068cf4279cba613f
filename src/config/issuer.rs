//! `[issuer.NAME]`: who signs where this node has no CA key.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::pki::AuthorityId;

/// Who signs where this node has no CA key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Issuers {
    /// `[issuer.files]`
    pub files: RequestFiles,
    /// `[issuer.NAME]` with a command, by name.
    pub commands: BTreeMap<String, IssuerCommand>,
}

/// `[issuer.files]`: requests as files, for whoever signs them elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestFiles {
    /// `enabled`
    pub enabled: bool,
    /// `lead`: so long before a certificate ends its request is written, 45 d; never later than its renewal is due.
    pub lead: Duration,
}

impl Default for RequestFiles {
    fn default() -> Self {
        Self {
            enabled: true,
            lead: Duration::from_secs(45 * 86_400),
        }
    }
}

/// `[issuer.NAME]`: a program that is given the request and answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerCommand {
    /// `command`: the program, an absolute path, and its arguments.
    pub command: Vec<String>,
    /// `authorities`: for which CAs it answers; all whose key is not on this node.
    pub authorities: Vec<AuthorityId>,
    /// `time-limit`: how long one call may take, 60 s.
    pub time_limit: Duration,
}

impl Default for IssuerCommand {
    /// What a table that says nothing yet has. `command` has to be said.
    fn default() -> Self {
        Self {
            command: Vec::new(),
            authorities: AuthorityId::ALL.to_vec(),
            time_limit: Duration::from_secs(60),
        }
    }
}

impl Issuers {
    /// Whether certificates of that CA are asked for where its key is not on this node.
    #[must_use]
    pub fn asks(&self, authority: AuthorityId) -> bool {
        self.files.enabled || self.command_for(authority).is_some()
    }

    /// So long before the end of a certificate its request is written: a program answers soon, so it is not asked before the renewal is
    /// due.
    #[must_use]
    pub fn lead(&self, authority: AuthorityId) -> Duration {
        match self.command_for(authority) {
            Some(_) => Duration::ZERO,
            None => self.files.lead,
        }
    }

    /// The program that answers for that CA, and its name: the first by name, if there are several.
    #[must_use]
    pub fn command_for(&self, authority: AuthorityId) -> Option<(&str, &IssuerCommand)> {
        self.commands
            .iter()
            .find(|(_, issuer)| issuer.authorities.contains(&authority))
            .map(|(name, issuer)| (name.as_str(), issuer))
    }
}
