//! Checks who may reach the engine over TCP, and whether its certificates last.

use crate::cli::TlsArgs;
use crate::doctor::report::Checks;
use crate::tls::{self, TlsOptions};
use dind_contract::Fault;
use dind_system::Root;

const TCP: &str = "TCP";
const CERTIFICATES: &str = "TLS certificates";

/// Nothing where neither TLS nor clear text is asked for.
pub(super) fn evaluate(root: &Root, checks: &mut Checks) {
    let variable = |name| std::env::var(name).ok();
    let text = TlsArgs {
        tls_certdir: variable("DOCKER_TLS_CERTDIR"),
        tls_san: variable("DOCKER_TLS_SAN"),
        insecure_tcp: variable("DIND_INSECURE_TCP"),
    };
    if let Err(fault) = TlsOptions::read(&text).and_then(|options| evaluate_options(root, &options, checks)) {
        checks.missing(CERTIFICATES, fault.message, &fault.hint);
    }
}

fn evaluate_options(root: &Root, options: &TlsOptions, checks: &mut Checks) -> Result<(), Fault> {
    if options.insecure_tcp {
        let found = "DIND_INSECURE_TCP opens the engine to everybody who reaches port 2375, and they are root on the node";
        checks.degraded(TCP, found, "set DOCKER_TLS_CERTDIR=/certs in its place, and use port 2376");
    }
    let Some(directory) = &options.directory else { return Ok(()) };
    let ailments = tls::ailments(root, options)?;
    for ailment in &ailments {
        checks.degraded(CERTIFICATES, &ailment.message, &ailment.hint);
    }
    if ailments.is_empty() {
        checks.ok(CERTIFICATES, format!("those in {} fit, or a start makes them", directory.display()));
    }
    Ok(())
}
