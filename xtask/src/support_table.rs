//! The support table, `tests/SUPPORT.md`: what passed where, the last time that it was run with `--record`.
//!
//! The rows are in `tests/support.json`. Each is one run of the cells on one host with one engine, and names the command that
//! runs it again. Nodes on an engine of another make are in a module of their own, which says which engine that is: it has a row
//! of its own.

use dind_lab::verdict::Verdicts;
use dind_lab::{Result, Workspace};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use xshell::cmd;

/// The tests of the program, and the table's columns.
const CELLS: [(&str, &str); 4] = [
    ("native_default", "volume, default network"),
    ("native_bridged", "volume, bridged"),
    ("loop_default", "loop image, default network"),
    ("loop_bridged", "loop image, bridged"),
];

/// The programs that have cells among their tests.
pub(crate) const PROGRAMS: [&str; 3] = ["matrix", "podman", "containerd"];

/// The processor of rows from before there was another one.
const PROCESSOR: &str = "amd64";

/// The page with the table.
pub(crate) const PAGE: &str = "tests/SUPPORT.md";

/// Where the table is in it.
const MARKS: [&str; 2] = [
    "<!-- support table: written by `cargo xtask test … --record` -->\n",
    "<!-- end of the support table -->",
];

/// One run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// What runs it again; the row's key.
    pub(crate) command: String,
    /// The host's, as platforms of images name it: `amd64`, `arm64`.
    pub(crate) processor: String,
    /// `uname -r` of the host.
    pub(crate) kernel: String,
    /// `v1` or `v2`.
    pub(crate) cgroup: String,
    /// Version of the host's engine.
    pub(crate) outer: String,
    /// Version of the node's engine.
    pub(crate) inner: String,
    /// The tests that ran, and whether they passed.
    pub(crate) tests: Vec<(String, bool)>,
}

/// A processor as platforms of images name it, by the name that `uname -m` has for it.
pub(crate) fn processor(machine: &str) -> String {
    match machine {
        "x86_64" => PROCESSOR,
        "aarch64" => "arm64",
        other => other,
    }
    .to_owned()
}

/// Records what a run of test programs says about the cells: `row` has what is the same for all of them, and the command without a
/// filter for a module.
pub(crate) fn record(workspace: &Workspace, row: &Row, verdicts: &Verdicts) -> Result<()> {
    rows(row, verdicts).iter().try_for_each(|row| record_row(workspace, row))
}

/// One row for each engine that had cells.
fn rows(row: &Row, verdicts: &Verdicts) -> Vec<Row> {
    let of = |module: Option<&str>| -> Vec<_> {
        let cells = verdicts.tests.iter().filter_map(|(test, passed)| {
            let (path, name) = test.rsplit_once("::").unwrap_or(("", test));
            let own = Some(path).filter(|path| verdicts.outer.contains_key(*path));
            let is_cell = CELLS.iter().any(|(cell, _)| *cell == name);
            (is_cell && own == module).then(|| (name.to_owned(), *passed))
        });
        cells.collect()
    };
    let own = Row { tests: of(None), ..row.clone() };
    let modules = verdicts.outer.iter().map(|(module, outer)| Row {
        command: format!("{} -- {module}::", row.command),
        outer: outer.clone(),
        tests: of(Some(module)),
        ..row.clone()
    });
    // A run of other tests says nothing about the cells.
    [own].into_iter().chain(modules).filter(|row| !row.tests.is_empty()).collect()
}

/// Adds a row to the record, in the place of the last one by the same command, and writes the table of the page.
fn record_row(workspace: &Workspace, row: &Row) -> Result<()> {
    let shell = &workspace.shell;
    let date = cmd!(shell, "date --utc +%F").quiet().read()?;
    let mut rows = load(workspace)?;
    rows.retain(|known| known["command"] != row.command.as_str());
    rows.push(row.to_json(&date));
    rows.sort_by_key(|row| row["command"].as_str().unwrap_or_default().to_owned());
    fs::write(file(workspace), format!("{:#}\n", Value::from(rows.clone())))?;
    let page = workspace.root.join(PAGE);
    let text = fs::read_to_string(&page)?;
    let new =
        replace(&text, &table(&rows)).ok_or_else(|| format!("{PAGE} has no place for the support table"))?;
    Ok(fs::write(page, new)?)
}

/// Whether the page shows what is recorded.
pub(crate) fn is_shown(workspace: &Workspace) -> Result<bool> {
    let text = fs::read_to_string(workspace.root.join(PAGE))?;
    Ok(replace(&text, &table(&load(workspace)?)).as_deref() == Some(text.as_str()))
}

fn file(workspace: &Workspace) -> PathBuf {
    workspace.root.join("tests/support.json")
}

fn load(workspace: &Workspace) -> Result<Vec<Value>> {
    match fs::read_to_string(file(workspace)) {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// `6.1.0-50` of `6.1.0-50-cloud-amd64`.
pub(crate) fn numbers(release: &str) -> &str {
    let end = release.find(|c: char| !c.is_ascii_digit() && !".-".contains(c));
    release[..end.unwrap_or(release.len())].trim_end_matches(['.', '-'])
}

impl Row {
    fn to_json(&self, date: &str) -> Value {
        let verdict = |name: &str| {
            let ran = self.tests.iter().find(|(test, _)| test == name);
            ran.map_or("not run", |(_, passed)| if *passed { "pass" } else { "FAIL" })
        };
        let cells: serde_json::Map<_, _> =
            CELLS.iter().map(|(name, _)| ((*name).to_owned(), verdict(name).into())).collect();
        json!({
            "command": self.command, "date": date, "kernel": numbers(&self.kernel), "cgroup": self.cgroup,
            "processor": self.processor,
            "outer": self.outer, "inner": self.inner, "cells": cells,
        })
    }
}

fn table(rows: &[Value]) -> String {
    let columns: Vec<_> = CELLS.iter().map(|(_, title)| *title).collect();
    let mut text = format!(
        "| kernel | processor | cgroup | engine outside | engine inside | {} | run on | again |\n",
        columns.join(" | ")
    );
    text += &format!("|{}\n", "---|".repeat(CELLS.len() + 7));
    for row in rows {
        let of = |key: &str| row[key].as_str().unwrap_or("?");
        let cells: Vec<_> =
            CELLS.iter().map(|(name, _)| row["cells"][name].as_str().unwrap_or("not run")).collect();
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | `{}` |\n",
            of("kernel"),
            row["processor"].as_str().unwrap_or(PROCESSOR),
            of("cgroup"),
            of("outer"),
            of("inner"),
            cells.join(" | "),
            of("date"),
            of("command")
        );
    }
    text
}

/// The text with another table between the marks.
fn replace(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(MARKS[0])?;
    let (_, after) = rest.split_once(MARKS[1])?;
    Some(format!("{before}{}{table}{}{after}", MARKS[0], MARKS[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_what_passed_what_failed_and_what_was_not_run() {
        let row = Row {
            command: "cargo xtask test vm".to_owned(),
            processor: "arm64".to_owned(),
            kernel: "6.1.0-50-cloud-amd64".to_owned(),
            cgroup: "v2".to_owned(),
            outer: "20.10".to_owned(),
            inner: "28.5".to_owned(),
            tests: vec![("native_default".to_owned(), true), ("loop_bridged".to_owned(), false)],
        };
        let table = table(&[row.to_json("2026-01-02")]);
        let line = "| 6.1.0-50 | arm64 | v2 | 20.10 | 28.5 | pass | not run | not run | FAIL | 2026-01-02 | `cargo xtask test vm` |";
        assert_eq!(table.lines().last(), Some(line));
        assert_eq!(table.lines().map(|line| line.matches('|').count()).collect::<Vec<_>>(), [12, 12, 12]);
        let readme = format!("a\n{}old{}\nb", MARKS[0], MARKS[1]);
        assert_eq!(replace(&readme, "new\n"), Some(format!("a\n{}new\n{}\nb", MARKS[0], MARKS[1])));
    }

    #[test]
    fn each_engine_has_a_row_and_a_run_of_other_tests_has_none() {
        let row = Row { command: "T".to_owned(), outer: "20.10".to_owned(), ..Row::default() };
        let mut verdicts = Verdicts::default();
        for line in [
            "test matrix::loop_default ... ok",
            "outer: cri = containerd 1.6",
            "test cri::native_default ... FAILED",
        ] {
            verdicts.note(line);
        }
        let shown = |row: &Row| format!("{}: {} {:?}", row.command, row.outer, row.tests);
        let rows: Vec<_> = rows(&row, &verdicts).iter().map(shown).collect();
        let expected = [
            r#"T: 20.10 [("loop_default", true)]"#,
            r#"T -- cri::: containerd 1.6 [("native_default", false)]"#,
        ];
        assert_eq!(rows, expected);
        verdicts.tests = vec![("cri::names".to_owned(), true)];
        assert!(super::rows(&row, &verdicts).is_empty());
    }
}
