//! Conformal calibration around any forecaster: bands that cover what they say.
//!
//! The forecaster is shown the first part of the history and scored on the rest, at some horizons.
//! There each quantile is moved by the quantile, at its own level, of truth minus quantile, over the
//! band's width. `split` leaves it at that; `adaptive` goes on with every new value, in a window,
//! and moves the level that is asked for while the coverage is off. The forecaster itself is then
//! fitted to all of the history.
//! Sources: Romano, Patterson & Candès 2019, conformalized quantile regression; Gibbs & Candès 2021,
//! adaptive conformal inference under distribution shift.

use std::collections::VecDeque;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::units::larger;
use foresail_core::spec::SpecProblem;
use serde::{Deserialize, Serialize};

use super::saved;
use super::tracked::{
    Awaited, LEVELS, MEDIAN, Quantiles, around, at_level, horizons, parted, stride,
};
use super::{Fit, FitError, Forecast, ForecastError, Forecaster, check_request};
use crate::knobs::{Kind, Knob};
use crate::registry::{ForecasterEntry, Restored, forecaster};
use crate::rng::Seed;

/// Steps of the history that scores are taken from.
const SCORED_MAX: usize = 2000;

/// Scores that are remembered, per horizon.
const SCORES_MAX: usize = 300;

/// Scores without which a quantile is left as it is.
const SCORES_MIN: usize = 20;

/// How far the level is moved for each value on the wrong side. Gibbs & Candès 2021, section 4.
const RATE: f64 = 0.01;

/// Levels stay this far from 0 and 1.
const EDGE: f64 = 0.002;

/// How scores age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// They stay those of the fit.
    Split,
    /// They follow what comes.
    Adaptive,
}

/// The registry's entry.
pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "conformal",
    summary: "another forecaster, its quantiles moved until they cover what they say",
    suits: "a forecaster whose bands are too narrow, too wide, or overtaken by a shift",
    knobs: &[
        Knob {
            name: "base",
            kind: Kind::Name {
                default: "moving-quantile",
            },
            doc: "the forecaster that is calibrated, by its name",
        },
        Knob {
            name: "way",
            kind: Kind::Word {
                default: "adaptive",
                known: &["adaptive", "split"],
            },
            doc: "split = scores of the fit; adaptive = scores that follow what comes",
        },
    ],
    build: |knobs| {
        let way = match knobs.word("way") {
            "split" => Way::Split,
            _ => Way::Adaptive,
        };
        Conformal::new(knobs.word("base"), way).map(|c| Box::new(c) as Box<dyn Fit>)
    },
    restore,
};

/// A forecaster to be calibrated, not fitted.
#[derive(Debug)]
pub struct Conformal {
    base: String,
    inner: Box<dyn Fit>,
    way: Way,
}

impl Conformal {
    /// Calibration of the forecaster of that name, with its default knobs.
    ///
    /// # Errors
    /// A name that is none, or this one itself.
    pub fn new(base: &str, way: Way) -> Result<Self, String> {
        if base == ENTRY.name {
            return Err("base: conformal cannot calibrate itself".to_owned());
        }
        let inner = forecaster(base, &std::collections::BTreeMap::new(), "base");
        let inner = inner.map_err(|problems| SpecProblem::joined(&problems))?;
        Ok(Self::around(base, inner, way))
    }

    /// Calibration of a forecaster that is there already; `base` is its name in the registry.
    #[must_use]
    pub fn around(base: &str, inner: Box<dyn Fit>, way: Way) -> Self {
        Self {
            base: base.to_owned(),
            inner,
            way,
        }
    }
}

impl Fit for Conformal {
    fn fit(&self, history: &Series, seed: Seed) -> Result<Box<dyn Forecaster>, FitError> {
        let (first, later) = parted(history, SCORED_MAX);
        let scored = horizons(later.len()).map(Scores::new).collect();
        let mut book = Book {
            way: Way::Adaptive,
            next: 0,
            scored,
        };
        // Too short a first part is no fault where the whole is long enough.
        if let Ok(mut earlier) = self.inner.fit(&first, seed) {
            for value in later {
                book.say(earlier.as_ref());
                book.settle(value);
                earlier.update(value);
            }
        }
        book.way = self.way;
        let inner = self.inner.fit(history, seed)?;
        Ok(Box::new(Calibrated {
            base: self.base.clone(),
            inner,
            book,
        }))
    }
}

/// Truth against the quantiles of one horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Scores {
    ahead: usize,
    awaited: Awaited<Quantiles>,
    /// Truth minus quantile over width, level by level; oldest first.
    scores: VecDeque<Quantiles>,
    /// How far each level is moved.
    moved: Quantiles,
    /// By how many widths each quantile is moved.
    offsets: Quantiles,
}

/// The width that scores are taken in.
fn width(quantiles: &Quantiles) -> f64 {
    let width = quantiles[MEDIAN + 2] - quantiles[MEDIAN - 2];
    // A band without width has its median's size, so that it can be moved at all.
    if width > 1e-9 {
        width
    } else {
        larger(quantiles[MEDIAN].abs() * 0.1, 1e-9)
    }
}

impl Scores {
    fn new(ahead: usize) -> Self {
        Self {
            ahead,
            awaited: Awaited::default(),
            scores: VecDeque::new(),
            moved: [0.0; LEVELS.len()],
            offsets: [0.0; LEVELS.len()],
        }
    }

    fn settle(&mut self, step: u64, actual: Option<f64>, way: Way) {
        let said = self.awaited.due(step);
        let Some((said, actual)) = said.zip(actual).filter(|_| way == Way::Adaptive) else {
            return;
        };
        let width = width(&said);
        if self.scores.len() >= SCORES_MIN {
            for i in 0..LEVELS.len() {
                let below = actual <= said[i] + self.offsets[i] * width;
                let error = LEVELS[i] - if below { 1.0 } else { 0.0 };
                let most = 0.5 - EDGE;
                self.moved[i] = (self.moved[i] + RATE * error).clamp(-most, most);
            }
        }
        if self.scores.len() == SCORES_MAX {
            self.scores.pop_front();
        }
        self.scores.push_back(said.map(|q| (actual - q) / width));
        self.measure();
    }

    /// Takes the offsets anew.
    fn measure(&mut self) {
        let n = self.scores.len();
        if n < SCORES_MIN {
            return;
        }
        for i in 0..LEVELS.len() {
            let mut sorted: Vec<f64> = self.scores.iter().map(|s| s[i]).collect();
            let level = (LEVELS[i] + self.moved[i]).clamp(EDGE, 1.0 - EDGE);
            // The place that a further score is as likely below as the level says.
            let place = (level * (n + 1) as f64 - 1.0)
                .round()
                .clamp(0.0, (n - 1) as f64);
            let (_, score, _) = sorted.select_nth_unstable_by(place as usize, f64::total_cmp);
            self.offsets[i] = *score;
        }
    }

    fn is_sound(&self) -> bool {
        let finite = |q: &Quantiles| q.iter().all(|v| v.is_finite());
        self.ahead >= 1
            && self.scores.len() <= SCORES_MAX
            && self.scores.iter().all(finite)
            && finite(&self.offsets)
            && finite(&self.moved)
    }
}

/// The scores of every tracked horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Book {
    way: Way,
    /// Number of the step that comes next.
    next: u64,
    scored: Vec<Scores>,
}

impl Book {
    /// Remembers what the forecaster says of the tracked horizons.
    fn say(&mut self, forecaster: &dyn Forecaster) {
        let next = self.next;
        let due = |s: &&mut Scores| next.is_multiple_of(stride(s.ahead));
        let furthest = self.scored.iter_mut().filter(due).map(|s| s.ahead).max();
        let forecast = furthest.and_then(|ahead| forecaster.forecast(ahead, &LEVELS).ok());
        let Some(forecast) = forecast else { return };
        for scores in self.scored.iter_mut().filter(due) {
            if let Some(said) = forecast.at(scores.ahead) {
                let quantiles = std::array::from_fn(|i| said[i]);
                scores
                    .awaited
                    .say(next + scores.ahead as u64 - 1, quantiles);
            }
        }
    }

    /// Takes in the next value.
    fn settle(&mut self, value: Option<f64>) {
        let value = value.filter(|v| v.is_finite());
        for scores in &mut self.scored {
            scores.settle(self.next, value, self.way);
        }
        self.next += 1;
    }

    /// By how many widths each quantile of a step is moved.
    fn offsets(&self, known: &[usize], ahead: usize) -> Quantiles {
        let (low, high, share) = around(known, ahead);
        let (low, high) = (&self.scored[low].offsets, &self.scored[high].offsets);
        std::array::from_fn(|i| low[i] + share * (high[i] - low[i]))
    }
}

/// A calibrated forecaster.
#[derive(Debug)]
struct Calibrated {
    base: String,
    inner: Box<dyn Forecaster>,
    book: Book,
}

impl Forecaster for Calibrated {
    fn update(&mut self, value: Option<f64>) {
        if self.book.way == Way::Adaptive {
            self.book.say(self.inner.as_ref());
            self.book.settle(value);
        }
        self.inner.update(value);
    }

    fn forecast(&self, horizon: usize, levels: &[f64]) -> Result<Forecast, ForecastError> {
        check_request(horizon, levels)?;
        let inner = self.inner.forecast(horizon, &LEVELS)?;
        let known: Vec<usize> = self.book.scored.iter().map(|s| s.ahead).collect();
        let mut values = Vec::with_capacity(horizon * levels.len());
        for ahead in 1..=horizon {
            let said: Quantiles = match inner.at(ahead) {
                Some(step) => std::array::from_fn(|i| step[i]),
                None => [0.0; LEVELS.len()],
            };
            let (offsets, width) = (self.book.offsets(&known, ahead), width(&said));
            let mut moved: Quantiles = std::array::from_fn(|i| said[i] + offsets[i] * width);
            moved.sort_by(f64::total_cmp);
            values.extend(levels.iter().map(|l| at_level(&moved, *l)));
        }
        Ok(Forecast::new(levels, values))
    }

    fn summary(&self) -> String {
        let scores = self.book.scored.first().map_or(0, |s| s.scores.len());
        let inner = self.inner.summary();
        format!(
            "{} calibrated by {scores} scores one step ahead; {inner}",
            self.base
        )
    }

    fn save(&self) -> Vec<u8> {
        let inner = saved::write(&self.base, self.inner.as_ref(), 0, 0);
        postcard::to_allocvec(&(&self.book, inner)).unwrap_or_default()
    }
}

fn restore(state: &[u8]) -> Restored {
    let read: (Book, Vec<u8>) = postcard::from_bytes(state).map_err(|e| e.to_string())?;
    let (book, inner) = read;
    if book.scored.is_empty() || !book.scored.iter().all(Scores::is_sound) {
        return Err("its scores do not fit together".to_owned());
    }
    let rising = book.scored.windows(2).all(|w| w[0].ahead < w[1].ahead);
    let inner = saved::read(&inner).map_err(|e| e.to_string())?;
    if !rising || inner.model == ENTRY.name {
        return Err("its scores do not fit together".to_owned());
    }
    Ok(Box::new(Calibrated {
        base: inner.model.to_owned(),
        inner: inner.forecaster,
        book,
    }))
}
