//! Loads image archives by our own verb, as a shell script would, so that it can run before the main process or beside it.

use super::state::RunState;
use crate::TOOL;
use crate::engine::preload::archives;
use crate::fault;
use crate::paths::SOCKET;
use crate::process::sibling::{self, documents};
use crate::process::tool::OnStopSignal;
use crate::process::{Node, StopReason, init_failed};
use crate::stage::Stage;
use dind_contract::Fault;
use dind_contract::Warning;
use dind_contract::finish::log_warning;
use dind_system::Root;
use nix::sys::statvfs::statvfs;
use std::path::Path;

/// What dind-storage warns of where a data root is nearly full.
const SPACE_LOW: &str = "space-low";

/// How many times its own size an archive takes at most.
const UNPACKED: u64 = 8;

/// Starts it, and waits for it unless the user does not want that.
///
/// # Errors
/// An archive cannot be loaded, or the signal that asks the node to stop.
pub(super) fn start(node: &mut Node, state: &mut RunState) -> Result<(), StopReason> {
    let Some(directory) = state.options.preload.clone() else { return Ok(()) };
    state.writer.begin(Stage::Preload);
    let own = std::env::current_exe().map_err(|error| init_failed("cannot read `/proc/self/exe`", &error))?;
    let (argument, host) = (directory.display().to_string(), format!("unix://{SOCKET}"));
    let tool = sibling::start(node, &own, &["preload", &argument], &[("DOCKER_HOST", &host)])?;
    if !state.options.preload_wait {
        state.preload_process = Some(tool);
        return Ok(());
    }
    match documents(node, [tool], OnStopSignal::Terminate, None) {
        Ok([document]) => state.writer.keep("preload", document),
        Err(StopReason::Fault(fault)) if has_no_room(state, &directory) => go_on(state, &fault),
        Err(reason) => return Err(reason),
    }
    Ok(())
}

/// A node whose data root is full starts, or nobody could prune it: so an archive for which there is no room is a warning there.
fn has_no_room(state: &RunState, directory: &Path) -> bool {
    let storage = state.writer.record.documents.get("storage");
    let is_low = storage.is_some_and(|it| it.warnings.iter().any(|warning| warning.code == SPACE_LOW));
    let largest = archives(&Root::default(), directory).into_iter().flatten();
    let largest = largest.filter_map(|path| Some(path.metadata().ok()?.len())).max();
    let free = statvfs(&state.data_root).map(|found| found.blocks_available() * found.fragment_size());
    // Unpacked, and perhaps beside its compressed layers.
    is_low && free.is_ok_and(|free| largest.is_some_and(|largest| free / UNPACKED < largest))
}

fn go_on(state: &mut RunState, fault: &Fault) {
    let warning = Warning::new(
        fault::PRELOAD_FAILED.name,
        format!("{fault}: the data root has no room for it"),
        "make room, such as by `docker system prune`, and run `dind-launch preload DIRECTORY`, or start the node again",
    );
    log_warning(TOOL, &warning);
    state.writer.record.warnings.push(warning);
}
