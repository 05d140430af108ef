//! The lock that makes a launcher the only one in its container. The kernel names its holder, and asking takes no lock.

use crate::fault;
use crate::paths::RUN_DIR;
use crate::process::hint_of;
use dind_contract::Fault;
use dind_system::record_lock;
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The lock; the launcher's end releases it.
/// Nothing else in the launcher may open the file, see [`record_lock`].
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Takes the lock.
///
/// # Errors
/// [`fault::ALREADY_RUNNING`]: another launcher has it. [`fault::RECORD_UNUSABLE`]: there is no place for it.
pub(super) fn take() -> Result<Lock, Fault> {
    let path = path();
    let open = || -> io::Result<File> {
        fs::create_dir_all(RUN_DIR)?;
        // With a user namespace for inner containers, their root passes through on its way to containerd's state.
        fs::set_permissions(RUN_DIR, Permissions::from_mode(0o711))?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(file)
    };
    let file = open().map_err(|error| unusable("open", &path, &error))?;
    match record_lock::take(&file) {
        Ok(true) => Ok(Lock { _file: file }),
        Ok(false) => Err(taken(&path, holder()?)),
        Err(error) => Err(unusable("lock", &path, &error)),
    }
}

/// The launcher that holds the lock, if there is one. Its pid is 0 where it runs in a PID namespace that we do not see.
///
/// # Errors
/// [`fault::NOT_ROOT`], [`fault::RECORD_UNUSABLE`].
pub(super) fn holder() -> Result<Option<Pid>, Fault> {
    let path = path();
    let ask = || -> io::Result<Option<Pid>> {
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        record_lock::holder(&file)
    };
    ask().map_err(|error| unreadable(&path, &error))
}

fn path() -> PathBuf {
    Path::new(RUN_DIR).join("launch.lock")
}

fn taken(path: &Path, holder: Option<Pid>) -> Fault {
    let pid = holder.map_or(0, Pid::as_raw);
    let (who, hint) = match pid {
        0 => (String::new(), "a container can hold one node: start another container".to_owned()),
        1 => {
            (", as its PID 1".to_owned(), "a container can hold one node: start another container".to_owned())
        }
        pid => (
            format!(", with pid {pid}"),
            format!("to stop it with its containers: kill -TERM {pid}; or start another container"),
        ),
    };
    let cause = format!("another dind-launch runs in this container{who}");
    fault::ALREADY_RUNNING.cannot("lock", path.display(), cause).hint(hint)
}

/// A file of ours that cannot be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Fault {
    if error.kind() == ErrorKind::PermissionDenied {
        let fault = fault::NOT_ROOT.cannot("read", path.display(), "the caller is not root");
        return fault.hint("docker exec --user 0 NODE dind-launch status");
    }
    unusable("read", path, error)
}

/// A file of ours that cannot be used.
pub(super) fn unusable(verb: &str, path: &Path, error: &io::Error) -> Fault {
    let hint = hint_of(error).unwrap_or("/run/dind has to be a directory that root can write to");
    fault::RECORD_UNUSABLE.cannot(verb, path.display(), error).hint(hint)
}
