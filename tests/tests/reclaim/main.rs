//! `DIND_STORAGE_RECLAIM`: a node keeps a part of its disk free by what nobody needs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dind_tests::eventually;
use dind_tests::outer::{LIMIT, LOOP, Node, SLEEP, engine_version, inner_image};
use serde_json::Value;

/// The node's disk, and the share of it that these tests keep free space above.
const DISK: [&str; 2] = ["--env", "VAR_LIB_DOCKER_SIZE=512MiB"];
const ABOVE: u64 = 60;

/// How much each image is, in MiB. Its content is random, so that no two share a layer.
const IMAGE_MIB: u64 = 40;

/// A node with a disk of its own, and a container of the inner image that does not run: what it is made of is in use, however old.
fn node(options: &[&str]) -> Node {
    let node = Node::start(&[&LOOP[..2], &DISK, options].concat(), SLEEP);
    node.until_running();
    node.inner(&["create", "--name", "keeper", &inner_image(), "true"]);
    let id = node.inner(&["image", "inspect", "--format", "{{.Id}}", &inner_image()]);
    came(&node, &id, 90);
    node
}

fn shell(node: &Node, script: &str) -> String {
    node.exec(&["sh", "-c", script]).ok()
}

/// Makes an image that came so many days ago. One that comes tomorrow stays as young as one that comes now, however long a test takes.
fn image(node: &Node, name: &str, days: i64) {
    let script = format!(
        "mkdir -p /tmp/{name} && dd if=/dev/urandom of=/tmp/{name}/blob bs=1M count={IMAGE_MIB} 2>/dev/null && \
         tar -C /tmp/{name} -c . | docker import - {name} && rm -r /tmp/{name}"
    );
    came(node, &shell(node, &script), days);
}

/// Lets an image be older than it is: its file in the data root says when it came.
fn came(node: &Node, id: &str, days: i64) {
    let digest = id.trim().trim_start_matches("sha256:");
    let script = format!(
        "cd $DIND_DATA_ROOT; touch -d '{days} days ago' $(ls -d image/*/imagedb/content/sha256/{digest} \
         containerd/daemon/io.containerd.content.v1.content/blobs/sha256/{digest} 2>/dev/null)"
    );
    shell(node, &script);
}

/// Fills the disk up to this share, in percent, and so many MiB more.
fn fill(node: &Node, percent: u64, more_mib: u64) {
    let script = format!(
        "set -- $(df -B1 --output=used,avail $DIND_DATA_ROOT | tail -n 1); sync; \
         fallocate -l $((($1 + $2) * {percent} / 100 - $1 + {more_mib} * 1048576)) $DIND_DATA_ROOT/filler$$"
    );
    shell(node, &script);
}

fn images(node: &Node) -> Vec<String> {
    let mut names: Vec<_> =
        node.inner(&["images", "--format", "{{.Repository}}"]).lines().map(str::to_owned).collect();
    names.retain(|name| !inner_image().starts_with(name.as_str()));
    names.sort();
    names
}

/// What the launcher says about it.
fn reclaimed(node: &Node) -> Value {
    node.record()["reclaim"].clone()
}

fn until(node: &Node, what: &str, done: impl Fn(&Value) -> bool) -> Value {
    eventually(what, LIMIT, || {
        let record = node.record();
        done(&record["reclaim"]).then_some(record)
    })
}

fn has_warning(record: &Value, code: &str) -> bool {
    record["warnings"].as_array().unwrap().iter().any(|warning| warning["code"] == code)
}

#[test]
fn the_oldest_unused_images_go_until_the_disk_has_room_and_what_is_in_use_stays() {
    let share = format!("DIND_STORAGE_RECLAIM={ABOVE}%");
    let node = node(&["--env", &share]);
    // All of them are as old as anything need be to go first.
    for (name, days) in [("middle", 50), ("oldest", 60), ("young", 40)] {
        image(&node, name, days);
    }
    assert_eq!(reclaimed(&node)["rounds"], 0, "{}", node.log());
    assert_eq!(images(&node), ["middle", "oldest", "young"]);

    // One image is enough.
    fill(&node, ABOVE, IMAGE_MIB / 2);
    let record = until(&node, "an image is gone", |reclaim| reclaim["images"] == 1);
    assert_eq!(images(&node), ["middle", "young"], "{}", node.log());
    assert_eq!(record["reclaim"]["exhausted"], false, "{}", record["reclaim"]);
    assert!(
        record["reclaim"]["freed_bytes"].as_u64().unwrap() >= (IMAGE_MIB - 5) << 20,
        "{}",
        record["reclaim"]
    );
    let round = &record["documents"]["reclaim"]["result"];
    assert_eq!(round["taken"][0]["name"], "oldest:latest", "{round}");
    assert!(round["before"]["used_percent"].as_u64().unwrap() > ABOVE, "{round}");
    assert!(round["after"]["used_percent"].as_u64().unwrap() <= ABOVE, "{round}");
    assert!(node.log().contains("dind-reaper: reclaim: removed oldest:latest: "), "{}", node.log());

    // All others are not enough. What the stopped container is made of is older than all of them, and one has just come.
    image(&node, "fresh", -1);
    fill(&node, ABOVE, 3 * IMAGE_MIB);
    let record = until(&node, "nothing is left to take", |reclaim| reclaim["exhausted"] == true);
    assert_eq!(
        (images(&node), &record["reclaim"]["images"]),
        (vec!["fresh".to_owned()], &3.into()),
        "{}",
        node.log()
    );
    assert!(has_warning(&record, "reclaim-exhausted"), "{record}");
    node.inner(&["start", "--attach", "keeper"]);

    // A container that goes is one more thing to take, and there is still not enough.
    node.inner(&["rm", "keeper"]);
    let record = until(&node, "the image of the container is gone", |reclaim| reclaim["images"] == 4);
    assert!(has_warning(&record, "reclaim-exhausted"), "{record}");
    // Each time that something was taken has been reported once, and no other.
    assert_eq!(node.log().matches("no unused image older than").count(), 2, "{}", node.log());

    // With room again, it is over.
    shell(&node, "rm $DIND_DATA_ROOT/filler*");
    image(&node, "another", 3);
    fill(&node, ABOVE, IMAGE_MIB / 2);
    let record = until(&node, "room is made again", |reclaim| reclaim["images"] == 5);
    assert!(!has_warning(&record, "reclaim-exhausted"), "{record}");
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

#[test]
fn images_that_are_kept_in_containerd_go_by_when_they_came_too() {
    let store = if engine_version().0 < 24 { "graph" } else { "containerd" };
    let (share, store) = (format!("DIND_STORAGE_RECLAIM={ABOVE}%"), format!("DIND_STORAGE_STORE={store}"));
    let node = node(&["--env", &share, "--env", &store]);
    // By when they were made, the other would go first.
    for (name, days) in [("younger", 40), ("older", 50)] {
        image(&node, name, days);
    }
    fill(&node, ABOVE, IMAGE_MIB / 2);
    let record = until(&node, "an image is gone", |reclaim| reclaim["images"] == 1);
    assert_eq!(images(&node), ["younger"], "{}", node.log());
    let freed = record["reclaim"]["freed_bytes"].as_u64().unwrap();
    assert!(freed >= (IMAGE_MIB - 5) << 20, "{}", record["reclaim"]);
    node.inner(&["start", "--attach", "keeper"]);
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

#[test]
fn build_cache_goes_in_its_turn() {
    let share = format!("DIND_STORAGE_RECLAIM={ABOVE}%");
    // In containerd's store each layer is there packed and unpacked, and what is built a third time as cache: the build alone must
    // not fill the disk.
    let node = node(&["--env", &share, "--env", "VAR_LIB_DOCKER_SIZE=768MiB"]);
    image(&node, "old", 9);
    image(&node, "new", -1);
    let file = format!("FROM {}\\nRUN dd if=/dev/urandom of=/blob bs=1M count=50\\n", inner_image());
    shell(
        &node,
        &format!(
            "printf '{file}' | DOCKER_BUILDKIT=1 docker build --network none --tag built - && docker rmi built"
        ),
    );
    // The image that came nine days ago goes before the cache, which was used just now.
    fill(&node, ABOVE, IMAGE_MIB / 2);
    until(&node, "the old image is gone", |reclaim| reclaim["images"] == 1);
    assert_eq!(images(&node), ["new"], "{}", node.log());
    assert!(!node.log().contains("records of the build cache"), "{}", node.log());
    fill(&node, ABOVE, IMAGE_MIB / 2);
    let record = until(&node, "the cache is gone", |reclaim| reclaim["rounds"] == 2);
    let taken = &record["documents"]["reclaim"]["result"]["taken"];
    assert_eq!((&taken[0]["kind"], taken.as_array().unwrap().len()), (&"build-cache".into(), 1), "{taken}");
    assert!(taken[0]["freed_bytes"].as_u64().unwrap() > 30 << 20, "{taken}");
    // What came a moment ago may be wanted a moment later.
    assert_eq!(images(&node), ["new"], "{}", node.log());
}

#[test]
fn a_shell_script_can_do_the_same_and_keep_an_image() {
    let node = node(&[]);
    assert_eq!(reclaimed(&node), Value::Null);
    for (name, days) in [("first", 9), ("second", 5), ("third", 3)] {
        image(&node, name, days);
    }
    let id = node.inner(&["image", "inspect", "--format", "{{.Id}}", "first"]);
    node.inner(&["tag", "second", "another-name"]);
    fill(&node, ABOVE, IMAGE_MIB / 2);
    let reclaim = |words: &[&str]| -> Value {
        let ended =
            node.exec(&[&["dind-reaper", "reclaim", "--above", "60%", "--keep", &id], words].concat());
        serde_json::from_str(&ended.ok()).unwrap()
    };
    let document = reclaim(&[]);
    assert_eq!(document["result"]["taken"][0]["name"], "another-name:latest, second:latest", "{document}");
    assert_eq!((&document["changed"], &document["steps"][0]["op"]), (&true.into(), &"remove-image".into()));
    assert_eq!(images(&node), ["first", "third"]);
    let again = reclaim(&[]);
    assert_eq!((&again["changed"], &again["warnings"]), (&false.into(), &Value::Array(vec![])), "{again}");
    fill(&node, ABOVE, 4 * IMAGE_MIB);
    let exhausted = reclaim(&["--wait"]);
    assert_eq!((&exhausted["result"]["exhausted"], images(&node)), (&true.into(), vec!["first".to_owned()]));
    let warning = &exhausted["warnings"][0];
    assert_eq!(warning["code"], "reclaim-exhausted", "{exhausted}");
    assert!(warning["message"].as_str().unwrap().contains("are free"), "{warning}");
}

#[test]
fn a_share_that_is_none_is_refused_and_one_that_is_shows() {
    let refused = Node::start(&["--env", "DIND_STORAGE_RECLAIM=8GiB"], SLEEP);
    assert_eq!(refused.exit_status(), 125);
    assert!(refused.log().contains("invalid DIND_STORAGE_RECLAIM value `8GiB`"), "{}", refused.log());
    assert!(refused.log().contains("DIND_STORAGE_RECLAIM=85%"), "{}", refused.log());
    let node = Node::start(&["--env", "DIND_STORAGE_RECLAIM=85%"], SLEEP);
    node.until_running();
    let document =
        |verb: &str| serde_json::from_str::<Value>(&node.exec(&["dind-launch", verb]).stdout).unwrap();
    assert_eq!(document("plan")["result"]["reclaim_percent"], 85);
    assert_eq!(reclaimed(&node)["above_percent"], 85);
    let doctor = document("doctor");
    let checks = doctor["result"]["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == "reclaim").unwrap();
    assert!(check["verdict"] == "ok" && check["found"].as_str().unwrap().contains("85 %"), "{check}");
}
