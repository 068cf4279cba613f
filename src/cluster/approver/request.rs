//! What the API says of a request, within bounds.

use jiff::Timestamp;

use crate::api::SigningRequestObject;

/// The signer of kubelets' serving certificates.
pub const SERVING: &str = "kubernetes.io/kubelet-serving";
/// What comes before a node's name in its user name.
const NODE_USER: &str = "system:node:";
/// A kubelet's request has less than a tenth of it, also with an RSA key of 8192 bits; bytes.
const LONGEST_TEXT: usize = 16 << 10;
/// The API takes no longer names; bytes.
const LONGEST_NAME: usize = 253;
/// A kubelet has two groups and three usages.
const MOST_WORDS: usize = 32;
/// No user, group or usage that counts is longer; bytes.
const LONGEST_WORD: usize = 512;

/// A request for a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletRequest {
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.creationTimestamp`, by the API server's clock.
    pub created: Option<Timestamp>,
    /// `spec.signerName`
    pub signer: String,
    /// Who asked, as the API server authenticated it.
    pub username: String,
    /// His groups.
    pub groups: Vec<String>,
    /// `spec.usages`
    pub usages: Vec<String>,
    /// `spec.expirationSeconds`
    pub expiration_seconds: Option<i32>,
    /// `spec.request`
    pub text: RequestText,
    /// What became of it.
    pub state: RequestState,
    /// Whether there are more groups or usages, or longer ones, than were taken.
    pub has_more: bool,
}

/// The request itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestText {
    /// What should be PEM.
    Text(Vec<u8>),
    /// More bytes than are looked at.
    TooLong(usize),
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestState {
    /// Nothing yet.
    Pending,
    /// It was approved, for a reason in one word, and is not signed yet.
    Approved {
        /// Whose word says by whom.
        reason: String,
        /// When.
        at: Option<Timestamp>,
    },
    /// It is signed; the same is known of its approval.
    Issued {
        /// Whose word says by whom.
        reason: String,
        /// When it was approved.
        at: Option<Timestamp>,
    },
    /// It was denied.
    Denied,
    /// Its signer could not sign it.
    Failed,
}

impl RequestState {
    /// As kubectl shows it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Approved { .. } => "Approved",
            Self::Issued { .. } => "Approved,Issued",
            Self::Denied => "Denied",
            Self::Failed => "Failed",
        }
    }
}

impl KubeletRequest {
    /// Of an object of the API.
    #[must_use]
    pub fn of(object: &SigningRequestObject) -> Self {
        let spec = &object.spec;
        let (groups, more_groups) = words(spec.groups.as_deref());
        let (usages, more_usages) = words(spec.usages.as_deref());
        let (signer, long_signer) = word(&spec.signer_name);
        let username = spec.username.as_deref().unwrap_or_default();
        let (username, long_username) = word(username);
        let text = &spec.request.0;
        Self {
            name: object.metadata.name.clone().unwrap_or_default(),
            uid: object.metadata.uid.clone().unwrap_or_default(),
            created: object
                .metadata
                .creation_timestamp
                .as_ref()
                .map(|time| time.0),
            signer,
            username,
            groups,
            usages,
            expiration_seconds: spec.expiration_seconds,
            text: if text.len() > LONGEST_TEXT {
                RequestText::TooLong(text.len())
            } else {
                RequestText::Text(text.clone())
            },
            state: state(object),
            has_more: more_groups || more_usages || long_signer || long_username,
        }
    }

    /// The name of the node that asked; `None` where it was none.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        self.username
            .strip_prefix(NODE_USER)
            .filter(|name| !name.is_empty())
    }

    /// Whether it can be asked for by its name. The API takes other names for requests, too, that mean something else in a path.
    #[must_use]
    pub fn has_plain_name(&self) -> bool {
        is_request_name(&self.name)
    }

    /// Whether nobody has decided anything about it.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.state == RequestState::Pending
    }
}

/// Whether a text can be a request's name and nothing else in a path.
#[must_use]
pub fn is_request_name(text: &str) -> bool {
    let is_plain = |letter: u8| letter.is_ascii_alphanumeric() || b"-._:".contains(&letter);
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(is_plain)
        && !text.bytes().all(|letter| letter == b'.')
}

fn state(object: &SigningRequestObject) -> RequestState {
    let Some(status) = &object.status else {
        return RequestState::Pending;
    };
    let conditions = status.conditions.as_deref().unwrap_or_default();
    // A condition of any status: the API server takes no other than True, and an older one took none.
    let find = |kind: &str| conditions.iter().find(|one| one.type_ == kind);
    let approved = find("Approved").map(|one| {
        let (reason, _) = word(one.reason.as_deref().unwrap_or_default());
        (reason, one.last_update_time.as_ref().map(|time| time.0))
    });
    let has_certificate = status
        .certificate
        .as_ref()
        .is_some_and(|certificate| !certificate.0.is_empty());
    if find("Denied").is_some() {
        return RequestState::Denied;
    }
    if find("Failed").is_some() {
        return RequestState::Failed;
    }
    match approved {
        Some((reason, at)) if has_certificate => RequestState::Issued { reason, at },
        Some((reason, at)) => RequestState::Approved { reason, at },
        None if has_certificate => RequestState::Issued {
            reason: String::new(),
            at: None,
        },
        None => RequestState::Pending,
    }
}

/// Those that are taken, and whether there are others.
fn words(all: Option<&[String]>) -> (Vec<String>, bool) {
    let all = all.unwrap_or_default();
    let mut more = all.len() > MOST_WORDS;
    let taken = all.iter().take(MOST_WORDS).map(|one| {
        let (one, is_long) = word(one);
        more |= is_long;
        one
    });
    (taken.collect(), more)
}

/// A word, cut where it is longer than any that counts.
fn word(text: &str) -> (String, bool) {
    let taken: String = text.chars().take(LONGEST_WORD).collect();
    let is_long = taken.len() < text.len();
    (taken, is_long)
}
