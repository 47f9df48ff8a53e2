//! The two processes that stand for a workflow: its objective and its excess.

use foresail_core::quantity::units::larger;
use rayon::prelude::*;

use super::drift::drift;
use super::plans::Known;
use super::warp::{Standard, Warp};
use crate::bayes::constraint::{Utility, infeasible_cost, probability_below};
use crate::bayes::fit::{beginnings, fit};
use crate::bayes::gp::{Gp, GpError, Hyper, Moments, Rows};
use crate::bayes::prior::Priors;
use crate::bayes::{POINTS_MAX, constraint};
use crate::forecast::quantile::normal_quantile;

/// The classic priors with a lower floor of the noise: the classic one keeps a hundredth of the
/// values' spread for noise, which a bound that must be kept pays for in cost.
const PRIORS: Priors = Priors {
    noise_floor: 1e-6,
    ..Priors::CLASSIC
};

/// Plans measured twice below which their differences say nothing of the noise.
const REPEATED_MIN: f64 = 3.0;

/// What is asked of a surrogate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Whether values are warped.
    pub(super) warped: bool,
    /// The probability with which a measurement must keep the constraint.
    pub(super) feasibility: f64,
    /// The cost of breaking it, in the objective's unit; zero lets it be chosen.
    pub(super) infeasible_cost: f64,
    /// Whether breaking it costs nothing, as published.
    pub(super) breaking_is_free: bool,
}

/// Both processes; more of the first is better.
#[derive(Clone, Debug)]
pub(super) struct Surrogate {
    pub(super) objective: Gp,
    pub(super) excess: Gp,
    pub(super) scales: [Standard; 2],
    /// Which plan each row is of; rows of before a drift come last and have none.
    pub(super) plans: [Vec<usize>; 2],
    /// Variance of one measurement of the excess, standardised.
    noise: f64,
    rules: Rules,
}

/// What is kept of a fit: where the next begins.
#[derive(Clone, Debug)]
pub(super) struct Fitted {
    hyper: [Hyper; 2],
    warps: [Warp; 2],
}

/// One of the two processes: which value of a plan it is of, and what of it is better.
#[derive(Clone, Copy, Debug)]
struct Side {
    place: usize,
    value: fn(&Known) -> Option<f64>,
    /// −1 where less is better.
    sign: f64,
}

const SIDES: [Side; 2] = [
    Side {
        place: 0,
        value: Known::objective,
        sign: -1.0,
    },
    Side {
        place: 1,
        value: Known::excess,
        sign: 1.0,
    },
];

/// What a surrogate is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a> {
    pub(super) plans: &'a [Known],
    /// What was known before the search was opened again.
    pub(super) former: Option<&'a Surrogate>,
    /// The fit before.
    pub(super) fitted: Option<&'a Fitted>,
    pub(super) rules: Rules,
}

/// One process to be: its rows, and which plans they are of.
struct Part {
    rows: Rows,
    plans: Vec<usize>,
    scale: Standard,
}

impl Surrogate {
    /// Fits both processes anew, from the fit before and from elsewhere.
    ///
    /// # Errors
    /// Nothing was measured.
    pub(super) fn fit(given: Given<'_>) -> Result<Self, GpError> {
        Self::new(given, |side| {
            let told = told(given.plans, side);
            let warps = given.warps(side, &told);
            let one = |warp: &Warp| {
                let part = given.part(side, &told, *warp);
                let first = part.rows.points.first().ok_or(GpError::NoPoints)?;
                let mut all = beginnings(first.len()).to_vec();
                all.extend(given.fitted.map(|f| f.hyper[side.place].clone()));
                let gp = fit(part.rows.clone(), &PRIORS, &all)?;
                // Likelihoods of values that were bent in different ways are compared as densities
                // of the values before.
                let slopes = told.iter().map(|(_, value)| part.scale.log_slope(*value));
                Ok((gp.log_likelihood() + slopes.sum::<f64>(), gp, part))
            };
            let fits: Vec<Result<(f64, Gp, Part), GpError>> = warps.par_iter().map(one).collect();
            let mut best = Err(GpError::NoPoints);
            for fit in fits {
                let likelier = match (&best, &fit) {
                    (Ok((best, _, _)), Ok((value, _, _))) => value > best,
                    (Err(_), _) => true,
                    (Ok(_), Err(_)) => false,
                };
                if likelier {
                    best = fit;
                }
            }
            best.map(|(_, gp, part)| (gp, part))
        })
    }

    /// Conditions both processes on the plans with the hyper-parameters of the fit before; `None`
    /// where there is none.
    pub(super) fn condition(given: Given<'_>) -> Option<Self> {
        let fitted = given.fitted?;
        let made = Self::new(given, |side| {
            let told = told(given.plans, side);
            let part = given.part(side, &told, fitted.warps[side.place]);
            let gp = Gp::new(fitted.hyper[side.place].clone(), part.rows.clone())?;
            Ok((gp, part))
        });
        made.ok()
    }

    fn new(
        given: Given<'_>,
        one: impl Fn(Side) -> Result<(Gp, Part), GpError> + Sync,
    ) -> Result<Self, GpError> {
        let (objective, excess) = rayon::join(|| one(SIDES[0]), || one(SIDES[1]));
        let (objective, excess) = (objective?, excess?);
        let repeated = repeated_variance(given.plans, &excess.1.scale);
        Ok(Self {
            scales: [objective.1.scale, excess.1.scale],
            plans: [objective.1.plans, excess.1.plans],
            noise: larger(excess.0.hyper().noise, repeated),
            objective: objective.0,
            excess: excess.0,
            rules: given.rules,
        })
    }

    /// What the next fit begins with.
    pub(super) fn fitted(&self) -> Fitted {
        Fitted {
            hyper: [self.objective.hyper().clone(), self.excess.hyper().clone()],
            warps: self.scales.map(|scale| scale.warp),
        }
    }

    fn side(&self, side: usize) -> (&Gp, &Standard) {
        let gp = if side == 0 {
            &self.objective
        } else {
            &self.excess
        };
        (gp, &self.scales[side])
    }

    /// Up to which noiseless excess a measurement keeps the constraint with the probability asked
    /// for, standardised.
    pub(super) fn limit(&self) -> f64 {
        let margin = normal_quantile(self.rules.feasibility) * self.noise.sqrt();
        self.scales[1].apply(0.0) - margin
    }

    /// What a point is worth; the cost of breaking the constraint lies above all that is held for
    /// possible at the rows.
    pub(super) fn utility(&self) -> Utility {
        let rows = &self.objective.rows().points;
        let held: Vec<Moments> = rows.iter().map(|p| self.objective.posterior(p)).collect();
        let mut cost = infeasible_cost(&held);
        if self.rules.breaking_is_free {
            cost = -self.scales[0].apply(0.0);
        } else if self.rules.infeasible_cost > 0.0 {
            cost = larger(cost, -self.scales[0].apply(self.rules.infeasible_cost));
        }
        Utility {
            infeasible_cost: cost,
            limit: self.limit(),
            temperature: constraint::TEMPERATURE,
        }
    }

    /// The probability that a measurement at a point keeps the constraint.
    pub(super) fn kept_again(&self, point: &[f64]) -> f64 {
        let mut moments = self.excess.posterior(point);
        moments.variance += self.noise;
        probability_below(moments, self.scales[1].apply(0.0))
    }
}

/// The plans that have a value, with it.
///
/// Where every trial so far was called off, no objective is known: then all plans are held for
/// equal, and only the constraint says where to go.
fn told(plans: &[Known], side: Side) -> Vec<(usize, f64)> {
    let with = |value: fn(&Known) -> Option<f64>| -> Vec<(usize, f64)> {
        let plans = plans.iter().enumerate();
        plans
            .filter_map(|(place, known)| Some((place, value(known)?)))
            .collect()
    };
    let told = with(side.value);
    if told.is_empty() {
        with(|known| known.excess().map(|_| 0.0))
    } else {
        told
    }
}

impl Given<'_> {
    /// The warps of which the likeliest is taken.
    fn warps(&self, side: Side, told: &[(usize, f64)]) -> Vec<Warp> {
        if let Some(former) = self.former {
            return vec![former.scales[side.place].warp];
        }
        let values: Vec<f64> = told.iter().map(|(_, value)| *value).collect();
        match side.place {
            _ if !self.rules.warped => vec![Warp::Plain],
            0 => vec![Warp::of_objectives(&values)],
            _ => Warp::of_excesses(&values),
        }
    }

    /// The rows of one process, those of before a drift last.
    fn part(&self, side: Side, told: &[(usize, f64)], warp: Warp) -> Part {
        let mut warped: Vec<f64> = told.iter().map(|(_, value)| warp.apply(*value)).collect();
        let mut rows = Rows::default();
        for (place, _) in told {
            rows.points.push(self.plans[*place].point.clone());
            rows.shares.push(self.plans[*place].share());
            rows.added.push(0.0);
        }
        let former = self.former.map(|former| former.side(side.place));
        if let Some((gp, scale)) = former {
            let [shift, variance] = drift(gp, scale, &rows.points, &warped);
            let keep = POINTS_MAX.saturating_sub(told.len());
            for i in 0..gp.rows().count().min(keep) {
                rows.points.push(gp.rows().points[i].clone());
                rows.shares.push(gp.rows().shares[i]);
                rows.added.push(gp.rows().added[i] + variance);
                warped.push(scale.to_warped(gp.rows().values[i] + shift));
            }
        }
        let standard = Standard::of(warp, &warped, side.sign);
        if let Some((_, scale)) = former {
            let factor = scale.variance_in(&standard);
            rows.added.iter_mut().for_each(|a| *a *= factor);
        }
        rows.values = warped.iter().map(|w| standard.of_warped(*w)).collect();
        Part {
            rows,
            plans: told.iter().map(|(place, _)| *place).collect(),
            scale: standard,
        }
    }
}

/// The variance of the excess among measurements of one plan, pooled and standardised; zero below
/// [`REPEATED_MIN`] degrees of freedom.
///
/// A process that fits what it sees too closely holds noise for shape; what was measured twice tells
/// them apart. Plans measured more than twice are left out: one of their measurements is likely wrong.
fn repeated_variance(plans: &[Known], scale: &Standard) -> f64 {
    let (mut squares, mut freedom) = (0.0, 0.0);
    for known in plans {
        if let [a, b] = known.measured.as_slice() {
            let gap = scale.apply(a.excess) - scale.apply(b.excess);
            squares += 0.5 * gap * gap;
            freedom += 1.0;
        }
    }
    if freedom < REPEATED_MIN {
        0.0
    } else {
        squares / freedom
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::bayes::plans::Measured;
    use foresail_core::propose::plan::Plan;

    fn known(x: f64, objective: Option<f64>, excess: f64) -> Known {
        let mut known = Known::new(Plan::default(), vec![x]);
        known.measured.push(Measured {
            trial: 0,
            objective,
            excess,
            slo_met: true,
        });
        known
    }

    const RULES: Rules = Rules {
        warped: true,
        feasibility: 0.99,
        infeasible_cost: 0.0,
        breaking_is_free: false,
    };

    fn given(plans: &[Known]) -> Given<'_> {
        Given {
            plans,
            former: None,
            fitted: None,
            rules: RULES,
        }
    }

    #[test]
    fn plans_that_break_the_constraint_stay_in_both_processes() {
        let plan = |i: u32| {
            let x = f64::from(i) / 9.0;
            known(x, Some(1.0 + x * x), 2.0 - 4.0 * x)
        };
        let plans: Vec<Known> = (0..10).map(plan).collect();
        let surrogate = Surrogate::fit(given(&plans)).unwrap();
        assert_eq!(
            surrogate.plans,
            [(0..10).collect::<Vec<_>>(), (0..10).collect()]
        );
        // And what they taught is used: the bound lies at one half.
        assert!(surrogate.kept_again(&[0.3]) < 0.01);
        assert!(surrogate.kept_again(&[0.7]) > 0.99);
        assert!(surrogate.limit() <= surrogate.scales[1].apply(0.0));
        let utility = surrogate.utility();
        let worst = surrogate.scales[0].apply(2.0);
        assert!(
            utility.value(0.0, utility.limit + 1.0) < utility.value(worst, utility.limit - 1.0)
        );
    }

    #[test]
    fn as_published_a_plan_that_breaks_the_constraint_is_worth_more_than_any_that_keeps_it() {
        let plan = |i: u32| known(f64::from(i) / 9.0, Some(1.0 + f64::from(i)), -1.0);
        let plans: Vec<Known> = (0..10).map(plan).collect();
        let worth = |breaking_is_free| {
            let rules = Rules {
                breaking_is_free,
                ..RULES
            };
            let surrogate = Surrogate::fit(Given {
                rules,
                ..given(&plans)
            });
            let surrogate = surrogate.expect("measured");
            let utility = surrogate.utility();
            let cheapest = surrogate.scales[0].apply(1.0);
            [
                utility.value(cheapest, utility.limit - 1.0),
                utility.value(cheapest, utility.limit + 1.0),
            ]
        };
        let [keeps, breaks] = worth(false);
        assert!(breaks < keeps, "{breaks} {keeps}");
        let [keeps, breaks] = worth(true);
        assert!(breaks > keeps, "{breaks} {keeps}");
    }

    #[test]
    fn a_given_cost_of_breaking_the_constraint_never_falls_below_what_was_seen() {
        let plan = |i: u32| known(f64::from(i) / 9.0, Some(1.0 + f64::from(i)), -1.0);
        let plans: Vec<Known> = (0..10).map(plan).collect();
        let cost = |infeasible_cost: f64| {
            let rules = Rules {
                infeasible_cost,
                ..RULES
            };
            let surrogate = Surrogate::fit(Given {
                rules,
                ..given(&plans)
            });
            surrogate.unwrap().utility().infeasible_cost
        };
        let automatic = cost(0.0);
        assert!((cost(0.5) - automatic).abs() < 1e-12);
        assert!(cost(1e6) > automatic);
    }

    #[test]
    fn where_every_trial_was_called_off_the_constraint_is_known_all_the_same() {
        let plan = |i: u32| known(f64::from(i) / 9.0, None, 5.0 - f64::from(i) / 3.0);
        let plans: Vec<Known> = (0..10).map(plan).collect();
        let surrogate = Surrogate::fit(given(&plans)).unwrap();
        assert_eq!(surrogate.plans[0].len(), 10);
        assert!(surrogate.excess.posterior(&[0.9]).mean < surrogate.excess.posterior(&[0.1]).mean);
    }
}
