//! Manifests that fit, and those that do not.

use super::*;

fn manifest() -> Manifest {
    let layer = |parent: Option<&SeedLayer>, text: &str| {
        let diff_id = Digest::of(text.as_bytes());
        SeedLayer {
            chain_id: chain_id(parent.map(|parent| &parent.chain_id), &diff_id),
            diff_id,
            parent: parent.map(|parent| parent.chain_id.clone()),
            cache_id: format!("cache-{text}"),
            link: format!("LINK{text}"),
            size_bytes: 7,
            hides_files: false,
        }
    };
    let base = layer(None, "base");
    let top = layer(Some(&base), "top");
    let image = SeedImage {
        id: Digest::of(b"image"),
        names: vec!["debian:12".to_owned(), format!("registry:5000/a/b@{}", Digest::of(b"1"))],
        layers: vec![base.chain_id.clone(), top.chain_id.clone()],
    };
    Manifest {
        format: FORMAT,
        driver: DRIVER.to_owned(),
        images: vec![image],
        layers: vec![base, top],
        size_bytes: 14,
        digest: Digest::of(b"metadata"),
    }
}

#[test]
fn a_manifest_is_read_as_it_was_written() {
    let scratch = tempfile::tempdir().unwrap();
    let written = manifest();
    std::fs::write(scratch.path().join(NAME), written.text()).unwrap();
    let loaded = Manifest::read(scratch.path()).unwrap();
    assert_eq!(loaded, Loaded { digest: Digest::of(written.text().as_bytes()), manifest: written });
}

#[test]
fn what_does_not_fit_together_is_named() {
    let check = |change: fn(&mut Manifest), cause: &str| {
        let mut changed = manifest();
        assert_eq!(changed.check(), Ok(()));
        change(&mut changed);
        let error = changed.check().unwrap_err();
        assert!(error.contains(cause), "{error}");
    };
    check(|it| it.layers.reverse(), "without its parent");
    check(|it| it.layers[1].diff_id = Digest::of(b"other"), "does not follow");
    check(|it| it.layers.push(it.layers[0].clone()), "listed twice");
    check(|it| it.layers[1].cache_id = "../../etc".to_owned(), "unusable");
    check(|it| it.layers[1].cache_id = "l".to_owned(), "unusable");
    check(|it| it.layers[1].link = it.layers[0].link.clone(), "another's");
    check(|it| it.images[0].layers.reverse(), "another parent");
    check(|it| it.images.push(it.images[0].clone()), "listed twice");
    check(|it| it.images[0].names.push("debian:12".to_owned()), "another's");
    check(|it| it.images[0].names.push("debian\n:12".to_owned()), "unusable");
    check(|it| drop(it.images[0].layers.pop()), "no image has the layer");
}

#[test]
fn another_format_another_driver_and_what_is_no_manifest_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let seed = scratch.path();
    let code = |text: &str| {
        std::fs::write(seed.join(NAME), text).unwrap();
        Manifest::read(seed).unwrap_err()
    };
    let newer = code(r#"{"format":2,"driver":"overlay3","more":[]}"#);
    assert_eq!(newer.code, fault::SEED_INVALID);
    assert!(newer.message.contains("it has format 2; this version reads up to 1"), "{newer}");
    assert_eq!(code(r#"{"format":1,"driver":"aufs"}"#).code, fault::SEED_UNSUITABLE);
    for text in ["", "{}", "[]", r#"{"format":0,"driver":"overlay2"}"#, r#"{"format":1,"driver":"overlay2"}"#]
    {
        assert_eq!(code(text).code, fault::SEED_INVALID, "{text}");
    }
    std::fs::remove_file(seed.join(NAME)).unwrap();
    assert_eq!(Manifest::read(seed).unwrap_err().code, fault::SEED_INVALID);
    std::os::unix::fs::symlink("/etc/passwd", seed.join(NAME)).unwrap();
    assert_eq!(Manifest::read(seed).unwrap_err().code, fault::SEED_INVALID);
    assert_eq!(Manifest::read(&seed.join("none")).unwrap_err().code, fault::SEED_MISSING);
}
