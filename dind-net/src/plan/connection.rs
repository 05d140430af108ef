//! How the inner containers are connected: what both modes decide, each in its way.

use crate::options::DOCKER_BRIDGE;
use crate::plan::range::Range;
use crate::report::{Bridge, Mode, Network};
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
    /// The address of the bridge, with the subnet's prefix.
    pub address: Ipv4Net,
    /// Bridged mode: the bridge and the range, for outer containers are on that bridge too.
    pub bridged: Option<(String, Ipv4Net)>,
}

impl Connection {
    /// Bridged mode.
    #[must_use]
    pub fn bridged(bridge: &str, address: Ipv4Net, gateway: Ipv4Addr, range: Range) -> Self {
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
            offset: Some(range.offset.into()),
            ..Network::default()
        };
        Self { network, engine, address, bridged: Some((bridge.to_owned(), range.net)) }
    }

    /// Default mode; `pools` is `default-address-pools` of the engine, and their networks.
    #[must_use]
    pub fn default_mode(bridge: &str, address: Ipv4Net, pools: &[(Ipv4Net, u8)]) -> Self {
        let mut engine = Engine::default();
        engine.set("bip", address.to_string());
        let pool = |(base, size): &(Ipv4Net, u8)| serde_json::json!({"base": base.to_string(), "size": size});
        engine.set("default-address-pools", pools.iter().map(pool).collect::<Vec<_>>());
        let network = Network {
            mode: Mode::Default,
            bridge: Some(described(bridge, address)),
            subnet: Some(address.trunc().to_string()),
            pools: pools.iter().map(|(base, _)| base.to_string()).collect(),
            ..Network::default()
        };
        Self { network, engine, address, bridged: None }
    }

    /// Sets the MTU in the document.
    pub fn set_mtu(&mut self, mtu: u32) {
        if let Some(bridge) = &mut self.network.bridge {
            bridge.mtu = Some(mtu);
        }
    }

    /// The MTU of the bridge in bytes, where it is known.
    #[must_use]
    pub fn mtu(&self) -> Option<u32> {
        self.network.bridge.as_ref().and_then(|bridge| bridge.mtu)
    }
}

fn described(name: &str, address: Ipv4Net) -> Bridge {
    Bridge { name: name.to_owned(), address: address.to_string(), ..Bridge::default() }
}
