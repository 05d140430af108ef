//! Makes keys and certificates: ECDSA on P-256, which takes a millisecond where docker:dind's RSA takes seconds.

use super::certificate::Certificate;
use super::clock;
use super::layout::{CLIENT_CA, CLIENT_CERT, CLIENT_KEY, SERVER_CA, SERVER_CERT, SERVER_KEY};
use super::name::Name;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use time::OffsetDateTime;

/// Seconds in a day.
const DAY: i64 = 24 * 3600;
/// How long a certificate of a server or a client lives: as long as some clients accept (github.com/FiloSottile/mkcert/issues/174),
/// and as docker:dind's.
const LEAF_LIFE: i64 = 825 * DAY;
/// How long that of our own CA lives.
const CA_LIFE: i64 = 3650 * DAY;
/// How far back a life begins: clocks of other machines may be behind.
const BACK: i64 = 3600;

/// The names of our own certificates.
pub(super) const CA_NAME: &str = "dind CA";
/// The CA of docker:dind, which we renew as it does.
pub(super) const DIND_CA_NAME: &str = "docker:dind CA";

/// Who a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// dockerd.
    Server,
    /// Whoever may use it.
    Client,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }

    pub(super) fn key(self) -> &'static str {
        if self == Self::Server { SERVER_KEY } else { CLIENT_KEY }
    }

    pub(super) fn certificate(self) -> &'static str {
        if self == Self::Server { SERVER_CERT } else { CLIENT_CERT }
    }

    pub(super) fn ca(self) -> &'static str {
        if self == Self::Server { SERVER_CA } else { CLIENT_CA }
    }

    fn purpose(self) -> ExtendedKeyUsagePurpose {
        match self {
            Self::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Self::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }
    }
}

/// A certificate of a CA for its own key, in PEM.
///
/// # Errors
/// Those of the signature.
pub(super) fn ca(key: &KeyPair, common_name: &str, now: i64) -> Result<String, Error> {
    let mut params = params(common_name, now, now.saturating_add(CA_LIFE))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    Ok(params.self_signed(key)?.pem())
}

/// A certificate of a server or a client, in PEM. It expires with that of its CA, if that is earlier.
///
/// # Errors
/// Those of the signature, and of a CA's name that cannot be written as its certificate has it.
pub(super) fn leaf(
    role: Role,
    key: &KeyPair,
    names: &[Name],
    (ca, ca_key): (&Certificate, KeyPair),
    now: i64,
) -> Result<String, Error> {
    let end = now.saturating_add(LEAF_LIFE).min(ca.not_after);
    let mut params = params(&format!("dind {}", role.name()), now, end)?;
    params.extended_key_usages = vec![role.purpose()];
    params.use_authority_key_identifier_extension = true;
    for name in names {
        params.subject_alt_names.push(match name {
            Name::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
            Name::Ip(address) => SanType::IpAddress(*address),
        });
    }
    let issuer = Issuer::from_ca_cert_der(&ca.der.as_slice().into(), ca_key)?;
    let certificate = params.signed_by(key, &issuer)?;
    // The name of a CA may hold what the library does not keep: the same attribute twice.
    let read = Certificate::parse(certificate.pem().as_bytes());
    match read {
        Ok(read) if read.issuer == ca.subject => Ok(certificate.pem()),
        _ => Err(Error::CouldNotParseCertificate),
    }
}

fn params(common_name: &str, now: i64, end: i64) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| Error::Time);
    (params.not_before, params.not_after) = (at(now.saturating_sub(BACK))?, at(end)?);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    // Another one for each: the default follows from the key, which a renewal keeps.
    params.serial_number = Some((clock::now().as_nanos() as u64).into());
    Ok(params)
}
