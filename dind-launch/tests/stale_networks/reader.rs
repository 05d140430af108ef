//! What holds for the reader of BoltDB, whatever bytes it reads. The fuzz target (`fuzz/fuzz_targets/boltdb.rs`) runs the same.

use super::boltdb::repair_roots;
use dind_launch::engine::stale_networks::{Links, is_stale_file};
use dind_system::boltdb::read;

/// Reads bytes as they are, and again with intact roots: hardly any random file gets past the check of those.
///
/// # Panics
/// The reader does, or returns keys that are not in order, or more than the file holds.
pub(crate) fn check(bytes: &[u8]) {
    check_one(bytes);
    let mut repaired = bytes.to_vec();
    repair_roots(&mut repaired);
    check_one(&repaired);
}

fn check_one(file: &[u8]) {
    if let Some(pairs) = read(file) {
        assert!(pairs.is_sorted_by(|a, b| a.0 < b.0));
        let length: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
        assert!(length <= file.len(), "{length} bytes of {}", file.len());
    }
    let _ = is_stale_file(file, &Links(vec!["lo".to_owned()]));
}
