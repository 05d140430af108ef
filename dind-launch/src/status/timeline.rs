//! `status --timeline`: the start as a bar chart, for a terminal.

use super::record::StageRecord;
use crate::stage::Stage;

/// Columns of the chart itself.
const WIDTH: u64 = 48;

/// The left eighths of a cell, from one to seven.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// Draws the stages of the start, a line each: name, bar, when it began and how long it took, both in milliseconds. An
/// unfinished stage reaches to the edge.
#[must_use]
pub fn draw(stages: &[StageRecord]) -> Vec<String> {
    let start: Vec<_> = stages.iter().take_while(|stage| Stage::is_of_start(&stage.name)).collect();
    let last =
        start.iter().filter_map(|stage| stage.end_ms.or(Some(stage.start_ms))).max().unwrap_or(0).max(1);
    let names = start.iter().map(|stage| stage.name.len()).max().unwrap_or(0);
    let line = |stage: &&StageRecord| {
        let end = stage.end_ms.unwrap_or(last);
        let took =
            stage.end_ms.map_or("…".to_owned(), |end| end.saturating_sub(stage.start_ms).to_string());
        let bar = bar(stage.start_ms, end, last);
        format!("{:names$}  {bar}  {:>6} {took:>6}", stage.name, stage.start_ms)
    };
    let heading =
        format!("{:names$}  {:cells$}  {:>6} {:>6}", "", "", "at ms", "took", cells = WIDTH as usize);
    std::iter::once(heading).chain(start.iter().map(line)).collect()
}

/// A bar from `start` to `end` on a scale to `last`, to an eighth of a cell at its end; the shortest is one eighth.
fn bar(start: u64, end: u64, last: u64) -> String {
    let first = (start * WIDTH / last).min(WIDTH - 1);
    let eighths = (end * WIDTH * 8 / last).saturating_sub(first * 8).max(1);
    let (full, part) = (eighths / 8, (eighths % 8) as usize);
    let mut bar = " ".repeat(first as usize) + &"█".repeat(full as usize);
    bar.extend(part.checked_sub(1).and_then(|index| EIGHTHS.get(index)));
    let cells = first + full + u64::from(part > 0);
    bar + &" ".repeat(WIDTH.saturating_sub(cells) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &str, start_ms: u64, end_ms: Option<u64>) -> StageRecord {
        StageRecord { name: name.to_owned(), start_ms, end_ms }
    }

    #[test]
    fn bars_follow_each_other_and_end_at_the_edge() {
        let stages = [
            stage("check", 0, Some(120)),
            stage("engine", 120, Some(480)),
            stage("main", 480, Some(480)),
            stage("restart-dockerd", 9000, Some(9500)),
            stage("stop-main", 9999, None),
        ];
        let lines = draw(&stages);
        assert_eq!(lines.len(), 4, "{lines:#?}");
        assert_eq!(lines[1], format!("check   {}{}       0    120", "█".repeat(12), " ".repeat(36)));
        assert_eq!(lines[2], format!("engine  {}{}     120    360", " ".repeat(12), "█".repeat(36)));
        assert_eq!(lines[3], format!("main    {}█     480      0", " ".repeat(47)));
        let widths: Vec<_> = lines.iter().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0] && *width <= 80), "{widths:?}");
    }

    #[test]
    fn an_unfinished_stage_reaches_to_the_edge_and_no_stages_draw_the_heading() {
        let lines = draw(&[stage("check", 0, Some(10)), stage("storage", 10, None)]);
        assert!(lines[2].ends_with("      10      …"), "{lines:#?}");
        assert_eq!(draw(&[]).len(), 1);
    }

    #[test]
    fn parts_of_a_cell_are_drawn() {
        assert_eq!(bar(0, 1, 96).trim_end(), "▌");
        assert_eq!(bar(0, 3, 96).trim_end(), "█▌");
        assert_eq!(bar(0, 0, 96).trim_end(), "▏");
        assert_eq!(bar(u64::MAX / 1000, 1, 1).chars().count(), 48);
    }
}
