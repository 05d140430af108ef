//! A plan is what an apply goes through, and a failure goes the same way back.

use dind_contract::step::{Applied, Apply, Journal, Step, Undo, planned};
use dind_contract::{Code, ExitCode, Fault, StepState, Steps};

/// Writes its letter into the context, unless it is to fail.
struct Letter(char, Kind);

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Holds,
    FoundDone,
    WithPrevious,
    Keeps,
    StaysThere,
    Fails,
}

impl Step for Letter {
    fn op(&self) -> &'static str {
        "write-letter"
    }

    fn target(&self) -> String {
        self.0.to_string()
    }

    fn holds(&self) -> bool {
        self.1 == Kind::Holds
    }
}

impl Apply for Letter {
    type Context = String;

    fn apply(&self, context: &mut String) -> Result<Applied<String>, Fault> {
        match self.1 {
            Kind::FoundDone => return Ok(Applied::Skipped),
            Kind::Fails => return Err(Code::new("broken", ExitCode::Io).cannot("write", self.0, "no ink")),
            _ => context.push(self.0),
        }
        let letter = self.0;
        Ok(match self.1 {
            Kind::WithPrevious => Applied::Done(Undo::WithPrevious),
            Kind::Keeps => Applied::Done(Undo::Keep),
            Kind::StaysThere => Applied::undo(|_| false),
            _ => Applied::undo(move |context: &mut String| {
                let at = context.rfind(letter);
                at.inspect(|at| context.truncate(*at)).is_some()
            }),
        })
    }
}

fn shown(steps: &Steps) -> String {
    let one = |step: &dind_contract::StepReport| {
        let state = match step.state {
            StepState::Planned => 'p',
            StepState::Done => 'd',
            StepState::Skipped => 's',
            StepState::Undone => 'u',
        };
        format!("{}{state}", step.target)
    };
    steps.0.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_planned_is_what_is_done() {
    let steps = [
        Letter('a', Kind::Plain),
        Letter('b', Kind::Holds),
        Letter('c', Kind::FoundDone),
        Letter('d', Kind::Keeps),
    ];
    assert_eq!(shown(&planned(&steps)), "ap bs cp dp");
    let (mut journal, mut context) = (Journal::default(), String::new());
    journal.run(&steps, &mut context).unwrap();
    let done = journal.keep();
    assert_eq!((shown(&done).as_str(), context.as_str()), ("ad bs cs dd", "ad"));
    assert!(done.changed());
}

#[test]
fn a_failure_takes_back_what_was_done_and_the_last_first() {
    let steps = [
        Letter('a', Kind::Plain),
        Letter('b', Kind::WithPrevious),
        Letter('c', Kind::FoundDone),
        Letter('d', Kind::WithPrevious),
        Letter('e', Kind::Plain),
        Letter('f', Kind::Fails),
        Letter('g', Kind::Plain),
    ];
    let (mut journal, mut context) = (Journal::default(), String::new());
    let fault = journal.run(&steps, &mut context).unwrap_err();
    assert_eq!((fault.to_string().as_str(), context.as_str()), ("cannot write `f`: no ink", "abde"));
    let left = journal.undo(&mut context);
    assert_eq!((shown(&left).as_str(), context.as_str()), ("au bu cs du eu", ""));
    assert!(!left.changed());
}

#[test]
fn what_cannot_be_taken_back_stays_done() {
    let steps = [
        Letter('a', Kind::Plain),
        Letter('b', Kind::Keeps),
        Letter('c', Kind::StaysThere),
        Letter('d', Kind::WithPrevious),
    ];
    let (mut journal, mut context) = (Journal::default(), String::new());
    journal.run(&steps, &mut context).unwrap();
    assert_eq!(shown(&journal.undo(&mut context)), "au bd cd dd");
}
