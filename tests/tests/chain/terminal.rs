//! `status` on a terminal is a table, and one line of JSON everywhere else.

use crate::site::{Running, Site};
use dind_tests::terminal::OnTerminal;
use nix::sys::signal::Signal;

/// What `status` shows on a terminal of `columns`, with some variables; it succeeds.
fn shown(running: &Running<'_>, columns: u16, variables: &[(&str, &str)], args: &[&str]) -> String {
    let mut command = running.launcher_command(&[&["status"], args].concat());
    command.env("TERM", "xterm").envs(variables.iter().copied());
    let (status, text) = OnTerminal::spawn(command, columns).to_the_end();
    assert_eq!(status, 0, "{text}");
    text
}

#[test]
fn a_terminal_gets_a_table_with_colour_only_where_it_is_wanted() {
    let site = Site::new().mode("dockerd", "answer").mode("containerd", "answer");
    let running = site.spawn(&["sleep", "60"]);
    running.until_state("running");
    let coloured = shown(&running, 80, &[], &[]);
    assert!(coloured.starts_with("\x1b[32mnode\x1b[0m        running, started "), "{coloured:?}");
    for variables in [[("NO_COLOR", "1")], [("TERM", "dumb")], [("TERM", "")]] {
        let plain = shown(&running, 80, &variables, &[]);
        assert!(plain.starts_with("node        running, started ") && !plain.contains('\x1b'), "{plain:?}");
        for label in ["\nmain        sleep 60 (pid ", "\nengine      Docker Engine", "\nstart       "] {
            assert!(plain.contains(label), "{label}: {plain}");
        }
        assert!(plain.contains("check ") && !plain.contains("{\""), "{plain}");
    }
    // Empty counts as unset.
    assert!(shown(&running, 80, &[("NO_COLOR", "")], &[]).contains('\x1b'));
    let narrow = shown(&running, 50, &[("NO_COLOR", "1")], &[]);
    let too_long = |line: &&str| line.chars().count() > 50 && line.trim().contains(' ');
    assert_eq!(narrow.lines().find(too_long), None, "{narrow}");
    assert!(narrow.lines().count() > shown(&running, 100, &[("NO_COLOR", "1")], &[]).lines().count());
    running.signal(Signal::SIGTERM);
    running.finish();
}

#[test]
fn json_is_one_line_in_every_pipe_and_on_request() {
    let site = Site::new().mode("dockerd", "answer").mode("containerd", "answer");
    let running = site.spawn(&["sleep", "60"]);
    running.until_state("running");
    // A shell entrypoint may have exported what it has for the other tools.
    for output in ["flags", "json", "auto", ""] {
        let piped = running.launcher_command(&["status"]).env("DIND_OUTPUT", output).output().unwrap();
        let text = String::from_utf8(piped.stdout).unwrap();
        assert!(text.starts_with("{\"changed\":") || text.starts_with("{\"schema\":"), "{output}: {text}");
        assert_eq!((piped.status.code(), text.lines().count()), (Some(0), 1), "{output}");
    }
    let on_request = shown(&running, 80, &[], &["--output", "json"]);
    assert!(on_request.starts_with('{') && on_request.lines().count() == 1, "{on_request}");
    let table = running.launcher_command(&["status", "--output", "table"]).output().unwrap();
    assert!(String::from_utf8(table.stdout).unwrap().starts_with("node        running"));
    let wrong = running.launcher_command(&["status"]).env("DIND_OUTPUT", "tabel").output().unwrap();
    assert_eq!((wrong.status.code(), wrong.stdout.len()), (Some(2), 0));
    running.signal(Signal::SIGTERM);
    running.finish();
}

#[test]
fn an_error_on_a_terminal_is_text_alone() {
    let site = Site::new().mode("dockerd", "answer").mode("containerd", "answer");
    let running = site.spawn(&["sleep", "60"]);
    running.until_state("running");
    let record = running.site_record();
    running.signal_inside("STOP", record["engine_pid"].as_i64().unwrap());
    let command = running.launcher_command(&["status", "--healthy"]);
    let (status, text) = OnTerminal::spawn(command, 80).to_the_end();
    assert_eq!(status, 69, "{text}");
    assert!(text.starts_with("dind-launch: error: node is unhealthy: ") && !text.contains('{'), "{text}");
    assert!(text.contains("dind-launch: hint: "), "{text}");
    running.signal(Signal::SIGKILL);
    running.finish();
}
