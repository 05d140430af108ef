//! Which module uses which, and by which path.

use super::Module;
use super::uses::Uses;
use std::collections::{BTreeMap, BTreeSet};

/// For each module those that it uses, each with the path that does.
#[derive(Debug, Default)]
pub(super) struct Graph(BTreeMap<Module, BTreeMap<Module, String>>);

impl Graph {
    /// The graph of a crate's modules.
    pub(super) fn of(modules: &BTreeMap<Module, Uses>) -> Self {
        let mut graph = Self::default();
        for (module, uses) in modules {
            for (inside, path) in &uses.paths {
                let used = absolute(module, inside, path, modules).and_then(|absolute| {
                    (0..=absolute.len())
                        .rev()
                        .map(|end| absolute[..end].to_vec())
                        .find(|known| modules.contains_key(known))
                });
                let parent = module.split_last().map(|(_, parent)| parent);
                if let Some(used) = used.filter(|used| used != module && Some(used.as_slice()) != parent) {
                    graph.add(module.clone(), used, &path.join("::"));
                }
            }
        }
        graph
    }

    /// The same between the first names of the modules: the crate's directories.
    pub(super) fn tops(&self) -> Self {
        let mut tops = Self::default();
        for (module, used) in &self.0 {
            for (used, path) in used.iter().filter(|(used, _)| used[0] != module[0]) {
                tops.add(module[..1].to_vec(), used[..1].to_vec(), path);
            }
        }
        tops
    }

    fn add(&mut self, module: Module, used: Module, path: &str) {
        self.0.entry(module).or_default().entry(used).or_insert_with(|| path.to_owned());
    }

    /// The groups of modules that all use each other in the end, each as the uses among them.
    pub(super) fn circles(&self) -> Vec<String> {
        let reached: BTreeMap<_, _> = self.0.keys().map(|module| (module, self.reached(module))).collect();
        let mut circles = Vec::new();
        let mut known = BTreeSet::new();
        for (module, used) in reached.iter().filter(|(module, used)| used.contains(**module)) {
            if known.contains(module) {
                continue;
            }
            let back = |other: &&Module| reached.get(other).is_some_and(|used| used.contains(*module));
            let group: BTreeSet<_> = used.iter().copied().filter(back).collect();
            circles.push(self.describe(&group));
            known.extend(group);
        }
        circles
    }

    /// All that a module uses, itself or through others.
    fn reached(&self, module: &Module) -> BTreeSet<&Module> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<_> = self.0.get(module).into_iter().flat_map(BTreeMap::keys).collect();
        while let Some(used) = open.pop() {
            if reached.insert(used) {
                open.extend(self.0.get(used).into_iter().flat_map(BTreeMap::keys));
            }
        }
        reached
    }

    fn describe(&self, group: &BTreeSet<&Module>) -> String {
        let uses = group
            .iter()
            .flat_map(|module| self.0.get(*module).into_iter().flatten().map(move |used| (*module, used)));
        let among = uses.filter(|(_, (used, _))| group.contains(used));
        let lines = among
            .map(|(module, (used, path))| format!("{} uses {} ({path})", module.join("::"), used.join("::")));
        lines.collect::<Vec<_>>().join("\n    ")
    }
}

/// The path from the crate's root; none for one that leads out of the crate.
fn absolute(
    module: &Module,
    inside: &[String],
    path: &[String],
    modules: &BTreeMap<Module, Uses>,
) -> Option<Vec<String>> {
    let mut here = [module, inside].concat();
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([here, rest.to_vec()].concat()),
        "super" => {
            let ups = path.iter().take_while(|name| *name == "super").count();
            here.truncate(here.len().checked_sub(ups)?);
            Some([here, path[ups..].to_vec()].concat())
        }
        // A module of this file; any other name is an item, or a crate.
        _ => {
            here.push(first.clone());
            modules.contains_key(&here).then(|| [here, rest.to_vec()].concat())
        }
    }
}
