//! The modules of a crate, and which file uses what of which.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::package;
use crate::source::{Names, Source};

/// The files that `lib.rs` leads to, without what is for tests.
#[derive(Default)]
pub(crate) struct Tree {
    /// The file of each module.
    files: BTreeMap<Names, String>,
    /// What each module imports, by the name that it has there.
    imports: BTreeMap<Names, BTreeMap<String, Names>>,
    /// What each file uses.
    pub(crate) uses: BTreeMap<String, BTreeSet<Names>>,
}

impl Tree {
    pub(crate) fn of_this_package() -> Self {
        Self::of(&|file| std::fs::read_to_string(package().join("src").join(file)).ok())
    }

    pub(crate) fn of(read: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut tree = Self::default();
        let mut paths = Vec::new();
        let mut pending = vec![(Names::new(), "lib.rs".to_owned())];
        while let Some((module, file)) = pending.pop() {
            let text = read(&file).unwrap_or_else(|| panic!("{file} cannot be read"));
            let source = Source::of(&module, &text);
            for child in source.children {
                let base = child.join("/");
                let file = [format!("{base}.rs"), format!("{base}/mod.rs")];
                let file = file.into_iter().find(|file| read(file).is_some());
                let file = file.unwrap_or_else(|| panic!("{base} has no file"));
                pending.push((child, file));
            }
            for inner in source.inner {
                tree.files.insert(inner, file.clone());
            }
            for (module, name, path) in source.imports {
                tree.imports.entry(module).or_default().insert(name, path);
            }
            paths.push((file.clone(), source.paths));
            tree.files.insert(module, file);
        }
        for (file, paths) in paths {
            let absolute = paths
                .into_iter()
                .filter_map(|(module, path)| tree.absolute(&module, path));
            tree.uses.insert(file, absolute.collect());
        }
        let imports = std::mem::take(&mut tree.imports);
        for (module, names) in imports {
            let absolute = names.into_iter();
            let absolute =
                absolute.filter_map(|(name, path)| Some((name, tree.absolute(&module, path)?)));
            tree.imports.insert(module.clone(), absolute.collect());
        }
        tree
    }

    /// A path as a module has it, from the root of the crate; `None` for another crate's.
    fn absolute(&self, module: &[String], mut path: Names) -> Option<Names> {
        let mut base = module.to_vec();
        match path.first()?.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                while path.first().is_some_and(|part| part == "super") {
                    base.pop();
                    path.remove(0);
                }
                base.extend(path);
                return Some(base);
            }
            first => {
                base.push(first.to_owned());
                if !self.files.contains_key(&base) {
                    base.pop();
                    let imported = self.imports.get(module)?.get(first)?;
                    // A name that imports itself is another crate's: `use serde::Deserialize`.
                    if imported.first()? == first {
                        return None;
                    }
                    base = self.absolute(module, imported.clone())?;
                }
            }
        }
        base.extend(path.drain(1..));
        Some(base)
    }

    /// The file in which what a path leads to is, through all that hands it on.
    pub(crate) fn file_of(&self, path: &[String]) -> String {
        let mut path = path.to_vec();
        for _ in 0..16 {
            let depth = (0..=path.len())
                .rev()
                .find(|depth| self.files.contains_key(&path[..*depth]));
            let (module, rest) = path.split_at(depth.unwrap_or(0));
            let handed_on = rest.split_first().and_then(|(first, rest)| {
                let imported = self.imports.get(module)?.get(first)?;
                Some([imported, rest].concat())
            });
            match handed_on {
                Some(next) if next != path => path = next,
                _ => return self.files[module].clone(),
            }
        }
        panic!("{} is handed on in a circle", path.join("::"));
    }

    /// Which other files a file uses, and what of them.
    pub(crate) fn used_by(&self, file: &str) -> BTreeMap<String, BTreeSet<&str>> {
        let mut used: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for path in &self.uses[file] {
            let other = self.file_of(path);
            if other != file && other != "lib.rs" {
                let name = path.last().map_or("", String::as_str);
                used.entry(other).or_default().insert(name);
            }
        }
        used
    }

    /// Files that lead to each other, each lot sorted.
    pub(crate) fn circles(&self) -> Vec<Vec<String>> {
        let edges: BTreeMap<&str, BTreeMap<String, _>> = self
            .uses
            .keys()
            .map(|file| (file.as_str(), self.used_by(file)))
            .collect();
        let reached: BTreeMap<&str, BTreeSet<&str>> = edges
            .keys()
            .map(|from| {
                let mut reached = BTreeSet::new();
                let mut pending = vec![*from];
                while let Some(file) = pending.pop() {
                    let next = edges[file].keys().map(String::as_str);
                    pending.extend(next.filter(|next| reached.insert(*next)));
                }
                (*from, reached)
            })
            .collect();
        let lots: BTreeSet<Vec<String>> = reached
            .iter()
            .filter(|(from, reached)| reached.contains(*from))
            .map(|(from, others)| {
                let back = others
                    .iter()
                    .filter(|other| reached[**other].contains(from));
                back.map(|file| (*file).to_owned()).collect()
            })
            .collect();
        lots.into_iter().collect()
    }

    pub(crate) fn described(&self, circle: &[String]) -> String {
        let mut text = "circle:\n".to_owned();
        for file in circle {
            for (other, names) in self.used_by(file) {
                if circle.contains(&other) {
                    writeln!(text, "    {file} uses {names:?} of {other}").unwrap();
                }
            }
        }
        text
    }
}
