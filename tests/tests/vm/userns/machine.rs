//! The machine as the attempts find it, and how its root looks at it and puts it right again.

use dind_tests::outer::LIMIT;
use dind_tests::{bin, eventually};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// What only the machine knows: no script has it.
pub(super) const SECRET: &str = "4a7f2c91e6";

/// What only scripts write.
pub(super) const MARK: &str = "b05e83d17a";

/// On the machine's own disk: `host` lies in `/host` of every place, and `tools` in `/tools`.
pub(super) const HOME: &str = "/escape";

/// A disk of the machine's that it has read already.
pub(super) const DISK: &str = "/dev/vdd";

/// What shells and busybox cannot do.
pub(super) const HELPER: &str = "dind-test-attempt";

pub(super) fn read(path: impl AsRef<Path>) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).trim().to_owned()
}

/// Whatever comes of it: what was not done need not be undone, and whether it is undone is looked at.
pub(super) fn write(path: impl AsRef<Path>, text: &str) {
    let _ = fs::write(path, text);
}

/// Whatever its status, for the same reason.
pub(super) fn run(command: &[&str]) {
    let mut program = Command::new(command[0]);
    program.args(&command[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
}

/// What the program prints that has the attempts for which there is no command.
pub(super) fn helper(args: &[&str]) -> String {
    let output = Command::new(bin(HELPER)).args(args).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(super) fn kernel_log() -> String {
    String::from_utf8_lossy(&Command::new("dmesg").output().unwrap().stdout).into_owned()
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// When the scene was set.
pub(super) fn began() -> u64 {
    read(format!("{HOME}/began")).parse().unwrap()
}

/// A process of the machine with the secret in its environment. Its parent is the machine's first process, which waits for it.
pub(super) fn start_a_victim() {
    if !is_alive() {
        let script = format!("busybox sleep 100000 >/dev/null 2>&1 & echo $! >{HOME}/host/pid");
        Command::new("sh").args(["-c", &script]).env("ESCAPE_SECRET", SECRET).status().unwrap();
        let command = || read(victim().join("cmdline"));
        eventually("the machine's process runs", LIMIT, || command().starts_with("busybox").then_some(()));
    }
}

/// Its directory in /proc.
pub(super) fn victim() -> PathBuf {
    Path::new("/proc").join(read(format!("{HOME}/host/pid")))
}

/// A process that nobody has waited for yet has no command line any more.
pub(super) fn is_alive() -> bool {
    Path::new(HOME).join("host/pid").exists() && !read(victim().join("cmdline")).is_empty()
}
