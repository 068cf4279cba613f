//! Kubeconfigs, read and edited.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubecertd::node::{Credential, Kubeconfig};
use serde_json::Value;

use crate::samples::{CERTIFICATE, KEY, OTHER_CERTIFICATE, OTHER_KEY};

/// Reading never panics and keeps embedded keys out of its own description.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(kubeconfig) = Kubeconfig::parse(text) else {
        return;
    };
    let described = format!(
        "{kubeconfig:?} {:?} {:?}",
        kubeconfig.certificate, kubeconfig.key
    );
    if let Credential::Embedded(key) = &kubeconfig.key {
        let base64 = STANDARD.encode(key);
        assert!(
            base64.len() < 16 || !described.contains(&base64),
            "a key is shown"
        );
    }
}

/// What is edited can be read, holds the new credentials and everything else as before; a second edit gives what it
/// would have given in the first place, so nothing of the first one stays.
pub fn check_edit(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(edited) = Kubeconfig::replace_credentials(text, CERTIFICATE, KEY) else {
        return;
    };
    let after = Kubeconfig::parse(&edited).expect("what was edited can be read");
    assert!(holds(&after.certificate, CERTIFICATE) && holds(&after.key, KEY));
    // Credentials that are damaged cannot be read, but replaced.
    if let Ok(before) = Kubeconfig::parse(text) {
        assert_eq!(
            (&after.context, &after.user, &after.cluster, &after.server),
            (
                &before.context,
                &before.user,
                &before.cluster,
                &before.server
            )
        );
        assert_eq!(after.tls_server_name, before.tls_server_name);
        assert_eq!(after.certificate_authority, before.certificate_authority);
        assert_eq!(
            after.certificate_authority_file,
            before.certificate_authority_file
        );
    }
    assert_eq!(
        without_credentials(text, &after.user),
        without_credentials(&utf_8(&edited), &after.user)
    );
    if let Ok(trusting) = Kubeconfig::trust(&edited, OTHER_CERTIFICATE) {
        let taught = Kubeconfig::parse(&trusting).expect("what was edited can be read");
        let bundle = taught.certificate_authority.expect("what was added");
        assert!(bundle.ends_with(OTHER_CERTIFICATE.as_bytes()));
        let before = after.certificate_authority.as_deref().unwrap_or_default();
        assert!(bundle.starts_with(before));
        assert!(holds(&taught.certificate, CERTIFICATE) && holds(&taught.key, KEY));
    }
    let second = Kubeconfig::replace_credentials(&edited, OTHER_CERTIFICATE, OTHER_KEY)
        .expect("what was edited can be edited");
    let straight = Kubeconfig::replace_credentials(text, OTHER_CERTIFICATE, OTHER_KEY)
        .expect("other credentials are edited in as well");
    assert_eq!(*second, *straight);
    for old in [STANDARD.encode(CERTIFICATE), STANDARD.encode(KEY)] {
        assert!(
            text.contains(&old) || !utf_8(&second).contains(&old),
            "an old credential stays"
        );
    }
}

fn holds(credential: &Credential, pem: &str) -> bool {
    matches!(credential, Credential::Embedded(bytes) if bytes.as_slice() == pem.as_bytes())
}

fn utf_8(edited: &[u8]) -> String {
    String::from_utf8(edited.to_vec()).expect("UTF-8, as before the edit")
}

/// `Null` for what only Kubernetes' reader takes: several documents, repeated keys.
fn without_credentials(text: &str, user: &str) -> Value {
    let options = serde_saphyr::options! {
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
    };
    let Ok(mut value) = serde_saphyr::from_str_with_options::<Value>(text, options) else {
        return Value::Null;
    };
    for entry in value["users"].as_array_mut().into_iter().flatten() {
        if entry["name"] == user {
            let fields = entry["user"].as_object_mut().expect("a user");
            fields.remove("client-certificate-data");
            fields.remove("client-key-data");
        }
    }
    value
}
