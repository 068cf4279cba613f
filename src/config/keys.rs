//! Every key there is: how it is read, what it may be, how it is shown.

use toml::Spanned;
use toml::de::DeValue;

use super::Config;
use super::address::{fleet_lock_group, optional_textfile, optional_url};
use super::lists::{name_patterns, names, networks, paths};
use super::quantity::{show_duration, show_size};
use super::value::{
    ALGORITHMS, APPROVER_MODES, DISCOVERIES, FORMATS, METHODS, MODES, OTHER_RENEWERS, REPAIRS,
    TURN_MODES, WAITS, drain, name_of, show_drain,
};
use super::value::{
    Bounds, Wrong, before, boolean, choice, duration, filter, integer, key_algorithm,
    optional_path, path, size, socket, validity,
};

/// One key of one section.
pub(super) struct Key {
    /// `renewal`
    pub(super) section: &'static str,
    /// `before`
    pub(super) name: &'static str,
    /// Puts what is written into the configuration.
    pub(super) set: fn(&mut Config, &Spanned<DeValue<'_>>) -> Result<(), Vec<Wrong>>,
    /// What the configuration has, as TOML.
    pub(super) show: fn(&Config) -> toml::Value,
}

impl Key {
    /// `renewal.before`
    pub(super) fn full_name(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }
}

/// The sections, in the order in which they are shown; those of `super::tables` hold named tables.
pub(super) const SECTIONS: [&str; 16] = [
    "paths",
    "renewal",
    "certificate",
    "issuer",
    "window",
    "admin-copies",
    "restart",
    "kubelet",
    "turn",
    "approver",
    "hooks",
    "metrics",
    "events",
    "cluster-api",
    "backup",
    "log",
];

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// All keys, in the order in which they are shown.
pub(super) static KEYS: &[Key] = &[
    Key {
        section: "paths",
        name: "kubernetes",
        set: |config, value| {
            path(value, "/etc/kubernetes").map(|v| config.locations.kubernetes = v)
        },
        show: |config| text(config.locations.kubernetes.to_string_lossy()),
    },
    Key {
        section: "paths",
        name: "certificates",
        set: |config, value| {
            optional_path(value, "/etc/kubernetes/pki").map(|v| config.locations.certificates = v)
        },
        show: |config| optional(config.locations.certificates.as_deref()),
    },
    Key {
        section: "paths",
        name: "manifests",
        set: |config, value| {
            optional_path(value, "/etc/kubernetes/manifests")
                .map(|v| config.locations.manifests = v)
        },
        show: |config| optional(config.locations.manifests.as_deref()),
    },
    Key {
        section: "paths",
        name: "kubelet-configuration",
        set: |config, value| {
            path(value, "/var/lib/kubelet/config.yaml")
                .map(|v| config.locations.kubelet_configuration = v)
        },
        show: |config| text(config.locations.kubelet_configuration.to_string_lossy()),
    },
    Key {
        section: "paths",
        name: "kubelet-certificates",
        set: |config, value| {
            optional_path(value, "/var/lib/kubelet/pki").map(|v| config.locations.kubelet_pki = v)
        },
        show: |config| optional(config.locations.kubelet_pki.as_deref()),
    },
    Key {
        section: "renewal",
        name: "enabled",
        set: |config, value| boolean(value).map(|v| config.renewal.enabled = v),
        show: |config| toml::Value::Boolean(config.renewal.enabled),
    },
    Key {
        section: "renewal",
        name: "before",
        set: |config, value| before(value).map(|v| config.renewal.before = v),
        show: |config| text(show_duration(config.renewal.before)),
    },
    Key {
        section: "renewal",
        name: "jitter",
        set: |config, value| {
            let bounds = Bounds {
                least: 0,
                most: 365 * DAY,
            };
            duration(value, "7d", bounds).map(|v| config.renewal.jitter = v)
        },
        show: |config| text(show_duration(config.renewal.jitter)),
    },
    Key {
        section: "renewal",
        name: "validity",
        set: |config, value| validity(value).map(|v| config.renewal.validity = v),
        show: |config| text(show_duration(config.renewal.validity)),
    },
    Key {
        section: "renewal",
        name: "key-algorithm",
        set: |config, value| key_algorithm(value).map(|v| config.renewal.key_algorithm = v),
        show: |config| text(name_of(&ALGORITHMS, config.renewal.key_algorithm)),
    },
    Key {
        section: "renewal",
        name: "reuse-key",
        set: |config, value| boolean(value).map(|v| config.renewal.reuse_key = v),
        show: |config| toml::Value::Boolean(config.renewal.reuse_key),
    },
    Key {
        section: "renewal",
        name: "skip",
        set: |config, value| names(value).map(|v| config.renewal.skip = v),
        show: |config| toml::Value::Array(config.renewal.skip.iter().map(text).collect()),
    },
    Key {
        section: "renewal",
        name: "other-renewer",
        set: |config, value| {
            choice(value, &OTHER_RENEWERS).map(|v| config.renewal.other_renewer = v)
        },
        show: |config| text(name_of(&OTHER_RENEWERS, config.renewal.other_renewer)),
    },
    Key {
        section: "renewal",
        name: "window-override",
        set: |config, value| {
            let bounds = Bounds {
                least: HOUR,
                most: 365 * DAY,
            };
            duration(value, "7d", bounds).map(|v| config.renewal.window_override = v)
        },
        show: |config| text(show_duration(config.renewal.window_override)),
    },
    Key {
        section: "admin-copies",
        name: "paths",
        set: |config, value| paths(value).map(|v| config.admin_copies.paths = v),
        show: |config| {
            let paths = config.admin_copies.paths.iter();
            toml::Value::Array(paths.map(|path| text(path.to_string_lossy())).collect())
        },
    },
    Key {
        section: "admin-copies",
        name: "discover",
        set: |config, value| choice(value, &DISCOVERIES).map(|v| config.admin_copies.discover = v),
        show: |config| text(name_of(&DISCOVERIES, config.admin_copies.discover)),
    },
    Key {
        section: "restart",
        name: "mode",
        set: |config, value| choice(value, &MODES).map(|v| config.restart.mode = v),
        show: |config| text(name_of(&MODES, config.restart.mode)),
    },
    Key {
        section: "restart",
        name: "method",
        set: |config, value| choice(value, &METHODS).map(|v| config.restart.method = v),
        show: |config| text(name_of(&METHODS, config.restart.method)),
    },
    Key {
        section: "restart",
        name: "drain",
        set: |config, value| drain(value).map(|v| config.restart.drain = v),
        show: |config| text(show_drain(config.restart.drain)),
    },
    Key {
        section: "restart",
        name: "wait",
        set: |config, value| choice(value, &WAITS).map(|v| config.restart.wait = v),
        show: |config| text(name_of(&WAITS, config.restart.wait)),
    },
    Key {
        section: "restart",
        name: "timeout",
        set: |config, value| {
            let bounds = Bounds {
                least: 10,
                most: HOUR,
            };
            duration(value, "5m", bounds).map(|v| config.restart.timeout = v)
        },
        show: |config| text(show_duration(config.restart.timeout)),
    },
    Key {
        section: "restart",
        name: "reload-timeout",
        set: |config, value| {
            let bounds = Bounds {
                least: 1,
                most: HOUR,
            };
            duration(value, "90s", bounds).map(|v| config.restart.reload_timeout = v)
        },
        show: |config| text(show_duration(config.restart.reload_timeout)),
    },
    Key {
        section: "restart",
        name: "container-runtime",
        set: |config, value| {
            socket(value, "/run/containerd/containerd.sock")
                .map(|v| config.restart.container_runtime = v)
        },
        show: |config| optional(config.restart.container_runtime.as_deref()),
    },
    Key {
        section: "kubelet",
        name: "repair",
        set: |config, value| choice(value, &REPAIRS).map(|v| config.kubelet.repair = v),
        show: |config| text(name_of(&REPAIRS, config.kubelet.repair)),
    },
    Key {
        section: "turn",
        name: "mode",
        set: |config, value| choice(value, &TURN_MODES).map(|v| config.turn.mode = v),
        show: |config| text(name_of(&TURN_MODES, config.turn.mode)),
    },
    Key {
        section: "turn",
        name: "emergency",
        set: |config, value| {
            let bounds = Bounds {
                least: 10 * MINUTE,
                most: 365 * DAY,
            };
            duration(value, "24h", bounds).map(|v| config.turn.emergency = v)
        },
        show: |config| text(show_duration(config.turn.emergency)),
    },
    Key {
        section: "turn",
        name: "notice",
        set: |config, value| {
            let bounds = Bounds {
                least: 0,
                most: 30 * DAY,
            };
            duration(value, "1h", bounds).map(|v| config.turn.notice = v)
        },
        show: |config| text(show_duration(config.turn.notice)),
    },
    Key {
        section: "turn",
        name: "settle",
        set: |config, value| {
            let bounds = Bounds {
                least: 0,
                most: HOUR,
            };
            duration(value, "5s", bounds).map(|v| config.turn.settle = v)
        },
        show: |config| text(show_duration(config.turn.settle)),
    },
    Key {
        section: "turn",
        name: "kubeconfig",
        set: |config, value| {
            optional_path(value, "/etc/kubecertd/kubeconfig").map(|v| config.turn.kubeconfig = v)
        },
        show: |config| optional(config.turn.kubeconfig.as_deref()),
    },
    Key {
        section: "turn",
        name: "fleet-lock-url",
        set: |config, value| {
            optional_url(value, "https://fleet-lock.example:8443")
                .map(|v| config.turn.fleet_lock_url = v)
        },
        show: |config| text(config.turn.fleet_lock_url.as_deref().unwrap_or_default()),
    },
    Key {
        section: "turn",
        name: "fleet-lock-group",
        set: |config, value| fleet_lock_group(value).map(|v| config.turn.fleet_lock_group = v),
        show: |config| text(&config.turn.fleet_lock_group),
    },
    Key {
        section: "turn",
        name: "fleet-lock-ca",
        set: |config, value| {
            optional_path(value, "/etc/kubecertd/fleet-lock-ca.crt")
                .map(|v| config.turn.fleet_lock_ca = v)
        },
        show: |config| optional(config.turn.fleet_lock_ca.as_deref()),
    },
    Key {
        section: "approver",
        name: "mode",
        set: |config, value| choice(value, &APPROVER_MODES).map(|v| config.approver.mode = v),
        show: |config| text(name_of(&APPROVER_MODES, config.approver.mode)),
    },
    Key {
        section: "approver",
        name: "cidrs",
        set: |config, value| networks(value).map(|v| config.approver.cidrs = v),
        show: |config| {
            let cidrs = config.approver.cidrs.iter();
            toml::Value::Array(cidrs.map(|cidr| text(cidr.to_string())).collect())
        },
    },
    Key {
        section: "approver",
        name: "names",
        set: |config, value| name_patterns(value).map(|v| config.approver.names = v),
        show: |config| {
            let names = config.approver.names.iter();
            toml::Value::Array(names.map(|name| text(name.as_str())).collect())
        },
    },
    Key {
        section: "approver",
        name: "dns",
        set: |config, value| boolean(value).map(|v| config.approver.dns = v),
        show: |config| toml::Value::Boolean(config.approver.dns),
    },
    Key {
        section: "approver",
        name: "rate",
        set: |config, value| integer(value, 1, 1000).map(|v| config.approver.rate = v),
        show: |config| number(config.approver.rate),
    },
    Key {
        section: "approver",
        name: "node-age",
        set: |config, value| {
            let bounds = Bounds {
                least: 0,
                most: DAY,
            };
            duration(value, "1m", bounds).map(|v| config.approver.node_age = v)
        },
        show: |config| text(show_duration(config.approver.node_age)),
    },
    Key {
        section: "hooks",
        name: "timeout",
        set: |config, value| {
            let bounds = Bounds {
                least: 1,
                most: HOUR,
            };
            duration(value, "30s", bounds).map(|v| config.hooks.timeout = v)
        },
        show: |config| text(show_duration(config.hooks.timeout)),
    },
    Key {
        section: "metrics",
        name: "textfile",
        set: |config, value| {
            let example = "/var/lib/prometheus/node-exporter/kubecertd.prom";
            optional_textfile(value, example).map(|v| config.metrics.textfile = v)
        },
        show: |config| optional(config.metrics.textfile.as_deref()),
    },
    Key {
        section: "events",
        name: "enabled",
        set: |config, value| boolean(value).map(|v| config.events.enabled = v),
        show: |config| toml::Value::Boolean(config.events.enabled),
    },
    Key {
        section: "cluster-api",
        name: "kubeconfig",
        set: |config, value| {
            let example = "/etc/kubecertd/management.conf";
            optional_path(value, example).map(|v| config.cluster_api.kubeconfig = v)
        },
        show: |config| optional(config.cluster_api.kubeconfig.as_deref()),
    },
    Key {
        section: "backup",
        name: "keep",
        set: |config, value| integer(value, 1, 10_000).map(|v| config.backup.keep = v),
        show: |config| number(config.backup.keep),
    },
    Key {
        section: "backup",
        name: "max-size",
        set: |config, value| {
            let bounds = Bounds {
                least: 1 << 20,
                most: 1 << 40,
            };
            size(value, "64MiB", bounds).map(|v| config.backup.max_bytes = v)
        },
        show: |config| text(show_size(config.backup.max_bytes)),
    },
    Key {
        section: "backup",
        name: "max-age",
        set: |config, value| {
            let bounds = Bounds {
                least: HOUR,
                most: 3650 * DAY,
            };
            duration(value, "90d", bounds).map(|v| config.backup.max_age = v)
        },
        show: |config| text(show_duration(config.backup.max_age)),
    },
    Key {
        section: "log",
        name: "level",
        set: |config, value| filter(value).map(|v| config.log.level = v),
        show: |config| text(&config.log.level),
    },
    Key {
        section: "log",
        name: "format",
        set: |config, value| choice(value, &FORMATS).map(|v| config.log.format = v),
        show: |config| text(name_of(&FORMATS, config.log.format)),
    },
];

fn text(text: impl AsRef<str>) -> toml::Value {
    toml::Value::String(text.as_ref().to_owned())
}

/// The empty text stands for "not set".
fn optional(path: Option<&std::path::Path>) -> toml::Value {
    text(path.map(|path| path.to_string_lossy()).unwrap_or_default())
}

fn number(number: usize) -> toml::Value {
    toml::Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}
