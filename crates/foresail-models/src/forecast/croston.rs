//! Sparse counts: Croston's method and that of Teunter, Syntetos and Babai.
//!
//! Both smooth the size of a demand and how often there is one, apart. The forecast's distribution
//! is a Bernoulli draw of whether there is demand, times a draw of its size from the sizes that
//! were seen, weighed as the smoothing weighs them: its mean is the method's own forecast, and its
//! quantiles are sizes that did occur, or zero. The rate is held over the horizon. A gap counts
//! neither as a demand nor as a step without one.
//! Source: Croston 1972; Syntetos & Boylan 2005 (the corrected rate); Teunter, Syntetos & Babai
//! 2011; starts as in statsforecast.

use std::collections::VecDeque;

use foresail_core::quantity::series::Series;
use serde::{Deserialize, Serialize};

use super::{
    Component, Fit, FitError, Forecast, ForecastError, Forecaster, HORIZON_MAX, POINTS_MAX, Paths,
    check_request, check_values,
};
use crate::knobs::{Kind, Knob};
use crate::registry::{FitBuilt, ForecasterEntry, Restored};
use crate::rng::{Seed, child, uniform};

/// Sizes that are kept; those before weigh together less than the last of them at 0.02 and above.
const SIZES_MAX: usize = 400;

const ALPHA_KNOB: Knob = Knob::number(
    "alpha",
    [0.1, 0.01, 1.0],
    "weight of the last demand's size, and in croston of the last interval",
);

const ALPHA_RATE_KNOB: Knob = Knob::number(
    "alphaRate",
    [0.1, 0.001, 1.0],
    "weight of the last step in the rate of steps with demand",
);

const VARIANT_KNOB: Knob = Knob {
    name: "variant",
    kind: Kind::Word {
        default: "sba",
        known: &["classic", "sba"],
    },
    doc: "Croston's own rate, or Syntetos and Boylan's, which is not biased upwards",
};

/// The registry's entry of Croston's method.
pub const CROSTON: ForecasterEntry = ForecasterEntry {
    name: "croston",
    summary: "sizes of demands and intervals between them, smoothed apart",
    suits: "sparse counts whose rate is steady",
    knobs: &[ALPHA_KNOB, VARIANT_KNOB],
    build: |knobs| {
        Ok(Box::new(Sparse {
            rule: match knobs.word("variant") {
                "classic" => Rule::Croston,
                _ => Rule::Corrected,
            },
            alpha: knobs.number("alpha"),
            alpha_rate: knobs.number("alpha"),
        }))
    },
    restore,
};

/// The registry's entry of Teunter, Syntetos and Babai's method.
pub const TSB: ForecasterEntry = ForecasterEntry {
    name: "tsb",
    summary: "sizes of demands and the share of steps with one, smoothed apart",
    suits: "sparse counts that may die out",
    knobs: &[ALPHA_KNOB, ALPHA_RATE_KNOB],
    build: |knobs| -> FitBuilt {
        Ok(Box::new(Sparse {
            rule: Rule::Tsb,
            alpha: knobs.number("alpha"),
            alpha_rate: knobs.number("alphaRate"),
        }))
    },
    restore,
};

fn restore(state: &[u8]) -> Restored {
    let fitted: FittedSparse = serde_json::from_slice(state).map_err(|e| e.to_string())?;
    let share = |v: f64| v > 0.0 && v <= 1.0;
    let weights = fitted.sizes.iter().all(|s| s.weight >= 0.0);
    let sizes = fitted
        .sizes
        .iter()
        .all(|s| s.value > 0.0 && s.value.is_finite());
    let sum: f64 = fitted.sizes.iter().map(|s| s.weight).sum();
    let whole = fitted.sizes.is_empty() || (sum - 1.0).abs() < 1e-6;
    if !(share(fitted.alpha) && share(fitted.alpha_rate) && weights && sizes && whole) {
        return Err("its sizes or weights are out of range".to_owned());
    }
    // Beyond any history, and far from where one more step would overflow.
    if fitted.since > 1 << 40 {
        return Err("its steps since the last demand are out of range".to_owned());
    }
    if !((0.0..=1.0).contains(&fitted.rate)
        && fitted.interval >= 0.0
        && fitted.interval.is_finite())
    {
        return Err("its rate is out of range".to_owned());
    }
    Ok(Box::new(fitted))
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Croston's own.
    Croston,
    /// Croston's with Syntetos and Boylan's correction.
    Corrected,
    /// Teunter, Syntetos and Babai's.
    Tsb,
}

/// One of them, not fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sparse {
    /// Which one.
    pub rule: Rule,
    /// Weight of the last size.
    pub alpha: f64,
    /// Weight of the last interval or step.
    pub alpha_rate: f64,
}

impl Fit for Sparse {
    fn fit(&self, history: &Series, _seed: Seed) -> Result<Box<dyn Forecaster>, FitError> {
        check_values(history)?;
        let mut fitted = FittedSparse {
            rule: self.rule,
            alpha: self.alpha,
            alpha_rate: self.alpha_rate,
            sizes: VecDeque::new(),
            interval: 0.0,
            since: 0,
            rate: 0.0,
            seen: false,
        };
        let skipped = history.len().saturating_sub(POINTS_MAX);
        for value in history.iter().skip(skipped) {
            fitted.update(value);
        }
        if !fitted.seen {
            return Err(FitError::Empty);
        }
        Ok(Box::new(fitted))
    }
}

/// A size that was seen, and its weight now.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Size {
    value: f64,
    weight: f64,
}

/// One of them, fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FittedSparse {
    rule: Rule,
    alpha: f64,
    alpha_rate: f64,
    /// Oldest first; the weights sum to one.
    sizes: VecDeque<Size>,
    /// The smoothed interval; 0 before the first demand.
    interval: f64,
    /// Steps since the last demand.
    since: u64,
    /// The smoothed share of steps with demand.
    rate: f64,
    /// Whether any step was there.
    seen: bool,
}

impl FittedSparse {
    /// The chance of a demand in a step.
    fn chance(&self) -> f64 {
        let croston = if self.interval > 1.0 {
            1.0 / self.interval
        } else {
            1.0
        };
        match self.rule {
            _ if self.sizes.is_empty() => 0.0,
            Rule::Croston => croston,
            Rule::Corrected => croston * (1.0 - self.alpha_rate / 2.0),
            Rule::Tsb => self.rate,
        }
    }

    /// The smoothed size. Units: those of the series.
    fn size(&self) -> f64 {
        self.sizes.iter().map(|s| s.weight * s.value).sum()
    }

    /// The mean of a step. Units: those of the series.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.chance() * self.size()
    }

    /// Takes in a size; the weight of what falls out goes to the oldest that is left.
    fn push(&mut self, value: f64) {
        let weight = if self.sizes.is_empty() {
            1.0
        } else {
            self.alpha
        };
        for size in &mut self.sizes {
            size.weight *= 1.0 - self.alpha;
        }
        self.sizes.push_back(Size { value, weight });
        if self.sizes.len() > SIZES_MAX {
            let lost = self.sizes.pop_front().map_or(0.0, |s| s.weight);
            if let Some(oldest) = self.sizes.front_mut() {
                oldest.weight += lost;
            }
        }
    }

    /// Sizes in order, each with the chance of at most it.
    fn ladder(&self) -> Vec<(f64, f64)> {
        let mut sizes: Vec<Size> = self.sizes.iter().copied().collect();
        sizes.sort_by(|a, b| a.value.total_cmp(&b.value));
        let chance = self.chance();
        let mut below = 1.0 - chance;
        let mut ladder = vec![(0.0, below)];
        for size in sizes {
            below += chance * size.weight;
            ladder.push((size.value, below));
        }
        ladder
    }
}

/// The least value whose chance of at most it reaches `level`.
fn of_ladder(ladder: &[(f64, f64)], level: f64) -> f64 {
    // Weights that sum to one but for rounding: the last rung holds whatever is left.
    let rung = ladder.partition_point(|(_, below)| *below < level - 1e-12);
    ladder[rung.min(ladder.len() - 1)].0
}

impl Forecaster for FittedSparse {
    fn update(&mut self, value: Option<f64>) {
        let Some(value) = value.filter(|v| v.is_finite()) else {
            return;
        };
        let demand = value > 0.0;
        self.since += 1;
        let one = f64::from(u8::from(demand));
        self.rate = if self.seen {
            self.rate + self.alpha_rate * (one - self.rate)
        } else {
            one
        };
        self.seen = true;
        if demand {
            let interval = self.since as f64;
            self.interval = if self.sizes.is_empty() {
                interval
            } else {
                self.interval + self.alpha_rate * (interval - self.interval)
            };
            self.push(value);
            self.since = 0;
        }
    }

    fn forecast(&self, horizon: usize, levels: &[f64]) -> Result<Forecast, ForecastError> {
        check_request(horizon, levels)?;
        let ladder = self.ladder();
        let step: Vec<f64> = levels.iter().map(|l| of_ladder(&ladder, *l)).collect();
        Ok(Forecast::new(levels, step.repeat(horizon)))
    }

    fn paths(&self, horizon: usize, count: usize, seed: Seed) -> Option<Paths> {
        let mut stream = child(seed, "sparse paths");
        let ladder = self.ladder();
        let draw = |_| of_ladder(&ladder, uniform(&mut stream));
        Some(Paths {
            steps: horizon,
            values: (0..horizon * count).map(draw).collect(),
        })
    }

    fn components(&self, horizon: usize) -> Vec<Component> {
        let steps = horizon.min(HORIZON_MAX);
        let part = |name: &str, value: f64, factor| Component {
            name: name.to_owned(),
            values: vec![value; steps],
            factor,
        };
        vec![
            part("size of a demand", self.size(), false),
            part("share of steps with demand", self.chance(), true),
        ]
    }

    fn summary(&self) -> String {
        format!(
            "a demand in {:.2} % of the steps, of mean size {:.4}: mean {:.4} a step",
            100.0 * self.chance(),
            self.size(),
            self.mean()
        )
    }

    fn save(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foresail_core::quantity::time::{Span, Timestamp};

    fn fit(rule: Rule, values: &[f64]) -> Box<dyn Forecaster> {
        let start = Timestamp::from_seconds(0);
        let series = Series::new(start, Span::from_seconds(60), values.to_vec());
        let sparse = Sparse {
            rule,
            alpha: 0.1,
            alpha_rate: 0.1,
        };
        sparse.fit(&series, Seed(1)).expect("values")
    }

    #[test]
    fn quantiles_of_small_counts_are_counts() {
        let values: Vec<f64> = (0..200)
            .map(|i| f64::from(u8::from(i % 10 == 0)) * 3.0)
            .collect();
        for rule in [Rule::Croston, Rule::Corrected, Rule::Tsb] {
            let fitted = fit(rule, &values);
            let forecast = fitted.forecast(2, &[0.1, 0.5, 0.8, 0.975]).expect("levels");
            assert_eq!(forecast.at(2), Some(&[0.0, 0.0, 0.0, 3.0][..]), "{rule:?}");
        }
    }

    #[test]
    fn nothing_ever_is_zero_and_what_dies_out_fades() {
        let none = fit(Rule::Tsb, &[0.0; 40]);
        let forecast = none.forecast(1, &[0.5, 0.99]).expect("levels");
        assert_eq!(forecast.at(1), Some(&[0.0, 0.0][..]));
        let mut dying = fit(Rule::Tsb, &[5.0; 40]);
        (0..100).for_each(|_| dying.update(Some(0.0)));
        let forecast = dying.forecast(1, &[0.99]).expect("levels");
        assert_eq!(forecast.at(1), Some(&[0.0][..]));
    }

    #[test]
    fn the_paths_mean_is_the_methods_mean() {
        let value = |i: u32| {
            if i.is_multiple_of(4) {
                f64::from(1 + i % 3)
            } else {
                0.0
            }
        };
        let values: Vec<f64> = (0..300).map(value).collect();
        let fitted = fit(Rule::Corrected, &values);
        let paths = fitted.paths(10, 4000, Seed(3)).expect("paths");
        let mean = paths.values.iter().sum::<f64>() / paths.values.len() as f64;
        let parts = fitted.components(1);
        let own = parts[0].values[0] * parts[1].values[0];
        assert!((mean - own).abs() < 0.02, "{mean} {own}");
    }
}
