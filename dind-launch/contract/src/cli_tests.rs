//! Options that verbs of several tools have, and forms that the variable asks for.

use super::*;
use clap::{CommandFactory, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "dind-x")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Plan {
        #[command(flatten)]
        machine: Machine,
        #[command(flatten)]
        printing: Printing,
    },
    Apply {
        #[command(flatten)]
        printing: Printing,
    },
    Tls {
        #[command(subcommand)]
        verb: TlsVerb,
    },
}

#[derive(Debug, Subcommand)]
enum TlsVerb {
    Plan {
        #[command(flatten)]
        machine: Machine,
    },
}

fn refused(words: &[&str]) -> String {
    let error = Cli::try_parse_from(["dind-x"].iter().chain(words)).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    explained(error, &Cli::command()).to_string()
}

#[test]
fn an_option_of_another_verb_is_refused_with_the_verbs_that_have_it() {
    let text = refused(&["apply", "--root", "/captured"]);
    assert!(
        text.contains("--root is an option of plan, tls plan; it follows the verb: dind-x plan"),
        "{text}"
    );
    for words in [&["--output", "flags", "plan"][..], &["--output=flags", "plan"]] {
        let text = refused(words);
        assert!(text.contains("dind-x plan --output …"), "{text}");
    }
    let text = refused(&["plan", "--colour"]);
    assert!(text.contains("--colour") && !text.contains("is an option of"), "{text}");
    assert!(refused(&["plan", "--output", "table"]).contains("json, flags"));
}

#[test]
fn the_form_of_another_verb_is_no_error_where_the_variable_asks_for_it() {
    let parse = |text: &str, source| {
        let command = Cli::command();
        Forms::<Output>::default().parse_ref_(&command, None, OsStr::new(text), source)
    };
    for (text, form) in [("flags", Some(Output::Flags)), ("table", None), ("", None), ("svg", None)] {
        assert_eq!(parse(text, ValueSource::EnvVariable).unwrap(), Form(form), "{text}");
    }
    assert!(parse("tabel", ValueSource::EnvVariable).is_err());
    assert!(parse("table", ValueSource::CommandLine).is_err());
}

#[test]
fn an_empty_root_is_this_machine() {
    let Verb::Plan { machine, printing } = Cli::parse_from(["dind-x", "plan", "--root", ""]).verb else {
        panic!("not a plan");
    };
    assert_eq!((machine.root, printing.output()), (PathBuf::from("/"), None));
}
