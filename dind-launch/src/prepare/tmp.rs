//! `DIND_TMP`: what lies at /tmp.

use crate::fault::TMP_INVALID;
use dind_contract::Fault;
use dind_contract::cli::given;

/// Of a tmpfs for which no size is given, in bytes. It counts as the container's memory, and a build's temporary files fit.
const DEFAULT_SIZE: u64 = 512 << 20;

/// What lies at /tmp. What the user has mounted there stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tmp {
    /// The container's own layer: it takes no memory.
    #[default]
    Disk,
    /// A tmpfs, with the value of its option `size` (tmpfs(5)).
    Tmpfs(String),
}

impl Tmp {
    /// Reads the flag or variable: `disk`, `tmpfs`, `tmpfs:SIZE`.
    ///
    /// # Errors
    /// [`TMP_INVALID`].
    pub fn parse(text: Option<&String>) -> Result<Self, Fault> {
        let Some(text) = given(text) else { return Ok(Self::default()) };
        let size = match text.split_once(':') {
            None if text == "disk" => return Ok(Self::Disk),
            None if text == "tmpfs" => Some(DEFAULT_SIZE.to_string()),
            Some(("tmpfs", size)) => size_option(size),
            _ => None,
        };
        size.map(Self::Tmpfs).ok_or_else(|| {
            let cause = "expected `disk`, `tmpfs` or `tmpfs:SIZE`, with a unit or in percent of the memory";
            TMP_INVALID
                .invalid("DIND_TMP", text, cause)
                .hint("set DIND_TMP=tmpfs:512MiB, or unset it for the disk")
        })
    }
}

/// `512m`, `512MiB`, `1g`, `2GB`, `25%`: bytes, or a percentage.
fn size_option(text: &str) -> Option<String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    let unit = unit.to_ascii_lowercase();
    if unit == "%" {
        return (number <= 100).then(|| format!("{number}%"));
    }
    let power = "kmgt".find(unit.chars().next()?)? as u32 + 1;
    let base: u64 = match &unit[1..] {
        "" | "ib" => 1024,
        "b" => 1000,
        _ => return None,
    };
    number.checked_mul(base.checked_pow(power)?).map(|bytes| bytes.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_sizes() {
        let parse = |text: &str| Tmp::parse(Some(&text.to_owned()));
        let tmpfs = |size: &str| Tmp::Tmpfs(size.to_owned());
        for (text, expected) in [
            ("", Tmp::Disk),
            ("disk", Tmp::Disk),
            ("tmpfs", tmpfs("536870912")),
            ("tmpfs:64m", tmpfs("67108864")),
            ("tmpfs:1GiB", tmpfs("1073741824")),
            ("tmpfs:2GB", tmpfs("2000000000")),
            ("tmpfs:25%", tmpfs("25%")),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
        for text in [
            "ram",
            "tmpfs:",
            "tmpfs:5",
            "tmpfs:0m",
            "tmpfs:m",
            "tmpfs:101%",
            "tmpfs:1x",
            "disk:1g",
            "tmpfs:99999999999t",
        ] {
            assert_eq!(parse(text).unwrap_err().code, TMP_INVALID, "{text}");
        }
    }
}
