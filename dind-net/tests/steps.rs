//! What `plan` prints is the list that `apply` goes through, for every captured machine, and a failure goes the same way back.

#![allow(clippy::unwrap_used)]

use clap::{CommandFactory, Parser};
use dind_contract::step::{Applied, Apply, Journal, Step as _, planned};
use dind_contract::{Fault, StepReport, StepState, Steps};
use dind_net::cli::{Cli, Verb};
use dind_net::facts::Facts;
use dind_net::options::Options;
use dind_net::plan;
use dind_net::plan::step::{OPS, Step};
use dind_system::Root;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A step that is noted instead of made.
struct Noted(Step);

impl dind_contract::step::Step for Noted {
    fn op(&self) -> &'static str {
        self.0.op()
    }

    fn target(&self) -> String {
        self.0.target()
    }

    fn holds(&self) -> bool {
        self.0.holds()
    }
}

impl Apply for Noted {
    type Context = Vec<String>;

    fn apply(&self, made: &mut Vec<String>) -> Result<Applied<Vec<String>>, Fault> {
        let word = format!("{} {}", self.op(), self.target());
        made.push(word.clone());
        Ok(Applied::undo(move |made: &mut Vec<String>| made.pop() == Some(word)))
    }
}

/// The steps that a document has, and those that are decided for its machine; nothing where there is no plan of a machine.
fn steps_of(case: &Path) -> Option<(Vec<StepReport>, Vec<Step>)> {
    let args = fs::read_to_string(case.join("args")).unwrap();
    let command = Cli::command();
    let plan = command.find_subcommand("plan").unwrap();
    let (mut words, mut flags) = (vec!["dind-net".to_owned()], Vec::new());
    for word in args.split_whitespace() {
        match word.split_once('=').filter(|(name, _)| !name.starts_with('-')) {
            Some((variable, value)) => {
                let mut arguments = plan.get_arguments();
                let argument =
                    arguments.find(|argument| argument.get_env().is_some_and(|env| env == variable));
                flags.push(format!("--{}={value}", argument.unwrap().get_long().unwrap()));
            }
            None => words.push(word.to_owned()),
        }
    }
    let cli = Cli::parse_from(words.into_iter().chain(flags));
    let Verb::Plan { address: None, texts, .. } = cli.verb else { return None };
    let expected = fs::read_to_string(case.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let decided = Options::parse(&texts).and_then(|options| {
        let facts = Facts::observe(&Root::at(case.join("root")), &options)?;
        plan::decide(&facts, &options)
    });
    match decided {
        Err(fault) => {
            assert_eq!(expected["error"]["code"], fault.code.name, "{}", case.display());
            None
        }
        // Flags have no steps: what is decided is all there is.
        Ok(plan) if expected.is_string() => Some((planned(&plan.steps).0, plan.steps)),
        Ok(plan) => Some((serde_json::from_value(expected["steps"].clone()).unwrap(), plan.steps)),
    }
}

#[test]
fn the_steps_of_a_plan_are_those_of_an_apply() {
    let directory = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases")).unwrap();
    let mut cases: Vec<PathBuf> = directory.map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let mut seen = 0;
    for (case, (documented, decided)) in cases.iter().filter_map(|case| Some((case, steps_of(case)?))) {
        assert_eq!(documented, planned(&decided).0, "{}", case.display());
        for step in &documented {
            assert!(OPS.contains(&step.op.as_str()), "{} is not a known op", step.op);
        }
        let noted: Vec<Noted> = decided.into_iter().map(Noted).collect();
        let (mut made, mut journal) = (Vec::new(), Journal::default());
        journal.run(&noted, &mut made).unwrap();
        let due: Vec<_> = documented.iter().filter(|step| step.state == StepState::Planned).collect();
        let words: Vec<_> = due.iter().map(|step| format!("{} {}", step.op, step.target)).collect();
        assert_eq!(made, words, "{}", case.display());
        // Undone in reverse: each undo finds its own word at the end.
        let Steps(undone) = journal.undo(&mut made);
        assert_eq!(made, Vec::<String>::new(), "{}", case.display());
        for (done, planned) in undone.iter().zip(&documented) {
            assert_eq!((&done.op, &done.target), (&planned.op, &planned.target));
            let skipped = planned.state == StepState::Skipped;
            assert_eq!(done.state, if skipped { StepState::Skipped } else { StepState::Undone });
        }
        assert_eq!(undone.len(), documented.len());
        seen += 1;
    }
    assert!(seen >= 21, "only {seen} plans");
}

#[test]
fn the_readme_has_every_op() {
    let readme = include_str!("../README.md");
    let table = readme.lines().skip_while(|line| !line.starts_with("| op |")).skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    let first: Vec<_> = rows.filter_map(|row| row.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(first, OPS);
}
