//! The table on a terminal: sampled beside, so that keys and signals are answered at once, and drawn when something is new.

use super::report::Top;
use super::sample::{Sample, Source, sizes};
use super::screen::Screen;
use super::table::{Room, draw};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::getpid;
use std::collections::BTreeMap;
use std::io::{self, Read, Write, stdin};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Those that end it, with the exit status; INT is how people end it.
const ENDS: [(Signal, u8); 4] =
    [(Signal::SIGINT, 0), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129), (Signal::SIGQUIT, 131)];

/// Keys that end it: `q`, and the end of input.
const QUIT: [u8; 3] = [b'q', b'Q', 4];

/// The pause before the writable layers are measured again: so many times as long as it took, and this at least. The engine goes through
/// all their files.
const SIZES_PAUSE: (u32, Duration) = (20, Duration::from_secs(15));

/// What the threads that look have found.
#[derive(Debug, Default)]
struct Found {
    samples: Option<(Sample, Sample)>,
    sizes: BTreeMap<String, u64>,
}

/// Shows the table until it is ended; gives the exit status.
///
/// # Errors
/// The terminal cannot be used.
pub(super) fn watch(source: &Source, every: Duration, heading: &str) -> io::Result<u8> {
    let signals = taken_over()?;
    let found = Arc::new(Mutex::new(Found::default()));
    let (mut woken, wake) = UnixStream::pair()?;
    woken.set_nonblocking(true)?;
    wake.set_nonblocking(true)?;
    // They go on until this program ends.
    let (here, at, waker) = (Arc::clone(&found), source.clone(), wake.try_clone()?);
    thread::spawn(move || look(&at, every, &here, &waker));
    let (here, at) = (Arc::clone(&found), source.clone());
    thread::spawn(move || measure(&at, &here, &wake));

    let mut screen = Some(Screen::enter()?);
    loop {
        if let Some(screen) = &screen {
            show(screen, &found, heading)?;
        }
        let ready = {
            let (input, signal) = (stdin(), signals.as_fd());
            let mut fds = [signal, woken.as_fd(), input.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            fds.map(|fd| fd.revents().is_some_and(|events| !events.is_empty()))
        };
        if ready[0]
            && let Some(information) = signals.read_signal()?
        {
            let signal = Signal::try_from(information.ssi_signo as i32)?;
            if let Some((_, status)) = ENDS.iter().find(|(other, _)| *other == signal) {
                return Ok(*status);
            }
            if signal == Signal::SIGTSTP {
                // Stopped, the terminal is the shell's. Where there is no shell that could continue us, the kernel does not stop us.
                drop(screen.take());
                stop_as_asked()?;
                screen = Some(Screen::enter()?);
            }
        }
        if ready[1] {
            let _ = woken.read(&mut [0; 64]);
        }
        if ready[2] {
            let keys = screen.as_ref().and_then(Screen::keys);
            if keys.is_none_or(|keys| keys.iter().any(|key| QUIT.contains(key))) {
                return Ok(0);
            }
        }
    }
}

/// Blocks the signals, before there are threads: they have the same mask.
fn taken_over() -> io::Result<SignalFd> {
    let mut signals = SigSet::empty();
    ENDS.iter().for_each(|(signal, _)| signals.add(*signal));
    signals.add(Signal::SIGTSTP);
    signals.add(Signal::SIGWINCH);
    signals.thread_block()?;
    Ok(SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}

fn stop_as_asked() -> io::Result<()> {
    let stop = SigSet::from(Signal::SIGTSTP);
    kill(getpid(), Signal::SIGTSTP)?;
    // It comes now, and is over when this returns.
    stop.thread_unblock()?;
    Ok(stop.thread_block()?)
}

fn show(screen: &Screen, found: &Mutex<Found>, heading: &str) -> io::Result<()> {
    let (columns, lines) = Screen::size();
    let room = Room { columns, lines: Some(lines) };
    let Ok(found) = found.lock() else { return Ok(()) };
    let Some((before, after)) = &found.samples else {
        return screen.draw(&[heading.to_owned()]);
    };
    let top = Top::between(before, after, &found.sizes);
    drop(found);
    screen.draw(&draw(&top, heading, room))
}

/// Looks again and again. The first table needs no more than two looks close to each other.
fn look(source: &Source, every: Duration, found: &Mutex<Found>, mut wake: &UnixStream) {
    let mut before = Sample::take(source);
    let mut pause = every.min(FIRST);
    loop {
        let begun = Instant::now();
        thread::sleep(pause);
        let after = Sample::take(source);
        if let Ok(mut found) = found.lock() {
            found.samples = Some((before, after.clone()));
        }
        let _ = wake.write(&[0]);
        before = after;
        // Looking must not take more time than not looking.
        let took = begun.elapsed().saturating_sub(pause);
        pause = every.saturating_sub(took).max(took);
    }
}

/// Between the first two looks.
const FIRST: Duration = Duration::from_millis(500);

/// Measures the writable layers, which may take the engine long.
fn measure(source: &Source, found: &Mutex<Found>, mut wake: &UnixStream) {
    loop {
        let begun = Instant::now();
        if let Ok(sizes) = sizes(&source.socket)
            && let Ok(mut found) = found.lock()
        {
            found.sizes = sizes;
        }
        let _ = wake.write(&[0]);
        thread::sleep((begun.elapsed() * SIZES_PAUSE.0).max(SIZES_PAUSE.1));
    }
}
