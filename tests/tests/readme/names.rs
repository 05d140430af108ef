//! Names that a page gives: others use the same engine, so here they are other ones.

use dind_tests::outer::{docker, image, inner_image};
use dind_tests::pages::Page;
use dind_tests::unique;
use std::collections::BTreeMap;

/// What is named, by the page's name for it; removed with its handle.
#[derive(Debug, Default)]
pub(crate) struct Names {
    containers: BTreeMap<String, String>,
    networks: BTreeMap<String, String>,
    volumes: BTreeMap<String, String>,
    images: BTreeMap<String, String>,
}

impl Names {
    /// Those that the commands of a page give.
    pub(crate) fn of(page: &Page) -> Self {
        let mut names = Self::default();
        let commands = page.blocks.iter().filter(|block| is_here(block));
        for command in commands.flat_map(|block| statements(&block.text)) {
            let words: Vec<&str> = command.split_whitespace().collect();
            let add = |map: &mut BTreeMap<String, String>, name: &str| {
                let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == ':');
                if plain && !name.is_empty() {
                    map.entry(name.to_owned()).or_insert_with(|| unique("page"));
                }
            };
            // What is named inside of a node is the node's.
            let inside = words.windows(2).any(|pair| pair == ["docker", "exec"]);
            for pair in words.windows(2).filter(|_| !inside) {
                match pair[0] {
                    "--name" => add(&mut names.containers, pair[1]),
                    "--tag" => add(&mut names.images, pair[1]),
                    "--volume" | "-v" => {
                        add(&mut names.volumes, pair[1].split(':').next().unwrap_or_default());
                    }
                    _ => {}
                }
            }
            if words.starts_with(&["docker", "network", "create"]) {
                add(&mut names.networks, words.last().unwrap_or(&""));
            }
        }
        names
    }

    /// The text with our names.
    pub(crate) fn ours(&self, text: &str) -> String {
        let own = [("dind:dev".to_owned(), image()), ("busybox".to_owned(), inner_image())];
        let given = [&self.containers, &self.networks, &self.volumes, &self.images];
        let given = given.into_iter().flatten().map(|(name, ours)| (name.clone(), ours.clone()));
        given.chain(own).fold(text.to_owned(), |text, (name, ours)| replaced(&text, &name, &ours))
    }

    /// The containers that these commands make, by our names: a page makes one of the same name again where it begins something else.
    pub(crate) fn made_by(&self, commands: &str) -> Vec<&str> {
        let made = |name: &str| {
            statements(commands)
                .any(|line| line.contains(&format!("--name {name} ")) && !line.contains("docker exec"))
        };
        self.containers.iter().filter(|(name, _)| made(name)).map(|(_, ours)| ours.as_str()).collect()
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let kinds = [
            (&["rm", "--force", "--volumes"][..], &self.containers),
            (&["network", "rm"], &self.networks),
            (&["volume", "rm", "--force"], &self.volumes),
            (&["rmi", "--force"], &self.images),
        ];
        for (command, names) in kinds {
            for ours in names.values() {
                let _ = docker(&[command, &[ours]].concat());
            }
        }
    }
}

/// Whether a block runs on the machine, and not in a container.
fn is_here(block: &dind_tests::pages::Block) -> bool {
    block.language == "sh" && block.mark("in").is_none()
}

/// Commands, each on one line.
fn statements(text: &str) -> impl Iterator<Item = String> {
    text.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// Replaces a word, which is no part of a path, of another name, or of an option.
fn replaced(text: &str, name: &str, ours: &str) -> String {
    let (mut out, mut left) = (String::new(), text);
    while let Some(at) = left.find(name) {
        let (before, rest) = (&left[..at], &left[at + name.len()..]);
        let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let last = before.chars().last().or(out.chars().last());
        let begins = !last.is_some_and(|c| inner(c) || c == '/');
        let ends = !rest.starts_with(|c: char| inner(c) || c == '/');
        out += before;
        out += if begins && ends { ours } else { name };
        left = rest;
    }
    out + left
}

#[test]
fn a_name_is_replaced_where_it_is_a_word() {
    let text = "--name node node:/var exec node --hostname node2 /tmp/node node-a 'node'";
    let ours = "--name N N:/var exec N --hostname node2 /tmp/node node-a 'N'";
    assert_eq!(replaced(text, "node", "N"), ours);
}
