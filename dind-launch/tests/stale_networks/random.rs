//! Random files, and valid ones with random damage.

use super::boltdb::{ELEMENT, HEADER, PAGE_SIZE, write};
use super::{numbered, reader};
use proptest::prelude::*;
use proptest::sample::Index;

/// A byte to be written into a page, mostly where headers and elements are.
fn damage() -> impl Strategy<Value = (Index, usize, u8)> {
    let offset = prop_oneof![9 => 0..HEADER + 4 * ELEMENT, 1 => 0..PAGE_SIZE];
    let byte = prop_oneof![any::<u8>(), Just(0), Just(1), Just(2), Just(0xff)];
    (any::<Index>(), offset, byte)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        reader::check(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_damage_breaks_the_reader(
        count in 0_usize..300,
        length in 0_usize..300,
        damages in prop::collection::vec(damage(), 1..8),
        cut in prop::option::weighted(0.2, any::<Index>()),
    ) {
        let mut file = write(&numbered(count, length)).unwrap();
        for (page, offset, byte) in damages {
            let page = page.index(file.len() / PAGE_SIZE);
            file[page * PAGE_SIZE + offset] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        reader::check(&file);
    }
}
