//! Finding private keys where none should be, in whatever form they may have got there.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use kubecertd::node::{Credential, Kubeconfig};
use kubecertd::pki::private_key_der;

/// Bytes in a row of one of the forms below that cannot be there by chance.
const WINDOW: usize = 16;

/// The same for numbers, of which each letter says less.
const NUMBERS: usize = 48;

/// The secret parts of keys in every form in which they could be written down: as they are, in hexadecimal, in base64 at any
/// offset (PEM, whatever the encoding around the key), in base64 of that (a kubeconfig), and as the numbers of a `Debug` of
/// bytes.
#[derive(Default, Clone)]
pub struct Secrets {
    windows: HashSet<[u8; WINDOW]>,
    numbers: HashSet<[u8; NUMBERS]>,
    pub count: usize,
}

impl Secrets {
    /// The keys of all files below a directory.
    pub fn below(directory: &Path) -> Self {
        let mut secrets = Self::default();
        for bytes in crate::contents(directory).values() {
            secrets.add_file(bytes);
        }
        secrets
    }

    /// The key in a key file or kubeconfig, if there is one.
    pub fn add_file(&mut self, bytes: &[u8]) {
        if let Ok(der) = private_key_der(bytes) {
            self.add_key(&der);
        } else if let Some(Ok(kubeconfig)) = std::str::from_utf8(bytes).ok().map(Kubeconfig::parse)
            && let Credential::Embedded(pem) = &kubeconfig.key
        {
            self.add_key(&private_key_der(pem).unwrap());
        }
    }

    /// An ECDSA P-256 key in SEC1, as kubeadm writes it, or PKCS#8: both hold a SEC1 structure.
    pub fn add_key(&mut self, der: &[u8]) {
        let before = [0x02, 0x01, 0x01, 0x04, 0x20];
        let at = der.windows(5).position(|bytes| bytes == before).unwrap() + before.len();
        let secret = &der[at..at + 32];
        self.count += 1;
        self.add(secret);
        let hexadecimal: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        self.add(hexadecimal.as_bytes());
        self.add(hexadecimal.to_uppercase().as_bytes());
        let pairs: Vec<String> = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        self.add(pairs.join(":").as_bytes());
        self.add_numbers(secret);
        for text in in_base64(secret) {
            self.add(text.as_bytes());
            self.add_numbers(text.as_bytes());
            for text in in_base64(text.as_bytes()) {
                self.add(text.as_bytes());
                self.add_numbers(text.as_bytes());
            }
        }
    }

    pub fn extend(&mut self, others: &Self) {
        self.windows.extend(&others.windows);
        self.numbers.extend(&others.numbers);
        self.count += others.count;
    }

    fn add(&mut self, form: &[u8]) {
        self.windows.extend(windows(form));
    }

    /// As `Debug` shows bytes.
    fn add_numbers(&mut self, form: &[u8]) {
        let numbers: Vec<String> = form.iter().map(u8::to_string).collect();
        self.numbers.extend(windows(numbers.join(", ").as_bytes()));
    }

    /// Where a part of a key begins.
    pub fn find(&self, bytes: &[u8]) -> Option<usize> {
        let letters = first_of(bytes, &self.windows);
        letters.or_else(|| first_of(bytes, &self.numbers))
    }

    /// The same where `{:#?}` or a terminal may have broken lines.
    fn find_across_lines(&self, bytes: &[u8]) -> bool {
        let words = bytes.split(u8::is_ascii_whitespace);
        let joined: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
        self.find(&joined.join(&b' ')).is_some()
    }

    /// Fails where a key is, or what looks like the beginning of one.
    pub fn assert_none_in(&self, what: &str, bytes: &[u8]) {
        if let Some(at) = self.find(bytes) {
            let near = &bytes[at.saturating_sub(80)..(at + 80).min(bytes.len())];
            panic!(
                "a private key is in {what}: {}",
                String::from_utf8_lossy(near)
            );
        }
        assert!(
            !self.find_across_lines(bytes),
            "a private key is in {what}, over several lines"
        );
        let label = b"PRIVATE KEY-----";
        assert!(
            !bytes.windows(label.len()).any(|window| window == label),
            "PEM of a private key is in {what}"
        );
    }

    /// Fails where a key is in one of the files, except those that `may` says may hold one. Returns how many were searched.
    pub fn assert_none_below(&self, directory: &Path, may: impl Fn(&Path) -> bool) -> usize {
        if !directory.exists() {
            return 0;
        }
        let files: BTreeMap<PathBuf, Vec<u8>> = crate::contents(directory)
            .into_iter()
            .filter(|(path, _)| !may(path))
            .collect();
        for (path, bytes) in &files {
            self.assert_none_in(&path.display().to_string(), bytes);
        }
        files.len()
    }
}

/// Where the first of these begins.
fn first_of<const LENGTH: usize>(bytes: &[u8], wanted: &HashSet<[u8; LENGTH]>) -> Option<usize> {
    bytes
        .windows(LENGTH)
        .position(|window| wanted.contains(window))
}

/// Every so many bytes in a row.
fn windows<const LENGTH: usize>(form: &[u8]) -> impl Iterator<Item = [u8; LENGTH]> {
    form.windows(LENGTH)
        .map(|window| window.try_into().unwrap())
}

/// What stands in a base64 text for these bytes, wherever they begin in what was encoded: the letters that depend on them
/// alone.
fn in_base64(bytes: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for offset in 0..3 {
        let padded = [&vec![0; offset], bytes].concat();
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let text = engine.encode(&padded);
            let first = (offset * 8).div_ceil(6);
            let last = padded.len() * 8 / 6;
            forms.push(text[first..last].to_owned());
        }
    }
    forms
}
