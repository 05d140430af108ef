//! Flags for dockerd, in `DOCKER_DAEMON_ARGS` and in the command: which of them users may pass, and what these override.

use super::decisions::{ADDRESS_POOLS as POOLS, FEATURES};
use super::flags::key_of_flag;
use crate::fault;
use dind_contract::Fault;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Keys with one value that decide something of the node: their flags become settings, so that the tools hear of them, too.
const DECIDING: &[&str] = &[
    "bip",
    "bridge",
    "bridge-accept-fwmark",
    "containerd",
    "data-root",
    "default-gateway",
    "exec-root",
    "firewall-backend",
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
const TRUE: [&str; 6] = ["1", "t", "T", "true", "TRUE", "True"];

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
    /// `--tlsverify`, if it is there.
    pub tls: Option<bool>,
    /// Keys of flags that are switched off, as `--tls=false` is.
    pub off: BTreeSet<String>,
    /// What the words give each key, in their order.
    given: BTreeMap<String, Vec<Given>>,
}

/// A flag among the words. Which of the two is its value is up to its kind: a switch takes no word.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Given {
    attached: Option<String>,
    next: Option<String>,
}

impl Given {
    fn is(&self, value: &str, is_switch: bool) -> bool {
        match (&self.attached, &self.next) {
            (Some(attached), _) => attached == value,
            (None, _) if is_switch => value == "true",
            (None, next) => next.as_deref() == Some(value),
        }
    }
}

impl DaemonArgs {
    fn give(&mut self, key: &str, attached: Option<String>, next: Option<String>) {
        self.keys.insert(key.to_owned());
        self.given.entry(key.to_owned()).or_default().push(Given { attached, next });
    }

    fn append(&mut self, key: String, item: Value) {
        if let Value::Array(list) = self.settings.entry(key).or_insert_with(|| json!([])) {
            list.push(item);
        }
    }

    /// `cdi` and `cdi=true` as `daemon.json` has them. dockerd refuses another value.
    fn switch(&mut self, key: String, text: &str) {
        let (name, value) = text.split_once('=').unwrap_or((text, "true"));
        let value = match value {
            value if FALSE.contains(&value) => json!(false),
            value if TRUE.contains(&value) => json!(true),
            value => json!(value),
        };
        if let Value::Object(pairs) = self.settings.entry(key).or_insert_with(|| json!({})) {
            pairs.insert(name.to_owned(), value);
        }
    }

    /// Whether the words set the key to what `value` sets in `daemon.json`.
    #[must_use]
    pub fn agree(&self, key: &str, value: &Value) -> bool {
        let given = self.given.get(key).map_or(&[][..], Vec::as_slice);
        let values = dind_contract::flags::values(value);
        let is = |one: &Given, text: &String| one.is(text, value.is_boolean());
        given.len() == values.len()
            && match value {
                // Options of a driver, say, have no order.
                Value::Object(_) => values.iter().all(|text| given.iter().any(|one| is(one, text))),
                _ => given.iter().zip(&values).all(|(one, text)| is(one, text)),
            }
    }

    /// Adds flags that come later: what has one value is the later one's, what may be repeated is of both.
    #[must_use]
    pub fn then(mut self, later: Self) -> Self {
        self.words.extend(later.words);
        self.off.retain(|key| !later.keys.contains(key));
        self.off.extend(later.off);
        self.keys.extend(later.keys);
        for (key, given) in later.given {
            self.given.entry(key).or_default().extend(given);
        }
        for (key, value) in later.settings {
            match (self.settings.get_mut(&key), value) {
                (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
                (Some(Value::Object(pairs)), Value::Object(more)) => pairs.extend(more),
                (_, value) => drop(self.settings.insert(key, value)),
            }
        }
        self.config_file = later.config_file.or(self.config_file);
        self.hosts.extend(later.hosts);
        self.tls = later.tls.or(self.tls);
        self
    }
}

/// Splits shell-style words: quotes and backslashes work, nothing is expanded.
///
/// # Errors
/// [`fault::DAEMON_ARGS_INVALID`]: an open quote, a control character, a missing value.
pub fn parse(text: &str) -> Result<DaemonArgs, Fault> {
    let words = shell_words::split(text).map_err(|error| of_variable(text, &error.to_string()))?;
    read(words, of_variable)
}

/// The same for flags that are words already: those of the command.
///
/// # Errors
/// [`fault::DAEMON_ARGS_INVALID`]: a control character, a missing value.
pub fn of_command(words: &[String]) -> Result<DaemonArgs, Fault> {
    read(words.to_vec(), |word, cause| {
        let fault = fault::DAEMON_ARGS_INVALID.cannot("pass the flag", word, cause);
        fault.hint("write it as for dockerd, such as `--bip 10.1.0.1/24`; `dockerd --help` lists all flags")
    })
}

fn read(words: Vec<String>, invalid: fn(&str, &str) -> Fault) -> Result<DaemonArgs, Fault> {
    if let Some(word) = words.iter().find(|word| word.chars().any(char::is_control)) {
        return Err(invalid(&word.escape_default().to_string(), "it holds a control character"));
    }
    let mut args = DaemonArgs::default();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let Some((name, attached)) = split_flag(&word) else {
            args.words.push(word);
            continue;
        };
        let key = key_of_flag(&name).to_owned();
        if let Some(switches) = bundled(&word) {
            args.words.push(format!("-{switches}"));
            if switches.contains('D') {
                args.give("debug", None, None);
            }
        }
        if key == "live-restore" {
            args.settings.insert(key, json!(!is_false(attached.as_deref())));
            continue;
        }
        if is_false(attached.as_deref()) {
            args.off.insert(key.clone());
        } else {
            args.off.remove(&key);
        }
        if key == "tlsverify" {
            args.tls = Some(!args.off.contains(&key));
        }
        if !matches!(key.as_str(), "hosts" | "config-file" | "dns" | FEATURES | POOLS)
            && !DECIDING.contains(&key.as_str())
        {
            let switches = bundled(&word).map_or(0, str::len);
            args.words.push(if switches == 0 { word } else { format!("-{}", &word[1 + switches..]) });
            args.give(&key, attached, words.peek().cloned());
            continue;
        }
        let value =
            attached.or_else(|| words.next()).ok_or_else(|| invalid(&word, "its value is missing"))?;
        match key.as_str() {
            "hosts" => args.hosts.push(value),
            "config-file" => args.config_file = Some(value.into()),
            "dns" => args.append(key, json!(value)),
            POOLS => args.append(key, pool(&value)),
            FEATURES => args.switch(key, &value),
            "mtu" => {
                let number = value.parse::<u64>().map_or_else(|_| json!(value), |number| json!(number));
                args.settings.insert(key, number);
            }
            _ => drop(args.settings.insert(key, json!(value))),
        }
    }
    Ok(args)
}

/// `base=10.201.0.0/16,size=24` as `daemon.json` has it. What is written otherwise stays a text: dockerd says what it expected.
fn pool(text: &str) -> Value {
    let pair = |part: &str| match part.split_once('=')? {
        ("size", size) => Some(("size".to_owned(), json!(size.parse::<u64>().ok()?))),
        (name, value) => Some((name.to_owned(), json!(value))),
    };
    let pairs: Option<Map<String, Value>> = text.split(',').map(pair).collect();
    pairs.map_or_else(|| json!(text), Value::Object)
}

/// Whether the value of a switch is false.
fn is_false(value: Option<&str>) -> bool {
    value.is_some_and(|text| FALSE.contains(&text))
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

fn of_variable(value: &str, cause: &str) -> Fault {
    let fault = fault::DAEMON_ARGS_INVALID.invalid("DOCKER_DAEMON_ARGS", value, cause);
    fault.hint("write flags as in a shell command, such as DOCKER_DAEMON_ARGS='--debug --label \"a b\"'")
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
