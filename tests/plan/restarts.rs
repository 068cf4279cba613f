//! Which static pods a renewal concerns, in what order they restart, and how a plan is told.
#![allow(clippy::unwrap_used, clippy::panic)] // what these tests are built from, too

use jiff::Timestamp;
use kubecertd::config::{Config, Renewal, RestartMode};
use kubecertd::host::Root;
use kubecertd::net::Address;
use kubecertd::node::{
    CertificateState, Fault, Inventory, PodRef, Problem, Signer, StaticPod, components,
};
use kubecertd::plan::{Plan, Request, plan};
use kubecertd::probe::InMemory;
use kubecertd::report::{ExpirationInfo, PlanView};
use testkit::inventory::*;
use testkit::loopback::ids;

const APISERVER: &str = "apiserver";

/// The waves by what people call the pods.
fn named(waves: &[Vec<PodRef>]) -> Vec<Vec<String>> {
    waves.iter().map(components).collect()
}

fn due(node: &Inventory, now: Timestamp) -> Plan {
    plan(node, &Config::default(), &Request::Due, now).unwrap()
}

fn restarts(node: &Inventory, names: &[&str]) -> Plan {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    plan(
        node,
        &Config::default(),
        &Request::Named {
            for_names: Vec::new(),
            names,
            force: false,
        },
        now(),
    )
    .unwrap()
}

fn waves(waves: &[&[&str]]) -> Vec<Vec<String>> {
    waves
        .iter()
        .map(|wave| wave.iter().map(|name| (*name).to_owned()).collect())
        .collect()
}

#[test]
fn pods_are_affected_by_the_files_they_use() {
    let mut node = node();
    add_kubeadm_pods(&mut node);
    add_pod(
        &mut node,
        "kube-vip",
        false,
        &[],
        &["/etc/kubernetes/admin.conf"],
    );
    add_pod(&mut node, "exporter", false, &[], &["/etc/kubernetes/pki"]);
    let affected = |name: &str| -> Vec<String> {
        restarts(&node, &[name])
            .affected
            .into_iter()
            .map(|one| one.pod.component)
            .collect()
    };
    assert_eq!(affected("etcd-server"), ["etcd", "exporter"]);
    assert_eq!(affected("etcd-healthcheck-client"), ["exporter"]);
    assert_eq!(affected(APISERVER), ["kube-apiserver", "exporter"]);
    assert_eq!(affected("admin.conf"), ["kube-vip"]);
    assert_eq!(affected("scheduler.conf"), ["kube-scheduler"]);
    assert!(affected("super-admin.conf").is_empty());
}

#[test]
fn a_pod_that_mounts_what_links_lead_to_is_affected() {
    let mut node = node();
    add_pod(&mut node, "exporter", false, &[], &["/srv/pki"]);
    let key = "/etc/kubernetes/pki/apiserver.key";
    assert!(restarts(&node, &[APISERVER]).affected.is_empty());
    node.links
        .insert(key.into(), "/srv/pki/apiserver.key".into());
    let affected = restarts(&node, &[APISERVER, "etcd-server"]).affected;
    assert_eq!(affected.len(), 1);
    assert_eq!(affected[0].certificates, ids(&[APISERVER]));
    // And one that mounts a link to the directory.
    let mut node = self::node();
    add_pod(&mut node, "exporter", false, &[], &["/srv/link"]);
    node.links
        .insert("/srv/link".into(), "/etc/kubernetes/pki".into());
    assert_eq!(restarts(&node, &[APISERVER]).affected.len(), 1);
}

#[test]
fn whoever_uses_the_other_name_of_a_renewed_file_is_affected() {
    let mut node = node();
    add_kubeadm_pods(&mut node);
    for entry in &mut node.entries {
        if ["controller-manager.conf", "scheduler.conf"].contains(&entry.id.as_str()) {
            entry.certificate_path = "/etc/kubernetes/pki/shared.crt".into();
            entry.key_path = Some("/etc/kubernetes/pki/shared.key".into());
        }
    }
    let affected = restarts(&node, &["scheduler.conf"]).affected;
    let components: Vec<&str> = affected
        .iter()
        .map(|one| one.pod.component.as_str())
        .collect();
    assert_eq!(components, ["kube-controller-manager", "kube-scheduler"]);
}

#[test]
fn only_kubeconfigs_restart_only_their_holders_together() {
    let mut node = node();
    add_kubeadm_pods(&mut node);
    let plan = restarts(&node, &["controller-manager.conf", "scheduler.conf"]);
    assert_eq!(plan.restarts.len(), 1);
    let group = &plan.restarts[0];
    assert_eq!(
        named(&group.out),
        waves(&[&["kube-controller-manager", "kube-scheduler"]])
    );
    assert_eq!(group.back, group.out);
    assert!(group.out_meanwhile.is_empty());
    assert_eq!(
        named(&restarts(&node, &["scheduler.conf"]).restarts[0].out),
        waves(&[&["kube-scheduler"]])
    );
}

#[test]
fn the_api_server_takes_its_clients_with_it_and_etcd_the_api_server() {
    let mut node = node();
    add_kubeadm_pods(&mut node);
    add_pod(
        &mut node,
        "kube-vip",
        false,
        &[],
        &["/etc/kubernetes/admin.conf"],
    );
    let api = &restarts(&node, &[APISERVER, "scheduler.conf", "admin.conf"]).restarts;
    assert_eq!(api.len(), 2);
    assert_eq!(
        named(&api[0].out),
        waves(&[
            &["kube-controller-manager", "kube-scheduler"],
            &["kube-apiserver"]
        ])
    );
    assert_eq!(
        named(&api[0].back),
        waves(&[
            &["kube-apiserver"],
            &["kube-controller-manager", "kube-scheduler"]
        ])
    );
    assert_eq!(
        components(&api[0].out_meanwhile),
        ["kube-controller-manager"]
    );
    assert_eq!(named(&api[1].out), waves(&[&["kube-vip"]]));

    let etcd = &restarts(&node, &["etcd-peer"]).restarts;
    assert_eq!(etcd.len(), 1);
    assert_eq!(
        named(&etcd[0].out),
        waves(&[
            &["kube-controller-manager", "kube-scheduler"],
            &["kube-apiserver"],
            &["etcd"]
        ])
    );
    assert_eq!(components(&etcd[0].back[0]), ["etcd"]);
    assert_eq!(
        components(&etcd[0].out_meanwhile),
        [
            "kube-controller-manager",
            "kube-scheduler",
            "kube-apiserver"
        ]
    );
    assert_eq!(
        etcd[0].back[0][0].manifest.to_str(),
        Some("/etc/kubernetes/manifests/etcd.yaml")
    );

    // A node with nothing but etcd.
    node.static_pods.retain(|pod| pod.component() == "etcd");
    assert_eq!(
        named(&restarts(&node, &["etcd-peer"]).restarts[0].out),
        waves(&[&["etcd"]])
    );
    assert!(restarts(&node, &["admin.conf"]).restarts.is_empty());
}

#[test]
fn kube_vip_gives_its_address_away_before_the_api_server_goes_where_another_can_take_it() {
    let mut node = node();
    add_kubeadm_pods(&mut node);
    let admin = ["/etc/kubernetes/admin.conf"];
    add_pod(&mut node, "kube-vip", false, &[], &admin);
    node.other_control_planes = true;
    let rest: [&[&str]; 2] = [
        &["kube-controller-manager", "kube-scheduler"],
        &["kube-apiserver"],
    ];
    let first: &[&str] = &["kube-vip"];
    // Not for its own sake, then for its own as well: it goes out once.
    for (names, is_meanwhile) in [
        (&[APISERVER][..], true),
        (&[APISERVER, "admin.conf"], false),
    ] {
        let groups = restarts(&node, names).restarts;
        assert_eq!(groups.len(), 1, "{groups:?}");
        assert_eq!(named(&groups[0].out), waves(&[first, rest[0], rest[1]]));
        assert_eq!(named(&groups[0].back), waves(&[rest[1], rest[0], first]));
        let meanwhile = components(&groups[0].out_meanwhile);
        assert_eq!(meanwhile.contains(&"kube-vip".to_owned()), is_meanwhile);
    }
    let etcd = restarts(&node, &["etcd-peer"]).restarts;
    assert_eq!(named(&etcd[0].out)[0], first);
    // What does not take the API server away leaves it where it is.
    let groups = restarts(&node, &["scheduler.conf"]).restarts;
    assert_eq!(named(&groups[0].out), waves(&[&["kube-scheduler"]]));
    let groups = restarts(&node, &["scheduler.conf", "admin.conf"]).restarts;
    assert_eq!(named(&groups[1].out), waves(&[first]));
    // Nobody else could take the address.
    node.other_control_planes = false;
    let groups = restarts(&node, &[APISERVER]).restarts;
    assert_eq!(named(&groups[0].out), waves(&rest));
}

#[test]
fn an_api_server_without_a_label_is_restarted_in_its_place() {
    let mut node = node();
    add_kubeadm_pods(&mut node);
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: api}\nspec:\n  containers:\n  - name: server\n    \
                command: [kube-apiserver, --etcd-certfile=/etc/kubernetes/pki/apiserver-etcd-client.crt]\n    \
                volumeMounts: [{name: pki, mountPath: /etc/kubernetes/pki}]\n  \
                volumes: [{name: pki, hostPath: {path: /etc/kubernetes/pki}}]\n";
    let path = std::path::Path::new("/etc/kubernetes/manifests/api.yaml");
    node.static_pods
        .retain(|pod| pod.component() != "kube-apiserver");
    node.static_pods
        .push(StaticPod::parse(path, text, &Root::default()).unwrap());
    let plan = restarts(&node, &["etcd-server", "apiserver-etcd-client"]);
    let affected: Vec<&str> = plan
        .affected
        .iter()
        .map(|one| one.pod.component.as_str())
        .collect();
    assert_eq!(affected, ["etcd", "kube-apiserver"]);
    assert_eq!(plan.restarts.len(), 1);
    assert_eq!(
        named(&plan.restarts[0].out),
        waves(&[
            &["kube-controller-manager", "kube-scheduler"],
            &["kube-apiserver"],
            &["etcd"]
        ])
    );
    assert_eq!(plan.restarts[0].back[1][0].manifest, path);
}

/// Its name is the administrator's, its place is its program's.
#[test]
fn an_api_server_with_another_label_is_restarted_in_its_place() {
    let mut node = node();
    add_kubeadm_pods(&mut node);
    for pod in &mut node.static_pods {
        if pod.component() == "kube-apiserver" {
            let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: kube-apiserver, labels: {component: api}}\n";
            *pod = StaticPod::parse(&pod.path, text, &Root::default()).unwrap();
        }
    }
    let plan = restarts(&node, &["etcd-server"]);
    assert_eq!(
        named(&plan.restarts[0].out),
        waves(&[
            &["kube-controller-manager", "kube-scheduler"],
            &["api"],
            &["etcd"]
        ])
    );
    assert_eq!(
        components(&plan.restarts[0].out_meanwhile),
        ["kube-controller-manager", "kube-scheduler", "api"]
    );
}

#[test]
fn what_cannot_be_read_or_edited_is_in_the_plan() {
    let mut node = node();
    add_kubeadm_pods(&mut node);
    node.unread_manifests.push(Problem {
        path: "/etc/kubernetes/manifests/vip.yaml".into(),
        fault: Fault::CannotBeRead {
            reason: "not YAML: a control character at line 7, column 1".to_owned(),
        },
    });
    node.uneditable.insert(
        "admin.conf".into(),
        "client-key-data comes from a merge key (<<) at line 9".to_owned(),
    );
    let plan = restarts(&node, &["admin.conf", "scheduler.conf"]);
    let view = PlanView::from(&plan);
    let table = view.to_table();
    assert!(
        table.contains(
            "\nNot read, so a pod in it is neither restarted nor proved:\n\
             - /etc/kubernetes/manifests/vip.yaml: not YAML: a control character at line 7, column 1\n"
        ),
        "{table}"
    );
    let view = serde_json::to_value(view).unwrap();
    assert_eq!(
        view["unreadManifests"][0]["path"],
        "/etc/kubernetes/manifests/vip.yaml"
    );
    let row = &view["certificates"][0];
    assert_eq!(
        (&row["action"], &row["reason"]),
        (&"leave".into(), &"not-editable".into())
    );
    assert_eq!(
        row["message"],
        "/etc/kubernetes/admin.conf: client-key-data comes from a merge key (<<) at line 9"
    );
}

#[test]
fn with_mode_none_the_affected_are_told_but_not_restarted() {
    let mut node = node();
    add_kubeadm_pods(&mut node);
    let mut config = Config::default();
    config.restart.mode = RestartMode::None;
    let plan = plan(&node, &config, &Request::All { force: false }, now()).unwrap();
    assert_eq!(plan.affected.len(), 4);
    assert!(plan.restarts.is_empty());
    assert!(
        PlanView::from(&plan)
            .to_table()
            .contains("None of them is restarted.")
    );
}

#[test]
fn when_needed_the_plan_says_what_re_reads_its_files_and_restarts_the_rest() {
    let mut node = node();
    add_kubeadm_pods(&mut node);
    for pod in &mut node.static_pods {
        let name = pod.containers[0].name.clone();
        pod.containers[0].image = match name.as_str() {
            "etcd" => "registry.k8s.io/etcd:3.5.30-0".to_owned(),
            _ => format!("registry.k8s.io/{name}:v1.36.2"),
        };
    }
    let mut config = Config::default();
    config.restart.mode = RestartMode::WhenNeeded;
    let told = |node: &Inventory| {
        let plan = plan(node, &config, &Request::All { force: false }, now()).unwrap();
        PlanView::from(&plan).to_table()
    };
    let table = told(&node);
    for line in [
        "etcd                      re-reads it by itself",
        "kube-apiserver            re-reads it by itself",
        "kube-controller-manager   restart",
        "kube-scheduler            restart",
        "\nRestart: out kube-controller-manager and kube-scheduler; back kube-controller-manager and kube-scheduler\n",
    ] {
        assert!(table.contains(line), "{line} is not in {table}");
    }
    // A second container of the pod may read the files at its start only.
    let sidecar = |node: &mut Inventory, is_there: bool| {
        let mut pods = node.static_pods.iter_mut();
        let pod = pods.find(|pod| pod.name == "kube-apiserver").unwrap();
        let mut another = pod.containers[0].clone();
        another.name = "konnectivity-server".to_owned();
        another.image = "registry.example/konnectivity:v1".to_owned();
        if is_there {
            pod.containers.push(another);
        } else {
            pod.containers.pop();
        }
    };
    sidecar(&mut node, true);
    assert!(told(&node).contains("kube-apiserver            restart"));
    sidecar(&mut node, false);
    // Of an image that does not tell its release nothing is expected that is not seen.
    let api_server = node
        .static_pods
        .iter_mut()
        .find(|pod| pod.name == "kube-apiserver");
    api_server.unwrap().containers[0].image = "registry.example/api@sha256:0".to_owned();
    assert!(told(&node).contains("kube-apiserver            restart"));
    // Nor that the kubelet saw it: one that may not be asked would leave only the time.
    let only = |name: &str| {
        let names = vec![name.to_owned()];
        let request = Request::Named {
            for_names: Vec::new(),
            names,
            force: false,
        };
        PlanView::from(&plan(&node, &config, &request, now()).unwrap()).to_table()
    };
    assert!(only("apiserver-kubelet-client").contains("kube-apiserver   restart"));
    assert!(only("apiserver").contains("kube-apiserver   re-reads it by itself"));
}

#[test]
fn what_is_only_in_memory_is_in_the_tables_with_when_its_component_is_restarted() {
    let component = |component: &str, days: i64| InMemory {
        component: component.to_owned(),
        address: Address {
            host: "127.0.0.1".to_owned(),
            port: 6443,
        },
        not_before: after((days - 365) * DAY),
        not_after: after(days * DAY),
    };
    // The last thirty days of a year, as for any certificate.
    let seen = [
        component("kube-apiserver", 29),
        component("kube-scheduler", 31),
    ];
    let node = telling_node();
    let view = PlanView::from(&due(&node, now())).with_in_memory(&seen, &Renewal::default());
    let table = view.to_table();
    let line = |name: &str| {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        line("kube-apiserver (in memory)"),
        "kube-apiserver (in memory) Jun 30, 2026 00:00 UTC May 31, 2026 00:00 UTC restart only a restart makes another"
    );
    assert!(line("kube-scheduler (in memory)").ends_with("Jun 02, 2026 00:00 UTC wait"));
    let json = serde_json::to_value(&view).unwrap();
    assert_eq!(json["inMemory"][1]["dueAt"], "2026-06-02T00:00:00Z");
    let info = ExpirationInfo::new(&node, now(), true).with_in_memory(&seen);
    assert!(info.to_table().contains("kube-apiserver (in memory)"));
    assert!(!info.due_within(seconds(29 * DAY), now()).due.is_empty());
}

fn telling_node() -> Inventory {
    let mut node = node_with(&[APISERVER, "etcd-peer", "scheduler.conf", "super-admin.conf"]);
    add_kubeadm_pods(&mut node);
    present_mut(&mut node, APISERVER).leaf.not_after = after(20 * DAY);
    present_mut(&mut node, "etcd-peer").signer = Signer::Foreign("CN=Corp CA".to_owned());
    set_state(&mut node, "super-admin.conf", CertificateState::Missing);
    node
}

#[test]
fn the_table_tells_what_when_why_and_which_pods() {
    let table = PlanView::from(&due(&telling_node(), now())).to_table();
    assert_eq!(
        table,
        "\
CERTIFICATE        EXPIRES                  RENEWAL DUE              ACTION   WHY
apiserver          Jun 21, 2026 00:00 UTC   May 22, 2026 00:00 UTC   renew    its time for renewal has come
etcd-peer          Nov 30, 2026 12:00 UTC                            leave    issued by CN=Corp CA and not by this node's CA, so it is not overwritten; renew it with its issuer
scheduler.conf     Nov 30, 2026 12:00 UTC   Oct 31, 2026 12:00 UTC   wait
super-admin.conf                                                     leave    there is no such file, as on every node that was joined

STATIC POD       ACTION    USES
kube-apiserver   restart   apiserver

Restart: out kube-controller-manager and kube-scheduler, then kube-apiserver; back kube-apiserver, then kube-controller-manager and kube-scheduler
         (kube-controller-manager, kube-scheduler only because the API is away meanwhile)

Next: Oct 31, 2026 12:00 UTC, scheduler.conf
"
    );
}

#[test]
fn the_json_has_a_fixed_shape() {
    let view = serde_json::to_value(PlanView::from(&due(&telling_node(), now()))).unwrap();
    assert_eq!(view["apiVersion"], "kubecertd/v1alpha1");
    assert_eq!(view["kind"], "Plan");
    assert_eq!(view["at"], "2026-06-01T00:00:00Z");
    assert_eq!(
        view["certificates"][0],
        serde_json::json!({
            "name": "apiserver",
            "authority": "ca",
            "notAfter": "2026-06-21T00:00:00Z",
            "dueAt": "2026-05-22T00:00:00Z",
            "action": "renew",
            "reason": "due",
            "message": "its time for renewal has come",
        })
    );
    assert_eq!(view["certificates"][1]["reason"], "foreign-issuer");
    assert_eq!(view["certificates"][2]["reason"], serde_json::Value::Null);
    assert_eq!(view["affectedPods"][0]["component"], "kube-apiserver");
    assert_eq!(view["restarts"][0]["out"][1][0], "kube-apiserver");
    assert_eq!(view["restarts"][0]["heldOut"][0], "kube-controller-manager");
    assert_eq!(view["nextDue"]["name"], "scheduler.conf");
}
