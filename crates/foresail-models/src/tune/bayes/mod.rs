//! `bayes`: Gaussian processes of objective and excess, and the plans whose measurement promises
//! most.
//!
//! Points of chance first, then batches that are chosen together and measured one at a time. What
//! the others do not lead to expect is measured again. A plan that breaks the constraint stays in
//! both processes; one that cannot be measured is known as failed and no number of it is made up.
//! Source: Zhou et al. 2023, AQUATOPE, the container resource manager.

mod choice;
mod doubts;
mod drift;
mod plans;
mod search;
mod settings;
mod surrogate;
mod warp;

use foresail_core::propose::advice::{Best, Doubt, DoubtState, Doubted, Measurement, Trial, Tuner};
use foresail_core::propose::plan::Plan;

use super::axes::Axes;
use crate::bayes::sobol::scrambled;
use crate::rng::{Seed, child};
use doubts::Open;
use plans::{Known, Measured};
pub use settings::ENTRY;
use settings::Settings;
use surrogate::{Fitted, Given, Surrogate};

/// How often a plan that could not be measured is asked for again.
const MISSES_MAX: u32 = 2;

/// A best that keeps the constraint with less than this probability calls for a safer one.
const LIKELY: f64 = 0.9;

/// Batches at the end of a search that first confirm what would be the best.
const CONFIRMING: u64 = 2;

/// Of all trials one in so many may measure again what was doubted.
const AGAIN_SHARE: u64 = 5;

/// The tuner.
#[derive(Clone, Debug)]
struct Bayes {
    settings: Settings,
    axes: Axes,
    seed: Seed,
    known: Vec<Known>,
    /// What was known before the search was opened again.
    former: Option<Surrogate>,
    /// The best of then.
    former_best: Option<Best>,
    /// What was fitted last.
    fitted: Option<Fitted>,
    /// Trials that were asked for and not told of.
    waiting: Vec<Trial>,
    /// Plans to be measured again before anything else.
    again: Vec<usize>,
    doubts: Vec<Open>,
    asked: u64,
    batches: u64,
    left: u64,
    /// Trials that may still measure again what was doubted.
    again_left: u64,
}

impl Bayes {
    fn new(settings: Settings, axes: Axes, seed: Seed) -> Self {
        Self {
            settings,
            axes,
            seed,
            known: Vec::new(),
            former: None,
            former_best: None,
            fitted: None,
            waiting: Vec::new(),
            again: Vec::new(),
            doubts: Vec::new(),
            asked: 0,
            batches: 0,
            left: settings.total,
            again_left: settings.total.div_ceil(AGAIN_SHARE),
        }
    }

    fn given(&self) -> Given<'_> {
        Given {
            plans: &self.known,
            former: self.former.as_ref(),
            fitted: self.fitted.as_ref(),
            rules: self.settings.rules,
        }
    }

    /// The plans of the next trials.
    fn next(&mut self) -> Vec<Plan> {
        let measured = self.known.iter().any(|k| k.excess().is_some());
        let opened = self.former.is_none();
        let started = self.known.len() as u64 >= self.settings.first;
        let mut stream = child(self.seed, &format!("tune bayes {}", self.batches));
        self.batches += 1;
        if opened && !(measured && started) {
            let count = self.settings.first.saturating_sub(self.known.len() as u64);
            let count = count.max(1).min(self.left) as usize;
            let points = scrambled(count, self.axes.dimensions(), &mut stream);
            let mut plans = self.take_again(count);
            let rest = points[plans.len()..].iter().map(|p| self.axes.plan(p));
            plans.extend(rest);
            return plans;
        }
        let count = self.settings.batch.min(self.left) as usize;
        let Ok(surrogate) = Surrogate::fit(self.given()) else {
            return self.take_again(count);
        };
        self.fitted = Some(surrogate.fitted());
        self.doubt(&surrogate);
        let mut plans = self.take_again(count);
        let owed = plans.len();
        let best = self.best_known().filter(|best| best.feasible);
        let confirming = self.left <= CONFIRMING * self.settings.batch;
        if let Some(best) = best.as_ref().filter(|_| confirming) {
            let rest = count - owed;
            plans.extend(choice::to_confirm(&self.known, best, &surrogate, rest));
        }
        // Where half of the trials found no plan that is likely to keep the constraint, one of each
        // batch after them is a safe one.
        let feasibility = self.settings.rules.feasibility;
        let point = best.and_then(|best| self.axes.point(&best.plan));
        let unsure = point.is_none_or(|p| surrogate.kept_again(&p) < LIKELY);
        let late = 2 * self.left <= self.settings.total;
        if unsure && opened && late && owed < count && !self.settings.rules.breaking_is_free {
            plans.truncate(count - 1);
            let axes = &self.axes;
            let safe = search::safe(&surrogate, &self.known, axes, feasibility, &mut stream);
            plans.extend(safe);
        }
        let rest = count - plans.len();
        if rest > 0 {
            let search = self.settings.search;
            let found = search::batch(
                &surrogate,
                &self.known,
                &self.axes,
                search,
                rest,
                &mut stream,
            );
            plans.extend(found);
        }
        plans
    }

    /// Plans that are to be measured again, at most so many.
    fn take_again(&mut self, count: usize) -> Vec<Plan> {
        let taken = self.again.drain(..count.min(self.again.len()));
        taken.map(|place| self.known[place].plan.clone()).collect()
    }

    /// Judges doubts, raises others, and puts what they need on the list.
    fn doubt(&mut self, surrogate: &Surrogate) {
        let Some(confidence) = self.settings.confidence else {
            return;
        };
        let mut again = doubts::judge(&mut self.doubts, &mut self.known, surrogate);
        let open: Vec<usize> = self.doubts.iter().map(|open| open.plan).collect();
        for raised in doubts::raise(&mut self.known, surrogate, confidence) {
            let listed = again.contains(&raised.plan);
            if open.contains(&raised.plan) || !listed && self.again_left == 0 {
                continue;
            }
            if !listed {
                self.again_left -= 1;
                again.push(raised.plan);
            }
            self.doubts.push(raised);
        }
        self.again.extend(again);
    }

    fn place_of(&mut self, plan: &Plan) -> Option<usize> {
        if let Some(place) = self.known.iter().position(|k| k.plan == *plan) {
            return Some(place);
        }
        let point = self.axes.point(plan)?;
        self.known.push(Known::new(plan.clone(), point));
        Some(self.known.len() - 1)
    }

    /// A trial without the numbers that it needs.
    fn missed(&mut self, place: usize, trial: u64, value: Option<f64>) {
        let known = &mut self.known[place];
        known.misses += 1;
        let failed = known.misses > MISSES_MAX;
        if !failed {
            self.again.push(place);
        }
        let state = if failed {
            DoubtState::Failed
        } else {
            DoubtState::Open
        };
        let doubt = Doubt {
            trial,
            of: Doubted::Missing,
            value,
            expected: None,
            state,
        };
        self.doubts.push(Open { plan: place, doubt });
    }

    /// Doubts about a measurement that was missing end where one is made.
    fn found(&mut self, place: usize) {
        for open in self.doubts.iter_mut().filter(|open| open.plan == place) {
            if open.doubt.of == Doubted::Missing && open.doubt.state == DoubtState::Open {
                open.doubt.state = DoubtState::Replaced;
            }
        }
    }
}

impl Bayes {
    fn best_known(&self) -> Option<Best> {
        let surrogate = Surrogate::condition(self.given());
        let feasibility = self.settings.rules.feasibility;
        choice::best(&self.known, surrogate.as_ref(), feasibility)
    }

    /// The plans that tell how the world has drifted: the best, and those that come after it.
    fn probes(&self) -> Vec<Plan> {
        let mut plans: Vec<Plan> = self.best_known().map(|b| b.plan).into_iter().collect();
        for known in choice::ranked(&self.known) {
            if !plans.contains(&known.plan) {
                plans.push(known.plan.clone());
            }
        }
        plans.truncate(self.settings.batch as usize);
        plans
    }
}

impl Tuner for Bayes {
    fn ask(&mut self) -> Vec<Trial> {
        if self.waiting.is_empty() && self.left > 0 {
            for plan in self.next() {
                self.asked += 1;
                self.left -= 1;
                self.waiting.push(Trial {
                    number: self.asked,
                    plan,
                    spend_milli: 0,
                });
            }
        }
        self.waiting.clone()
    }

    fn tell(&mut self, trial: &Trial, measurement: &Measurement) {
        self.waiting.retain(|t| t.number != trial.number);
        let Some(place) = self.place_of(&trial.plan) else {
            return;
        };
        let finite = |v: Option<f64>| v.filter(|v| v.is_finite());
        let (objective, excess) = (finite(measurement.objective), finite(measurement.excess));
        // Called off since the constraint broke: that much is known, and need not be seen again.
        let broken = excess.filter(|e| *e > 0.0 && !measurement.slo_met);
        match (objective, excess) {
            (None, Some(excess)) if broken.is_none() => {
                self.missed(place, trial.number, Some(excess));
            }
            (_, Some(excess)) => {
                self.known[place].measured.push(Measured {
                    trial: trial.number,
                    objective,
                    excess,
                    slo_met: measurement.slo_met,
                });
                self.found(place);
            }
            (objective, None) => self.missed(place, trial.number, objective),
        }
    }

    fn best(&self) -> Option<Best> {
        self.best_known().or_else(|| self.former_best.clone())
    }

    fn reopen(&mut self, trials: u64) {
        self.left += trials;
        self.again_left += trials.div_ceil(AGAIN_SHARE);
        let Ok(surrogate) = Surrogate::fit(self.given()) else {
            return;
        };
        let probes = self.probes();
        self.former_best = self.best_known().or_else(|| self.former_best.take());
        self.fitted = Some(surrogate.fitted());
        self.former = Some(surrogate);
        self.known.clear();
        self.again.clear();
        self.waiting.clear();
        for doubt in &mut self.doubts {
            // What was before is not measured again: the world is another.
            doubt.plan = usize::MAX;
        }
        for plan in probes {
            let place = self.place_of(&plan);
            self.again.extend(place);
        }
    }

    fn doubts(&self) -> Vec<Doubt> {
        self.doubts.iter().map(|open| open.doubt.clone()).collect()
    }
}
