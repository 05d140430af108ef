//! Checks whether the seeds that are given can be used. `dind-storage` knows; its plan is asked.

use crate::doctor::facts::NodeArgs;
use crate::doctor::report::Checks;
use crate::process::sibling::Tools;
use dind_contract::{Failure, Report};
use dind_system::Helper;
use serde_json::Value;
use std::time::Duration;

const SEEDS: &str = "seeds";

/// A plan takes a few milliseconds, and a seed that is new to the data root is read.
const LIMIT: Duration = Duration::from_secs(10);

/// Nothing where none is given, or where the tool is missing, which is another check's finding.
pub(super) fn evaluate(args: &NodeArgs, checks: &mut Checks) {
    if args.seeds.is_empty() {
        return;
    }
    let Some(tool) = Tools::find(None).ok().and_then(|tools| Helper::find(tools.storage.to_str()?)) else {
        return;
    };
    let mut words = vec!["plan", "--seed", &args.seeds, "--data-root", args.data_root()];
    for (flag, value) in [("--driver", &args.driver), ("--backing", &args.backing)] {
        words.extend((!value.is_empty()).then_some([flag, value.as_str()]).into_iter().flatten());
    }
    let tool = tool.args(words).keep(&["DIND_STORAGE_IMAGE", "DIND_STORAGE_SEED_MISSING"]);
    let Ok(done) = tool.run(LIMIT) else { return };
    if let Ok(Failure { error, .. }) = serde_json::from_str(&done.stdout)
        && (error.code.starts_with("seed") || error.message.contains(&args.seeds))
    {
        return checks.missing(SEEDS, error.message, &error.hint);
    }
    let Ok(Report::<Value> { result, .. }) = serde_json::from_str(&done.stdout) else { return };
    let seeds = result.get("seeds").and_then(Value::as_array);
    let images = |seed: &Value| seed.get("images").and_then(Value::as_array).map_or(0, Vec::len);
    let count: usize = seeds.into_iter().flatten().map(images).sum();
    checks.ok(SEEDS, format!("{} can be used: {count} images", args.seeds));
}
