//! What a tool's help and its manual have beside the options: exit statuses and examples, from one source.

use crate::fault::{Code, ExitCode};
use clap::{Arg, Command};
use std::fmt::Write as _;

/// Statuses of a verb that runs a command: what they are, and what they mean.
pub type Statuses = &'static [(&'static str, &'static str)];

/// A line for a shell, which a test runs.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// The verb, such as `plan` or `tls plan`.
    pub verb: &'static str,
    /// What it is for.
    pub what: &'static str,
    /// The line.
    pub line: &'static str,
}

/// What a tool's manual says beside the command line and the help. No program has it, only the pages: see `dind-docs`. Words in
/// backquotes are names.
#[derive(Clone, Copy, Debug)]
pub struct Manual {
    /// What the tool is for and how it goes about it; a paragraph each.
    pub description: &'static [&'static str],
    /// The same of verbs whose line in the help does not say enough.
    pub verbs: &'static [(&'static str, &'static [&'static str])],
    /// Variables that are no option's.
    pub environment: &'static [(&'static str, &'static str)],
    /// Files that it reads or writes.
    pub files: &'static [(&'static str, &'static str)],
    /// Other pages, such as `dockerd(8)`.
    pub see_also: &'static [&'static str],
}

/// What is known of a tool beside its command line.
#[derive(Clone, Copy, Debug)]
pub struct Help {
    /// Its errors.
    pub codes: &'static [Code],
    /// Examples, in the order of the verbs.
    pub examples: &'static [Example],
    /// The verbs that do not end with the statuses of the contract.
    pub statuses: &'static [(&'static str, Statuses)],
}

impl Help {
    /// The exit statuses of a verb, in order.
    #[must_use]
    pub fn statuses_of(&self, verb: &str) -> Vec<(String, String)> {
        if let Some((_, own)) = self.statuses.iter().find(|(name, _)| *name == verb) {
            return own.iter().map(|(status, what)| ((*status).to_owned(), (*what).to_owned())).collect();
        }
        let used = ExitCode::ALL.into_iter().filter(|exit| self.codes.iter().any(|code| code.exit == *exit));
        let faults = used.map(|exit| (exit as u8, exit.meaning()));
        let all = [(0, "success"), (2, "the command line is wrong")].into_iter().chain(faults);
        all.map(|(status, what)| (status.to_string(), what.to_owned())).collect()
    }

    /// The examples of a verb.
    pub fn examples_of(&self, verb: &str) -> impl Iterator<Item = &Example> {
        self.examples.iter().filter(move |example| example.verb == verb)
    }

    /// The command with all of it in its help: statuses and examples of every verb, and of the tool the options of all verbs.
    #[must_use]
    pub fn add_to(&self, command: Command) -> Command {
        let options = options(&command);
        let tool = command.get_name().to_owned();
        let short =
            format!("`{tool} VERB -h` lists the options of a verb, `{tool} --help` those of all verbs.");
        self.with_verbs(command, "").after_help(short).after_long_help(options)
    }

    fn with_verbs(&self, mut command: Command, before: &str) -> Command {
        let names: Vec<_> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
        for name in names {
            let path = format!("{before}{name}");
            command = command.mut_subcommand(&name, |verb| {
                if verb.has_subcommands() {
                    return self.with_verbs(verb, &format!("{path} "));
                }
                verb.after_long_help(self.of_verb(&path))
            });
        }
        command
    }

    fn of_verb(&self, verb: &str) -> String {
        let mut text = "Exit status:\n".to_owned();
        for (status, what) in self.statuses_of(verb) {
            let _ = writeln!(text, "  {status:<4} {what}");
        }
        for (index, example) in self.examples_of(verb).enumerate() {
            let heading = if index == 0 { "\nExamples:\n" } else { "" };
            let _ = writeln!(text, "{heading}  # {}\n  {}", example.what, example.line);
        }
        text.truncate(text.trim_end().len());
        text
    }
}

/// An option, and the verbs that have it.
#[derive(Debug)]
pub struct VerbOption<'a> {
    /// The option.
    pub arg: &'a Arg,
    /// The verbs, such as `tls plan`.
    pub verbs: Vec<String>,
}

/// The options of all verbs, each once, in the order in which the verbs have them.
#[must_use]
pub fn options_of_verbs(command: &Command) -> Vec<VerbOption<'_>> {
    let mut options = Vec::new();
    collect(command, "", &mut options);
    options
}

fn collect<'a>(command: &'a Command, before: &str, options: &mut Vec<VerbOption<'a>>) {
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let name = format!("{before}{}", verb.get_name());
        let ours = |arg: &&Arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str());
        for arg in verb.get_arguments().filter(ours).filter(|arg| is_option(arg)) {
            let same = |option: &&mut VerbOption<'_>| {
                option.arg.get_long() == arg.get_long() && option.arg.get_env() == arg.get_env()
            };
            match options.iter_mut().find(same) {
                Some(option) => option.verbs.push(name.clone()),
                None => options.push(VerbOption { arg, verbs: vec![name.clone()] }),
            }
        }
        collect(verb, &format!("{name} "), options);
    }
}

/// What is given by a flag or by a variable.
fn is_option(arg: &Arg) -> bool {
    arg.get_long().is_some() || arg.get_env().is_some()
}

fn options(command: &Command) -> String {
    let mut text = "Options of the verbs:\n".to_owned();
    for VerbOption { arg, verbs } in options_of_verbs(command) {
        let value = arg.get_value_names().and_then(|names| names.first()).filter(|_| takes_value(arg));
        let value = value.map(|name| format!(" <{name}>")).unwrap_or_default();
        let name = arg.get_long().map_or(value.trim().to_owned(), |long| format!("--{long}{value}"));
        let _ = writeln!(text, "      {name}  ({})", verbs.join(", "));
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let env = arg.get_env().map(|env| format!(" [env: {}]", env.to_string_lossy()));
        let _ = writeln!(text, "          {help}{}", env.unwrap_or_default());
    }
    text.truncate(text.trim_end().len());
    text
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}
