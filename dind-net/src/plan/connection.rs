//! How the inner containers are connected: what both modes decide, each in its way.

use crate::options::{DOCKER_BRIDGE, NO_BRIDGE};
use crate::plan::range::Range;
use crate::report::{Bridge, Mode, Network};
use crate::values::AddressPool;
use dind_contract::Engine;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// The bridge, and what the engine is started with for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// `result` of the document.
    pub network: Network,
    /// `engine` of the document.
    pub engine: Engine,
    /// The address of the bridge, with the subnet's prefix; nothing where there is no bridge.
    pub address: Option<Ipv4Net>,
    /// What inner networks carry, in bytes, where it is known.
    pub mtu: Option<u32>,
    /// Bridged mode: the bridge and the range, for outer containers are on that bridge too.
    pub bridged: Option<(String, Ipv4Net)>,
}

impl Connection {
    /// Bridged mode.
    #[must_use]
    pub fn bridged(bridge: &str, address: Ipv4Net, gateway: Ipv4Addr, range: Range<Ipv4Net>) -> Self {
        let mut engine = Engine::default();
        if bridge == DOCKER_BRIDGE {
            engine.set("bip", address.to_string());
        } else {
            // dockerd refuses -b together with --bip, and takes the address that it finds on the bridge.
            engine.set("bridge", bridge);
        }
        engine.set("fixed-cidr", range.net.to_string());
        engine.set("default-gateway", gateway.to_string());
        let network = Network {
            mode: Mode::Bridged,
            bridge: Some(described(bridge, address)),
            gateway: Some(gateway),
            subnet: Some(address.trunc().to_string()),
            range: Some(range.net.to_string()),
            offset: Some(range.offset),
            ..Network::default()
        };
        Self {
            network,
            engine,
            address: Some(address),
            mtu: None,
            bridged: Some((bridge.to_owned(), range.net)),
        }
    }

    /// Default mode.
    #[must_use]
    pub fn default_mode(bridge: &str, address: Ipv4Net, pools: &[AddressPool]) -> Self {
        let mut engine = Engine::default();
        engine.set("bip", address.to_string());
        let network = Network {
            mode: Mode::Default,
            bridge: Some(described(bridge, address)),
            subnet: Some(address.trunc().to_string()),
            ..Network::default()
        };
        let mut connection = Self { network, engine, address: Some(address), mtu: None, bridged: None };
        connection.set_pools(pools);
        connection
    }

    /// A node without a bridge. One that shares its network with others is to leave their rules alone, too.
    #[must_use]
    pub fn without_bridge(pools: &[AddressPool], shared: bool) -> Self {
        let mut engine = Engine::default();
        engine.set("bridge", NO_BRIDGE);
        if shared {
            engine.set("iptables", false);
            engine.set("ip6tables", false);
        }
        let network = Network { mode: Mode::None, ..Network::default() };
        let mut connection = Self { network, engine, address: None, mtu: None, bridged: None };
        connection.set_pools(pools);
        connection
    }

    /// Sets where user-defined networks are cut from; without pools, the engine decides.
    pub fn set_pools(&mut self, pools: &[AddressPool]) {
        if pools.is_empty() {
            return;
        }
        let pool = |pool: &AddressPool| serde_json::json!({"base": pool.base.to_string(), "size": pool.size});
        self.engine.set("default-address-pools", pools.iter().map(pool).collect::<Vec<_>>());
        self.network.pools = pools.iter().map(|pool| pool.base.to_string()).collect();
    }

    /// Sets the MTU in bytes.
    pub fn set_mtu(&mut self, mtu: u32) {
        self.mtu = Some(mtu);
        if let Some(bridge) = &mut self.network.bridge {
            bridge.mtu = Some(mtu);
        }
    }
}

fn described(name: &str, address: Ipv4Net) -> Bridge {
    Bridge { name: name.to_owned(), address: address.to_string(), ..Bridge::default() }
}
