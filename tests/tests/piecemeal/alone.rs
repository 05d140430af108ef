//! Each tool as the only one: it does what it does with the kernel alone, and what it cannot do it names, with what this image can do
//! about it.

use crate::images::{Image, Kind};
use dind_tests::outer::{LIMIT, Network, Node, Share, Volume, docker, inner_image};
use dind_tests::{eventually, unique};
use serde_json::Value;

/// What a run of a tool has printed.
struct Printed {
    status: i32,
    document: Value,
    stderr: String,
}

fn run(image: &Image, options: &[&str], args: &[&str]) -> Printed {
    let ended = docker(&[&["run", "--rm", "--privileged"], options, &[image.0.as_str()], args].concat());
    let document = serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|error| panic!("{args:?}: {error}: {}\n{}", ended.stdout, ended.stderr));
    Printed { status: ended.status, document, stderr: ended.stderr }
}

impl Printed {
    fn ok(self) -> Value {
        assert_eq!((self.status, &self.document["ok"]), (0, &Value::Bool(true)), "{}", self.stderr);
        self.document
    }

    /// The error's code and hint; stderr has them, too.
    fn failed(&self, status: i32, code: &str, hint: &str) {
        let error = &self.document["error"];
        assert_eq!((self.status, error["code"].as_str()), (status, Some(code)), "{}", self.stderr);
        assert!(error["hint"].as_str().unwrap().contains(hint), "{error}");
        assert!(self.stderr.contains(hint), "{}", self.stderr);
    }
}

/// The container's own namespaces: others join its network, and see its state.
struct Holder {
    name: String,
    state: Volume,
}

impl Holder {
    fn start(options: &[&str]) -> Self {
        let (name, state) = (unique("holder"), Volume::new());
        docker(
            &[&["run", "--detach", "--name", &name], options, &[&inner_image(), "sleep", "infinity"]]
                .concat(),
        )
        .ok();
        Self { name, state }
    }

    fn options(&self) -> [String; 4] {
        let [network, volume] = [format!("container:{}", self.name), format!("{}:/run", self.state.name)];
        ["--network".to_owned(), network, "--volume".to_owned(), volume]
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", &self.name]);
    }
}

#[test]
fn dind_storage_prepares_a_volume_and_names_what_a_loop_image_needs() {
    for kind in Kind::ALL {
        let (image, volume) = (Image::alone(kind, "dind-storage"), Volume::new());
        let options = ["--volume", &format!("{}:/var/lib/docker", volume.name)];
        let plan = run(&image, &options, &["plan"]).ok();
        assert_eq!(plan["engine"]["config"]["storage-driver"], "overlay2", "{kind:?}: {plan}");
        for verb in ["apply", "apply", "release", "release"] {
            let document = run(&image, &options, &[verb]).ok();
            assert_eq!(document["mode"], verb, "{kind:?}");
            assert_eq!(document["warnings"], plan["warnings"], "{kind:?}: {document}");
        }
        // On the container's own overlay it takes a loop image, and the program that makes one.
        let on_overlay = ["--env", "DIND_DATA_ROOT=/srv/docker", "--env", "VAR_LIB_DOCKER_SIZE=1"];
        for verb in ["plan", "apply"] {
            let hint = kind.hint("mkfs.ext4", "e2fsprogs", "e2fsprogs");
            run(&image, &on_overlay, &[verb]).failed(78, "helper-missing", &hint);
        }
    }
}

#[test]
fn dind_net_bridges_and_gives_back_and_names_the_iptables_that_is_missing() {
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let image = Image::alone(kind, "dind-net");
        let document = run(&image, &[], &["apply"]).ok();
        assert_eq!(document["result"]["mode"], "default", "{kind:?}");
        let warnings = document["warnings"].as_array().unwrap();
        let missing = warnings.iter().find(|warning| warning["code"] == "iptables-not-found");
        let hint = missing.unwrap_or_else(|| panic!("{kind:?}: {document}"))["hint"].as_str().unwrap();
        assert!(hint.starts_with(&kind.hint("iptables", "iptables", "iptables")), "{kind:?}: {hint}");
        let forced = run(&image, &["--env", "DIND_NET_IPTABLES=legacy"], &["plan"]);
        forced.failed(78, "iptables-missing", &kind.hint("iptables-legacy", "iptables", "iptables"));

        let subnet = format!("10.{}.0.0/16", 244 + number);
        let network = Network::new(&subnet, &subnet.replace("/16", "/24"), &[]);
        let holder = Holder::start(&["--network", &network.name]);
        let joined = holder.options();
        let joined: Vec<_> = joined.iter().map(String::as_str).collect();
        let bridged = [&joined[..], &["--env", "DOCKER_NETWORK_OFFSET=0.0.1.0"]].concat();
        let links = || docker(&["exec", &holder.name, "ip", "-o", "link"]).ok();
        let addresses = || docker(&["exec", &holder.name, "ip", "-o", "address"]).ok();
        let routes = || docker(&["exec", &holder.name, "ip", "route"]).ok();
        let before = (addresses(), routes());
        for (verb, changed) in [("plan", false), ("apply", true), ("apply", false)] {
            let document = run(&image, &bridged, &[verb]).ok();
            assert_eq!(
                (&document["changed"], &document["result"]["mode"]),
                (&changed.into(), &"bridged".into()),
                "{kind:?} {verb}"
            );
            assert_eq!(links().contains("docker0"), verb == "apply", "{kind:?} {verb}: {}", links());
        }
        assert_eq!(run(&image, &joined, &["release"]).ok()["changed"], true, "{kind:?}");
        assert_eq!((addresses(), routes()), before, "{kind:?}: all is given back");
    }
}

#[test]
fn dind_reaper_is_an_init_and_stops_what_runs_on_an_engine() {
    let share = Share::new();
    let engine = ["--env", "DOCKER_DAEMON_ARGS=-H unix:///share/docker.sock", "--volume", &share.volume()];
    let node = Node::start(&engine, &[]);
    node.until_running();
    for kind in Kind::ALL {
        let image = Image::alone(kind, "dind-reaper");
        let init = docker(&["run", "--rm", &image.0, "exec", "--", "/dind-reaper", "--version"]);
        assert_eq!(init.status, 0, "{kind:?}: {}", init.stderr);
        assert!(
            init.stdout.starts_with("dind-reaper "),
            "{kind:?}: its stdout is the command's: {}",
            init.stdout
        );
        if kind != Kind::Scratch {
            let init = docker(&["run", "--rm", &image.0, "exec", "--", "sh", "-c", "exit 7"]);
            assert_eq!(init.status, 7, "{kind:?}: {}", init.stderr);
        }
        let missing = docker(&["run", "--rm", &image.0, "exec", "--", "no-such-program"]);
        assert_eq!(missing.status, 127, "{kind:?}: {}", missing.stderr);
        run(&image, &[], &["stop"]).failed(
            69,
            "engine-unavailable",
            "start dockerd first, or name its socket",
        );

        node.inner_run(
            &["--name", "inner", "--volume", "/share:/share"],
            "trap 'exit 3' TERM; touch /share/up; sleep infinity & wait",
        );
        share.until("up");
        let options = ["--volume", &share.volume(), "--env", "DOCKER_HOST=unix:///share/docker.sock"];
        let plan = run(&image, &options, &["plan"]).ok();
        assert!(plan.to_string().contains("inner"), "{kind:?}: {plan}");
        let stopped = run(&image, &options, &["stop"]).ok();
        let one = &stopped["result"]["stopped"][0];
        assert_eq!(
            (&one["name"], &one["outcome"]),
            (&"inner".into(), &"graceful".into()),
            "{kind:?}: {stopped}"
        );
        assert_eq!(one["exit_code"], 3, "{kind:?}: {stopped}");
        node.inner(&["rm", "inner"]);
        std::fs::remove_file(share.path("up")).unwrap();
    }
}

#[test]
fn dind_launch_prepares_makes_certificates_and_names_the_engine_that_is_missing() {
    for kind in Kind::ALL {
        let image = Image::alone(kind, "dind-launch");
        run(&image, &[], &["plan"]).failed(78, "tool-missing", "put the four dind tools into one directory");
        let four = Image::of(kind, &["dind-launch", "dind-storage", "dind-net", "dind-reaper"]);
        let engine = kind.hint("dockerd", "docker.io", "docker");
        run(&four, &[], &["plan"]).failed(78, "engine-missing", &engine);
        let started = docker(&["run", "--rm", "--privileged", &four.0, "run"]);
        assert_eq!((started.status, started.stdout.as_str()), (125, ""), "{kind:?}: {}", started.stderr);
        assert!(started.stderr.contains(&engine), "{kind:?}: {}", started.stderr);

        let doctor = run(&image, &[], &["doctor"]);
        assert_ne!(doctor.status, 0, "{kind:?}: {}", doctor.document);
        let causes = doctor.document["error"]["causes"].to_string();
        for (program, debian, alpine) in [
            ("dockerd", "docker.io", "docker"),
            ("iptables", "iptables", "iptables"),
            ("mkfs.ext4", "e2fsprogs", "e2fsprogs"),
        ] {
            let hint = kind.hint(program, debian, alpine).replace("install it in the image: ", "");
            assert!(causes.contains(&format!("{program} is not on PATH ({hint})")), "{kind:?}: {causes}");
        }

        let prepared = run(&image, &["--cgroupns=private"], &["prepare"]).ok();
        assert_eq!(
            (&prepared["mode"], &prepared["changed"]),
            (&"prepare".into(), &true.into()),
            "{kind:?}: {prepared}"
        );
        run(&image, &[], &["status"]).failed(69, "not-running", "run it inside the node");

        let certificates = Volume::new();
        let volume = format!("{}:/certs", certificates.name);
        // The certificates name the container's name and addresses.
        let same = ["--hostname", "node", "--network", "none"];
        let options = [&same[..], &["--volume", &volume, "--env", "DOCKER_TLS_CERTDIR=/certs"]].concat();
        for changed in [true, false] {
            let made = run(&image, &options, &["tls", "apply"]).ok();
            assert_eq!(made["changed"], changed, "{kind:?}: {made}");
        }
    }
}

#[test]
fn dind_reaper_watches_beside_a_node_and_stops_at_its_own_signal() {
    let (image, share) = (Image::alone(Kind::Scratch, "dind-reaper"), Share::new());
    let engine = ["--env", "DOCKER_DAEMON_ARGS=-H unix:///share/docker.sock", "--volume", &share.volume()];
    let node = Node::start(&engine, &[]);
    node.until_running();
    let watch = unique("watch");
    let socket = ["--volume", &share.volume(), "--env", "DOCKER_HOST=unix:///share/docker.sock"];
    let options =
        [&["run", "--detach", "--name", &watch], &socket[..], &[image.0.as_str(), "watch"]].concat();
    docker(&options).ok();
    node.inner_run(
        &["--name", "inner", "--volume", "/share:/share"],
        "trap 'exit 0' TERM; touch /share/up; sleep infinity & wait",
    );
    share.until("up");
    docker(&["stop", "--time", "10", &watch]).ok();
    let document: Value = serde_json::from_str(&docker(&["logs", &watch]).stdout).unwrap();
    docker(&["rm", "--force", &watch]).ok();
    assert_eq!(document["result"]["stopped"][0]["outcome"], "graceful", "{document}");
    eventually("the inner container has ended", LIMIT, || {
        (node.inner(&["ps", "--quiet"]).is_empty()).then_some(())
    });
}
