//! Pools that the user has set for the engine (`default-address-pools`): dockerd cuts user-defined networks from them, and the
//! default bridge, unless that has an address of its own.

use crate::fault;
use crate::plan::reached::{Taken, first_free, routed};
use crate::values::AddressPool;
use dind_contract::{Fault, Warning};
use ipnet::{IpNet, Ipv4Net};

/// The first engine that cuts networks of IPv6 one by one. Those before it list all of a pool when they start, and compute with
/// 64 bits of host part at most (moby, `splitNetwork` of libnetwork/ipamutils).
const CUTS_ONE_BY_ONE: u32 = 27;
/// What such an engine lists in a moment: networks, as a power of two.
const LISTED: u8 = 20;
/// The longest prefix of a network with a host beside the bridge.
const LONGEST: u8 = 30;

/// The pools; nothing where there are none.
///
/// dockerd passes over networks that the container reaches. Where none is left it ends, unless its default bridge needs none
/// (`bridge_needs_none`: it has an address already, or does not exist). With an address that is only a setting, versions such as 20.10
/// end all the same (moby, `ElectInterfaceAddresses`), and 28 does not.
///
/// # Errors
/// [`fault::POOL_OVERLAPS`]: all of them overlap what the container reaches. [`fault::POOL_INVALID`]: the engine would run out of
/// memory.
pub fn check(
    pools: &[AddressPool],
    engine: Option<u32>,
    bridge_needs_none: bool,
    reached: &[Taken],
    warnings: &mut Vec<Warning>,
) -> Result<Option<Vec<AddressPool>>, Fault> {
    if pools.is_empty() {
        return Ok(None);
    }
    if engine.is_some_and(|major| major < CUTS_ONE_BY_ONE) {
        check6(pools, warnings)?;
    }
    let near: Vec<_> = reached.iter().filter(|other| !other.far).cloned().collect();
    if v4(pools).next().is_some() && free(pools, &near).is_none() {
        let fault = overlap(pools, &near);
        if !bridge_needs_none {
            return Err(fault);
        }
        warnings.push(Warning::new(fault::POOLS_TAKEN, fault.message, fault.hint));
    }
    if let (Some((base, _)), None) = (v4(pools).next(), free(pools, reached))
        && let Some(Taken { net, what, .. }) = reached.iter().find(|other| other.far && other.overlaps(base))
    {
        warnings.push(routed(base, *net, what));
    }
    Ok(Some(pools.to_vec()))
}

/// The network of the bridge: the first that is free, as dockerd chooses it.
///
/// # Errors
/// [`fault::POOL_OVERLAPS`]: there is none.
pub fn bridge(pools: &[AddressPool], reached: &[Taken], recorded: &[Taken]) -> Result<Ipv4Net, Fault> {
    let all = [reached, recorded].concat();
    let near: Vec<_> = all.iter().filter(|other| !other.far).cloned().collect();
    free(pools, &all).or_else(|| free(pools, &near)).ok_or_else(|| overlap(pools, &all))
}

fn check6(pools: &[AddressPool], warnings: &mut Vec<Warning>) -> Result<(), Fault> {
    for AddressPool { base, size } in pools.iter().filter(|pool| matches!(pool.base, IpNet::V6(_))) {
        let bits = size - base.prefix_len();
        if bits > LISTED {
            return Err(fault::POOL_INVALID
                .cannot(
                    "use the address pool",
                    base,
                    format!("an engine before 27 lists all 2^{bits} networks of it when it starts"),
                )
                .hint(format!("choose a base of /{} or longer for networks of /{size}", size - LISTED)));
        }
        if bits > 0 && *size <= 64 {
            warnings.push(Warning::new(
                fault::POOL_ONE_NETWORK,
                format!("an engine before 27 cuts one network from {base}: its networks of /{size} have more than 63 bits of host part"),
                "choose a longer size, such as 112 for a base of /104",
            ));
        }
    }
    Ok(())
}

fn free(pools: &[AddressPool], taken: &[Taken]) -> Option<Ipv4Net> {
    v4(pools).find_map(|(base, size)| first_free(base, size, taken))
}

fn v4(pools: &[AddressPool]) -> impl Iterator<Item = (Ipv4Net, u8)> {
    pools.iter().filter_map(|pool| match pool.base {
        IpNet::V4(base) if pool.size <= LONGEST => Some((base, pool.size)),
        _ => None,
    })
}

fn overlap(pools: &[AddressPool], taken: &[Taken]) -> Fault {
    let names: Vec<_> = pools.iter().map(|pool| pool.base.to_string()).collect();
    let overlaps = |other: &&Taken| v4(pools).any(|(base, _)| other.overlaps(base));
    let others: Vec<_> =
        taken.iter().filter(overlaps).map(|other| format!("{}, {}", other.net, other.what)).collect();
    let cause = match &others[..] {
        [] => "none holds a network with a host beside the bridge".to_owned(),
        others => format!("all of it overlaps {}", others.join("; ")),
    };
    fault::POOL_OVERLAPS
        .cannot("use the address pools", names.join(", "), cause)
        .hint("choose other default-address-pools, such as {\"base\": \"10.201.0.0/16\", \"size\": 24}, or leave them unset")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::address_pools;

    fn taken(nets: &[(&str, bool)]) -> Vec<Taken> {
        let one = |(net, far): &(&str, bool)| Taken {
            net: net.parse().unwrap(),
            what: "a route over eth0".to_owned(),
            far: *far,
        };
        nets.iter().map(one).collect()
    }

    #[test]
    fn pools_with_a_free_network_pass_and_the_bridge_has_the_first() {
        for (pools, reached, recorded, expected) in [
            ("base=10.9.0.0/16,size=24", &[][..], &[][..], "10.9.0.0/24"),
            ("base=10.9.0.0/16,size=24", &[("10.9.0.0/23", false)], &["10.9.2.0/24"], "10.9.3.0/24"),
            (
                "base=10.9.0.0/16,size=24",
                &[("10.9.0.0/17", true), ("10.9.128.0/32", false)],
                &[],
                "10.9.129.0/24",
            ),
            ("base=10.9.0.0/16,size=24", &[("10.0.0.0/8", true), ("10.9.0.9/32", false)], &[], "10.9.1.0/24"),
            (
                "base=172.17.0.0/12,size=16 base=10.9.0.0/16,size=16",
                &[("172.16.0.0/12", false)],
                &[],
                "10.9.0.0/16",
            ),
            ("base=fd00::/48,size=64 base=10.9.0.0/16,size=20", &[], &[], "10.9.0.0/20"),
            ("base=10.9.0.0/24", &[], &[], "10.9.0.0/24"),
        ] {
            let pools = address_pools(pools).unwrap();
            let reached = taken(reached);
            let recorded: Vec<_> = recorded.iter().map(|net| (*net, false)).collect();
            let mut warnings = Vec::new();
            assert_eq!(
                check(&pools, None, false, &reached, &mut warnings).unwrap().unwrap().len(),
                pools.len()
            );
            let found = bridge(&pools, &reached, &taken(&recorded)).unwrap();
            assert_eq!(found.to_string(), expected);
            let is_routed = reached.iter().any(|other| other.far && other.overlaps(found));
            let codes: Vec<_> = warnings.iter().map(|warning| warning.code.as_str()).collect();
            assert_eq!(codes, [fault::POOL_ROUTED].repeat(is_routed.into()), "{found}");
        }
    }

    #[test]
    fn pools_that_all_overlap_what_is_on_a_link_are_refused_by_name() {
        let pools = address_pools("base=172.17.0.0/16,size=24 base=10.77.4.0/22,size=24").unwrap();
        let reached = taken(&[("172.16.0.0/12", false), ("10.77.0.0/16", false), ("192.168.0.0/16", false)]);
        let fault = check(&pools, None, false, &reached, &mut Vec::new()).unwrap_err();
        assert_eq!(fault.code, fault::POOL_OVERLAPS);
        let expected = "172.17.0.0/16, 10.77.4.0/22`: all of it overlaps 172.16.0.0/12, a route over eth0; 10.77.0.0/16, a route";
        assert!(fault.message.contains(expected), "{fault}");
        // Networks can be made with --subnet then.
        let mut warnings = Vec::new();
        assert!(check(&pools, None, true, &reached, &mut warnings).unwrap().is_some());
        assert_eq!(warnings[0].code, fault::POOLS_TAKEN);
        assert_eq!(check(&[], None, false, &reached, &mut Vec::new()).unwrap(), None);
        let only6 = address_pools("base=fd00::/48,size=64").unwrap();
        assert!(
            check(&only6, None, false, &reached, &mut Vec::new()).unwrap().is_some(),
            "dockerd's to judge"
        );
    }

    /// moby/moby#40275 and #41438
    #[test]
    fn pools_of_ipv6_that_an_engine_cannot_cut_are_named() {
        for (pool, engine, code) in [
            ("base=fd00:dead:beef::/48,size=96", Some(20), Some(fault::POOL_INVALID.name)),
            ("base=fd00:dead:beef::/48,size=64", Some(20), Some(fault::POOL_ONE_NETWORK)),
            ("base=fd00:dead:beef::/48,size=96", Some(28), None),
            ("base=fd00:dead:beef::/48,size=96", None, None),
            ("base=fd00:dead:beef::/64,size=64", Some(20), None),
            ("base=fd00:dead:beef::/104,size=112", Some(20), None),
            ("base=10.0.0.0/8,size=30", Some(20), None),
        ] {
            let mut warnings = Vec::new();
            let found = check(&address_pools(pool).unwrap(), engine, false, &[], &mut warnings);
            let refused = found.err().map(|fault| fault.code.name.to_owned());
            let warned = warnings.first().map(|warning| warning.code.clone());
            assert_eq!(refused.or(warned).as_deref(), code, "{pool} {engine:?}");
        }
    }
}
