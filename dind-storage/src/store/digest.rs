//! Ids of images and layers: SHA-256, as `sha256:HEX`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

const ALGORITHM: &str = "sha256:";

/// An id, which is made of nothing but 64 lower-case hexadecimal digits: it is safe as the name of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Digest(String);

impl Digest {
    /// That of a content.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self::finish(Sha256::new_with_prefix(content))
    }

    /// What a hash has come to.
    #[must_use]
    pub fn finish(hash: Sha256) -> Self {
        Self(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// From 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (hex.len() == 64 && hex.bytes().all(is_hex)).then(|| Self(hex.to_owned()))
    }

    /// From `sha256:HEX`, with or without white space around it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_hex(text.trim().strip_prefix(ALGORITHM)?)
    }

    /// The digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0
    }

    /// As `docker images` shortens it.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM}{}", self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not sha256: and 64 hexadecimal digits"))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// The chain ids of an image's layers, the lowest first: the first is its diff id, each further one the digest of the chain
/// id beneath and its own diff id (OCI image specification, config.md, "Layer ChainID").
#[must_use]
pub fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        chain.push(chain_id(chain.last(), diff_id));
    }
    chain
}

/// The chain id of a layer upon another.
#[must_use]
pub fn chain_id(parent: Option<&Digest>, diff_id: &Digest) -> Digest {
    match parent {
        None => diff_id.clone(),
        Some(parent) => Digest::of(format!("{parent} {diff_id}").as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_sha256_is_an_id() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").hex(), hex);
        assert_eq!(Digest::parse(&format!("sha256:{hex}\n")).unwrap().to_string(), format!("sha256:{hex}"));
        for text in
            ["", hex, "sha256:", "sha256:../../etc", &format!("sha512:{hex}"), &format!("sha256:{hex}0")]
        {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
        assert_eq!(Digest::parse(&format!("sha256:{}", hex.to_uppercase())), None);
    }

    /// As Docker 20.10 has named the two layers of an image.
    #[test]
    fn the_chain_ids_are_the_engines() {
        let parse = |text: &str| Digest::parse(text).unwrap();
        let first = parse("sha256:bd8083eb1e10ee8513fa9e0cb049becb1d3804abaaf94b914e06a67f074a3281");
        let second = parse("sha256:fa7216527a27bbc509e3b1d1e0541d1fe09ea624702109de1e7f5a9ed5c5b2d8");
        let top = parse("sha256:0b3deb00dff2febf207c1076e578138ff218a398bad2fd6c613cabe80de86327");
        assert_eq!(chain_ids(&[first.clone(), second]), [first, top]);
        assert_eq!(chain_ids(&[]), []);
    }
}
