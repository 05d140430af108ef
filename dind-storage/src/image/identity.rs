//! A clone's own identity: file systems with one UUID cannot be distinguished, and XFS refuses to mount the second of them.

use super::location::ImageLocation;
use super::superblock::{self, Filesystem, LABEL};
use super::{golden, programs, space};
use dind_contract::Fault;
use dind_system::Helper;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);

/// The program that gives a file system of this type a UUID.
///
/// # Errors
/// It is not installed.
pub fn program(filesystem: Filesystem) -> Result<Helper, Fault> {
    match filesystem {
        Filesystem::Ext4 => programs::find("tune2fs", "e2fsprogs"),
        Filesystem::Xfs => programs::find("xfs_db", programs::XFSPROGS),
    }
}

/// Gives the clone of `from` in this file a random UUID and our label.
///
/// # Errors
/// The program fails, or leaves the UUID as it was: the log of an XFS was not empty.
pub fn renew(
    file: &File,
    location: &ImageLocation,
    from: &Path,
    filesystem: Filesystem,
) -> Result<(), Fault> {
    let failed = |cause: &dyn std::fmt::Display| space::not_made(&location.path, cause);
    let before = head(file).map_err(|error| failed(&error))?;
    let helper = program(filesystem)?;
    let helper = match filesystem {
        // Checksums depend on the UUID. Unless its present value is kept for them, tune2fs writes every block of metadata anew,
        // and wants the file system to be checked before.
        Filesystem::Ext4 if superblock::has_checksums(&before) => {
            helper.args(["-O", "metadata_csum_seed", "-U", "random", "-L", LABEL])
        }
        Filesystem::Ext4 => helper.args(["-U", "random", "-L", LABEL]),
        // What xfs_admin(8) runs, but for a file.
        Filesystem::Xfs => {
            let label = format!("label {LABEL}");
            helper.args(["-x", "-f", "-p", "xfs_admin", "-c", "uuid generate", "-c", &label])
        }
    };
    let program = helper.program().display().to_string();
    let done = helper.arg_fd(file.as_fd()).run(LIMIT);
    let done = done.map_err(|error| failed(&format_args!("{program}: {error}")))?;
    if !done.status.success() {
        return Err(failed(&format_args!("{program} ended with {}", done.status)).cause(done.stderr));
    }
    let after = head(file).map_err(|error| failed(&error))?;
    // xfs_db ends with 0 where it has refused.
    if superblock::uuid(&after, filesystem) == superblock::uuid(&before, filesystem) {
        let output = format!("{} {}", done.stdout.trim(), done.stderr.trim());
        return Err(golden::unclean(from, "its log is not empty: it was not unmounted").cause(output));
    }
    Ok(())
}

fn head(file: &File) -> std::io::Result<Vec<u8>> {
    let mut head = vec![0; superblock::LENGTH];
    file.read_exact_at(&mut head, 0)?;
    Ok(head)
}
