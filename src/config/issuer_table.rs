//! The keys of `[issuer.NAME]`.

use super::issuer::NamedIssuer;
use super::lists::{authorities, command, names};
use super::nearest::nearest;
use super::quantity::show_duration;
use super::signer_name::signer_name;
use super::table_section::{TableKey, TableSection};
use super::value::{
    Bounds, Written, Wrong, boolean, check_table_name, duration, expects, optional_path,
};
use super::{Config, Mistake};

/// The table that is about request files, and about no program or signer.
const FILES: &str = "files";

const DAY: u64 = 86_400;

pub(super) const ISSUER: TableSection = TableSection {
    section: "issuer",
    example: "[issuer.files]",
    required: |_| &[],
    check_name,
    declare: |config, name| {
        if name != FILES {
            own(config, name);
        }
    },
    names: |config| {
        let named = config.issuers.named.keys();
        std::iter::once(FILES)
            .chain(named.map(String::as_str))
            .collect()
    },
    keys: &[
        TableKey {
            name: "enabled",
            set: |config, name, value| {
                only_of_files(name, value)?;
                boolean(value).map(|v| config.issuers.files.enabled = v)
            },
            show: |config, name| {
                let enabled = config.issuers.files.enabled;
                (name == FILES).then_some(toml::Value::Boolean(enabled))
            },
        },
        TableKey {
            name: "lead",
            set: |config, name, value| {
                only_of_files(name, value)?;
                let bounds = Bounds {
                    least: 3600,
                    most: 3650 * DAY,
                };
                duration(value, "45d", bounds).map(|v| config.issuers.files.lead = v)
            },
            show: |config, name| {
                let lead = show_duration(config.issuers.files.lead);
                (name == FILES).then_some(toml::Value::String(lead))
            },
        },
        TableKey {
            name: "command",
            set: |config, name, value| {
                not_of_files(name, value)?;
                command(value).map(|v| own(config, name).command = v)
            },
            show: |config, name| {
                let command = &config.issuers.named.get(name)?.command;
                (!command.is_empty()).then(|| list(command))
            },
        },
        TableKey {
            name: "authorities",
            set: |config, name, value| {
                not_of_files(name, value)?;
                authorities(value).map(|v| own(config, name).authorities = v)
            },
            show: |config, name| {
                let issuer = config.issuers.named.get(name)?;
                let names: Vec<&str> = issuer.authorities.iter().map(|one| one.name()).collect();
                issuer.certificates.is_empty().then(|| list(&names))
            },
        },
        TableKey {
            name: "time-limit",
            set: |config, name, value| {
                not_of_files(name, value)?;
                let bounds = Bounds {
                    least: 1,
                    most: 600,
                };
                duration(value, "60s", bounds).map(|v| own(config, name).time_limit = v)
            },
            show: |config, name| {
                let issuer = config.issuers.named.get(name)?;
                let limit = show_duration(issuer.time_limit);
                (issuer.signer_name.is_none()).then_some(toml::Value::String(limit))
            },
        },
        TableKey {
            name: "certificates",
            set: |config, name, value| {
                not_of_files(name, value)?;
                let certificates = names(value)?;
                if certificates.is_empty() {
                    return Err(expects(value, "the names of certificates, at least one"));
                }
                own(config, name).certificates = certificates;
                Ok(())
            },
            show: |config, name| {
                let names = &config.issuers.named.get(name)?.certificates;
                (!names.is_empty()).then(|| list(&names.iter().collect::<Vec<_>>()))
            },
        },
        TableKey {
            name: "signer-name",
            set: |config, name, value| {
                not_of_files(name, value)?;
                signer_name(value).map(|v| own(config, name).signer_name = Some(v))
            },
            show: |config, name| {
                let signer = config.issuers.named.get(name)?.signer_name.clone()?;
                Some(toml::Value::String(signer))
            },
        },
        TableKey {
            name: "approve",
            set: |config, name, value| {
                not_of_files(name, value)?;
                boolean(value).map(|v| own(config, name).approve = v)
            },
            show: |config, name| {
                let issuer = config.issuers.named.get(name)?;
                (issuer.signer_name.is_some()).then_some(toml::Value::Boolean(issuer.approve))
            },
        },
        TableKey {
            name: "kubeconfig",
            set: |config, name, value| {
                not_of_files(name, value)?;
                let example = "/etc/kubecertd/signer.conf";
                optional_path(value, example).map(|v| own(config, name).kubeconfig = v)
            },
            show: |config, name| {
                let issuer = config.issuers.named.get(name)?;
                let path = issuer.kubeconfig.as_deref();
                let text = path.map_or_else(String::new, |path| path.to_string_lossy().into());
                (issuer.signer_name.is_some()).then_some(toml::Value::String(text))
            },
        },
    ],
};

fn own<'config>(config: &'config mut Config, name: &str) -> &'config mut NamedIssuer {
    let named = &mut config.issuers.named;
    named.entry(name.to_owned()).or_default()
}

fn check_name(name: &str) -> Result<(), String> {
    check_table_name(name)?;
    // `file` and `fiels` are no names of programs.
    match nearest(name, std::iter::once(FILES)) {
        Some(near) if near != name => Err(format!("did you mean {near:?}?")),
        _ => Ok(()),
    }
}

fn only_of_files(table: &str, value: &Written<'_>) -> Result<(), Vec<Wrong>> {
    let belongs = table == FILES;
    belongs.then_some(()).ok_or_else(|| {
        misplaced(
            value,
            " is a key of [issuer.files]; a program's has command, authorities and time-limit, a signer's signer-name, certificates, approve and kubeconfig",
        )
    })
}

fn not_of_files(table: &str, value: &Written<'_>) -> Result<(), Vec<Wrong>> {
    let belongs = table != FILES;
    belongs.then_some(()).ok_or_else(|| {
        misplaced(
            value,
            " belongs to a program or a signer, and [issuer.files] is about files; give it a name of its own: [issuer.NAME]",
        )
    })
}

fn misplaced(value: &Written<'_>, message: &str) -> Vec<Wrong> {
    vec![Wrong {
        span: value.span(),
        mistake: Mistake::UnknownKey,
        message: message.to_owned(),
    }]
}

fn list<T: AsRef<str>>(words: &[T]) -> toml::Value {
    let words = words.iter().map(|word| word.as_ref().to_owned());
    toml::Value::Array(words.map(toml::Value::String).collect())
}
