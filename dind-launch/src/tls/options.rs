//! What users decide of TCP and TLS.

use super::name::{self, Name};
use crate::cli::TlsArgs;
use crate::fault;
use dind_contract::cli::given;
use dind_contract::{Fault, Warning, value};
use std::path::{Component, Path, PathBuf};

/// What users decide of TCP and TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Where the certificates lie; without one the engine does not listen with TLS.
    pub directory: Option<PathBuf>,
    /// `DOCKER_TLS_CERTDIR` is set, and empty: docker:dind then listens in clear text.
    pub switched_off: bool,
    /// Names of the engine beside those that are found.
    pub names: Vec<Name>,
    /// Whether the engine may listen in clear text.
    pub insecure_tcp: bool,
    /// Whether inner containers have addresses of the outer network.
    pub bridged: bool,
}

impl TlsOptions {
    /// Reads flags and variables.
    ///
    /// # Errors
    /// [`fault::TLS_DIRECTORY_INVALID`], [`fault::TLS_SAN_INVALID`], [`fault::INSECURE_TCP_INVALID`];
    /// [`fault::SETTING_CONTRADICTS`]: both TLS and clear text are asked for.
    pub fn read(text: &TlsArgs) -> Result<Self, Fault> {
        let directory = given(text.tls_certdir.as_ref()).map(directory).transpose()?;
        let switched_off = directory.is_none() && text.tls_certdir.is_some();
        let names = name::parse(text.tls_san.as_deref().unwrap_or_default())?;
        let insecure_tcp = given(text.insecure_tcp.as_ref()).map_or(Ok(false), insecure_tcp)?;
        if let (Some(directory), true) = (&directory, insecure_tcp) {
            let what = "cannot listen in clear text (DIND_INSECURE_TCP=true)";
            let cause = format!(
                "DOCKER_TLS_CERTDIR is {}: an engine has TLS on all of its TCP sockets, or on none",
                directory.display()
            );
            let hint = "unset DIND_INSECURE_TCP for TLS on port 2376, or DOCKER_TLS_CERTDIR for clear text on port 2375";
            return Err(fault::SETTING_CONTRADICTS.failed(what, cause).hint(hint));
        }
        let bridged = std::env::var_os("DOCKER_NETWORK_OFFSET").is_some_and(|text| !text.is_empty());
        Ok(Self { directory, switched_off, names, insecure_tcp, bridged })
    }

    /// The command names dockerd: its sockets are those of its flags, as docker:dind has it. Returns what is to be said of that.
    pub fn leave_to_flags(&mut self) -> Option<Warning> {
        self.switched_off = false;
        let directory = self.directory.take()?;
        let message = format!(
            "DOCKER_TLS_CERTDIR {} is ignored: the command names dockerd, whose sockets are those of its flags",
            directory.display()
        );
        Some(Warning::new("setting-ignored", message, "give the flags alone, without `dockerd`"))
    }
}

fn directory(text: &str) -> Result<PathBuf, Fault> {
    let path = Path::new(text);
    let is_plain = path.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
    if path.is_absolute() && is_plain && path.parent().is_some() {
        // Without a slash at the end.
        return Ok(path.components().collect());
    }
    let fault = fault::TLS_DIRECTORY_INVALID.invalid(
        "DOCKER_TLS_CERTDIR",
        text,
        "expected an absolute path below /, without `..`",
    );
    Err(fault.hint("set DOCKER_TLS_CERTDIR=/certs, or leave it unset for an engine without TCP"))
}

fn insecure_tcp(text: &str) -> Result<bool, Fault> {
    value::boolean(text).map_err(|cause| {
        let fault = fault::INSECURE_TCP_INVALID.invalid("DIND_INSECURE_TCP", text, cause);
        fault.hint(
            "set DIND_INSECURE_TCP=true only where everybody who reaches port 2375 may be root on the node",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(certdir: Option<&str>, insecure: &str) -> Result<TlsOptions, Fault> {
        let text = |text: &str| Some(text.to_owned());
        TlsOptions::read(&TlsArgs {
            tls_certdir: certdir.and_then(text),
            tls_san: None,
            insecure_tcp: text(insecure),
        })
    }

    #[test]
    fn an_empty_directory_switches_tls_off_and_is_not_the_same_as_none() {
        assert_eq!(read(None, "").unwrap(), TlsOptions::default());
        assert!(read(Some(""), "").unwrap().switched_off);
        let on = read(Some("/certs/"), "false").unwrap();
        assert_eq!((on.directory.as_deref().unwrap().to_str(), on.switched_off), (Some("/certs"), false));
        assert!(read(Some(""), "true").unwrap().insecure_tcp);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (certdir, insecure, code) in [
            (Some("certs"), "", fault::TLS_DIRECTORY_INVALID),
            (Some("/"), "", fault::TLS_DIRECTORY_INVALID),
            (Some("/certs/../etc"), "", fault::TLS_DIRECTORY_INVALID),
            (None, "perhaps", fault::INSECURE_TCP_INVALID),
            (Some("/certs"), "true", fault::SETTING_CONTRADICTS),
        ] {
            let fault = read(certdir, insecure).unwrap_err();
            assert_eq!(fault.code, code, "{certdir:?} {insecure}");
            assert!(!fault.hint.is_empty());
        }
    }
}
