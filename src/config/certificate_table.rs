//! The keys of `[certificate.NAME]`: how it is renewed, and where it lies if it is not kubeadm's.

use std::net::IpAddr;

use super::description::{CertificateUser, Description, ServedAt, UnitAction};
use super::lists::command;
use super::quantity::show_duration;
use super::table_section::{TableKey, TableSection};
use super::value::{
    ALGORITHMS, Written, Wrong, before, boolean, check_table_name, choice, key_algorithm, name_of,
    path, refuse, string, validity,
};
use super::{Config, OwnRenewal};
use crate::pki::AuthorityId;

pub(super) const CERTIFICATE: TableSection = TableSection {
    section: "certificate",
    example: "[certificate.\"admin.conf\"]",
    required: |_| &[],
    check_name: check_table_name,
    declare: |config, name| {
        own(config, name);
    },
    names: |config| {
        let names = config.renewal.certificates.keys();
        names.map(String::as_str).collect()
    },
    keys: &[
        TableKey {
            name: "before",
            set: |config, name, value| before(value).map(|v| own(config, name).before = Some(v)),
            show: |config, name| shown(config, name)?.before.map(|v| text(&show_duration(v))),
        },
        TableKey {
            name: "validity",
            set: |config, name, value| {
                validity(value).map(|v| own(config, name).validity = Some(v))
            },
            show: |config, name| {
                let validity = shown(config, name)?.validity;
                validity.map(|v| text(&show_duration(v)))
            },
        },
        TableKey {
            name: "key-algorithm",
            set: |config, name, value| {
                key_algorithm(value).map(|v| own(config, name).key_algorithm = Some(v))
            },
            show: |config, name| {
                let algorithm = shown(config, name)?.key_algorithm;
                algorithm.map(|v| text(name_of(&ALGORITHMS, v)))
            },
        },
        TableKey {
            name: "reuse-key",
            set: |config, name, value| {
                boolean(value).map(|v| own(config, name).reuse_key = Some(v))
            },
            show: |config, name| shown(config, name)?.reuse_key.map(toml::Value::Boolean),
        },
        TableKey {
            name: "skip",
            set: |config, name, value| boolean(value).map(|v| own(config, name).skip = Some(v)),
            show: |config, name| shown(config, name)?.skip.map(toml::Value::Boolean),
        },
        TableKey {
            name: "file",
            set: |config, name, value| {
                let file = path(value, "/etc/haproxy/tls.crt")?;
                let described = described(config, name);
                described.file = file;
                let is_pattern = described.is_pattern();
                own(config, name).is_pattern = is_pattern;
                Ok(())
            },
            show: |config, name| Some(text(&told(config, name)?.file.to_string_lossy())),
        },
        TableKey {
            name: "key",
            set: |config, name, value| {
                path(value, "/etc/haproxy/tls.key").map(|v| described(config, name).key = Some(v))
            },
            show: |config, name| Some(text(&told(config, name)?.key.as_ref()?.to_string_lossy())),
        },
        TableKey {
            name: "issuer",
            set: |config, name, value| {
                let table = AuthorityId::ALL.map(|one| (one.name(), one));
                choice(value, &table).map(|v| described(config, name).issuer = Some(v))
            },
            show: |config, name| Some(text(told(config, name)?.issuer?.name())),
        },
        TableKey {
            name: "ca",
            set: |config, name, value| {
                path(value, "/etc/etcd/pki/ca.crt").map(|v| described(config, name).ca = Some(v))
            },
            show: |config, name| Some(text(&told(config, name)?.ca.as_ref()?.to_string_lossy())),
        },
        TableKey {
            name: "ca-key",
            set: |config, name, value| {
                path(value, "/etc/etcd/pki/ca.key")
                    .map(|v| described(config, name).ca_key = Some(v))
            },
            show: |config, name| {
                Some(text(
                    &told(config, name)?.ca_key.as_ref()?.to_string_lossy(),
                ))
            },
        },
        TableKey {
            name: "owner",
            set: |config, name, value| {
                account(value, "haproxy").map(|v| described(config, name).owner = Some(v))
            },
            show: |config, name| told(config, name)?.owner.as_deref().map(text),
        },
        TableKey {
            name: "group",
            set: |config, name, value| {
                account(value, "haproxy").map(|v| described(config, name).group = Some(v))
            },
            show: |config, name| told(config, name)?.group.as_deref().map(text),
        },
        TableKey {
            name: "mode",
            set: |config, name, value| mode(value).map(|v| described(config, name).mode = Some(v)),
            show: |config, name| Some(text(&format!("{:04o}", told(config, name)?.mode?))),
        },
        TableKey {
            name: "static-pod",
            set: |config, name, value| {
                let pod = word(value, "the name of a static pod such as \"haproxy\"")?;
                used_by(config, name, value, CertificateUser::StaticPod(pod))
            },
            show: |config, name| match &told(config, name)?.user {
                CertificateUser::StaticPod(pod) => Some(text(pod)),
                _ => None,
            },
        },
        TableKey {
            name: "unit",
            set: |config, name, value| {
                let unit = unit(value)?;
                used_by(config, name, value, CertificateUser::Unit(unit))
            },
            show: |config, name| match &told(config, name)?.user {
                CertificateUser::Unit(unit) => Some(text(unit)),
                _ => None,
            },
        },
        TableKey {
            name: "unit-action",
            set: |config, name, value| {
                choice(value, &ACTIONS).map(|v| described(config, name).unit_action = Some(v))
            },
            show: |config, name| {
                let action = told(config, name)?.unit_action?;
                Some(text(name_of(&ACTIONS, action)))
            },
        },
        TableKey {
            name: "command",
            set: |config, name, value| {
                let command = command(value)?;
                used_by(config, name, value, CertificateUser::Command(command))
            },
            show: |config, name| match &told(config, name)?.user {
                CertificateUser::Command(words) => {
                    let words = words.iter().map(|word| text(word)).collect();
                    Some(toml::Value::Array(words))
                }
                _ => None,
            },
        },
        TableKey {
            name: "address",
            set: |config, name, value| {
                address(value).map(|v| described(config, name).address = Some(v))
            },
            show: |config, name| {
                let ServedAt { host, port } = told(config, name)?.address.as_ref()?;
                Some(text(&if host.contains(':') {
                    format!("[{host}]:{port}")
                } else {
                    format!("{host}:{port}")
                }))
            },
        },
    ],
};

/// `unit-action`
const ACTIONS: [(&str, UnitAction); 2] = [
    ("reload", UnitAction::Reload),
    ("restart", UnitAction::Restart),
];

/// The names of systemd's units, users and pods are no longer, in bytes.
const LONGEST: usize = 255;

fn own<'config>(config: &'config mut Config, name: &str) -> &'config mut OwnRenewal {
    let certificates = &mut config.renewal.certificates;
    certificates.entry(name.to_owned()).or_default()
}

fn shown<'config>(config: &'config Config, name: &str) -> Option<&'config OwnRenewal> {
    config.renewal.certificates.get(name)
}

fn described<'config>(config: &'config mut Config, name: &str) -> &'config mut Description {
    let described = &mut config.locations.described;
    described.entry(name.to_owned()).or_default()
}

fn told<'config>(config: &'config Config, name: &str) -> Option<&'config Description> {
    config.locations.described.get(name)
}

/// One is told of new files, and no two.
fn used_by(
    config: &mut Config,
    name: &str,
    written: &Written<'_>,
    user: CertificateUser,
) -> Result<(), Vec<Wrong>> {
    let present = &mut described(config, name).user;
    let same_key = std::mem::discriminant(present) == std::mem::discriminant(&user);
    if *present != CertificateUser::Unsaid && !same_key {
        return Err(vec![Wrong {
            span: written.span(),
            mistake: super::Mistake::Contradiction,
            message: ": of static-pod, unit and command one may be said of a certificate; a command can tell several"
                .to_owned(),
        }]);
    }
    *present = user;
    Ok(())
}

/// A word that other programs are given: no control characters, and nothing that they could take for an option.
fn word(written: &Written<'_>, what: &str) -> Result<String, Vec<Wrong>> {
    let text = string(written, what)?;
    let is_one = !text.is_empty()
        && text.len() <= LONGEST
        && !text.starts_with('-')
        && !text.contains(|letter: char| letter.is_control() || letter.is_whitespace());
    is_one
        .then(|| text.to_owned())
        .ok_or_else(|| refuse(written, format!("no name; write {what}")))
}

/// A user or group, by name or number.
fn account(written: &Written<'_>, example: &str) -> Result<String, Vec<Wrong>> {
    let text = word(written, &format!("a name or number such as {example:?}"))?;
    let is_plain = |letter: u8| letter.is_ascii_alphanumeric() || b"._-$".contains(&letter);
    if !text.bytes().all(is_plain) {
        return Err(refuse(written, "no name or number of a user or group"));
    }
    // The largest number is no user's: to chown(2) it means that nothing changes.
    let is_number = text.bytes().all(|letter| letter.is_ascii_digit());
    if is_number && !text.parse().is_ok_and(|number: u32| number != u32::MAX) {
        let reason = "no number of a user or group; they go up to 4294967294";
        return Err(refuse(written, reason));
    }
    Ok(text)
}

fn unit(written: &Written<'_>) -> Result<String, Vec<Wrong>> {
    let what = "a unit of systemd such as \"haproxy.service\"";
    let text = word(written, what)?;
    // As systemd.unit(5) has them: no pattern, which would be many units.
    let is_letter = |letter: u8| letter.is_ascii_alphanumeric() || b":-_.\\@".contains(&letter);
    if !text.bytes().all(is_letter) {
        return Err(refuse(written, format!("no name of a unit; write {what}")));
    }
    if !text.ends_with(".service") {
        return Err(refuse(
            written,
            "a service is reloaded or restarted; write its name with .service at the end",
        ));
    }
    Ok(text)
}

/// Octal, as chmod(1) has it; for owner and group alone.
fn mode(written: &Written<'_>) -> Result<u32, Vec<Wrong>> {
    let text = string(written, "a mode such as \"0640\", in quotes")?;
    let digits = text.strip_prefix("0o").unwrap_or(text);
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mode| mode & !0o640 == 0 && mode & 0o400 != 0)
        .ok_or_else(|| {
            refuse(
                written,
                "a private key is read by its owner, who may write it, and at most its group: \"0400\", \"0600\", \"0440\" or \"0640\"",
            )
        })
}

/// `127.0.0.1:8443`, `[::1]:8443`, `localhost:8443`
fn address(written: &Written<'_>) -> Result<ServedAt, Vec<Wrong>> {
    let what = "an address and a port such as \"127.0.0.1:8443\"";
    let text = string(written, what)?;
    let wrong = || {
        let reason = "not an address of this node and a port, as in \"127.0.0.1:8443\", \"[::1]:8443\" or \"localhost:8443\"";
        refuse(written, reason)
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().ok().filter(|port| *port != 0);
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = bare.unwrap_or(host);
    let is_right = match host.parse() {
        Ok(IpAddr::V4(address)) => bare.is_none() && !address.is_unspecified(),
        Ok(IpAddr::V6(address)) => bare.is_some() && !address.is_unspecified(),
        Err(_) => host == "localhost",
    };
    match port {
        Some(port) if is_right => Ok(ServedAt {
            host: host.to_owned(),
            port,
        }),
        _ => Err(wrong()),
    }
}

fn text(text: &str) -> toml::Value {
    toml::Value::String(text.to_owned())
}
