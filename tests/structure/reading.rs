//! The reading of modules, imports and paths, tried on small crates.

use std::collections::BTreeSet;

use crate::source::{Source, tokens, use_tree};
use crate::tree::Tree;

fn tree(files: &[(&str, &str)]) -> Tree {
    Tree::of(&|wanted| {
        let found = files.iter().find(|(file, _)| *file == wanted);
        found.map(|(_, text)| (*text).to_owned())
    })
}

fn names(text: &str) -> Vec<(String, String)> {
    let found = use_tree(&tokens(text));
    found
        .into_iter()
        .map(|(name, path)| (name, path.join("::")))
        .collect()
}

#[test]
fn every_form_of_use_is_read() {
    let pair = |name: &str, path: &str| (name.to_owned(), path.to_owned());
    assert_eq!(names("crate::a::B"), [pair("B", "crate::a::B")]);
    assert_eq!(names("super::super::a"), [pair("a", "super::super::a")]);
    assert_eq!(names("a::B as _"), [pair("_", "a::B")]);
    assert_eq!(names("self::a::*"), [pair("*", "self::a")]);
    assert_eq!(
        names("crate::{a::{self, B as C, d::{E, F},}, g, h::{self as i}}"),
        [
            pair("a", "crate::a"),
            pair("C", "crate::a::B"),
            pair("E", "crate::a::d::E"),
            pair("F", "crate::a::d::F"),
            pair("g", "crate::g"),
            pair("i", "crate::h"),
        ]
    );
}

#[test]
fn a_name_is_found_where_it_comes_from() {
    let tree = tree(&[
        ("lib.rs", "pub mod low; pub mod high;"),
        (
            "low/mod.rs",
            "mod inner; pub use inner::{Thing as Item}; use inner::work;",
        ),
        ("low/inner.rs", "pub struct Thing; pub fn work() {}"),
        (
            "high.rs",
            "use crate::low::{self, Item}; fn f() -> low::Item { crate::low::work(); g::<super::low::Item>() }",
        ),
    ]);
    let used = tree.used_by("high.rs");
    assert_eq!(used["low/inner.rs"], BTreeSet::from(["Item", "work"]));
    assert_eq!(used["low/mod.rs"], BTreeSet::from(["low"]));
    assert!(tree.circles().is_empty());
}

#[test]
fn a_parent_and_its_child_can_be_a_circle() {
    let tree = tree(&[
        ("lib.rs", "mod a;"),
        ("a.rs", "mod b; pub struct A; fn f() { b::work() }"),
        (
            "a/b.rs",
            "pub mod c { use super::super::A; } pub fn work() {}",
        ),
    ]);
    assert_eq!(tree.circles(), [["a.rs", "a/b.rs"]]);
    let told = tree.described(&tree.circles()[0]);
    assert!(told.contains("a/b.rs uses {\"A\"} of a.rs"), "{told}");
}

#[test]
fn comments_texts_and_tests_do_not_count() {
    let text = r##"
        /// See [`crate::a::A`]. /* use crate::b; */
        const X: (&str, char, u8) = ("\" crate::a::A", '"', b'\'');
        const Y: &str = r#"" crate::a::A"#; /* crate::a::A */
        fn f<'a>() -> impl Copy + use<'a> { X.0 }
        #[cfg(test)]
        #[allow(clippy::panic)]
        mod tests { use crate::a::A; fn g() { if true {} } }
        #[cfg(test)]
        mod more;
        use crate::b::B;
    "##;
    let source = Source::of(&[], text);
    let paths: Vec<String> = source
        .paths
        .iter()
        .map(|(_, path)| path.join("::"))
        .collect();
    assert_eq!(paths, ["crate::b::B"]);
    assert!(source.children.is_empty());
}
