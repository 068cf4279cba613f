//! Every mistake in a configuration is reported with its place and with what would be right.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::path::Path;

use kubecertd::config::{Config, ConfigError, KeyPolicy, parse};
use kubecertd::pki::{AuthorityId, KeyAlgorithm};

fn mistakes(text: &str) -> Vec<String> {
    parse(Path::new("k.toml"), text)
        .err()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn only_mistake(text: &str) -> String {
    let mut mistakes = mistakes(text);
    assert_eq!(mistakes.len(), 1, "{text}\n{mistakes:#?}");
    mistakes.remove(0)
}

#[test]
fn an_empty_text_is_the_default() {
    for text in [
        "",
        "\n\n",
        "# nothing\n",
        "[renewal]\n",
        "\u{feff}[renewal]\n",
    ] {
        assert_eq!(
            parse(Path::new("k.toml"), text),
            Ok(Config::default()),
            "{text:?}"
        );
    }
}

#[test]
fn each_mistake_names_place_key_and_remedy() {
    for (text, message) in [
        (
            "[renewal]\nbefor = \"30d\"\n",
            "k.toml:2:1: unknown key renewal.befor; did you mean \"before\"?",
        ),
        (
            "[renewal]\n  before = \"1y\"\n",
            "k.toml:2:12: renewal.before = \"1y\": years are ambiguous; write \"365d\" or \"8760h\"",
        ),
        (
            "[metrics]\ntextfile = \"/var/lib/kubecertd.txt\"\n",
            "k.toml:2:12: metrics.textfile = \"/var/lib/kubecertd.txt\": the collector reads only files whose names end in \
             .prom, as in \"/var/lib/prometheus/node-exporter/kubecertd.prom\"",
        ),
        (
            "[approver]\nmode = \"aprove\"\n",
            "k.toml:2:8: approver.mode = \"aprove\"; did you mean \"approve\"? (off, observe, approve)",
        ),
        (
            "[approver]\nmode = \"approve\"\ncidrs = [\"10.0.0.0/16\"]\n",
            "k.toml:2:8: approver.mode = \"approve\" needs names: a kubelet writes the addresses of its own Node, so they \
             alone prove nothing; write the nodes' networks and names, as in cidrs = [\"10.0.0.0/16\"] and names = \
             [\"worker-*\"], or mode = \"observe\"",
        ),
        (
            "[approver]\ncidrs = [\"10.0.0.5/16\"]\n",
            "k.toml:2:10: approver.cidrs = \"10.0.0.5/16\": bits are set behind the first 16; write \"10.0.0.0/16\"",
        ),
        (
            "[approver]\ncidrs = [\"0.0.0.0/0\"]\n",
            "k.toml:2:10: approver.cidrs = \"0.0.0.0/0\": every address is in it, so it checks nothing; write the nodes' \
             networks",
        ),
        (
            "[approver]\ncidrs = [\"10.0.0.0\"]\n",
            "k.toml:2:10: approver.cidrs = \"10.0.0.0\": not a network; write it as in \"10.0.0.0/16\"",
        ),
        (
            "[approver]\nnames = [\"*\"]\n",
            "k.toml:2:10: approver.names = \"*\": every name is such a one, so it checks nothing; write what the nodes' \
             names have in common, as in \"worker-*\" or \"*.example.com\"",
        ),
        (
            "[approver]\nnames = \"worker-*\"\n",
            "k.toml:2:9: approver.names expects a list of patterns such as [\"worker-*\", \"*.example.com\"], found string \
             \"worker-*\"",
        ),
        (
            "[renewal]\nbefore = 30\n",
            "k.toml:2:10: renewal.before expects a duration such as \"30d\", found integer 30",
        ),
        (
            "renewal.before = \"30\"\n",
            "k.toml:1:18: renewal.before = \"30\": the unit is missing; write \"30\" with one, as in \"30d\" or \"30h\"",
        ),
        (
            "[restart]\ntimeout = \"5\"\n",
            "k.toml:2:11: restart.timeout = \"5\": the unit is missing; write \"5\" with one, as in \"5m\"",
        ),
        (
            "[restart]\ntimeout = \"20\"\n",
            "k.toml:2:11: restart.timeout = \"20\": the unit is missing; write \"20\" with one, as in \"20m\" or \"20s\"",
        ),
        (
            "[restart]\nreload-timeout = \"90\"\n",
            "k.toml:2:18: restart.reload-timeout = \"90\": the unit is missing; write \"90\" with one, as in \"90s\"",
        ),
        (
            "[renewal]\nvalidity = \"8760\"\n",
            "k.toml:2:12: renewal.validity = \"8760\": the unit is missing; write \"8760\" with one, as in \"8760h\" or \
             \"8760d\"",
        ),
        (
            "[restart]\ntimeout = \"5000\"\n",
            "k.toml:2:11: restart.timeout = \"5000\": the unit is missing; write \"5000\" with one, as in \"5m\"",
        ),
        (
            "[renewal]\nbefore = \"1s\"\n",
            "k.toml:2:10: renewal.before = \"1s\": too short; at least \"60s\"",
        ),
        (
            "[renewal]\nvalidity = \"40000d\"\n",
            "k.toml:2:12: renewal.validity = \"40000d\": too long; at most \"36500d\"",
        ),
        (
            "[renewal]\nbefore = \"400d\"\n",
            "k.toml:2:10: renewal.before = \"400d\" is not shorter than renewal.validity = \"365d\": a new certificate \
             would be due at once; write at most a third of the validity, \"121d16h\"",
        ),
        (
            "[restart]\nmode = \"affectd\"\n",
            "k.toml:2:8: restart.mode = \"affectd\"; did you mean \"affected\"? (affected, when-needed, none)",
        ),
        (
            "[restart]\nmode = \"always\"\n",
            "k.toml:2:8: restart.mode = \"always\"; not one of affected, when-needed, none",
        ),
        (
            "[restart]\nmethod = \"containers\"\n",
            "k.toml:2:10: restart.method = \"containers\"; did you mean \"container\"? (manifest, container)",
        ),
        (
            "[restart]\ndrain = \"pods\"\n",
            "k.toml:2:9: restart.drain = \"pods\": not a duration; write one such as \"30d\", \"8760h\" or \"90m\"",
        ),
        (
            "[restart]\ndrain = 3\n",
            "k.toml:2:9: restart.drain expects a duration such as \"3s\", or \"pod\" for the pod's own grace, found integer 3",
        ),
        (
            "[restart]\ndrain = \"700s\"\n",
            "k.toml:2:9: restart.drain = \"700s\": too long; at most \"10m\"",
        ),
        (
            "[restart]\nmode = true\n",
            "k.toml:2:8: restart.mode expects one of \"affected\", \"when-needed\", \"none\", found boolean true",
        ),
        (
            "[renewal]\nkey-algorithm = \"rsa2048\"\n",
            "k.toml:2:17: renewal.key-algorithm = \"rsa2048\"; did you mean \"RSA-2048\"? \
             (keep, RSA-2048, RSA-3072, RSA-4096, ECDSA-P256, ECDSA-P384)",
        ),
        (
            "[renewal]\nkey_algorithm = \"keep\"\n",
            "k.toml:2:1: unknown key renewal.key_algorithm; did you mean \"key-algorithm\"?",
        ),
        (
            "[renewal]\nmode = \"none\"\n",
            "k.toml:2:1: unknown key renewal.mode; it belongs into the section [restart]",
        ),
        (
            "before = \"30d\"\n",
            "k.toml:1:1: before belongs into the section [renewal]",
        ),
        (
            "[renewals]\nbefore = \"30d\"\n",
            "k.toml:1:2: unknown section [renewals]; did you mean [renewal]?",
        ),
        (
            "[cluster]\nlease = \"x\"\n",
            "k.toml:1:2: unknown section [cluster]; there are [paths], [renewal], [certificate.NAME], [issuer.NAME], \
             [window.NAME], [admin-copies], [restart], [kubelet], [turn], [approver], [hooks], [metrics], [events], [cluster-api], [backup], [log]",
        ),
        (
            "[[renewal]]\nbefore = \"30d\"\n",
            "k.toml:1:3: [[renewal]] makes a list; write [renewal], once",
        ),
        (
            "renewal = \"30d\"\n",
            "k.toml:1:11: renewal is a section [renewal] with keys, found string \"30d\"",
        ),
        (
            "[certificate.\"admin.conf\"]\nbefor = \"30d\"\n",
            "k.toml:2:1: unknown key certificate.\"admin.conf\".befor; did you mean \"before\"?",
        ),
        (
            "[certificate.apiserver]\nother-renewer = \"wait\"\n",
            "k.toml:2:1: unknown key certificate.apiserver.other-renewer; it is only in the section [renewal], for all",
        ),
        (
            "[certificate.apiserver]\ncolour = 1\n",
            "k.toml:2:1: unknown key certificate.apiserver.colour; [certificate.apiserver] has before, validity, \
             key-algorithm, reuse-key, skip, file, key, issuer, ca, ca-key, owner, group, mode, static-pod, unit, unit-action, command, address",
        ),
        (
            "[certificate.apiserver]\nbefore = \"1y\"\n",
            "k.toml:2:10: certificate.apiserver.before = \"1y\": years are ambiguous; write \"365d\" or \"8760h\"",
        ),
        (
            "[certificate.apiserver]\nskip = 1\n",
            "k.toml:2:8: certificate.apiserver.skip expects true or false, without quotes, found integer 1",
        ),
        (
            "[certificate.apisever]\nskip = true\n",
            "k.toml:1:14: [certificate.apisever]: did you mean \"apiserver\"? (admin.conf, apiserver, \
             apiserver-etcd-client, apiserver-kubelet-client, controller-manager.conf, etcd-healthcheck-client, \
             etcd-peer, etcd-server, front-proxy-client, scheduler.conf, super-admin.conf)",
        ),
        (
            "[certificate.admin.conf]\nskip = true\n",
            "k.toml:1:20: certificate.admin has a table \"conf\" in it; a name with a dot needs quotes: \
             [certificate.\"admin.conf\"]",
        ),
        (
            "[certificate.\"a\\nb\"]\n",
            "k.toml:1:14: [certificate.\"a\\u000Ab\"]: a name cannot hold control characters",
        ),
        (
            "[certificate.\"\"]\n",
            "k.toml:1:14: [certificate.\"\"]: a name is missing",
        ),
        (
            "[[certificate]]\nskip = true\n",
            "k.toml:1:3: [[certificate]] makes a list; give each table its name, as in [certificate.\"admin.conf\"]",
        ),
        (
            "[[certificate.apiserver]]\nskip = true\n",
            "k.toml:1:15: [[certificate.apiserver]] makes a list; write [certificate.apiserver], once",
        ),
        (
            "certificate = true\n",
            "k.toml:1:15: certificate has named tables, as in [certificate.\"admin.conf\"], found boolean true",
        ),
        (
            "[certificate]\nskip = true\n",
            "k.toml:2:8: certificate.skip belongs into a named table, as in [certificate.\"admin.conf\"]",
        ),
        (
            "[certificate]\napiserver = \"30d\"\n",
            "k.toml:2:13: certificate.apiserver is a table [certificate.apiserver] with keys, found string \"30d\"",
        ),
        (
            "[certificates.apiserver]\nskip = true\n",
            "k.toml:1:2: unknown section [certificates]; did you mean [certificate.NAME]?",
        ),
        (
            "[certificate.apiserver]\nbefore = \"90d\"\nvalidity = \"90d\"\n",
            "k.toml:2:10: certificate.apiserver.before = \"90d\" is not shorter than certificate.apiserver.validity = \
             \"90d\": a new certificate would be due at once; write at most a third of the validity, \"30d\"",
        ),
        (
            "[certificate.apiserver]\nbefore = \"400d\"\n",
            "k.toml:2:10: certificate.apiserver.before = \"400d\" is not shorter than renewal.validity = \"365d\": a new \
             certificate would be due at once; write at most a third of the validity, \"121d16h\"",
        ),
        (
            "[renewal]\nbefore = \"20d\"\n[certificate.apiserver]\nvalidity = \"20d\"\n",
            "k.toml:2:10: renewal.before = \"20d\" is not shorter than certificate.apiserver.validity = \"20d\": a new \
             certificate would be due at once; write at most a third of the validity, \"6d16h\"",
        ),
        (
            "[window.night]\nlength = \"3h\"\n",
            "k.toml:1:9: [window.night] has no start; a window needs one",
        ),
        (
            "[window.night]\nstart = \"02:00\"\n",
            "k.toml:1:9: [window.night] has no length; a window needs one",
        ),
        (
            "[window.night]\nstart = \"02:00\"\nlength = \"0s\"\n",
            "k.toml:3:10: window.night.length = \"0s\": too short; at least \"60s\"",
        ),
        (
            "[window.night]\nstart = \"24:00\"\nlength = \"3h\"\n",
            "k.toml:2:9: window.night.start = \"24:00\": not a time of day; write hours and minutes from \"00:00\" to \
             \"23:59\"",
        ),
        (
            "[window.night]\nstart = 02:00:00\nlength = \"3h\"\n",
            "k.toml:2:9: window.night.start expects a time of day such as \"02:00\", found date-time 02:00:00",
        ),
        (
            "[window.night]\nstart = \"02:00\"\nlength = \"3h\"\ndays = []\n",
            "k.toml:4:8: window.night.days = []: such a window never opens; name a day, or leave the key out for every day",
        ),
        (
            "[window.night]\nstart = \"02:00\"\nlength = \"3h\"\ndays = [\"tuesday\"]\n",
            "k.toml:4:9: window.night.days = \"tuesday\"; not one of mon, tue, wed, thu, fri, sat, sun",
        ),
        (
            "[window.night]\nstart = \"02:00\"\nlength = \"3h\"\ntime-zone = \"Europe/Berlni\"\n",
            "k.toml:4:13: window.night.time-zone = \"Europe/Berlni\": this machine knows no such time zone; did you mean \
             \"Europe/Berlin\"?",
        ),
        (
            "[window.night]\nstart = \"02:00\"\nlength = \"3h\"\ntimezone = \"UTC\"\n",
            "k.toml:4:1: unknown key window.night.timezone; did you mean \"time-zone\"?",
        ),
        (
            "[renewal]\nskip = \"apiserver\"\n",
            "k.toml:2:8: renewal.skip expects a list of certificate names such as [\"super-admin.conf\"], found string \"apiserver\"",
        ),
        (
            "[renewal]\nenabled = \"yes\"\n",
            "k.toml:2:11: renewal.enabled expects true or false, without quotes, found string \"yes\"",
        ),
        (
            "[paths]\nkubernetes = \"etc/kubernetes\"\n",
            "k.toml:2:14: paths.kubernetes = \"etc/kubernetes\": not an absolute path; write it from the root, as in \"/etc/kubernetes\"",
        ),
        (
            "[turn]\nfleet-lock-url = \"fleet.example\"\n",
            "k.toml:2:18: turn.fleet-lock-url = \"fleet.example\": not an http or https URL; write the scheme in front, as in \
             \"https://fleet-lock.example:8443\"",
        ),
        (
            "[turn]\nfleet-lock-url = \"https://me:secret@fleet.example\"\n",
            "k.toml:2:18: turn.fleet-lock-url = \"https://me:secret@fleet.example\": credentials in a URL are not sent; write \
             host and port only, as in \"https://fleet-lock.example:8443\"",
        ),
        (
            "[turn]\nfleet-lock-url = \"https://fleet.example/#x\"\n",
            "k.toml:2:18: turn.fleet-lock-url = \"https://fleet.example/#x\": nothing may follow the path, as in \
             \"https://fleet-lock.example:8443\"",
        ),
        (
            "[turn]\nfleet-lock-group = \"a b\"\n",
            "k.toml:2:20: turn.fleet-lock-group expects a group of letters, digits, dots and hyphens, such as \"default\", found \
             string \"a b\"",
        ),
        (
            "[backup]\nkeep = 0\n",
            "k.toml:2:8: backup.keep expects a whole number from 1 to 10000, found integer 0",
        ),
        (
            "[backup]\nmax-size = \"64\"\n",
            "k.toml:2:12: backup.max-size = \"64\": the unit is missing or unknown; write \"64MiB\"",
        ),
        (
            "[log]\nlevel = \"inof\"\n",
            "k.toml:2:9: log.level = \"inof\"; did you mean \"info\"? (error, warn, info, debug, trace, off)",
        ),
        (
            "[log]\nlevel = \"info,kubecertd=loud\"\n",
            "k.toml:2:9: log.level = \"info,kubecertd=loud\"; not one of error, warn, info, debug, trace, off",
        ),
    ] {
        assert_eq!(only_mistake(text), message);
    }
}

#[test]
fn all_mistakes_are_reported_from_top_to_bottom() {
    let text = "[restart]\ntimeout = \"1s\"\nmode = 1\n\n[renewal]\nbefor = 1\nskip = [\"apisever\", 3,\n  \"etcd-srver\"]\n";
    let found: Vec<(usize, usize)> = parse(Path::new("k.toml"), text)
        .unwrap_err()
        .iter()
        .map(|error| match error {
            ConfigError::Wrong { line, column, .. } => (*line, *column),
            ConfigError::Read { .. } => panic!("{error}"),
        })
        .collect();
    assert_eq!(found, [(2, 11), (3, 8), (6, 1), (7, 9), (7, 21), (8, 3)]);
}

#[test]
fn broken_syntax_is_reported_beside_the_other_mistakes() {
    let found = mistakes("[renewal]\nbefore = \nvalidity = \"1y\"\nskip = [\n");
    assert!(found[0].starts_with("k.toml:2:"), "{found:#?}");
    assert!(
        found
            .iter()
            .any(|message| message.contains("years are ambiguous")),
        "{found:#?}"
    );
    let twice = only_mistake("[renewal]\nbefore = \"20d\"\nbefore = \"30d\"\n");
    assert_eq!(twice, "k.toml:3:1: duplicate key");
    assert!(only_mistake("before \"30d\"\n").starts_with("k.toml:1:"));
}

#[test]
fn no_text_makes_the_parser_panic() {
    let config = include_str!("../../config/kubecertd.toml").replace("\n#", "\n");
    for end in (0..config.len())
        .step_by(31)
        .filter(|end| config.is_char_boundary(*end))
    {
        let _outcome = parse(Path::new("k.toml"), &config[..end]);
    }
    for text in [
        "\0",
        "é = \u{1f512}",
        "[\u{1f512}]",
        "a.b.c.d.e = 1",
        "]",
        "=",
        "\"\"\"",
        "[[",
        "x = 99999999999999999999",
    ] {
        assert!(!mistakes(text).is_empty(), "{text:?}");
    }
}

#[test]
fn a_large_wrong_text_is_answered_in_time() {
    let nested = format!("x = {}", "[".repeat(500_000));
    assert!(!mistakes(&nested).is_empty());
    let log = "Jan 02 15:04:05 node kernel: something happened\n".repeat(4_000);
    assert_eq!(mistakes(&log).len(), 4_000);
    let unknown: String = (0..4_000)
        .map(|number| format!("key{number} = 1\n"))
        .collect();
    assert_eq!(mistakes(&unknown).len(), 4_000);
}

#[test]
fn values_are_understood() {
    let config = parse(
        Path::new("k.toml"),
        "[renewal]\nbefore = \"2w\"\nvalidity = \"P90D\"\nkey-algorithm = \"ECDSA-P256\"\nskip = [\"super-admin.conf\"]\n\
         [restart]\nmode = \"when-needed\"\nwait = \"interval\"\ncontainer-runtime = \"unix:///run/crio/crio.sock\"\n\
         [backup]\nmax-size = \"1GiB\"\nkeep = 0x10\n[log]\nlevel = \"warn,kubecertd::restart=debug\"\n",
    )
    .unwrap();
    assert_eq!(config.renewal.before.as_secs(), 14 * 86_400);
    assert_eq!(config.renewal.validity.as_secs(), 90 * 86_400);
    assert!(config.renewal.skip.contains("super-admin.conf"));
    assert_eq!(
        config.restart.container_runtime.as_deref(),
        Some(Path::new("/run/crio/crio.sock"))
    );
    assert_eq!(config.backup.max_bytes, 1 << 30);
    assert_eq!(config.backup.keep, 16);
}

#[test]
fn a_default_threshold_does_not_forbid_short_lived_certificates() {
    let config = parse(Path::new("k.toml"), "[renewal]\nvalidity = \"20m\"\n").unwrap();
    assert_eq!(config.renewal.validity.as_secs(), 1200);
}

#[test]
fn what_one_certificate_has_wins_over_what_all_have() {
    let config = parse(
        Path::new("k.toml"),
        "renewal.skip = [\"super-admin.conf\", \"extra/hook.crt\"]\nrenewal.before = \"20d\"\n\
         [certificate.\"admin.conf\"]\nbefore = \"2d\"\nvalidity = \"30d\"\nkey-algorithm = \"ECDSA-P256\"\nreuse-key = true\n\
         [certificate.\"super-admin.conf\"]\nskip = false\n[certificate.apiserver]\nskip = true\n",
    )
    .unwrap();
    let admin = config.renewal_of("admin.conf");
    assert_eq!(admin.before.as_secs(), 2 * 86_400);
    assert_eq!(admin.validity.as_secs(), 30 * 86_400);
    assert_eq!(
        admin.key_algorithm,
        KeyPolicy::Always(KeyAlgorithm::EcdsaP256)
    );
    assert!(admin.reuse_key && !admin.skip);
    let apiserver = config.renewal_of("apiserver");
    assert_eq!(apiserver.before.as_secs(), 20 * 86_400);
    assert_eq!(apiserver.validity.as_secs(), 8760 * 3600);
    assert!(apiserver.skip && !apiserver.reuse_key);
    assert!(!config.renewal_of("super-admin.conf").skip);
    let by = |name| config.renewal.skipped_by(name);
    assert_eq!(
        by("apiserver").as_deref(),
        Some("certificate.apiserver.skip")
    );
    assert_eq!(by("extra/hook.crt").as_deref(), Some("renewal.skip"));
    assert_eq!(by("super-admin.conf"), None);
    assert_eq!(by("etcd-peer"), None);
}

#[test]
fn each_mistake_has_the_code_of_its_kind() {
    for (text, code) in [
        ("[renewal\n", "not-toml"),
        ("[renewa]\n", "unknown-section"),
        ("[renewal]\nbefor = \"30d\"\n", "unknown-key"),
        ("[certificate.apiserver]\nbefor = \"30d\"\n", "unknown-key"),
        ("[[renewal]]\nbefore = \"30d\"\n", "wrong-shape"),
        ("renewal = 3\n", "wrong-shape"),
        (
            "[certificate.a.crt]\nbefore = \"30d\"\n",
            "wrong-table-name",
        ),
        ("[renewal]\nbefore = 30\n", "wrong-type"),
        ("[restart]\nmode = \"afected\"\n", "unknown-word"),
        ("[renewal]\nbefore = \"1y\"\n", "wrong-value"),
        ("[window.night]\nlength = \"2h\"\n", "missing-key"),
        (
            "[renewal]\nbefore = \"30d\"\nvalidity = \"20d\"\n",
            "contradiction",
        ),
    ] {
        let errors = parse(Path::new("k.toml"), text).unwrap_err();
        let codes: Vec<&str> = errors.iter().map(ConfigError::code).collect();
        assert_eq!(codes, [code], "{text}\n{errors:?}");
    }
}

#[test]
fn issuers_are_files_or_programs_and_each_has_its_own_keys() {
    for (text, expected) in [
        (
            "[issuer.files]\nlead = \"5m\"\n",
            "k.toml:2:8: issuer.files.lead = \"5m\"",
        ),
        (
            "[issuer.files]\ncommand = [\"/x\"]\n",
            "k.toml:2:11: issuer.files.command belongs to a program",
        ),
        (
            "[issuer.vault]\ncommand = [\"/x\"]\nlead = \"30d\"\n",
            "k.toml:3:8: issuer.vault.lead is a key of [issuer.files]",
        ),
        (
            "[issuer.vault]\ntime-limit = \"30s\"\n",
            "k.toml:1:9: [issuer.vault] has no command; an issuer needs one",
        ),
        (
            "[issuer.vault]\ncommand = [\"vault\"]\n",
            "k.toml:2:11: issuer.vault.command: \"vault\" is no absolute path",
        ),
        (
            "[issuer.vault]\ncommand = \"/bin/x\"\n",
            "k.toml:2:11: issuer.vault.command expects a program and its arguments",
        ),
        (
            "[issuer.vault]\ncommand = []\n",
            "k.toml:2:11: issuer.vault.command expects a program and its arguments",
        ),
        (
            "[issuer.vault]\ncommand = [\"/x\"]\nauthorities = [\"etcd\"]\n",
            "k.toml:3:16: issuer.vault.authorities = \"etcd\"; ",
        ),
        (
            "[issuer.file]\nenabled = true\n",
            "k.toml:1:9: [issuer.file]: did you mean \"files\"?",
        ),
        (
            "[issuer]\nenabled = true\n",
            "k.toml:2:11: issuer.enabled belongs into a named table",
        ),
        (
            "[issuer.api]\nsigner-name = \"own\"\n",
            "k.toml:2:15: issuer.api.signer-name = \"own\": not the name of a signer; write DOMAIN/NAME",
        ),
        (
            "[issuer.api]\nsigner-name = \"kubernetes.io/legacy-unknown\"\n",
            "k.toml:2:15: issuer.api.signer-name = \"kubernetes.io/legacy-unknown\": requests to this signer cannot be made",
        ),
        (
            "[issuer.api]\nsigner-name = \"a.io/b\"\n",
            "k.toml:1:9: [issuer.api] has no certificates; write which ones the signer signs",
        ),
        (
            "[issuer.api]\nsigner-name = \"a.io/b\"\ncertificates = []\n",
            "k.toml:3:16: issuer.api.certificates expects the names of certificates, at least one",
        ),
        (
            "[issuer.api]\nsigner-name = \"a.io/b\"\ncommand = [\"/x\"]\n",
            "k.toml:2:15: issuer.api: it has a command and a signer-name",
        ),
        (
            "[issuer.api]\nsigner-name = \"a.io/b\"\ncertificates = [\"admin.conf\"]\ntime-limit = \"9s\"\n",
            "k.toml:4:14: issuer.api.time-limit belongs to a program",
        ),
        (
            "[issuer.api]\ncommand = [\"/x\"]\napprove = false\n",
            "k.toml:3:11: issuer.api.approve belongs to a signer of the certificates API",
        ),
        (
            "[issuer.api]\ncommand = [\"/x\"]\ncertificates = [\"admin.conf\"]\nauthorities = [\"ca\"]\n",
            "k.toml:4:15: issuer.api: certificates says what it signs, and so does authorities",
        ),
        (
            "[issuer.a]\ncommand = [\"/x\"]\ncertificates = [\"admin.conf\"]\n\
             [issuer.b]\nsigner-name = \"a.io/b\"\ncertificates = [\"scheduler.conf\", \"admin.conf\"]\n",
            "k.toml:6:16: issuer.b.certificates: [issuer.a] has \"admin.conf\", too",
        ),
        (
            "[issuer.files]\napprove = true\n",
            "k.toml:2:11: issuer.files.approve belongs to a program or a signer",
        ),
    ] {
        let mistake = only_mistake(text);
        assert!(mistake.starts_with(expected), "{mistake}\n{expected}");
    }
    let config = parse(
        Path::new("k.toml"),
        "[issuer.files]\nenabled = false\nlead = \"20d\"\n[issuer.vault]\ncommand = [\"/x\", \"y\"]\nauthorities = [\"etcd-ca\"]\n",
    )
    .unwrap();
    assert!(!config.issuers.files.enabled);
    let named = |authority| {
        let found = config.issuers.asked_for("x", authority);
        found.map(|(name, _)| name)
    };
    assert_eq!(named(AuthorityId::Etcd), Some("vault"));
    assert_eq!(named(AuthorityId::Kubernetes), None);
    assert!(config.issuers.asks(AuthorityId::Etcd));
    assert!(!config.issuers.asks(AuthorityId::Kubernetes));
}

#[test]
fn a_signer_is_shown_as_it_was_written_and_its_certificates_come_before_authorities() {
    let text = "[issuer.all]\ncommand = [\"/x\"]\n\
                [issuer.api]\nsigner-name = \"example.com/own\"\ncertificates = [\"admin.conf\"]\napprove = true\n\
                kubeconfig = \"/etc/kubecertd/signer.conf\"\n";
    let node = testkit::tree::Tree::new();
    node.write("/etc/kubecertd/kubecertd.toml", text);
    let loaded = kubecertd::config::load(&node.root, None).unwrap();
    let config = &loaded.config;
    let (name, issuer) = config
        .issuers
        .asked_for("admin.conf", AuthorityId::Kubernetes)
        .unwrap();
    assert_eq!((name, issuer.approve), ("api", true));
    let others = config
        .issuers
        .asked_for("scheduler.conf", AuthorityId::Kubernetes);
    assert_eq!(others.map(|(name, _)| name), Some("all"));
    let shown = loaded.to_toml();
    let again = parse(Path::new("shown.toml"), &shown).unwrap();
    assert_eq!(again.issuers, config.issuers, "{shown}");
}
