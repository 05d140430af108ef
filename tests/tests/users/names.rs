//! Names, in every inner container and build.

use crate::{Outer, node_on};
use dind_tests::outer::{Network, inner_image};

/// docker-library/docker#407; Mesos tasks without a network are on that of the host.
#[test]
fn names_of_the_outer_network_resolve_in_containers_and_builds_on_the_network_of_the_node() {
    let network = Network::new("10.233.0.0/16", "10.233.0.0/24", &[]);
    let web =
        Outer::start(&["--network", &network.name], "echo from outside > /index.html; exec httpd -f -p 80");
    let page = format!("wget -q -O - http://{}/", web.name);
    for mode in ["", "auto"] {
        let node = node_on(&network, &["--env", &format!("DOCKER_NETWORK_OFFSET={mode}")]);
        node.until_running();
        node.inner(&["network", "create", "own"]);
        for inner in ["host", "bridge", "own"] {
            let run = ["run", "--rm", "--network", inner, &inner_image(), "sh", "-c", &page];
            assert_eq!(node.inner(&run), "from outside", "`{mode}` {inner}");
        }
        for kit in ["0", "1"] {
            for build in ["host", "default"] {
                let file = format!("FROM {}\\nRUN {page} | grep outside\\n", inner_image());
                let script = format!(
                    "printf '{file}' | DOCKER_BUILDKIT={kit} docker build --no-cache --network {build} -"
                );
                let built = node.exec(&["sh", "-c", &script]);
                assert_eq!(
                    built.status, 0,
                    "`{mode}` {build}, BuildKit {kit}: {} {}",
                    built.stdout, built.stderr
                );
            }
        }
    }
}
