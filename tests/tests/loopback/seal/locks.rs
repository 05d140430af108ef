//! Nobody uses a data root that is sealed, and nobody begins to.

use super::Site;
use crate::machine::{document, fails, succeeds};
use dind_tests::{bin, eventually};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The databases that engines lock.
const DATABASES: [&str; 2] =
    ["containerd/daemon/io.containerd.metadata.v1.bolt/meta.db", "volumes/metadata.db"];

#[test]
fn the_data_root_of_a_node_or_an_engine_is_refused_with_its_name() {
    let site = Site::new();
    fs::write(site.root.path.join(".dind-node"), "builder\n").unwrap();
    for name in [DATABASES[0], DATABASES[1], ".dind-node"] {
        let file = site.root.path.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let file = File::options().create(true).append(true).open(file).unwrap();
        // In our own mount namespace, as the engine of the container that one is in.
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
        let refused = fails(&mut site.seal(&[]), "data-root-in-use", 75);
        assert!(refused["error"]["message"].as_str().unwrap().contains("the node `builder`"), "{refused}");
        site.assert_untouched();
        drop(lock);
    }
    // dind-launch has a lock of the other kind.
    let script = "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()";
    let mut launcher = Command::new("python3");
    let launcher = launcher.args(["-c", script]).arg(site.root.path.join(".dind-node"));
    let mut launcher = launcher.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(launcher.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    fails(&mut site.seal(&[]), "data-root-in-use", 75);
    drop(launcher.stdin.take());
    launcher.wait().unwrap();
    site.assert_untouched();
    site.sealed(&[]);
}

#[test]
fn a_node_does_not_start_on_a_data_root_while_it_is_sealed() {
    let site = Site::new();
    let file = site.root.path.join(DATABASES[1]);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "").unwrap();
    fs::create_dir_all(site.machine.path("seeds")).unwrap();
    // The seal stops at its last call for a while: a fifo that nobody writes to stands for a slow disk.
    let seal = site.seal(&[]);
    let mut slow = Command::new("strace");
    slow.args(["-o", "/dev/null", "--trace=syncfs", "--inject=syncfs:delay_enter=3000000"])
        .arg(seal.get_program())
        .args(seal.get_args());
    let slow = slow.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("the seal is at work", Duration::from_secs(5), || {
        site.machine.path("seeds/.one.tmp/seed/seed.json").exists().then_some(())
    });
    let node = site.root.path.join(".dind-node");
    let script = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)";
    assert!(!Command::new("python3").args(["-c", script]).arg(&node).output().unwrap().status.success());
    let (_, error) = Flock::lock(File::open(&file).unwrap(), FlockArg::LockExclusiveNonblock).unwrap_err();
    assert_eq!(error, nix::errno::Errno::EWOULDBLOCK);
    fails(&mut site.seal(&[]), "seed-in-use", 75);
    let mut another = Command::new(bin("dind-storage"));
    another
        .env_clear()
        .env("DIND_DATA_ROOT", &site.root.path)
        .args(["seal", "--to"])
        .arg(site.machine.path("seeds/two"));
    fails(&mut another, "data-root-in-use", 75);
    let output = slow.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    succeeds(&mut another);
    assert_eq!(document(&output)["result"]["digest"], {
        let text = fs::read(site.machine.path("seeds/two/seed.json")).unwrap();
        format!("sha256:{}", dind_tests::store::sha256(text))
    });
}

#[test]
fn a_data_root_that_is_read_only_is_sealed_all_the_same() {
    let site = Site::new();
    use nix::mount::{MsFlags, mount, umount};
    let bind =
        |flags| mount(Some(&site.root.path), &site.root.path, None::<&str>, flags, None::<&str>).unwrap();
    bind(MsFlags::MS_BIND);
    bind(MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY);
    site.sealed(&[]);
    umount(&site.root.path).unwrap();
    assert!(!site.root.path.join(".dind-node").exists());
}
