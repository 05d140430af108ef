//! A process for an init under test.
//!
//! `signals` prints the number of every signal that reaches it, and exits with 7 when its stdin ends.
//! `hop FILE` ignores TERM, writes a line to the file, forks and exits, and so does each of its children: whoever looks for it sees
//! a process that has gone when it is signalled.
//! `zombie COMMAND…` starts a child, lets it end without waiting for it, and becomes the command.

#![allow(clippy::print_stdout)]

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{fork, setsid};
use std::fs::OpenOptions;
use std::io::{Error, Read, Result, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((verb, [])) if verb == "signals" => signals(),
        Some((verb, [file])) if verb == "hop" => hop(file),
        Some((verb, [program, args @ ..])) if verb == "zombie" => zombie(program, args),
        _ => Err(Error::other("usage: signals | hop FILE | zombie COMMAND…")),
    }
}

fn signals() -> Result<()> {
    let all = SigSet::all();
    all.thread_block()?;
    let signals = SignalFd::with_flags(&all, SfdFlags::empty())?;
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(7);
    });
    println!("ready");
    loop {
        if let Some(signal) = signals.read_signal()? {
            println!("{}", signal.ssi_signo);
        }
    }
}

fn hop(file: &str) -> Result<()> {
    SigSet::from_iter([Signal::SIGTERM]).thread_block()?;
    let mut file = OpenOptions::new().append(true).open(file)?;
    setsid()?;
    loop {
        file.write_all(b"hop\n")?;
        // SAFETY: there is one thread.
        #[allow(unsafe_code)]
        if unsafe { fork() }?.is_parent() {
            return Ok(());
        }
    }
}

#[allow(clippy::zombie_processes, reason = "that is what it is for")]
fn zombie(program: &str, args: &[String]) -> Result<()> {
    let child = Command::new("true").spawn()?;
    while !std::fs::read_to_string(format!("/proc/{}/stat", child.id()))?.contains(") Z ") {
        std::thread::yield_now();
    }
    Err(Command::new(program).args(args).exec())
}
