//! A writer of BoltDB files, for the tests. The launcher only reads them.

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
pub(crate) const BRANCH: u16 = 0x01;
pub(crate) const LEAF: u16 = 0x02;
const META: u16 = 0x04;
const FREELIST: u16 = 0x10;
const IS_BUCKET: u32 = 1;
pub(crate) const HEADER: usize = 16;
/// How many bytes of a root its checksum covers; it follows them.
pub(crate) const SUMMED: usize = 56;
pub(crate) const ELEMENT: usize = 16;

pub(crate) const PAGE_SIZE: usize = 4096;
/// The smallest page that the reader takes for one.
const SMALLEST_PAGE: u32 = 1024;

/// A key and its value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// An element of a leaf, with its flags.
type Element = (u32, Pair);

/// A whole new file with one bucket; nothing where a value is too long for the format.
pub(crate) fn write(pairs: &[Pair]) -> Option<Vec<u8>> {
    let page_size = PAGE_SIZE;
    // The roots and the list of free pages come first, and are written last.
    let mut file = vec![0; 3 * page_size];
    let mut level = Vec::new();
    let elements: Vec<Element> = pairs.iter().map(|pair| (0, pair.clone())).collect();
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
    let top = [(IS_BUCKET, (b"libnetwork".to_vec(), bucket))];
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

/// Makes both roots intact, whatever they refer to, if the file is long enough to hold them.
pub(crate) fn repair_roots(file: &mut [u8]) {
    let number = file.get(HEADER + 8..HEADER + 12).and_then(|bytes| bytes.try_into().ok());
    let is_usable = |size: &u32| size.is_power_of_two() && *size >= SMALLEST_PAGE;
    let page_size = number.map(u32::from_le_bytes).filter(is_usable).unwrap_or(SMALLEST_PAGE);
    for at in [HEADER, page_size as usize + HEADER] {
        if let Some(meta) = file.get_mut(at..).and_then(|rest| rest.get_mut(..SUMMED + 8)) {
            meta[..12].copy_from_slice([MAGIC, VERSION, page_size].map(u32::to_le_bytes).as_flattened());
            let sum = checksum(&meta[..SUMMED]);
            meta[SUMMED..].copy_from_slice(&sum.to_le_bytes());
        }
    }
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

/// FNV-1a of 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
