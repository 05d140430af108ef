//! A node whose engine comes from an archive of static binaries in place of the distribution's packages. The archive is laid out as
//! Docker's are, and packed from the programs of the image under test; the base is that image without them.

use dind_tests::outer::{LIMIT, Node, SLEEP, docker, host, image, inner_image, setting};
use dind_tests::{eventually, scratch, unique};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

/// What is in such an archive, and where a distribution may have it, or an image of another archive.
const PROGRAMS: &str = "containerd containerd-shim-runc-v2 ctr docker docker-init docker-proxy dockerd runc";
const PLACES: &str = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/libexec/docker:/usr/lib/docker";

/// A plugin of the docker program (docker/cli, cli-plugins/metadata).
const PLUGIN: &str = "#!/bin/sh
case $1 in
docker-cli-plugin-metadata) echo '{\"SchemaVersion\": \"0.1.0\", \"Vendor\": \"test\", \"Version\": \"9.8.7\"}' ;;
*) echo \"compose of the archive: $*\" ;;
esac
";

/// An image that is removed with its handle.
struct Image(String);

impl Drop for Image {
    fn drop(&mut self) {
        let _ = docker(&["rmi", "--force", &self.0]);
    }
}

/// Packs the programs of the image under test.
fn pack(archive: &Path) {
    let script = format!(
        "PATH={PLACES}; mkdir /tmp/docker; for name in {PROGRAMS}; do cp -L \"$(command -v $name)\" /tmp/docker/; done; \
         tar --create --gzip --file - --directory /tmp docker"
    );
    let mut command = Command::new("docker");
    command.env("DOCKER_HOST", host()).args(["run", "--rm", "--entrypoint", "sh", &image(), "-euc", &script]);
    assert!(command.stdout(File::create(archive).unwrap()).status().unwrap().success());
}

/// The image under test without its engine. The libraries of its programs stay, for they are not static.
fn base_without_engine() -> Image {
    let directory = scratch();
    let script = format!(
        "for place in $(echo {PLACES} | tr : ' '); do for name in {PROGRAMS}; do rm -f $place/$name; done; done"
    );
    let recipe = format!("FROM {}\nUSER root\nRUN {script}\n", image());
    fs::write(directory.path().join("Dockerfile"), recipe).unwrap();
    let tag = unique("base");
    docker(&["build", "--quiet", "--tag", &tag, directory.path().to_str().unwrap()]).ok();
    Image(tag)
}

fn xtask(args: &[&str]) -> std::process::Output {
    Command::new(setting("DIND_TEST_XTASK")).arg("image").args(args).output().unwrap()
}

#[test]
fn a_node_of_an_archive_of_static_binaries_runs_what_is_in_it() {
    let directory = scratch();
    let archive = directory.path().join("docker-20.10.tgz");
    let file = archive.to_str().unwrap();
    pack(&archive);
    fs::write(directory.path().join("docker-compose"), PLUGIN).unwrap();
    let base = base_without_engine();
    let made = Image(unique("archive"));
    let built = xtask(&["--base", &base.0, "--engine-archive", file, "--tag", &made.0]);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let node = Node::of_image(&made.0, &["--privileged"], SLEEP);
    node.until_running();
    let exe = |pid: &str| node.exec(&["readlink", &format!("/proc/{pid}/exe")]).ok();
    let record = node.record();
    for (daemon, program) in [("engine_pid", "dockerd"), ("containerd_pid", "containerd")] {
        assert_eq!(exe(&record[daemon].to_string()), format!("/usr/local/bin/{program}"));
    }
    assert_eq!(node.exec(&["docker", "compose", "up"]).ok(), "compose of the archive: compose up");

    // A container with an init of the engine's and limits; a name and a published port on a network of the user's.
    let limits = ["--init", "--memory", "32m", "--pids-limit", "50"];
    let shown = node.exec(&[&["docker", "run", "--rm"], &limits[..], &[&inner_image(), "ps"]].concat()).ok();
    assert!(shown.contains("docker-init"), "{shown}");
    node.inner(&["network", "create", "users"]);
    let server = "echo hello >/index.html; exec httpd -f -p 80";
    let options = ["--network", "users", "--name", "server", "--publish", "8080:80", "--restart", "always"];
    node.inner_run(&options, server);
    let image = inner_image();
    let client = ["docker", "run", "--rm", "--network", "users", &image];
    let serves = || {
        let all = node.exec(&[&client[..], &["wget", "-q", "-O", "-", "http://server/"]].concat());
        (all.stdout == "hello").then_some(())
    };
    eventually("the server answers by its name", LIMIT, serves);
    let proxy = node.exec(&["sh", "-c", "readlink /proc/[0-9]*/exe | grep docker-proxy | sort -u"]).ok();
    assert_eq!(proxy, "/usr/local/bin/docker-proxy");
    assert_eq!(node.stop().0, 143, "{}", node.log());
    node.start_again();
    eventually("it is back after a restart", LIMIT, serves);
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

#[test]
fn what_is_no_such_archive_is_refused_before_anything_is_built() {
    let directory = scratch();
    let (archive, empty) = (directory.path().join("docker-1.tgz"), directory.path().join("docker"));
    fs::create_dir(&empty).unwrap();
    for name in PROGRAMS.split(' ').filter(|name| *name != "runc") {
        fs::write(empty.join(name), "").unwrap();
    }
    let words = ["--create", "--gzip", "--file"];
    let mut tar = Command::new("tar");
    tar.args(words).arg(&archive).arg("--directory").arg(directory.path()).arg("docker");
    assert!(tar.status().unwrap().success());
    let text = directory.path().join("text");
    fs::write(&text, "no archive").unwrap();
    let nothing = directory.path().join("nothing");
    for (file, why) in
        [(&archive, "it has no docker/runc"), (&text, "cannot unpack"), (&nothing, "cannot unpack")]
    {
        let refused = xtask(&["--engine-archive", file.to_str().unwrap(), "--tag", "dind-test-never"]);
        let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && complaint.contains(why), "{complaint}");
    }
}
