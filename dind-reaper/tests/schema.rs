//! `schema.json` is what the types say. `DIND_UPDATE=1` rewrites it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

#[test]
fn the_schema_on_disk_is_the_one_of_the_types() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.json");
    let schema = dind_reaper::schema();
    if std::env::var_os("DIND_UPDATE").is_some() {
        fs::write(&file, serde_json::to_string_pretty(&schema).unwrap() + "\n").unwrap();
    }
    let on_disk: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(on_disk, schema, "run the tests with DIND_UPDATE=1");
}
