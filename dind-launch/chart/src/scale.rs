//! Round numbers for an axis, and how they are written.

/// An axis from zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    /// Its end, which is a tick.
    pub(crate) end: f64,
    /// Between two ticks.
    pub(crate) step: f64,
}

impl Scale {
    /// The shortest axis that holds `most` and has at most this many steps of 1, 2 or 5 times a power of ten.
    pub(crate) fn to(most: f64, steps: u32) -> Self {
        let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
        let least = most / f64::from(steps.max(1));
        let power = 10_f64.powf(least.log10().floor());
        let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| power * factor >= least * (1.0 - 1e-9));
        let step = power * factor.unwrap_or(10.0);
        Self { end: (most / step - 1e-9).ceil() * step, step }
    }

    /// Its ticks, from zero to the end.
    pub(crate) fn ticks(self) -> impl Iterator<Item = f64> {
        let count = (self.end / self.step).round() as u32;
        (0..=count).map(move |number| f64::from(number) * self.step)
    }
}

/// A number with as many decimals as it needs, three at most.
pub(crate) fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number() {
        for (most, end, step) in [
            (480.0, 500.0, 100.0),
            (500.0, 500.0, 100.0),
            (501.0, 600.0, 100.0),
            (61_234.0, 70_000.0, 10_000.0),
            (0.3, 0.3, 0.05),
            (3.0, 3.0, 0.5),
            (0.0, 1.0, 0.2),
            (f64::NAN, 1.0, 0.2),
        ] {
            let scale = Scale::to(most, 8);
            assert!((scale.end - end).abs() < 1e-9 && (scale.step - step).abs() < 1e-9, "{most}: {scale:?}");
            assert!((scale.ticks().last().unwrap() - end).abs() < 1e-9);
        }
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [(0.0, "0"), (0.30000000000000004, "0.3"), (1200.0, "1200"), (1.2345, "1.234")] {
            assert_eq!(number(value), text);
        }
    }
}
