//! The man pages that `dind-docs` writes: complete, the same as the code, and readable without a warning.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use clap::{Command as Cli, CommandFactory};
use dind_contract::Code;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Of a tool's page and of a verb's, in their order.
const OF_TOOL: [&str; 11] = [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "VERBS",
    "OPTIONS",
    "ENVIRONMENT",
    "EXIT STATUS",
    "DIAGNOSTICS",
    "FILES",
    "EXAMPLES",
    "SEE ALSO",
];
const OF_VERB: [&str; 9] = [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "OPTIONS",
    "ENVIRONMENT",
    "EXIT STATUS",
    "FILES",
    "EXAMPLES",
    "SEE ALSO",
];

/// The pages in a directory of their own.
struct Pages(tempfile::TempDir);

impl Pages {
    fn write() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut docs = Command::new(env!("CARGO_BIN_EXE_dind-docs"));
        let written = docs.arg(directory.path()).env("SOURCE_DATE_EPOCH", "1764590400").output().unwrap();
        assert!(written.status.success(), "{}", text(&written.stderr));
        Self(directory)
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.path().join("man")).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join("man").join(format!("{name}.1"))).unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn tools() -> [(Cli, &'static [Code]); 4] {
    [
        (dind_storage::cli::Cli::command(), dind_storage::fault::CODES),
        (dind_net::cli::Cli::command(), dind_net::fault::CODES),
        (dind_reaper::cli::Cli::command(), dind_reaper::fault::CODES),
        (dind_launch::cli::Cli::command(), dind_launch::fault::CODES),
    ]
}

/// The verbs that do something, with the names of their pages.
fn verbs(command: &Cli, name: &str) -> Vec<(String, Cli)> {
    command
        .get_subcommands()
        .flat_map(|verb| {
            let page = format!("{name}-{}", verb.get_name());
            if verb.has_subcommands() { verbs(verb, &page) } else { vec![(page, verb.clone())] }
        })
        .collect()
}

fn headings(page: &str) -> Vec<&str> {
    page.lines().filter_map(|line| line.strip_prefix(".SH ")).map(|name| name.trim_matches('"')).collect()
}

/// The names of the entries below a heading, without fonts and escapes.
fn entries(page: &str, heading: &str) -> Vec<String> {
    let start = [format!(".SH {heading}"), format!(".SH \"{heading}\"")];
    let section = page.lines().skip_while(|line| !start.iter().any(|start| start == line)).skip(1);
    let section: Vec<_> = section.take_while(|line| !line.starts_with(".SH")).collect();
    let names = section.windows(2).filter(|lines| lines[0] == ".TP").map(|lines| lines[1]);
    names.map(|name| name.replace("\\fB", "").replace("\\fR", "").replace("\\-", "-")).collect()
}

fn run(program: &str, args: &[&str], file: &Path) -> Output {
    Command::new(program).args(args).arg(file).env("LC_ALL", "C.UTF-8").output().unwrap()
}

#[test]
fn no_reader_warns_of_a_page() {
    let pages = Pages::write();
    assert!(pages.files().len() >= 30, "{:?}", pages.files());
    for file in pages.files() {
        let groff = run("groff", &["-man", "-ww", "-z", "-Tutf8"], &file);
        assert!(groff.status.success() && groff.stderr.is_empty(), "{}", text(&groff.stderr));
        let mandoc = run("mandoc", &["-T", "lint", "-W", "warning"], &file);
        assert!(mandoc.status.success(), "{}{}", text(&mandoc.stdout), text(&mandoc.stderr));
        let man = run("man", &["--warnings", "-l"], &file);
        let name = file.file_stem().unwrap().to_str().unwrap();
        assert!(man.status.success() && text(&man.stdout).contains(name), "{}", text(&man.stderr));
        assert_eq!(text(&man.stderr), "", "{name}");
    }
}

#[test]
fn every_page_has_its_sections_and_every_verb_an_example() {
    let pages = Pages::write();
    for (command, _) in tools() {
        let name = command.get_name().to_owned();
        assert_eq!(headings(&pages.read(&name)), OF_TOOL, "{name}");
        for (verb, _) in verbs(&command, &name) {
            assert_eq!(headings(&pages.read(&verb)), OF_VERB, "{verb}");
        }
    }
}

#[test]
fn exit_statuses_are_those_of_the_codes() {
    let pages = Pages::write();
    for (command, codes) in tools() {
        let exits: BTreeSet<u8> =
            [0, 2].into_iter().chain(codes.iter().map(|code| code.exit as u8)).collect();
        let expected: Vec<_> = exits.iter().map(ToString::to_string).collect();
        let page = pages.read(command.get_name());
        assert_eq!(entries(&page, "EXIT STATUS"), expected, "{}", command.get_name());
        let errors: BTreeSet<_> = entries(&page, "DIAGNOSTICS").into_iter().collect();
        let known = codes.iter().map(|code| format!("{} ({})", code.name, code.exit as u8)).collect();
        assert_eq!(errors, known, "{}", command.get_name());
    }
}

#[test]
fn every_variable_and_every_option_has_its_entry() {
    let pages = Pages::write();
    for (command, _) in tools() {
        let name = command.get_name().to_owned();
        let listed = entries(&pages.read(&name), "ENVIRONMENT");
        let mut read = BTreeSet::new();
        for (verb, cli) in verbs(&command, &name) {
            let options = entries(&pages.read(&verb), "OPTIONS");
            for arg in cli.get_arguments().filter(|arg| !arg.is_hide_set()) {
                read.extend(arg.get_env().and_then(OsStr::to_str).map(str::to_owned));
                let Some(long) = arg.get_long() else { continue };
                let flag = format!("--{long}");
                let has = |option: &&String| option.split([' ', '[', ',']).any(|word| word == flag);
                assert!(options.iter().any(|option| has(&option)), "{verb}: {flag} is not in {options:?}");
            }
        }
        let missing: Vec<_> = read.iter().filter(|variable| !listed.contains(variable)).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
        // What is listed beside them is read otherwise than by an option.
        let others: Vec<_> = listed.iter().filter(|variable| !read.contains(*variable)).collect();
        let known = ["NO_COLOR", "PATH", "TERM", "MESOS_*"];
        assert!(others.iter().all(|variable| known.contains(&variable.as_str())), "{name}: {others:?}");
    }
}

#[test]
fn a_page_names_only_pages_of_ours_that_are_there() {
    let pages = Pages::write();
    let names: BTreeSet<_> =
        pages.files().iter().map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let mut seen = BTreeSet::new();
    for file in pages.files() {
        let page = fs::read_to_string(&file).unwrap().replace("\\-", "-");
        for (before, _) in page.match_indices("(1)").map(|(index, _)| page.split_at(index)) {
            let start =
                before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '-').map_or(0, |index| index + 1);
            let name = before[start..].trim_start_matches("fB");
            if name.starts_with("dind-") {
                assert!(names.contains(name), "{}: {name}(1)", file.display());
                seen.insert(name.to_owned());
            }
        }
    }
    assert_eq!(seen, names, "a page that no other one names");
}

#[test]
fn the_same_sources_make_the_same_pages() {
    let (one, other) = (Pages::write(), Pages::write());
    for (one, other) in one.files().iter().zip(other.files()) {
        assert_eq!(fs::read(one).unwrap(), fs::read(other).unwrap(), "{}", one.display());
    }
    assert!(one.read("dind-net").starts_with(".TH DIND-NET 1 \"2025-12-01\" \"dind "));
}
