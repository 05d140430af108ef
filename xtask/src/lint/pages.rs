//! Commands of xtask on the pages that people read: each is one that xtask takes. The suite `readme` runs what else the pages show.

/// Whether xtask takes these arguments; if not, why.
pub(crate) type Accepts = fn(&[&str]) -> Result<(), String>;

/// How a command begins.
const COMMAND: &str = "cargo xtask ";

/// What is wrong with the commands of a page, in blocks of `sh xtask` and between backquotes.
pub(super) fn faults(page: &str, text: &str, accepts: Accepts) -> Vec<String> {
    let (mut faults, mut block) = (Vec::new(), None);
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        if let Some(info) = trimmed.strip_prefix("```") {
            block = block.is_none().then_some(info.ends_with("xtask"));
            continue;
        }
        let mut fault = |what: String| faults.push(format!("{page}:{}: {what}", number + 1));
        let commands: Vec<&str> = match block {
            None => line.split('`').skip(1).step_by(2).collect(),
            Some(true) if trimmed.is_empty() => continue,
            Some(true) if !line.contains("cargo ") => {
                fault(format!("`{line}` is not a command of xtask: the block is not one for `sh xtask`"));
                continue;
            }
            Some(true) => vec![line],
            Some(false) => {
                if line.contains(COMMAND) {
                    fault(format!("`{line}`: mark the block `sh xtask`"));
                }
                continue;
            }
        };
        for command in commands.iter().filter_map(|command| arguments(command)) {
            if let Err(error) = accepts(&command) {
                fault(format!("`{}`: {error}", command.join(" ")));
            }
        }
    }
    faults
}

/// The arguments of a command, which may stand in `$(…)` and have a comment. Without them there is nothing to check, nor where a part is left out.
fn arguments(command: &str) -> Option<Vec<&str>> {
    let (_, arguments) = command.split_once(COMMAND)?;
    let arguments = arguments.split(" #").next()?.trim_end().trim_end_matches([')', '"']);
    (!arguments.contains('…')).then(|| arguments.split_whitespace().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(arguments: &[&str]) -> Result<(), String> {
        if arguments[0] == "up" { Ok(()) } else { Err("unknown".to_owned()) }
    }

    #[test]
    fn every_command_is_checked_where_it_stands() {
        let page = "`cargo xtask up`, `cargo xtask dow`, `cargo xtask dow …`\n```sh xtask\neval \"$(cargo xtask up)\"   # c\ncargo xtask down\nls\n```\n\
                    ```sh\ncargo xtask up\n```\n";
        let faults = faults("P", page, accepts);
        let lines: Vec<_> = faults.iter().map(|fault| fault.split(": ").next().unwrap_or_default()).collect();
        assert_eq!(lines, ["P:1", "P:4", "P:5", "P:8"], "{faults:?}");
    }
}
