//! Helper programs such as mkfs: absolute path, argument array, clean environment, a time limit, and gone when we are.

use crate::program;
pub use crate::program::HELPER_PATH;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How much of a helper's stderr is kept: its end, in bytes.
const STDERR_TAIL: usize = 2048;

/// A helper program with its arguments.
#[derive(Clone, Debug)]
pub struct Helper {
    program: PathBuf,
    args: Vec<OsString>,
    inherited: Vec<RawFd>,
    kept: Vec<(OsString, OsString)>,
}

/// What a helper left behind.
#[derive(Clone, Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// The end of what it complained of.
    pub stderr: String,
}

impl Helper {
    /// Looks a program up in [`HELPER_PATH`]; nothing where it is not installed.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        program::on(HELPER_PATH, name).map(Self::at)
    }

    /// A program by its absolute path.
    #[must_use]
    pub fn at(program: PathBuf) -> Self {
        Self { program, args: Vec::new(), inherited: Vec::new(), kept: Vec::new() }
    }

    /// The absolute path of the program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds a file that is already open as an argument, by descriptor: what was checked is what the helper opens,
    /// whatever has become of the name. The descriptor must stay open until [`Helper::run`] returns.
    #[must_use]
    pub fn arg_fd(mut self, fd: BorrowedFd<'_>) -> Self {
        self.inherited.push(fd.as_raw_fd());
        self.arg(format!("/proc/self/fd/{}", fd.as_raw_fd()))
    }

    /// Passes variables of our own environment on, as far as they are set.
    #[must_use]
    pub fn keep(mut self, variables: &[&str]) -> Self {
        self.kept.extend(variables.iter().filter_map(|name| Some((name.into(), std::env::var_os(name)?))));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.kept.push((name.into(), value.into()));
        self
    }

    /// Runs the program to its end. stdin is empty, the environment is `PATH`, `LC_ALL=C` and what [`Helper::keep`] and
    /// [`Helper::set`] name.
    ///
    /// # Errors
    /// The program cannot be executed, or did not end within `limit` and was killed ([`io::ErrorKind::TimedOut`]).
    /// A status other than 0 is not an error here: fsck and friends speak by it.
    pub fn run(&self, limit: Duration) -> io::Result<Finished> {
        let deadline = Instant::now() + limit;
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear().env("PATH", HELPER_PATH).env("LC_ALL", "C").current_dir("/");
        command.envs(self.kept.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let inherited = self.inherited.clone();
        let parent = nix::unistd::getpid();
        // SAFETY: between fork and exec only async-signal-safe calls are made: prctl, getppid, fcntl.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(move || {
                die_with(parent)?;
                for fd in &inherited {
                    fcntl(BorrowedFd::borrow_raw(*fd), FcntlArg::F_SETFD(FdFlag::empty()))?;
                }
                Ok(())
            });
        }
        let mut child = command.spawn()?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let drained = match (child.stdout.take(), child.stderr.take()) {
            (Some(out), Some(err)) => {
                drain(&mut [(file(out), &mut stdout), (file(err), &mut stderr)], deadline)
            }
            _ => Ok(()),
        };
        if let Err(error) = drained {
            // The child is ours and not yet waited for, so the pid is still its own.
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
        let status = child.wait()?;
        let from = stderr.len().saturating_sub(STDERR_TAIL);
        Ok(Finished {
            status,
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr[from..]).trim().to_owned(),
        })
    }
}

/// To be called in a child between fork and exec: the kernel kills it when its parent dies, by whatever death.
///
/// # Errors
/// The parent is gone already, or the kernel refuses.
pub fn die_with(parent: nix::unistd::Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    if nix::unistd::getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
}

fn file(pipe: impl Into<OwnedFd>) -> File {
    File::from(pipe.into())
}

/// Reads all pipes to their ends, at once, so that a helper never blocks on a full one.
fn drain(pipes: &mut [(File, &mut Vec<u8>)], deadline: Instant) -> io::Result<()> {
    let mut open: Vec<usize> = (0..pipes.len()).collect();
    while !open.is_empty() {
        let mut fds: Vec<PollFd<'_>> =
            open.iter().map(|&i| PollFd::new(pipes[i].0.as_fd(), PollFlags::POLLIN)).collect();
        let left = deadline.saturating_duration_since(Instant::now());
        match poll(&mut fds, timeout(left)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<usize> =
            open.iter().zip(&fds).filter(|(_, fd)| fd.any() == Some(true)).map(|(&i, _)| i).collect();
        for i in ready {
            let mut chunk = [0; 4096];
            match pipes[i].0.read(&mut chunk)? {
                0 => open.retain(|&other| other != i),
                n => pipes[i].1.extend_from_slice(&chunk[..n]),
            }
        }
    }
    Ok(())
}

/// A poll timeout that never ends before `left` has passed.
pub(crate) fn timeout(left: Duration) -> PollTimeout {
    PollTimeout::try_from(left.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128) as i32)
        .unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_helper_sees_a_clean_environment_and_an_inherited_file() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"by descriptor").unwrap();
        let done = Helper::find("cat").unwrap().arg("/proc/self/environ").arg_fd(file.as_fd());
        let done = done.run(Duration::from_secs(5)).unwrap();
        assert!(done.status.success(), "{}", done.stderr);
        assert_eq!(done.stdout.trim_end_matches("by descriptor").split('\0').count(), 3, "{:?}", done.stdout);
        assert!(done.stdout.ends_with("by descriptor"), "{:?}", done.stdout);
    }

    #[test]
    fn a_helper_that_hangs_is_killed_at_its_limit() {
        let started = Instant::now();
        let error = Helper::find("sleep").unwrap().arg("60").run(Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn much_output_on_both_pipes_does_not_block() {
        let script = "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; exit 3";
        let done = Helper::find("sh").unwrap().args(["-c", script]).run(Duration::from_secs(20)).unwrap();
        assert_eq!(
            (done.status.code(), done.stdout.len(), done.stderr.len()),
            (Some(3), 300_000, STDERR_TAIL)
        );
    }
}
