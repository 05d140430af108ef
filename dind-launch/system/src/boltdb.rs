//! A reader of BoltDB files, as far as dockerd's record of networks needs it: the keys and values of one bucket.
//!
//! The format is described by page.go, meta.go and bucket.go of bbolt (go.etcd.io/bbolt). A file consists of pages. The first two are copies
//! of the root; the younger one that is intact counts. The tree of a bucket consists of branch and leaf pages, each of which
//! may overflow into those after it. Numbers are in the machine's byte order: files of a big-endian machine are not understood.

use std::collections::BTreeSet;
use std::ops::Range;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;

/// A leaf's element that is a bucket.
const IS_BUCKET: u32 = 1;

/// Bytes before the elements of a page: its number, kind, count, overflow.
const HEADER: usize = 16;
/// Bytes of an element of either kind of page, without its key and value.
const ELEMENT: usize = 16;
/// Bytes of a root that its checksum covers.
const SUMMED: usize = 56;

/// Far deeper than any tree is.
const MAX_DEPTH: usize = 16;

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// The keys of a file's only bucket, in order, with their values; nothing where the file is damaged, or has anything but one
/// plain bucket.
#[must_use]
pub fn read(file: &[u8]) -> Option<Vec<Pair>> {
    let page_size = u32_at(file, HEADER + 8)? as usize;
    if !page_size.is_power_of_two() || page_size < 1024 {
        return None;
    }
    let roots = [0, page_size].into_iter().filter_map(|at| root(file.get(at + HEADER..)?, page_size));
    let (_, root) = roots.max()?;
    let top = Tree::new(file, page_size).read(root)?;
    let [(IS_BUCKET, (_, bucket))] = top.as_slice() else { return None };
    let mut tree = Tree::new(file, page_size);
    let elements = match u64_at(bucket, 0)? {
        // A small bucket lies within its element.
        0 => {
            tree.leaf(bucket.get(16..)?)?;
            tree.elements
        }
        number => tree.read(number)?,
    };
    let pairs: Option<Vec<Pair>> =
        elements.into_iter().map(|(flags, pair)| (flags == 0).then_some(pair)).collect();
    pairs.filter(|pairs| pairs.is_sorted_by(|a, b| a.0 < b.0))
}

/// The age and the first page of a root that is intact.
fn root(meta: &[u8], page_size: usize) -> Option<(u64, u64)> {
    let intact = u32_at(meta, 0)? == MAGIC
        && u32_at(meta, 4)? == VERSION
        && u32_at(meta, 8)? as usize == page_size
        && u64_at(meta, SUMMED)? == checksum(meta.get(..SUMMED)?);
    intact.then_some((u64_at(meta, 48)?, u64_at(meta, 16)?))
}

/// FNV-1a of 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// An element of a leaf, with its flags.
type Element = (u32, Pair);

/// A tree while it is read. Whatever the file holds, the cost is bounded by its length: each page is read once, and all
/// elements together are at most as long as the file.
struct Tree<'a> {
    file: &'a [u8],
    page_size: usize,
    visited: BTreeSet<u64>,
    bytes_left: usize,
    elements: Vec<Element>,
}

impl<'a> Tree<'a> {
    fn new(file: &'a [u8], page_size: usize) -> Self {
        Self { file, page_size, visited: BTreeSet::new(), bytes_left: file.len(), elements: Vec::new() }
    }

    fn read(mut self, root: u64) -> Option<Vec<Element>> {
        self.page(root, 0)?;
        Some(self.elements)
    }

    fn page(&mut self, number: u64, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH || !self.visited.insert(number) {
            return None;
        }
        let begin = usize::try_from(number).ok()?.checked_mul(self.page_size)?;
        let page = self.file.get(begin..)?;
        let overflow = u32_at(page, 12)? as usize;
        let page = page.get(..overflow.checked_add(1)?.checked_mul(self.page_size)?)?;
        if u64_at(page, 0)? != number {
            return None;
        }
        match u16_at(page, 8)? {
            LEAF => self.leaf(page),
            BRANCH => (0..u16_at(page, 10)?.into())
                .try_for_each(|i| self.page(u64_at(page, HEADER + i * ELEMENT + 8)?, depth + 1)),
            _ => None,
        }
    }

    fn leaf(&mut self, page: &[u8]) -> Option<()> {
        for i in 0..usize::from(u16_at(page, 10)?) {
            let at = HEADER + i * ELEMENT;
            let number = |offset| u32_at(page, at + offset).map(|number| number as usize);
            let key = at.checked_add(number(4)?)?;
            let value = key.checked_add(number(8)?)?;
            let end = value.checked_add(number(12)?)?;
            self.bytes_left = self.bytes_left.checked_sub(end - key)?;
            let bytes = |range: Range<usize>| page.get(range).map(<[u8]>::to_vec);
            self.elements.push((u32_at(page, at)?, (bytes(key..value)?, bytes(value..end)?)));
        }
        Some(())
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}
