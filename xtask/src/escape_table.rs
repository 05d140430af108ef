//! The table of `dind-launch/docs/run-flags.md`: what root in a node can do to the machine, by the last run on each kernel with `--record`.
//!
//! The runs are in `tests/escapes.json`. The cells of each come from the test `userns::escape`, by the lines that it prints.

use crate::support_table::numbers;
use dind_lab::guest::Report;
use dind_lab::{Result, Workspace};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use xshell::cmd;

/// The place that shows that each attempt works where it should; the test fails if one does not.
const CONTROL: &str = "control";

/// The page with the table.
pub(crate) const PAGE: &str = "dind-launch/docs/run-flags.md";

/// Where the table is in it.
const MARKS: [&str; 2] = [
    "<!-- escape table: written by `cargo xtask test vm --userns … --record` -->\n",
    "<!-- end of the escape table -->",
];

/// Adds a run to the record, in the place of the last one by the same command, and writes the table of the page.
pub(crate) fn record(workspace: &Workspace, command: &str, inner: &str, report: &Report) -> Result<()> {
    let shell = &workspace.shell;
    let date = cmd!(shell, "date --utc +%F").quiet().read()?;
    let mut run = grid(&report.escapes)?;
    run["command"] = command.into();
    run["date"] = date.into();
    run["kernel"] = numbers(&report.linux).into();
    run["engine"] = format!("{} outside, {inner} inside", report.docker).into();
    run["with"] = report.escapes_with.as_str().into();
    let mut runs = load(workspace)?;
    runs.retain(|known| known["command"] != command);
    runs.push(run);
    runs.sort_by_key(|run| run["command"].as_str().unwrap_or_default().to_owned());
    fs::write(file(&workspace.root), format!("{:#}\n", Value::from(runs.clone())))?;
    let page = page(&workspace.root);
    let text = fs::read_to_string(&page)?;
    let new =
        replace(&text, &table(&runs)).ok_or_else(|| format!("{PAGE} has no place for the escape table"))?;
    Ok(fs::write(page, new)?)
}

/// Whether the page shows what is recorded.
pub(crate) fn is_shown(workspace: &Workspace) -> Result<bool> {
    let text = fs::read_to_string(page(&workspace.root))?;
    Ok(replace(&text, &table(&load(workspace)?)).as_deref() == Some(text.as_str()))
}

fn file(root: &Path) -> PathBuf {
    root.join("tests/escapes.json")
}

fn page(root: &Path) -> PathBuf {
    root.join(PAGE)
}

fn load(workspace: &Workspace) -> Result<Vec<Value>> {
    match fs::read_to_string(file(&workspace.root)) {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Places, and attempts with what came of each there, in the order in which they ran. A line that the kernel has written into is
/// missing, and then the run cannot be recorded.
fn grid(cells: &[[String; 3]]) -> Result<Value> {
    let mut places: Vec<&str> = Vec::new();
    let mut attempts: Vec<(&str, Vec<&str>)> = Vec::new();
    for [place, attempt, came] in cells.iter().filter(|[place, ..]| place != CONTROL) {
        if !places.contains(&place.as_str()) {
            places.push(place);
        }
        match attempts.iter_mut().find(|(known, _)| known == attempt) {
            Some((_, row)) => row.push(came),
            None => attempts.push((attempt, vec![came])),
        }
    }
    if let Some((attempt, row)) = attempts.iter().find(|(_, row)| row.len() != places.len()) {
        let (there, all) = (row.len(), places.len());
        return Err(format!(
            "`{attempt}` has {there} of {all} cells in the run's log: it cannot be recorded"
        )
        .into());
    }
    let rows = attempts.iter().map(|(name, row)| json!({ "name": name, "came": row }));
    Ok(json!({ "places": places, "attempts": rows.collect::<Vec<_>>() }))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("?")
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

/// What came of an attempt in a place, in one run.
fn came<'a>(run: &'a Value, attempt: &str, place: &str) -> Option<&'a str> {
    let at = list(run, "places").position(|known| known == place)?;
    let row = list(run, "attempts").find(|row| row["name"] == attempt)?;
    row["came"][at].as_str()
}

/// The last run's rows and columns; where runs differ, with the kernel of each.
fn table(runs: &[Value]) -> String {
    let mut lines = "| run on | kernel | engine | beside it | again |\n|---|---|---|---|---|\n".to_owned();
    for run in runs {
        let [date, kernel, engine, with, command] =
            ["date", "kernel", "engine", "with", "command"].map(|key| text(run, key));
        lines += &format!("| {date} | {kernel} | {engine} | {with} | `{command}` |\n");
    }
    let Some(last) = runs.last() else { return lines };
    let places: Vec<_> = list(last, "places").filter_map(Value::as_str).collect();
    lines += &format!("\n| | {} |\n|{}\n", places.join(" | "), "---|".repeat(places.len() + 1));
    for attempt in list(last, "attempts").map(|row| text(row, "name")) {
        let cell = |place: &&str| {
            let all: Vec<_> = runs
                .iter()
                .map(|run| (text(run, "kernel"), came(run, attempt, place).unwrap_or("?")))
                .collect();
            if all.iter().all(|(_, came)| *came == all[0].1) {
                return all[0].1.to_owned();
            }
            let each = all.iter().map(|(kernel, came)| format!("{}: {came}", short(kernel)));
            each.collect::<Vec<_>>().join(", ")
        };
        lines += &format!("| {attempt} | {} |\n", places.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
    lines
}

/// `6.1` of `6.1.0-50`.
fn short(kernel: &str) -> String {
    kernel.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// The text with another table between the marks.
fn replace(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(MARKS[0])?;
    let (_, after) = rest.split_once(MARKS[1])?;
    Some(format!("{before}{}\n{table}\n{}{after}", MARKS[0], MARKS[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(kernel: &str, cells: [[&str; 3]; 6]) -> Value {
        let mut run = grid(&cells.map(|cell| cell.map(str::to_owned))).unwrap();
        run["kernel"] = kernel.into();
        run
    }

    #[test]
    fn a_cell_names_the_kernels_where_they_differ() {
        let of = |last: &'static str| {
            [
                ["control", "clock", "YES"],
                ["control", "disk", "YES"],
                ["a node", "clock", "no"],
                ["a node", "disk", last],
                ["another", "clock", "-"],
                ["another", "disk", "-"],
            ]
        };
        let table = table(&[run("6.1.0-50", of("no")), run("6.12.1", of("YES"))]);
        let lines: Vec<_> = table.lines().collect();
        let rows = ["| clock | no | - |", "| disk | 6.1: no, 6.12: YES | - |"];
        assert_eq!(lines[5..], ["| | a node | another |", "|---|---|---|", rows[0], rows[1]]);
        let readme = format!("a\n{}old{}\nb", MARKS[0], MARKS[1]);
        assert_eq!(replace(&readme, "new\n"), Some(format!("a\n{}\nnew\n\n{}\nb", MARKS[0], MARKS[1])));
    }

    #[test]
    fn a_run_with_a_lost_line_is_not_recorded() {
        let cells = [["a", "clock", "no"], ["a", "disk", "no"], ["b", "disk", "no"]];
        let lost = grid(&cells.map(|cell| cell.map(str::to_owned))).unwrap_err();
        assert!(lost.to_string().contains("`clock` has 1 of 2 cells"), "{lost}");
    }
}
