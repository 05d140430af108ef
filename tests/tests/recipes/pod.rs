//! A pod as containers of the outer engine, by its manifest: one network, its volumes, its containers in the order that a kubelet
//! starts and stops them in, and its probes.
//!
//! Read in Kubernetes' documentation of pods, sidecars and probes; a real kubelet has not been there.

use crate::with_our_images;
use dind_tests::outer::{Ended, LIMIT, Volume, docker, inner_image, setting};
use dind_tests::{eventually, unique};
use serde_json::Value;
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

/// A running pod; gone with its handle.
pub(crate) struct Pod {
    name: String,
    spec: Value,
    /// The images that stand in for those that cannot be had.
    stand_ins: Vec<(String, String)>,
    volumes: BTreeMap<String, Volume>,
}

impl Pod {
    /// The network and the volumes.
    pub(crate) fn new(spec: &Value, stand_ins: &[(&str, &str)]) -> Self {
        let name = unique("pod");
        let names = spec["volumes"].as_array().unwrap().iter();
        let volumes: BTreeMap<_, _> = names
            .map(|volume| {
                assert!(volume["emptyDir"].is_object(), "{volume}");
                (text(&volume["name"]), Volume::new())
            })
            .collect();
        let mounts: Vec<_> = volumes
            .iter()
            .map(|(name, volume)| format!("--volume={}:/volumes/{name}", volume.name))
            .collect();
        let mounts: Vec<_> = mounts.iter().map(String::as_str).collect();
        let run = ["run", "--detach", "--name", &name];
        docker(&[&run[..], &mounts, &[&inner_image(), "sleep", "infinity"]].concat()).ok();
        // Everybody may write to an `emptyDir`.
        docker(&["exec", &name, "sh", "-c", "chmod 0777 /volumes/*"]).ok();
        let stand_ins = stand_ins.iter().map(|(theirs, ours)| ((*theirs).to_owned(), (*ours).to_owned()));
        Self { name, spec: spec.clone(), stand_ins: stand_ins.collect(), volumes }
    }

    /// The name of one of its containers.
    pub(crate) fn container(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    /// Starts the init containers, each when the one before has ended or, if it is a sidecar, has started; then the others.
    pub(crate) fn start(&self) {
        for init in containers(&self.spec["initContainers"]) {
            self.run(init);
            let name = self.container(&text(&init["name"]));
            if is_sidecar(init) {
                self.until_started(init);
            } else {
                assert_eq!(docker(&["wait", &name]).ok(), "0", "{:?}", docker(&["logs", &name]));
            }
        }
        containers(&self.spec["containers"]).for_each(|container| self.run(container));
    }

    /// The command of a container's probe or hook, as a kubelet runs it.
    pub(crate) fn exec(&self, container: &Value, action: &Value) -> Ended {
        let command = words(&action["exec"]["command"]);
        let name = self.container(&text(&container["name"]));
        docker(&[&["exec", &name], &command.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat())
    }

    /// The deletion of the pod. Every container gets its hook and, if it is none of the sidecars, TERM. Sidecars get TERM in
    /// reverse order, when the hook has ended and everything that started later has, too. Returns the times that the sidecars took.
    pub(crate) fn delete(&self) -> Vec<(String, Duration)> {
        let grace = self.spec["terminationGracePeriodSeconds"].as_u64().expect("a period of its own");
        let deadline = Instant::now() + Duration::from_secs(grace);
        let stop = |name: &str| {
            let left = deadline.saturating_duration_since(Instant::now()).as_secs().max(2).to_string();
            docker(&["stop", "--time", &left, &self.container(name)]).ok();
        };
        let sidecars: Vec<_> =
            containers(&self.spec["initContainers"]).filter(|init| is_sidecar(init)).collect();
        thread::scope(|scope| {
            let hooks = sidecars.iter().map(|sidecar| {
                scope.spawn(|| {
                    let hook = &sidecar["lifecycle"]["preStop"];
                    if hook.is_object() {
                        self.exec(sidecar, hook).ok();
                    }
                })
            });
            let hooks: Vec<_> = hooks.collect();
            containers(&self.spec["containers"]).for_each(|container| stop(&text(&container["name"])));
            hooks.into_iter().for_each(|hook| hook.join().unwrap());
        });
        let times = sidecars.iter().rev().map(|sidecar| {
            let (name, asked) = (text(&sidecar["name"]), Instant::now());
            stop(&name);
            (name, asked.elapsed())
        });
        times.collect()
    }

    /// Waits for the end of a container that ends by itself, and returns its exit status and what it has printed.
    pub(crate) fn ended(&self, name: &str) -> (String, String) {
        let name = self.container(name);
        let status = docker(&["wait", &name]).ok();
        let logs = docker(&["logs", &name]);
        (status, format!("{}\n{}", logs.stdout, logs.stderr))
    }

    /// A file in one of its volumes.
    pub(crate) fn file(&self, volume: &str, name: &str) -> Ended {
        docker(&["exec", &self.name, "cat", &format!("/volumes/{volume}/{name}")])
    }

    fn run(&self, container: &Value) {
        let mut options = vec![
            "run".to_owned(),
            "--detach".to_owned(),
            format!("--name={}", self.container(&text(&container["name"]))),
            format!("--network=container:{}", self.name),
            // The inner image, which the pod would pull.
            format!("--volume={}:/preload:ro", setting("DIND_TEST_PRELOAD")),
            "--env=DIND_PRELOAD=/preload".to_owned(),
        ];
        let mut variables = BTreeMap::new();
        for variable in container["env"].as_array().into_iter().flatten() {
            let (name, value) = (text(&variable["name"]), text(&variable["value"]));
            options.push(format!("--env={name}={value}"));
            variables.insert(name, value);
        }
        for mount in containers(&container["volumeMounts"]) {
            let volume = &self.volumes[&text(&mount["name"])].name;
            // Without a copy of what the image has there.
            options.push(format!("--volume={volume}:{}:nocopy", text(&mount["mountPath"])));
        }
        let security = &container["securityContext"];
        if security["privileged"] == true {
            options.push("--privileged".to_owned());
        }
        if let Some(user) = security["runAsUser"].as_u64() {
            options.push(format!("--user={user}:{}", security["runAsGroup"]));
        }
        // `command` is in the place of the entrypoint, and `args` in that of the command; $(NAME) is a variable of the container.
        let expand = |word: String| {
            variables.iter().fold(word, |word, (name, value)| word.replace(&format!("$({name})"), value))
        };
        let mut command = words(&container["command"]).into_iter().map(&expand);
        options.extend(command.next().map(|program| format!("--entrypoint={program}")));
        options.push(self.image(&text(&container["image"])));
        options.extend(command.chain(words(&container["args"]).into_iter().map(&expand)));
        docker(&options.iter().map(String::as_str).collect::<Vec<_>>()).ok();
    }

    fn image(&self, theirs: &str) -> String {
        let stand_in = self.stand_ins.iter().find(|(name, _)| name == theirs);
        stand_in.map_or_else(|| with_our_images(theirs), |(_, ours)| ours.clone())
    }

    /// Asks a sidecar's startup probe until it succeeds.
    fn until_started(&self, sidecar: &Value) {
        let probe = &sidecar["startupProbe"];
        assert!(probe.is_object(), "nothing says when the sidecar has started: {sidecar}");
        eventually("the startup probe succeeds", LIMIT, || {
            (self.exec(sidecar, probe).status == 0).then_some(())
        });
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let all = containers(&self.spec["containers"]).chain(containers(&self.spec["initContainers"]));
        for container in all {
            let name = self.container(&text(&container["name"]));
            if thread::panicking() {
                eprintln!("log of {name}: {:?}", docker(&["logs", &name]));
            }
            let _ = docker(&["rm", "--force", "--volumes", &name]);
        }
        let _ = docker(&["rm", "--force", "--volumes", &self.name]);
    }
}

fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

fn containers(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(text).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
