//! The rules of the house that no other tool checks.

use super::imports;
use super::pages::{self, Accepts};
use crate::{escape_table, support_table};
use dind_lab::{Result, Workspace};
use std::fs;
use std::path::{Path, PathBuf};

/// Only the record stores the time of day, and only certificates live by it; everything else measures how long something takes (case: the clock is set
/// during a stop).
const WALL_CLOCK: &str = concat!("System", "Time");

/// A longer file does more than one thing.
const MOST_LINES: usize = 320;

/// Every file is small and says what it is, nothing is imported in a circle, and the pages show only commands that exist.
pub(super) fn check(workspace: &Workspace, accepts: Accepts) -> Result<()> {
    let mut faults = Vec::new();
    let sources = files(&workspace.root, "rs")?;
    for path in &sources {
        let text = fs::read_to_string(path)?;
        let name = path.strip_prefix(&workspace.root).unwrap_or(path).display();
        if text.lines().count() > MOST_LINES {
            faults.push(format!("{name}: more than {MOST_LINES} lines"));
        }
        if !text.starts_with("//!") && !text.starts_with("#![doc") {
            faults.push(format!("{name}: the first line is not a `//!` that says what the file is"));
        }
        let keeps_time = ["dind-launch/src", "dind-reaper/src"]
            .iter()
            .any(|directory| path.starts_with(workspace.root.join(directory)));
        if keeps_time && text.contains(WALL_CLOCK) && !keeps_date(path) {
            faults.push(format!("{name}: budgets go by `Instant`, the wall clock jumps"));
        }
    }
    imports::check(&workspace.root, &sources, &mut faults)?;
    for path in files(&workspace.root, "md")? {
        let name = path.strip_prefix(&workspace.root).unwrap_or(&path).display().to_string();
        faults.extend(pages::faults(&name, &fs::read_to_string(&path)?, accepts));
    }
    if !support_table::is_shown(workspace)? {
        faults.push(format!("{}: the table is not the one in tests/support.json", support_table::PAGE));
    }
    if !escape_table::is_shown(workspace)? {
        faults.push(format!("{}: the table is not the one in tests/escapes.json", escape_table::PAGE));
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

/// Whether a file is one of those few.
fn keeps_date(path: &Path) -> bool {
    ["record.rs", "tls/clock.rs"].iter().any(|file| path.ends_with(file))
}

/// All files of the checkout with this extension, but for those in `target` and in hidden directories.
fn files(root: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut directories = vec![root.to_owned()];
    let mut files = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let (path, name) = {
                let entry = entry?;
                (entry.path(), entry.file_name())
            };
            let hidden = name.as_encoded_bytes().starts_with(b".") || name == "target";
            if path.is_dir() && !hidden {
                directories.push(path);
            } else if path.extension().is_some_and(|its| its == extension) {
                files.push(path);
            }
        }
    }
    Ok(files)
}
