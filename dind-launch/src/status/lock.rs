//! The lock that makes a launcher the only one in its container. The kernel names its holder, and asking takes no lock.

use crate::fault;
use crate::paths::RUN_DIR;
use crate::process::hint_of;
use dind_contract::Fault;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The lock; the launcher's end releases it.
///
/// It is a record lock (F_SETLK of fcntl(2)) and not one of flock(2), for two reasons: F_GETLK finds its holder without a try to
/// take it, by which a launcher that starts at the same moment would be refused; and no child can inherit it. The process loses it
/// with any descriptor of the file that it closes, so nothing else in the launcher may open the file.
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
    match fcntl(&file, FcntlArg::F_SETLK(&whole_file())) {
        Ok(_) => Ok(Lock { _file: file }),
        Err(Errno::EACCES | Errno::EAGAIN) => Err(taken(&path, holder()?)),
        Err(error) => Err(unusable("lock", &path, &error.into())),
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
        let mut lock = whole_file();
        fcntl(&file, FcntlArg::F_GETLK(&mut lock))?;
        let is_free = i32::from(lock.l_type) == libc::F_UNLCK;
        Ok((!is_free).then(|| Pid::from_raw(lock.l_pid)))
    };
    ask().map_err(|error| unreadable(&path, &error))
}

fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
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
