//! What a container's log says of its start: lines of the script that is measured, and of dockerd.

use super::figures::Step;

/// What the first line says.
const BEGUN: &str = "begun";

/// Before the name of a step.
const STEP: &str = "step ";

/// What dockerd logs when a part of its start is over, and what that part is.
const PARTS: [(&str, &str); 3] = [
    ("containerd successfully booted", "dockerd: containerd"),
    ("Loading containers: start", "dockerd: storage"),
    ("Loading containers: done", "dockerd: networks"),
];

/// What comes last.
const LAST: &str = "dockerd: API";

/// The step that is dockerd itself.
const DOCKERD: &str = "dockerd";

/// The lines, each with milliseconds since the first of the last start.
pub(super) fn since_begun(streams: &[String; 2]) -> Vec<(f64, String)> {
    let mut lines: Vec<_> = streams.iter().flat_map(|text| text.lines().filter_map(timed)).collect();
    lines.sort_by(|one, other| one.0.total_cmp(&other.0));
    let begun = lines.iter().rposition(|(_, text)| text == BEGUN).unwrap_or(0);
    let zero = lines.get(begun).map_or(0.0, |line| line.0);
    lines.into_iter().skip(begun + 1).map(|(at, text)| ((at - zero) * 1e3, text)).collect()
}

/// `2026-12-01T10:02:03.123456789Z text`: seconds of the day, and the text.
fn timed(line: &str) -> Option<(f64, String)> {
    let (stamp, text) = line.split_once(' ')?;
    let mut parts = stamp.split_once('T')?.1.strip_suffix('Z')?.split(':');
    let mut next = || parts.next()?.parse::<f64>().ok();
    Some((next()? * 3600.0 + next()? * 60.0 + next()?, text.to_owned()))
}

/// The steps of the script, and in place of the last the parts of dockerd's start. What is not in the log is part of the next.
pub(super) fn milestones(lines: &[(f64, String)], took_ms: f64) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut from, mut name) = (0.0, DOCKERD);
    for (at, text) in lines {
        if let Some(next) = text.strip_prefix(STEP) {
            if *at > from && name != DOCKERD {
                steps.push(Step { name: name.to_owned(), from_ms: from, to_ms: *at });
            }
            (from, name) = (*at, next);
        } else if name == DOCKERD
            && let Some((_, part)) = PARTS.iter().find(|(said, _)| text.contains(said))
        {
            steps.push(Step { name: (*part).to_owned(), from_ms: from, to_ms: *at });
            from = *at;
        }
    }
    if from < took_ms {
        steps.push(Step { name: LAST.to_owned(), from_ms: from, to_ms: took_ms });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_parts_follow_each_other() {
        let line = |second: &str, text: &str| format!("2026-12-01T10:02:{second}Z {text}\n");
        let stdout = line("02.9", "of an earlier start");
        let stderr = line("01.0", "begun")
            + &line("03.0", "begun")
            + &line("03.001", "step keys")
            + &line("04.0", "step dockerd")
            + &line("04.1", "time=x msg=\"containerd successfully booted in 0.03s\"")
            + &line("04.3", "msg=\"Loading containers: start.\"")
            + &line("04.5", "msg=\"Loading containers: done.\"");
        let lines = since_begun(&[stdout, stderr]);
        let steps: Vec<_> = milestones(&lines, 1600.0)
            .into_iter()
            .map(|step| (step.name, step.from_ms.round(), step.to_ms.round()))
            .collect();
        let expected = [
            ("keys", 1.0, 1000.0),
            ("dockerd: containerd", 1000.0, 1100.0),
            ("dockerd: storage", 1100.0, 1300.0),
            ("dockerd: networks", 1300.0, 1500.0),
            ("dockerd: API", 1500.0, 1600.0),
        ];
        assert_eq!(steps, expected.map(|(name, from, to)| (name.to_owned(), from, to)));
    }

    #[test]
    fn a_dockerd_that_logs_nothing_is_one_part() {
        let steps = milestones(&[], 200.0);
        assert_eq!((steps.len(), steps[0].to_ms), (1, 200.0));
    }
}
