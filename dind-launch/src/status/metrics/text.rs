//! The text format of OpenMetrics 1.0. Families are gauges and counters alone: so the textfile collector of Prometheus' node exporter,
//! which reads the older format, takes it as well.

use std::fmt::Write;

/// What a family measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Gauge,
    Counter,
}

/// An exposition under construction.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

/// A family, which takes samples.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: String,
    suffix: &'static str,
}

impl Exposition {
    /// A family of values that rise and fall. A name that ends in a unit has it.
    pub(super) fn gauge(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(name, Kind::Gauge, help)
    }

    /// A family of values that only rise. Its samples are called `NAME_total`.
    pub(super) fn counter(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(name, Kind::Counter, help)
    }

    fn family(&mut self, name: &str, kind: Kind, help: &str) -> Family<'_> {
        let (kind, suffix) = match kind {
            Kind::Gauge => ("gauge", ""),
            Kind::Counter => ("counter", "_total"),
        };
        let _ = writeln!(self.0, "# TYPE {name} {kind}");
        let unit = ["bytes", "seconds"].into_iter().find(|unit| name.ends_with(&format!("_{unit}")));
        if let Some(unit) = unit {
            let _ = writeln!(self.0, "# UNIT {name} {unit}");
        }
        let _ = writeln!(self.0, "# HELP {name} {}", escape(help));
        Family { text: &mut self.0, name: name.to_owned(), suffix }
    }

    /// The text.
    pub(super) fn finish(mut self) -> String {
        self.0.push_str("# EOF\n");
        self.0
    }
}

impl Family<'_> {
    /// A sample. Each set of labels comes once.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        // Whole numbers are written without an exponent, however large.
        let _ = writeln!(self.text, "{}{}{labels} {value}", self.name, self.suffix);
    }
}

/// As ABNF's `escaped-string` has it; HELP and labels alike.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written_as_the_specification_has_it() {
        let mut exposition = Exposition::default();
        exposition.gauge("dind_disk_size_bytes", "Size.").sample(&[], 5_368_709_120.0);
        let mut family = exposition.counter("dind_restarts", "A \"quoted\" \\ and\na line.");
        family.sample(&[("path", "a\"b\\c\nd"), ("other", "")], 0.0);
        family.sample(&[("path", "x")], 0.125);
        let expected = "# TYPE dind_disk_size_bytes gauge\n# UNIT dind_disk_size_bytes bytes\n# HELP dind_disk_size_bytes Size.\n\
            dind_disk_size_bytes 5368709120\n\
            # TYPE dind_restarts counter\n# HELP dind_restarts A \\\"quoted\\\" \\\\ and\\na line.\n\
            dind_restarts_total{path=\"a\\\"b\\\\c\\nd\",other=\"\"} 0\n\
            dind_restarts_total{path=\"x\"} 0.125\n# EOF\n";
        assert_eq!(exposition.finish(), expected);
    }
}
