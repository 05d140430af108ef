//! Which TCP sockets dockerd gets, and with which certificates. Pure: of the user's settings alone.
//!
//! As with docker:dind, what users set themselves wins. Without client certificates whoever reaches a socket is root on the node,
//! and so is every inner container, to which the node's own address on its bridge is near: it takes a word of its own.

use super::layout;
use super::options::TlsOptions;
use crate::engine::args::DaemonArgs;
use crate::engine::user_settings::UserSettings;
use crate::fault;
use dind_contract::{Engine, Fault, Warning};
use serde_json::Value;

/// docker:dind's socket with TLS.
pub(super) const TLS_HOST: &str = "tcp://0.0.0.0:2376";
/// The one without.
const CLEAR_HOST: &str = "tcp://0.0.0.0:2375";

/// The keys of `daemon.json` that are about TLS; their flags have the same names.
const KEYS: [&str; 5] = ["tls", "tlscacert", "tlscert", "tlskey", "tlsverify"];

/// What dockerd listens on beside the node's own socket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listen {
    /// Values of `--host`.
    pub hosts: Vec<String>,
    /// The settings for them.
    pub engine: Engine,
    /// What is open, and what is not.
    pub warnings: Vec<Warning>,
}

impl Listen {
    /// Decides it.
    ///
    /// # Errors
    /// [`fault::DAEMON_ARG_UNSAFE`]: a TCP socket without client certificates that nobody has allowed, or any in a bridged node.
    /// [`fault::SETTING_CONTRADICTS`]: the user's settings switch off what `DOCKER_TLS_CERTDIR` asks for.
    pub fn decide(options: &TlsOptions, user: &UserSettings, args: &DaemonArgs) -> Result<Self, Fault> {
        let mut listen = Self { hosts: user.hosts.clone(), ..Self::default() };
        let is_set = |key: &str| user.config.contains_key(key) || args.keys.contains(key);
        if let Some(directory) = &options.directory {
            if let Some(key) = switched_off(user, args) {
                return Err(contradicted(key, &directory.display().to_string()));
            }
            listen.add(TLS_HOST);
            listen.engine = layout::engine_settings(directory);
            return Ok(listen);
        }
        let in_file = || user.config.get("tlsverify") == Some(&Value::Bool(true));
        let verified = args.tls.unwrap_or_else(in_file);
        if options.insecure_tcp && !verified {
            listen.add(CLEAR_HOST);
            // Said aloud: engines delay their start where nothing is said of it.
            if !KEYS.iter().any(|key| is_set(key)) {
                listen.engine.set("tls", false);
            }
        }
        let open: Vec<_> = listen.hosts.iter().filter(|host| !verified && !is_local(host)).cloned().collect();
        let Some(first) = open.first() else {
            listen.warnings.extend(options.switched_off.then(closed));
            return Ok(listen);
        };
        if options.bridged {
            let cause =
                "in a bridged node every container of the outer network that reaches it would be root here";
            let hint = "use TLS: DOCKER_TLS_CERTDIR=/certs opens port 2376, for clients with a certificate";
            return Err(fault::DAEMON_ARG_UNSAFE.cannot("listen on", first, cause).hint(hint));
        }
        if !options.insecure_tcp {
            return Err(fault::DAEMON_ARG_UNSAFE
                .cannot("listen on", first, "everybody who reaches it would be root")
                .hint(
                    "use TLS: DOCKER_TLS_CERTDIR=/certs opens port 2376, for clients with a certificate; or set \
                     DIND_INSECURE_TCP=true where nobody else reaches the node",
                ));
        }
        listen.warnings.push(insecure(&open));
        Ok(listen)
    }

    /// The same without any settings of the user's for dockerd: a shell script has its own.
    ///
    /// # Errors
    /// As [`Listen::decide`].
    pub fn for_script(options: &TlsOptions) -> Result<Self, Fault> {
        Self::decide(options, &UserSettings::default(), &DaemonArgs::default())
    }

    /// Adds a socket, unless the user has one on the same port.
    fn add(&mut self, host: &str) {
        if !self.hosts.iter().any(|other| port(other) == port(host)) {
            self.hosts.push(host.to_owned());
        }
    }
}

/// The user's setting that switches off TLS or the check of client certificates.
fn switched_off(user: &UserSettings, args: &DaemonArgs) -> Option<&'static str> {
    let off = |key: &&str| user.config.get(*key) == Some(&Value::Bool(false)) || args.off.contains(*key);
    ["tlsverify", "tls"].iter().find(|key| off(key)).copied()
}

fn contradicted(key: &str, directory: &str) -> Fault {
    fault::SETTING_CONTRADICTS
        .failed(
            format_args!("cannot use `{key}` false for the engine"),
            format_args!("DOCKER_TLS_CERTDIR is {directory}, which asks for TLS with client certificates"),
        )
        .hint(format!("remove `{key}`; or set DOCKER_TLS_CERTDIR= and DIND_INSECURE_TCP=true for clear text"))
}

/// dockerd takes an address without a scheme for TCP.
fn is_local(host: &str) -> bool {
    host.is_empty() || ["unix:", "fd:"].iter().any(|scheme| host.starts_with(scheme))
}

/// The port of a TCP socket; without one it is that of the default.
fn port(host: &str) -> Option<&str> {
    if is_local(host) {
        return None;
    }
    let address = host.split_once("://").map_or(host, |(_, address)| address);
    let port = address.rsplit_once(':').map(|(_, port)| port).filter(|port| port.parse::<u16>().is_ok());
    Some(port.unwrap_or("2375"))
}

fn insecure(hosts: &[String]) -> Warning {
    let message = format!(
        "the engine listens on {} without TLS: everybody who reaches it is root on this node, inner containers too",
        hosts.join(", ")
    );
    let hint = "set DOCKER_TLS_CERTDIR=/certs in place of DIND_INSECURE_TCP, and give clients the files in /certs/client";
    Warning::new("tcp-insecure", message, hint)
}

fn closed() -> Warning {
    let message = "DOCKER_TLS_CERTDIR is empty, so the engine does not listen on TCP";
    let hint = "DIND_INSECURE_TCP=true opens port 2375 in clear text, as docker:dind does; DOCKER_TLS_CERTDIR=/certs opens 2376 with TLS";
    Warning::new("tcp-closed", message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::args;
    use serde_json::json;

    /// What is decided of a `daemon.json`, flags, `DOCKER_TLS_CERTDIR` and `DIND_INSECURE_TCP`.
    fn decide(
        file: Value,
        flags: &str,
        certdir: Option<&str>,
        insecure: bool,
        bridged: bool,
    ) -> Result<Listen, Fault> {
        let args = args::parse(flags).unwrap();
        let user = UserSettings::of(file.as_object().cloned().unwrap(), &args, &|_| None).unwrap();
        let directory = certdir.filter(|text| !text.is_empty()).map(Into::into);
        let switched_off = certdir == Some("");
        let options =
            TlsOptions { directory, switched_off, names: Vec::new(), insecure_tcp: insecure, bridged };
        Listen::decide(&options, &user, &args)
    }

    #[test]
    fn certificates_open_a_socket_for_those_who_have_one() {
        let listen = decide(json!({}), "-H unix:///run/a.sock", Some("/certs"), false, true).unwrap();
        assert_eq!(listen.hosts, ["unix:///run/a.sock", TLS_HOST]);
        assert_eq!(
            Value::Object(listen.engine.config),
            json!({
                "tlsverify": true, "tlscacert": "/certs/server/ca.pem",
                "tlscert": "/certs/server/cert.pem", "tlskey": "/certs/server/key.pem",
            })
        );
        // With certificates for all, a second port is no danger; and the user's own on the same port wins.
        let listen =
            decide(json!({"hosts": ["tcp://127.0.0.1:2376"]}), "-H :2375", Some("/certs"), false, false);
        assert_eq!(listen.unwrap().hosts, ["tcp://127.0.0.1:2376", ":2375"]);
    }

    #[test]
    fn clear_text_takes_a_word_of_its_own_and_never_comes_to_a_bridged_node() {
        let listen = decide(json!({}), "", None, true, false).unwrap();
        assert_eq!(
            (listen.hosts.as_slice(), listen.warnings[0].code.as_str()),
            (&[CLEAR_HOST.to_owned()][..], "tcp-insecure")
        );
        assert_eq!(Value::Object(listen.engine.config), json!({"tls": false}));
        // The flags of GitLab's executor for Kubernetes.
        let flags = "--host=tcp://0.0.0.0:2375 --tls=false";
        let listen = decide(json!({}), flags, Some(""), true, false).unwrap();
        assert_eq!((listen.hosts, listen.engine.config.len()), (vec![CLEAR_HOST.to_owned()], 0));
        for (flags, insecure, bridged) in [(flags, false, false), (flags, true, true), ("", true, true)] {
            let fault = decide(json!({}), flags, Some(""), insecure, bridged).unwrap_err();
            assert_eq!(fault.code, fault::DAEMON_ARG_UNSAFE, "{flags} {insecure} {bridged}");
            assert!(fault.hint.contains("DOCKER_TLS_CERTDIR=/certs"), "{}", fault.hint);
            assert_eq!(fault.hint.contains("DIND_INSECURE_TCP=true"), !bridged, "{}", fault.hint);
        }
    }

    #[test]
    fn nothing_is_opened_unasked_and_that_is_said_where_docker_dind_would() {
        assert_eq!(decide(json!({}), "", None, false, false).unwrap(), Listen::default());
        let listen = decide(json!({}), "", Some(""), false, false).unwrap();
        assert_eq!((listen.hosts.len(), listen.warnings[0].code.as_str()), (0, "tcp-closed"));
        assert!(listen.warnings[0].hint.contains("DIND_INSECURE_TCP=true"));
    }

    #[test]
    fn open_sockets_are_refused_however_they_are_written() {
        for (flags, refused) in [
            ("-H tcp://0.0.0.0:2375", true),
            ("-H :2375", true),
            ("-DH tcp://0.0.0.0:2375", true),
            ("-DHtcp://0.0.0.0:2375", true),
            ("--host tcp://[::]:2375 --tlsverify=false", true),
            ("--host tcp://[::]:2375 --tlsverify=0", true),
            ("--tlsverify --host tcp://[::]:2375 --tlsverify=F", true),
            ("--host tcp://[::]:2375 --tls", true),
            ("-H tcp://0.0.0.0:2376 --tlsverify", false),
            ("-H fd:// -H unix:///run/a.sock", false),
        ] {
            assert_eq!(decide(json!({}), flags, None, false, false).is_err(), refused, "{flags}");
        }
        assert!(decide(json!({"hosts": ["tcp://0.0.0.0:2375"]}), "", None, false, false).is_err());
        assert!(decide(json!({"tlsverify": true}), "-H tcp://0.0.0.0:2376", None, false, false).is_ok());
    }

    #[test]
    fn settings_that_switch_off_what_the_directory_asks_for_are_refused() {
        for (file, flags) in [
            (json!({"tlsverify": false}), ""),
            (json!({"tls": false}), ""),
            (json!({}), "--tlsverify=false"),
            (json!({}), "--tls=0"),
        ] {
            let fault = decide(file, flags, Some("/certs"), false, false).unwrap_err();
            assert_eq!(fault.code, fault::SETTING_CONTRADICTS, "{flags}");
        }
        assert!(decide(json!({"tlscert": "/mine.pem"}), "--tlsverify", Some("/certs"), false, false).is_ok());
    }
}
