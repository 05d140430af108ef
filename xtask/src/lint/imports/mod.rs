//! No import circles: a crate can be read from the bottom up, one file and one directory at a time.
//!
//! * `uses`: the paths that one file uses
//! * `graph`: who uses whom, and who uses himself in the end
//!
//! A file that uses what its own parent `mod.rs` defines makes no circle. Test modules, and what a crate's root defines,
//! do not count.

mod graph;
mod uses;

use dind_lab::Result;
use graph::Graph;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use uses::Uses;

/// A module by its path in the crate: `["plan", "dns"]`.
type Module = Vec<String>;

/// Adds a line for each circle in each crate that the files belong to.
pub(super) fn check(root: &Path, files: &[PathBuf], faults: &mut Vec<String>) -> Result<()> {
    let mut crates: BTreeMap<PathBuf, Vec<(PathBuf, String)>> = BTreeMap::new();
    for file in files {
        let Some(top) = top(file) else { continue };
        let inside = file.strip_prefix(&top)?.to_owned();
        crates.entry(top).or_default().push((inside, fs::read_to_string(file)?));
    }
    for (top, files) in crates {
        let name = top.strip_prefix(root).unwrap_or(&top).display().to_string();
        let circles = circles(&files).map_err(|error| format!("{name}/{error}"))?;
        faults.extend(circles.into_iter().map(|circle| format!("{name}: {circle}")));
    }
    Ok(())
}

/// The directory with the modules of a file's crate: `src` of a package, or one test program's below `tests`.
fn top(file: &Path) -> Option<PathBuf> {
    let package = file.ancestors().skip(1).find(|directory| directory.join("Cargo.toml").exists())?;
    let inside: Vec<_> = file.strip_prefix(package).ok()?.iter().collect();
    match inside.as_slice() {
        [src, _, ..] if *src == "src" => Some(package.join("src")),
        [tests, program, _, ..] if *tests == "tests" => Some(package.join("tests").join(program)),
        _ => None,
    }
}

/// The circles between the files of a crate, and between its directories.
fn circles(files: &[(PathBuf, String)]) -> Result<Vec<String>> {
    let mut modules = BTreeMap::new();
    let mut of_tests = BTreeSet::new();
    for (file, text) in files {
        let uses = Uses::of(text).map_err(|error| format!("{}: {error}", file.display()))?;
        of_tests.extend(uses.test_modules.iter().map(|name| test_module(file, name)));
        modules.insert(module(file), uses);
    }
    modules.retain(|module, _| !module.is_empty() && !of_tests.contains(module));
    let graph = Graph::of(&modules);
    let of_files = graph.circles();
    // One between files that lie at the top is the same again.
    let of_directories = graph.tops().circles().into_iter().filter(|circle| !of_files.contains(circle));
    let of_directories = of_directories.map(|circle| format!("import circle of directories:\n    {circle}"));
    Ok(of_files
        .iter()
        .map(|circle| format!("import circle of files:\n    {circle}"))
        .chain(of_directories)
        .collect())
}

/// `plan/dns.rs` and `plan/dns/mod.rs` are `plan::dns`.
fn module(file: &Path) -> Module {
    let mut module: Module =
        file.with_extension("").iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|name| ["mod", "lib", "main"].contains(&name.as_str())) {
        module.pop();
    }
    module
}

/// The module that a file declares for tests: by name, or by a `#[path]`, which starts at the file's directory.
fn test_module(file: &Path, declared: &str) -> Module {
    if declared.ends_with(".rs") {
        module(&file.with_file_name(declared))
    } else {
        [module(file), vec![declared.to_owned()]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::circles;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(file, text)| (file.into(), (*text).to_owned())).collect();
        circles(&files).unwrap()
    }

    #[test]
    fn a_crate_whose_arrows_run_down_passes() {
        let clean = found(&[
            ("lib.rs", "mod facts; mod plan; pub type Result<T> = std::result::Result<T, ()>;"),
            ("facts/mod.rs", "mod net; pub use net::Net; use crate::Result; pub struct Facts;"),
            ("facts/net.rs", "use super::Facts; use std::fs; pub struct Net; pub(super) struct Own;"),
            ("plan/mod.rs", "mod dns; fn plan() { dns::decide(&crate::facts::Facts) }"),
            ("plan/dns.rs", "use crate::facts::{self, Net}; mod inner { use super::super::helper; }"),
            ("plan/helper.rs", "pub fn help() {}"),
        ]);
        assert_eq!(clean, Vec::<String>::new());
    }

    #[test]
    fn files_that_use_each_other_are_found() {
        let circle = found(&[
            ("plan/a.rs", "use super::b::B;"),
            ("plan/b.rs", "use crate::plan::a::{A, Other as O};"),
        ]);
        assert_eq!(
            circle,
            [
                "import circle of files:\n    plan::a uses plan::b (super::b::B)\n    plan::b uses plan::a (crate::plan::a::A)"
            ]
        );
        let three = found(&[
            ("a.rs", "type B = crate::b::B;"),
            ("b.rs", "fn b() { println!(\"{}\", crate::c::C) }"),
            ("c.rs", "fn c() -> u8 { if let Some(crate::a::A) = None {} 1 }"),
        ]);
        assert_eq!(three.len(), 1, "{three:?}");
        assert!(
            three[0].contains("a uses b") && three[0].contains("b uses c") && three[0].contains("c uses a")
        );
    }

    #[test]
    fn directories_that_use_each_other_are_found_without_a_circle_of_files() {
        let circle = found(&[
            ("facts/net.rs", "use crate::plan::range::Range;"),
            ("plan/range.rs", "pub struct Range;"),
            ("plan/dns.rs", "use crate::facts::net;"),
        ]);
        assert_eq!(
            circle,
            [
                "import circle of directories:\n    facts uses plan (crate::plan::range::Range)\n    plan uses facts (crate::facts::net)"
            ]
        );
    }

    #[test]
    fn a_grandchild_may_not_use_what_its_grandparent_defines_from_it() {
        let circle = found(&[
            ("a/mod.rs", "use b::c::C; pub struct A;"),
            ("a/b/mod.rs", "pub mod c;"),
            ("a/b/c.rs", "use crate::a::A; pub struct C;"),
        ]);
        assert_eq!(circle.len(), 1, "{circle:?}");
    }

    #[test]
    fn tests_do_not_count() {
        let clean = found(&[
            ("plan/range.rs", "#[cfg(test)] #[path = \"range_tests.rs\"] mod tests; pub struct Range;"),
            ("plan/range_tests.rs", "use crate::facts::Facts; use super::Range;"),
            (
                "facts.rs",
                "use crate::plan::range; #[cfg(test)] mod cases; #[cfg(test)] mod more { use crate::other::O; }",
            ),
            ("facts/cases.rs", "use crate::other;"),
            ("other.rs", "use crate::facts::Facts; #[cfg(test)] use crate::plan;"),
        ]);
        assert_eq!(clean, Vec::<String>::new());
    }

    #[test]
    fn a_file_that_does_not_parse_is_named() {
        let error = circles(&[("plan/a.rs".into(), "fn {".to_owned())]).unwrap_err().to_string();
        assert!(error.starts_with("plan/a.rs: "), "{error}");
    }
}
