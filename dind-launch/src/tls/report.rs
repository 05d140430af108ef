//! What a document of `tls` says beside its steps.

use super::certificate::Certificate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// The certificates: those that are kept; in the document of an apply the new ones, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Certificates {
    /// Where they lie; nothing where TLS is not asked for.
    pub directory: Option<PathBuf>,
    /// Who makes them: `dind`; or `user`, where a server's certificate is there without the key of its CA.
    pub made_by: Option<String>,
    /// The names that clients can call the engine by, as `DOCKER_TLS_SAN` has them.
    pub names: Vec<String>,
    /// That of the CA; nothing where it will be made.
    pub ca: Option<CertificateReport>,
    /// That of dockerd.
    pub server: Option<CertificateReport>,
    /// That of the clients.
    pub client: Option<CertificateReport>,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CertificateReport {
    /// Its subject's common name.
    pub name: String,
    /// When it expires, in UTC: `2029-03-05T12:00:00Z`.
    pub expires: String,
}

impl CertificateReport {
    pub(super) fn of(certificate: &Certificate) -> Self {
        Self { name: certificate.common_name.clone(), expires: date(certificate.not_after) }
    }
}

/// A time as people and programs read it.
pub(super) fn date(seconds: i64) -> String {
    let seconds = Duration::from_secs(seconds.try_into().unwrap_or(0));
    // The year 9999 is the last that certificates know (RFC 5280, 4.1.2.5), and the library, too.
    let last = Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + seconds.min(last)).to_string()
}
