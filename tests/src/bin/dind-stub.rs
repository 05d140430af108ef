//! Stands in for the engine and the sibling tools in the launcher's own suite: which one depends on the name that it is
//! called by. It writes what happens to it to `events`, beside itself, and behaves as `NAME.mode` there says.

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

use dind_tests::eventually;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{SigSet, Signal};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::exit;
use std::time::{Duration, Instant};

/// How long containerd may take.
const LIMIT: Duration = Duration::from_secs(20);

/// How long a containerd that is late lets a dockerd that does not wait for it start.
const LATE: Duration = Duration::from_millis(300);

/// How many threads write to each of the streams.
const FLOODS: usize = 4;

fn main() {
    let mut args = std::env::args();
    let called = PathBuf::from(args.next().unwrap());
    let args: Vec<String> = args.collect();
    let name = called.file_name().unwrap().to_str().unwrap().to_owned();
    let directory = called.parent().unwrap();
    let mode = fs::read_to_string(directory.join(format!("{name}.mode"))).unwrap_or_default();
    let verb = args.first().map_or("", String::as_str);
    if verb == "--version" {
        println!("Docker version {}, build stub", mode.trim().strip_prefix("version ").unwrap_or("20.10.24"));
        return;
    }
    match name.as_str() {
        "dockerd" | "containerd" => daemon(directory, &name, mode.trim()),
        _ => tool(directory, &name, verb, mode.trim()),
    }
}

fn note(directory: &Path, event: &str) {
    let mut events = OpenOptions::new().append(true).create(true).open(directory.join("events")).unwrap();
    // One write: lines of processes that run at once do not mix.
    events.write_all(format!("{event}\n").as_bytes()).unwrap();
}

fn happened(directory: &Path, event: &str) -> bool {
    fs::read_to_string(directory.join("events")).unwrap().lines().any(|line| line == event)
}

fn daemon(directory: &Path, name: &str, mode: &str) {
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGHUP]);
    signals.thread_block().unwrap();
    note(directory, &format!("{name} start"));
    if mode == "die" {
        eprintln!("unknown flag: --stub");
        exit(1);
    }
    if mode == "impatient" && !happened(directory, "containerd ready") {
        eprintln!("failed to start daemon: dial unix /run/dind/containerd.sock: connect: connection refused");
        exit(1);
    }
    if mode == "old" {
        let listener = UnixListener::bind("/var/run/docker.sock").unwrap();
        std::thread::spawn(move || listener.incoming().flatten().for_each(answer_as_an_old_engine));
    }
    if mode == "mute" {
        // It takes every request, and answers none.
        let listener = UnixListener::bind("/var/run/docker.sock").unwrap();
        let directory = directory.to_owned();
        std::thread::spawn(move || {
            let clients: Vec<_> =
                listener.incoming().flatten().inspect(|_| note(&directory, "dockerd request")).collect();
            drop(clients);
        });
    }
    if mode.ends_with("flood") {
        // A large pipe and many writers: it is never found empty.
        let _ = fcntl(std::io::stdout(), FcntlArg::F_SETPIPE_SZ(1 << 20));
        for _ in 0..FLOODS {
            std::thread::spawn(|| flood(std::io::stdout()));
            std::thread::spawn(|| flood(std::io::stderr()));
        }
    }
    if name == "dockerd" {
        // As the real one: it is not ready before containerd is there.
        let there = || happened(directory, "containerd start").then_some(());
        eventually("containerd has been started", LIMIT, there);
    }
    if mode == "late" {
        let begun = Instant::now();
        while begun.elapsed() < LATE && !happened(directory, "dockerd start") {
            std::thread::sleep(Duration::from_millis(5));
        }
        note(directory, &format!("{name} ready"));
    }
    if mode == "answer" {
        serve(name);
    }
    // A shell script that starts a daemon sets no such variable.
    if let (Ok(notify), false) = (std::env::var("NOTIFY_SOCKET"), mode.starts_with("silent")) {
        UnixDatagram::unbound().unwrap().send_to(b"READY=1", notify).unwrap();
    }
    loop {
        let signal = signals.wait().unwrap();
        note(directory, &format!("{name} {}", signal.as_str()));
        if signal == Signal::SIGTERM && mode != "stubborn" && !mode.ends_with("flood") {
            exit(0);
        }
    }
}

/// Answers what a health check asks of the daemon, for as long as the process runs. Of events there are none.
fn serve(name: &str) {
    fs::create_dir_all("/run/dind").unwrap();
    let (socket, answer) = match name {
        "dockerd" => ("/var/run/docker.sock", "HTTP/1.0 200 OK\r\nServer: Docker/20.10.24 (linux)\r\n\r\nOK"),
        // The settings that an HTTP/2 server begins with.
        _ => ("/run/dind/containerd.sock", "\0\0\0\x04\0\0\0\0\0"),
    };
    let _ = fs::remove_file(socket);
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let mut waiting = Vec::new();
        for mut client in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = client.read(&mut request);
            if request.starts_with(b"GET /events") {
                waiting.push(client);
            } else {
                let _ = client.write_all(answer.as_bytes());
            }
        }
    });
}

fn flood(stream: impl AsFd) {
    let lines = "flood\n".repeat(1000);
    // Without the lock that the streams of Rust share.
    while nix::unistd::write(&stream, lines.as_bytes()).is_ok() {}
}

fn answer_as_an_old_engine(mut client: UnixStream) {
    let _ = client.read(&mut [0; 4096]);
    let _ = client.write_all(b"HTTP/1.0 200 OK\r\nServer: Docker/19.03.15 (linux)\r\n\r\nOK");
}

fn tool(directory: &Path, name: &str, verb: &str, mode: &str) {
    note(directory, &format!("{name} {verb}"));
    if let Some(variables) = mode.strip_prefix("variables ") {
        for variable in variables.split(' ') {
            note(
                directory,
                &format!("{name} {verb} {variable}={}", std::env::var(variable).unwrap_or_default()),
            );
        }
    }
    // A node with another kind of network or storage; what else it does follows.
    let word = if name == "dind-net" { "bridged" } else { "loop" };
    let (other, mode) = mode.strip_prefix(word).map_or((false, mode), |rest| (true, rest.trim()));
    let schema = name.replace('-', ".");
    if mode == format!("hang {verb}") {
        std::thread::park();
    }
    if mode == format!("fail {verb}") {
        let error = r#"{"code":"stub-failed","message":"cannot please `test`: it asked for this","causes":[],"hint":"none"}"#;
        println!(r#"{{"schema":"{schema}/v1","ok":false,"mode":"{verb}","error":{error},"steps":[]}}"#);
        exit(78);
    }
    if mode == format!("babble {verb}") {
        println!("hello");
        return;
    }
    let root = directory.display();
    let (mut steps, mut config) = ("[]", "{}".to_owned());
    let mut result = config.clone();
    if name == "dind-storage" {
        let backing = if other { "loop" } else { "native" };
        let store = if mode == "containerd" { mode } else { "graph" };
        result = format!(
            r#"{{"data_root":"{root}","backing":"{backing}","driver":"overlay2","store":{{"name":"{store}"}}}}"#
        );
        config = format!(r#"{{"data-root":"{root}"}}"#);
    } else if other {
        result = r#"{"mode":"bridged","range":"10.77.1.0/24","uplink":"eth0"}"#.to_owned();
        steps = r#"[{"op":"write-journal","target":"/run/dind/net.json","state":"planned"}]"#;
    }
    println!(
        r#"{{"schema":"{schema}/v1","ok":true,"mode":"{verb}","changed":false,"result":{result},"engine":{{"config":{config},"path_prepend":[]}},"steps":{steps},"warnings":[]}}"#
    );
}
