//! What stops a start before anything changes: invalid input, tools that refuse, a missing engine, another launcher.

use crate::site::{Site, stderr};
use dind_tests::{bin, within};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn invalid_input_is_one_error_and_changes_nothing() {
    for (name, value, text) in [
        ("DOCKER_DAEMON_ARGS", "--exec-root=/x", "the node sets it itself"),
        ("DIND_ROOT", "/captured", "only a plan can be made for another machine"),
        ("DIND_TMP", "tmpfs:5", "DIND_TMP"),
        ("DOCKER_DAEMON_ARGS", "-H tcp://0.0.0.0:2375", "everybody who reaches it would be root"),
        ("DOCKER_DAEMON_ARGS", "--host=tcp://0.0.0.0:2375 --tls=false", "or set DIND_INSECURE_TCP=true"),
        ("DIND_INSECURE_TCP", "perhaps", "DIND_INSECURE_TCP"),
        ("DOCKER_TLS_CERTDIR", "certs", "expected an absolute path"),
        ("DOCKER_TLS_SAN", "ci.example.com", "expected `DNS:NAME` or `IP:ADDRESS`"),
        ("DOCKER_DAEMON_ARGS", "'open", "DOCKER_DAEMON_ARGS"),
        ("LOG", "syslog", "LOG"),
        ("DIND_READY_TIMEOUT", "soon", "DIND_READY_TIMEOUT"),
        ("DIND_STOP_BUDGET", "0", "DIND_STOP_BUDGET"),
        ("DIND_ENGINE_RESTART", "always", "DIND_ENGINE_RESTART"),
        ("DIND_MAIN_STOP_SIGNAL", "SIGNOPE", "DIND_MAIN_STOP_SIGNAL"),
        ("DIND_PRELOAD", "/no/such/directory", "/no/such/directory"),
        ("DIND_TOOLS", "/no/such/directory", "dind-storage"),
    ] {
        let site = Site::new();
        let started = Instant::now();
        let output = site.command(&["run", "--", "true"]).env(name, value).output().unwrap();
        within(format!("{name}={value}"), started.elapsed(), Duration::from_secs(1));
        assert_eq!(output.status.code(), Some(125), "{name}={value}");
        let log = stderr(&output);
        assert_eq!(log.matches("dind-launch: error: ").count(), 1, "{log}");
        assert!(log.contains(text) && log.contains("dind-launch: hint: "), "{log}");
        assert_eq!((site.events(), output.stdout), (Vec::new(), Vec::new()));
    }
}

#[test]
fn a_setting_that_contradicts_a_variable_is_refused_by_name() {
    let site = Site::new();
    let mut command = site.command(&["run", "--", "true"]);
    let output = command.env("DOCKER_DAEMON_ARGS", "-Ds vfs").env("DIND_STORAGE_DRIVER", "overlay2").output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(125));
    let expected = "cannot use `storage-driver` vfs for the engine: DIND_STORAGE_DRIVER is overlay2";
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    assert_eq!(site.events(), Vec::<String>::new());
}

#[test]
fn two_settings_that_exclude_each_other_are_refused_before_anything_changes() {
    let clear = ("DIND_INSECURE_TCP", "true");
    for (pair, text) in [
        ([clear, ("DOCKER_TLS_CERTDIR", "/certs")], "DOCKER_TLS_CERTDIR is /certs: an engine has TLS on all"),
        (
            [clear, ("DOCKER_NETWORK_OFFSET", "0.0.1.0")],
            "in a bridged node every container of the outer network",
        ),
        (
            [("DOCKER_TLS_CERTDIR", "/certs"), ("DOCKER_DAEMON_ARGS", "--tlsverify=false")],
            "DOCKER_TLS_CERTDIR is /certs",
        ),
    ] {
        let site = Site::new();
        let output = site.command(&["run", "--", "true"]).envs(pair).output().unwrap();
        assert_eq!(output.status.code(), Some(125), "{pair:?}");
        let log = stderr(&output);
        assert!(log.contains(text) && log.contains("dind-launch: hint: "), "{log}");
        assert_eq!(site.events(), Vec::<String>::new());
    }
}

#[test]
fn a_ca_that_cannot_be_used_is_found_before_anything_changes() {
    let site = Site::new();
    let certs = site.path().join("certs");
    fs::create_dir_all(certs.join("ca")).unwrap();
    fs::write(certs.join("ca/cert.pem"), "nothing that signs").unwrap();
    let output = site.command(&["run", "--", "true"]).env("DOCKER_TLS_CERTDIR", &certs).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(stderr(&output).contains("the key of this CA is missing"), "{}", stderr(&output));
    assert!(site.events().iter().all(|event| event.ends_with(" plan")), "{:?}", site.events());
    assert_eq!(fs::read_dir(&certs).unwrap().count(), 1);
}

#[test]
fn a_misspelt_variable_is_warned_of_in_log_and_record() {
    let site = Site::new();
    let output =
        site.command(&["run", "--", "true"]).env("DOCKER_NETWORK_OFSET", "0.0.1.0").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let message = "no tool reads the variable DOCKER_NETWORK_OFSET";
    assert!(stderr(&output).contains(message), "{}", stderr(&output));
    let record = site.record();
    // The factor on the suites' bounds is none of the tools' variables either.
    let warning = record["warnings"].as_array().unwrap().iter().find(|warning| warning["message"] == message);
    let warning = warning.unwrap_or_else(|| panic!("{record}"));
    assert_eq!(warning["code"], "variable-unknown");
    assert!(warning["hint"].as_str().unwrap().contains("DOCKER_NETWORK_OFFSET"), "{warning}");
}

#[test]
fn a_tool_that_refuses_its_settings_stops_the_start_before_anything_changes() {
    for (mode, expected) in [
        ("fail plan", "`dind-net plan` failed: cannot please `test`: it asked for this"),
        ("babble plan", "cannot read the document of `dind-net`"),
    ] {
        let site = Site::new().mode("dind-net", mode);
        let output = site.run(&["true"]);
        assert_eq!(output.status.code(), Some(125));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
        assert!(site.events().iter().all(|event| event.ends_with(" plan")), "{:?}", site.events());
    }
}

#[test]
fn a_missing_engine_is_named() {
    let site = Site::new();
    fs::remove_file(site.path().join("dockerd")).unwrap();
    // One of the machine's own would be found where programs usually are.
    let launcher = bin("dind-launch");
    let script = "mount -t tmpfs tmpfs /usr/sbin && exec \"$0\" run -- true";
    let mut command = site.program(&["sh", "-c", script, launcher.to_str().unwrap()]);
    let output = command.env("PATH", "/usr/bin:/bin").output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(stderr(&output).contains("cannot find `dockerd`: it is not on PATH"), "{}", stderr(&output));
    assert_eq!(site.events(), Vec::<String>::new());
}

#[test]
fn a_second_launcher_in_one_container_is_refused_and_status_reports_the_first() {
    let site = Site::new();
    let running = site.spawn(&["sleep", "60"]);
    running.until_state("running");
    let launcher = bin("dind-launch");
    let inside = |args: &[&str]| running.enter(&[&[launcher.to_str().unwrap()], args].concat());
    let second = inside(&["run", "--", "true"]);
    assert_eq!(second.status.code(), Some(125));
    let refusal = stderr(&second);
    assert!(refusal.contains("another dind-launch runs in this container, as its PID 1\n"), "{refusal}");
    assert!(refusal.contains("dind-launch: hint: "), "{refusal}");
    let status: Value = serde_json::from_slice(&inside(&["status"]).stdout).unwrap();
    assert_eq!(
        (&status["result"]["state"], &status["result"]["command"][0]),
        (&"running".into(), &"sleep".into())
    );
    let chart = stderr(&inside(&["status", "--timeline"]));
    let bars = chart.lines().filter(|line| line.contains(['█', '▏'])).count();
    assert!(chart.contains("\nengine ") && bars >= 2, "{chart}");
    // The stub has no API, so the node is not healthy, and says so.
    let healthy = inside(&["status", "--healthy"]);
    assert_eq!(healthy.status.code(), Some(69));
    running.signal(Signal::SIGTERM);
    assert_eq!(running.finish().status.code(), Some(143));
}
