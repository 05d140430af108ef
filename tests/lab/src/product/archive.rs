//! An archive of Docker's static binaries (download.docker.com/linux/static), unpacked for the image.

use crate::workspace::Workspace;
use crate::{Result, progress};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use xshell::cmd;

/// What a node runs of the engine.
const PROGRAMS: [&str; 7] =
    ["containerd", "containerd-shim-runc-v2", "docker", "docker-init", "docker-proxy", "dockerd", "runc"];
/// Plugins of the docker program, which Docker publishes one by one. They are taken from beside the archive.
const PLUGINS: [&str; 2] = ["docker-buildx", "docker-compose"];
/// The archive's only directory.
const DIRECTORY: &str = "docker";

/// What the Dockerfile copies to /usr/local where the engine comes from packages: nothing.
pub(super) fn none(workspace: &Workspace) -> Result<()> {
    Ok(fs::create_dir_all(workspace.image().join("engine-packages"))?)
}

/// Unpacks an archive to where the Dockerfile copies it from, with the plugins beside it.
pub fn unpack(workspace: &Workspace, archive: &Path) -> Result<()> {
    let directory = workspace.image().join("engine-archive");
    let fresh = workspace.image().join("engine-archive.new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    fs::create_dir_all(&fresh)?;
    // xtask changes to the workspace; the file is named from where the user is.
    let archive = fs::canonicalize(archive).map_err(|error| unusable(archive, error))?;
    let shell = &workspace.shell;
    cmd!(shell, "tar --extract --no-same-owner --file {archive} --directory {fresh}")
        .quiet()
        .ignore_stdout()
        .run()
        .map_err(|error| unusable(&archive, error))?;
    check(&archive, &fresh.join(DIRECTORY))?;
    fs::rename(fresh.join(DIRECTORY), fresh.join("bin"))?;
    let beside = archive.parent().unwrap_or(Path::new("/"));
    let target = fresh.join("libexec/docker/cli-plugins");
    for name in PLUGINS.into_iter().filter(|name| beside.join(name).is_file()) {
        progress::note(&format!("{name} beside {} becomes a plugin", archive.display()));
        fs::create_dir_all(&target)?;
        fs::copy(beside.join(name), target.join(name))?;
        // A download is not executable.
        fs::set_permissions(target.join(name), fs::Permissions::from_mode(0o755))?;
    }
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    Ok(fs::rename(&fresh, &directory)?)
}

fn check(archive: &Path, directory: &Path) -> Result<()> {
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|name| !directory.join(name).is_file()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|name| format!("{DIRECTORY}/{name}")).collect();
    Err(format!(
        "cannot use `{}`: it has no {}\nhint: give an archive of https://download.docker.com/linux/static/stable",
        archive.display(),
        names.join(", ")
    )
    .into())
}

fn unusable(archive: &Path, error: impl std::fmt::Display) -> String {
    format!("cannot unpack `{}`: {error}", archive.display())
}

#[cfg(test)]
mod tests {
    use super::check;
    use std::fs;
    use std::path::Path;

    #[test]
    fn an_archive_without_a_program_is_refused_by_its_name() {
        let directory = std::env::temp_dir().join(format!("dind-test-{}-archive", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        for name in super::PROGRAMS {
            let refused = check(Path::new("/x.tgz"), &directory).unwrap_err().to_string();
            assert!(refused.contains(&format!("docker/{name}")), "{refused}");
            fs::write(directory.join(name), "").unwrap();
        }
        check(Path::new("/x.tgz"), &directory).unwrap();
        fs::remove_dir_all(directory).unwrap();
    }
}
