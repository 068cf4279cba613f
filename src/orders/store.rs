//! Where open requests are kept.
//!
//! An order is there once its `order.json` is, which is written last and removed first. What a crash leaves of one without
//! it is cleared away, and the request is made anew with another key. An answer to the first, if it was taken from the outbox
//! in between, is refused as one for another key.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::contact::Contact;
use super::error::OrderError;
use super::open_order::OpenOrder;
use crate::host::{
    FileError, Place, Root, durable, is_trusted_owner, open_regular, read_within, some_names,
    write_atomically,
};
use crate::issuer::Asked;
use crate::node::{Fault, Problem};
use crate::pki::PrivateKey;
use zeroize::Zeroizing;

/// The largest file of an order: more than any key, request or chain.
const LIMIT: u64 = 256 * 1024;
/// More orders than a node has certificates.
const MOST: usize = 256;

const RECORD: &str = "order.json";
const KEY: &str = "key.pem";
const REQUEST: &str = "request.csr";
const CONTACT: &str = "contact.json";
const ANSWER: &str = "answer.pem";

/// The state directory's `orders/`, `outbox/` and `inbox/`.
#[derive(Debug, Clone)]
pub struct OrderStore {
    root: Root,
    base: PathBuf,
}

impl OrderStore {
    /// Under that root. Nothing is made yet.
    #[must_use]
    pub fn new(root: &Root) -> Self {
        let base = root.join("/var/lib/kubecertd");
        Self {
            base: root.resolve(&base).unwrap_or(base),
            root: root.clone(),
        }
    }

    /// Where answers are looked for.
    #[must_use]
    pub fn inbox(&self) -> PathBuf {
        self.base.join("inbox")
    }

    /// The same as the node names it.
    #[must_use]
    pub fn inbox_on_node(&self) -> PathBuf {
        self.root.node_path(&self.inbox())
    }

    /// The request's file, as the node names it: in the outbox, or else beside its key.
    #[must_use]
    pub fn request_on_node(&self, order: &OpenOrder) -> PathBuf {
        let outbox = self.in_outbox(&order.id);
        let path = match durable::exists(&outbox) {
            Ok(true) => outbox,
            _ => self.directory(&order.id).join(REQUEST),
        };
        self.root.node_path(&path)
    }

    fn in_outbox(&self, id: &str) -> PathBuf {
        self.base.join("outbox").join(format!("{id}.csr"))
    }

    fn orders(&self) -> PathBuf {
        self.base.join("orders")
    }

    fn directory(&self, id: &str) -> PathBuf {
        self.orders().join(id)
    }

    /// The open requests, by id, and what cannot be read of them.
    #[must_use]
    pub fn open_orders(&self) -> (Vec<OpenOrder>, Vec<Problem>) {
        let orders = self.orders();
        let problem = |path: &Path, reason| Problem::new(path, Fault::OrderDamaged { reason });
        let (names, has_more) = match some_names(&orders, MOST) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Default::default(),
            Err(error) => return (Vec::new(), vec![problem(&orders, error.to_string())]),
            Ok(names) => names,
        };
        let mut open = Vec::new();
        let mut problems = Vec::new();
        if has_more {
            let reason =
                format!("only {MOST} of its requests are looked at; cancel what is not needed");
            problems.push(problem(&orders, reason));
        }
        for name in names {
            let Some(id) = name.to_str().filter(|name| is_id(name)) else {
                let reason = "is no open request of kubecertd; remove it".to_owned();
                problems.push(problem(&orders.join(&name), reason));
                continue;
            };
            match self.record(id) {
                Ok(Some(order)) => open.push(order),
                Ok(None) => {}
                Err(reason) => problems.push(problem(
                    &self.directory(id).join(RECORD),
                    format!("{reason}; remove {}", self.directory(id).display()),
                )),
            }
        }
        (open, problems)
    }

    fn record(&self, id: &str) -> Result<Option<OpenOrder>, String> {
        let content = match read_own(&self.directory(id).join(RECORD)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            content => content.map_err(|error| error.to_string())?,
        };
        let order: OpenOrder =
            serde_json::from_slice(&content).map_err(|error| format!("damaged: {error}"))?;
        if order.id == id {
            Ok(Some(order))
        } else {
            Err(format!("is about {:?} and not about {id:?}", order.id))
        }
    }

    /// The key of an order.
    ///
    /// # Errors
    /// [`OrderError::Unusable`].
    pub fn key(&self, order: &OpenOrder) -> Result<PrivateKey, OrderError> {
        let path = self.directory(&order.id).join(KEY);
        let unusable = |reason: String| OrderError::Unusable {
            path: path.clone(),
            reason,
            certificate: order.certificate.clone(),
        };
        let text = read_own(&path).map_err(|error| unusable(error.to_string()))?;
        let key = PrivateKey::from_pem(&text).map_err(|error| unusable(error.to_string()))?;
        if crate::host::digest(&key.public_key_der()) == order.public_key {
            Ok(key)
        } else {
            Err(unusable("is not the key of the request".to_owned()))
        }
    }

    /// The request of an order, as PEM.
    ///
    /// # Errors
    /// [`OrderError::Unusable`].
    pub fn request(&self, order: &OpenOrder) -> Result<String, OrderError> {
        let path = self.directory(&order.id).join(REQUEST);
        read_own(&path)
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .map_err(|error| OrderError::Unusable {
                path,
                reason: error.to_string(),
                certificate: order.certificate.clone(),
            })
    }

    /// The last time that an issuer was asked about an order. What cannot be read of that is asked anew.
    #[must_use]
    pub fn contact(&self, order: &OpenOrder) -> Option<Contact> {
        let path = self.directory(&order.id).join(CONTACT);
        let content = read_if_there(&path)?;
        serde_json::from_slice(&content)
            .inspect_err(|error| tracing::debug!(path = %path.display(), %error, "not understood"))
            .ok()
    }

    /// What an issuer printed for an order, if it gave a certificate.
    #[must_use]
    pub fn answer(&self, order: &OpenOrder) -> Option<Vec<u8>> {
        let path = self.directory(&order.id).join(ANSWER);
        read_if_there(&path).map(|bytes| bytes.to_vec())
    }

    /// Keeps what came of asking an issuer. Only with the lock on the state directory.
    ///
    /// # Errors
    /// [`OrderError::File`].
    pub fn keep_contact(
        &self,
        order: &OpenOrder,
        contact: &Contact,
        answer: Option<&[u8]>,
    ) -> Result<(), OrderError> {
        let directory = self.directory(&order.id);
        let path = directory.join(CONTACT);
        let content = serde_json::to_vec(contact)
            .map_err(|error| FileError::of(&path, "could not be written")(error.into()))?;
        if let Some(answer) = answer {
            write_atomically(&directory.join(ANSWER), answer, 0o600)?;
        }
        Ok(write_atomically(&path, &content, 0o600)?)
    }

    /// Keeps an order from now on, and puts its request into the outbox, if files are asked by. Only with the lock on the state
    /// directory.
    ///
    /// # Errors
    /// [`OrderError::File`]; then there is no such order.
    pub fn open(&self, order: &OpenOrder, asked: &Asked, by_files: bool) -> Result<(), OrderError> {
        self.prepare()?;
        let directory = self.directory(&order.id);
        durable::make_private_directory(&directory)?;
        let key = asked.key.to_pem().map_err(|error| {
            FileError::of(&directory.join(KEY), "could not be written")(io::Error::other(error))
        })?;
        let request = &asked.request;
        write_atomically(&directory.join(KEY), key.as_bytes(), 0o600)?;
        write_atomically(&directory.join(REQUEST), request.as_bytes(), 0o600)?;
        if by_files {
            write_atomically(&self.in_outbox(&order.id), request.as_bytes(), 0o644)?;
        }
        let record = directory.join(RECORD);
        let content = serde_json::to_vec(order)
            .map_err(|error| FileError::of(&record, "could not be written")(error.into()))?;
        Ok(write_atomically(&record, &content, 0o600)?)
    }

    /// Ends an order: its key and its request are removed. Only with the lock on the state directory.
    ///
    /// # Errors
    /// [`OrderError::File`].
    pub fn close(&self, id: &str) -> Result<(), OrderError> {
        let directory = self.directory(id);
        durable::remove_if_there(&directory.join(RECORD))?;
        durable::sync_directory(&directory)?;
        self.clear(id)
    }

    /// Whether a crash left anything of orders that were not open yet, or not any more: a key, perhaps.
    #[must_use]
    pub fn has_leftovers(&self) -> bool {
        let Ok((names, _)) = some_names(&self.orders(), MOST) else {
            return false;
        };
        let mut ids = names.iter().filter_map(|name| name.to_str());
        ids.any(|id| {
            is_id(id) && matches!(durable::exists(&self.directory(id).join(RECORD)), Ok(false))
        })
    }

    /// Removes what a crash left of orders that were not open yet, or not any more. Only with the lock on the state directory.
    ///
    /// # Errors
    /// [`OrderError::File`].
    pub fn sweep(&self) -> Result<(), OrderError> {
        for name in durable::names_in(&self.orders())? {
            if let Some(id) = name.to_str().filter(|name| is_id(name))
                && !durable::exists(&self.directory(id).join(RECORD))
                    .map_err(FileError::of(&self.directory(id), "could not be looked at"))?
            {
                self.clear(id)?;
            }
        }
        Ok(())
    }

    fn clear(&self, id: &str) -> Result<(), OrderError> {
        let directory = self.directory(id);
        // What came back after a crash would be signed in vain, and nothing would remove it.
        if durable::remove_if_there(&self.in_outbox(id))? {
            durable::sync_directory(&self.base.join("outbox"))?;
        }
        for name in durable::names_in(&directory)? {
            durable::remove_if_there(&directory.join(name))?;
        }
        let removed = Place::at(&directory).and_then(|place| place.remove_directory());
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(FileError::of(&directory, "could not be removed")(error).into());
            }
            _ => {}
        }
        Ok(durable::sync_directory(&self.orders())?)
    }

    /// Removes a file of the inbox.
    ///
    /// # Errors
    /// [`OrderError::File`].
    pub fn discard(&self, name: &std::ffi::OsStr) -> Result<(), OrderError> {
        durable::remove_if_there(&self.inbox().join(name))?;
        Ok(())
    }

    fn prepare(&self) -> Result<(), OrderError> {
        durable::make_private_directory(&self.base)?;
        for directory in [self.orders(), self.base.join("outbox")] {
            durable::make_private_directory(&directory)?;
            durable::keep_private(&directory)?;
        }
        // What others were given of it is said where it is read, and not taken back in silence.
        Ok(durable::make_private_directory(&self.inbox())?)
    }
}

/// Whether it may be an order's name: what such names are made of, and nothing that leads elsewhere.
fn is_id(name: &str) -> bool {
    !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// The same of what need not be there; that it cannot be read is said.
fn read_if_there(path: &Path) -> Option<Zeroizing<Vec<u8>>> {
    match read_own(path) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(
                "{}: cannot be used: {error}; the issuer is asked again",
                path.display()
            );
            None
        }
    }
}

/// Reads what only this program writes.
fn read_own(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let (file, length) = open_regular(path, LIMIT)?;
    let metadata = file.metadata()?;
    if !is_trusted_owner(metadata.uid()) || metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other(
            "another user may have written it, so it is not relied on",
        ));
    }
    let capacity = usize::try_from(length).unwrap_or(0).saturating_add(1);
    read_within(file, LIMIT, Vec::with_capacity(capacity)).map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::host::digest;
    use crate::pki::{
        CertificateAuthority, KeyAlgorithm, NewAuthority, NewLeaf, Validity, request_successor,
    };
    use jiff::{SignedDuration, Timestamp};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn asked() -> Asked {
        let now = Timestamp::UNIX_EPOCH;
        let (not_before, not_after) = (now, now + SignedDuration::from_hours(1));
        let algorithm = KeyAlgorithm::EcdsaP256;
        let authority = CertificateAuthority::generate(&NewAuthority {
            common_name: "ca".to_owned(),
            algorithm,
            not_before,
            not_after,
        })
        .unwrap();
        let key = PrivateKey::generate(algorithm).unwrap();
        let leaf = NewLeaf {
            common_name: "x".to_owned(),
            organizations: Vec::new(),
            subject_alt_names: Vec::new(),
            server_auth: true,
            client_auth: false,
        };
        let validity = Validity {
            not_before,
            not_after,
        };
        let old = leaf.sign(&key, &authority, validity).unwrap();
        Asked {
            request: request_successor(&old, &key).unwrap(),
            key,
        }
    }

    fn order(asked: &Asked) -> OpenOrder {
        OpenOrder {
            id: "apiserver-1234".to_owned(),
            certificate: "apiserver".into(),
            since: Timestamp::UNIX_EPOCH,
            public_key: digest(&asked.key.public_key_der()),
            asks_for: "x".to_owned(),
            follows: "y".to_owned(),
        }
    }

    #[test]
    fn an_order_is_kept_until_it_is_closed_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = OrderStore::new(&Root::new(directory.path()).unwrap());
        std::fs::create_dir_all(directory.path().join("var/lib")).unwrap();
        let asked = asked();
        let order = order(&asked);
        store.open(&order, &asked, true).unwrap();
        assert_eq!(store.open_orders().0, std::slice::from_ref(&order));
        assert_eq!(
            store.key(&order).unwrap().public_key_der(),
            asked.key.public_key_der()
        );
        let request = std::fs::read_to_string(store.in_outbox(&order.id)).unwrap();
        assert_eq!(store.request(&order).unwrap(), request);
        assert!(!store.has_leftovers());
        store.sweep().unwrap();
        assert_eq!(store.open_orders().0.len(), 1);
        // A crash just after its record was removed.
        std::fs::remove_file(store.directory(&order.id).join(RECORD)).unwrap();
        assert!(store.open_orders().0.is_empty());
        assert!(store.has_leftovers());
        store.sweep().unwrap();
        assert!(!store.has_leftovers());
        assert!(durable::names_in(&store.orders()).unwrap().is_empty());
        assert!(!store.in_outbox(&order.id).exists());
    }

    #[test]
    fn what_others_may_have_written_is_not_relied_on() {
        let directory = tempfile::tempdir().unwrap();
        let store = OrderStore::new(&Root::new(directory.path()).unwrap());
        std::fs::create_dir_all(directory.path().join("var/lib")).unwrap();
        let asked = asked();
        let order = order(&asked);
        store.open(&order, &asked, true).unwrap();
        let own = store.directory(&order.id);
        let set = |name: &str, mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(own.join(name), permissions).unwrap();
        };
        set(KEY, 0o666);
        let error = store.key(&order).unwrap_err();
        assert!(error.to_string().contains("another user"), "{error}");
        set(KEY, 0o600);
        // Another key in its place.
        let other = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        std::fs::write(own.join(KEY), other.to_pem().unwrap().as_bytes()).unwrap();
        let error = store.key(&order).unwrap_err();
        assert!(error.to_string().contains("not the key of the request"));
        set(RECORD, 0o622);
        let (open, problems) = store.open_orders();
        assert!(open.is_empty() && problems.len() == 1, "{problems:?}");
        // A record under another's name, junk, and links.
        set(RECORD, 0o600);
        std::fs::rename(&own, store.directory("other")).unwrap();
        std::fs::write(store.orders().join("file"), "x").unwrap();
        symlink("/", store.orders().join("link")).unwrap();
        std::fs::create_dir(store.orders().join("a b")).unwrap();
        let (open, problems) = store.open_orders();
        assert!(open.is_empty(), "{open:?}");
        assert!(problems.len() >= 2, "{problems:?}");
    }
}
