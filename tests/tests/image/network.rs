//! Inner containers on the outer network.

use dind_tests::outer::{Network, Node, SLEEP, address_of, ping_from_host};
use dind_tests::seconds;

#[test]
fn bridged_nodes_put_their_inner_containers_on_the_outer_network() {
    let network = Network::new("10.213.0.0/16", "10.213.0.0/24", &[]);
    let start = |offset: &str| {
        let offset = format!("DOCKER_NETWORK_OFFSET={offset}");
        Node::start(&["--network", &network.name, "--env", &offset], SLEEP)
    };
    let (one, two) = (start("0.0.1.0"), start("0.0.2.0"));
    let mut addresses = Vec::new();
    for (node, range) in [(&one, "10.213.1."), (&two, "10.213.2.")] {
        node.until_running();
        let id = node.inner_run(&[], "exec sleep 1000");
        let address = node.inner(&["inspect", "--format", "{{.NetworkSettings.IPAddress}}", &id]);
        assert!(address.starts_with(range), "{address}");
        let from_host = ping_from_host(&address);
        assert_eq!(from_host.status, 0, "{from_host:?}");
        addresses.push((node, id, address));
    }
    for (from, to) in [(0, 1), (1, 0)] {
        let (node, id, _) = &addresses[from];
        for address in [&*addresses[to].2, "10.213.0.1"] {
            node.inner(&["exec", id, "ping", "-c", "1", "-W", &seconds(5), address]);
        }
    }
    // The node's own address still answers, and still is what the outer engine thinks it is.
    assert_eq!(ping_from_host(&address_of(&one.name)).status, 0);
    assert_eq!(one.stop().0, 143, "{}", one.log());
}
