//! The table, as lines of text: for a screen, or for a pipe.

use super::report::{ContainerUse, NodeUse, Top};

/// Columns of a bar.
const BAR: usize = 20;

/// The narrowest column of names.
const NARROWEST: usize = 12;

/// The columns behind the name, with their widths.
const COLUMNS: [(&str, usize); 7] =
    [("CPU", 6), ("%NODE", 6), ("MEMORY", 9), ("%NODE", 6), ("LIMIT", 9), ("DISK", 9), ("PIDS", 6)];

/// Where the table is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Columns.
    pub(super) columns: usize,
    /// Lines; nothing where there is no end to them.
    pub(super) lines: Option<usize>,
}

/// Draws it. `heading` is what stands above.
pub(super) fn draw(top: &Top, heading: &str, room: Room) -> Vec<String> {
    let mut lines = vec![heading.to_owned()];
    lines.extend(node(&top.node));
    if let Some(error) = &top.error {
        lines.push(format!("the engine does not answer: {error}"));
    }
    lines.push(String::new());
    let names = top.containers.iter().map(|one| one.name.chars().count()).max().unwrap_or(0);
    let behind: usize = COLUMNS.iter().map(|(_, width)| width + 1).sum();
    let name = names.max(NARROWEST).min(room.columns.saturating_sub(behind).max(NARROWEST));
    let titles: String = COLUMNS.iter().map(|(title, width)| format!(" {title:>width$}")).collect();
    lines.push(format!("{:name$}{titles}", "NAME"));
    let left = room.lines.map_or(usize::MAX, |all| all.saturating_sub(lines.len()));
    let (shown, more) = match top.containers.len() {
        count if count <= left => (count, 0),
        // One line says how many are not shown.
        count => (left.saturating_sub(1), count - left.saturating_sub(1)),
    };
    lines.extend(top.containers.iter().take(shown).map(|one| row(one, &top.node, name)));
    if more > 0 {
        lines.push(format!("… {more} more"));
    }
    lines.iter().map(|line| fit(line, room.columns)).take(room.lines.unwrap_or(usize::MAX)).collect()
}

/// What the node uses of what it may use, a line each.
fn node(node: &NodeUse) -> Vec<String> {
    let number = |value: f64| format!("{value:.2}");
    let bytes = |value: f64| bytes(value as u64);
    let memory = node.memory_bytes.map(|used| used as f64);
    let pids = node.pids.map(|used| used as f64);
    let disk = node.disk.map(|disk| (disk.used_bytes as f64, disk.size_bytes as f64));
    vec![
        line("cpu", node.cpus, node.cpus_limit, number),
        line("memory", memory, node.memory_limit_bytes.map(|limit| limit as f64), bytes),
        line("disk", disk.map(|disk| disk.0), disk.map(|disk| disk.1), bytes),
        line("pids", pids, node.pids_limit.map(|limit| limit as f64), |value| format!("{value:.0}")),
    ]
}

fn line(what: &str, used: Option<f64>, limit: Option<f64>, text: impl Fn(f64) -> String) -> String {
    let amount = match (used, limit) {
        (Some(used), Some(limit)) => format!("{} of {}", text(used), text(limit)),
        (Some(used), None) => text(used),
        (None, Some(limit)) => format!("? of {}", text(limit)),
        (None, None) => "?".to_owned(),
    };
    let share = used.zip(limit).filter(|(_, limit)| *limit > 0.0).map(|(used, limit)| used / limit);
    let bar = share.map_or_else(String::new, |share| {
        let full = ((share * BAR as f64).round() as usize).min(BAR);
        format!("{:>5.0} %  {}{}", share * 100.0, "█".repeat(full), "·".repeat(BAR - full))
    });
    format!("{what:7} {amount:24} {bar}").trim_end().to_owned()
}

fn row(one: &ContainerUse, node: &NodeUse, name: usize) -> String {
    let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let percent = |used: Option<f64>, limit: Option<f64>| {
        let share = used.zip(limit).filter(|(_, limit)| *limit > 0.0);
        share.map(|(used, limit)| format!("{:.1}", used / limit * 100.0))
    };
    let number = |value: Option<u64>| value.map(|value| value as f64);
    let cells = [
        one.cpus.map(|cpus| format!("{cpus:.2}")),
        percent(one.cpus, node.cpus_limit),
        one.memory_bytes.map(bytes),
        percent(number(one.memory_bytes), number(node.memory_limit_bytes)),
        one.memory_limit_bytes.map(bytes),
        one.disk_bytes.map(bytes),
        one.pids.map(|pids| pids.to_string()),
    ];
    let cells: String =
        COLUMNS.iter().zip(cells).map(|((_, width), cell)| format!(" {:>width$}", shown(cell))).collect();
    format!("{:name$}{cells}", fit(&one.name, name))
}

/// Bytes with three digits or so: `512 B`, `1.2 MiB`, `310 GiB`.
fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "B" || value >= 100.0 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// At most so many columns, and no control characters: names come from whoever runs containers.
fn fit(text: &str, columns: usize) -> String {
    let clean = text.chars().map(|c| if c.is_control() { '?' } else { c });
    let mut fitted: String = clean.clone().take(columns).collect();
    if clean.count() > columns && columns > 0 {
        fitted.pop();
        fitted.push('…');
    }
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::disk::Disk;

    fn top(count: usize) -> Top {
        let one = |number: usize| ContainerUse {
            name: format!("job-{number}"),
            cpus: Some(0.5),
            memory_bytes: Some(512 << 20),
            memory_limit_bytes: Some(1 << 30),
            disk_bytes: (number == 0).then_some(1500),
            pids: Some(3),
            ..ContainerUse::default()
        };
        let disk = Disk { size_bytes: 20 << 30, used_bytes: 5 << 30, ..Disk::default() };
        let node = NodeUse {
            cpus: Some(1.0),
            cpus_limit: Some(2.0),
            memory_bytes: Some(1 << 30),
            memory_limit_bytes: Some(4 << 30),
            pids: Some(42),
            disk: Some(disk),
            ..NodeUse::default()
        };
        Top { node, containers: (0..count).map(one).collect(), error: None }
    }

    #[test]
    fn a_table_for_a_pipe_has_everything() {
        let lines = draw(&top(2), "node", Room { columns: 120, lines: None });
        assert_eq!(
            lines,
            [
                "node",
                "cpu     1.00 of 2.00                50 %  ██████████··········",
                "memory  1.0 GiB of 4.0 GiB          25 %  █████···············",
                "disk    5.0 GiB of 20.0 GiB         25 %  █████···············",
                "pids    42",
                "",
                "NAME            CPU  %NODE    MEMORY  %NODE     LIMIT      DISK   PIDS",
                "job-0          0.50   25.0   512 MiB   12.5   1.0 GiB   1.5 KiB      3",
                "job-1          0.50   25.0   512 MiB   12.5   1.0 GiB         -      3",
            ]
        );
    }

    #[test]
    fn a_screen_is_never_left() {
        for (columns, lines) in [(80, 24), (40, 10), (20, 3), (1, 1), (0, 0)] {
            let room = Room { columns, lines: Some(lines) };
            let drawn = draw(&top(200), "node with\u{1b}[2J a long heading that goes on and on", room);
            assert!(drawn.len() <= lines, "{drawn:#?}");
            assert!(drawn.iter().all(|line| line.chars().count() <= columns), "{drawn:#?}");
            assert!(drawn.iter().all(|line| !line.contains('\u{1b}')));
        }
        let drawn = draw(&top(200), "node", Room { columns: 80, lines: Some(24) });
        assert_eq!((drawn.len(), drawn[23].as_str()), (24, "… 184 more"));
        let drawn = draw(&top(17), "node", Room { columns: 80, lines: Some(24) });
        assert!(drawn.len() == 24 && drawn[23].starts_with("job-16"));
    }

    #[test]
    fn what_is_not_known_is_not_zero() {
        let unknown = Top {
            containers: vec![ContainerUse::default()],
            error: Some("gone".to_owned()),
            ..Top::default()
        };
        let lines = draw(&unknown, "node", Room { columns: 80, lines: None });
        assert_eq!(lines[1], "cpu     ?");
        assert_eq!(lines[5], "the engine does not answer: gone");
        assert_eq!(lines[8].split_whitespace().collect::<Vec<_>>(), ["-"; 7]);
    }

    #[test]
    fn bytes_are_short() {
        for (value, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 KiB"),
            (1 << 20, "1.0 MiB"),
            (310 << 30, "310 GiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(bytes(value), text);
        }
    }
}
