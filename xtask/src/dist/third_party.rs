//! The licences of what is linked into the programs, in `licenses`: one text for all crates, and those of the libraries that the
//! compiler brings.

use super::Release;
use dind_lab::Result;
use dind_lab::product::binaries;
use dind_lab::toolchain::Toolchain;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The crates' text.
pub(super) const TEXT: &str = "THIRD-PARTY.txt";

/// What files with a licence or a notice are called, whatever follows, in any case.
const NAMES: [&str; 6] = ["licence", "license", "copying", "copyright", "notice", "unlicense"];

/// Source that is called after what it is about.
const SOURCES: [&str; 4] = ["rs", "c", "h", "toml"];

/// A crate of somebody else.
#[derive(Debug)]
struct Crate {
    name: String,
    license: String,
    repository: String,
    texts: Vec<String>,
}

/// Writes the directory.
pub(super) fn write(release: &Release, toolchain: &Toolchain) -> Result<()> {
    let directory = release.directory.join("licenses");
    fs::create_dir_all(&directory)?;
    let notices = toolchain.notices()?;
    let crates = linked(release)?;
    let mut text = String::from(
        "The dind tools are static programs: what is listed here is a part of them.\n\n\
         Libraries that the compiler links, each with a file beside this one:\n",
    );
    for notice in &notices {
        fs::copy(&notice.path, directory.join(&notice.name))?;
        writeln!(text, "  {}: {}", notice.name, notice.about)?;
    }
    writeln!(text, "\nCrates:")?;
    for Crate { name, license, repository, .. } in &crates {
        writeln!(text, "  {name}: {license} {repository}")?;
    }
    // Most of them have the same words.
    let mut texts = BTreeMap::<&str, Vec<&str>>::new();
    for it in &crates {
        it.texts.iter().for_each(|text| texts.entry(text).or_default().push(&it.name));
    }
    let mut texts: Vec<_> = texts.into_iter().map(|(text, names)| (names, text)).collect();
    texts.sort_unstable();
    for (names, words) in texts {
        write!(text, "\n{}\n{}:\n\n{words}\n", "-".repeat(78), names.join(", "))?;
    }
    Ok(fs::write(directory.join(TEXT), text)?)
}

/// The crates whose code is in the programs: neither macros nor what builds, and none of this workspace.
fn linked(release: &Release) -> Result<Vec<Crate>> {
    let (workspace, triple) = (release.workspace, release.arch.triple());
    let mut args = vec!["tree", "--locked", "--target", &triple, "--edges", "normal,no-proc-macro"];
    args.extend(["--prefix", "none", "--no-dedupe", "--format", "{p}"]);
    args.extend(binaries::TOOLS.iter().flat_map(|tool| ["--package", *tool]));
    let tree = workspace.cargo(&args).read()?;
    // `name v1.2.3`, and for those of the workspace where they lie.
    let names: BTreeSet<_> = tree.lines().filter_map(|line| line.split_once(" v")).collect();
    let metadata = ["metadata", "--locked", "--format-version", "1", "--filter-platform", &triple];
    let metadata: Value = serde_json::from_str(&workspace.cargo(&metadata).read()?)?;
    let own_text = fs::read_to_string(workspace.root.join("LICENSE"))?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let mut crates = Vec::new();
    for package in packages.filter(|package| !package["source"].is_null()) {
        let (name, version) = (text(package, "name"), text(package, "version"));
        if !names.contains(&(name.as_str(), version.as_str())) {
            continue;
        }
        let manifest = text(package, "manifest_path");
        let (license, repository) = (text(package, "license"), text(package, "repository"));
        let mut texts = Vec::new();
        collect(Path::new(&manifest).parent().unwrap_or(Path::new("/")), &mut texts)?;
        texts.sort_unstable();
        texts.dedup();
        let name = format!("{name} {version}");
        if texts.is_empty() {
            texts.push(standard(&license, &own_text).ok_or_else(|| {
                format!("cannot write the licences: {name} ({license}) has no file with its licence")
            })?);
        }
        crates.push(Crate { name, license, repository, texts });
    }
    crates.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(crates)
}

/// The text of a licence whose words are the same for everybody: ours.
fn standard(license: &str, own_text: &str) -> Option<String> {
    let mut choices = license.split([' ', '/', '(', ')']);
    choices.any(|choice| choice == "Apache-2.0").then(|| own_text.trim().to_owned())
}

/// Licences of a crate's parts lie deeper, such as those of C code.
fn collect(directory: &Path, texts: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().to_lowercase();
        if entry.file_type()?.is_dir() {
            collect(&path, texts)?;
        } else if NAMES.iter().any(|start| name.starts_with(start))
            && !path.extension().is_some_and(|end| SOURCES.iter().any(|source| end == *source))
        {
            texts.push(String::from_utf8_lossy(&fs::read(&path)?).replace('\r', "").trim().to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::standard;

    #[test]
    fn a_crate_without_a_text_has_the_one_that_is_the_same_for_all() {
        let text = |license| standard(license, "words\n");
        assert_eq!(text("MIT OR Apache-2.0").as_deref(), Some("words"));
        assert_eq!(text("MIT/Apache-2.0").as_deref(), Some("words"));
        assert_eq!(text("MIT"), None);
        assert_eq!(text("GPL-2.0"), None);
    }
}
