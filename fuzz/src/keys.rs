//! Private keys.

use kubecertd::pki::{KeyError, PrivateKey};

/// A key that is read is written in kubeadm's form and read as the same; neither `Debug` nor a message shows it.
pub fn check(data: &[u8]) {
    let key = match PrivateKey::from_pem(data) {
        Ok(key) => key,
        Err(error) => return shows_nothing(&error, data),
    };
    assert!(format!("{key:?}").len() < 60, "{key:?}");
    let written = key.to_pem().expect("what was read can be written");
    let again = PrivateKey::from_pem(written.as_bytes()).expect("what was written is read");
    assert_eq!(again.public_key_der(), key.public_key_der());
    assert_eq!(again.algorithm(), key.algorithm());
    assert_eq!(*again.to_pem().expect("again"), *written);
}

/// No line of base64 is in the message; a label may be.
fn shows_nothing(error: &KeyError, data: &[u8]) {
    let message = error.to_string();
    let text = String::from_utf8_lossy(data);
    let is_label = |line: &str| text.contains(&format!("{line}-----"));
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    for line in text
        .lines()
        .filter(|line| line.len() >= 16 && line.bytes().all(is_base64))
    {
        assert!(!message.contains(line) || is_label(line), "{message}");
    }
}
