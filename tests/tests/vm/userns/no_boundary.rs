//! What a user namespace does not stop: root of a node may do with the node's own network what every container may that has
//! `NET_RAW` and `NET_ADMIN` there. The README says so; this shows that it is still true.

use super::place::Place;
use dind_tests::outer::{LIMIT, Node, address_of, docker, inner_image, ping_from_host};
use dind_tests::{eventually, unique};
use std::process::Command;

/// In a node of the set, with the scripts' tools.
pub(super) fn shown(node: &Node) {
    let mut place = Place::of("", &node.name);
    takes_the_address_of_a_neighbour(&mut place);
}

/// On one bridge, whoever says last whose an address is has it. The machine then sends there what is for the neighbour.
fn takes_the_address_of_a_neighbour(place: &mut Place) {
    let neighbour = unique("neighbour");
    docker(&["run", "--detach", "--name", &neighbour, &inner_image(), "sleep", "100000"]).ok();
    let address = address_of(&neighbour);
    let owner = || {
        let shown = Command::new("ip").args(["-brief", "neigh", "show", &address]).output().unwrap();
        String::from_utf8(shown.stdout).unwrap().split_whitespace().nth(2).map(str::to_owned)
    };
    eventually("the neighbour answers", LIMIT, || {
        (ping_from_host(&address).status == 0).then(owner).flatten()
    });
    let taken = format!(
        "b cat /sys/class/net/eth0/address; b ip addr add {address}/32 dev eth0; b arping -U -c 3 -I eth0 {address} >/dev/null"
    );
    let ours = place.run(&taken).split_whitespace().next().map(str::to_owned);
    assert!(ours.is_some());
    eventually("the machine takes the node for the neighbour", LIMIT, || (owner() == ours).then_some(()));
    docker(&["rm", "--force", &neighbour]).ok();
}
