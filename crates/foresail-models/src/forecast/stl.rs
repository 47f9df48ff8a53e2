//! Season and trend by LOESS.
//!
//! Source: Cleveland, Cleveland, McRae & Terpenning, STL: A Seasonal-Trend Decomposition Procedure
//! Based on Loess (1990); no robustness weights and no jumps, as statsmodels' `STL` by default.
//! Without weights of their own all points of a smoother share the same local weights, so these are
//! computed once and a smoother is a sum of products.

/// Rounds of the inner loop without robustness; as statsmodels has it.
const ROUNDS: usize = 5;

/// Lanes of a sum of products, so that one sum does not wait for the other.
const LANES: usize = 8;

/// Degree of the local polynomial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Degree {
    /// A constant.
    Zero,
    /// A line.
    One,
}

/// LOESS over equally spaced points.
#[derive(Clone, Debug)]
pub struct Loess {
    /// Points of a series.
    points: usize,
    /// Points of a window.
    window: usize,
    /// Weights of a whole window, where the point stands in its middle.
    middle: Vec<f64>,
    /// Weights of the first window, for each point before its middle; the end mirrors the begin.
    edge: Vec<Vec<f64>>,
    /// Weights for one step before the first point.
    before: Vec<f64>,
}

impl Loess {
    /// For series of `points` values, `span` of which count at each place.
    #[must_use]
    pub fn new(points: usize, span: usize, degree: Degree) -> Self {
        let window = span.min(points);
        let local = |place: f64| weights(place, window, points, span, degree);
        let edges = if span >= points {
            points.div_ceil(2)
        } else {
            span.div_ceil(2)
        };
        Self {
            points,
            window,
            middle: local((window as f64 - 1.0) / 2.0),
            edge: (0..edges).map(|i| local(i as f64)).collect(),
            before: local(-1.0),
        }
    }

    /// The smoothed series, into `smooth`.
    ///
    /// Shapes: both have the number of points that the smoother was made for.
    pub fn run(&self, values: &[f64], smooth: &mut [f64]) {
        let (n, window) = (self.points, self.window);
        debug_assert!(values.len() == n && smooth.len() == n);
        for (i, weights) in self.edge.iter().enumerate() {
            smooth[i] = product(weights, &values[..window]);
            smooth[n - 1 - i] = mirrored(weights, &values[n - window..]);
        }
        let first = self.edge.len();
        let last = n.saturating_sub(first);
        if first < last {
            let windows = values.windows(window).skip(first - (window - 1) / 2);
            for (smooth, values) in smooth[first..last].iter_mut().zip(windows) {
                *smooth = product(&self.middle, values);
            }
        }
    }

    /// The smooth value one step before the first point.
    #[must_use]
    pub fn before(&self, values: &[f64]) -> f64 {
        product(&self.before, &values[..self.window])
    }

    /// The smooth value one step after the last point.
    #[must_use]
    pub fn after(&self, values: &[f64]) -> f64 {
        mirrored(&self.before, &values[self.points - self.window..])
    }
}

/// Local weights of a window's values for the smooth value at `place`, counted from its first.
fn weights(place: f64, window: usize, points: usize, span: usize, degree: Degree) -> Vec<f64> {
    let last = window as f64 - 1.0;
    let reach = if place > last - place {
        place
    } else {
        last - place
    };
    let reach = reach + (span.saturating_sub(points) / 2) as f64;
    let tricube = |i: usize| {
        let away = (i as f64 - place).abs();
        if away > 0.999 * reach {
            0.0
        } else if away <= 0.001 * reach {
            1.0
        } else {
            (1.0 - (away / reach).powi(3)).powi(3)
        }
    };
    let mut weights: Vec<f64> = (0..window).map(tricube).collect();
    let sum: f64 = weights.iter().sum();
    if sum <= 0.0 {
        // One point alone, and it is further than its reach.
        return vec![1.0 / window as f64; window];
    }
    weights.iter_mut().for_each(|w| *w /= sum);
    if degree == Degree::One && reach > 0.0 {
        let places = weights.iter().enumerate();
        let centre: f64 = places.map(|(i, w)| w * i as f64).sum();
        let places = weights.iter().enumerate();
        let spread: f64 = places.map(|(i, w)| w * (i as f64 - centre).powi(2)).sum();
        // Cleveland's guard against a line through what is almost one point.
        if spread.sqrt() > 0.001 * (points as f64 - 1.0) {
            let tilt = (place - centre) / spread;
            for (i, weight) in weights.iter_mut().enumerate() {
                *weight *= tilt * (i as f64 - centre) + 1.0;
            }
        }
    }
    weights
}

fn product(weights: &[f64], values: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (w, v) = (weights.chunks_exact(LANES), values.chunks_exact(LANES));
    let rest = w.remainder().iter().zip(v.remainder());
    let rest: f64 = rest.map(|(w, v)| w * v).sum();
    for (w, v) in w.zip(v) {
        for lane in 0..LANES {
            lanes[lane] += w[lane] * v[lane];
        }
    }
    lanes.iter().sum::<f64>() + rest
}

fn mirrored(weights: &[f64], values: &[f64]) -> f64 {
    let pairs = weights.iter().zip(values.iter().rev());
    pairs.map(|(w, v)| w * v).sum()
}

/// A decomposition of series of one length by one season.
#[derive(Clone, Debug)]
pub struct Stl {
    steps: usize,
    points: usize,
    /// Smoothers of the places in the season: of the longer series and of those a value shorter.
    places: [Loess; 2],
    low: Loess,
    trend: Loess,
}

impl Stl {
    /// For series of `points` values with a season of `steps`, `span` cycles of which count for the
    /// season at each place; `None` with fewer than two cycles or a season below two steps.
    #[must_use]
    pub fn new(points: usize, steps: usize, span: usize) -> Option<Self> {
        if steps < 2 || points < 2 * steps {
            return None;
        }
        let odd = |n: usize| n + usize::from(n.is_multiple_of(2));
        let trend = 1.5 * steps as f64 / (1.0 - 1.5 / span as f64);
        let (long, short) = (points.div_ceil(steps), points / steps);
        Some(Self {
            steps,
            points,
            places: [long, short].map(|n| Loess::new(n, span, Degree::Zero)),
            low: Loess::new(points, odd(steps + 1), Degree::One),
            trend: Loess::new(points, odd(trend.ceil() as usize), Degree::One),
        })
    }

    /// The season of each step and the trend.
    ///
    /// Shapes: `values` has the number of points that this was made for; so have both results.
    #[must_use]
    pub fn run(&self, values: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (n, steps) = (self.points, self.steps);
        let mut trend = vec![0.0; n];
        let mut season = vec![0.0; n];
        let mut work = vec![0.0; n];
        let mut low = vec![0.0; n];
        let mut cycles = vec![0.0; n + 2 * steps];
        for _ in 0..ROUNDS {
            for ((work, value), trend) in work.iter_mut().zip(values).zip(&trend) {
                *work = value - trend;
            }
            self.smooth_places(&work, &mut cycles);
            let once = moving_average(&cycles, steps);
            let twice = moving_average(&once, steps);
            self.low.run(&moving_average(&twice, 3), &mut low);
            for i in 0..n {
                season[i] = cycles[steps + i] - low[i];
                work[i] = values[i] - season[i];
            }
            self.trend.run(&work, &mut trend);
        }
        (season, trend)
    }

    /// Smooths the values of each place in the season over its cycles, one more at each end.
    fn smooth_places(&self, values: &[f64], cycles: &mut [f64]) {
        let steps = self.steps;
        let mut own = Vec::new();
        let mut smooth = Vec::new();
        for place in 0..steps {
            own.clear();
            own.extend(values[place..].iter().step_by(steps));
            let loess = if own.len() == self.places[0].points {
                &self.places[0]
            } else {
                &self.places[1]
            };
            smooth.resize(own.len(), 0.0);
            loess.run(&own, &mut smooth);
            cycles[place] = loess.before(&own);
            for (i, value) in smooth.iter().enumerate() {
                cycles[place + (i + 1) * steps] = *value;
            }
            cycles[place + (own.len() + 1) * steps] = loess.after(&own);
        }
    }
}

/// The mean of each `width` values that follow each other, by one running sum.
fn moving_average(values: &[f64], width: usize) -> Vec<f64> {
    let mut sum: f64 = values[..width].iter().sum();
    let mut averages = Vec::with_capacity(values.len() + 1 - width);
    averages.push(sum / width as f64);
    for (new, old) in values[width..].iter().zip(values) {
        sum += new - old;
        averages.push(sum / width as f64);
    }
    averages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_its_own_local_line_and_a_constant_its_own_mean() {
        let line: Vec<f64> = (0..40).map(|i| 3.0 + 0.5 * f64::from(i)).collect();
        let mut smooth = vec![0.0; 40];
        Loess::new(40, 11, Degree::One).run(&line, &mut smooth);
        for (a, b) in smooth.iter().zip(&line) {
            assert!((a - b).abs() < 1e-12);
        }
        let loess = Loess::new(40, 11, Degree::One);
        assert!((loess.before(&line) - 2.5).abs() < 1e-12);
        assert!((loess.after(&line) - 23.0).abs() < 1e-12);
        Loess::new(40, 60, Degree::Zero).run(&[7.0; 40], &mut smooth);
        assert!(smooth.iter().all(|s| (s - 7.0).abs() < 1e-12));
    }

    #[test]
    fn parts_and_what_is_left_make_the_series() {
        let value = |i: i32| 10.0 + 0.1 * f64::from(i) + f64::from((i % 6) * 3);
        let values: Vec<f64> = (0..63).map(value).collect();
        let (season, trend) = Stl::new(63, 6, 7).expect("ten cycles").run(&values);
        for i in 0..63 {
            assert!((values[i] - season[i] - trend[i]).abs() < 1e-6, "{i}");
        }
        assert!(Stl::new(11, 6, 7).is_none());
    }
}
