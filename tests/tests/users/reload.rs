//! daemon.json changed while the node runs.

use dind_tests::eventually;
use dind_tests::outer::{LIMIT, Node, SLEEP, docker};
use serde_json::{Value, json};

fn write(node: &Node, text: &str) {
    node.exec(&["sh", "-c", "mkdir -p /etc/docker; echo \"$0\" >/etc/docker/daemon.json", text]).ok();
}

fn reload(node: &Node) -> (i32, Value) {
    let done = node.exec(&["dind-launch", "reload"]);
    let document = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{done:?}"));
    (done.status, document)
}

fn labels(node: &Node) -> String {
    node.inner(&["info", "--format", "{{.Labels}}"])
}

#[test]
fn hup_to_a_node_whose_service_is_the_engine_reloads_its_settings() {
    let node = Node::start(&[], &[]);
    node.until_running();
    write(&node, r#"{"labels": ["met=hup"]}"#);
    docker(&["kill", "--signal", "HUP", &node.name]).ok();
    eventually("the engine has the label", LIMIT, || (labels(&node) == "[met=hup]").then_some(()));
    assert_eq!(node.record()["daemon_json"]["labels"], json!(["met=hup"]));
    assert_eq!(node.stop().0, 0, "{}", node.log());
}

#[test]
fn reload_says_what_has_changed_and_what_needs_a_restart() {
    let node = Node::start(&["--env", "DIND_ENGINE_RESTART=on-failure:1"], SLEEP);
    node.until_running();
    write(&node, r#"{"labels": ["a=b"], "debug": true, "log-driver": "none"}"#);
    let (status, document) = reload(&node);
    assert_eq!((status, &document["changed"]), (0, &json!(true)), "{document}");
    assert_eq!(document["result"], json!({"changed": ["debug", "labels"], "needs_restart": ["log-driver"]}));
    assert_eq!(labels(&node), "[a=b]");
    assert_eq!(reload(&node).1["result"]["changed"], json!([]));
    // What is taken out of the file is taken out of the engine, too.
    write(&node, "{}");
    assert_eq!(reload(&node).1["result"], json!({"changed": ["debug", "labels"], "needs_restart": []}));
    assert_eq!(labels(&node), "[]");
    assert_eq!(node.inner(&["info", "--format", "{{.Debug}}"]), "false");
}

#[test]
fn an_invalid_file_changes_nothing() {
    let node = Node::start(&[], SLEEP);
    node.until_running();
    write(&node, r#"{"labels": ["a=b"]}"#);
    assert_eq!(reload(&node).0, 0);
    let merged = || node.exec(&["cat", "/run/dind/daemon.json"]).ok();
    let before = merged();
    for (text, code) in [
        ("{", "daemon-json-invalid"),
        (r#"{"labels": ["a=c"], "no-such-key": 1}"#, "reload-refused"),
        (r#"{"labels": ["a=c"], "debug": "perhaps"}"#, "reload-refused"),
        (r#"{"labels": ["a=c"], "live-restore": true}"#, "daemon-arg-owned"),
    ] {
        write(&node, text);
        let (status, document) = reload(&node);
        assert_eq!((status, &document["error"]["code"]), (78, &json!(code)), "{text}: {document}");
        assert_eq!((labels(&node), merged()), ("[a=b]".to_owned(), before.clone()), "{text}");
    }
    write(&node, r#"{"labels": ["a=d"]}"#);
    let (status, document) = reload(&node);
    assert_eq!(status, 0, "{document}");
    assert_eq!(labels(&node), "[a=d]");
}

/// An engine that reports each reload to a socket that nobody reads waits there for ever.
#[test]
fn a_node_reloads_as_often_as_it_is_asked() {
    let node = Node::start(&[], SLEEP);
    node.until_running();
    for number in 0..12 {
        write(&node, &format!(r#"{{"labels": ["number={number}"]}}"#));
        let (status, document) = reload(&node);
        assert_eq!((status, &document["result"]["changed"]), (0, &json!(["labels"])), "{number}: {document}");
        assert_eq!(labels(&node), format!("[number={number}]"));
        // What is refused leaves nothing for the next one to be taken for.
        write(&node, r#"{"labels": ["a=b"], "debug": "perhaps"}"#);
        let (status, document) = reload(&node);
        assert_eq!(
            (status, &document["error"]["code"]),
            (78, &json!("reload-refused")),
            "{number}: {document}"
        );
    }
}

/// moby/moby#36632: what a flag sets, the file cannot change.
#[test]
fn a_reload_names_what_a_flag_overrides() {
    let node = Node::start(&["--env", "DOCKER_DAEMON_ARGS=--label a=b --debug"], SLEEP);
    node.until_running();
    for (text, changed) in [
        (r#"{"labels": ["c=d"], "debug": true}"#, json!([])),
        (r#"{"labels": ["c=d"], "debug": true, "shutdown-timeout": 7}"#, json!(["shutdown-timeout"])),
    ] {
        write(&node, text);
        let (status, document) = reload(&node);
        assert_eq!((status, &document["result"]["changed"]), (0, &changed), "{document}");
        let [warning] = &document["warnings"].as_array().unwrap()[..] else { panic!("{document}") };
        assert_eq!(warning["code"], "setting-overridden");
        assert_eq!(warning["message"], r#"a flag of dockerd overrides `labels`: daemon.json has ["c=d"]"#);
        assert_eq!(labels(&node), "[a=b]");
    }
}
