//! `schema.json` is the schema of the report's types. `DIND_UPDATE=1` rewrites it.

#[test]
fn the_schema_on_disk_is_that_of_the_types() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.json");
    dind_tests::captured::assert_written(file, &format!("{:#}\n", dind_reaper::schema()));
}
