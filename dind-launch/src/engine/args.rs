//! `DOCKER_DAEMON_ARGS`: which flags users may pass to dockerd, and what these override.

use super::flags::key_of_flag;
use crate::fault;
use dind_contract::Fault;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

/// Keys of `daemon.json` that the node sets itself, each with the variable to use instead, or the reason why there is none.
const OWNED: &[(&str, &str)] = &[
    ("bip", "the network is dind-net's: use DIND_NET_POOL, or DOCKER_NETWORK_OFFSET for a bridged node"),
    ("bridge", "the network is dind-net's: use DIND_NET_BRIDGE"),
    ("containerd", "the launcher starts containerd itself"),
    ("data-root", "use DIND_DATA_ROOT"),
    ("default-gateway", "the network is dind-net's: use DOCKER_NETWORK_OFFSET for a bridged node"),
    ("exec-root", "the launcher cleans it up after a crash and has to know it"),
    ("fixed-cidr", "the network is dind-net's: use DOCKER_NETWORK_OFFSET and DOCKER_NETWORK_SIZE"),
    ("graph", "use DIND_DATA_ROOT"),
    ("live-restore", "inner containers end with their engine here"),
    ("pidfile", "the launcher cleans it up after a crash and has to know it"),
];

/// dockerd's one-letter flags that take a value, with their long names (`dockerd --help`).
const SHORT: &[(char, &str)] = &[
    ('b', "bridge"),
    ('G', "group"),
    ('g', "graph"),
    ('H', "host"),
    ('l', "log-level"),
    ('p', "pidfile"),
    ('s', "storage-driver"),
];

/// The user's flags for dockerd, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonArgs {
    /// Words to pass on, literally.
    pub words: Vec<String>,
    /// The keys of `daemon.json` that they set: these win over ours.
    pub keys: BTreeSet<String>,
    /// `--config-file`: it is read and merged, and not passed on.
    pub config_file: Option<PathBuf>,
    /// `--host` and `-H`: sockets beside the node's own.
    pub hosts: Vec<String>,
}

/// Splits shell-style words (quotes and backslashes, no expansion) and checks them.
///
/// # Errors
/// [`fault::DAEMON_ARGS_INVALID`]: an open quote, a control character, a missing value; those of [`refuse_owned`] and
/// [`refuse_open_sockets`].
pub fn parse(text: &str) -> Result<DaemonArgs, Fault> {
    let words = shell_words::split(text).map_err(|error| invalid(text, &error.to_string()))?;
    if let Some(word) = words.iter().find(|word| word.chars().any(char::is_control)) {
        return Err(invalid(&word.escape_default().to_string(), "it holds a control character"));
    }
    let mut args = DaemonArgs::default();
    let mut tls = false;
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let Some((name, attached)) = split_flag(&word) else {
            args.words.push(word);
            continue;
        };
        let key = key_of_flag(&name).to_owned();
        refuse_owned(&key, format_args!("`{word}`"))?;
        tls |= key == "tlsverify" && attached.as_deref() != Some("false");
        if key != "hosts" && key != "config-file" {
            args.words.push(word);
            args.keys.insert(key);
            continue;
        }
        let value =
            attached.or_else(|| words.next()).ok_or_else(|| invalid(&word, "its value is missing"))?;
        if key == "hosts" { args.hosts.push(value) } else { args.config_file = Some(value.into()) }
    }
    refuse_open_sockets(&args.hosts, tls)?;
    Ok(args)
}

/// Refuses a setting that the node makes itself. `setting` names the flag, or the key of the user's `daemon.json`.
///
/// # Errors
/// [`fault::DAEMON_ARG_OWNED`].
pub fn refuse_owned(key: &str, setting: impl fmt::Display) -> Result<(), Fault> {
    match OWNED.iter().find(|(owned, _)| *owned == key) {
        Some((_, instead)) => Err(fault::DAEMON_ARG_OWNED
            .failed(format_args!("cannot pass {setting} to dockerd"), "the node sets it itself")
            .hint(*instead)),
        None => Ok(()),
    }
}

/// Refuses TCP sockets without client certificates. Whoever reaches one is root on the node, and in bridged mode every inner
/// container does.
///
/// # Errors
/// [`fault::DAEMON_ARG_UNSAFE`].
pub fn refuse_open_sockets(hosts: &[String], tls: bool) -> Result<(), Fault> {
    let local = |host: &str| ["unix://", "fd://"].iter().any(|scheme| host.starts_with(scheme));
    match hosts.iter().find(|host| !tls && !local(host)) {
        Some(host) => Err(fault::DAEMON_ARG_UNSAFE
            .cannot("listen on", host, "everybody who reaches it would be root")
            .hint("use a unix:// socket, or add --tlsverify with --tlscacert, --tlscert and --tlskey")),
        None => Ok(()),
    }
}

/// The long name of a flag, and the value that is attached to it.
fn split_flag(word: &str) -> Option<(String, Option<String>)> {
    if let Some(long) = word.strip_prefix("--") {
        return match long.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), Some(value.to_owned()))),
            None => Some((long.to_owned(), None)),
        };
    }
    let mut letters = word.strip_prefix('-')?.chars();
    let letter = letters.next()?;
    let long = SHORT
        .iter()
        .find(|(short, _)| *short == letter)
        .map_or_else(|| letter.to_string(), |(_, name)| (*name).to_owned());
    let rest = letters.as_str();
    let value = rest.strip_prefix('=').unwrap_or(rest);
    Some((long, (!value.is_empty()).then(|| value.to_owned())))
}

fn invalid(value: &str, cause: &str) -> Fault {
    let fault = fault::DAEMON_ARGS_INVALID.invalid("DOCKER_DAEMON_ARGS", value, cause);
    fault.hint("write flags as in a shell command, such as DOCKER_DAEMON_ARGS='--debug --label \"a b\"'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_passed_literally() {
        let args = parse("--debug --label 'a b' --label=$(reboot) -l warn\n--mtu=1400").unwrap();
        assert_eq!(
            args.words,
            ["--debug", "--label", "a b", "--label=$(reboot)", "-l", "warn", "--mtu=1400"]
        );
        let keys: Vec<_> = args.keys.iter().map(String::as_str).collect();
        assert_eq!(keys, ["debug", "labels", "log-level", "mtu"]);
    }

    #[test]
    fn hosts_and_the_config_file_are_taken_out() {
        let args =
            parse("-H unix:///run/a.sock --host=unix:///run/b.sock -Hunix:///c --config-file /etc/d.json -D")
                .unwrap();
        assert_eq!(args.hosts, ["unix:///run/a.sock", "unix:///run/b.sock", "unix:///c"]);
        assert_eq!((args.words, args.config_file), (vec!["-D".to_owned()], Some("/etc/d.json".into())));
    }

    #[test]
    fn owned_and_unsafe_settings_are_refused_by_name() {
        let owned = [
            "--bip=10.0.0.1/8",
            "--fixed-cidr 10.0.0.0/8",
            "-b none",
            "-bnone",
            "--bridge=x",
            "-p /x",
            "-g /x",
            "--data-root=/x",
            "--live-restore",
        ];
        for text in owned {
            let fault = parse(text).unwrap_err();
            assert_eq!(fault.code, fault::DAEMON_ARG_OWNED, "{text}");
            assert!(!fault.hint.is_empty());
        }
        for text in ["-H tcp://0.0.0.0:2375", "-H :2375", "--host tcp://[::]:2375 --tlsverify=false"] {
            assert_eq!(parse(text).unwrap_err().code, fault::DAEMON_ARG_UNSAFE, "{text}");
        }
        assert!(parse("-H tcp://0.0.0.0:2376 --tlsverify").is_ok());
        for text in ["--label 'open", "--label \"a\nb\"", "-H"] {
            assert_eq!(parse(text).unwrap_err().code, fault::DAEMON_ARGS_INVALID, "{text}");
        }
    }
}
