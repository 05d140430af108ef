//! Whatever bytes dockerd's record of networks holds, the reader does not panic, and returns no more than is there. The same
//! checks run for a few seconds in the suite `stale_networks`.
#![no_main]

// The suite writes files with it; here only their checksums are of use.
#[allow(dead_code)]
#[path = "../../tests/stale_networks/boltdb.rs"]
mod boltdb;
#[path = "../../tests/stale_networks/reader.rs"]
mod reader;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| reader::check(bytes));
