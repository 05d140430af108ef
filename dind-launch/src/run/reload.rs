//! The running node's side of `reload`: the user's `daemon.json` is read and merged anew, and dockerd takes over what it can.
//!
//! dockerd judges the whole file, as on a HUP of its own; what it cannot change while it runs is reported and stays as it was,
//! also where dockerd has to be started again.

use super::state::RunState;
use crate::engine::config;
use crate::engine::dockerd::{self, write_settings};
use crate::engine::readiness::Ping;
use crate::engine::user_settings::UserSettings;
use crate::paths::SOCKET;
use crate::process::{Node, StopReason, WaitOutcome};
use crate::reload::Reloaded;
use crate::status::record::NodeState;
use crate::tls::listen::Listen;
use crate::{TOOL, fault};
use dind_contract::finish::log;
use dind_contract::{Draft, Engine, Fault, StepState, Steps, Warning};
use dind_system::{Root, time_of_day};
use nix::libc::SIGHUP;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// Keys that dockerd takes over while it runs, each with what it is to be when the user's file no longer has it: dockerd
/// leaves some of them as they are then (moby, daemon/reload.go).
const RELOADED: &[(&str, Option<Neutral>)] = &[
    ("allow-nondistributable-artifacts", Some(Neutral::List)),
    ("authorization-plugins", Some(Neutral::List)),
    ("debug", Some(Neutral::False)),
    ("default-runtime", None),
    ("features", None),
    ("insecure-registries", Some(Neutral::List)),
    ("labels", Some(Neutral::List)),
    ("max-concurrent-downloads", None),
    ("max-concurrent-uploads", None),
    ("max-download-attempts", None),
    ("network-diagnostic-port", None),
    ("registry-mirrors", Some(Neutral::List)),
    ("runtimes", None),
    ("shutdown-timeout", None),
];

#[derive(Clone, Copy)]
enum Neutral {
    False,
    List,
}

/// How long dockerd may take to say that it has reloaded.
const LIMIT: Duration = Duration::from_secs(5);

/// Reads the file anew and has dockerd take it over.
///
/// # Errors
/// Those of [`UserSettings::read`]; [`fault::RELOAD_REFUSED`]: dockerd does not take it. Then everything is as before. The
/// signal that asks the node to stop.
pub(super) fn reload(node: &mut Node, state: &mut RunState) -> Result<Draft<Reloaded>, StopReason> {
    let new = UserSettings::read(&Root::default(), &state.options.daemon_args)?;
    // The sockets stay as they are; new ones are refused as at a start, all the same.
    Listen::decide(&state.options.tls, &new, &state.options.daemon_args)?;
    let Difference { kept, result } = difference(&state.user, &new);
    let documents = &state.writer.record.documents;
    let stages = state.options.stages.iter().map(|stage| stage.name.as_str());
    let engines = ["storage", "net"].into_iter().chain(stages);
    let engines = engines.filter_map(|stage| Some(&documents.get(stage)?.engine));
    let engines: Vec<&Engine> = engines.chain([&state.listen.engine]).collect();
    let mut merged = config::merge(&engines, &kept, &state.options.daemon_args)?.config;
    dockerd::place_key(&mut merged);
    let mut steps = Steps::default();
    let file = dockerd::settings_file();
    if result.changed.is_empty() && result.needs_restart.is_empty() {
        steps.push("reload-engine", file.display(), StepState::Skipped);
        // What a flag overrides, say, has not changed, and the user may think that it has.
        return Ok(Draft { result, steps, warnings: new.warnings, ..Draft::default() });
    }
    // dockerd is to see all of the new file, and refuse what it would refuse at a start.
    let mut candidate = merged.clone();
    candidate.extend(new.config.clone());
    let before = state.dockerd_settings.config.clone();
    if let Err(reason) = hand_over(node, state, &candidate) {
        if let StopReason::Signal(_) = reason {
            write_settings(&before)?;
            return Err(reason);
        }
        // Waited for: its word would pass for that of the next reload, whatever becomes of that.
        return match hand_over(node, state, &before) {
            Err(stop @ StopReason::Signal(_)) => Err(stop),
            _ => Err(reason),
        };
    }
    write_settings(&merged)?;
    state.dockerd_settings.config.clone_from(&merged);
    state.user = kept;
    state.writer.record.daemon_json = merged;
    state.writer.enter(NodeState::Running);
    steps.push("reload-engine", file.display(), StepState::Done);
    log(TOOL, "note", format!("daemon.json is reloaded; changed: {}", names(&result.changed)));
    let message = format!("these settings need a restart of the node: {}", names(&result.needs_restart));
    let warning = Warning::new("restart-needed", message, "docker restart NODE");
    let mut warnings = new.warnings;
    warnings.extend((!result.needs_restart.is_empty()).then_some(warning));
    Ok(Draft { result, steps, warnings, ..Draft::default() })
}

fn names(keys: &[String]) -> String {
    if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") }
}

struct Difference {
    /// The new settings, where dockerd takes them over; the old ones elsewhere.
    kept: UserSettings,
    result: Reloaded,
}

fn difference(old: &UserSettings, new: &UserSettings) -> Difference {
    let mut kept = UserSettings { config: new.config.clone(), ..old.clone() };
    let mut result = Reloaded::default();
    let keys: BTreeSet<&String> = old.config.keys().chain(new.config.keys()).collect();
    for key in keys.into_iter().filter(|key| old.config.get(*key) != new.config.get(*key)) {
        let reloaded = RELOADED.iter().find(|(name, _)| name == key);
        match (reloaded, new.config.contains_key(key), old.config.get(key)) {
            (Some(_), true, _) => result.changed.push(key.clone()),
            (Some((_, neutral)), false, old) => {
                let value = match neutral {
                    Some(Neutral::False) => Some(json!(false)),
                    Some(Neutral::List) => Some(json!([])),
                    None => None,
                };
                // It was neutral already: the user's file had it once, before an earlier reload.
                if old != value.as_ref() {
                    result.changed.push(key.clone());
                }
                kept.config.extend(value.map(|value| (key.clone(), value)));
            }
            (None, _, Some(value)) => {
                kept.config.insert(key.clone(), value.clone());
                result.needs_restart.push(key.clone());
            }
            (None, _, None) => {
                kept.config.remove(key);
                result.needs_restart.push(key.clone());
            }
        }
    }
    if old.hosts != new.hosts {
        result.needs_restart.push("hosts".to_owned());
    }
    if old.pid_file != new.pid_file {
        result.needs_restart.push("pidfile".to_owned());
    }
    Difference { kept, result }
}

/// Writes the file, sends dockerd a HUP, and waits for its word: an event for success, an error in its log otherwise.
fn hand_over(node: &mut Node, state: &RunState, config: &Map<String, Value>) -> Result<(), StopReason> {
    let now = time_of_day();
    let since = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
    // {"type":["daemon"],"event":["reload"]}
    let filters = "%7B%22type%22%3A%5B%22daemon%22%5D%2C%22event%22%3A%5B%22reload%22%5D%7D";
    let mut events = Ping::ask(Path::new(SOCKET), &format!("/events?since={since}&filters={filters}"))
        .map_err(|error| refused(&[], &format!("it does not answer: {error}")))?;
    let logged = node.log.lines();
    write_settings(config)?;
    signal(node, state);
    let deadline = Instant::now() + LIMIT;
    loop {
        // What it has logged is looked at from time to time: the log is passed on beside any wait.
        let look = deadline.min(Instant::now() + Duration::from_millis(100));
        let mut closed = false;
        match node.wait(&[events.as_fd()], Some(look)) {
            WaitOutcome::Ready(_) => closed = events.advance(),
            WaitOutcome::StopSignal(number) => return Err(StopReason::Signal(number)),
            WaitOutcome::Exited(_) | WaitOutcome::Deadline => {}
        }
        if events.text().contains("\"reload\"") {
            return Ok(());
        }
        // Others may have errors meanwhile; those of a reload name the configuration (moby, config.Reload, reloadConfig).
        let is_of_reload = |line: &String| line.contains("level=error") && line.contains("config");
        let errors: Vec<String> = node.log.tail_since(logged).into_iter().filter(is_of_reload).collect();
        if !errors.is_empty() {
            return Err(refused(&errors, "its log says why").into());
        }
        if closed || Instant::now() >= deadline {
            return Err(refused(&node.log.tail_since(logged), "it did not confirm the new settings").into());
        }
    }
}

fn signal(node: &Node, state: &RunState) {
    if let Some(dockerd) = &state.dockerd {
        node.signal(dockerd.child, SIGHUP);
    }
}

fn refused(log: &[String], cause: &str) -> Fault {
    let mut fault = fault::RELOAD_REFUSED.failed("dockerd did not take over the new settings", cause);
    fault.causes = log.to_vec();
    fault.hint("nothing has changed; correct daemon.json and reload again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::args::DaemonArgs;

    fn settings(file: &Value) -> UserSettings {
        let file = file.as_object().cloned().unwrap();
        UserSettings::of(file, &DaemonArgs::default(), &|_| None).unwrap()
    }

    #[test]
    fn what_a_running_dockerd_takes_over_changes_and_the_rest_needs_a_restart() {
        let old = settings(&json!({"debug": true, "labels": ["a=b"], "mtu": 1400, "runtimes": {"x": {}}}));
        let new = settings(
            &json!({"labels": ["a=c"], "mtu": 1300, "shutdown-timeout": 5, "log-driver": "none", "hosts": ["unix:///x"]}),
        );
        let Difference { kept, result } = difference(&old, &new);
        assert_eq!(result.changed, ["debug", "labels", "runtimes", "shutdown-timeout"]);
        assert_eq!(result.needs_restart, ["log-driver", "mtu", "hosts"]);
        let expected = json!({"debug": false, "labels": ["a=c"], "mtu": 1400, "shutdown-timeout": 5});
        assert_eq!(Value::Object(kept.config.clone()), expected);
        assert!(kept.hosts.is_empty());
        let again =
            difference(&kept, &settings(&json!({"labels": ["a=c"], "mtu": 1400, "shutdown-timeout": 5})));
        assert_eq!((again.result.changed, again.result.needs_restart), (vec![], Vec::<String>::new()));
    }
}
