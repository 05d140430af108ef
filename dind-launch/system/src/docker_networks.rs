//! dockerd's own record of its networks, read and never written: `network/files/local-kv.db` in the data root.
//!
//! The launcher asks whether it is stale, dind-net which subnets it holds.

use crate::boltdb::{self, Pair};
use serde_json::Value;

/// Where the record lies below the data root.
pub const FILE: &str = "network/files/local-kv.db";

/// What all keys of the record begin with (moby, libnetwork/datastore). They end with a slash.
pub const PREFIX: &str = "docker/network/v1.0/";

/// The JSON of a value follows the number of its last change.
pub const INDEX: usize = 8;

/// The networks that dockerd creates by itself. No user network can have one of these names.
pub const OWN: [&str; 3] = ["none", "host", "bridge"];

/// A network of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its driver, such as `bridge` or `macvlan`.
    pub driver: String,
    /// Its subnets of IPv4 and IPv6, in CIDR notation.
    pub subnets: Vec<String>,
}

impl Network {
    /// Whether a user has made it.
    #[must_use]
    pub fn is_user_defined(&self) -> bool {
        !OWN.contains(&self.name.as_str())
    }
}

/// The networks of a record, whatever bytes the file has; nothing where it, or one of them, is not understood.
#[must_use]
pub fn read(file: &[u8]) -> Option<Vec<Network>> {
    networks(&boltdb::read(file)?)
}

/// The networks of the record; nothing where one of them is not understood.
#[must_use]
pub fn networks(record: &[Pair]) -> Option<Vec<Network>> {
    let network = |pair: &Pair| {
        let value = value(pair)?;
        let text = |key: &str| value[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let driver = text("networkType").unwrap_or_default();
        Some(Network { id: text("id")?, name: text("name")?, driver, subnets: subnets(&value) })
    };
    let is_network = |pair: &&Pair| matches!(words(pair).as_deref(), Some(["network", _, ..]));
    record.iter().filter(is_network).map(network).collect()
}

/// A list in a text, of objects with an object in a text: `IpamInfo` and `IPAMData` of moby, libnetwork/network.go and
/// libnetwork/driverapi.
fn subnets(network: &Value) -> Vec<String> {
    let parsed = |value: &Value| serde_json::from_str::<Value>(value.as_str()?).ok();
    let lists = ["ipamV4Info", "ipamV6Info"].into_iter().filter_map(|key| parsed(&network[key]));
    let infos = lists.flat_map(|list| list.as_array().cloned().unwrap_or_default());
    infos.filter_map(|info| parsed(&info["IPAMData"])?["Pool"].as_str().map(str::to_owned)).collect()
}

/// The parts of a key after the prefix.
#[must_use]
pub fn words((key, _): &Pair) -> Option<Vec<&str>> {
    Some(str::from_utf8(key).ok()?.strip_prefix(PREFIX)?.split_terminator('/').collect())
}

/// The document of a pair.
#[must_use]
pub fn value((_, value): &Pair) -> Option<Value> {
    serde_json::from_slice(value.get(INDEX..)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn subnets_of_a_network_are_found() {
        let info = |pool: &str| json!({"PoolID": "x", "IPAMData": json!({"Pool": pool}).to_string()});
        let v4 = json!([info("172.18.0.0/16"), info("10.1.0.0/24")]).to_string();
        let document = json!({
            "id": "7", "name": "kept", "networkType": "bridge", "ipamV4Info": v4, "ipamV6Info": "[]",
        });
        let document = document.to_string();
        let value = [&[0; INDEX][..], document.as_bytes()].concat();
        let pair = (format!("{PREFIX}network/7/").into_bytes(), value);
        let subnets = vec!["172.18.0.0/16".to_owned(), "10.1.0.0/24".to_owned()];
        let (id, name, driver) = ("7".to_owned(), "kept".to_owned(), "bridge".to_owned());
        let network = Network { id, name, driver, subnets };
        assert!(network.is_user_defined());
        assert_eq!(networks(&[pair]), Some(vec![network]));
    }
}
