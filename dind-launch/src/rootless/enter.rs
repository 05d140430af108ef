//! From the container into its node: `docker exec` starts programs outside, as the machine's root, where neither the record nor the
//! processes of the node make sense. So every verb goes in first.

use super::mode::{Mode, OWN, UNSHARED, is_inside, mode};
use crate::fault;
use crate::paths::ENTRYPOINT;
use dind_contract::Fault;
use dind_system::Root;
use nix::libc::SI_KERNEL;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::sys::signal::Signal::{self, SIGCHLD};
use nix::sys::signal::{SigSet, SigmaskHow, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Gid, Pid, Uid, getpid, getuid, setgroups, setresgid, setresuid};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::Duration;

/// The kinds of namespaces, by their names in /proc; the users first, which give the right to the others.
const KINDS: [(&str, CloneFlags); 7] = [
    ("user", CloneFlags::CLONE_NEWUSER),
    ("cgroup", CloneFlags::CLONE_NEWCGROUP),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("net", CloneFlags::CLONE_NEWNET),
    ("pid", CloneFlags::CLONE_NEWPID),
    ("mnt", CloneFlags::CLONE_NEWNS),
];

/// Between two looks for a node whose launcher is there already.
const LOOK: Duration = Duration::from_millis(20);

/// What of the container's processes this one is.
enum Found {
    /// The first process of a node.
    Node(Pid),
    /// A launcher that has no node yet.
    Launcher,
    Nothing,
}

/// Runs this very command line in the node, where there is one and we are outside of it. Nothing: we are where we should be.
/// `waits`: for a node that is just being made.
///
/// # Errors
/// The namespaces cannot be entered.
pub fn into_node(words: &[OsString], waits: bool) -> Result<Option<u8>, Fault> {
    // The environment may be another one than the container's, and its own directory may not be there yet.
    let is_asked_for = || mode(std::env::var("DIND_USERNS").ok().as_ref()) == Ok(Mode::Unshare);
    if !getuid().is_root() || !(Path::new(OWN).exists() || is_asked_for()) || is_inside(&Root::default()) {
        return Ok(None);
    }
    let failed = |error: io::Error| {
        fault::NAMESPACES_REFUSED
            .failed("cannot enter the node's namespaces", error)
            .hint("docker exec --user 0 NODE …")
    };
    let own = std::env::current_exe().map_err(failed)?;
    loop {
        match find(&own) {
            Found::Node(node) => {
                let mut command = Command::new(&own);
                command.args(words.iter().skip(1));
                return run(node, &mut command).map(Some).map_err(failed);
            }
            Found::Launcher if waits => thread::sleep(LOOK),
            Found::Launcher | Found::Nothing => return Ok(None),
        }
    }
}

/// Looks for the first process of a PID namespace below ours, whose parent is this very program. What the node says of itself does
/// not count: it could lead the machine's root anywhere.
fn find(own: &Path) -> Found {
    let mut found = Found::Nothing;
    let depth = fs::read_to_string("/proc/self/status").map_or(1, |status| numbers(&status).len());
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else { continue };
        let own_program =
            |pid: &str| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program == own);
        let numbers = numbers(&status);
        let parent = field(&status, "PPid:").unwrap_or_default();
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let is_called =
            |name: &str| words.split(|byte| *byte == 0).any(|word| word.ends_with(name.as_bytes()));
        // Before it has its flag, the node is not made yet.
        if numbers.len() == depth + 1
            && numbers.last() == Some(&"1")
            && own_program(parent)
            && is_called(UNSHARED)
        {
            return Found::Node(Pid::from_raw(pid));
        }
        if pid != getpid().as_raw()
            && numbers.len() == depth
            && own_program(&pid.to_string())
            && (is_called("run") || is_called(ENTRYPOINT))
        {
            found = Found::Launcher;
        }
    }
    found
}

/// The numbers of a process, in our PID namespace and those below.
fn numbers(status: &str) -> Vec<&str> {
    field(status, "NSpid:").map(|numbers| numbers.split_whitespace().collect()).unwrap_or_default()
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Signals that the child is to get in our place: ours would be its end, without time to put anything in order. Those of job control
/// are not among them, for both are in the terminal's group and stop at once.
fn forwarded() -> SigSet {
    use Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2].into_iter().collect()
}

/// Waits for the child's end, and passes signals on until then. What a terminal sends, it has sent to the child as well.
fn wait(mut child: Child) -> io::Result<ExitStatus> {
    let signals = SignalFd::with_flags(&forwarded(), SfdFlags::SFD_CLOEXEC)?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        let Some(signal) = signals.read_signal()? else { continue };
        let number = i32::try_from(signal.ssi_signo).unwrap_or(0);
        if number != SIGCHLD as i32 && signal.ssi_code != SI_KERNEL {
            let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
            kill(pid, Signal::try_from(number)?)?;
        }
    }
}

/// Enters the namespaces of a process and runs a program there, as root of them.
fn run(node: Pid, command: &mut Command) -> io::Result<u8> {
    let directory = std::env::current_dir();
    // All of them first: the last one takes /proc away.
    let open = |(kind, flag): (&str, CloneFlags)| Ok((File::open(format!("/proc/{node}/ns/{kind}"))?, flag));
    let namespaces = KINDS.into_iter().map(open).collect::<io::Result<Vec<_>>>()?;
    for (namespace, flag) in &namespaces {
        setns(namespace, *flag)?;
    }
    let (user, group) = (Uid::from_raw(0), Gid::from_raw(0));
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    if directory.and_then(std::env::set_current_dir).is_err() {
        std::env::set_current_dir("/")?;
    }
    // Only a child is in the PID namespace. Our number means nothing there, so that it asks for its parent by none.
    let mask = forwarded().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    // SAFETY: between fork and exec two async-signal-safe calls are made: prctl, sigprocmask.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(move || {
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            Ok(mask.thread_set_mask()?)
        });
    }
    let status = wait(command.spawn()?)?;
    let signaled = status.signal().map(|number| 128u8.saturating_add(u8::try_from(number).unwrap_or(127)));
    Ok(signaled.unwrap_or_else(|| u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)))
}
