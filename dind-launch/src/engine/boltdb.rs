//! The file format of BoltDB, as far as dockerd's record of networks needs it: one bucket, with keys and values.
//!
//! What it looks like is said in bbolt's page.go, meta.go and bucket.go (go.etcd.io/bbolt). A file is made of pages. The
//! first two are copies of the root, of which the younger one that is whole counts; the tree of a bucket consists of branch
//! and leaf pages, each of which may overflow into those after it. Numbers are in the machine's order: on a big-endian one
//! nothing is understood, and nothing changed.

use std::ops::Range;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const META: u16 = 0x04;
const FREELIST: u16 = 0x10;

/// A leaf's element that is a bucket.
const IS_BUCKET: u32 = 1;

/// What stands before the elements of a page: its number, kind, count, overflow.
const HEADER: usize = 16;
/// An element of either kind of page, without its key and value.
const ELEMENT: usize = 16;
/// What is summed of a root.
const SUMMED: usize = 56;

/// Far more than any tree has.
const DEEPEST: usize = 16;

/// A database with one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Bytes.
    pub page_size: usize,
    /// The bucket's name.
    pub bucket: Vec<u8>,
    /// Keys, in order, with their values.
    pub pairs: Vec<Pair>,
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Reads a database. None: it is damaged, or has more than one plain bucket.
#[must_use]
pub fn read(file: &[u8]) -> Option<Database> {
    let page_size = u32_at(file, HEADER + 8)? as usize;
    if !page_size.is_power_of_two() || page_size < 1024 {
        return None;
    }
    let roots = [0, page_size].into_iter().filter_map(|at| root(file.get(at + HEADER..)?, page_size));
    let (_, root) = roots.max()?;
    let pages = Pages { file, page_size };
    let mut top = Vec::new();
    pages.collect(root, 0, &mut top)?;
    let [(IS_BUCKET, (name, value))] = top.as_slice() else { return None };
    // A number that the bucket's user counts up: dockerd does not, and it would begin anew.
    if u64_at(value, 8)? != 0 {
        return None;
    }
    let mut elements = Vec::new();
    match u64_at(value, 0)? {
        // A small bucket lies within its element.
        0 => leaf(value.get(16..)?, &mut elements)?,
        number => pages.collect(number, 0, &mut elements)?,
    }
    let pairs: Option<Vec<Pair>> =
        elements.into_iter().map(|(flags, pair)| (flags == 0).then_some(pair)).collect();
    let pairs = pairs.filter(|pairs| pairs.is_sorted_by(|a, b| a.0 < b.0))?;
    Some(Database { page_size, bucket: name.clone(), pairs })
}

/// The age and the first page of a root that is whole.
fn root(meta: &[u8], page_size: usize) -> Option<(u64, u64)> {
    let whole = u32_at(meta, 0)? == MAGIC
        && u32_at(meta, 4)? == VERSION
        && u32_at(meta, 8)? as usize == page_size
        && u64_at(meta, SUMMED)? == checksum(meta.get(..SUMMED)?);
    whole.then_some((u64_at(meta, 48)?, u64_at(meta, 16)?))
}

/// FNV-1a of 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// An element of a leaf, with its flags.
type Element = (u32, Pair);

struct Pages<'a> {
    file: &'a [u8],
    page_size: usize,
}

impl Pages<'_> {
    fn collect(&self, number: u64, depth: usize, elements: &mut Vec<Element>) -> Option<()> {
        let begin = usize::try_from(number).ok()?.checked_mul(self.page_size)?;
        let page = self.file.get(begin..)?;
        let overflow = u32_at(page, 12)? as usize;
        let page = page.get(..(overflow + 1).checked_mul(self.page_size)?)?;
        if u64_at(page, 0)? != number || depth > DEEPEST {
            return None;
        }
        match u16_at(page, 8)? {
            LEAF => leaf(page, elements),
            BRANCH => (0..u16_at(page, 10)?.into())
                .try_for_each(|i| self.collect(u64_at(page, HEADER + i * ELEMENT + 8)?, depth + 1, elements)),
            _ => None,
        }
    }
}

fn leaf(page: &[u8], elements: &mut Vec<Element>) -> Option<()> {
    (0..usize::from(u16_at(page, 10)?)).try_for_each(|i| {
        let at = HEADER + i * ELEMENT;
        let number = |offset| u32_at(page, at + offset).map(|number| number as usize);
        let key = at.checked_add(number(4)?)?;
        let value = key.checked_add(number(8)?)?;
        let end = value.checked_add(number(12)?)?;
        let bytes = |range: Range<usize>| page.get(range).map(<[u8]>::to_vec);
        elements.push((u32_at(page, at)?, (bytes(key..value)?, bytes(value..end)?)));
        Some(())
    })
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

/// A whole new file. None: a value is longer than the format can say.
#[must_use]
pub fn write(database: &Database) -> Option<Vec<u8>> {
    let page_size = database.page_size;
    // The roots and the list of free pages come first, and are written last.
    let mut file = vec![0; 3 * page_size];
    let mut level = Vec::new();
    let elements: Vec<Element> = database.pairs.iter().map(|pair| (0, pair.clone())).collect();
    for page in filled(&elements, page_size, |(_, (key, value))| key.len() + value.len()) {
        let first = page.first().map(|(_, (key, _))| key.clone()).unwrap_or_default();
        level.push((first, append(&mut file, page_size, LEAF, page, leaf_element)?));
    }
    while level.len() > 1 {
        let mut above = Vec::new();
        for page in filled(&level, page_size, |(key, _)| key.len()) {
            above.push((page[0].0.clone(), append(&mut file, page_size, BRANCH, page, branch_element)?));
        }
        level = above;
    }
    let bucket = [level.first()?.1.to_le_bytes(), [0; 8]].concat();
    let top = [(IS_BUCKET, (database.bucket.clone(), bucket))];
    let root = append(&mut file, page_size, LEAF, &top, leaf_element)?;
    let pages = (file.len() / page_size) as u64;
    for age in 0..2u64 {
        let mut meta = Vec::new();
        for number in [MAGIC, VERSION, u32::try_from(page_size).ok()?, 0] {
            meta.extend(number.to_le_bytes());
        }
        // The top's first page and sequence, the list of free pages, the first page that is not there, the age.
        for number in [root, 0, 2, pages, age] {
            meta.extend(number.to_le_bytes());
        }
        meta.extend(checksum(&meta).to_le_bytes());
        put(&mut file, age as usize * page_size, &header(age, META, 0, 0));
        put(&mut file, age as usize * page_size + HEADER, &meta);
    }
    put(&mut file, 2 * page_size, &header(2, FREELIST, 0, 0));
    Some(file)
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn header(number: u64, kind: u16, count: u16, overflow: u32) -> Vec<u8> {
    let mut header = number.to_le_bytes().to_vec();
    header.extend(kind.to_le_bytes());
    header.extend(count.to_le_bytes());
    header.extend(overflow.to_le_bytes());
    header
}

/// Elements by pages: as many in each as it has room for, and at least one. There is one page at least.
fn filled<T>(elements: &[T], page_size: usize, length: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let (mut pages, mut begin, mut room) = (Vec::new(), 0, page_size - HEADER);
    for (i, element) in elements.iter().enumerate() {
        let needed = ELEMENT + length(element);
        if needed > room && i > begin {
            pages.push(&elements[begin..i]);
            (begin, room) = (i, page_size - HEADER);
        }
        room = room.saturating_sub(needed);
    }
    pages.push(&elements[begin..]);
    pages
}

/// The fixed part of an element, to which its bytes have this distance, and those bytes.
type Encode<T> = fn(&T, u32) -> Option<([u8; ELEMENT], Vec<u8>)>;

fn leaf_element((flags, (key, value)): &Element, distance: u32) -> Option<([u8; ELEMENT], Vec<u8>)> {
    let numbers = [*flags, distance, u32::try_from(key.len()).ok()?, u32::try_from(value.len()).ok()?];
    Some((fixed(numbers.map(u32::to_le_bytes).as_flattened())?, [&key[..], value].concat()))
}

fn branch_element((key, page): &(Vec<u8>, u64), distance: u32) -> Option<([u8; ELEMENT], Vec<u8>)> {
    let numbers = [distance, u32::try_from(key.len()).ok()?].map(u32::to_le_bytes);
    Some((fixed(&[numbers.as_flattened(), &page.to_le_bytes()].concat())?, key.clone()))
}

fn fixed(bytes: &[u8]) -> Option<[u8; ELEMENT]> {
    bytes.try_into().ok()
}

/// Writes a page, with what it overflows into, at the end of the file. Gives its number.
fn append<T>(
    file: &mut Vec<u8>,
    page_size: usize,
    kind: u16,
    elements: &[T],
    encode: Encode<T>,
) -> Option<u64> {
    let number = (file.len() / page_size) as u64;
    let (mut table, mut bytes) = (Vec::new(), Vec::new());
    for (i, element) in elements.iter().enumerate() {
        let distance = (elements.len() - i) * ELEMENT + bytes.len();
        let (entry, own) = encode(element, u32::try_from(distance).ok()?)?;
        table.extend(entry);
        bytes.extend(own);
    }
    let overflow = (HEADER + table.len() + bytes.len()).div_ceil(page_size) - 1;
    let header = header(number, kind, u16::try_from(elements.len()).ok()?, u32::try_from(overflow).ok()?);
    file.extend([header, table, bytes].concat());
    file.resize(file.len().next_multiple_of(page_size), 0);
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(count: usize, length: usize) -> Database {
        let pair = |i: usize| (format!("key/{i:05}").into_bytes(), vec![b'v'; length]);
        Database { page_size: 4096, bucket: b"libnetwork".to_vec(), pairs: (0..count).map(pair).collect() }
    }

    #[test]
    fn what_is_written_is_read() {
        // Nothing, one leaf, branches over leaves, branches over branches, values longer than a page.
        for (count, length) in [(0, 0), (3, 10), (100, 300), (40_000, 40), (5, 10_000)] {
            let database = database(count, length);
            let file = write(&database).unwrap();
            assert_eq!(file.len() % 4096, 0);
            assert_eq!(read(&file).as_ref(), Some(&database), "{count} {length}");
        }
    }

    #[test]
    fn the_younger_whole_root_counts() {
        let mut file = write(&database(3, 10)).unwrap();
        let other = write(&database(4, 10)).unwrap();
        // The pages of the other one, under the older root alone.
        file.truncate(2 * 4096);
        file.extend(&other[2 * 4096..]);
        assert_eq!(read(&file).unwrap().pairs.len(), 4);
        file[4096 + HEADER + SUMMED] ^= 1;
        assert_eq!(read(&file).unwrap().pairs.len(), 4, "the older root is as good");
        file[HEADER + SUMMED] ^= 1;
        assert_eq!(read(&file), None);
    }

    #[test]
    fn what_is_cut_off_is_not_understood() {
        let file = write(&database(100, 300)).unwrap();
        for length in (0..file.len()).step_by(512) {
            assert_eq!(read(&file[..length]), None, "{length}");
        }
    }
}
