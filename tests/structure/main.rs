//! How the files of `src` know each other, read from their `use` lines and paths: each room only rooms below it, and no files in
//! a circle. A file and its child are two files. Methods are not seen, since no path leads to them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod codes;
mod reading;
mod source;
mod tree;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use tree::Tree;

/// The rooms, each of which knows only those before it: the table of `ARCHITECTURE.md`.
const ROOMS: [&str; 22] = [
    "host",
    "pki",
    "config",
    "net",
    "api",
    "node",
    "plan",
    "issuer",
    "orders",
    "journal",
    "files",
    "runtime",
    "probe",
    "restart",
    "cluster",
    "checks",
    "report",
    "credentials",
    "operation",
    "rehearsal",
    "daemon",
    "cli",
];

#[test]
fn each_room_knows_only_those_below_it() {
    let tree = Tree::of_this_package();
    let rank = |room: &str| ROOMS.iter().position(|known| *known == room);
    let mut wrong = String::new();
    for (file, used) in &tree.uses {
        let Some(room) = room_of(file) else { continue };
        let own = rank(room).unwrap_or_else(|| panic!("{room} is no room: put it into ROOMS"));
        for path in used {
            let to = tree.file_of(path);
            // What a room hands on counts as its own as well as where it comes from.
            for other in [path.first().map(String::as_str), room_of(&to)] {
                if other.and_then(rank).is_some_and(|other| other > own) {
                    writeln!(wrong, "{file} uses {}, in {to}", path.join("::")).unwrap();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "a room uses one above it:\n{wrong}");
}

#[test]
fn no_files_are_in_a_circle() {
    let tree = Tree::of_this_package();
    let circles = tree.circles();
    let found: String = circles
        .iter()
        .map(|circle| tree.described(circle))
        .collect();
    assert!(found.is_empty(), "files know each other:\n{found}");
}

#[test]
fn the_order_of_rooms_is_that_of_the_architecture() {
    let text = std::fs::read_to_string(package().join("ARCHITECTURE.md")).unwrap();
    let table = text
        .lines()
        .skip_while(|line| !line.starts_with("| module |"));
    let rooms: Vec<&str> = table
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert_eq!(rooms, ROOMS);
    let tree = Tree::of_this_package();
    let folders: BTreeSet<&str> = tree.uses.keys().filter_map(|file| room_of(file)).collect();
    assert_eq!(folders, BTreeSet::from(ROOMS), "the folders of src");
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder at the top; `None` for `lib.rs`, which has them all.
fn room_of(file: &str) -> Option<&str> {
    file.split_once('/').map(|(room, _)| room)
}
