//! Whatever the first bytes of an image are, they are no panic.
#![no_main]

#[path = "../../tests/properties/parsers.rs"]
#[allow(dead_code)]
mod parsers;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| parsers::superblock(bytes));
