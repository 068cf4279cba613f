#![allow(clippy::disallowed_methods)]

use super::*;
use crate::config::Locations;
use crate::host::Root;
use crate::node::observe;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A node with these static pods, each by its command line, and nothing else.
fn node(pods: &[&[&str]]) -> Inventory {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::new(directory.path()).unwrap();
    let manifests = root.join("/etc/kubernetes/manifests");
    std::fs::create_dir_all(&manifests).unwrap();
    for command in pods {
        let name = command[0];
        // Quoted as JSON is, a word may have anything in it.
        let pod = serde_json::json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "kube-system"},
            "spec": {"hostNetwork": true, "containers": [{"name": name, "image": "x", "command": command}]},
        });
        std::fs::write(manifests.join(format!("{name}.yaml")), pod.to_string()).unwrap();
    }
    let inventory = observe(&root, &Locations::default());
    assert_eq!(inventory.static_pods.len(), pods.len());
    inventory
}

fn server(host: &str) -> Server {
    Server {
        kubeconfig: CertificateId::ADMIN,
        host: host.to_owned(),
    }
}

fn resolved(names: &[(&str, Result<&[&str], &str>)]) -> Resolved {
    names
        .iter()
        .map(|(name, found)| {
            let found = found
                .map(|found| found.iter().map(|one| ip(one)).collect())
                .map_err(str::to_owned);
            ((*name).to_owned(), found)
        })
        .collect()
}

fn described(needed: &Needed) -> Vec<String> {
    needed
        .addresses
        .described()
        .map(|(address, purposes)| format!("{address} {purposes}"))
        .collect()
}

#[test]
fn everything_that_the_manifests_name_is_needed_with_what_it_is_for() {
    let inventory = node(&[
        &[
            "kube-apiserver",
            "--bind-address=10.0.0.10",
            "--advertise-address=10.0.0.11",
            "--etcd-servers=https://127.0.0.1:2379,https://10.0.0.40:2379",
        ],
        &[
            "etcd",
            "--name=cp1",
            "--advertise-client-urls=https://10.0.0.12:2379",
            "--listen-client-urls=https://127.0.0.1:2379,https://10.0.0.13:2379",
            "--listen-client-http-urls=https://10.0.0.14:2382",
            "--listen-metrics-urls=http://10.0.0.15:2381",
            "--listen-peer-urls=https://0.0.0.0:2380",
            "--initial-advertise-peer-urls=https://10.0.0.16:2380",
            "--initial-cluster=cp1=https://10.0.0.16:2380,cp2=https://10.0.0.22:2380,cp3=https://[fd00::23]:2380",
        ],
        &["kube-scheduler", "--bind-address=10.0.0.17"],
        &["kube-controller-manager", "--bind-address=127.0.0.1"],
    ]);
    let hosts = hosts(&inventory, &[server("10.0.0.100")]);
    let needed = needed(&hosts, &Resolved::new(), &[ip("10.0.0.2")]);
    assert_eq!(
        described(&needed),
        [
            "10.0.0.10 API server of this node",
            "10.0.0.11 API server of this node; kubelet of this node",
            "10.0.0.12 etcd of this node",
            "10.0.0.13 etcd of this node",
            "10.0.0.14 etcd of this node",
            "10.0.0.15 etcd of this node",
            "10.0.0.16 etcd of this node",
            "10.0.0.17 health of kube-scheduler",
            "10.0.0.22 etcd member cp2",
            "10.0.0.40 etcd of the API server",
            "10.0.0.100 server of admin.conf",
            "fd00::23 etcd member cp3",
        ]
    );
    assert_eq!(needed.unresolved, []);
}

#[test]
fn the_kubelets_own_addresses_are_needed() {
    let mut inventory = node(&[]);
    inventory.kubelet.address = Some("fd00::11".to_owned());
    inventory.kubelet.healthz = Some(("10.0.0.11".to_owned(), 10248));
    let needed = needed(&hosts(&inventory, &[]), &Resolved::new(), &[]);
    assert_eq!(
        described(&needed),
        [
            "10.0.0.11 kubelet of this node",
            "fd00::11 kubelet of this node"
        ]
    );
}

#[test]
fn a_name_is_needed_with_all_its_addresses_and_with_the_name_servers() {
    let hosts = hosts(&node(&[]), &[server("api.example")]);
    let names = resolved(&[("api.example", Ok(&["10.0.0.101", "fd00::101"]))]);
    let found = needed(&hosts, &names, &[ip("10.0.0.2"), ip("127.0.0.53")]);
    assert_eq!(
        described(&found),
        [
            "10.0.0.2 name server",
            "10.0.0.101 server of admin.conf",
            "fd00::101 server of admin.conf"
        ]
    );
    assert_eq!(found.unresolved, []);
}

#[test]
fn without_a_name_no_name_server_is_needed() {
    for host in [
        "10.0.0.1",
        "[fd00::1]",
        "fe80::1%eth0",
        "localhost",
        "127.0.0.1",
    ] {
        let hosts = hosts(&node(&[]), &[server(host)]);
        let found = needed(&hosts, &Resolved::new(), &[ip("10.0.0.2")]);
        let told = described(&found);
        assert!(
            !told.iter().any(|line| line.contains("name server")),
            "{told:?}"
        );
        assert_eq!(found.unresolved, [], "{host}");
    }
    let link_local = hosts(&node(&[]), &[server("fe80::1%eth0")]);
    let found = needed(&link_local, &Resolved::new(), &[]);
    assert_eq!(described(&found), ["fe80::1 server of admin.conf"]);
}

#[test]
fn a_name_without_an_address_is_said() {
    let hosts = hosts(&node(&[]), &[server("api.example")]);
    for (names, reason) in [
        (resolved(&[]), "it has no address"),
        (resolved(&[("api.example", Ok(&[]))]), "it has no address"),
        (resolved(&[("api.example", Err("try again"))]), "try again"),
    ] {
        let found = needed(&hosts, &names, &[]);
        let [unresolved] = &found.unresolved[..] else {
            panic!("{found:?}");
        };
        assert_eq!(
            unresolved.to_string(),
            format!("api.example (server of admin.conf) cannot be resolved: {reason}")
        );
    }
}

#[test]
fn what_is_no_address_is_at_most_a_name_that_cannot_be_resolved() {
    for hostile in [
        "10.0.0.66\nIPAddressAllow=any",
        "10.0.0.66 10.0.0.67",
        "10.0.0.66/8",
        "any",
        "%H",
        "10.0.0.66%\n[Service]\nExecStartPre=/bin/x",
        "[Service]",
        "0x0a000042",
        "010.0.0.66",
    ] {
        let bound = format!("--bind-address={hostile}");
        let member =
            format!("--initial-cluster={hostile}=https://10.0.0.22:2380,x=https://{hostile}:2380");
        let inventory = node(&[
            &["kube-apiserver", &bound],
            &[
                "etcd",
                "--name=cp1",
                &member,
                "--listen-metrics-urls=http://%0a:1",
            ],
            &["kube-scheduler", &bound],
        ]);
        let hosts = hosts(&inventory, &[server(hostile)]);
        let found = needed(&hosts, &Resolved::new(), &[]);
        let text = crate::report::address_filter(
            &found.addresses,
            Some(hostile),
            jiff::Timestamp::UNIX_EPOCH,
        );
        for line in text.lines() {
            let address = line.strip_prefix("IPAddressAllow=");
            assert!(
                line.starts_with("# ")
                    || ["[Service]", "IPAddressDeny=any", "IPAddressAllow=localhost"]
                        .contains(&line)
                    || address.is_some_and(|address| address.parse::<IpAddr>().is_ok()),
                "{line}\nin {text}"
            );
        }
        assert!(!found.unresolved.is_empty(), "{hostile}");
    }
}

#[tokio::test]
async fn the_standard_resolver_is_asked() {
    let wanted = |host: &str| Wanted::new(host, Purpose::EtcdServer);
    let hosts = [wanted("10.0.0.1"), wanted("a.invalid"), wanted("a\0b")];
    let found = resolve(&hosts).await;
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        ["a\0b", "a.invalid"],
        "an address is not asked for"
    );
    assert!(found.values().all(Result::is_err), "{found:?}");
}

#[test]
fn members_without_number_keep_no_other_name_from_being_looked_up() {
    let own = Wanted::new("z.example", Purpose::Server("admin.conf".to_owned()));
    let members = (0..1000).map(|number| {
        let name = format!("{number}.example");
        Wanted::new(name.clone(), Purpose::Member(name))
    });
    let all: Vec<Wanted> = [own].into_iter().chain(members).collect();
    let (asked, rest) = to_be_looked_up(&all);
    assert_eq!((asked.len(), rest.len()), (MOST_NAMES, 1001 - MOST_NAMES));
    assert_eq!(asked[0], "z.example");
}
