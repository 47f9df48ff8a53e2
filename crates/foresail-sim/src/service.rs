//! Times drawn from a distribution: constant, exponential, lognormal, gamma, or a table of
//! percentiles as Azure records them.

use foresail_core::quantity::time::Span;
use foresail_core::quantity::trace::Percentiles;
use foresail_core::quantity::units::larger;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::{Shape, Times};
use crate::rng::Stream;

/// The most points of a [`Table`]; Azure records seven for run times and eight for memory.
pub const POINTS_MAX: usize = 8;

/// A distribution by some of its percentiles, a line between each two.
///
/// Only its form counts: [`Times`] scales it, so that its mean is the mean asked for. The lines are
/// a guess, above all the one from 99 to 100: on Azure's run times of 2019 the mean of the lines
/// over the recorded average is 1.00 in the median, but 0.77 to 3.1 between the 1st and the 99th
/// function of a hundred (of 3,166); a queue depends on the mean first, so that is what is kept.
///
/// Small and `Copy`, so that [`Times`] is too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Table {
    points: [(f64, f64); POINTS_MAX],
    len: usize,
}

/// Why points are no distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Too few or too many.
    #[error("{0} points: write 1 to 8 pairs of percentile and value")]
    Count(usize),
    /// A percentile out of range or out of order.
    #[error("percentiles must rise from 0 to 100")]
    Levels,
    /// A value below zero, not finite, or below the one before.
    #[error("values must be 0 or more and never fall")]
    Values,
    /// Nothing above zero.
    #[error("every value is 0: such a table says nothing; leave it out")]
    Zero,
}

impl Table {
    /// A table of percentiles (0 to 100, ascending) and values in any unit.
    ///
    /// # Errors
    /// [`TableError`] where the points are no distribution of something above zero.
    pub fn new(points: &[(f64, f64)]) -> Result<Self, TableError> {
        if points.is_empty() || points.len() > POINTS_MAX {
            return Err(TableError::Count(points.len()));
        }
        let rising = points.windows(2).all(|p| p[0].0 < p[1].0);
        if !rising || points.iter().any(|p| !(0.0..=100.0).contains(&p.0)) {
            return Err(TableError::Levels);
        }
        let steady = points.windows(2).all(|p| p[0].1 <= p[1].1);
        if !steady || points.iter().any(|p| !(p.1.is_finite() && p.1 >= 0.0)) {
            return Err(TableError::Values);
        }
        let mut table = Self {
            points: [(0.0, 0.0); POINTS_MAX],
            len: points.len(),
        };
        table.points[..points.len()].copy_from_slice(points);
        if table.mean() > 0.0 {
            Ok(table)
        } else {
            Err(TableError::Zero)
        }
    }

    /// Percentiles and values.
    #[must_use]
    pub fn points(&self) -> &[(f64, f64)] {
        &self.points[..self.len]
    }

    /// The mean of the lines, in the unit of the values; level before the first point and after
    /// the last.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let points = self.points();
        let (first, last) = (points[0], points[self.len - 1]);
        let ends = first.0 * first.1 + (100.0 - last.0) * last.1;
        let lines = points
            .windows(2)
            .map(|p| (p[1].0 - p[0].0) * (p[0].1 + p[1].1) / 2.0);
        (ends + lines.sum::<f64>()) / 100.0
    }

    /// Standard deviation over mean.
    #[must_use]
    pub fn spread(&self) -> f64 {
        let points = self.points();
        let (first, last) = (points[0], points[self.len - 1]);
        let ends = first.0 * first.1 * first.1 + (100.0 - last.0) * last.1 * last.1;
        let square = |a: f64, b: f64| (a * a + a * b + b * b) / 3.0;
        let lines = points
            .windows(2)
            .map(|p| (p[1].0 - p[0].0) * square(p[0].1, p[1].1));
        let (mean, squares) = (self.mean(), (ends + lines.sum::<f64>()) / 100.0);
        larger(squares / (mean * mean) - 1.0, 0.0).sqrt()
    }

    /// The value at a share `level` (0 to 1), in the unit of the values.
    #[inline]
    #[must_use]
    pub fn quantile(&self, level: f64) -> f64 {
        let percent = level * 100.0;
        let points = self.points();
        let above = points.iter().position(|p| percent < p.0);
        match above {
            None => points[self.len - 1].1,
            Some(0) => points[0].1,
            Some(i) => {
                let ((from, low), (to, high)) = (points[i - 1], points[i]);
                low + (high - low) * (percent - from) / (to - from)
            }
        }
    }

    fn scaled(&self, factor: f64) -> Self {
        let mut scaled = *self;
        for point in &mut scaled.points {
            point.1 *= factor;
        }
        scaled
    }
}

impl Shape {
    /// Coefficient of variation: standard deviation over mean.
    #[must_use]
    pub fn spread(&self) -> f64 {
        match self {
            Self::Constant => 0.0,
            Self::Exponential => 1.0,
            Self::Lognormal(cv) | Self::Gamma(cv) => *cv,
            Self::Table(table) => table.spread(),
        }
    }
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.points().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let points = Vec::<(f64, f64)>::deserialize(deserializer)?;
        Self::new(&points).map_err(serde::de::Error::custom)
    }
}

/// Run times as a trace records them, in milliseconds; `None` where nothing above zero is recorded,
/// which says that they are not known and not that they are zero.
///
/// Azure's percentiles are of averages over 30 seconds, weighted by their count, not of single
/// requests: the table is narrower than what one request sees. Values stay between the recorded
/// percentiles 0 and 100, which lie between the minimum and the maximum in every row (of 3,175).
/// Source: Azure/AzurePublicDataset:AzureFunctionsDataset2019.md.
#[must_use]
pub fn times_of(percentiles: &Percentiles) -> Option<Times> {
    let table = Table::new(&percentiles.points).ok();
    let average = Some(percentiles.average).filter(|a| *a > 0.0);
    let mean = average.or_else(|| table.map(|t| t.mean()))?;
    let shape = table.map_or(Shape::Exponential, Shape::Table);
    let mean = Span::from_seconds_f64(mean / 1000.0).filter(|m| *m > Span::ZERO)?;
    Some(Times { mean, shape })
}

/// Draws times of a distribution.
#[derive(Clone, Debug)]
pub struct Sampler {
    mean: f64,
    shape: Drawn,
}

#[derive(Clone, Copy, Debug)]
enum Drawn {
    Constant,
    Exponential,
    Lognormal { mu: f64, sigma: f64 },
    Gamma { shape: f64, scale: f64 },
    Table(Table),
}

impl Sampler {
    /// A sampler of these times.
    #[must_use]
    pub fn new(times: Times) -> Self {
        let mean = times.mean.nanos() as f64;
        let shape = match times.shape {
            Shape::Constant => Drawn::Constant,
            Shape::Exponential => Drawn::Exponential,
            Shape::Lognormal(cv) => {
                let variance = (1.0 + cv * cv).ln();
                Drawn::Lognormal {
                    mu: mean.ln() - variance / 2.0,
                    sigma: variance.sqrt(),
                }
            }
            Shape::Gamma(cv) => Drawn::Gamma {
                shape: 1.0 / (cv * cv),
                scale: mean * cv * cv,
            },
            Shape::Table(table) => Drawn::Table(table.scaled(mean / table.mean())),
        };
        Self { mean, shape }
    }

    /// The next time in nanoseconds.
    #[inline]
    pub fn draw(&self, stream: &mut Stream) -> i64 {
        match &self.shape {
            Drawn::Constant => self.mean as i64,
            Drawn::Exponential => (self.mean * stream.exponential()) as i64,
            Drawn::Lognormal { mu, sigma } => (mu + sigma * stream.normal()).exp() as i64,
            Drawn::Gamma { shape, scale } => (scale * stream.gamma(*shape)) as i64,
            Drawn::Table(table) => table.quantile(stream.uniform()) as i64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foresail_models::rng::Seed;

    fn drawn(shape: Shape) -> Vec<f64> {
        let sampler = Sampler::new(Times {
            mean: Span::from_seconds(1),
            shape,
        });
        let mut stream = Stream::of(Seed(5), "times");
        (0..400_000)
            .map(|_| sampler.draw(&mut stream) as f64 / 1e9)
            .collect()
    }

    #[test]
    fn drawn_times_have_the_mean_and_the_spread_asked_for() {
        for (shape, want) in [
            (Shape::Constant, 0.0),
            (Shape::Exponential, 1.0),
            (Shape::Lognormal(2.0), 2.0),
            (Shape::Gamma(0.5), 0.5),
            (Shape::Gamma(1.0), 1.0),
            (Shape::Gamma(2.0), 2.0),
        ] {
            let drawn = drawn(shape);
            let n = drawn.len() as f64;
            let mean = drawn.iter().sum::<f64>() / n;
            let sd = (drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
            assert!((mean - 1.0).abs() < 0.02, "{shape:?}: mean {mean}");
            assert!(
                (sd / mean - want).abs() < 0.08,
                "{shape:?}: cv {}",
                sd / mean
            );
        }
    }

    /// Skewness of a gamma is twice its coefficient of variation: a lognormal of the same spread
    /// would fail here.
    #[test]
    fn a_gamma_is_as_skewed_as_a_gamma() {
        for cv in [0.4, 0.8, 1.25] {
            let drawn = drawn(Shape::Gamma(cv));
            let third = drawn.iter().map(|x| (x - 1.0).powi(3)).sum::<f64>() / drawn.len() as f64;
            let skew = third / cv.powi(3);
            assert!((skew / (2.0 * cv) - 1.0).abs() < 0.05, "cv {cv}: {skew}");
        }
    }

    const AZURE: [(f64, f64); 7] = [
        (0.0, 10.0),
        (1.0, 12.0),
        (25.0, 20.0),
        (50.0, 30.0),
        (75.0, 50.0),
        (99.0, 400.0),
        (100.0, 900.0),
    ];

    #[test]
    fn a_table_is_drawn_with_its_percentiles_scaled_to_the_mean() {
        let table = Table::new(&AZURE).unwrap();
        let mut drawn = drawn(Shape::Table(table));
        drawn.sort_by(f64::total_cmp);
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        for (percent, value) in AZURE {
            let index = ((drawn.len() - 1) as f64 * percent / 100.0) as usize;
            let want = value / table.mean();
            assert!(
                (drawn[index] / want - 1.0).abs() < 0.03,
                "{percent}: {} against {want}",
                drawn[index]
            );
        }
    }

    #[test]
    fn a_table_of_zeros_is_not_known_and_an_average_alone_is() {
        let of = |average: f64, values: [f64; 2]| {
            times_of(&Percentiles {
                average,
                count: 3.0,
                points: vec![(0.0, values[0]), (100.0, values[1])],
            })
        };
        assert_eq!(of(0.0, [0.0, 0.0]), None);
        let alone = of(250.0, [0.0, 0.0]).unwrap();
        assert_eq!(
            (alone.mean, alone.shape),
            (Span::from_millis(250), Shape::Exponential)
        );
        let both = of(0.0, [100.0, 300.0]).unwrap();
        assert_eq!(both.mean, Span::from_millis(200));
        assert!(matches!(both.shape, Shape::Table(_)));
    }

    #[test]
    fn points_that_are_no_distribution_are_refused() {
        let error = |points: &[(f64, f64)]| Table::new(points).unwrap_err();
        assert_eq!(error(&[]), TableError::Count(0));
        assert_eq!(error(&[(50.0, 1.0), (50.0, 2.0)]), TableError::Levels);
        assert_eq!(error(&[(0.0, 1.0), (101.0, 2.0)]), TableError::Levels);
        assert_eq!(error(&[(0.0, 2.0), (100.0, 1.0)]), TableError::Values);
        assert_eq!(error(&[(0.0, f64::NAN)]), TableError::Values);
        assert_eq!(error(&[(0.0, 0.0), (100.0, 0.0)]), TableError::Zero);
    }

    #[test]
    fn a_table_is_written_as_its_points() {
        let table = Table::new(&AZURE).unwrap();
        let text = serde_json::to_string(&Shape::Table(table)).unwrap();
        assert_eq!(
            serde_json::from_str::<Shape>(&text).unwrap(),
            Shape::Table(table)
        );
        assert!(serde_json::from_str::<Shape>(r#"{"table":[[5,1],[4,2]]}"#).is_err());
    }
}
