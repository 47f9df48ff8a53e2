//! The classical decomposition: a centred moving average, and the mean of what is left per place in
//! the season.
//!
//! Source: Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd ed.), 3.4; the same
//! numbers as statsmodels' `seasonal_decompose`.

/// How the season enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Added; the figure has the mean 0.
    Additive,
    /// As a factor; the figure has the mean 1.
    Multiplicative,
}

/// The season's figure, one number per step of a cycle from the first value on.
///
/// `None` where there are fewer than two cycles, or a factor of a series that is not above zero.
/// Shapes: `values` without gaps, the result has `steps`. Units: those of the values, or a factor.
#[must_use]
pub fn figure(values: &[f64], steps: usize, kind: Kind) -> Option<Vec<f64>> {
    if steps < 2 || values.len() < 2 * steps {
        return None;
    }
    let trend = moving_average(values, steps);
    let first = steps / 2;
    let mut sums = vec![(0.0, 0.0); steps];
    for (i, trend) in trend.iter().enumerate() {
        let place = first + i;
        let rest = match kind {
            Kind::Additive => values[place] - trend,
            Kind::Multiplicative => values[place] / trend,
        };
        let (sum, count) = &mut sums[place % steps];
        *sum += rest;
        *count += 1.0;
    }
    let mut figure: Vec<f64> = sums.iter().map(|(sum, count)| sum / count).collect();
    let mean = figure.iter().sum::<f64>() / steps as f64;
    for value in &mut figure {
        match kind {
            Kind::Additive => *value -= mean,
            Kind::Multiplicative => *value /= mean,
        }
    }
    figure.iter().all(|v| v.is_finite()).then_some(figure)
}

/// The centred mean over one cycle, from step `steps / 2` on; even cycles weigh both ends by half.
fn moving_average(values: &[f64], steps: usize) -> Vec<f64> {
    let even = steps.is_multiple_of(2);
    let width = if even { steps + 1 } else { steps };
    let mean = |window: &[f64]| {
        let sum: f64 = window.iter().sum();
        let ends = if even {
            0.5 * (window[0] + window[steps])
        } else {
            0.0
        };
        (sum - ends) / steps as f64
    };
    if steps <= 64 {
        return values.windows(width).map(mean).collect();
    }
    // Long cycles: one running sum, taken anew each cycle so that rounding does not add up.
    let mut sum = 0.0;
    let mut averages = Vec::with_capacity(values.len() + 1 - width);
    for (i, window) in values.windows(width).enumerate() {
        if i % steps == 0 {
            sum = window.iter().sum();
        } else {
            sum += window[width - 1] - values[i - 1];
        }
        let ends = if even {
            0.5 * (window[0] + window[steps])
        } else {
            0.0
        };
        averages.push((sum - ends) / steps as f64);
    }
    averages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_season_on_a_line_is_taken_apart_exactly() {
        let wave = [3.0, -1.0, -4.0, 2.0];
        let value = |i: usize| 10.0 + 0.5 * i as f64 + wave[i % 4];
        let values: Vec<f64> = (0..22).map(value).collect();
        let found = figure(&values, 4, Kind::Additive).expect("five cycles");
        for (a, b) in found.iter().zip(wave) {
            assert!((a - b).abs() < 1e-12, "{found:?}");
        }
        assert_eq!(figure(&values[..7], 4, Kind::Additive), None);
    }

    #[test]
    fn a_long_running_sum_is_the_sum() {
        let value = |i: usize| 5.0 + ((i * 7919) % 101) as f64;
        let values: Vec<f64> = (0..500).map(value).collect();
        let averages = moving_average(&values, 100);
        let direct = |i: usize| {
            let inner: f64 = values[i + 1..i + 100].iter().sum();
            (inner + 0.5 * (values[i] + values[i + 100])) / 100.0
        };
        for (i, average) in averages.iter().enumerate() {
            assert!((average - direct(i)).abs() < 1e-10);
        }
    }
}
