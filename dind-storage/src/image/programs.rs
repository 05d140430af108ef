//! The programs that make, check and grow file systems.

use crate::fault;
use dind_contract::Fault;
use dind_system::{Helper, PackageManager, Root};

/// The package of xfs, which our recipe brings on demand.
pub const XFSPROGS: &str = "xfsprogs";

/// A program, by name.
///
/// # Errors
/// It is not installed; the hint names the package.
pub fn find(name: &str, package: &str) -> Result<Helper, Fault> {
    Helper::find(name).ok_or_else(|| {
        let fault = fault::HELPER_MISSING.cannot("run", name, "it is not installed");
        let hint = PackageManager::of(&Root::default()).hint(name, package);
        let ours =
            if package == XFSPROGS { "; our Dockerfile does it with --build-arg XFS=true" } else { "" };
        fault.hint(hint + ours)
    })
}
