//! Seeds of what a real engine has in its data root.

use dind_tests::outer::{Node, SLEEP, Share, Volume, docker, image, inner_image};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Makes an image whose layers hide files and a whole directory of those beneath.
const BUILD: &str = r"
mkdir -p /tmp/context && cd /tmp/context
printf 'FROM %s\nRUN mkdir /d && touch /d/old /f\nRUN rm /f && rm -r /d && mkdir /d && touch /d/new\n' $IMAGE >Dockerfile
DOCKER_BUILDKIT=0 docker build --quiet --tag app:1 .";

/// What of it must be seen in a container.
const CHECK: &str = "test ! -e /f && test ! -e /d/old && test -e /d/new && echo as built";

/// Turns a copy of a seed into a data root, as a person would.
const BY_HAND: &str = r#"
mkdir -p /mnt/seed
if [ -d "$1" ]; then mount --bind "$1" /mnt/seed; else mount -o loop,ro "$1" /mnt/seed; fi
cp --archive /mnt/seed/image /mnt/seed/overlay2 /var/lib/docker/
umount /mnt/seed
cd /var/lib/docker/overlay2 && mkdir l
for layer in */link; do
    id=${layer%/link}
    ln -s ../$id/diff l/$(cat $layer)
    if [ -e $id/lower ]; then mkdir $id/work; fi
done"#;

fn seal(node: &Node, share: &Share, args: &[&str]) -> dind_tests::outer::Ended {
    let volume = share.volume();
    let words = ["run", "--rm", "--privileged", "--volumes-from", &node.name, "--volume", &volume];
    let image = image();
    let tool = ["--entrypoint", "dind-storage", &image, "seal"];
    docker(&[&words[..], &tool, args].concat())
}

fn manifest(seed: &Path) -> Value {
    serde_json::from_slice(&fs::read(seed.join("seed.json")).unwrap()).unwrap()
}

#[test]
fn a_seed_has_what_an_engine_needs_to_run_its_images() {
    let share = Share::new();
    // An engine that chooses containerd's store has nothing to seal.
    let node = Node::start(&["--env", "DIND_STORAGE_STORE=graph"], SLEEP);
    node.until_running();
    let build = BUILD.replace("$IMAGE", &inner_image());
    node.exec(&["sh", "-euc", &build]).ok();
    let refused = seal(&node, &share, &["--to", "/share/refused"]);
    assert_eq!(refused.status, 75, "{}", refused.stderr);
    assert!(refused.stdout.contains("data-root-in-use"), "{}", refused.stdout);
    assert_eq!(node.stop().0, 143, "{}", node.log());

    seal(&node, &share, &["--to", "/share/dir"]).ok();
    seal(&node, &share, &["--to", "/share/erofs", "--format", "erofs", "--images", "app:1"]).ok();
    let made = manifest(&share.path("dir"));
    let images = made["images"].as_array().unwrap();
    let unnamed = images.iter().filter(|image| image["names"] == serde_json::json!([])).count();
    assert_eq!((images.len(), unnamed), (3, 1), "the classic builder's step is an image: {made}");
    let hide = made["layers"].as_array().unwrap().iter().filter(|layer| layer["hides_files"] == true).count();
    assert_eq!(hide, 1, "{made}");
    assert!(!share.path("refused").exists());

    for seed in ["/share/dir", "/share/erofs"] {
        let volume = Volume::new();
        let (data, shared) = (format!("{}:/var/lib/docker", volume.name), share.volume());
        let mounts = ["--volume", &data, "--volume", &shared];
        let image = image();
        let fill = ["run", "--rm", "--privileged", "--entrypoint", "sh"];
        docker(&[&fill[..], &mounts, &[&image, "-euc", BY_HAND, "sh", seed]].concat()).ok();
        let node = Node::start(&[&mounts[..], &["--env", "DIND_PRELOAD="]].concat(), SLEEP);
        node.until_running();
        assert_eq!(node.inner(&["run", "--rm", "app:1", "sh", "-c", CHECK]), "as built", "{seed}");
        assert_eq!(node.stop().0, 143, "{}", node.log());
    }
}
