//! Whatever a mountinfo holds, it is no panic.
#![no_main]

#[path = "../../tests/properties/parsers.rs"]
#[allow(dead_code)]
mod parsers;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| parsers::mounts(&String::from_utf8_lossy(bytes)));
