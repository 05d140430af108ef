//! The tools' READMEs against their source and their help.

use crate::{TOOLS, text, tool};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn readme(tool: &str) -> String {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    std::fs::read_to_string(workspace.join(tool).join("README.md")).unwrap()
}

#[test]
fn every_readme_lists_the_codes_and_variables_of_its_tool() {
    for (name, _) in TOOLS {
        let readme = readme(name);
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src/fault.rs");
        let source = std::fs::read_to_string(source).unwrap();
        let codes: Vec<&str> =
            source.split("Code::new(").skip(1).filter_map(|rest| rest.split('"').nth(1)).collect();
        assert!(codes.len() > 3, "{name}: its codes are not in fault.rs");
        for code in codes {
            assert!(readme.contains(&format!("`{code}`")), "{name}: README.md does not mention {code}");
        }
        for variable in variables(name) {
            assert!(
                readme.contains(&format!("`{variable}`")),
                "{name}: README.md does not mention {variable}"
            );
        }
    }
}

#[test]
fn the_launcher_knows_the_variables_of_all_tools() {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dind-launch/src/variables.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let list = source.split("KNOWN: &[&str] = &[").nth(1).unwrap().split("];").next().unwrap();
    let known: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    let read: BTreeSet<String> = TOOLS.iter().flat_map(|(name, _)| variables(name)).collect();
    let read: BTreeSet<&str> = read.iter().map(String::as_str).collect();
    assert_eq!(known, read, "the list in dind-launch/src/variables.rs, and the help of the tools");
}

/// All variables in a tool's help, with those of its verbs.
fn variables(name: &str) -> Vec<String> {
    let mut help = text(&tool(name).arg("--help").output().unwrap().stdout);
    let verbs = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap().to_owned();
    for verb in verbs.lines().filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help")
    {
        help.push_str(&text(&tool(name).args([verb, "--help"]).output().unwrap().stdout));
    }
    let variables: Vec<String> =
        help.split("[env: ").skip(1).map(|rest| rest.split(['=', ']']).next().unwrap().to_owned()).collect();
    assert!(!variables.is_empty(), "{name}: {help}");
    variables
}
