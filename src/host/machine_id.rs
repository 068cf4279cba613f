//! Who this machine is to others, without giving away its machine-id (machine-id(5) calls that confidential).

use std::io;
use std::path::Path;

use aws_lc_rs::hmac;

use super::Root;
use super::digest::hexadecimal;
use super::read::read_at_most;

const FILE: &str = "/etc/machine-id";

/// 128 bits as 32 lower-case hexadecimal digits that are the same on this machine for ever, differ from those of other machines and
/// other `application`s, and do not lead back to the machine-id: as sd_id128_get_machine_app_specific(3) makes them.
///
/// # Errors
/// The machine-id cannot be read, or is none (`uninitialized` on a machine that has just been installed).
pub fn application_id(root: &Root, application: [u8; 16]) -> io::Result<String> {
    let path = root.resolve(&root.join(Path::new(FILE)))?;
    let text = read_at_most(&path, 64)?;
    let machine = std::str::from_utf8(&text).ok().and_then(|text| {
        let text = text.trim_end();
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u128::from_str_radix(text, 16)
            .ok()
            .filter(|id| is_hex && *id != 0)
    });
    let machine = machine.ok_or_else(|| {
        let reason = format!("{FILE} holds no machine-id; see systemd-machine-id-setup(1)");
        io::Error::new(io::ErrorKind::InvalidData, reason)
    })?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &machine.to_be_bytes());
    let tag = hmac::sign(&key, &application);
    let mut id = [0; 16];
    for (byte, of_tag) in id.iter_mut().zip(tag.as_ref()) {
        *byte = *of_tag;
    }
    // A random UUID, in the terms of RFC 4122.
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    Ok(hexadecimal(&id))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]
    use super::*;

    const APPLICATION: [u8; 16] = 0xa825_9cc9_cce5_4940_8f15_3818_ab7f_18e6_u128.to_be_bytes();

    #[test]
    fn it_is_what_systemd_makes_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        assert!(application_id(&root, APPLICATION).is_err());
        let file = directory.path().join("etc/machine-id");
        std::fs::create_dir(directory.path().join("etc")).unwrap();
        // What `systemd-id128 machine-id --app-specific=a8259cc9cce549408f153818ab7f18e6` prints on such a machine.
        std::fs::write(&file, "0123456789abcdef0123456789abcdef\n").unwrap();
        assert_eq!(
            application_id(&root, APPLICATION).unwrap(),
            "b90abecb0cea41ed83332d27d05a6dff"
        );
        for none in [
            "",
            "uninitialized\n",
            "00000000000000000000000000000000\n",
            "+123456789abcdef0123456789abcdef",
            "0123456789abcdef0123456789abcdefff",
        ] {
            std::fs::write(&file, none).unwrap();
            assert!(application_id(&root, APPLICATION).is_err(), "{none:?}");
        }
    }
}
