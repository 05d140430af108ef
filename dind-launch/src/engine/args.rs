//! `DOCKER_DAEMON_ARGS`: which flags users may pass to dockerd, and what these override.

use super::flags::key_of_flag;
use crate::fault;
use dind_contract::Fault;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Keys with one value that decide something of the node: their flags become settings, so that the tools hear of them, too.
const DECIDING: &[&str] = &[
    "bip",
    "bridge",
    "containerd",
    "data-root",
    "default-gateway",
    "exec-root",
    "fixed-cidr",
    "graph",
    "mtu",
    "pidfile",
    "storage-driver",
];

/// dockerd's one-letter flags, with their long names (`dockerd --help`).
const SHORT: &[(char, &str)] = &[
    ('D', "debug"),
    ('b', "bridge"),
    ('G', "group"),
    ('g', "graph"),
    ('H', "host"),
    ('l', "log-level"),
    ('p', "pidfile"),
    ('s', "storage-driver"),
];

/// Its one-letter flags without a value: debug, help, version.
const SWITCHES: [char; 3] = ['D', 'h', 'v'];

/// How Go's flags write it (strconv.ParseBool).
const FALSE: [&str; 6] = ["0", "f", "F", "false", "FALSE", "False"];

/// The user's flags for dockerd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonArgs {
    /// Words to pass on, literally.
    pub words: Vec<String>,
    /// The keys of `daemon.json` that these words set: dockerd refuses a setting that is in both places.
    pub keys: BTreeSet<String>,
    /// Flags that decide something of the node, as `daemon.json` would have them. They are not among the words.
    pub settings: Map<String, Value>,
    /// `--config-file`: it is read and merged, and not passed on.
    pub config_file: Option<PathBuf>,
    /// `--host` and `-H`: sockets beside the node's own.
    pub hosts: Vec<String>,
    /// `--tlsverify`.
    pub tls: bool,
    /// Keys of flags that are switched off, as `--tls=false` is.
    pub off: BTreeSet<String>,
}

/// Splits shell-style words: quotes and backslashes work, nothing is expanded.
///
/// # Errors
/// [`fault::DAEMON_ARGS_INVALID`]: an open quote, a control character, a missing value.
pub fn parse(text: &str) -> Result<DaemonArgs, Fault> {
    let words = shell_words::split(text).map_err(|error| invalid(text, &error.to_string()))?;
    if let Some(word) = words.iter().find(|word| word.chars().any(char::is_control)) {
        return Err(invalid(&word.escape_default().to_string(), "it holds a control character"));
    }
    let mut args = DaemonArgs::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let Some((name, attached)) = split_flag(&word) else {
            args.words.push(word);
            continue;
        };
        let key = key_of_flag(&name).to_owned();
        if let Some(switches) = bundled(&word) {
            args.words.push(format!("-{switches}"));
            args.keys.extend(switches.contains('D').then(|| "debug".to_owned()));
        }
        if key == "live-restore" {
            args.settings.insert(key, json!(attached.as_deref() != Some("false")));
            continue;
        }
        if attached.as_deref().is_some_and(|text| FALSE.contains(&text)) {
            args.off.insert(key.clone());
        }
        args.tls |= key == "tlsverify" && !args.off.contains(&key);
        if !matches!(key.as_str(), "hosts" | "config-file" | "dns") && !DECIDING.contains(&key.as_str()) {
            let switches = bundled(&word).map_or(0, str::len);
            args.words.push(if switches == 0 { word } else { format!("-{}", &word[1 + switches..]) });
            args.keys.insert(key);
            continue;
        }
        let value =
            attached.or_else(|| words.next()).ok_or_else(|| invalid(&word, "its value is missing"))?;
        match key.as_str() {
            "hosts" => args.hosts.push(value),
            "config-file" => args.config_file = Some(value.into()),
            "dns" => {
                if let Value::Array(servers) = args.settings.entry(key).or_insert_with(|| json!([])) {
                    servers.push(json!(value));
                }
            }
            "mtu" => {
                let number = value.parse::<u64>().map_or_else(|_| json!(value), |number| json!(number));
                args.settings.insert(key, number);
            }
            _ => drop(args.settings.insert(key, json!(value))),
        }
    }
    Ok(args)
}

/// The switches in a word that stand before another one-letter flag.
fn bundled(word: &str) -> Option<&str> {
    let letters = word.strip_prefix('-').filter(|letters| !letters.starts_with('-'))?;
    let end = letters.find(|letter| !SWITCHES.contains(&letter))?;
    let attached = letters[end..].starts_with('=');
    (end > 0 && !attached).then_some(&letters[..end])
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
    let mut letter = letters.next()?;
    // Letters without a value may stand before another: `-DH tcp://…`.
    for _ in 0..bundled(word).map_or(0, str::len) {
        letter = letters.next()?;
    }
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
        let args = parse("--debug --label 'a b' --label=$(reboot) -l warn\n--userland-proxy=false").unwrap();
        assert_eq!(
            args.words,
            ["--debug", "--label", "a b", "--label=$(reboot)", "-l", "warn", "--userland-proxy=false"]
        );
        let keys: Vec<_> = args.keys.iter().map(String::as_str).collect();
        assert_eq!(keys, ["debug", "labels", "log-level", "userland-proxy"]);
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
    fn what_decides_something_is_a_setting() {
        assert_eq!(parse("-Ds vfs").unwrap().settings["storage-driver"], "vfs");
        let bundle = parse("-Dl warn -DD -Ds vfs").unwrap();
        assert_eq!(bundle.words, ["-D", "-l", "warn", "-DD", "-D"]);
        assert_eq!(parse("-D=true -l warn").unwrap().words, ["-D=true", "-l", "warn"]);
        let text = "-s vfs --data-root=/srv/d -b none --bip 10.9.0.1/16 --mtu=1400 --dns 9.9.9.9 --dns=8.8.8.8 --live-restore=false";
        let args = parse(text).unwrap();
        let expected = json!({
            "bip": "10.9.0.1/16", "bridge": "none", "data-root": "/srv/d", "dns": ["9.9.9.9", "8.8.8.8"],
            "live-restore": false, "mtu": 1400, "storage-driver": "vfs",
        });
        assert_eq!((Value::Object(args.settings), args.words), (expected, Vec::new()));
        assert_eq!(parse("--mtu big").unwrap().settings["mtu"], "big", "dockerd says what is wrong with it");
    }

    #[test]
    fn what_is_no_list_of_flags_is_refused() {
        for text in ["--label 'open", "--label \"a\nb\"", "-H", "--bip"] {
            assert_eq!(parse(text).unwrap_err().code, fault::DAEMON_ARGS_INVALID, "{text}");
        }
    }
}
