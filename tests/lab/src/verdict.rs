//! What a test program prints of each of its tests.

/// The test's name, without its module, and whether it passed.
#[must_use]
pub fn parse(line: &str) -> Option<(String, bool)> {
    let (name, verdict) = line.strip_prefix("test ")?.split_once(" ... ")?;
    Some((name.rsplit("::").next().unwrap_or(name).to_owned(), verdict == "ok"))
}
