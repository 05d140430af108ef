//! Names that inner containers can resolve.

use crate::{Outer, inner_on, node_on};
use dind_tests::outer::{Network, address_of, inner_image};
use dind_tests::outside::{self, Outside};

#[test]
fn names_of_the_outer_network_and_the_outside_resolve_in_inner_containers() {
    let network = Network::new("10.223.0.0/16", "10.223.0.0/24", &[]);
    let web = Outer::start(&network, "echo from outside > /index.html; exec httpd -f -p 80");
    // The outside is whoever the outer engine asks for names that it does not know.
    let _outside = Outside::at("10.223.0.1");
    for mode in ["", "auto"] {
        let offset = format!("DOCKER_NETWORK_OFFSET={mode}");
        let node = node_on(&network, &["--env", &offset, "--dns", "10.223.0.1"]);
        node.until_running();
        node.inner(&["network", "create", "own"]);
        for inner in ["bridge", "own"] {
            let answer = inner_on(&node, inner, &format!("nslookup {}", web.name));
            assert!(answer.contains(&address_of(&web.name)), "`{mode}` {inner}: {answer}");
            let page = format!("wget -q -O - http://{}/", web.name);
            assert_eq!(inner_on(&node, inner, &page), "from outside", "`{mode}` {inner}");
            let answer = inner_on(&node, inner, &format!("nslookup {}", outside::NAME));
            assert!(answer.contains(outside::ADDRESS), "`{mode}` {inner}: {answer}");
            let resolv = inner_on(&node, inner, "cat /etc/resolv.conf");
            assert!(!resolv.contains("8.8."), "`{mode}` {inner}: {resolv}");
        }
        // What makes the embedded server reachable does not open the node's loopback to anything else.
        node.inner_run(&["--network", "host"], "echo secret > /index.html; exec httpd -f -p 127.0.0.1:7777");
        let peek = "ip addr flush dev lo; ip route flush table local dev lo 2>/dev/null
            ip route add 127.0.0.1/32 via $(ip route | awk '/default/ {print $3}')
            timeout 2 wget -q -O - http://127.0.0.1:7777/ || echo no";
        let run = ["run", "--rm", "--cap-add", "NET_ADMIN", "--sysctl", "net.ipv4.conf.all.route_localnet=1"];
        let image = inner_image();
        let what = ["--network", "own", &image, "sh", "-c", peek];
        assert_eq!(node.inner(&[&run[..], &what].concat()), "no", "`{mode}`");
    }
}
