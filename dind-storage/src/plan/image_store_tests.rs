//! Which store, for which data root, engine and request.

use super::*;
use EngineVersion::{Before29, Exact, From29, Unknown};

fn question(engine: EngineVersion) -> Question {
    Question {
        asked: None,
        driver: Driver::Overlay2,
        driver_asked: false,
        seeds: Vec::new(),
        as_flags: false,
        quotas: false,
        engine,
    }
}

const EMPTY: Content = Content { graph: false, graph_before: false, containerd: false };
const GRAPH: Content = Content { graph: true, graph_before: true, containerd: false };
const EMPTIED: Content = Content { graph: false, graph_before: true, containerd: false };
const CONTAINERD: Content = Content { graph: false, graph_before: false, containerd: true };
const CHANGED: Content = Content { graph: false, graph_before: true, containerd: true };
const BOTH: Content = Content { graph: true, graph_before: true, containerd: true };

fn choice(question: &Question, content: Content) -> (ImageStore, Reason) {
    let store = question.answer(Some(&content)).unwrap().store;
    assert_eq!(store.snapshotter.is_some(), store.name == Containerd);
    (store.name, store.reason)
}

#[test]
fn auto_keeps_what_the_data_root_is_and_gives_a_new_one_what_the_engine_would() {
    for (engine, content, expected) in [
        (Exact(20, 10), EMPTY, (Graph, Reason::EngineDefault)),
        (Before29, EMPTY, (Graph, Reason::EngineDefault)),
        (Exact(28, 5), EMPTY, (Graph, Reason::EngineDefault)),
        (From29, EMPTY, (Containerd, Reason::EngineDefault)),
        (Exact(30, 0), EMPTY, (Containerd, Reason::EngineDefault)),
        (Unknown, EMPTY, (Graph, Reason::EngineUnknown)),
        (From29, GRAPH, (Graph, Reason::Kept)),
        (From29, EMPTIED, (Graph, Reason::Kept)),
        (From29, CONTAINERD, (Containerd, Reason::Kept)),
        (Exact(28, 5), CONTAINERD, (Containerd, Reason::Kept)),
        (Unknown, CONTAINERD, (Containerd, Reason::Kept)),
        (Exact(20, 10), CONTAINERD, (Graph, Reason::EngineVersion)),
        (Exact(26, 1), CHANGED, (Containerd, Reason::Kept)),
        (From29, BOTH, (Graph, Reason::Kept)),
    ] {
        assert_eq!(choice(&question(engine), content), expected, "{engine:?} {content:?}");
    }
}

#[test]
fn a_driver_that_is_asked_for_or_has_no_snapshotter_and_seeds_are_for_the_graph_drivers() {
    let asked = Question { driver_asked: true, ..question(From29) };
    assert_eq!(choice(&asked, EMPTY), (Graph, Reason::Driver));
    assert_eq!(choice(&asked, CONTAINERD), (Graph, Reason::Driver));
    let btrfs = Question { driver: Driver::Btrfs, ..question(From29) };
    assert_eq!(choice(&btrfs, EMPTY), (Graph, Reason::Driver));
    let seeds = Question { seeds: vec!["/seed".into()], ..question(From29) };
    assert_eq!(choice(&seeds, EMPTY), (Graph, Reason::Seeds));
    assert_eq!(choice(&seeds, CONTAINERD), (Containerd, Reason::Kept));
    let codes = |question: &Question, content| {
        let warnings = question.answer(Some(&content)).unwrap().warnings;
        warnings.into_iter().map(|warning| warning.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(&seeds, CONTAINERD), [fault::SEED_NOT_USED]);
    assert_eq!(codes(&seeds, EMPTY), [""; 0]);
}

#[test]
fn images_that_are_not_seen_are_told() {
    for (asked, content, warned) in [
        (Some(Containerd), GRAPH, true),
        (Some(Graph), CONTAINERD, true),
        (None, BOTH, true),
        (Some(Containerd), BOTH, true),
        (Some(Containerd), CHANGED, false),
        (None, CHANGED, false),
        (Some(Graph), GRAPH, false),
        (Some(Containerd), EMPTY, false),
    ] {
        let question = Question { asked, ..question(Exact(28, 5)) };
        let Answer { store, warnings } = question.answer(Some(&content)).unwrap();
        assert_eq!(!warnings.is_empty(), warned, "{asked:?} {content:?}");
        assert!(warnings.iter().all(|warning| warning.code == fault::IMAGES_NOT_SEEN), "{warnings:?}");
        assert!(asked.is_none_or(|asked| asked == store.name && store.reason == Reason::Asked));
    }
}

#[test]
fn a_store_that_does_not_work_is_refused() {
    let asked = |engine, driver, as_flags| {
        let asked = Some(Containerd);
        let question = Question { asked, driver, as_flags, ..question(engine) };
        question.answer(Some(&EMPTY)).map_or_else(
            |fault| fault.code.name.to_owned(),
            |answer| answer.store.snapshotter.unwrap_or_default(),
        )
    };
    let unusable = fault::STORE_UNUSABLE.name;
    assert_eq!(asked(Exact(20, 10), Driver::Overlay2, false), unusable);
    assert_eq!(asked(Exact(24, 0), Driver::Overlay2, false), "overlayfs");
    assert_eq!(asked(Unknown, Driver::Overlay2, true), "overlayfs");
    assert_eq!(asked(From29, Driver::Vfs, false), "native");
    assert_eq!(asked(From29, Driver::FuseOverlayfs, false), unusable);
    assert_eq!(asked(From29, Driver::Zfs, false), unusable);
    assert_eq!(asked(Exact(27, 2), Driver::Overlay2, true), fault::STORE_NOT_A_FLAG.name);
    assert_eq!(asked(Exact(27, 3), Driver::Overlay2, true), "overlayfs");
    assert_eq!(asked(From29, Driver::Overlay2, true), "overlayfs");
    // One that is only kept, too: without the flag its images would not be there.
    let kept = Question { as_flags: true, ..question(Exact(26, 1)) };
    assert_eq!(kept.answer(Some(&CONTAINERD)).unwrap_err().code, fault::STORE_NOT_A_FLAG);
}

#[test]
fn what_is_in_an_image_that_is_not_mounted_yet_decides_later() {
    let store = question(From29).answer(None).unwrap().store;
    assert_eq!((store.name, store.reason), (Containerd, Reason::NotMounted));
    let asked = Question { asked: Some(Graph), ..question(From29) };
    assert_eq!(asked.answer(None).unwrap().store.reason, Reason::Asked);
}

#[test]
fn quotas_that_limit_nothing_are_reported_where_the_store_is_known() {
    for (engine, content, quotas, warned) in [
        (From29, Some(EMPTY), true, true),
        (From29, Some(EMPTY), false, false),
        (From29, Some(GRAPH), true, false),
        (Exact(28, 5), Some(EMPTY), true, false),
        (Exact(28, 5), Some(CONTAINERD), true, true),
        // What is in the image decides, once it is mounted.
        (From29, None, true, false),
    ] {
        let question = Question { quotas, ..question(engine) };
        let warnings = question.answer(content.as_ref()).unwrap().warnings;
        let found = warnings.iter().any(|warning| warning.code == fault::QUOTA_UNAVAILABLE);
        assert_eq!(found, warned, "{engine:?} {content:?} {quotas}");
    }
}
