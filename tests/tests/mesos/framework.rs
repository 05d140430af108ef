//! The framework of the fixture, in a container on the cluster's network.

use crate::cluster::Cluster;
use dind_tests::outer::{LIMIT, docker, host, inner_image, setting};
use dind_tests::{stretched, unique};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A running framework. Its tasks end with it.
pub(crate) struct Framework {
    name: String,
    /// The beginning of its tasks' ids: other frameworks' tasks may be on the machine.
    prefix: String,
    child: Child,
    stdin: Option<ChildStdin>,
    events: Receiver<Value>,
    /// All that has been heard.
    pub(crate) heard: Vec<Value>,
}

impl Framework {
    pub(crate) fn subscribe(cluster: &Cluster) -> Self {
        let image = setting("DIND_TEST_FRAMEWORK_IMAGE");
        let (name, task) = (unique("framework"), format!("TASK_IMAGE={}", inner_image()));
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", host());
        command.args(["run", "--rm", "--interactive", "--name", &name, "--network", &cluster.network()]);
        command.args(["--env", &task, &image, "mesos-framework", &cluster.master]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, events) = channel();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap_or(json!({"event": line})));
            }
        });
        let prefix = unique("task");
        let mut framework = Self { name, prefix, child, stdin, events, heard: Vec::new() };
        framework.until("it is subscribed", |event| event["event"] == "subscribed");
        framework
    }

    /// The id that Mesos knows a task by.
    pub(crate) fn id(&self, task: &str) -> String {
        format!("{}-{task}", self.prefix)
    }

    /// Whether the outer engine runs, or has run, a container of one of its tasks or executors.
    pub(crate) fn has_tasks_outside(&self) -> bool {
        let later = docker(&["ps", "--all", "--quiet", "--filter", &format!("since={}", self.name)]).ok();
        // A task's id is in its label, that of a custom executor's task in the executor's environment.
        let of_ours = |id| {
            let format = "{{.Config.Labels}} {{.Config.Env}}";
            docker(&["inspect", "--format", format, id]).stdout.contains(&self.prefix)
        };
        later.lines().any(of_ours)
    }

    /// Submits a task; see `tests/mesos/framework.py` for its fields.
    pub(crate) fn submit(&mut self, task: &Value) {
        let mut task = task.clone();
        task["id"] = self.id(task["id"].as_str().unwrap()).into();
        writeln!(self.stdin.as_mut().unwrap(), "{task}").unwrap();
    }

    /// The first event of all that holds, waited for where it has not been heard yet.
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let limit = stretched(LIMIT);
        if let Some(event) = self.heard.iter().find(|event| holds(event)) {
            return event.clone();
        }
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(event) = self.events.recv_timeout(left) else {
                panic!("not within {limit:?}: {what}; heard: {:#?}", self.heard);
            };
            self.heard.push(event.clone());
            if holds(&event) {
                return event;
            }
        }
    }

    /// Waits for a state of a task.
    pub(crate) fn state(&mut self, task: &str, state: &str) -> Value {
        let id = self.id(task);
        self.until(&format!("{task} is {state}"), |event| is(event, &id, state))
    }

    /// Waits for the end of a task, whatever its state; what was heard before `since` (seconds since 1970) does not count.
    pub(crate) fn end_since(&mut self, task: &str, since: f64) -> Value {
        let terminal = ["TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_LOST", "TASK_GONE"];
        let id = self.id(task);
        self.until(&format!("{task} has ended"), |event| {
            event["at"].as_f64() >= Some(since) && terminal.iter().any(|state| is(event, &id, state))
        })
    }

    /// All that has been heard of a task by now.
    pub(crate) fn states(&mut self, task: &str) -> Vec<String> {
        let id = self.id(task);
        self.heard.extend(self.events.try_iter());
        let updates = self.heard.iter().filter(|event| event["event"] == "update");
        let of_task = updates.filter(|event| event["task"] == id.as_str());
        of_task.filter_map(|event| event["state"].as_str().map(str::to_owned)).collect()
    }
}

fn is(event: &Value, task: &str, state: &str) -> bool {
    event["event"] == "update" && event["task"] == task && event["state"] == state
}

impl Drop for Framework {
    fn drop(&mut self) {
        // At the end of its stdin it unregisters and ends.
        drop(self.stdin.take());
        let deadline = Instant::now() + stretched(Duration::from_secs(10));
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = docker(&["rm", "--force", &self.name]);
        let _ = self.child.wait();
    }
}
