//! Every block is run by somebody, and every link leads somewhere.

use crate::RUN;
use crate::elsewhere::{self, ELSEWHERE, Runner};
use dind_tests::pages::{Block, PAGES, Page};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn pages() -> impl Iterator<Item = Page> {
    PAGES.iter().map(|(path, _)| Page::of(path))
}

/// Whether the page's own shell runs a block, or has it as a file.
pub(crate) fn runs_here(page: &Page, block: &Block) -> bool {
    let (saved, shown) = (block.mark("as").is_some(), block.mark("is").is_some());
    let here = saved || (block.language == "sh" && !shown && block.mark("xtask").is_none());
    RUN.contains(&page.path.as_str()) && here && elsewhere::of(page, block).is_none()
}

/// Why nobody runs a block, or why who should does not.
fn fault(page: &Page, block: &Block) -> Option<String> {
    if let Some(file) = block.mark("is") {
        return (!is_in(&block.text, &root().join(file))).then(|| format!("this is not in {file}"));
    }
    if block.mark("xtask").is_some() || runs_here(page, block) {
        return None;
    }
    match elsewhere::of(page, block) {
        Some(Runner::Test(test)) => (!elsewhere::exists(test)).then(|| format!("there is no test {test}")),
        Some(Runner::Nobody(reason)) => {
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            (!words(&page.text).contains(reason))
                .then(|| format!("the page does not say why nobody runs it: {reason}"))
        }
        None => Some("a block nobody runs".to_owned()),
    }
}

/// Whether the lines of a block are in a file, in their order and with nothing but comments between them.
fn is_in(text: &str, file: &Path) -> bool {
    let of = |text: &str| {
        let lines =
            text.lines().map(str::trim_end).filter(|line| !line.starts_with("# ") && !line.is_empty());
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (block, file) = (of(text), of(&fs::read_to_string(file).unwrap_or_default()));
    !block.is_empty() && file.windows(block.len()).any(|lines| lines == block)
}

#[test]
fn every_block_is_run_by_somebody() {
    let all =
        pages().flat_map(|page| page.blocks.clone().into_iter().map(move |block| (page.clone(), block)));
    let faults = all.filter(|(_, block)| block.is_command()).filter_map(|(page, block)| {
        Some(format!("{}:{}: {}\n{}", page.path, block.line, fault(&page, &block)?, block.text))
    });
    let faults: Vec<_> = faults.collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_block_that_nobody_runs_is_found() {
    let page = Page::new(
        "README.md",
        "```yaml\na: 1\n```\n\n```sh\necho\n```\n\n```sh is:README.md\nnot in there\n```\n",
    );
    let faults: Vec<_> = page.blocks.iter().map(|block| fault(&page, block)).collect();
    let expected =
        [Some("a block nobody runs".to_owned()), None, Some("this is not in README.md".to_owned())];
    assert_eq!(faults, expected);
    let other = Page::new("tests/README.md", "```sh\necho\n```\n");
    assert_eq!(
        fault(&other, &other.blocks[0]).as_deref(),
        Some("a block nobody runs"),
        "that page is not run"
    );
}

#[test]
fn documents_that_are_shown_are_documents() {
    for page in pages() {
        let shown = page.blocks.iter().flat_map(|block| [Some(block), block.output.as_deref()]).flatten();
        for block in shown.filter(|block| block.language == "json") {
            let document: Result<serde_json::Value, _> = serde_json::from_str(&block.text);
            assert!(document.is_ok(), "{}:{}: {document:?}", page.path, block.line);
        }
    }
}

#[test]
fn what_runs_elsewhere_is_on_its_page() {
    for (path, first, _) in ELSEWHERE {
        let _ = Page::of(path).block(first);
    }
}

#[test]
fn all_pages_are_known() {
    let (mut directories, mut found) = (vec![root()], BTreeSet::new());
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir()
                && !name.starts_with('.')
                && name != "target"
                && name != "root"
            {
                directories.push(path);
            } else if name.ends_with(".md") {
                found.insert(path.strip_prefix(root()).unwrap().display().to_string());
            }
        }
    }
    let known: BTreeSet<_> = PAGES.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(found, known, "the files of the checkout, and the list in tests/src/pages");
}

#[test]
fn links_lead_somewhere() {
    let mut faults = Vec::new();
    for page in pages() {
        let directory = root().join(&page.path).parent().unwrap().to_owned();
        for link in links(&page.text) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { root().join(&page.path) } else { directory.join(file) };
            let Ok(target) = target.canonicalize() else {
                faults.push(format!("{}: {link}: there is no such file", page.path));
                continue;
            };
            let text = if anchor.is_empty() { String::new() } else { fs::read_to_string(target).unwrap() };
            if !anchor.is_empty() && !headings(&text).contains(anchor) {
                faults.push(format!("{}: {link}: there is no such heading", page.path));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What links of a page lead to, within the checkout.
fn links(text: &str) -> Vec<String> {
    let parts = prose(text);
    let targets = parts.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).map(str::to_owned).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn headings(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    let titles = prose
        .lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    let anchor = |title: &str| {
        let kept = title.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    titles.map(anchor).collect()
}

/// A page without its blocks.
fn prose(text: &str) -> String {
    let mut within = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        within ^= fence;
        !within && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}
