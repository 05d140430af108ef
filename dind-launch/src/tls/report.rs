//! What a document of `tls` says beside its steps.

use super::certificate::Certificate;
use super::clock::date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

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
