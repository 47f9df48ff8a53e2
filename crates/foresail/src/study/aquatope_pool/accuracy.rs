//! How well the next minute's peak is told: every net, with passes and without, beside other forecasters.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::larger;
use foresail_core::spec::SpecProblem;
use foresail_models::forecast::pool_net::{Ask, PASSES, PoolNet, Scale};
use foresail_models::forecast::quantile::normal_quantile;
use foresail_models::propose::pool::net::shipped;
use foresail_models::registry::forecaster;
use foresail_models::rng::Seed;
use foresail_sim::function::oracle;
use rayon::prelude::*;

use super::nets::Nets;
use super::subjects::Subject;
use crate::forecast::pool_taught::BUSY_MIN;

/// Functions of a subject that are told, the busiest.
const FUNCTIONS_MAX: usize = 12;

/// Lower edge, middle and upper edge of a 90 % band.
const LEVELS: [f64; 3] = [0.05, 0.5, 0.95];

/// Scores of one teller. Units: standard deviations of each function's peaks; shares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Score {
    pub(super) error: f64,
    /// Pinball loss at the upper edge.
    pub(super) upper_loss: f64,
    /// Share within the band.
    pub(super) coverage: f64,
    /// Share above its upper edge.
    pub(super) above: f64,
    pub(super) told: usize,
}

impl Score {
    fn add(&mut self, told: [f64; 3], came: f64, unit: f64) {
        // Nobody holds less than no container.
        let [low, middle, high] = told.map(|v| larger(v, 0.0));
        let over = (came - high) / unit;
        let loss = if over > 0.0 {
            LEVELS[2] * over
        } else {
            (LEVELS[2] - 1.0) * over
        };
        let is = |holds: bool| if holds { 1.0 } else { 0.0 };
        self.error += (came - middle).abs() / unit;
        self.upper_loss += loss;
        self.coverage += is(low - 1e-9 <= came && came <= high + 1e-9);
        self.above += is(came > high + 1e-9);
        self.told += 1;
    }

    fn merged(mut self, other: &Self) -> Self {
        self.error += other.error;
        self.upper_loss += other.upper_loss;
        self.coverage += other.coverage;
        self.above += other.above;
        self.told += other.told;
        self
    }

    fn mean(self) -> Self {
        let n = self.told.max(1) as f64;
        Self {
            error: self.error / n,
            upper_loss: self.upper_loss / n,
            coverage: self.coverage / n,
            above: self.above / n,
            told: self.told,
        }
    }
}

/// One function: what is learnt from, and what is told.
struct Case {
    id: String,
    seed: Seed,
    start: Timestamp,
    values: Vec<f64>,
    /// The first step that is told.
    from: usize,
    scale: Scale,
}

/// What tells.
enum Teller<'a> {
    Forecaster(&'static str),
    Net(&'a PoolNet, usize),
}

const STEP: Span = Span::from_seconds(60);

/// Names and mean scores over all functions of all subjects, in the order of the table.
///
/// # Errors
/// Where a subject cannot be simulated or a forecaster not be fitted.
pub(super) fn all(
    subjects: &[Subject],
    nets: &Nets,
    done: &(dyn Fn(&str) + Sync),
) -> Result<Vec<(&'static str, Score)>> {
    let own = shipped().map_err(|e| anyhow!("the shipped net: {e}"))?;
    let tellers: [(&'static str, Teller<'_>); 9] = [
        ("last value", Teller::Forecaster("last")),
        ("ets", Teller::Forecaster("ets")),
        ("fourier", Teller::Forecaster("fourier")),
        ("published shape, one pass", Teller::Net(&nets.published, 1)),
        (
            "published shape, 128 passes",
            Teller::Net(&nets.published, PASSES),
        ),
        ("sound shape, one pass", Teller::Net(&nets.sound, 1)),
        ("sound shape, 128 passes", Teller::Net(&nets.sound, PASSES)),
        ("shipped net, one pass", Teller::Net(&own, 1)),
        ("shipped net, 128 passes", Teller::Net(&own, PASSES)),
    ];
    let mut sums = vec![Score::default(); tellers.len()];
    for subject in subjects {
        let cases = cases(subject)?;
        for (sum, (_, teller)) in sums.iter_mut().zip(&tellers) {
            let scores = cases.par_iter().map(|case| teller.score(case));
            let scores: Vec<Score> = scores.collect::<Result<_>>()?;
            *sum = scores.iter().fold(*sum, Score::merged);
        }
        done(&subject.name);
    }
    let named = tellers.iter().zip(sums);
    Ok(named.map(|((name, _), sum)| (*name, sum.mean())).collect())
}

/// The busiest functions whose peaks vary in the first half.
fn cases(subject: &Subject) -> Result<Vec<Case>> {
    let peaks = oracle::busy_peaks(&subject.platform, &subject.functions, subject.seed)?;
    let pairs = subject.functions.iter().zip(peaks);
    let mut cases: Vec<(usize, Case)> = pairs
        .filter_map(|(function, peaks)| {
            let values: Vec<f64> = peaks.iter().map(|v| v.unwrap_or(0.0)).collect();
            let from = values.len() / 2;
            let busy = values[..from].iter().filter(|v| **v > 0.0).count();
            let scale = Scale::of(values[..from].iter().copied())?;
            let fits = busy >= BUSY_MIN && scale.deviation > 0.0;
            let case = Case {
                id: function.id.clone(),
                seed: subject.seed,
                start: peaks.start(),
                values,
                from,
                scale,
            };
            fits.then_some((busy, case))
        })
        .collect();
    cases.sort_by_key(|(busy, _)| std::cmp::Reverse(*busy));
    Ok(cases
        .into_iter()
        .take(FUNCTIONS_MAX)
        .map(|(_, c)| c)
        .collect())
}

impl Teller<'_> {
    fn score(&self, case: &Case) -> Result<Score> {
        match self {
            Self::Forecaster(name) => by_forecaster(name, case),
            Self::Net(net, passes) => Ok(by_net(net, *passes, case)),
        }
    }
}

fn by_forecaster(name: &str, case: &Case) -> Result<Score> {
    let unfitted = forecaster(name, &BTreeMap::new(), "forecaster")
        .map_err(|p| anyhow!(SpecProblem::joined(&p)))?;
    let past = Series::new(case.start, STEP, case.values[..case.from].to_vec());
    let mut fitted = unfitted.fit(&past, case.seed)?;
    let mut score = Score::default();
    for came in &case.values[case.from..] {
        let told = fitted.forecast(1, &LEVELS)?;
        if let Some([low, middle, high]) = told.at(1) {
            score.add([*low, *middle, *high], *came, case.scale.deviation);
        }
        fitted.update(Some(*came));
    }
    Ok(score)
}

fn by_net(net: &PoolNet, passes: usize, case: &Case) -> Score {
    let places = case.from.max(net.window())..case.values.len();
    let ask = |place: usize| Ask {
        id: &case.id,
        window: &case.values[place - net.window()..place],
        scale: case.scale,
        next: case.start + Span::from_nanos(STEP.nanos() * place as i64),
    };
    let asks: Vec<Ask<'_>> = places.clone().map(ask).collect();
    let mut score = Score::default();
    for (place, told) in places.zip(net.tell(&asks, passes, case.seed)) {
        let next = told.ok().and_then(|steps| steps.first().copied());
        if let Some(next) = next {
            let at = |level: f64| next.center + normal_quantile(level) * next.deviation();
            score.add(LEVELS.map(at), case.values[place], case.scale.deviation);
        }
    }
    score
}
