//! Sizes as people write them.

const MIB: u64 = 1 << 20;

/// The smallest image, in bytes: below this, most of a file system is its journal.
pub const MINIMUM: u64 = 64 * MIB;

/// The default size of an image, in bytes: 5 GiB, the predecessor's `VAR_LIB_DOCKER_SIZE=5`.
pub const DEFAULT: u64 = 5 << 30;

/// Units, the longer spelling first. A single letter is binary, as in `docker run --memory`.
const UNITS: &[(&str, u64)] = &[
    ("mib", MIB),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("m", MIB),
    ("g", 1 << 30),
    ("t", 1 << 40),
];

/// Bytes, rounded up to whole MiB. A plain number counts GiB: the predecessor's `dd bs=1G` did.
///
/// # Errors
/// Text that is not a number with a unit, less than [`MINIMUM`], or more than a file can have.
pub fn parse(text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, bytes)| Some((lower.strip_suffix(name)?, *bytes)))
        .unwrap_or((&lower, 1 << 30));
    // `str::parse` takes a leading plus.
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("expected a size such as 5, 20GiB, 512MiB or 5GB".to_owned());
    }
    let too_large = || "it is larger than a file can be".to_owned();
    let bytes =
        number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(too_large)?;
    let rounded = bytes.checked_next_multiple_of(MIB).ok_or_else(too_large)?;
    // A file's size is an off_t.
    i64::try_from(rounded).map_err(|_| too_large())?;
    if rounded < MINIMUM { Err("it is less than 64MiB".to_owned()) } else { Ok(rounded) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("5", 5 << 30),
            ("20GiB", 20 << 30),
            ("20g", 20 << 30),
            ("512MiB", 512 << 20),
            ("64mib", MINIMUM),
            ("5GB", 4_769 << 20), // 5,000,000,000 rounded up to whole MiB
            ("1TiB", 1 << 40),
            ("1TB", 953_675 << 20),
            ("67MB", MINIMUM),
            ("00005", 5 << 30),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn invalid_sizes() {
        for text in [
            "",
            "abc",
            "0",
            "-1",
            "+5",
            "1e3",
            "5.5",
            "5 GB",
            "GiB",
            "5KiB",
            "5PB",
            "63MiB",
            "0x10",
            "5GiBs",
            "٥",
            "8388608TiB",
            "18446744073709551616",
            "18446744073709551615",
            "17179869184",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
