#![doc = include_str!("../README.md")]

pub mod apply;
pub mod arp;
pub mod bridged;
pub mod change;
pub mod cli;
pub mod facts;
pub mod fault;
pub mod forward;
pub mod inner;
pub mod iptables;
pub mod journal;
pub mod lane;
pub mod links;
pub mod modules;
pub mod names;
pub mod net;
pub mod nft;
pub mod nfwire;
pub mod options;
pub mod plan;
pub mod pool;
pub mod range;
pub mod report;
pub mod rights;
pub mod rtnl;
pub mod rules;
pub mod ruleset;
pub mod uplink;
mod wire;

use cli::{Cli, Verb};
use dind_contract::cli::given;
use dind_contract::{Outcome, Report, Tool};
use facts::Facts;
use options::Options;
use plan::Plan;
use report::Network;

/// Who is talking.
pub const TOOL: Tool = Tool { name: "dind-net", schema: "dind.net/v1" };

/// Does what the command line says.
///
/// # Errors
/// See the README's table of codes.
pub fn run(cli: &Cli) -> Outcome<Network> {
    match &cli.verb {
        Verb::Plan { address, gateway, texts } => {
            if given(address.as_ref()).or(given(gateway.as_ref())).is_some() {
                let question = options::question(address.as_ref(), gateway.as_ref(), texts)?;
                return Ok(Plan::compute(&question, &Options::parse(texts)?)?.draft(&Facts::default()));
            }
            let options = Options::parse(texts)?;
            let facts = Facts::observe(&cli.common.facts(), &options.state)?;
            Ok(Plan::decide(&facts, &options)?.draft(&facts))
        }
        Verb::Apply { texts } => {
            let options = Options::parse(texts)?;
            apply::on_host(&cli.common.facts())?;
            apply::apply(&options)
        }
        Verb::Release { texts } => {
            // What is to be released is in the journal: a bad option is no reason to keep it.
            apply::on_host(&cli.common.facts())?;
            apply::release(&texts.state)
        }
    }
}

/// The JSON Schema of every document that the tool prints.
#[must_use]
pub fn schema() -> serde_json::Value {
    dind_contract::document::schema(TOOL, |generator| vec![generator.subschema_for::<Report<Network>>()])
}
