//! The table of errors in a tool's README.

/// A row: the code, its exit status, what it means, and what helps.
pub(crate) struct Row<'a> {
    pub(crate) code: &'a str,
    pub(crate) exit: &'a str,
    pub(crate) meaning: &'a str,
    pub(crate) hint: &'a str,
}

/// The rows, in order.
pub(crate) fn errors(readme: &str) -> Vec<Row<'_>> {
    let table = readme.lines().skip_while(|line| !line.starts_with("| code | exit |")).skip(2);
    table.take_while(|line| line.starts_with('|')).filter_map(row).collect()
}

fn row(line: &str) -> Option<Row<'_>> {
    let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
    let code = cells.next()?.trim_matches('`');
    Some(Row { code, exit: cells.next()?, meaning: cells.next()?, hint: cells.next().unwrap_or_default() })
}
