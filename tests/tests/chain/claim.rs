//! `run --hold` and `claim`: the main process comes later, and is one like any other.

use crate::site::{LIMIT, Running, Site, document, stderr};
use dind_tests::{bin, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A node that waits.
fn held(site: &Site) -> Running<'_> {
    let node = site.spawn_command(site.command(&["run", "--hold"]));
    node.until_state("running");
    assert_eq!(site.record()["hold"], "waiting");
    node
}

/// `dind-launch claim` in the node and in a directory of it, as `docker exec` starts it.
fn claim(site: &Site, node: &Running<'_>, words: &[&str]) -> Command {
    let target = node.pid().to_string();
    let mut command = Command::new("nsenter");
    let script = "cd /usr && exec \"$@\"";
    command.args(["--target", &target, "--pid", "--mount", "--", "sh", "-c", script, "sh"]);
    command.arg(bin("dind-launch")).args(["claim", "--"]);
    site.environment(&mut command).args(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn claimed(site: &Site, node: &Running<'_>, words: &[&str]) -> Output {
    claim(site, node, words).output().unwrap()
}

#[test]
fn the_command_has_the_claimer_s_environment_directory_and_streams_and_its_end_is_the_node_s() {
    let site = Site::new();
    let node = held(&site);
    assert!(!site.events().iter().any(|event| event.contains("reaper")), "it waits");
    let script =
        "read word; echo \"$word $MINE ${DIND_STOP_BUDGET:-unset} $(pwd -P)\"; echo to stderr >&2; exit 7";
    let mut command = claim(&site, &node, &["sh", "-c", script]);
    let mut claimer = command.env("MINE", "own").spawn().unwrap();
    claimer.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let output = claimer.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    assert_eq!(String::from_utf8(output.stdout.clone()).unwrap(), "hello own unset /usr\n");
    assert_eq!(stderr(&output), "to stderr\n");
    let node = node.finish();
    assert_eq!(node.status.code(), Some(7), "{}", stderr(&node));
    assert_eq!(node.stdout, b"", "nothing is the node's own");
    let record = site.record();
    assert_eq!((&record["hold"], &record["exit_status"]), (&"claimed".into(), &7.into()));
    assert_eq!(record["command"], serde_json::json!(["sh", "-c", script]));
    let events = site.events();
    assert_eq!(events.last().map(String::as_str), Some("dind-storage release"), "{events:?}");
}

#[test]
fn a_node_is_claimed_once() {
    let site = Site::new();
    let node = held(&site);
    let first = claim(&site, &node, &["sh", "-c", "read word"]).spawn().unwrap();
    eventually("it is claimed", LIMIT, || (site.record()["hold"] == "claimed").then_some(()));
    let second = claimed(&site, &node, &["true"]);
    assert_eq!(second.status.code(), Some(125));
    assert!(
        stderr(&second).contains("cannot claim the node: it runs `sh -c read word`"),
        "{}",
        stderr(&second)
    );
    let first = first.wait_with_output().unwrap();
    assert_eq!(first.status.code(), Some(1), "its stdin was closed: {}", stderr(&first));
    assert_eq!(node.finish().status.code(), Some(1));
}

#[test]
fn of_many_claims_at_once_one_has_the_node() {
    let site = Site::new();
    let node = held(&site);
    let claims: Vec<_> =
        (0..8).map(|_| claim(&site, &node, &["sh", "-c", "read word; exit 3"]).spawn().unwrap()).collect();
    let mut statuses: Vec<_> =
        claims.into_iter().map(|claim| claim.wait_with_output().unwrap().status.code().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [&[3][..], &[125; 7]].concat());
    assert_eq!(node.finish().status.code(), Some(3));
}

#[test]
fn a_command_that_cannot_be_executed_does_not_cost_the_node() {
    let site = Site::new();
    let node = held(&site);
    let script = site.path().join("run/script");
    fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    Command::new("chmod").arg("+x").arg(&script).status().unwrap();
    for (command, status) in [("no-such-program", 127), ("/etc", 126), ("/run/script", 127)] {
        let refused = claimed(&site, &node, &[command]);
        assert_eq!(refused.status.code(), Some(status), "{command}: {}", stderr(&refused));
        assert!(stderr(&refused).contains(&format!("cannot execute `{command}`")), "{}", stderr(&refused));
    }
    assert_eq!(site.record()["hold"], "waiting");
    assert_eq!(claimed(&site, &node, &["sh", "-c", "exit 4"]).status.code(), Some(4));
    assert_eq!(node.finish().status.code(), Some(4));
}

#[test]
fn signals_to_the_claimer_go_to_the_command_and_the_node_s_stop_goes_to_both() {
    let site = Site::new();
    let node = held(&site);
    let script = "trap 'echo usr1' USR1; trap 'echo term; exit 9' TERM; echo up >/run/up; while :; do read word <>/run/never; done";
    Command::new("mkfifo").arg(site.path().join("run/never")).status().unwrap();
    let mut claimer = claim(&site, &node, &["sh", "-c", script]).spawn().unwrap();
    node.until_up();
    // nsenter has forked for the PID namespace, and stays.
    let children = format!("/proc/{0}/task/{0}/children", claimer.id());
    let pid = fs::read_to_string(children).unwrap().trim().parse().unwrap_or(claimer.id() as i32);
    kill(Pid::from_raw(pid), Signal::SIGUSR1).unwrap();
    let mut seen = BufReader::new(claimer.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert_eq!(seen.next().unwrap(), "usr1");
    node.signal(Signal::SIGTERM);
    assert_eq!(seen.next().unwrap(), "term");
    assert_eq!(claimer.wait().unwrap().code(), Some(9));
    assert_eq!(node.finish().status.code(), Some(9));
}

#[test]
fn the_command_has_the_claimer_s_terminal() {
    let site = Site::new();
    let node = held(&site);
    // Own session, foreground group of the terminal, and its controlling terminal: fields 5, 6, 7 and 8 of proc(5)'s stat.
    let script = "cut -d' ' -f1,6,8 /proc/self/stat; cut -d' ' -f5,6,8 /proc/$$/stat; tty; exit 6";
    let claim = claim(&site, &node, &["sh", "-c", script]);
    let words: Vec<_> = claim.get_args().map(|word| word.to_str().unwrap()).collect();
    let inner = format!(
        "nsenter {}",
        words.iter().map(|word| shell_words::quote(word)).collect::<Vec<_>>().join(" ")
    );
    // script(1) makes a terminal, and the shell is the leader of its session, as the process of `docker exec --tty` is.
    let mut typescript = Command::new("script");
    typescript.args(["--quiet", "--return", "--command", &format!("exec {inner}"), "/dev/null"]);
    let output = site.environment(&mut typescript).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    assert_eq!(output.status.code(), Some(6), "{text} {}", stderr(&output));
    let own: Vec<_> = text.lines().nth(1).unwrap().split(' ').collect();
    assert!(own[0] == own[1] && own[0] == own[2] && own[0] != "-1", "{text}");
    assert!(text.contains("/dev/pts/"), "{text}");
    assert_eq!(node.finish().status.code(), Some(6));
}

#[test]
fn a_claim_waits_for_the_start_and_the_hold_stops_like_an_engine_that_is_the_service() {
    let site = Site::new();
    let node = held(&site);
    node.signal(Signal::SIGTERM);
    assert_eq!(node.finish().status.code(), Some(0));

    let slow = Site::new().mode("dockerd", "silent");
    let node = slow.spawn_command(slow.command(&["run", "--hold"]));
    node.until_event("dockerd start");
    let mut claimer = claim(&slow, &node, &["sh", "-c", "exit 5"]).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(claimer.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "dind-launch: note: the node is still being started\n");
    assert_eq!(slow.record()["state"], "starting");
    // The engine answers now.
    let listener = UnixListener::bind(slow.path().join("run/docker.sock")).unwrap();
    let engine = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let _ = client.read(&mut [0; 4096]);
        let answer = b"HTTP/1.0 200 OK\r\nServer: Docker/20.10.24 (linux)\r\n\r\nOK";
        client.write_all(answer).unwrap();
    });
    assert_eq!(claimer.wait().unwrap().code(), Some(5));
    assert_eq!(node.finish().status.code(), Some(5));
    engine.join().unwrap();
}

#[test]
fn what_cannot_be_held_or_claimed_is_said() {
    let site = Site::new();
    let output = site.command(&["run", "--hold", "--", "true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(stderr(&output).contains("a node that waits gets its command later"), "{}", stderr(&output));
    assert!(site.events().is_empty(), "nothing was started: {:?}", site.events());

    let (status, plan) = document(&site.command(&["plan", "--hold"]).output().unwrap());
    assert_eq!((status, &plan["result"]["command"]), (0, &Value::Array(Vec::new())));

    let other = Site::new();
    let node = other.spawn(&["sh", "-c", "echo up >/run/up; read word <>/run/up; sleep infinity"]);
    node.until_up();
    let refused = claimed(&other, &node, &["true"]);
    assert_eq!(refused.status.code(), Some(125));
    assert!(stderr(&refused).contains("it is running, and does not wait"), "{}", stderr(&refused));
    assert!(!Path::new("/run/dind/claim.sock").exists());
    node.signal(Signal::SIGKILL);
    node.finish();
}
