//! Axes: from values to places, with ticks at round numbers.

use super::text::short;

/// An axis: a range of values on a range of pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    logarithmic: bool,
    /// The tick that stands for its value and everything below it.
    foot: Option<f64>,
}

impl Axis {
    /// A linear axis that holds every finite value, widened to round numbers.
    #[must_use]
    pub fn linear(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = range(values);
        let high = if high > low { high } else { low + 1.0 };
        let step = round_step((high - low) / 5.0);
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        Self {
            low,
            high,
            from,
            to,
            logarithmic: false,
            foot: None,
        }
    }

    /// A linear axis of exactly this range.
    #[must_use]
    pub fn exact(low: f64, high: f64, from: f64, to: f64) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self {
            low,
            high,
            from,
            to,
            logarithmic: false,
            foot: None,
        }
    }

    /// A logarithmic axis over whole decades that holds every value above zero.
    #[must_use]
    pub fn logarithmic(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = range(values.filter(|v| *v > 0.0).map(f64::log10));
        let (low, mut high) = (low.floor(), high.ceil());
        if high <= low {
            high = low + 1.0;
        }
        Self {
            low,
            high,
            from,
            to,
            logarithmic: true,
            foot: None,
        }
    }

    /// The same axis, the tick at `value` marked as standing for all below it too.
    #[must_use]
    pub fn or_less(mut self, value: f64) -> Self {
        self.foot = Some(value);
        self
    }

    /// The place of a value in pixels; values past the ends stand at the ends.
    #[must_use]
    pub fn place(&self, value: f64) -> f64 {
        let value = if self.logarithmic {
            if value > 0.0 { value.log10() } else { self.low }
        } else {
            value
        };
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        let share = if share.is_nan() { 0.0 } else { share };
        self.from + share * (self.to - self.from)
    }

    /// The least value of the axis.
    #[must_use]
    pub fn low(&self) -> f64 {
        if self.logarithmic {
            10_f64.powf(self.low)
        } else {
            self.low
        }
    }

    /// Values and texts of the ticks.
    #[must_use]
    pub fn ticks(&self) -> Vec<(f64, String)> {
        if self.logarithmic {
            let decades = self.low as i32..=self.high as i32;
            return decades
                .map(|d| 10_f64.powi(d))
                .map(|v| {
                    let foot = self.foot.is_some_and(|f| (v / f - 1.0).abs() < 1e-9);
                    (
                        v,
                        if foot {
                            format!("≤ {}", short(v))
                        } else {
                            short(v)
                        },
                    )
                })
                .collect();
        }
        let step = round_step((self.high - self.low) / 5.0);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last)
            .map(|i| i as f64 * step)
            .map(|v| (v, short(v)))
            .collect()
    }
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
        (l.min(v), h.max(v))
    });
    if low.is_finite() {
        (low, high)
    } else {
        (0.0, 1.0)
    }
}

/// The round number (1, 2, 2.5 or 5 times a power of ten) next above a step.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .find(|f| f * power >= step * 0.999);
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        let axis = Axis::linear([3.0, 97.0].into_iter(), 0.0, 100.0);
        let ticks: Vec<_> = axis.ticks().into_iter().map(|(v, _)| v).collect();
        assert_eq!(ticks, [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert!((axis.place(50.0) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn decades_are_ticks_of_a_logarithmic_axis() {
        let axis = Axis::logarithmic([0.02, 70.0].into_iter(), 100.0, 0.0);
        let ticks: Vec<_> = axis.ticks().into_iter().map(|(_, t)| t).collect();
        assert_eq!(ticks, ["0.01", "0.1", "1", "10", "100"]);
        assert!(
            (axis.place(0.0) - 100.0).abs() < 1e-9,
            "zero stands at the end"
        );
    }

    #[test]
    fn nothing_and_nonsense_still_make_an_axis() {
        for values in [vec![], vec![f64::NAN], vec![5.0, 5.0], vec![0.0]] {
            let axis = Axis::linear(values.iter().copied(), 0.0, 1.0);
            assert!(
                axis.place(1.0).is_finite() && axis.ticks().len() > 1,
                "{values:?}"
            );
            let axis = Axis::logarithmic(values.into_iter(), 0.0, 1.0);
            assert!(axis.place(1.0).is_finite());
        }
    }
}
