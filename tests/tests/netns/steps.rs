//! What `plan` prints is what `apply` does, step by step, in real namespaces: in each mode, and when there is nothing to do.

use crate::namespace::isolated;
use crate::testbed::Testbed;
use crate::{BRIDGED, UNPROBED};
use dind_tests::steps;

#[test]
fn apply_takes_the_steps_that_plan_prints() {
    let forward = [("DIND_NET_FORWARD", "true")];
    let native = [crate::engine::NATIVE];
    let sets = [&[][..], &forward[..], BRIDGED, UNPROBED, &native[..]];
    let both = [[BRIDGED, &forward].concat(), [UNPROBED, &native].concat()];
    for variables in sets.into_iter().chain(both.iter().map(Vec::as_slice)) {
        isolated(|| {
            let net = Testbed::new();
            let before = net.snapshot();
            let planned = steps(&net.dind_net("plan", variables).ok(), "planned");
            crate::testbed::assert_same(&net.snapshot(), &before, "after a plan");
            assert!(!planned.is_empty(), "{variables:?}");
            assert_eq!(planned, steps(&net.dind_net("apply", variables).ok(), "done"), "{variables:?}");
            // A second time both find everything in place.
            let again = steps(&net.dind_net("plan", variables).ok(), "skipped");
            assert_eq!(again, steps(&net.dind_net("apply", variables).ok(), "skipped"), "{variables:?}");
            net.dind_net("release", &[]).ok();
        });
    }
}
