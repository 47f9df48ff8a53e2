//! Several forecasters at once, weighed by their pinball loss of late at each horizon.
//!
//! The members are shown the first part of the history and scored on the rest, then fitted to all of
//! it. A member whose fit fails is left out; what is told is the weighted mean of the others'
//! quantiles, the better the heavier.
//! Source: Lichtendahl, Grushka-Cockayne & Winkler 2013, averaging quantiles instead of
//! probabilities.

use foresail_core::quantity::series::Series;
use foresail_core::quantity::units::smaller;
use foresail_core::spec::SpecProblem;
use serde::{Deserialize, Serialize};

use super::saved;
use super::score::pinball;
use super::tracked::{Awaited, LEVELS, Quantiles, around, horizons, parted, stride};
use super::{Fit, FitError, Forecast, ForecastError, Forecaster, check_request};
use crate::knobs::{Kind, Knob};
use crate::registry::{ForecasterEntry, Restored, forecaster};
use crate::rng::Seed;

/// Steps of the history that the members are scored on.
const SCORED_MAX: usize = 500;

/// Members at most.
const MEMBERS_MAX: usize = 12;

/// Steps after which a loss counts half.
const HALF_LIFE: f64 = 200.0;

/// The higher, the more the best alone counts.
const SHARPNESS: i32 = 6;

/// Members where none are named: a level, a trend, a season in two ways, a distribution.
const MEMBERS: [&str; 5] = [
    "ets",
    "theta",
    "seasonal-naive",
    "seasonal-naive-scaled",
    "moving-quantile",
];

/// The registry's entry.
pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "ensemble",
    summary: "several forecasters, weighed by their recent pinball loss at each horizon",
    suits: "where no single model is trusted and the cost of several fits is no matter",
    knobs: &[Knob {
        name: "members",
        kind: Kind::List,
        doc: "names of its forecasters; ets, theta, two seasonal ones and a window where none are named",
    }],
    build: |knobs| {
        let names = match knobs.given_list("members") {
            Some(names) => names.iter().map(serde_json::Value::as_str).collect(),
            None => Some(MEMBERS.to_vec()),
        };
        let names: Vec<&str> = names.ok_or("members: must be names of forecasters")?;
        Ensemble::new(&names).map(|e| Box::new(e) as Box<dyn Fit>)
    },
    restore,
};

/// Several forecasters, not fitted.
#[derive(Debug)]
pub struct Ensemble {
    members: Vec<(String, Box<dyn Fit>)>,
}

impl Ensemble {
    /// The forecasters of these names, with their default knobs.
    ///
    /// # Errors
    /// None or too many names, one that is none, or this one itself.
    pub fn new(names: &[&str]) -> Result<Self, String> {
        if names.is_empty() || names.len() > MEMBERS_MAX {
            return Err(format!("members: must be 1 to {MEMBERS_MAX} names"));
        }
        let member = |name: &&str| {
            if *name == ENTRY.name {
                return Err("members: an ensemble cannot be its own member".to_owned());
            }
            let fit = forecaster(name, &std::collections::BTreeMap::new(), "members");
            let fit = fit.map_err(|problems| SpecProblem::joined(&problems))?;
            Ok(((*name).to_owned(), fit))
        };
        let members = names.iter().map(member).collect::<Result<_, String>>()?;
        Ok(Self { members })
    }
}

impl Fit for Ensemble {
    fn fit(&self, history: &Series, seed: Seed) -> Result<Box<dyn Forecaster>, FitError> {
        let mut fitted = Vec::new();
        let mut failed = FitError::Empty;
        for (name, fit) in &self.members {
            match fit.fit(history, seed) {
                Ok(forecaster) => fitted.push((name, fit, forecaster)),
                Err(error) => failed = error,
            }
        }
        if fitted.is_empty() {
            return Err(failed);
        }
        let (first, later) = parted(history, SCORED_MAX);
        let mut book = Book::new(fitted.len(), later.len());
        let earlier: Result<Vec<_>, _> =
            fitted.iter().map(|(_, f, _)| f.fit(&first, seed)).collect();
        // Without a first part for everyone all count alike.
        if let Ok(mut earlier) = earlier {
            for value in later {
                book.turn(earlier.iter_mut(), value);
            }
        }
        let members = fitted.into_iter().map(|(n, _, f)| (n.clone(), f)).collect();
        Ok(Box::new(Members { members, book }))
    }
}

/// Losses of the members at one horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Losses {
    ahead: usize,
    /// What each member said.
    awaited: Awaited<Vec<Quantiles>>,
    /// Discounted loss of each member.
    losses: Vec<f64>,
}

impl Losses {
    fn settle(&mut self, step: u64, actual: Option<f64>) {
        let Some((said, actual)) = self.awaited.due(step).zip(actual) else {
            return;
        };
        let kept = 0.5_f64.powf(stride(self.ahead) as f64 / HALF_LIFE);
        for (loss, said) in self.losses.iter_mut().zip(said) {
            let each = LEVELS.iter().zip(said).map(|(l, q)| pinball(*l, q, actual));
            *loss = *loss * kept + each.sum::<f64>();
        }
    }

    /// The share of each member; alike while nothing is known.
    fn shares(&self) -> Vec<f64> {
        let least = self
            .losses
            .iter()
            .fold(f64::INFINITY, |a, b| smaller(a, *b));
        let weight = |loss: &f64| {
            if *loss <= 1e-12 {
                1.0
            } else {
                (least / loss).powi(SHARPNESS)
            }
        };
        let weights: Vec<f64> = self.losses.iter().map(weight).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|w| w / sum).collect()
    }
}

/// Losses of the members at every tracked horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Book {
    /// Number of the step that comes next.
    next: u64,
    horizons: Vec<Losses>,
}

impl Book {
    fn new(members: usize, points: usize) -> Self {
        let losses = |ahead| Losses {
            ahead,
            awaited: Awaited::default(),
            losses: vec![0.0; members],
        };
        Self {
            next: 0,
            horizons: horizons(points).map(losses).collect(),
        }
    }

    /// Takes in the next value: what was said of it is settled, and everyone speaks first.
    fn turn<'a>(
        &mut self,
        members: impl Iterator<Item = &'a mut Box<dyn Forecaster>>,
        value: Option<f64>,
    ) {
        let next = self.next;
        let due = |l: &&mut Losses| next.is_multiple_of(stride(l.ahead));
        let furthest = self.horizons.iter_mut().filter(due).map(|l| l.ahead).max();
        let mut said = Vec::new();
        for member in members {
            said.push(furthest.and_then(|ahead| member.forecast(ahead, &LEVELS).ok()));
            member.update(value);
        }
        let said: Option<Vec<Forecast>> = said.into_iter().collect();
        for losses in self.horizons.iter_mut().filter(due) {
            let of = |f: &Forecast| {
                Some(std::array::from_fn(|i| {
                    f.at(losses.ahead).map_or(0.0, |s| s[i])
                }))
            };
            let all = said.as_ref().and_then(|said| said.iter().map(of).collect());
            if let Some(all) = all {
                losses.awaited.say(next + losses.ahead as u64 - 1, all);
            }
        }
        let value = value.filter(|v| v.is_finite());
        for losses in &mut self.horizons {
            losses.settle(next, value);
        }
        self.next += 1;
    }
}

/// Fitted members with their losses.
#[derive(Debug)]
struct Members {
    members: Vec<(String, Box<dyn Forecaster>)>,
    book: Book,
}

impl Forecaster for Members {
    fn update(&mut self, value: Option<f64>) {
        self.book
            .turn(self.members.iter_mut().map(|(_, m)| m), value);
    }

    fn forecast(&self, horizon: usize, levels: &[f64]) -> Result<Forecast, ForecastError> {
        check_request(horizon, levels)?;
        let told: Result<Vec<Forecast>, ForecastError> = self
            .members
            .iter()
            .map(|(_, m)| m.forecast(horizon, levels))
            .collect();
        let told = told?;
        let known: Vec<usize> = self.book.horizons.iter().map(|l| l.ahead).collect();
        let shares: Vec<Vec<f64>> = self.book.horizons.iter().map(Losses::shares).collect();
        let mut values = vec![0.0; horizon * levels.len()];
        for (ahead, step) in (1..=horizon).zip(values.chunks_mut(levels.len())) {
            let (low, high, way) = around(&known, ahead);
            for (member, forecast) in told.iter().enumerate() {
                let (low, high) = (shares[low][member], shares[high][member]);
                let share = low + way * (high - low);
                for (value, q) in step.iter_mut().zip(forecast.at(ahead).unwrap_or(&[])) {
                    *value += share * q;
                }
            }
        }
        Ok(Forecast::new(levels, values))
    }

    fn summary(&self) -> String {
        let shares = self
            .book
            .horizons
            .first()
            .map(Losses::shares)
            .unwrap_or_default();
        let each = self.members.iter().zip(shares);
        let each: Vec<String> = each
            .map(|((n, _), s)| format!("{n} {:.0} %", s * 100.0))
            .collect();
        format!("one step ahead: {}", each.join(", "))
    }

    fn save(&self) -> Vec<u8> {
        let write =
            |(name, m): &(String, Box<dyn Forecaster>)| saved::write(name, m.as_ref(), 0, 0);
        let members: Vec<Vec<u8>> = self.members.iter().map(write).collect();
        postcard::to_allocvec(&(&self.book, members)).unwrap_or_default()
    }
}

fn restore(state: &[u8]) -> Restored {
    let read: (Book, Vec<Vec<u8>>) = postcard::from_bytes(state).map_err(|e| e.to_string())?;
    let (book, members) = read;
    let count = members.len();
    let fits = |l: &Losses| {
        let said = l.awaited.iter().all(|s| s.len() == count);
        l.losses.len() == count && said && l.losses.iter().all(|v| v.is_finite()) && l.ahead >= 1
    };
    let rising = book.horizons.windows(2).all(|w| w[0].ahead < w[1].ahead);
    let whole = (1..=MEMBERS_MAX).contains(&count) && !book.horizons.is_empty() && rising;
    if !whole || !book.horizons.iter().all(fits) {
        return Err("its members and losses do not fit together".to_owned());
    }
    let member = |bytes: &Vec<u8>| {
        let read = saved::read(bytes).map_err(|e| e.to_string())?;
        if read.model == ENTRY.name {
            return Err("an ensemble cannot be its own member".to_owned());
        }
        Ok((read.model.to_owned(), read.forecaster))
    };
    let members = members.iter().map(member).collect::<Result<_, String>>()?;
    Ok(Box::new(Members { members, book }))
}
