//! `version`, `tag`, `push`, `release`: an image is named after what is in it, read from the image itself.

use dind_lab::base::Base;
use dind_lab::engine::Engine;
use dind_lab::mesos::images;
use dind_lab::product::binaries;
use dind_lab::{Result, Workspace, progress, setup};
use xshell::cmd;

/// Prints the versions of a Mesos agent (of any age, or none), the engine, and the distribution.
const ASK: &str = "mesos-agent --version 2>/dev/null || mesos-slave --version 2>/dev/null || echo; \
                   dockerd --version && . /etc/os-release && echo \"$ID $VERSION_ID\"";

/// Which image, and where it goes.
#[derive(clap::Args, Debug)]
pub(crate) struct Target {
    /// An image that the engine has
    #[arg(long, default_value = images::NODE, value_name = "IMAGE")]
    image: String,
    /// Where it goes: REGISTRY/NAME, without a tag
    #[arg(long, env = "DIND_REPOSITORY", default_value = "dind", value_name = "NAME")]
    repository: String,
}

/// Prints the version of the image.
pub(crate) fn version(workspace: &Workspace, target: &Target) -> Result<()> {
    println!("{}", read(workspace, &engine(workspace)?, &target.image)?);
    Ok(())
}

/// Gives the image its name, and prints that.
pub(crate) fn tag(workspace: &Workspace, target: &Target) -> Result<()> {
    println!("{}", name(workspace, &engine(workspace)?, target)?);
    Ok(())
}

/// Tags the image, pushes it, and prints its name.
pub(crate) fn push(workspace: &Workspace, target: &Target) -> Result<()> {
    let engine = engine(workspace)?;
    let name = name(workspace, &engine, target)?;
    progress::step(&format!("push {name}"), || {
        progress::logged(workspace, "push", engine.docker(workspace, &["push", &name]))
    })?;
    println!("{name}");
    Ok(())
}

/// Builds the Mesos image from a clean checkout and pushes it.
pub(crate) fn release(workspace: &Workspace, target: &Target) -> Result<()> {
    let shell = &workspace.shell;
    let changed = cmd!(shell, "git status --porcelain").quiet().read()?;
    if !changed.is_empty() {
        return Err(format!("the checkout has changes that are not committed:\n{changed}").into());
    }
    setup::install(workspace, &[setup::BUILD, setup::ENGINE, setup::MESOS])?;
    binaries::build(workspace)?;
    let mut engine = Engine::find_or_start(workspace)?;
    images::build(workspace, &engine, Base::Usual)?;
    engine.keep()?;
    push(workspace, target)
}

fn engine(workspace: &Workspace) -> Result<Engine> {
    Engine::find(workspace)?
        .ok_or_else(|| "no engine runs here: `cargo xtask image --mesos` builds first".into())
}

fn name(workspace: &Workspace, engine: &Engine, target: &Target) -> Result<String> {
    let name = format!("{}:{}", target.repository, read(workspace, engine, &target.image)?);
    engine.ask(workspace, &["tag", &target.image, &name])?;
    Ok(name)
}

fn read(workspace: &Workspace, engine: &Engine, image: &str) -> Result<String> {
    let run = ["run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", ASK];
    let output = engine.ask(workspace, &run)?;
    compose(env!("CARGO_PKG_VERSION"), &output)
        .ok_or_else(|| format!("cannot read the versions in `{image}`: it prints `{output}`").into())
}

/// `0.1.0_mesos-1.11.0_docker-20.10.24_debian-12`; without the middle where there is no Mesos. A tag has no room for what
/// distributions put behind a `+` or a `~`.
fn compose(own: &str, output: &str) -> Option<String> {
    let plain = |version: &str| version.split(['+', '~', ',', ' ']).next().unwrap_or_default().to_owned();
    let find = |prefix: &str| output.lines().find_map(|line| Some(plain(line.trim().strip_prefix(prefix)?)));
    let (id, version) = output.lines().last()?.trim().split_once(' ')?;
    let docker = find("Docker version ")?;
    let mesos = find("mesos ").map(|version| format!("_mesos-{version}")).unwrap_or_default();
    Some(format!("{own}{mesos}_docker-{docker}_{id}-{}", plain(version)))
}

#[cfg(test)]
mod tests {
    use super::compose;

    #[test]
    fn versions_as_the_programs_print_them() {
        for (output, expected) in [
            (
                "mesos 1.11.0\nDocker version 20.10.24+dfsg1, build 297e128\ndebian 12",
                Some("0.1.0_mesos-1.11.0_docker-20.10.24_debian-12"),
            ),
            (
                "Docker version 27.5.1, build 27.5.1-0ubuntu3\nubuntu 24.04",
                Some("0.1.0_docker-27.5.1_ubuntu-24.04"),
            ),
            ("mesos 1.11.0\nubuntu 24.04", None),
            ("", None),
        ] {
            assert_eq!(compose("0.1.0", output).as_deref(), expected, "{output}");
        }
    }
}
