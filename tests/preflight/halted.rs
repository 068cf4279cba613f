//! The failure of another control plane, as a monitoring command says it.

use testkit::{Node, said};

use crate::{can_mount, in_namespace};

#[test]
fn check_expiration_within_says_that_renewals_are_halted_while_the_daemon_runs() {
    if !can_mount() {
        return;
    }
    let node = Node::fresh();
    let output = in_namespace(
        &node,
        "mkdir -p /etc/kubernetes; mount --bind $ROOT/etc/kubernetes /etc/kubernetes\n\
         mount -t tmpfs none /run; mkdir /run/kubecertd\n\
         status() { cat >/run/kubecertd/status.json <<END\n\
         {\"version\": \"1\", \"pid\": $1, \"started\": \"2026-11-26T00:00:00Z\", \"updated\": \"2026-11-26T00:00:00Z\",\n\
         \"state\": \"waiting\", \"message\": \"\", \"certificates\": [], \"problems\": [] $2}\n\
         END\n}\n\
         within() { code=0; $KUBECERTD check-expiration --within $1 >/dev/null || code=$?; echo $2=$code; }\n\
         halted=', \"halted\": {\"node\": \"cp2\", \"operation\": \"20261126T000000Z-00ff\", \"code\": \"not-in-use\",\n\
         \"reason\": \"the scheduler is refused\", \"since\": \"2026-11-26T00:00:00Z\"}'\n\
         within 1h never-ran\n\
         status $$ ''; within 1h well\n\
         status $$ \"$halted\"; within 1h halted; within 3000d both\n\
         true & gone=$!; wait $gone; status $gone \"$halted\"; within 1h gone\n",
    );
    let told = said(&output);
    for line in ["never-ran=0", "well=0", "halted=1", "both=1", "gone=0"] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let sentence = "error: halted: cp2 failed at Nov 26, 2026 00:00:00 UTC (operation 20261126T000000Z-00ff) because the \
                    scheduler is refused; see to it, then run `kubecertd turn clear`";
    assert_eq!(told.matches(sentence).count(), 2, "{told}");
}
