//! What the units allow the daemon and the recovery at boot.

use std::process::Command;

use testkit::{skipped, text};

/// As systemd reckons it, in tenths: more would be more than they need.
const EXPOSURE: [(&str, u32); 2] = [
    ("systemd/kubecertd.service", 21),
    ("systemd/recover/kubecertd-recover.service", 13),
];

#[test]
fn the_units_expose_no_more_than_they_have_to() {
    for (unit, most) in EXPOSURE {
        let path = format!("{}/{unit}", env!("CARGO_MANIFEST_DIR"));
        let Ok(output) = Command::new("systemd-analyze")
            .args(["security", "--offline=yes", "--no-pager"])
            .arg(format!("--threshold={most}"))
            .arg(&path)
            .output()
        else {
            skipped("the units' exposure is reckoned by systemd-analyze");
            return;
        };
        let told = text(&output.stdout);
        assert!(
            told.contains("Overall exposure level"),
            "{told}{}",
            text(&output.stderr)
        );
        assert!(output.status.success(), "{unit}: {told}");
        // A directive that this systemd does not know is not in force.
        assert!(
            !text(&output.stderr).contains("Unknown"),
            "{}",
            text(&output.stderr)
        );
    }
}
