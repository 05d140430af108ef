//! The programs that make, check and grow file systems.

use crate::fault;
use dind_contract::Fault;
use dind_system::Helper;

/// The package of xfs, and how an image gets it that is made by our recipe.
pub const XFSPROGS: &str = "xfsprogs (our Dockerfile does it with --build-arg XFS=true)";

/// A program, by name.
///
/// # Errors
/// It is not installed; the hint names the package.
pub fn find(name: &str, package: &str) -> Result<Helper, Fault> {
    Helper::find(name).ok_or_else(|| {
        let fault = fault::HELPER_MISSING.cannot("run", name, "it is not installed");
        fault.hint(format!("install it in the image: apt-get install {package}"))
    })
}
