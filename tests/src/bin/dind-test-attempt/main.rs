//! What root tries against the machine where a shell with busybox has no command for it, and how the machine sees some of it.
//!
//! * `ptrace PID`: overwrites the beginning of the environment of a process, attached to it
//! * `kexec`, `kexec-unload`: gives the machine another kernel to start, which is never started, and takes it back
//! * `bpf NAME PROGRAM…`: loads a program for the kernel's own functions, and leaves it to a program that keeps it; `bpf-list` prints
//!   the names of all that are loaded
//! * `read DIR,… PATH`, `write DIR,… PATH TEXT`: a file by its path from the root of a directory's file system, which is opened by its
//!   number (open_by_handle_at(2))
//! * `outward NAMESPACE VERB…`: the verb in the own namespace of that kind, then in that of the first process in sight; `exec PROGRAM…` is
//!   one for that
//! * `mount SOURCE TARGET`: an empty file system; `remount DIR OPTIONS`: other options of a file system
//! * `sniff`: what passes by on all links for a while, as far as it follows `packet:`
//! * `key-add NAME TEXT`, `key-read NAME`: a key in the keyring of root
//!
//! Errors are not printed: whoever tries looks for an effect.

#![allow(clippy::print_stdout)]

mod calls;
mod files;
mod namespaces;
mod network;

use nix::sys::ptrace;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use std::fs;
use std::io::{Error, Result};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if attempt(&args).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn attempt(args: &[&str]) -> Result<()> {
    match *args {
        ["ptrace", pid] => overwrite_environment(pid),
        ["kexec"] => calls::kexec(),
        ["kexec-unload"] => calls::kexec_unload(),
        ["bpf", name, program, ref args @ ..] => {
            let _loaded = calls::bpf_load(name)?;
            Command::new(program).args(args).spawn().map(drop)
        }
        ["bpf-list"] => calls::bpf_names()?.iter().try_for_each(|name| print(name.as_bytes())),
        ["read", directories, path] => print(&files::read(directories, path)?),
        ["write", directories, path, text] => files::write(directories, path, text),
        ["outward", kind, ref verb @ ..] => namespaces::outward(kind, || attempt(verb)),
        ["exec", program, ref args @ ..] => Command::new(program).args(args).status().map(drop),
        ["mount", source, target] => files::mount(source, target),
        ["remount", directory, options] => files::remount(directory, options),
        ["sniff"] => print(&network::sniff()?),
        ["key-add", name, text] => calls::add_key(name, text),
        ["key-read", name] => print(&calls::read_key(name)?),
        _ => Err(Error::other("unknown verb")),
    }
}

fn print(bytes: &[u8]) -> Result<()> {
    println!("{}", String::from_utf8_lossy(bytes));
    Ok(())
}

/// The address is the 50th field of stat (proc_pid_stat(5)), the 48th after the name.
fn overwrite_environment(pid: &str) -> Result<()> {
    let number = pid.parse().map_err(Error::other)?;
    ptrace::attach(Pid::from_raw(number))?;
    waitpid(Pid::from_raw(number), None)?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let address = stat.rsplit(") ").next().and_then(|fields| fields.split(' ').nth(47));
    let address: usize = address.and_then(|text| text.parse().ok()).ok_or(Error::other("no address"))?;
    let word = i64::from_ne_bytes(*b"b05e83d1");
    let written = ptrace::write(Pid::from_raw(number), address as ptrace::AddressType, word);
    ptrace::detach(Pid::from_raw(number), None)?;
    Ok(written?)
}
