//! The lock that keeps other nodes away from a data root that is used as it is. It lives as long as this process does, so a node
//! that is killed leaves none. dind-storage asks for it before anything changes; of two nodes that asked at the same time, one
//! does not get it here.

use crate::fault;
use dind_contract::{Fault, Warning};
use dind_system::record_lock;
use nix::fcntl::OFlag;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Takes the lock on the file that dind-storage has named. Without a file, or a lock that its file system has, the node goes on
/// with a warning.
///
/// # Errors
/// [`fault::DATA_ROOT_IN_USE`]: another node has it.
pub fn take(path: &Path) -> Result<Result<File, Warning>, Fault> {
    let open = || {
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).custom_flags(flags).open(path)?;
        Ok(record_lock::take(&file)?.then_some(file))
    };
    let object = path.parent().unwrap_or(path).display();
    match open() {
        Ok(Some(file)) => Ok(Ok(file)),
        Ok(None) => {
            let cause = "another node has started on it at the same time";
            let fault = fault::DATA_ROOT_IN_USE.cannot("use", object, cause);
            Err(fault.hint("give each node a volume or a DIND_DATA_ROOT of its own"))
        }
        Err::<_, std::io::Error>(error) => Ok(Err(Warning::new(
            "data-root-not-locked",
            format!("cannot lock {}: {error}", path.display()),
            "make sure by other means that no second node uses this data root",
        ))),
    }
}
