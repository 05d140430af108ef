//! What the first bytes of an image say, read before the kernel is asked to trust them.
//!
//! Layouts: ext4 in the kernel's Documentation/filesystems/ext4/super.rst (little-endian, at byte 1024),
//! XFS in fs/xfs/libxfs/xfs_format.h, `struct xfs_dsb` (big-endian, at byte 0).

/// How many bytes [`parse`] wants to see.
pub const LENGTH: usize = 2048;

/// The label that our images carry. XFS takes 12 bytes, ext4 16.
pub const LABEL: &str = "dind-docker";

/// A file system, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// `ext4` (ext2 and ext3 share its magic number and its driver) or `xfs`.
    pub filesystem: &'static str,
    /// The label.
    pub label: String,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// Whether it was marked by the kernel as having errors.
    pub errors: bool,
}

/// Reads a superblock; nothing where there is none that we know.
#[must_use]
pub fn parse(head: &[u8]) -> Option<Superblock> {
    ext4(head.get(1024..)?).or_else(|| xfs(head))
}

fn ext4(block: &[u8]) -> Option<Superblock> {
    const MAGIC: u16 = 0xEF53;
    const INCOMPAT_64BIT: u32 = 0x80;
    const STATE_ERRORS: u16 = 2;
    let u16_at = |at: usize| Some(u16::from_le_bytes(block.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(block.get(at..at + 4)?.try_into().ok()?));
    if u16_at(0x38)? != MAGIC {
        return None;
    }
    let high = if u32_at(0x60)? & INCOMPAT_64BIT == 0 { 0 } else { u32_at(0x150)? };
    let blocks = u64::from(high) << 32 | u64::from(u32_at(0x4)?);
    // 64 KiB is the most that the format knows.
    let block_bytes = 1024u64 << Some(u32_at(0x18)?).filter(|shift| *shift <= 6)?;
    Some(Superblock {
        filesystem: "ext4",
        label: text(block.get(0x78..0x88)?),
        bytes: blocks.saturating_mul(block_bytes),
        errors: u16_at(0x3A)? & STATE_ERRORS != 0,
    })
}

fn xfs(block: &[u8]) -> Option<Superblock> {
    let block_bytes = u32::from_be_bytes(block.strip_prefix(b"XFSB")?.get(..4)?.try_into().ok()?);
    let blocks = u64::from_be_bytes(block.get(8..16)?.try_into().ok()?);
    Some(Superblock {
        filesystem: "xfs",
        label: text(block.get(108..120)?),
        bytes: blocks.saturating_mul(block_bytes.into()),
        errors: false,
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
        put(0x4, &25_600u32.to_le_bytes());
        put(0x18, &2u32.to_le_bytes());
        put(0x38, &[0x53, 0xEF]);
        put(0x3A, &1u16.to_le_bytes());
        put(0x60, &0x2C2u32.to_le_bytes());
        put(0x78, b"dind-docker");
        head
    }

    #[test]
    fn an_ext4_of_100_mib() {
        let expected =
            Superblock { filesystem: "ext4", label: LABEL.into(), bytes: 100 << 20, errors: false };
        assert_eq!(parse(&ext4_head()), Some(expected));
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
    fn an_xfs() {
        let mut head = vec![0; LENGTH];
        head[..4].copy_from_slice(b"XFSB");
        head[4..8].copy_from_slice(&4096u32.to_be_bytes());
        head[8..16].copy_from_slice(&131_072u64.to_be_bytes());
        head[108..119].copy_from_slice(LABEL.as_bytes());
        let expected = Superblock { filesystem: "xfs", label: LABEL.into(), bytes: 512 << 20, errors: false };
        assert_eq!(parse(&head), Some(expected));
    }

    #[test]
    fn what_is_no_file_system() {
        let mut absurd = ext4_head();
        absurd[1024 + 0x18] = 60;
        for head in
            [Vec::new(), vec![0], vec![0; LENGTH], vec![0xFF; LENGTH], ext4_head()[..1100].to_vec(), absurd]
        {
            assert_eq!(parse(&head), None);
        }
    }
}
