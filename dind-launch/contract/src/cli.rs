//! Command lines: the options that verbs of several tools have, and a hint where one is given to another verb.
//!
//! A verb offers what it uses, and nothing else. Variables are shared by everything in a container, so one that a verb does not use
//! is no error.

use crate::fault::{Code, Fault};
use crate::help::Help;
use clap::builder::{EnumValueParser, OsStringValueParser, PossibleValue, StyledStr, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, Args, Command, Error, Parser, ValueEnum};
use std::ffi::{OsStr, OsString};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// The variable of `--root`.
const ROOT: &str = "DIND_ROOT";

/// All forms that a verb of any tool has.
const FORMS: [&str; 6] = ["json", "flags", "auto", "table", "openmetrics", "svg"];

/// How the result is printed on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One line, one JSON object.
    #[default]
    Json,
    /// The `engine.config` fragment as `dockerd` flags on one line, for `dockerd $(…)` in a shell script.
    Flags,
}

/// Flatten into a verb that prints a document.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Printing {
    /// What to print on stdout [default: json; on a terminal an error is printed as text alone].
    #[arg(long, value_name = "FORM", env = "DIND_OUTPUT", value_parser = Forms::<Output>::default())]
    pub output: Option<Form<Output>>,
}

impl Printing {
    /// The form that was asked for.
    #[must_use]
    pub fn output(self) -> Option<Output> {
        self.output.and_then(|form| form.0)
    }
}

/// A form that was asked for; none where the variable asks for one that only other verbs have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form<T>(pub Option<T>);

/// Parses [`Form`]: as a flag, only what the verb has. The variable is everybody's, and may be meant for another verb.
#[derive(Clone, Debug)]
pub struct Forms<T>(PhantomData<fn() -> T>);

impl<T> Default for Forms<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: ValueEnum + Clone + Send + Sync + 'static> TypedValueParser for Forms<T> {
    type Value = Form<T>;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Form<T>, Error> {
        EnumValueParser::<T>::new().parse_ref(command, arg, value).map(|form| Form(Some(form)))
    }

    fn parse_ref_(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
        source: ValueSource,
    ) -> Result<Form<T>, Error> {
        let ours = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let is_ours = ours.into_iter().any(|form| value == form.get_name());
        let is_known = value.is_empty() || FORMS.iter().any(|form| value == *form);
        if source == ValueSource::EnvVariable && is_known && !is_ours {
            return Ok(Form(None));
        }
        self.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(T::value_variants().iter().filter_map(ValueEnum::to_possible_value)))
    }
}

/// Flatten into a verb that changes nothing, and can look at another machine.
#[derive(Args, Clone, Debug)]
pub struct Machine {
    /// Read the machine's facts below this directory instead of `/`; verbs without this option refuse its variable.
    #[arg(long, value_name = "DIR", default_value = "/", env = ROOT, value_parser = OsStringValueParser::new().map(directory))]
    pub root: PathBuf,
}

/// An empty variable counts as unset.
fn directory(text: OsString) -> PathBuf {
    if text.is_empty() { "/".into() } else { text.into() }
}

/// The machine that is meant where a verb has no `--root`: the variable is no reason to change this one.
#[must_use]
pub fn environment_root() -> PathBuf {
    directory(std::env::var_os(ROOT).unwrap_or_default())
}

/// Refuses `DIND_ROOT` for a verb that looks at this machine or changes it.
///
/// # Errors
/// `code`, where the variable names another root.
pub fn refuse_root(verb: &str, code: Code) -> Result<(), Fault> {
    let root = environment_root();
    if root == Path::new("/") {
        return Ok(());
    }
    let cause = "only a plan can be made for another machine";
    let fault = code.failed(format_args!("cannot {verb} below `{}`", root.display()), cause);
    Err(fault.hint("unset DIND_ROOT; `plan --root` reads another machine"))
}

/// An empty variable counts as unset: Compose files and CI systems pass `NAME=` for "not given".
#[must_use]
pub fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// Parses a command line. One that is wrong, or asks for help, ends the process.
pub fn parse<C: Parser>(words: impl IntoIterator<Item = OsString>, help: &Help) -> C {
    let words: Vec<_> = words.into_iter().collect();
    C::try_parse_from(&words).unwrap_or_else(|error| match error.kind() {
        // What only help shows is made for help alone: a node does not start later for it.
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            help.add_to(C::command()).try_get_matches_from(&words).err().unwrap_or(error).exit()
        }
        _ => explained(error, &C::command()).exit(),
    })
}

/// Names the verbs that have an option which was given to another one, or before the verb.
fn explained(mut error: Error, command: &Command) -> Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else { return error };
    let option = given.split(['=', ' ']).next().unwrap_or_default().to_owned();
    let mut verbs = Vec::new();
    with_option(command, option.trim_start_matches('-'), "", &mut verbs);
    if let Some(first) = verbs.first() {
        let tip = format!("{} {first} {option} …", command.get_name());
        let tip = format!("{option} is an option of {}; it follows the verb: {tip}", verbs.join(", "));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
    }
    error
}

/// The verbs that have an option, such as `tls plan`.
fn with_option(command: &Command, long: &str, before: &str, verbs: &mut Vec<String>) {
    for verb in command.get_subcommands() {
        let name = format!("{before}{}", verb.get_name());
        let has = |arg: &Arg| arg.get_long() == Some(long) && !arg.is_hide_set();
        if verb.get_arguments().any(has) {
            verbs.push(name.clone());
        }
        with_option(verb, long, &format!("{name} "), verbs);
    }
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
