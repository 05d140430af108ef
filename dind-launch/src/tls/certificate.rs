//! Certificates and keys as they are read: what the plan has to know of them.

use super::name::Name;
use rcgen::{KeyPair, PublicKeyData};
use std::net::IpAddr;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate, read. Times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// As it was signed.
    pub der: Vec<u8>,
    /// Its subject's common name; empty without one.
    pub common_name: String,
    /// Its subject, as it is encoded.
    pub subject: Vec<u8>,
    /// Its issuer, as it is encoded.
    pub issuer: Vec<u8>,
    /// Its public key with the algorithm, as they are encoded.
    pub public_key: Vec<u8>,
    /// When its life begins.
    pub not_before: i64,
    /// When it expires.
    pub not_after: i64,
    /// The names that it is valid for.
    pub names: Vec<Name>,
    /// Whether it may sign other certificates.
    pub signs: bool,
    /// Whether a server may use it.
    pub for_server: bool,
    /// Whether a client may use it.
    pub for_client: bool,
}

impl Certificate {
    /// Reads the first certificate in a PEM file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(pem: &[u8]) -> Result<Self, String> {
        let block = Pem::iter_from_buffer(pem)
            .find(|block| block.as_ref().is_ok_and(|block| block.label == "CERTIFICATE"));
        let Some(Ok(block)) = block else { return Err("it holds no certificate in PEM".to_owned()) };
        Self::of(block.contents)
    }

    fn of(der: Vec<u8>) -> Result<Self, String> {
        let (_, parsed) =
            X509Certificate::from_der(&der).map_err(|error| format!("it is not a certificate ({error})"))?;
        let broken = |error| format!("an extension of the certificate cannot be read ({error})");
        let names = parsed.subject_alternative_name().map_err(broken)?;
        let names =
            names.into_iter().flat_map(|extension| &extension.value.general_names).filter_map(name).collect();
        let usage = parsed.key_usage().map_err(broken)?;
        let constraints = parsed.basic_constraints().map_err(broken)?;
        let purposes = parsed.extended_key_usage().map_err(broken)?.map(|extension| extension.value);
        let common_name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        Ok(Self {
            common_name: common_name.unwrap_or_default().to_owned(),
            subject: parsed.subject().as_raw().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            public_key: parsed.public_key().raw.to_vec(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            names,
            signs: constraints.is_some_and(|extension| extension.value.ca)
                && usage.is_none_or(|extension| extension.value.key_cert_sign()),
            for_server: purposes.is_none_or(|purposes| purposes.any || purposes.server_auth),
            for_client: purposes.is_none_or(|purposes| purposes.any || purposes.client_auth),
            der,
        })
    }

    /// Whether this one has been signed with the key of `issuer`.
    pub(super) fn is_signed_by(&self, issuer: &Self) -> bool {
        let parsed = [self, issuer].map(|certificate| X509Certificate::from_der(&certificate.der));
        let [Ok((_, this)), Ok((_, issuer))] = parsed else { return false };
        this.issuer().as_raw() == issuer.subject().as_raw()
            && this.verify_signature(Some(issuer.public_key())).is_ok()
    }

    /// Whether it belongs to a key.
    pub(super) fn is_of(&self, key: &KeyPair) -> bool {
        key.subject_public_key_info() == self.public_key
    }

    /// Whether it is valid at a time.
    pub(super) fn is_valid(&self, now: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// Whether half of its life or more is over. Renewed then, one that is in use lasts another half at least.
    pub(super) fn is_past_half(&self, now: i64) -> bool {
        now.saturating_mul(2) >= self.not_before.saturating_add(self.not_after)
    }
}

fn name(name: &GeneralName<'_>) -> Option<Name> {
    match name {
        GeneralName::DNSName(name) => Some(Name::Dns(name.to_ascii_lowercase())),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from).ok();
            four.or_else(|| <[u8; 16]>::try_from(*bytes).map(IpAddr::from).ok()).map(Name::Ip)
        }
        _ => None,
    }
}

/// Object identifiers, as they are encoded (RFC 8017, appendix C; RFC 5480, 2.1.1).
const RSA: [u8; 13] = [0x30, 0x0b + 2, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: [u8; 9] = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// Reads the private key in a PEM file: RSA of 2048 bits and more, ECDSA on P-256 and P-384, Ed25519. The older forms, `RSA
/// PRIVATE KEY` and `EC PRIVATE KEY`, are wrapped in the newer one, PKCS#8 (RFC 5958), of which they are the content.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse_key(pem: &[u8]) -> Result<KeyPair, String> {
    let mut blocks = Pem::iter_from_buffer(pem).filter_map(Result::ok);
    let Some(block) = blocks.find(|block| block.label.ends_with("PRIVATE KEY")) else {
        return Err("it holds no private key in PEM".to_owned());
    };
    of_forms(forms(&block.label, block.contents)?)
}

/// A key in each way that its content may be meant.
fn forms(label: &str, content: Vec<u8>) -> Result<Vec<Vec<u8>>, String> {
    let of_curve = |curve: &[u8]| wrapped(&der(0x30, &[&EC[..], curve].concat()), &content);
    match label {
        "PRIVATE KEY" => Ok(vec![content]),
        "RSA PRIVATE KEY" => Ok(vec![wrapped(&[&RSA[..], &[0x05, 0x00]].concat(), &content)]),
        "EC PRIVATE KEY" => Ok(vec![of_curve(&P256), of_curve(&P384)]),
        "ENCRYPTED PRIVATE KEY" => Err("the key is encrypted, and nobody is here to decrypt it".to_owned()),
        label => Err(format!("`{label}` is an unknown kind of key")),
    }
}

fn of_forms(forms: Vec<Vec<u8>>) -> Result<KeyPair, String> {
    let key = forms.iter().find_map(|form| KeyPair::try_from(form.as_slice()).ok());
    key.ok_or_else(|| "expected a key of RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519".to_owned())
}

/// PKCS#8: a version, an algorithm, and the key.
fn wrapped(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    der(0x30, &[&[0x02, 0x01, 0x00], algorithm, &der(0x04, key)].concat())
}

/// An element of DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let head = match content.len() {
        short @ ..0x80 => vec![tag, short as u8],
        _ => [&[tag, 0x80 | length.len() as u8], length].concat(),
    };
    [head, content.to_vec()].concat()
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
