//! What the user has set for the engine, in `daemon.json` and in `DOCKER_DAEMON_ARGS`: what goes to dockerd, and what decides
//! something of the node and so has to be known to the tools before they plan anything.
//!
//! What dockerd accepts is accepted, and what it does not know is dockerd's to refuse. Refused are values of settings that the
//! node makes itself, unless they equal its own.

use super::args::DaemonArgs;
use super::decisions::{Environment, STORE_VARIABLE, containerd_feature, decide, is_driver, is_unset};
use super::flags::key_meant_by;
use super::{user_file, version};
use crate::fault;
use crate::paths::{SOCKET, containerd_socket, pid_file};
use dind_contract::{Fault, Warning};
use dind_system::Root;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// dockerd's own default, which it keeps here.
const EXEC_ROOTS: [&str; 2] = ["/var/run/docker", "/run/docker"];

/// The user's settings, checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserSettings {
    /// Keys of `daemon.json`, from the file and from flags that are no words of [`DaemonArgs`].
    pub config: Map<String, Value>,
    /// Sockets beside the node's own. Whether all of them may be there is for [`crate::tls::listen`] to say.
    pub hosts: Vec<String>,
    /// Where dockerd writes its pid.
    pub pid_file: PathBuf,
    /// The same decisions as variables of the sibling tools.
    pub variables: Vec<(&'static str, String)>,
    /// What is set in both places.
    pub warnings: Vec<Warning>,
}

impl UserSettings {
    /// Reads them.
    ///
    /// # Errors
    /// Those of [`user_file::read`] and [`UserSettings::of`].
    pub fn read(root: &Root, args: &DaemonArgs) -> Result<Self, Fault> {
        let (file, ignored) = user_file::read(root, args)?;
        let mut settings = Self::of(file, args, &variable)?;
        settings.warnings.extend(ignored);
        if root.is_host() {
            settings.leave_out_unknown_store(version::has_containerd_store);
        }
        Ok(settings)
    }

    /// An engine that does not know containerd's image store ignores the feature: nothing has to be prepared for it.
    fn leave_out_unknown_store(&mut self, has_store: impl FnOnce() -> bool) {
        let is_feature = |(name, _): &&(&str, String)| *name == STORE_VARIABLE;
        let is_wanted = containerd_feature(&self.config) == Some(true);
        if !is_wanted || !self.variables.iter().any(|it| is_feature(&it)) || has_store() {
            return;
        }
        self.variables.retain(|it| !is_feature(&it));
        self.warnings.push(Warning::new(
            "setting-ignored",
            "the engine ignores the feature `containerd-snapshotter`, which came with 24.0",
            "leave it out, or take an image with a newer engine",
        ));
    }

    /// Brings file, flags and variables together.
    ///
    /// # Errors
    /// [`fault::DAEMON_ARG_OWNED`]; [`fault::SETTING_CONTRADICTS`]: a `DIND_…` variable says
    /// something else.
    pub fn of(
        file: Map<String, Value>,
        args: &DaemonArgs,
        environment: Environment<'_>,
    ) -> Result<Self, Fault> {
        let mut warnings = Vec::new();
        for key in args.settings.keys().chain(&args.keys) {
            let (in_file, flag) = (file.get(key), args.settings.get(key));
            let differs =
                |in_file: &&Value| flag.map_or(!args.agree(key, in_file), |flag| overrides(flag, in_file));
            if let Some(in_file) = in_file.filter(differs) {
                let message = format!("a flag of dockerd overrides `{key}`: daemon.json has {in_file}");
                warnings.push(Warning::new("setting-overridden", message, "set it in one place"));
            }
        }
        for (key, meant) in file.keys().filter_map(|key| Some((key, key_meant_by(key)?))) {
            let message = format!("dockerd ignores `{key}` in daemon.json: the key is `{meant}`");
            warnings.push(Warning::new("setting-ignored", message, "correct it"));
        }
        let mut config = file;
        config.retain(|key, _| !args.keys.contains(key));
        for (key, value) in args.settings.clone() {
            match (config.get_mut(&key), value) {
                (Some(Value::Object(pairs)), Value::Object(more)) => pairs.extend(more),
                (_, value) => drop(config.insert(key, value)),
            }
        }
        // Those of the flags `--http-proxy` and its like.
        if let Some(Value::Object(proxies)) = config.get_mut("proxies") {
            proxies.retain(|key, _| !args.keys.contains(key));
        }
        let mut hosts = take_hosts(&mut config);
        // The same one in both places is one.
        hosts.extend(args.hosts.iter().filter(|host| !hosts.contains(host)).cloned().collect::<Vec<_>>());
        hosts.retain(|host| !is_own_socket(host));
        let pid_file = take_owned(&mut config)?;
        let variables = decide(&mut config, environment)?;
        let driver = environment("DOCKER_DRIVER").filter(|name| !is_driver(name));
        if let Some(name) = driver {
            let message = format!("DOCKER_DRIVER is ignored: there is no storage driver `{name}` here");
            warnings.push(Warning::new(
                "setting-ignored",
                message,
                "leave it out, or set DIND_STORAGE_DRIVER",
            ));
        }
        Ok(Self { config, hosts, pid_file, variables, warnings })
    }

    /// A decision of the user's, by the variable of the tools: what we were given goes before.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        let decided = self.variables.iter().find(|(known, _)| *known == name);
        decided.map(|(_, value)| value.clone()).or_else(|| variable(name))
    }
}

/// Whether a flag sets otherwise what the file sets, too. Of settings with names, such as features, each is one.
fn overrides(flag: &Value, in_file: &Value) -> bool {
    match (flag, in_file) {
        (Value::Object(flags), Value::Object(pairs)) => {
            flags.iter().any(|(name, flag)| pairs.get(name).is_some_and(|value| value != flag))
        }
        _ => flag != in_file,
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Sockets are flags for dockerd, beside ours. A value that is no list of texts stays: dockerd says what is wrong with it.
fn take_hosts(config: &mut Map<String, Value>) -> Vec<String> {
    let Some(Value::Array(list)) = config.get("hosts") else { return Vec::new() };
    let hosts: Option<Vec<String>> = list.iter().map(|host| host.as_str().map(str::to_owned)).collect();
    hosts.inspect(|_| _ = config.remove("hosts")).unwrap_or_default()
}

/// dockerd takes an empty address for its default, and /var/run is /run.
pub(super) fn is_own_socket(host: &str) -> bool {
    let path = host.strip_prefix("unix://").unwrap_or(host);
    path.is_empty()
        || path == SOCKET
        || Path::new("/var").join(path.trim_start_matches('/')) == Path::new(SOCKET)
}

/// Takes out what the node sets itself, where it is the same. Returns the pid file.
fn take_owned(config: &mut Map<String, Value>) -> Result<PathBuf, Fault> {
    let socket = containerd_socket().display().to_string();
    let hint = "the launcher starts containerd itself";
    take(config, "containerd", &|value| value == &json!(socket), hint)?;
    let hint = "the launcher cleans it up after a crash and has to know it";
    take(config, "exec-root", &|value| EXEC_ROOTS.iter().any(|path| value == path), hint)?;
    let hint = "inner containers end with their engine here";
    take(config, "live-restore", &|value| value == &json!(false), hint)?;
    let pid =
        config.get("pidfile").and_then(Value::as_str).filter(|path| !path.is_empty()).map(PathBuf::from);
    if config.get("pidfile").is_none_or(|value| value.is_string() || value.is_null()) {
        config.remove("pidfile");
    }
    Ok(pid.unwrap_or_else(pid_file))
}

fn take(
    config: &mut Map<String, Value>,
    key: &str,
    is_ours: &dyn Fn(&Value) -> bool,
    hint: &str,
) -> Result<(), Fault> {
    match config.remove(key) {
        None => Ok(()),
        Some(value) if is_ours(&value) || is_unset(&value) => Ok(()),
        Some(value) => Err(owned(key, &value, hint)),
    }
}

/// A setting of the node's own that the user wants otherwise.
pub(super) fn owned(key: &str, value: impl std::fmt::Display, hint: &str) -> Fault {
    fault::DAEMON_ARG_OWNED
        .failed(format_args!("cannot pass `{key}` {value} to dockerd"), "the node sets it itself")
        .hint(hint)
}

#[cfg(test)]
#[path = "user_settings_tests.rs"]
mod tests;
