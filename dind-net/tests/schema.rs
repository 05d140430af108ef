//! The checked-in schema is the one that the types give.

#![allow(clippy::unwrap_used)]

#[test]
fn schema_json_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.json");
    let text = format!("{:#}\n", dind_net::schema());
    if std::env::var_os("DIND_UPDATE").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), text, "run the test with DIND_UPDATE=1");
}
