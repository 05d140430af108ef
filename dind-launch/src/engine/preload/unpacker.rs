//! The programs that unpack what `docker load` does not.

use dind_system::program;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The program that unpacks a compressed archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unpacker {
    /// Its name.
    pub(super) program: &'static str,
    /// The package that has it.
    pub(super) package: &'static str,
}

impl Unpacker {
    /// By the first bytes of the archive, as dockerd does it (moby, pkg/archive, `DetectCompression`). It unpacks gzip and bzip2
    /// by itself, and zstd since 23.0.
    pub(super) fn of(archive: &Path) -> Option<Self> {
        let mut magic = [0; 6];
        File::open(archive).and_then(|mut file| file.read_exact(&mut magic)).ok()?;
        match magic {
            [0xFD, b'7', b'z', b'X', b'Z', 0] => Some(Self { program: "xz", package: "xz-utils" }),
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Some(Self { program: "zstd", package: "zstd" }),
            _ => None,
        }
    }

    /// Where we unpack ourselves: zstd, if that is installed, because 20.10 does not know it.
    pub(super) fn needed_by_us(&self) -> Option<PathBuf> {
        (self.program == "zstd").then(|| program::on_path(self.program)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn archives_are_known_by_their_first_bytes() {
        let directory = tempfile::tempdir().unwrap();
        for (bytes, program) in [
            (&b"\xFD7zXZ\0\0\x04"[..], Some("xz")),
            (b"\x28\xB5\x2F\xFD\x04\x00", Some("zstd")),
            (b"\x1F\x8B\x08\0\0\0\0", None),
            (b"BZh91AY", None),
            (b"", None),
        ] {
            let archive = directory.path().join("archive");
            fs::write(&archive, bytes).unwrap();
            assert_eq!(Unpacker::of(&archive).map(|unpacker| unpacker.program), program, "{bytes:?}");
        }
    }
}
