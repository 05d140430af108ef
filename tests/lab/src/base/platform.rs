//! The processor that an image says it is for.
//!
//! The classic builder of older engines takes a base for any processor, and says of what it makes of it that it is for the engine's own.
//! With `--platform` it refuses its own stages for that. And `docker import --platform` says it, too. (Seen with 20.10.24.)

use crate::arch::Arch;
use crate::engine::Engine;
use crate::workspace::Workspace;
use crate::{Result, progress};
use serde_json::Value;
use std::fs;
use std::path::Path;
use xshell::cmd;

/// What an image's archive has beside the files that it lists: another form of the same list.
const OTHER_FORMS: [&str; 3] = ["index.json", "oci-layout", "repositories"];

/// Corrects what an image says, where it is wrong.
///
/// # Errors
/// The engine's; that it says something else all the same.
pub fn correct(workspace: &Workspace, engine: &Engine, image: &str, arch: Arch) -> Result<()> {
    let said = || engine.ask(workspace, &["image", "inspect", "--format", "{{.Architecture}}", image]);
    if said()? == arch.debian() {
        return Ok(());
    }
    progress::step(&format!("say of {image} that it is for {arch}"), || {
        let (shell, place) = (&workspace.shell, workspace.image().join("relabel"));
        let archive = workspace.image().join("relabel.tar");
        if place.exists() {
            fs::remove_dir_all(&place)?;
        }
        fs::create_dir_all(&place)?;
        engine.ask(workspace, &["save", "--output", &archive.display().to_string(), image])?;
        cmd!(shell, "tar --extract --file {archive} --directory {place}").quiet().run()?;
        rewrite(&place, arch)?;
        cmd!(shell, "tar --create --file {archive} --directory {place} .").quiet().run()?;
        engine.ask(workspace, &["load", "--quiet", "--input", &archive.display().to_string()])?;
        fs::remove_dir_all(&place)?;
        Ok(fs::remove_file(&archive)?)
    })?;
    let now = said()?;
    if now == arch.debian() {
        return Ok(());
    }
    Err(format!("cannot build {image} for {arch}: the engine says that it is for {now}").into())
}

/// Changes an unpacked archive of one image (moby's image/spec, "Combined Image JSON + Filesystem Changeset Format").
fn rewrite(archive: &Path, arch: Arch) -> Result<()> {
    let read = |name: &str| -> Result<Value> { Ok(serde_json::from_slice(&fs::read(archive.join(name))?)?) };
    let mut manifest = read("manifest.json")?;
    let name = manifest[0]["Config"].as_str().ok_or("`manifest.json` names no configuration")?.to_owned();
    let mut config = read(&name)?;
    config["architecture"] = arch.debian().into();
    // A name of its own: the old one is the digest of the old content.
    let fresh = format!("{}.json", arch.debian());
    fs::write(archive.join(&fresh), config.to_string())?;
    manifest[0]["Config"] = fresh.into();
    fs::write(archive.join("manifest.json"), manifest.to_string())?;
    for form in OTHER_FORMS.map(|name| archive.join(name)).iter().filter(|form| form.exists()) {
        fs::remove_file(form)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::rewrite;
    use crate::arch::Arch;
    use serde_json::{Value, json};
    use std::fs;

    #[test]
    fn an_archive_says_another_processor_and_else_the_same() {
        let directory = std::env::temp_dir().join(format!("dind-test-{}-platform", std::process::id()));
        fs::create_dir_all(directory.join("blobs")).unwrap();
        let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": ["sha256:1"]}});
        fs::write(directory.join("blobs/old"), config.to_string()).unwrap();
        let manifest = json!([{"Config": "blobs/old", "RepoTags": ["a:b"], "Layers": ["blobs/1"]}]);
        fs::write(directory.join("manifest.json"), manifest.to_string()).unwrap();
        fs::write(directory.join("index.json"), "{}").unwrap();
        rewrite(&directory, Arch::Aarch64).unwrap();
        let read = |name: &str| -> Value {
            serde_json::from_slice(&fs::read(directory.join(name)).unwrap()).unwrap()
        };
        let manifest = read("manifest.json");
        assert_eq!(manifest, json!([{"Config": "arm64.json", "RepoTags": ["a:b"], "Layers": ["blobs/1"]}]));
        let wanted = json!({"architecture": "arm64", "os": "linux", "rootfs": {"diff_ids": ["sha256:1"]}});
        assert_eq!(read("arm64.json"), wanted);
        assert!(!directory.join("index.json").exists());
        fs::remove_dir_all(directory).unwrap();
    }
}
