//! Bits of the key usage (RFC 5280 §4.2.1.3), bit 0 being the first.

pub(super) const DIGITAL_SIGNATURE: u16 = 1;
pub(super) const KEY_ENCIPHERMENT: u16 = 1 << 2;
pub(super) const KEY_CERT_SIGN: u16 = 1 << 5;
pub(super) const CRL_SIGN: u16 = 1 << 6;

/// The bits that a leaf may have; kubeadm's where none is left.
pub(super) fn of_a_leaf(bits: u16) -> u16 {
    match bits & !(KEY_CERT_SIGN | CRL_SIGN) {
        0 => DIGITAL_SIGNATURE | KEY_ENCIPHERMENT,
        left => left,
    }
}

/// The names of the bits set.
pub(super) fn text(bits: u16) -> String {
    let names: Vec<&str> = NAMES
        .iter()
        .enumerate()
        .filter(|(bit, _)| bits & (1 << bit) != 0)
        .map(|(_, name)| *name)
        .collect();
    names.join(", ")
}

const NAMES: [&str; 9] = [
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
];
