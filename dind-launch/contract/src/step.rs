//! One model of a change: what `plan` prints is the list that `apply` goes through, and a failure takes back what was done,
//! in reverse.
//!
//! A plan is a `Vec` of a tool's own [`Step`] type, made by a pure function. Printing it is [`planned`]; making it so is
//! [`Journal::run`]. There is no second list.

#![expect(missing_debug_implementations, reason = "they hold functions")]

use crate::document::{StepReport, StepState, Steps};
use crate::fault::Fault;

/// One change of the machine, known before it is made.
pub trait Step {
    /// Kebab-case verb and noun, such as `mount-image`.
    fn op(&self) -> &'static str;

    /// What it is done to.
    fn target(&self) -> String;

    /// Whether the facts show that there is nothing to do. Such a step is printed as skipped, and is not applied.
    fn holds(&self) -> bool {
        false
    }
}

/// How a [`Step`] is made.
pub trait Apply: Step {
    /// What steps hand on to later ones: open files, locks, warnings.
    type Context;

    /// Makes the change.
    ///
    /// # Errors
    /// It cannot be made; what this very step had begun is taken back.
    fn apply(&self, context: &mut Self::Context) -> Result<Applied<Self::Context>, Fault>;
}

/// What became of a step.
pub enum Applied<C> {
    /// There was nothing to do.
    Skipped,
    /// It is done.
    Done(Undo<C>),
}

impl<C> Applied<C> {
    /// Done, and `undo` takes it back; it says whether it could.
    pub fn undo(undo: impl FnOnce(&mut C) -> bool + 'static) -> Self {
        Self::Done(Undo::By(Box::new(undo)))
    }
}

/// How a change is taken back.
pub enum Undo<C> {
    /// By this function, which says whether it could.
    By(Box<dyn FnOnce(&mut C) -> bool>),
    /// Together with the step before it, whose undo restores what both have changed.
    WithPrevious,
    /// Not at all: what was changed is better as it is now.
    Keep,
}

/// The steps of a document, before they are made.
pub fn planned(steps: &[impl Step]) -> Steps {
    let state = |step: &_| if Step::holds(step) { StepState::Skipped } else { StepState::Planned };
    Steps(steps.iter().map(|step| report(step, state(step))).collect())
}

fn report(step: &impl Step, state: StepState) -> StepReport {
    StepReport { op: step.op().to_owned(), target: step.target(), state }
}

/// What has been done, and how to take it back.
pub struct Journal<C> {
    steps: Steps,
    undo: Vec<(usize, Undo<C>)>,
}

impl<C> Default for Journal<C> {
    fn default() -> Self {
        Self { steps: Steps::default(), undo: Vec::new() }
    }
}

impl<C> Journal<C> {
    /// Makes the steps in their order, up to the first that fails. What was done until then stays, until [`Journal::undo`].
    ///
    /// # Errors
    /// That of the step.
    pub fn run<S: Apply<Context = C>>(&mut self, steps: &[S], context: &mut C) -> Result<(), Fault> {
        for step in steps {
            let applied = if step.holds() { Applied::Skipped } else { step.apply(context)? };
            let state = match applied {
                Applied::Skipped => StepState::Skipped,
                Applied::Done(undo) => {
                    self.undo.push((self.steps.0.len(), undo));
                    StepState::Done
                }
            };
            self.steps.0.push(report(step, state));
        }
        Ok(())
    }

    /// Takes everything back, the last first. What cannot be taken back stays `done` in the steps.
    pub fn undo(mut self, context: &mut C) -> Steps {
        let mut with_previous = Vec::new();
        while let Some((index, undo)) = self.undo.pop() {
            with_previous.push(index);
            let undone = match undo {
                Undo::WithPrevious => continue,
                Undo::By(undo) => undo(context),
                Undo::Keep => false,
            };
            for index in with_previous.drain(..).filter(|_| undone) {
                self.steps.0[index].state = StepState::Undone;
            }
        }
        self.steps
    }

    /// Leaves everything as it is, and gives the steps for the document.
    #[must_use]
    pub fn keep(self) -> Steps {
        self.steps
    }
}
