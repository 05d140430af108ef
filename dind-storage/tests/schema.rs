//! `schema.json` is generated from the types. `DIND_UPDATE=1` rewrites it.

#[test]
fn the_schema_on_disk_is_the_one_of_the_types() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.json");
    dind_tests::captured::assert_written(file, &format!("{:#}\n", dind_storage::schema()));
}
