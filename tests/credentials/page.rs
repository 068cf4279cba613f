//! The table of kubeadm's page names tests that exist.

use std::path::Path;

#[test]
fn every_counterpart_is_run_by_a_test_that_exists() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(package.join("docs/kubeadm-page.md")).unwrap();
    let mut rows = 0;
    let table = page.split("\n## ").next().unwrap();
    for row in table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| the page"))
    {
        rows += 1;
        let test = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let parts: Vec<&str> = test
            .split('`')
            .filter(|part| !part.trim().is_empty())
            .collect();
        match parts[..] {
            ["–"] => assert!(
                row.contains("| none: "),
                "without a test or a reason: {row}"
            ),
            [script] => assert!(package.join(script).is_file(), "{script}"),
            [file, name] => {
                let text = std::fs::read_to_string(package.join("tests").join(file))
                    .unwrap_or_else(|_| panic!("{file}"));
                assert!(
                    text.contains(&format!("fn {name}()")),
                    "{file} has no {name}"
                );
            }
            _ => panic!("{row}"),
        }
    }
    assert!(rows >= 20, "{rows}");
}
