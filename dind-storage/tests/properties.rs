//! What holds for all inputs: no superblock and no mountinfo is a panic, and mount points survive their escapes.

#![allow(clippy::unwrap_used)]

#[path = "properties/parsers.rs"]
mod parsers;

use dind_storage::image::superblock::{Filesystem, LENGTH, parse};
use dind_system::proc::parse_mounts;
use proptest::prelude::*;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// As the kernel writes a path in mountinfo (`seq_path` with " \t\n\\").
fn escaped(path: &[u8]) -> Vec<u8> {
    path.iter()
        .flat_map(|byte| match byte {
            b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
            byte => vec![*byte],
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_superblock_or_none(bytes in prop::collection::vec(any::<u8>(), 0..LENGTH + 8)) {
        parsers::superblock(&bytes);
    }

    /// Random bytes hardly ever have the magic number.
    #[test]
    fn any_numbers_in_a_superblock_are_safe(
        mut bytes in prop::collection::vec(any::<u8>(), LENGTH),
        shift in 0_u32..8,
        xfs: bool,
    ) {
        if xfs {
            bytes[..4].copy_from_slice(b"XFSB");
        } else {
            bytes[1024 + 0x38..1024 + 0x3A].copy_from_slice(&[0x53, 0xEF]);
            bytes[1024 + 0x18..1024 + 0x1C].copy_from_slice(&shift.to_le_bytes());
        }
        parsers::superblock(&bytes);
        if let Some(found) = parse(&bytes) {
            prop_assert_eq!(found.filesystem == Filesystem::Xfs, xfs);
        }
    }

    #[test]
    fn any_text_is_a_list_of_mounts(text in "(?s).{0,400}") {
        parsers::mounts(&text);
    }

    #[test]
    fn any_fields_of_a_mount_are_safe(
        lines in prop::collection::vec(
            ("[0-9:]{0,20}", "(/[a-c \\\\0-7]{0,4}){0,4}", "[a-z,]{0,8}", "(shared:1 |master:2 |- ){0,3}", "[a-z4]{0,6}"),
            0..12,
        ),
    ) {
        let line = |(device, point, flags, optional, kind): &(String, String, String, String, String)| {
            format!("36 35 {device} / {point} {flags} {optional}- {kind} /dev/sda1 rw\n")
        };
        parsers::mounts(&lines.iter().map(line).collect::<String>());
    }

    #[test]
    fn a_mount_point_survives_its_escapes(
        names in prop::collection::vec(
            prop::collection::vec(any::<char>().prop_filter("a name", |c| !"/\0".contains(*c)), 1..12),
            0..5,
        ),
    ) {
        let point: String = names.iter().map(|name| format!("/{}", name.iter().collect::<String>())).collect();
        let point = if point.is_empty() { "/".to_owned() } else { point };
        let written = String::from_utf8(escaped(point.as_bytes())).unwrap();
        let line = format!("36 35 8:1 {written} {written} rw shared:1 - ext4 {written} rw\n");
        let mounts = parse_mounts(&line);
        prop_assert_eq!(mounts.len(), 1);
        prop_assert_eq!(mounts[0].point.as_os_str(), OsStr::from_bytes(point.as_bytes()));
        prop_assert_eq!(&mounts[0].root, &mounts[0].point);
        prop_assert_eq!(&mounts[0].source, &point);
    }
}
