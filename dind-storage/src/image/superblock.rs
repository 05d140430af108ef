//! The superblock of a file system, read before the kernel is asked to trust it.
//!
//! Layouts: ext4 in the kernel's Documentation/filesystems/ext4/super.rst (little-endian, at byte 1024),
//! XFS in fs/xfs/libxfs/xfs_format.h, `struct xfs_dsb` (big-endian, at byte 0).

/// How many bytes of an image [`parse`] reads.
pub const LENGTH: usize = 2048;

/// The label that our images carry. XFS takes 12 bytes, ext4 16.
pub const LABEL: &str = "dind-docker";

/// File systems that an image can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filesystem {
    /// ext2 and ext3 share its magic number and its driver.
    Ext4,
    /// Needs `mkfs.xfs` and 300 MiB.
    Xfs,
}

impl Filesystem {
    /// The name as mount(8) spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }
}

/// A file system, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Its type.
    pub filesystem: Filesystem,
    /// The label.
    pub label: String,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// Whether the kernel has marked it as having errors.
    pub errors: bool,
    /// Whether it was unmounted. If not, the next mount repairs it from its journal; without one only a check does.
    pub dirty: Dirty,
    /// How much at the end of the device may be left unused, in bytes: a group that has no room for more than its own
    /// tables is not made. A file system that ends earlier was not grown to its end.
    pub slack: u64,
    /// How long all of its inode tables are, in bytes. They may be holes in the file: zeroing a table that was never used,
    /// the kernel and e2fsprogs punch one.
    pub tables: u64,
}

/// How a file system was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dirty {
    /// It was unmounted.
    No,
    /// Its journal has to be replayed.
    Journal,
    /// It has no journal: only a check can repair it.
    Check,
}

/// Parses a superblock; nothing where there is none that we know, or where its numbers exceed what 64 bits can count.
#[must_use]
pub fn parse(head: &[u8]) -> Option<Superblock> {
    ext4(head.get(1024..)?).or_else(|| xfs(head))
}

/// The UUID, where the head of an image is long enough to hold one.
#[must_use]
pub fn uuid(head: &[u8], filesystem: Filesystem) -> Option<&[u8]> {
    match filesystem {
        Filesystem::Ext4 => head.get(1024 + 0x68..1024 + 0x78),
        Filesystem::Xfs => head.get(32..48),
    }
}

/// The sector size that an XFS was made for, in bytes: it is not mounted from a device with larger ones. Our ext4 have blocks of 4 KiB,
/// which fit all; 0.
#[must_use]
pub fn sector(head: &[u8], filesystem: Filesystem) -> u32 {
    match (filesystem, head.get(102..104)) {
        (Filesystem::Xfs, Some(&[high, low])) => u32::from(u16::from_be_bytes([high, low])),
        _ => 0,
    }
}

/// Whether the metadata of an ext4 has checksums (`RO_COMPAT_METADATA_CSUM`).
#[must_use]
pub fn has_checksums(head: &[u8]) -> bool {
    head.get(1024 + 0x65).is_some_and(|features| features & 0x4 != 0)
}

fn ext4(block: &[u8]) -> Option<Superblock> {
    const MAGIC: u16 = 0xEF53;
    const INCOMPAT_64BIT: u32 = 0x80;
    const INCOMPAT_RECOVER: u32 = 0x4;
    const STATE_CLEAN: u16 = 1;
    const STATE_ERRORS: u16 = 2;
    let u16_at = |at: usize| Some(u16::from_le_bytes(block.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(block.get(at..at + 4)?.try_into().ok()?));
    if u16_at(0x38)? != MAGIC {
        return None;
    }
    let (incompat, state) = (u32_at(0x60)?, u16_at(0x3A)?);
    let high = if incompat & INCOMPAT_64BIT == 0 { 0 } else { u32_at(0x150)? };
    let blocks = u64::from(high) << 32 | u64::from(u32_at(0x4)?);
    // 64 KiB is the format's maximum.
    let block_bytes = 1024u64 << Some(u32_at(0x18)?).filter(|shift| *shift <= 6)?;
    let inode_bytes = u64::from(u16_at(0x58)?);
    let inode_tables = |inodes: u32| u64::from(inodes) * inode_bytes;
    // What the end of the device is too short for (ext2fs_initialize of e2fsprogs): a group's tables and its copies of the
    // superblock and of the descriptors, with the room kept for more of these, and 50 blocks.
    let groups = blocks.div_ceil(u64::from(u32_at(0x20)?).max(1));
    let descriptors = groups.checked_add(64)?.checked_mul(64)?;
    let reserved = (u64::from(u16_at(0xCE)?) + 60) * block_bytes;
    Some(Superblock {
        filesystem: Filesystem::Ext4,
        label: text(block.get(0x78..0x88)?),
        bytes: blocks.checked_mul(block_bytes)?,
        errors: state & STATE_ERRORS != 0,
        dirty: match (incompat & INCOMPAT_RECOVER != 0, state & STATE_CLEAN != 0) {
            (true, _) => Dirty::Journal,
            (false, true) => Dirty::No,
            (false, false) => Dirty::Check,
        },
        tables: inode_tables(u32_at(0)?),
        slack: inode_tables(u32_at(0x28)?).checked_add(descriptors)?.checked_add(reserved)?,
    })
}

fn xfs(block: &[u8]) -> Option<Superblock> {
    let block_bytes = u32::from_be_bytes(block.strip_prefix(b"XFSB")?.get(..4)?.try_into().ok()?);
    let blocks = u64::from_be_bytes(block.get(8..16)?.try_into().ok()?);
    Some(Superblock {
        filesystem: Filesystem::Xfs,
        label: text(block.get(108..120)?),
        bytes: blocks.checked_mul(block_bytes.into())?,
        errors: false,
        dirty: Dirty::No,
        // mkfs.xfs drops a last allocation group of less than 16 MiB (XFS_AG_MIN_BYTES).
        slack: 16 << 20,
        tables: 0,
    })
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ext4_head() -> Vec<u8> {
        let mut head = vec![0; LENGTH];
        let mut put =
            |at: usize, bytes: &[u8]| head[1024 + at..1024 + at + bytes.len()].copy_from_slice(bytes);
        put(0x0, &25_600u32.to_le_bytes());
        put(0x4, &25_600u32.to_le_bytes());
        put(0x18, &2u32.to_le_bytes());
        put(0x20, &32_768u32.to_le_bytes());
        put(0x28, &25_600u32.to_le_bytes());
        put(0x38, &[0x53, 0xEF]);
        put(0x3A, &1u16.to_le_bytes());
        put(0x58, &256u16.to_le_bytes());
        put(0x60, &0x2C2u32.to_le_bytes());
        put(0x78, b"dind-docker");
        head
    }

    #[test]
    fn an_ext4_of_100_mib() {
        let block = parse(&ext4_head()).unwrap();
        assert_eq!(
            (block.filesystem, block.label.as_str(), block.bytes),
            (Filesystem::Ext4, LABEL, 100 << 20)
        );
        assert_eq!((block.errors, block.dirty), (false, Dirty::No));
        // A group's 25,600 inodes of 256 bytes, and a little more.
        assert_eq!(block.tables, 25_600 * 256);
        assert!((25_600 * 256..8 << 20).contains(&block.slack), "{}", block.slack);
    }

    #[test]
    fn the_error_flag_and_the_high_half_of_the_block_count() {
        let mut head = ext4_head();
        head[1024 + 0x3A] = 3;
        head[1024 + 0x150] = 1;
        let block = parse(&head).unwrap();
        assert!(block.errors);
        assert_eq!(block.bytes, (1 << 44) + (100 << 20));
    }

    #[test]
    fn how_it_was_left() {
        let mut head = ext4_head();
        head[1024 + 0x3A] = 0;
        assert_eq!(parse(&head).unwrap().dirty, Dirty::Check);
        head[1024 + 0x60] |= 4;
        assert_eq!(parse(&head).unwrap().dirty, Dirty::Journal);
    }

    #[test]
    fn an_xfs() {
        let mut head = vec![0; LENGTH];
        head[..4].copy_from_slice(b"XFSB");
        head[4..8].copy_from_slice(&4096u32.to_be_bytes());
        head[8..16].copy_from_slice(&131_072u64.to_be_bytes());
        head[108..119].copy_from_slice(LABEL.as_bytes());
        let block = parse(&head).unwrap();
        assert_eq!(
            (block.filesystem, block.label.as_str(), block.bytes),
            (Filesystem::Xfs, LABEL, 512 << 20)
        );
    }

    #[test]
    fn other_bytes_are_not_a_file_system() {
        let mut absurd = ext4_head();
        absurd[1024 + 0x18] = 60;
        for head in
            [Vec::new(), vec![0], vec![0; LENGTH], vec![0xFF; LENGTH], ext4_head()[..1100].to_vec(), absurd]
        {
            assert_eq!(parse(&head), None);
        }
    }

    #[test]
    fn counts_that_overflow_are_refused() {
        let mut ext4 = ext4_head();
        ext4[1024 + 0x4..1024 + 0x8].fill(0xFF);
        ext4[1024 + 0x150..1024 + 0x154].fill(0xFF);
        assert_eq!(parse(&ext4), None);
        let mut xfs = vec![0; LENGTH];
        xfs[..4].copy_from_slice(b"XFSB");
        xfs[4..16].fill(0xFF);
        assert_eq!(parse(&xfs), None);
    }
}
