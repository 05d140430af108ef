//! The warning before a data root is full.

use crate::fault;
use crate::report::Space;
use dind_contract::Warning;
use std::path::Path;

/// What carries the data: it decides where more space comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// The data root's own file system.
    Native,
    /// An image on a volume.
    Image,
    /// An image in the container's own layer, which no other container gets.
    ImageInLayer,
}

/// Warns where less than a tenth is left, of the bytes or of the inodes.
#[must_use]
pub fn low(space: &Space, data_root: &Path, carrier: Carrier) -> Option<Warning> {
    let is_low = |available: u64, total: u64| available < total / 10;
    let what = match space {
        Space { available_bytes, total_bytes, .. } if is_low(*available_bytes, *total_bytes) => {
            format!("{available_bytes} of {total_bytes} bytes")
        }
        Space { available_inodes, total_inodes, .. } if is_low(*available_inodes, *total_inodes) => {
            format!("{available_inodes} of {total_inodes} inodes")
        }
        _ => return None,
    };
    let hint = match carrier {
        Carrier::Native => {
            "remove what is not needed: `docker system prune`; or free space on the volume of the data root"
        }
        Carrier::Image => {
            "remove what is not needed: `docker system prune`; or start the node with a larger VAR_LIB_DOCKER_SIZE: \
             the image grows"
        }
        Carrier::ImageInLayer => {
            "remove what is not needed: `docker system prune`; a node with a volume on the image's directory can grow \
             it later by a larger VAR_LIB_DOCKER_SIZE"
        }
    };
    let message = format!("{what} are left in {}", data_root.display());
    Some(Warning::new(fault::SPACE_LOW, message, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_a_tenth() {
        let of = |available_bytes, available_inodes| {
            let space = Space {
                total_bytes: 1000,
                available_bytes,
                total_inodes: 100,
                available_inodes,
                ..Space::default()
            };
            low(&space, Path::new("/srv/docker"), Carrier::Native).map(|warning| warning.message)
        };
        assert_eq!(of(100, 10), None);
        assert_eq!(of(99, 100).as_deref(), Some("99 of 1000 bytes are left in /srv/docker"));
        assert_eq!(of(1000, 9).as_deref(), Some("9 of 100 inodes are left in /srv/docker"));
        // btrfs counts no inodes.
        assert_eq!(low(&Space::default(), Path::new("/"), Carrier::Image), None);
    }
}
