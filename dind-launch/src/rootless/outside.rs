//! The launcher's part in the container: it makes the namespaces, gives the node what is the node's, keeps the way out open, and
//! passes signals on. All else is done by the launcher in the node.

use super::files::Files;
use super::inside::{self, TURN};
use super::map::{Ids, Map};
use super::pasta::Pasta;
use super::{cgroups, pasta};
use crate::stop_signals::stops_node;
use crate::{TOOL, fault};
use dind_contract::Fault;
use dind_contract::finish::{log, log_fault};
use dind_system::supervisor::{ChildId, Event, ExitStatus, SpawnMode, Supervisor, send};
use nix::errno::Errno;
use nix::libc;
use nix::unistd::{Uid, fchown};
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// All kinds but time: the node has its own of each.
const NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// How long pasta may take to its route; emulated, it needs a second.
const WAY_OUT: Duration = Duration::from_secs(30);

/// Between two looks for that route, of which nothing outside gets an event.
const LOOK: Duration = Duration::from_millis(5);

/// A pasta that ends sooner may end at once every time.
const SHORTEST_LIFE: Duration = Duration::from_secs(2);

/// How often in a row that may be before it is not started again.
const MOST_SHORT_LIVES: u32 = 5;

/// Why there is no node.
enum End {
    /// It has ended, with this status, and has said why.
    Status(u8),
    Fault(Box<Fault>),
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

/// The node as it looks from outside.
struct Outside {
    supervisor: Supervisor,
    node: ChildId,
    stream: UnixStream,
    pasta_program: Pasta,
    pasta: Option<(ChildId, Instant)>,
    /// How many of them in a row have ended at once.
    short_lives: u32,
}

/// Runs the node to its end. Returns the status to exit with.
///
/// # Errors
/// The namespaces, the control groups or the way out cannot be had.
pub(super) fn run(
    mut supervisor: Supervisor,
    map: &Map,
    files: &Files,
    pasta_program: Pasta,
    words: &[OsString],
) -> Result<u8, Fault> {
    let failed = |error: io::Error| {
        fault::INIT_FAILED.failed("cannot make a pair of sockets", error).hint("report it")
    };
    let (stream, mut inner) = UnixStream::pair().map_err(failed)?;
    if map.is_shifted {
        give_standard_streams(map);
    }
    let forked = supervisor.fork(NAMESPACES, || {
        // With a copy of the other end open, its end would go unseen.
        let _ = nix::unistd::close(stream.as_raw_fd());
        log_fault(TOOL, &inside::enter(&mut inner, files, map.is_shifted, words));
        LAUNCHER_FAILED
    });
    let node = forked.map_err(|error| refused(&error))?;
    drop(inner);
    let mut outside = Outside { supervisor, node, stream, pasta_program, pasta: None, short_lives: 0 };
    let status = match outside.start(map).and_then(|()| outside.supervise()) {
        Ok(status) | Err(End::Status(status)) => Ok(status),
        Err(End::Fault(fault)) => {
            outside.kill();
            Err(*fault)
        }
    };
    if let Some((pasta, _)) = outside.pasta.filter(|(pasta, _)| outside.supervisor.is_running(*pasta)) {
        let _ = send(pasta.pid().as_raw(), libc::SIGKILL);
    }
    status
}

/// The status of a launcher that has failed, as with `docker run`.
const LAUNCHER_FAILED: u8 = 125;

impl Outside {
    /// The two sides take turns: users; mounts there; control groups and the way out; and the node begins.
    fn start(&mut self, map: &Map) -> Result<(), End> {
        let pid = self.node.pid();
        let mapped =
            [("uid_map", &map.users), ("gid_map", &map.groups)].into_iter().try_for_each(|(file, text)| {
                let path = PathBuf::from(format!("/proc/{pid}/{file}"));
                fs::write(&path, text).map_err(|error| {
                    let fault = fault::NAMESPACES_REFUSED.cannot("write to", path.display(), error);
                    fault.hint("run the container with --cap-add SETUID --cap-add SETGID --cap-add SETFCAP")
                })
            });
        mapped?;
        self.give_turn()?;
        self.wait_for_turn()?;
        cgroups::give(pid, map).map_err(|error| {
            let fault = fault::NAMESPACES_REFUSED.failed("cannot give the control groups to the node", error);
            fault.hint("run the container with --cgroupns private and --cap-add CHOWN")
        })?;
        self.start_pasta()?;
        let limit = Instant::now() + WAY_OUT;
        while !pasta::is_up(pid) {
            if Instant::now() > limit {
                return Err(no_way_out("it has set up no route in time").into());
            }
            self.wait(Some(Instant::now() + LOOK))?;
        }
        self.give_turn()
    }

    fn give_turn(&mut self) -> Result<(), End> {
        // One that has ended has said why, and its status comes.
        match self.stream.write_all(&TURN) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.end_of_node()),
        }
    }

    fn wait_for_turn(&mut self) -> Result<(), End> {
        loop {
            let event =
                self.supervisor.next(&[self.stream.as_fd()], None).map_err(|error| cannot_wait(&error))?;
            match event {
                Event::Ready(_) if self.stream.read(&mut [0]).unwrap_or(0) == 1 => return Ok(()),
                Event::Ready(_) => return Err(self.end_of_node()),
                event => self.early(event)?,
            }
        }
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Result<(), End> {
        let event = self.supervisor.next(&[], deadline).map_err(|error| cannot_wait(&error))?;
        self.early(event)
    }

    /// What may happen before the node has begun: a signal, which ends it, or somebody's end.
    fn early(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Exited(child, status) if child == self.node => Err(End::Status(status.status())),
            Event::Exited(child, _) if self.is_pasta(child) => Err(no_way_out(&pasta::last_words()).into()),
            Event::Signal(number) if stops_node(number, false, true) => {
                self.kill();
                Err(End::Status(ExitStatus::Signaled(number).status()))
            }
            _ => Ok(()),
        }
    }

    fn is_pasta(&self, child: ChildId) -> bool {
        self.pasta.is_some_and(|(pasta, _)| pasta == child)
    }

    fn end_of_node(&mut self) -> End {
        loop {
            match self.supervisor.next(&[], None) {
                Ok(Event::Exited(child, status)) if child == self.node => {
                    return End::Status(status.status());
                }
                Ok(_) => {}
                Err(error) => return cannot_wait(&error).into(),
            }
        }
    }

    fn start_pasta(&mut self) -> Result<(), Fault> {
        let mut command = self.pasta_program.command(self.node.pid());
        let (child, _) = self.supervisor.spawn(&mut command, SpawnMode::Session).map_err(|error| {
            fault::PASTA_FAILED
                .cannot("execute", self.pasta_program.program.display(), error)
                .hint("install passt again")
        })?;
        self.pasta = Some((child, Instant::now()));
        Ok(())
    }

    /// From here on the launcher in the node decides.
    fn supervise(&mut self) -> Result<u8, End> {
        loop {
            match self.supervisor.next(&[], None) {
                Ok(Event::Exited(child, status)) if child == self.node => return Ok(status.status()),
                Ok(Event::Exited(child, _)) if self.is_pasta(child) => self.restore_way_out(),
                Ok(Event::Signal(number)) => {
                    let _ = send(self.node.pid().as_raw(), number);
                }
                Ok(_) => {}
                Err(error) => return Err(cannot_wait(&error).into()),
            }
        }
    }

    /// A node without a way out goes on, as a host does whose cable is pulled; but not without a word.
    fn restore_way_out(&mut self) {
        let began = self.pasta.take().map(|(_, began)| began);
        log(TOOL, "warning", format!("pasta has ended: {}", pasta::last_words()));
        let was_short = began.is_some_and(|began| began.elapsed() < SHORTEST_LIFE);
        self.short_lives = if was_short { self.short_lives + 1 } else { 0 };
        if self.short_lives >= MOST_SHORT_LIVES {
            log(TOOL, "error", "the node has no way out of its network any more: pasta ends at once");
        } else if let Err(fault) = self.start_pasta() {
            log_fault(TOOL, &fault);
        }
    }

    /// Ends all processes of the node: they end with its first (pid_namespaces(7)).
    fn kill(&mut self) {
        if self.supervisor.is_running(self.node) {
            let _ = send(self.node.pid().as_raw(), libc::SIGKILL);
        }
    }
}

fn cannot_wait(error: &io::Error) -> Fault {
    fault::INIT_FAILED.failed("cannot wait for the node", error).hint("report it")
}

fn no_way_out(cause: &str) -> Fault {
    let fault =
        fault::PASTA_FAILED.failed("no way out of the node's network", format_args!("pasta: {cause}"));
    fault.hint("run the container with --device /dev/net/tun; its log is /.dind/pasta.log")
}

/// What the kernel says where there are no more namespaces, or none for us (clone(2), user_namespaces(7)).
fn refused(error: &io::Error) -> Fault {
    let hint = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSPC | Errno::EUSERS) => "sysctl --write user.max_user_namespaces=15000 on the host",
        _ => {
            "run the container with --security-opt seccomp=FILE, whose text `dind-launch doctor --run-flags` prints"
        }
    };
    fault::NAMESPACES_REFUSED.failed("cannot make a user namespace", error).hint(hint)
}

/// As runc does it for a container's user: otherwise the main process could not open /dev/stdout. /dev/null is everybody's.
fn give_standard_streams(map: &Map) {
    let owner = map.owner(Ids { user: 0, group: 0 });
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    for stream in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()] {
        let shared = fs::metadata(format!("/proc/self/fd/{}", stream.as_raw_fd()))
            .is_ok_and(|found| found.file_type().is_char_device() && found.rdev() == libc::makedev(1, 3));
        if !shared {
            // A stream that cannot be given away still works.
            let _ = fchown(stream, Some(Uid::from_raw(owner.user)), None);
        }
    }
}
