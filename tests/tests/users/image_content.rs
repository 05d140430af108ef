//! What people expect in the image: programs that unpack, fetch and build.

use dind_tests::outer::{Node, SLEEP, docker, image, inner_image};
use dind_tests::{scratch, unique};
use std::path::Path;

/// Programs of the image under test that write a file, by the end of its name.
const PACKERS: [(&str, &str); 4] = [("gz", "gzip"), ("bz2", "bzip2"), ("xz", "xz"), ("zst", "zstd")];

/// Archives of an image of its own each, compressed in all ways, in a directory. The images are removed from the outer engine.
fn archives(directory: &Path) -> Vec<String> {
    let out = format!("{}:/out", directory.display());
    PACKERS
        .iter()
        .map(|(suffix, program)| {
            let name = format!("{}:{suffix}", unique("packed"));
            docker(&["tag", &inner_image(), &name]).ok();
            let tar = directory.join("archive.tar");
            docker(&["save", "--output", tar.to_str().unwrap(), &name]).ok();
            docker(&["rmi", &name]).ok();
            let script =
                format!("{program} -c /out/archive.tar > /out/{suffix}.tar.{suffix} && rm /out/archive.tar");
            docker(&["run", "--rm", "--volume", &out, "--entrypoint", "sh", &image(), "-c", &script]).ok();
            name
        })
        .collect()
}

#[test]
fn archives_of_every_compression_are_loaded_and_only_once() {
    let directory = scratch();
    let names = archives(directory.path());
    let volume = format!("{}:/archives:ro", directory.path().display());
    let node = Node::start(&["--volume", &volume, "--env", "DIND_PRELOAD=/archives"], SLEEP);
    for key in ["loaded", "present"] {
        node.until_running();
        let preload = node.record()["documents"]["preload"]["result"].clone();
        assert_eq!(preload[key].as_array().unwrap().len(), names.len(), "{preload}");
        for name in &names {
            assert_eq!(node.inner(&["run", "--rm", name, "echo", "hello"]), "hello", "{name}");
        }
        assert_eq!(node.stop().0, 143, "{}", node.log());
        docker(&["start", &node.name]).ok();
    }
}

#[test]
fn an_archive_without_its_program_is_refused_with_the_package() {
    let directory = scratch();
    archives(directory.path());
    let out = format!("{}:/archives", directory.path().display());
    let remove = "rm /archives/*.gz /archives/*.bz2 /archives/*.zst; rm $(which xz); exec dind-launch run -- sleep infinity";
    let options = ["--volume", &out, "--env", "DIND_PRELOAD=/archives", "--entrypoint", "sh"];
    let node = Node::start(&options, &["-c", remove]);
    assert_eq!(node.exit_status(), 125);
    let log = node.log();
    assert!(log.contains("apt-get install xz-utils"), "{log}");
}

#[test]
fn a_build_unpacks_archives_and_fetches_from_git() {
    let node = Node::start(&[], SLEEP);
    node.until_running();
    let recipe = format!("FROM {}\\nADD files.tar.xz /\\nCMD cat /added", inner_image());
    let context = format!(
        "set -e; mkdir -p /srv/context; cd /srv/context; echo hello >added; tar -cJf files.tar.xz added; rm added; \
         printf '{recipe}' >Dockerfile"
    );
    node.exec(&["sh", "-c", &context]).ok();
    node.exec(&["docker", "build", "--tag", "added", "/srv/context"]).ok();
    assert_eq!(node.exec(&["docker", "run", "--rm", "added"]).ok(), "hello");

    // The git protocol needs no certificates; the daemon comes with git.
    let publish = "set -e; cd /srv/context; git init --quiet; git add .; \
                   git -c user.name=a -c user.email=a@b commit --quiet --message one; \
                   git daemon --base-path=/srv --export-all --reuseaddr --listen=127.0.0.1 --detach";
    node.exec(&["sh", "-c", publish]).ok();
    let built = dind_tests::eventually("the git daemon answers", dind_tests::outer::LIMIT, || {
        (node.exec(&["git", "ls-remote", "git://127.0.0.1/context"]).status == 0)
            .then(|| node.exec(&["docker", "build", "--tag", "fetched", "git://127.0.0.1/context"]))
    });
    built.ok();
    assert_eq!(node.exec(&["docker", "run", "--rm", "fetched"]).ok(), "hello");
}

#[test]
fn the_programs_that_people_call_are_there() {
    let script = "for program in git ssh xz bzip2 zstd unpigz nft iptables ip6tables; do \
                  command -v $program >/dev/null || echo $program; done";
    let missing = docker(&["run", "--rm", "--entrypoint", "sh", &image(), "-c", script]).ok();
    assert_eq!(missing, "");
}

#[test]
fn buildx_and_compose_are_there_where_the_distribution_has_them() {
    let node = Node::start(&[], SLEEP);
    node.until_running();
    let version = node.inner(&["version", "--format", "{{.Server.Version}}"]);
    let has_plugins = version.split('.').next().unwrap().parse::<u32>().unwrap() >= 26;
    for plugin in ["buildx", "compose"] {
        let answer = node.exec(&["docker", plugin, "version"]);
        // Debian 12 has neither, and its docker-compose is version 1, which is no plugin.
        assert_eq!(answer.status == 0, has_plugins, "{version}: {}", answer.stderr);
    }
    if has_plugins {
        let project = format!("services: {{one: {{image: {}, command: echo hello}}}}", inner_image());
        let up = format!(
            "mkdir -p /srv/project && cd /srv/project && echo '{project}' >compose.yaml && docker compose up"
        );
        assert!(node.exec(&["sh", "-c", &up]).ok().contains("hello"));
    }
}
