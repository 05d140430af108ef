//! A page for a tool, and one for each of its verbs.

use crate::roff_text::inline;
use crate::{Tool, readme};
use clap::{Arg, Command as Cli};
use clap_mangen::Man;
use dind_contract::help::{VerbOption, options_of_verbs};
use roff::{Roff, bold, roman};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

/// The section of the manual.
const SECTION: &str = "1";

/// All pages of a tool: the name of the file, and what is in it. `tools` are the names of all tools.
pub(crate) fn pages(command: &Cli, tool: &Tool, tools: &[String]) -> Vec<(String, String)> {
    let mut pages = vec![(file(command), of_tool(command, tool, tools))];
    add_verbs(command, tool, "", &mut pages);
    pages
}

fn add_verbs(command: &Cli, tool: &Tool, before: &str, pages: &mut Vec<(String, String)>) {
    for verb in command.get_subcommands() {
        let name = format!("{before}{}", verb.get_name());
        pages.push((file(verb), of_verb(verb, &name, tool)));
        add_verbs(verb, tool, &format!("{name} "), pages);
    }
}

fn page_name(command: &Cli) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn file(command: &Cli) -> String {
    format!("{}.{SECTION}", page_name(command))
}

fn of_tool(command: &Cli, tool: &Tool, tools: &[String]) -> String {
    let mut page = Page::of(command);
    for paragraph in tool.manual.description {
        page.paragraph(paragraph);
    }
    page.heading("VERBS");
    for verb in command.get_subcommands() {
        page.entry(&format!("{}({SECTION})", page_name(verb)), &about(verb));
    }
    page.heading("OPTIONS");
    page.paragraph("These are for every verb. The page of a verb has its own.");
    page.entry(
        "-h, --help",
        "Print the help: `-h` in short, `--help` with variables, exit statuses and examples.",
    );
    page.entry("-V, --version", "Print the version; without a verb.");
    environment(&mut page, command, tool);
    page.heading("EXIT STATUS");
    page.paragraph("Of the verbs that print a document:");
    statuses(&mut page, tool, "");
    for (verb, _) in tool.help.statuses {
        page.paragraph(&format!("`{verb}` ends with others: see {}-{verb}({SECTION}).", page_name(command)));
    }
    errors(&mut page, tool);
    files(&mut page, tool);
    page.heading("EXAMPLES");
    tool.help.examples.iter().for_each(|example| page.example(example.what, example.line));
    let verbs = command.get_subcommands().map(|verb| format!("{}({SECTION})", page_name(verb)));
    let others =
        tools.iter().filter(|name| *name != page_name(command)).map(|name| format!("{name}({SECTION})"));
    let see_also: Vec<_> =
        verbs.chain(others).chain(tool.manual.see_also.iter().map(|page| (*page).to_owned())).collect();
    page.see_also(&see_also);
    page.text()
}

fn of_verb(verb: &Cli, name: &str, tool: &Tool) -> String {
    let mut page = Page::of(verb);
    page.paragraph(&format!("{}.", about(verb)));
    let more = tool.manual.verbs.iter().find(|(of, _)| *of == name).map_or(&[][..], |(_, more)| more);
    more.iter().for_each(|paragraph| page.paragraph(paragraph));
    if verb.has_subcommands() {
        page.heading("VERBS");
        for verb in verb.get_subcommands() {
            page.entry(&format!("{}({SECTION})", page_name(verb)), &about(verb));
        }
    } else {
        page.options(verb);
        environment_of_verb(&mut page, verb);
        page.heading("EXIT STATUS");
        statuses(&mut page, tool, name);
        files(&mut page, tool);
        page.heading("EXAMPLES");
        tool.help.examples_of(name).for_each(|example| page.example(example.what, example.line));
    }
    let parent = tool.command.get_name();
    page.see_also(&[format!("{parent}({SECTION})")]);
    page.text()
}

fn about(command: &Cli) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn statuses(page: &mut Page, tool: &Tool, verb: &str) {
    tool.help.statuses_of(verb).iter().for_each(|(status, what)| page.entry(status, what));
}

/// Every variable with the option that it stands for, and the verbs that read it.
fn environment(page: &mut Page, command: &Cli, tool: &Tool) {
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    for VerbOption { arg, verbs } in options_of_verbs(command) {
        let Some(variable) = arg.get_env().and_then(|name| name.to_str()) else { continue };
        let option = arg.get_long().map(|long| format!("`--{long}` of ")).unwrap_or_default();
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let readers = format!("{option}{}. ", verbs.join(", "));
        let entry = variables.entry(variable.to_owned()).or_default();
        // A variable of two options has two lines of help.
        *entry = format!("{entry}{}{readers}{help}", if entry.is_empty() { "" } else { " " });
    }
    for (variable, what) in tool.manual.environment {
        variables.insert((*variable).to_owned(), (*what).to_owned());
    }
    page.heading("ENVIRONMENT");
    page.paragraph("A flag wins over its variable. An empty variable counts as unset, and one that a verb does not read is no error.");
    variables.iter().for_each(|(variable, what)| page.entry(variable, what));
}

/// The variables of a verb's own options, and the one that it refuses.
fn environment_of_verb(page: &mut Page, verb: &Cli) {
    page.heading("ENVIRONMENT");
    for arg in verb.get_arguments().filter(|arg| !arg.is_hide_set()) {
        let Some(variable) = arg.get_env() else { continue };
        let option = arg.get_long().map_or_else(|| header(arg), |long| format!("--{long}"));
        page.entry(&variable.to_string_lossy(), &format!("stands for `{option}`"));
    }
    if verb.get_arguments().all(|arg| arg.get_long() != Some("root")) {
        page.entry("DIND_ROOT", "refused, unless it is empty or `/`: this verb is for this machine");
    }
}

fn files(page: &mut Page, tool: &Tool) {
    page.heading("FILES");
    for (path, what) in tool.manual.files {
        page.entry(path, what);
    }
}

fn errors(page: &mut Page, tool: &Tool) {
    page.heading("DIAGNOSTICS");
    page.paragraph(
        "The codes of errors, in `error.code` of the document, each with its exit status and what helps:",
    );
    for row in readme::errors(tool.readme) {
        page.entry(&format!("{} ({})", row.code, row.exit), &format!("{}. Hint: {}.", row.meaning, row.hint));
    }
}

/// `-h, --help`, `--output <FORM>`, `[COMMAND]...`.
fn header(arg: &Arg) -> String {
    let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let value = value.filter(|_| arg.get_action().takes_values()).unwrap_or_default();
    let several = if arg.get_num_args().is_some_and(|count| count.max_values() > 1) { "..." } else { "" };
    let Some(long) = arg.get_long() else {
        return if arg.is_required_set() {
            format!("<{value}>{several}")
        } else {
            format!("[{value}]{several}")
        };
    };
    let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    match arg.get_num_args().is_some_and(|count| count.min_values() == 0) {
        _ if value.is_empty() => format!("{short}--{long}"),
        true => format!("{short}--{long}[=<{value}>]"),
        false => format!("{short}--{long} <{value}>"),
    }
}

/// When the sources were last changed, in seconds since 1970 (reproducible-builds.org): as it is given, or of the last commit.
fn epoch() -> Option<u64> {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    let of_commit = || {
        let mut git = Command::new("git");
        let log = git.args(["log", "-1", "--format=%ct"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        log.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    given.or_else(of_commit)?.trim().parse().ok()
}

/// A page while it is written.
struct Page {
    text: Vec<u8>,
    /// A heading begins a paragraph by itself.
    at_heading: bool,
}

impl Page {
    /// Title, name, synopsis, and the heading of the description.
    fn of(command: &Cli) -> Self {
        let date = epoch().map(|seconds| {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            humantime::format_rfc3339_seconds(time).to_string().chars().take(10).collect::<String>()
        });
        let (name, date) = (page_name(command).to_uppercase(), date.unwrap_or_default());
        // By hand: clap_mangen leaves out what is empty, and takes what follows for it.
        let version = env!("CARGO_PKG_VERSION");
        let title = format!(".TH {name} {SECTION} \"{date}\" \"dind {version}\" \"dind\"\n");
        let mut page = Self { text: title.into_bytes(), at_heading: false };
        let man = Man::new(command.clone()).section(SECTION);
        // Writing to memory does not fail.
        let _ = man.render_name_section(&mut page.text);
        let _ = man.render_synopsis_section(&mut page.text);
        page.heading("DESCRIPTION");
        page
    }

    /// The options of a verb, and what follows them. By hand, for the names in backquotes.
    fn options(&mut self, command: &Cli) {
        self.heading("OPTIONS");
        let (positional, options): (Vec<_>, Vec<_>) =
            command.get_arguments().filter(|arg| !arg.is_hide_set()).partition(|arg| arg.is_positional());
        for arg in options.into_iter().chain(positional) {
            let mut help =
                arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
            let defaults = arg.get_default_values().iter().map(|value| value.to_string_lossy());
            let defaults = defaults.collect::<Vec<_>>().join(",");
            if !defaults.is_empty() && arg.get_action().takes_values() {
                help.push_str(&format!(" [default: {defaults}]"));
            }
            if let Some(variable) = arg.get_env() {
                help.push_str(&format!(". Variable: `{}`", variable.to_string_lossy()));
            }
            self.entry(&header(arg), &help);
            let values = arg.get_possible_values();
            if !values.is_empty() && arg.get_action().takes_values() {
                self.add(Roff::new().control("RS", []));
                for value in values {
                    let help = value.get_help().map(ToString::to_string).unwrap_or_default();
                    self.entry(value.get_name(), &help);
                }
                self.add(Roff::new().control("RE", []));
            }
        }
    }

    fn add(&mut self, roff: &Roff) {
        self.at_heading = false;
        let _ = roff.to_writer(&mut self.text);
    }

    fn heading(&mut self, name: &str) {
        self.add(Roff::new().control("SH", [name]));
        self.at_heading = true;
    }

    fn paragraph(&mut self, text: &str) {
        let mut roff = Roff::new();
        if !self.at_heading {
            roff.control("PP", []);
        }
        self.add(roff.text(inline(text)));
    }

    /// A name, and what it is.
    fn entry(&mut self, name: &str, what: &str) {
        self.add(Roff::new().control("TP", []).text([bold(name)]).text(inline(what)));
    }

    fn example(&mut self, what: &str, line: &str) {
        self.paragraph(&format!("{}:", capital(what)));
        let mut roff = Roff::new();
        roff.control("PP", []).control("RS", ["4"]).control("nf", []);
        roff.text([bold(line)]).control("fi", []).control("RE", []);
        self.add(&roff);
    }

    fn see_also(&mut self, pages: &[String]) {
        self.heading("SEE ALSO");
        self.add(Roff::new().text([roman(pages.join(", "))]));
    }

    fn text(self) -> String {
        ascii(&String::from_utf8_lossy(&self.text))
    }
}

/// Whether troff reads UTF-8 depends on how it is called; its own names of characters (groff_char(7)) are read by all.
fn ascii(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() { escaped.push(c) } else { escaped.push_str(&format!("\\[u{:04X}]", c as u32)) }
    }
    escaped
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
