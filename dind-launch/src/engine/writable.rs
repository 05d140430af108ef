//! Whether a directory can be written to, found out by doing it.

use std::fs;
use std::io;
use std::path::Path;

/// Writes a file and removes it: a file system that has met an error may count as writable and refuse every write.
///
/// # Errors
/// Those of the file system.
pub fn write_and_remove(directory: &Path) -> io::Result<()> {
    let probe = directory.join(format!(".dind-health-{}", std::process::id()));
    let written = fs::write(&probe, b"x");
    let removed = fs::remove_file(&probe);
    written.and(removed)
}
