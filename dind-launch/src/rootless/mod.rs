//! `DIND_USERNS=unshare`: a node without any added capability, on an engine as it comes. The launcher makes a user namespace and
//! all others in it by itself, and runs the node there; root of the node is an ordinary user of the machine.
//!
//! `mode` reads the variable. `map` says which users these are, `files` which files are theirs. `outside` is the launcher's part that stays in the container,
//! with `cgroups`, `pasta` and `dns`; `inside` what happens in the node before the launcher there takes over. `enter` leads from
//! `docker exec` into the node.

mod cgroups;
mod dns;
mod enter;
mod files;
mod inside;
mod map;
mod mode;
mod outside;
mod pasta;

pub use enter::into_node;
pub use map::BASE;
pub use mode::{Mode, is_inside, mode};
pub(crate) use pasta::PROGRAM as PASTA;

use crate::fault;
use crate::paths::DATA_ROOT;
use dind_contract::{Fault, StepState, Steps};
use dind_system::Root;
use dind_system::supervisor::Supervisor;
use dns::Forwarded;
use files::{Files, give_volume};
use map::Map;
use mode::{OWN, UNSHARED};
use nix::errno::Errno;
use pasta::Pasta;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// What a node needs of its container.
struct Parts {
    pasta: PathBuf,
    map: Map,
    files: Files,
}

impl Parts {
    fn read(root: &Root, variable: &impl Fn(&str) -> Option<String>) -> Result<Self, Fault> {
        refuse_bridged(variable)?;
        let pasta = pasta::find(root)?;
        let map = Map::read(root).map_err(|error| unread(&error))?;
        let files = Files::read(root).map_err(|error| unread(&error))?;
        Ok(Self { pasta, map, files })
    }
}

fn unread(error: &io::Error) -> Fault {
    fault::INIT_FAILED.failed("cannot read the container's users and mounts", error).hint("mount /proc")
}

/// What [`run`] would do before the launcher in the node takes over.
///
/// # Errors
/// A setting that does not fit, or a program that is missing.
pub fn plan(root: &Root, variable: impl Fn(&str) -> Option<String>) -> Result<Steps, Fault> {
    let Parts { pasta, map, files } = Parts::read(root, &variable)?;
    let mut steps = Steps::default();
    steps.push("make-device", "/dev/net/tun", done_unless(!root.exists("/dev/net/tun")));
    if map.is_shifted {
        steps.push("give-directory", data_root(&variable).display(), StepState::Planned);
        let is_new = !root.exists(files::COPIES);
        files
            .directories
            .iter()
            .for_each(|path| steps.push("copy-directory", path.display(), done_unless(is_new)));
    }
    steps.push("make-namespaces", map.users.trim(), StepState::Planned);
    steps.push("mount-proc", "/proc", StepState::Planned);
    steps.push("give-cgroups", "/sys/fs/cgroup", StepState::Planned);
    steps.push("start", pasta.display(), StepState::Planned);
    Ok(steps)
}

fn done_unless(wanted: bool) -> StepState {
    if wanted { StepState::Planned } else { StepState::Skipped }
}

/// Runs a node in namespaces of its own, to its end. `words` is our command line. Returns the status to exit with.
///
/// # Errors
/// A setting that does not fit, the container's files cannot be copied, or the namespaces, the control groups or the way out cannot be had.
pub fn run(
    supervisor: Supervisor,
    words: &[OsString],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<u8, Fault> {
    let root = Root::default();
    let Parts { pasta, map, files } = Parts::read(&root, &variable)?;
    let own = std::env::current_exe().map_err(|error| unread(&error))?;
    std::fs::create_dir_all(OWN).map_err(|error| not_copied(Path::new(OWN), &error))?;
    let more = Forwarded::prepare(&root, &pasta).map_err(|error| not_copied(Path::new(dns::FILE), &error))?;
    let pasta = Pasta::new(pasta, more);
    pasta::make_tun()?;
    if map.is_shifted {
        give_volumes(&root, &map, &variable)?;
        files.copy(&map).map_err(|(path, error)| not_copied(&path, &error))?;
    }
    outside::run(supervisor, &map, &files, pasta, &words_inside(own, words))
}

fn not_copied(path: &Path, error: &io::Error) -> Fault {
    let fault = fault::FILES_NOT_COPIED.cannot("copy for the node", path.display(), error);
    fault.hint("free some space on the engine's disk, and leave out --read-only")
}

/// The node's link is pasta's: the outer network is not there to be joined.
fn refuse_bridged(variable: &impl Fn(&str) -> Option<String>) -> Result<(), Fault> {
    let Some(offset) = variable("DOCKER_NETWORK_OFFSET").filter(|offset| !offset.trim().is_empty()) else {
        return Ok(());
    };
    let cause =
        "a node in namespaces of its own has no link to the outer network that a bridge could take over";
    let fault = fault::BRIDGED_NOT_ROOTLESS.invalid("DOCKER_NETWORK_OFFSET", offset, cause);
    Err(fault.hint("leave it out and publish ports, or start the node with another set of `dind-launch doctor --run-flags`"))
}

/// The volumes that the node itself writes to, where they are new.
fn give_volumes(root: &Root, map: &Map, variable: &impl Fn(&str) -> Option<String>) -> Result<(), Fault> {
    let of = |name| variable(name).filter(|path| path.starts_with('/')).map(PathBuf::from);
    let data_root = data_root(variable);
    for path in [of("DOCKER_TLS_CERTDIR"), of("DIND_EVIDENCE")].into_iter().flatten() {
        // One with something in it may be somebody's who lets everybody write.
        let _ = give_volume(root, &path, map);
    }
    give_volume(root, &data_root, map).map_err(|error| foreign(&data_root, &error))
}

fn data_root(variable: &impl Fn(&str) -> Option<String>) -> PathBuf {
    variable("DIND_DATA_ROOT")
        .filter(|path| path.starts_with('/'))
        .unwrap_or_else(|| DATA_ROOT.to_owned())
        .into()
}

fn foreign(data_root: &Path, error: &io::Error) -> Fault {
    if error.raw_os_error() != Some(Errno::ENOTEMPTY as i32) {
        let fault = fault::DATA_ROOT_FOREIGN.cannot("give to the node", data_root.display(), error);
        return fault.hint("a volume that root can write to");
    }
    let cause = format!("it holds files, and does not belong to user {BASE}, who is root of the node");
    let fault = fault::DATA_ROOT_FOREIGN.cannot("use the data root", data_root.display(), cause);
    fault.hint(format!(
        "a new volume: --volume {}; images and containers of another kind of node stay in the old one",
        data_root.display()
    ))
}

/// Our own command line, for the launcher in the node.
fn words_inside(own: PathBuf, words: &[OsString]) -> Vec<OsString> {
    let verb = words.iter().skip(1).position(|word| word == "run").map_or(words.len(), |index| index + 2);
    let (until, rest) = words.split_at(verb.min(words.len()));
    let before = until.iter().skip(1).cloned();
    std::iter::once(own.into_os_string())
        .chain(before)
        .chain([UNSHARED.into()])
        .chain(rest.iter().cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_launcher_in_the_node_is_called_as_the_one_outside() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let inside = |text: &str| words_inside("/bin/dind-launch".into(), &words(text)).join(" ".as_ref());
        assert_eq!(*inside("dind-launch run -- run it"), *"/bin/dind-launch run --unshared -- run it");
        assert_eq!(*inside("x run --log file"), *"/bin/dind-launch run --unshared --log file");
    }

    #[test]
    fn a_bridged_node_is_refused_with_the_reason() {
        let fault = refuse_bridged(&|_| Some("0.0.1.0".to_owned())).unwrap_err();
        assert_eq!(fault.code, fault::BRIDGED_NOT_ROOTLESS);
        assert!(refuse_bridged(&|_| Some(" ".to_owned())).is_ok());
        assert_eq!(mode(Some(&"auto".to_owned())).unwrap_err().code, fault::USERNS_INVALID);
        assert_eq!((mode(None), mode(Some(&"unshare".to_owned()))), (Ok(Mode::Keep), Ok(Mode::Unshare)));
    }
}
