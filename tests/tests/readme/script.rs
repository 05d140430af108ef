//! A page as one script, and what came of it.

use crate::names::Names;
use dind_tests::outer::{Ended, docker, engine_pid, host, setting};
use dind_tests::pages::{Block, Page, compare};
use dind_tests::{scratch_on_disk, seconds};
use std::env;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// For one page, on a machine that has nothing else to do.
const LIMIT: u64 = 300;

/// The directories of the checkout, which commands name.
const CHECKOUT: [&str; 6] = ["dind-launch", "dind-net", "dind-reaper", "dind-storage", "tests", "xtask"];

/// An example's page is about the files beside it: its commands run in a copy of that directory.
const EXAMPLES: &str = "dind-launch/examples/";

/// A line before the output of each block.
const MARK: &str = "@@ block ";

/// Runs the blocks of a page, and compares what it shows.
///
/// # Panics
/// A command fails, or prints something else.
pub(crate) fn run(page: &Page) {
    let blocks: Vec<&Block> =
        page.blocks.iter().filter(|block| crate::coverage::runs_here(page, block)).collect();
    assert!(!blocks.is_empty(), "{}: nothing is run", page.path);
    let names = Names::of(page);
    let directory = scratch_on_disk();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for name in CHECKOUT {
        symlink(root.join(name), directory.path().join(name)).unwrap();
    }
    if page.path.starts_with(EXAMPLES) {
        copy(root.join(&page.path).parent().unwrap(), directory.path());
    }
    fs::write(directory.path().join(".page"), script(&blocks, &names)).unwrap();
    let ended = shell(directory.path());
    let (stdout, stderr) = (outputs(&ended.stdout), outputs(&ended.stderr));
    let at = |block: &Block| format!("{}:{}", page.path, block.line);
    if ended.status != 0 {
        let last = blocks[stdout.len().saturating_sub(1)];
        let (out, err) = (stdout.last().unwrap_or(&""), stderr.last().unwrap_or(&""));
        panic!(
            "{}: status {}\n{}\nstdout:\n{out}\nstderr:\n{err}\n{}",
            at(last),
            ended.status,
            last.text,
            logs(&names, last)
        );
    }
    let mut differ = Vec::new();
    for ((block, stdout), stderr) in blocks.iter().zip(&stdout).zip(&stderr) {
        let Some(shown) = &block.output else { continue };
        let shown = Block { text: names.ours(&shown.text), ..(**shown).clone() };
        if let Err(error) = compare(&shown, block.shortened, stdout, stderr) {
            differ.push(format!("{}: {error}\nall that came:\n{stdout}", at(block)));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n\n"));
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("--archive").arg(from.join(".")).arg(to).status().unwrap();
    assert!(copied.success(), "{}", from.display());
}

/// The commands, each block behind its mark.
fn script(blocks: &[&Block], names: &Names) -> String {
    let mut script = "set -eu\n".to_owned();
    for (number, block) in blocks.iter().enumerate() {
        let text = names.ours(&block.text);
        for name in names.made_by(&block.text) {
            let _ = writeln!(script, "docker rm --force --volumes {name} >/dev/null 2>&1 || :");
        }
        let _ = writeln!(script, "printf '\\n{MARK}{number}\\n'; printf '\\n{MARK}{number}\\n' >&2");
        let _ = match (block.mark("as"), block.mark("in")) {
            (Some(file), _) => writeln!(script, "[ ! -e '{file}' ]\ncat >'{file}' <<'@@'\n{text}@@"),
            (_, Some(container)) => {
                let container = names.ours(container);
                writeln!(script, "docker exec --interactive {container} sh -eu <<'@@'\n{text}@@")
            }
            _ => writeln!(script, "{text}"),
        };
    }
    script
}

fn shell(directory: &Path) -> Ended {
    let path = format!("{}:{}", setting("DIND_BIN_DIR"), env::var("PATH").unwrap());
    let mut shell = Command::new("timeout");
    shell.arg(seconds(LIMIT)).args(["sh", ".page"]).current_dir(directory).env("PATH", path);
    shell.env("DOCKER_HOST", host()).env("DOCKER_BUILDKIT", "0").env("DIND_TEST_ENGINE_PID", engine_pid());
    shell.output().unwrap().into()
}

/// What came between the marks.
fn outputs(text: &str) -> Vec<&str> {
    let parts = text.split(MARK).skip(1);
    parts.map(|part| part.split_once('\n').map_or("", |(_, output)| output)).collect()
}

/// The ends of the logs of the containers that a block names.
fn logs(names: &Names, block: &Block) -> String {
    let text = names.ours(&block.text);
    let ours = text
        .split(|c: char| c.is_whitespace() || c == ':')
        .filter(|word| word.starts_with(dind_tests::PREFIX));
    let logs = ours.map(|name| format!("{name}: {}", docker(&["logs", "--tail", "15", name]).stderr));
    logs.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

#[test]
#[should_panic(expected = "README.md:5: status 7")]
fn a_command_that_fails_is_named() {
    run(&Page::new("README.md", "```sh\nvalue=7\n```\n\n```sh\necho; exit $value\n```\n"));
}

#[test]
#[should_panic(expected = "README.md:1: shown:\none\ncame:\ntwo")]
fn an_output_that_is_not_the_page_s_is_named() {
    run(&Page::new("README.md", "```sh\necho two\n```\n\n```text\none\n```\n"));
}
