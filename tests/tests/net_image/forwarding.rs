//! Whether the node forwards, and what happens to what no rule accepts.

use dind_tests::outer::{Node, SLEEP, docker, image, inner_image};

/// The engine's host may forward already, as every one with Docker or podman does: its containers take that over.
const NOT_FORWARDING: [&str; 2] = ["--sysctl", "net.ipv4.ip_forward=0"];

#[test]
fn forwarding_drops_by_default_unless_the_engine_is_told_to_leave_it_off() {
    for (arguments, forwarded, policy) in
        [("", "1", "-P FORWARD DROP"), ("--ip-forward=false", "0", "-P FORWARD ACCEPT")]
    {
        let arguments = format!("DOCKER_DAEMON_ARGS={arguments}");
        let options = [&NOT_FORWARDING[..], &["--env", &arguments]].concat();
        let plan = ["run", "--rm", "--privileged", "--entrypoint", "dind-launch"];
        let planned = docker(&[&plan[..], &options, &[&image(), "plan"]].concat()).ok();
        assert_eq!(planned.contains("enable-forwarding"), forwarded == "1", "{planned}");
        let node = Node::start(&options, SLEEP);
        node.until_running();
        let steps = node.record()["documents"]["net"]["steps"].to_string();
        assert_eq!(steps.contains("enable-forwarding"), forwarded == "1", "{steps}");
        assert_eq!(node.exec(&["cat", "/proc/sys/net/ipv4/ip_forward"]).ok(), forwarded);
        if node.firewall().as_deref() == Some("nftables") {
            // That engine accepts what its own rules do not drop, and leaves the rest to others.
            let ours = node.exec(&["nft", "list", "ruleset"]).ok();
            assert_eq!(ours.contains("policy drop;"), forwarded == "1", "{ours}");
            continue;
        }
        let rules = node.exec(&["iptables", "-S", "FORWARD"]).ok();
        assert!(rules.starts_with(policy) && rules.contains("-j DOCKER-USER"), "{rules}");
    }
}

#[test]
fn forwarding_that_is_on_already_is_left_to_the_engine() {
    let node = Node::start(&["--sysctl", "net.ipv4.ip_forward=1"], SLEEP);
    node.until_running();
    let steps = node.record()["documents"]["net"]["steps"].to_string();
    // That of IPv6, which an engine with nftables only checks, may still be off.
    assert!(!steps.contains("ip_forward"), "{steps}");
    assert_eq!(node.exec(&["cat", "/proc/sys/net/ipv4/ip_forward"]).ok(), "1");
    assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
}
