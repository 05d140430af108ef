//! Nodes without `--privileged`, started by the plain runc with just the flags that `doctor --run-flags` prints; and
//! what is refused when one of them is left out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use dind_tests::outer::{LIMIT, Network, Node, docker, image, inner_image, on_host, unique};
use dind_tests::{bin, eventually};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

const SLEEP: &[&str] = &["sleep", "infinity"];

/// The engine's default runtime may be one that gives less than was asked for.
const RUNC: [&str; 2] = ["--runtime", "runc"];

/// A data root on the container's own overlay, where overlay2 needs a loop image.
const LOOP: [&str; 4] = ["--env", "DIND_DATA_ROOT=/srv/docker", "--env", "VAR_LIB_DOCKER_SIZE=1"];

/// What `doctor --run-flags` says outside of any container, with the profile in the file that it names.
struct RunFlags {
    document: Value,
    folder: TempDir,
}

impl RunFlags {
    fn ask() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = doctor(&folder, &[]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        fs::write(profile(&folder), document["result"]["seccomp_profile"].to_string()).unwrap();
        Self { document, folder }
    }

    /// The flags of one alternative, for the plain runc.
    fn of(&self, name: &str) -> Vec<String> {
        let alternatives = self.document["result"]["run_flags"].as_array().unwrap();
        let found = alternatives.iter().find(|one| one["name"] == name).expect("it is listed");
        let flags = found["flags"].as_array().unwrap().iter();
        let flags = flags.map(|flag| flag.as_str().unwrap().to_owned());
        RUNC.map(str::to_owned).into_iter().chain(flags).collect()
    }

    /// The reduced set without the flag whose value starts so.
    fn without(&self, value: &str) -> Vec<String> {
        let flags = self.of("reduced");
        let kept = flags.chunks(2).filter(|pair| !pair[1].starts_with(value));
        let kept: Vec<_> = kept.flatten().cloned().collect();
        assert_eq!(kept.len() + 2, flags.len(), "{value} is none of {flags:?}");
        kept
    }
}

fn profile(folder: &TempDir) -> PathBuf {
    folder.path().join("seccomp.json")
}

fn doctor(folder: &TempDir, args: &[&str]) -> std::process::Output {
    let mut command = Command::new(bin("dind-launch"));
    command.args(["doctor", "--run-flags", "--seccomp"]).arg(profile(folder)).args(args).output().unwrap()
}

fn start(flags: &[String], options: &[&str]) -> Node {
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(options.iter().copied()).collect();
    Node::of_image(&image(), &flags, SLEEP)
}

/// What `doctor` says in a container with these flags: the exit status and the document.
fn examined(flags: &[String], options: &[&str]) -> (i32, Value) {
    let mut args = vec!["run", "--rm", "--entrypoint", "dind-launch"];
    args.extend(flags.iter().map(String::as_str).chain(options.iter().copied()));
    let image = image();
    let ended = docker(&[&args[..], &[&image, "doctor"]].concat());
    (ended.status, serde_json::from_str(&ended.stdout).expect(&ended.stderr))
}

#[test]
fn the_reduced_set_makes_a_whole_node() {
    let node = start(&RunFlags::ask().of("reduced"), &[]);
    node.until_running();
    // The limits as the limited one sees them itself, whichever version its cgroups have; and that one of them holds.
    let script = "echo hello
        cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max \
            /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null
        for n in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait";
    let limits = ["docker", "run", "--rm", "--memory", "64m", "--pids-limit", "4"];
    let crowd = node.exec(&[&limits[..], &[&inner_image(), "sh", "-c", script]].concat());
    assert_eq!(crowd.stdout, format!("hello\n{}\n4", 64 << 20), "{crowd:?}");
    assert!(crowd.stderr.contains("can't fork"), "the limit holds: {crowd:?}");

    // A port that is published to the node's network, seen from the outer host.
    node.inner_run(
        &["--publish", "8080:80", "--stop-signal", "KILL"],
        "mkdir /w; echo page > /w/index.html; exec httpd -f -p 80 -h /w",
    );
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = docker(&["inspect", "--format", format, &node.name]).ok();
    let url = format!("http://{address}:8080/");
    eventually("the published port answers", LIMIT, || {
        let page = on_host(&["busybox", "wget", "-q", "-O", "-", &url]);
        (page.stdout == "page").then_some(())
    });

    let script =
        "dind-launch status --healthy >/dev/null && dind-launch doctor >/dev/null && dind-launch prepare";
    let again: Value = serde_json::from_str(&node.exec(&["sh", "-c", script]).ok()).unwrap();
    let writable = again["steps"].as_array().unwrap().iter().filter(|step| step["op"] == "remount-writable");
    assert_eq!(writable.count(), 0, "all is writable already: {again}");
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

#[test]
fn the_reduced_set_carries_the_loop_image() {
    let node = start(&RunFlags::ask().of("reduced"), &LOOP);
    node.until_running();
    assert_eq!(node.record()["documents"]["storage"]["result"]["backing"], "loop");
    assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

#[test]
fn the_reduced_set_carries_bridged_mode() {
    let network = Network::new("10.214.0.0/16", "10.214.0.0/24", &[]);
    let options = ["--network", &network.name, "--env", "DOCKER_NETWORK_OFFSET=0.0.1.0"];
    let node = start(&RunFlags::ask().of("reduced"), &options);
    node.until_running();
    let id = node.inner_run(&[], "exec sleep 1000");
    let address = node.inner(&["inspect", "--format", "{{.NetworkSettings.IPAddress}}", &id]);
    assert!(address.starts_with("10.214.1."), "{address}");
    let answer = on_host(&["busybox", "ping", "-c", "1", "-W", "5", &address]);
    assert_eq!(answer.status, 0, "{answer:?}");
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

#[test]
fn what_is_said_to_work_here_does() {
    let told = RunFlags::ask();
    let alternatives = told.document["result"]["run_flags"].as_array().unwrap();
    let works = alternatives.iter().filter(|one| one["works"] == true);
    let names: Vec<_> = works.map(|one| one["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"reduced"), "{alternatives:?}");
    for name in names {
        let (image, flags) = (image(), told.of(name));
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        docker(&[&["run", "--rm", "--entrypoint", "true"], &flags[..], &[&image]].concat()).ok();
    }
}

#[test]
fn a_shell_reads_the_words_as_they_are_listed() {
    let told = RunFlags::ask();
    let output = doctor(&told.folder, &["--output", "flags"]);
    assert_eq!(String::from_utf8(output.stdout.clone()).unwrap().lines().count(), 1);
    let script = "eval \"set -- $1\"; for word; do echo \"$word\"; done";
    let words = String::from_utf8(output.stdout).unwrap();
    let read = Command::new("sh").args(["-c", script, "sh", words.trim()]).output().unwrap();
    let read = String::from_utf8(read.stdout).unwrap();
    let best = told.document["result"]["run_flags"].as_array().unwrap();
    let best = best.iter().find(|one| one["works"] == true).unwrap()["name"].as_str().unwrap();
    assert_eq!(read.lines().collect::<Vec<_>>(), told.of(best)[RUNC.len()..]);
}

/// The commands of a section of a README, for the image under test and a node of a name that it finds in `$node`.
fn commands(readme: &str, first: &str) -> String {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(readme);
    let text = fs::read_to_string(file).unwrap();
    let block = text.split("```sh\n").find(|block| block.starts_with(first)).expect("the README shows it");
    let block = block.split("```").next().unwrap();
    block.replace("--name node", "--name $node").replace("dind:dev", &image())
}

#[test]
fn the_commands_of_the_readmes_start_a_node() {
    let engine = std::env::var("DIND_TEST_DOCKER_HOST").unwrap();
    let tools = bin("dind-launch").parent().unwrap().display().to_string();
    let path = format!("{tools}:{}", std::env::var("PATH").unwrap());
    for (readme, first) in [
        ("README.md", "docker run --rm --entrypoint cat"),
        ("dind-launch/README.md", "docker run --rm --entrypoint cat"),
        ("dind-launch/README.md", "dind-launch doctor --run-flags"),
    ] {
        let node = Node::named(unique("readme"));
        let folder = tempfile::tempdir().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-euc", &commands(readme, first)]).current_dir(folder.path());
        shell.env("DOCKER_HOST", &engine).env("PATH", &path).env("node", &node.name);
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{readme}: {output:?}");
        node.until_running();
        assert_eq!(node.stop().0, 0, "the engine is the service: {}", node.log());
    }
}

#[test]
fn the_image_carries_the_profile_of_the_program() {
    let file = "/usr/share/dind/seccomp.json";
    let text = docker(&["run", "--rm", "--entrypoint", "cat", &image(), file]).ok();
    let carried: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(carried, RunFlags::ask().document["result"]["seccomp_profile"]);
}

/// What the engine itself makes in a container's layer, for its volumes.
const MOUNT_POINTS: [&str; 5] =
    ["A /preload", "C /var", "C /var/lib", "A /var/lib/docker", "A /var/lib/mesos"];

/// Each piece that is left out is named with its flag, by `doctor` and by `run`, and no other is.
#[test]
fn every_missing_piece_is_named_before_anything_changes() {
    let told = RunFlags::ask();
    let none = || RUNC.map(str::to_owned).to_vec();
    let loops = &LOOP[..];
    for (flags, options, causes) in [
        (told.without("SYS_ADMIN"), &[][..], &["--cap-add SYS_ADMIN", "cgroup mounts are read-only"][..]),
        (told.without("NET_ADMIN"), &[], &["--cap-add NET_ADMIN"]),
        (told.without("seccomp="), &[], &["keyctl, pivot_root, add_key, request_key"]),
        (told.without("b 7:*"), loops, &["--device-cgroup-rule 'b 7:* rwm'"]),
        (told.without("/dev/loop-control"), loops, &["--device /dev/loop-control"]),
        (told.of("reduced"), &["--user", "1000"], &["--user 0"]),
        (told.of("reduced"), &["--cap-drop", "MKNOD"], &["--cap-add MKNOD"]),
        (
            none(),
            loops,
            &[
                "--cap-add SYS_ADMIN",
                "--cap-add NET_ADMIN",
                "keyctl, add_key, request_key",
                "cgroup mounts are read-only",
                "--device /dev/loop-control",
                "--device-cgroup-rule 'b 7:* rwm'",
            ],
        ),
    ] {
        let (status, document) = examined(&flags, options);
        assert_eq!(status, 77, "{flags:?} {options:?}: {document}");
        let error = &document["error"];
        assert_eq!(error["code"], "node-cannot-work");
        let lines: Vec<_> =
            error["causes"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        for cause in causes {
            assert!(lines.iter().any(|line| line.contains(cause)), "{cause}: {lines:?}");
        }
        let missing: Vec<_> = lines.iter().filter(|line| !line.starts_with("also: ")).collect();
        let checks = error["details"]["checks"].as_array().unwrap();
        let listed = checks.iter().filter(|check| check["verdict"] == "missing").count();
        assert_eq!(listed, missing.len(), "{checks:?}");

        let node = start(&flags, options);
        assert_eq!(node.exit_status(), 125, "{flags:?} {options:?}: {}", node.log());
        let log = node.log();
        for line in missing {
            assert!(log.contains(&format!("dind-launch: cause: {line}\n")), "{line}: {log}");
        }
        assert_eq!(log.matches(": error: ").count(), 1, "{log}");
        let changed = docker(&["diff", &node.name]).ok();
        let changed: Vec<_> = changed.lines().filter(|line| !MOUNT_POINTS.contains(line)).collect();
        assert!(changed.is_empty(), "{flags:?} {options:?}: {changed:?}");
    }
}

#[test]
fn what_a_node_can_do_without_is_a_warning() {
    let told = RunFlags::ask();
    let (status, document) = examined(&told.without("b 7:*"), &[]);
    assert_eq!((status, &document["ok"]), (0, &true.into()), "{document}");
    let warnings = document["warnings"].as_array().unwrap();
    assert!(
        warnings.iter().any(|warning| warning["hint"].as_str().unwrap().contains("--device-cgroup-rule")),
        "{warnings:?}"
    );
}

#[test]
fn an_engine_that_is_too_old_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("dockerd");
    fs::write(&program, "#!/bin/sh\necho Docker version 19.03.15, build 0\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let volume = format!("{}:/usr/local/bin/dockerd:ro", program.display());
    let (status, document) = examined(&RunFlags::ask().of("reduced"), &["--volume", &volume]);
    assert_eq!(status, 77, "{document}");
    let cause = "engine 19.03.15 is older than 20.10 (install Docker Engine 20.10 or newer in the image)";
    assert_eq!(document["error"]["causes"][0], cause, "{document}");
}
