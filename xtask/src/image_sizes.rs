//! The table of sizes that `image` prints: what an image consists of, and the largest packages that it has beyond its base.

use dind_lab::arch::Arch;
use dind_lab::engine::Engine;
use dind_lab::{Result, Workspace};
use std::fs;

/// How many packages are listed.
const MOST: usize = 10;

/// Prints the names of all packages.
const PACKAGES: &str = "dpkg-query --show --showformat '${Package}\\n' | sort -u";

/// Prints the bytes of the files of each package that is not among its arguments. A file with several names counts once.
const OTHERS: &str = "for package in $(dpkg-query --show --showformat '${Package}\\n' | sort -u); do \
    case \" $* \" in *\" $package \"*) continue;; esac; \
    dpkg-query --listfiles \"$package\" | xargs --delimiter '\\n' stat --format '%F %i %b' 2>/dev/null | \
    sed --quiet 's/^regular file //p' | sort -u | \
    awk -v package=\"$package\" '{ bytes += $2 * 512 } END { print bytes + 0, package }'; done";

/// The rows of the table: bytes, and what they are.
pub(crate) fn table(
    workspace: &Workspace,
    engine: &Engine,
    image: &str,
    arch: Arch,
) -> Result<Vec<(u64, String)>> {
    let inspect =
        |image: &str, format: &str| engine.ask(workspace, &["image", "inspect", "--format", format, image]);
    let size = |image: &str| -> Result<u64> { Ok(inspect(image, "{{.Size}}")?.parse()?) };
    let run = |image: &str, script: &str, args: &[&str]| {
        let own = ["run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", script, "sh"];
        engine.ask(workspace, &[&own[..], args].concat())
    };
    let base = inspect(image, "{{index .Config.Labels \"org.opencontainers.image.base.name\"}}")?;
    let binaries = fs::read_dir(workspace.binaries_for(arch))?;
    let binaries = binaries.map(|entry| Ok(entry?.metadata()?.len())).sum::<Result<u64>>()?;
    let (total, of_base) = (size(image)?, size(&base)?);
    let mut rows = vec![
        (total, image.to_owned()),
        (of_base, format!("  base, {base}")),
        (total.saturating_sub(of_base + binaries), "  engine and programs; the largest packages:".to_owned()),
    ];
    let packages = run(&base, PACKAGES, &[])?;
    let others = run(image, OTHERS, &packages.lines().collect::<Vec<_>>())?;
    let mut others: Vec<(u64, &str)> = others
        .lines()
        .filter_map(|line| line.split_once(' ').and_then(|(bytes, name)| Some((bytes.parse().ok()?, name))))
        .collect();
    others.sort_unstable_by(|a, b| b.cmp(a));
    rows.extend(others.into_iter().take(MOST).map(|(bytes, name)| (bytes, format!("    {name}"))));
    rows.push((binaries, "  static binaries".to_owned()));
    Ok(rows)
}
