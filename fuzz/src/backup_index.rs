//! The index of a backup.

use std::path::Component;

use kubecertd::files::generations;
use kubecertd::journal::Store;
use serde_json::json;

use crate::place::Place;

const ID: &str = "20261123T224110Z-4f2a";
const FILE: &str = "/var/lib/kubecertd/backups/20261123T224110Z-4f2a/index.json";

thread_local! {
    static PLACE: Place = Place::new();
}

/// What is listed names the directory it lies in and files of the node, and is read as the same when it is written again.
pub fn check(data: &[u8]) {
    PLACE.with(|place| {
        place.write(FILE, data);
        let store = Store::new(&place.root);
        let listed = generations(&store).expect("backups can be listed");
        let Some(generation) = listed.first() else {
            return;
        };
        assert_eq!(generation.id, ID, "another directory would be pruned");
        for file in &generation.files {
            let mut components = file.path.components();
            assert_eq!(components.next(), Some(Component::RootDir));
            assert!(
                components.all(|part| matches!(part, Component::Normal(_))),
                "{} leads out of the backup",
                file.path.display()
            );
        }
        let written =
            json!({"id": generation.id, "created": generation.created, "files": generation.files});
        place.write(FILE, written.to_string().as_bytes());
        let again = generations(&store).expect("backups can be listed");
        assert_eq!(again[0].files, generation.files);
        assert_eq!(again[0].created, generation.created);
    });
}
