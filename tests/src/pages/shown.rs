//! Whether an output is the one that a page shows.
//!
//! In text, `…` stands for anything within a line, and on a line of its own for any number of lines. In JSON it does so within a string, and what differs from
//! run to run is not compared: times, ids, numbers of processes and loop devices, sizes of what happens to be there. Where a page calls a document
//! shortened, it shows some of its keys and of its elements, in their order.

use super::Block;
use serde_json::Value;

/// What a page uses for "anything".
const ANYTHING: char = '…';

/// What numbers count that differ from run to run: the last word of their key.
const VOLATILE: [&str; 6] = ["ms", "bytes", "inodes", "percent", "pid", "port"];

/// Compares what came with what the page shows: a document with the last line of stdout, text with all of stdout, or of stderr where that alone has
/// something.
///
/// # Errors
/// They differ; where.
pub fn compare(shown: &Block, shortened: bool, stdout: &str, stderr: &str) -> Result<(), String> {
    if shown.language == "json" {
        let parse = |text: &str| serde_json::from_str(text).map_err(|error| format!("{error}: {text}"));
        let last = stdout.trim_end().lines().last().unwrap_or_default();
        return same(&parse(&shown.text)?, &parse(last)?, shortened, "");
    }
    let came = if stdout.trim().is_empty() { stderr } else { stdout };
    let lines =
        |text: &str| text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    let (expected, came) = (lines(&shown.text), lines(came));
    if lines_match(&expected, &came) {
        return Ok(());
    }
    Err(format!("shown:\n{}\ncame:\n{}\nstderr:\n{stderr}", expected.join("\n"), came.join("\n")))
}

fn lines_match(expected: &[String], came: &[String]) -> bool {
    match expected.split_first() {
        None => came.is_empty(),
        Some((first, rest)) if is_anything(first) => {
            (0..=came.len()).any(|skip| lines_match(rest, &came[skip..]))
        }
        Some((first, rest)) => {
            came.split_first().is_some_and(|(line, others)| matches(first, line) && lines_match(rest, others))
        }
    }
}

fn is_anything(line: &str) -> bool {
    line.chars().eq([ANYTHING])
}

/// Whether the parts between the `…` come in their order, the first at the beginning and the last at the end.
fn matches(expected: &str, came: &str) -> bool {
    let parts: Vec<_> = expected.split(ANYTHING).collect();
    let (Some((first, rest)), true) = (parts.split_first(), parts.len() > 1) else { return expected == came };
    let Some(mut left) = came.strip_prefix(first) else { return false };
    let Some((last, middle)) = rest.split_last() else { return false };
    for part in middle {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

fn same(shown: &Value, came: &Value, shortened: bool, key: &str) -> Result<(), String> {
    let differ = || Err(format!("at `{key}`: the page shows {shown}, and {came} came"));
    match (shown, came) {
        (Value::Object(shown), Value::Object(came)) => {
            for (name, value) in shown {
                let path = format!("{key}.{name}");
                same(value, came.get(name).ok_or(format!("{path} did not come"))?, shortened, &path)?;
            }
            match came.keys().find(|name| !shown.contains_key(*name)) {
                Some(more) if !shortened => Err(format!("{key}.{more} came, and the page does not show it")),
                _ => Ok(()),
            }
        }
        (Value::Array(shown), Value::Array(came)) if shortened => {
            let mut left = came.iter();
            for (index, value) in shown.iter().enumerate() {
                let found = left.any(|came| same(value, came, true, key).is_ok());
                found.then_some(()).ok_or(format!("{key}[{index}] did not come: {value}, but {came:?}"))?;
            }
            Ok(())
        }
        (Value::Array(shown), Value::Array(came)) if shown.len() == came.len() => {
            shown.iter().zip(came).enumerate().try_for_each(|(index, (shown, came))| {
                same(shown, came, shortened, &format!("{key}[{index}]"))
            })
        }
        (Value::String(shown), Value::String(came)) if matches(&plain(shown), &plain(came)) => Ok(()),
        (Value::Number(_), Value::Number(_)) if VOLATILE.contains(&last_word(key)) => Ok(()),
        _ if shown == came => Ok(()),
        _ => differ(),
    }
}

/// `ms` of `.result.stages[0].start_ms`.
fn last_word(key: &str) -> &str {
    key.rsplit(['.', '_']).next().unwrap_or_default()
}

/// A string without what differs from run to run: points in time, ids, numbers of loop devices.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut left = text;
    while let Some(next) = left.chars().next() {
        let id = left.len()
            - left.trim_start_matches(|c: char| c.is_ascii_digit() || ('a'..='f').contains(&c)).len();
        if let Some(rest) = left.strip_prefix("/dev/loop") {
            out += "/dev/loopN";
            left = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        } else if id >= 12 {
            out += "ID";
            left = &left[id..];
        } else if let Some(rest) = after_time(left) {
            out += "TIME";
            left = rest;
        } else {
            out.push(next);
            left = &left[next.len_utf8()..];
        }
    }
    out
}

/// What follows `2036-11-27T19:40:00Z`.
fn after_time(text: &str) -> Option<&str> {
    const FORM: &[u8] = b"0000-00-00T00:00:00";
    let bytes = text.as_bytes().get(..FORM.len())?;
    let fits = bytes
        .iter()
        .zip(FORM)
        .all(|(byte, form)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form });
    fits.then(|| text[FORM.len()..].trim_start_matches(|c: char| c.is_ascii_digit() || ".Z".contains(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(language: &str, text: &str) -> Block {
        Block { language: language.to_owned(), text: text.to_owned(), ..Block::default() }
    }

    #[test]
    fn text_has_the_same_lines_but_for_what_may_be_anything() {
        let page = shown("text", "first\n…\nabc … xyz\n");
        for came in ["first\nabc 1 xyz\n", "first\n2\n3\nabc  xyz\n"] {
            assert_eq!(compare(&page, false, came, ""), Ok(()));
        }
        for came in ["abc 1 xyz", "first\nabc 1 xy", "first\nabc 1 xyz\nmore"] {
            assert!(compare(&page, false, came, "").is_err(), "{came}");
        }
        assert_eq!(compare(&shown("text", "complaint\n"), false, "", "complaint\n"), Ok(()), "stderr alone");
    }

    #[test]
    fn a_document_is_the_last_line_and_has_the_same_keys() {
        let page =
            shown("json", r#"{"a": {"took_ms": 5, "n": 1}, "id": "sha256:…", "at": "2026-01-02T03:04:05Z"}"#);
        let came = r#"{"a":{"took_ms":7,"n":1},"id":"sha256:0f","at":"2036-11-27T19:40:00.5Z"}"#;
        assert_eq!(compare(&page, false, &format!("{{}}\n{came}\n"), ""), Ok(()));
        assert!(compare(&page, false, &came.replace("\"n\":1", "\"n\":2"), "").unwrap_err().contains(".a.n"));
        let more = came.replace("\"n\":1", "\"n\":1,\"m\":2");
        assert!(compare(&page, false, &more, "").unwrap_err().contains(".a.m"));
        assert_eq!(compare(&page, true, &more, ""), Ok(()), "the page says that it is shortened");
    }

    #[test]
    fn a_shortened_list_has_some_of_the_elements_in_their_order() {
        let page = shown("json", r#"["a", "c"]"#);
        assert_eq!(compare(&page, true, r#"["a","b","c"]"#, ""), Ok(()));
        assert!(compare(&page, true, r#"["c","a"]"#, "").is_err());
        assert!(compare(&page, false, r#"["a","b","c"]"#, "").is_err());
    }

    #[test]
    fn what_differs_from_run_to_run_is_not_compared() {
        assert_eq!(plain("/dev/loop12 of 0123456789ab at 2026-01-02T03:04:05Z"), "/dev/loopN of ID at TIME");
        assert_eq!(plain("10.77.0.3/16"), "10.77.0.3/16");
    }
}
