//! The containers of a run, and the room that they have.

use super::known::Known;
use super::place::Place;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// All containers that have been seen.
#[derive(Debug)]
pub(super) struct Containers {
    /// Nothing where it could not be made.
    place: Option<Place>,
    data_root: PathBuf,
    log_limit: u64,
    known: BTreeMap<String, Known>,
    /// Ids of those whose logs are followed, each with whether that is worth beginning again when it ends: something has come, or the
    /// container was started anew. A log that cannot be had (the driver `none`) would be asked for without end.
    followed: BTreeMap<String, bool>,
    /// Ids of those that have ended, the oldest first.
    ended: Vec<String>,
    removed: u64,
    removed_cut: u64,
}

impl Containers {
    pub(super) fn new(place: Option<Place>, data_root: PathBuf, log_limit: u64) -> Self {
        let (known, followed, ended) = Default::default();
        Self { place, data_root, log_limit, known, followed, ended, removed: 0, removed_cut: 0 }
    }

    /// A container that is known.
    pub(super) fn get(&mut self, id: &str) -> Option<&mut Known> {
        self.known.get_mut(id)
    }

    /// How many there are, how many were removed for want of room, and how many bytes of logs are not there.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let cut = self.known.values().map(|known| known.log.cut).sum::<u64>();
        (self.known.len() as u64, self.removed, cut + self.removed_cut)
    }

    /// Makes a container known, or known again.
    pub(super) fn meet(&mut self, id: &str, name: &str) {
        self.ended.retain(|ended| ended != id);
        if !self.known.contains_key(id)
            && let Some(place) = &self.place
            && let Ok(known) = Known::new(place, id, name, self.log_limit)
        {
            self.known.insert(id.to_owned(), known);
        }
    }

    /// Whether its log has to be followed from now on: not where it is already. Begins where it was left.
    pub(super) fn begin_log(&mut self, id: &str) -> bool {
        let Some(known) = self.known.get_mut(id) else { return false };
        if let Some(again) = self.followed.get_mut(id) {
            *again = true;
            return false;
        }
        self.followed.insert(id.to_owned(), false);
        known.resume();
        true
    }

    /// A piece of its log has come.
    pub(super) fn logged(&mut self, id: &str, piece: &[u8]) {
        if let Some(known) = self.known.get_mut(id) {
            known.logged(piece);
            self.followed.entry(id.to_owned()).and_modify(|again| *again = true);
        }
    }

    /// What the API gives of its log has ended. Returns whether more may come, where the container runs.
    pub(super) fn end_log(&mut self, id: &str) -> bool {
        self.followed.remove(id).unwrap_or_default()
    }

    /// The engine is not asked any more.
    pub(super) fn leave_engine(&mut self) {
        self.followed.clear();
        self.known.values_mut().for_each(Known::keep_log_file);
    }

    /// The engine has ended, and all containers with it.
    pub(super) fn engine_ended(&mut self) {
        for id in self.known.keys().cloned().collect::<Vec<_>>() {
            self.end(&id, true);
        }
    }

    /// The engine goes on, and the containers with it: what they have printed by now.
    pub(super) fn engine_left(&mut self) {
        for known in self.known.values_mut() {
            known.read_log_file();
            known.save();
        }
    }

    /// Takes note of a container's end, if it has ended; once its log is no longer followed, what has not come is read from the
    /// engine's files.
    pub(super) fn note_end(&mut self, id: &str) {
        self.end(id, false);
    }

    fn end(&mut self, id: &str, with_engine: bool) {
        let Some(known) = self.known.get_mut(id) else { return };
        if with_engine || (!known.running && !self.followed.contains_key(id)) {
            known.read_log_file();
        }
        if with_engine && known.running {
            known.recorded(&self.data_root);
        }
        known.save();
        if !known.running && !self.ended.iter().any(|ended| ended == id) {
            self.ended.push(id.to_owned());
        }
    }

    /// Removes the oldest of those that have ended, while the next log could not be written.
    pub(super) fn make_room(&mut self) {
        let Some(place) = &self.place else { return };
        while !place.space.has(self.log_limit) && !self.ended.is_empty() {
            if let Some(known) = self.known.remove(&self.ended.remove(0)) {
                self.removed += 1;
                self.removed_cut += known.bytes() + known.log.cut;
                place.remove(&known.directory, known.bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_followed_again_where_something_came_or_the_container_was_started_again() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::of_node(directory.path(), "node", 1 << 20, false).unwrap();
        let mut all = Containers::new(place.sub("containers").ok(), directory.path().into(), 1000);
        all.meet("id", "web");
        assert!(all.begin_log("id"));
        assert!(!all.end_log("id"), "nothing has come");
        assert!(all.begin_log("id"));
        assert!(!all.begin_log("id"), "it was started again");
        assert!(all.end_log("id"));
        assert!(all.begin_log("id"));
        all.logged("id", b"2026-12-01T00:00:00.0Z line\n");
        assert!(all.end_log("id"));
        assert!(all.begin_log("id"));
        assert!(!all.end_log("id"));
    }

    #[test]
    fn the_oldest_that_have_ended_make_room_for_others() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::of_node(directory.path(), "node", 3500, false).unwrap();
        let mut all = Containers::new(place.sub("containers").ok(), directory.path().into(), 1000);
        for id in ["running", "first", "second", "third"] {
            all.meet(id, "web");
            let known = all.get(id).unwrap();
            known.logged(&[b'x'; 450]);
            known.running = id == "running";
            all.note_end(id);
        }
        all.make_room();
        let left =
            |all: &mut Containers| ["running", "first", "second", "third"].map(|id| all.get(id).is_some());
        assert_eq!(left(&mut all), [true, false, true, true]);
        assert_eq!(all.counts().1, 1);
        assert!(all.counts().2 > 450 && place.space.used() < 3000, "{:?}", place.space);
        assert_eq!(std::fs::read_dir(place.path.join("containers")).unwrap().count(), 3);
    }
}
