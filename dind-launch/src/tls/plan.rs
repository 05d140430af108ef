//! Facts in, steps out: which certificates are kept, and which are made anew.

use super::certificate::{Certificate, parse_key};
use super::clock::date;
use super::facts::Facts;
use super::issue::{CA_NAME, DIND_CA_NAME, Role};
use super::layout::{CA_CERT, CA_KEY, SECRET, SERVER_CA, SERVER_CERT, SERVER_KEY};
use super::name::Name;
use super::report::{CertificateReport, Certificates};
use super::step::{Change, TlsStep};
use crate::fault;
use dind_contract::{Fault, Warning};
use std::path::{Path, PathBuf};

/// So many names of an earlier certificate stay in a new one. Nodes that share the directory do not take each other's names
/// away; those of containers that are long gone make room.
const KEPT_NAMES: usize = 32;

/// What an apply will do.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub steps: Vec<TlsStep>,
    pub result: Certificates,
    pub warnings: Vec<Warning>,
}

/// Decides.
///
/// # Errors
/// [`fault::TLS_CA_UNUSABLE`], [`fault::TLS_CERTIFICATE_UNUSABLE`]: what is there cannot be used, and is not ours to replace.
/// [`fault::TLS_NOT_WRITTEN`]: something is to be made where nothing can be written.
pub(super) fn decide(facts: &Facts) -> Result<Plan, Fault> {
    let mut plan = Plan { warnings: readable_keys(facts), ..Plan::default() };
    plan.result.directory = Some(facts.directory.clone());
    if facts.interrupted {
        plan.steps.push(TlsStep::new(Change::FinishInstall(facts.directory.clone())));
    }
    if !facts.has(CA_KEY) && [SERVER_CA, SERVER_CERT, SERVER_KEY].iter().all(|file| facts.has(file)) {
        plan.result.made_by = Some("user".to_owned());
        plan.of_user(facts)?;
    } else {
        plan.result.made_by = Some("dind".to_owned());
        plan.of_ours(facts)?;
    }
    let is_kept = plan.steps.iter().all(|step| step.holds);
    if !is_kept && !facts.writable {
        return Err(not_writable(facts));
    }
    Ok(plan)
}

impl Plan {
    /// A server's certificate whose CA is elsewhere: nothing can be made, and what is there has to do.
    fn of_user(&mut self, facts: &Facts) -> Result<(), Fault> {
        let unusable = |file: &str, cause: String| {
            fault::TLS_CERTIFICATE_UNUSABLE.cannot("use", facts.path(file).display(), cause).hint(format!(
                "put in another one; or remove {}, and all certificates are made",
                facts.path("server").display()
            ))
        };
        let server = facts.certificate(SERVER_CERT).map_err(|cause| unusable(SERVER_CERT, cause))?;
        let ca = facts.certificate(SERVER_CA).map_err(|cause| unusable(SERVER_CA, cause))?;
        if !server.is_valid(facts.now) {
            return Err(unusable(SERVER_CERT, lapsed(&server, facts.now)));
        }
        // dockerd takes kinds of keys that we do not know.
        if facts.key(SERVER_KEY).is_ok_and(|key| !server.is_of(&key)) {
            return Err(unusable(
                SERVER_KEY,
                format!("{} belongs to another key", facts.path(SERVER_CERT).display()),
            ));
        }
        self.warnings.extend(expiring(&server, &facts.path(SERVER_CERT), facts.now));
        self.result.names = texts(&server.names);
        self.result.ca = Some(CertificateReport::of(&ca));
        self.result.server = Some(CertificateReport::of(&server));
        Ok(())
    }

    fn of_ours(&mut self, facts: &Facts) -> Result<(), Fault> {
        let directory = &facts.directory;
        self.steps.push(TlsStep::new(Change::MakeDirectory(directory.clone())).unless(facts.exists));
        let mut kept = match kept_ca(facts)? {
            Some(ca) if renews(&ca, facts.now) => {
                self.steps.push(TlsStep::new(Change::MakeCa {
                    new_key: false,
                    name: ca.common_name,
                    path: facts.path("ca"),
                }));
                None
            }
            Some(ca) => {
                self.warnings.extend(expiring(&ca, &facts.path(CA_CERT), facts.now));
                Some(ca)
            }
            None => {
                let new_key = !facts.has(CA_KEY);
                self.steps.push(TlsStep::new(Change::MakeCa {
                    new_key,
                    name: CA_NAME.to_owned(),
                    path: facts.path("ca"),
                }));
                None
            }
        };
        if let Some(ca) = &kept {
            self.steps.push(
                TlsStep::new(Change::MakeCa {
                    new_key: false,
                    name: ca.common_name.clone(),
                    path: facts.path("ca"),
                })
                .unless(true),
            );
        }
        for role in [Role::Server, Role::Client] {
            let found = facts.certificate(role.certificate()).ok();
            let wanted = if role == Role::Server { facts.names.clone() } else { Vec::new() };
            let names = with_earlier(&wanted, found.as_ref());
            let stays = kept
                .as_ref()
                .zip(found.as_ref())
                .is_some_and(|(ca, found)| stays(facts, role, ca, found, &wanted));
            let new_key = facts.key(role.key()).is_err();
            if role == Role::Server {
                self.result.names = texts(&names);
            }
            let change = Change::MakeLeaf { role, new_key, names, path: facts.path(role.name()) };
            self.steps.push(TlsStep::new(change).unless(stays));
            let report = found.filter(|_| stays).map(|found| CertificateReport::of(&found));
            *(if role == Role::Server { &mut self.result.server } else { &mut self.result.client }) = report;
        }
        self.result.ca = kept.take().map(|ca| CertificateReport::of(&ca));
        let is_kept =
            self.steps.iter().all(|step| step.holds || matches!(step.change, Change::FinishInstall(_)));
        self.steps.push(TlsStep::new(Change::Install(directory.clone())).unless(is_kept));
        Ok(())
    }
}

/// The CA that is there: ours, docker:dind's or the user's. Nothing where its key has no certificate, or where there is neither.
fn kept_ca(facts: &Facts) -> Result<Option<Certificate>, Fault> {
    let unusable = |file: &str, cause: String, hint: String| {
        fault::TLS_CA_UNUSABLE.cannot("use", facts.path(file).display(), cause).hint(hint)
    };
    let (key_path, ca_path) = (facts.path(CA_KEY), facts.path("ca"));
    let anew =
        format!("put in the files that belong together, or remove {}, and a CA is made", ca_path.display());
    if !facts.has(CA_KEY) {
        if !facts.has(CA_CERT) {
            return Ok(None);
        }
        let hint = format!(
            "put its key at {}; or remove {}, and a CA is made; or put a certificate of yours into {}",
            key_path.display(),
            ca_path.display(),
            facts.path("server").display()
        );
        return Err(unusable(
            CA_CERT,
            "the key of this CA is missing, so nothing can be signed".to_owned(),
            hint,
        ));
    }
    let key = facts.key(CA_KEY).map_err(|cause| unusable(CA_KEY, cause, anew.clone()))?;
    if !facts.has(CA_CERT) {
        return Ok(None);
    }
    let ca = facts.certificate(CA_CERT).map_err(|cause| unusable(CA_CERT, cause, anew.clone()))?;
    if !ca.is_of(&key) {
        let cause = format!("{} belongs to another key", facts.path(CA_CERT).display());
        return Err(unusable(CA_KEY, cause, anew));
    }
    if !ca.signs {
        let cause =
            "it is not the certificate of a CA (basicConstraints CA:TRUE, keyUsage keyCertSign)".to_owned();
        return Err(unusable(CA_CERT, cause, anew));
    }
    if !ca.is_valid(facts.now) && !renews(&ca, facts.now) {
        return Err(unusable(CA_CERT, lapsed(&ca, facts.now), anew));
    }
    Ok(Some(ca))
}

/// Whether a CA's certificate is ours to make again, with the same name and key: then all that it has signed stays valid.
fn renews(ca: &Certificate, now: i64) -> bool {
    [CA_NAME, DIND_CA_NAME].contains(&ca.common_name.as_str())
        && ca.issuer == ca.subject
        && ca.is_past_half(now)
}

/// Whether a server's or client's files stay as they are.
fn stays(facts: &Facts, role: Role, ca: &Certificate, found: &Certificate, wanted: &[Name]) -> bool {
    let serves = if role == Role::Server { found.for_server } else { found.for_client };
    serves
        && found.is_valid(facts.now)
        // One that expires with its CA cannot get more.
        && (!found.is_past_half(facts.now) || found.not_after >= ca.not_after)
        && facts.key(role.key()).is_ok_and(|key| found.is_of(&key))
        && facts.bytes(role.ca()) == facts.bytes(CA_CERT)
        && wanted.iter().all(|name| found.names.contains(name))
        && found.is_signed_by(ca)
}

/// The wanted names, and those of an earlier certificate for which there is room.
fn with_earlier(wanted: &[Name], earlier: Option<&Certificate>) -> Vec<Name> {
    let mut names = wanted.to_vec();
    let earlier = earlier.into_iter().flat_map(|certificate| &certificate.names);
    let others: Vec<_> = earlier.filter(|name| !wanted.contains(name)).take(KEPT_NAMES).cloned().collect();
    names.extend(others);
    names
}

fn texts(names: &[Name]) -> Vec<String> {
    names.iter().map(Name::to_string).collect()
}

fn lapsed(certificate: &Certificate, now: i64) -> String {
    match now < certificate.not_before {
        true => format!("it is valid only from {}", date(certificate.not_before)),
        false => format!("it expired at {}", date(certificate.not_after)),
    }
}

/// A month before its end, somebody has to hear of a certificate that is not ours to renew.
fn expiring(certificate: &Certificate, path: &Path, now: i64) -> Option<Warning> {
    near_end(certificate, path, now, "put in a newer one, and restart the node")
}

/// What is wrong with the certificates that a running engine has read: it does so at its start, and never again.
pub(super) fn ailments(facts: &Facts) -> Result<Vec<Warning>, Fault> {
    let mut ailments = decide(facts)?.warnings;
    if facts.has(CA_KEY) {
        for role in [Role::Server, Role::Client] {
            let found = facts.certificate(role.certificate()).ok();
            let hint = "docker restart NODE: a start renews it, and clients with a copy need the new one";
            ailments.extend(
                found.and_then(|found| near_end(&found, &facts.path(role.certificate()), facts.now, hint)),
            );
        }
    }
    Ok(ailments)
}

fn near_end(certificate: &Certificate, path: &Path, now: i64, hint: &str) -> Option<Warning> {
    const MONTH: i64 = 30 * 24 * 3600;
    let message = format!("{} expires at {}", path.display(), date(certificate.not_after));
    let is_near = certificate.not_after.saturating_sub(now) < MONTH;
    is_near.then(|| Warning::new("tls-expires", message, hint))
}

fn readable_keys(facts: &Facts) -> Vec<Warning> {
    let open = SECRET.iter().filter(|file| facts.files.get(*file).is_some_and(|file| file.mode & 0o004 != 0));
    let warning = |file: &&str| {
        let path = facts.path(file);
        let message = format!("everybody may read the private key {}", path.display());
        Warning::new("tls-key-readable", message, format!("chmod 600 {}", path.display()))
    };
    open.map(warning).collect()
}

fn not_writable(facts: &Facts) -> Fault {
    let hint = "mount it writable; or put certificates of yours into it, all of server/ca.pem, server/cert.pem and server/key.pem, and no ca/key.pem";
    fault::TLS_NOT_WRITTEN
        .cannot("make certificates in", facts.directory.display(), "nothing can be written there")
        .hint(hint)
}

impl Facts {
    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    pub(super) fn has(&self, file: &str) -> bool {
        self.files.contains_key(file)
    }

    pub(super) fn bytes(&self, file: &str) -> Option<&[u8]> {
        self.files.get(file).map(|file| file.bytes.as_slice())
    }

    pub(super) fn certificate(&self, file: &str) -> Result<Certificate, String> {
        Certificate::parse(self.bytes(file).unwrap_or_default())
    }

    pub(super) fn key(&self, file: &str) -> Result<rcgen::KeyPair, String> {
        parse_key(self.bytes(file).unwrap_or_default())
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
