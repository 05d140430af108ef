//! `dist --check`: the release is made once more, from a copy of the checkout in another directory, and has the same bytes.

use super::{EPOCH, VERSION, epoch, make};
use dind_lab::arch::Arch;
use dind_lab::{Result, Workspace, progress};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use xshell::Shell;

/// What differs between builds of other people beside the directories, and may not show (reprotest(1)).
const ENVIRONMENT: [(&str, &str); 3] = [("TZ", "Pacific/Apia"), ("LC_ALL", "C"), ("COLUMNS", "40")];

/// Makes both, and compares them. The second one stays where they differ.
pub(crate) fn check(workspace: &Workspace, arch: Arch) -> Result<()> {
    let first = make(workspace, arch)?;
    let place = workspace.target.join("dist-check");
    let root = place.join("a-directory-with-another-name").join(format!("dind-{VERSION}"));
    progress::step(&format!("copy the checkout to {}", root.display()), || copy(workspace, &place, &root))?;
    let second = make(&elsewhere(workspace, &place, &root)?, arch)?;
    let [one, other] = [sums(&first)?, sums(&second)?];
    let differ: BTreeSet<_> =
        one.symmetric_difference(&other).filter_map(|line| line.split_whitespace().nth(1)).collect();
    if differ.is_empty() {
        progress::note(&format!("{} files have the same bytes in both", one.len()));
        return Ok(fs::remove_dir_all(place)?);
    }
    let differ: Vec<_> = differ.into_iter().collect();
    Err(format!(
        "two builds of one commit differ: {}\nhint: compare {} with {}, by diffoscope for example",
        differ.join(", "),
        first.display(),
        second.display()
    )
    .into())
}

fn sums(directory: &Path) -> Result<BTreeSet<String>> {
    Ok(fs::read_to_string(directory.join("SHA256SUMS"))?.lines().map(str::to_owned).collect())
}

/// The files that git knows or would add, as they are, owned by whom cargo runs as.
fn copy(workspace: &Workspace, place: &Path, root: &Path) -> Result<()> {
    if place.exists() {
        fs::remove_dir_all(place)?;
    }
    let script = "mkdir -p \"$0\" \"$1\" && git ls-files -z --cached --others --exclude-standard | \
                  tar --create --null --files-from=- --file=- | tar --extract --file=- --directory=\"$0\"";
    let home = place.join("cargo");
    Ok(workspace.as_user("sh", &["-c", script]).args([root, &home]).run()?)
}

/// The copy as a workspace: the crates under another path, too, and the compilers for another processor as they are.
fn elsewhere(workspace: &Workspace, place: &Path, root: &Path) -> Result<Workspace> {
    let (home, shell) = (place.join("cargo"), Shell::new()?);
    for entry in fs::read_dir(workspace.cargo_home())? {
        let entry = entry?;
        symlink(entry.path(), home.join(entry.file_name()))?;
    }
    let (systems, target) = (workspace.target.join("cross"), root.join("target"));
    if systems.exists() {
        for system in fs::read_dir(&systems)? {
            let system = system?;
            let there = target.join("cross").join(system.file_name());
            workspace.as_user("mkdir", &["-p"]).arg(&there).run()?;
            for part in ["system", "key"].iter().filter(|part| system.path().join(part).exists()) {
                symlink(system.path().join(part), there.join(part))?;
            }
        }
    }
    shell.change_dir(root);
    shell.set_var("PATH", &workspace.path);
    shell.set_var("CARGO_HOME", &home);
    shell.set_var("CARGO_TARGET_DIR", &target);
    shell.set_var(EPOCH, epoch(workspace)?);
    ENVIRONMENT.iter().for_each(|(name, value)| shell.set_var(name, value));
    Ok(Workspace { root: root.to_owned(), target, shell, path: workspace.path.clone() })
}
