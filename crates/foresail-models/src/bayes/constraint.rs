//! What a value is worth where a constraint must be kept.

use statrs::distribution::{Continuous, ContinuousCDF, Normal};

use super::gp::Moments;

/// The published temperature of the sigmoid, in units of the constrained value.
pub const TEMPERATURE: f64 = 1e-3;

/// `u = (f + M) · σ(−(g − limit) / η) − M`: the objective where the constraint is kept, `−M` where it
/// is not.
///
/// `M` must lie above `−f` of everything that keeps the constraint; with the published `M = 0` and a
/// negative objective, breaking it is worth more than any value that keeps it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Utility {
    /// The cost M of breaking the constraint.
    pub infeasible_cost: f64,
    /// Up to which g the constraint is kept.
    pub limit: f64,
    /// The temperature η.
    pub temperature: f64,
}

impl Utility {
    /// The utility of an objective `f` (more is better) with the constrained value `g`.
    #[must_use]
    pub fn value(&self, f: f64, g: f64) -> f64 {
        (f + self.infeasible_cost) * self.kept(g) - self.infeasible_cost
    }

    /// The derivatives by `f` and `g`.
    #[must_use]
    pub fn slopes(&self, f: f64, g: f64) -> [f64; 2] {
        let kept = self.kept(g);
        let fall = kept * (1.0 - kept) / self.temperature;
        [kept, -(f + self.infeasible_cost) * fall]
    }

    /// The smooth step: one where the constraint is kept.
    fn kept(&self, g: f64) -> f64 {
        1.0 / (1.0 + ((g - self.limit) / self.temperature).exp())
    }
}

/// The least cost M that is above everything a process holds for possible, and above zero:
/// six standard deviations below the least mean.
///
/// Source: `get_infeasible_cost` of BoTorch.
#[must_use]
pub fn infeasible_cost(held: &[Moments]) -> f64 {
    let low = |m: &Moments| m.mean - 6.0 * m.variance.sqrt();
    let least = held.iter().map(low).min_by(f64::total_cmp);
    match least {
        Some(least) if least < 0.0 => -least,
        _ => 0.0,
    }
}

/// The probability that a normal value lies at or below a limit; a step where nothing varies.
#[must_use]
pub fn probability_below(moments: Moments, limit: f64) -> f64 {
    let deviation = moments.variance.sqrt();
    if deviation > 0.0 {
        Normal::standard().cdf((limit - moments.mean) / deviation)
    } else {
        f64::from(u8::from(moments.mean <= limit))
    }
}

/// Expected improvement over `best` of a normal value, more being better.
///
/// Source: Jones, Schonlau & Welch 1998, equation 15.
#[must_use]
pub fn expected_improvement(moments: Moments, best: f64) -> f64 {
    let deviation = moments.variance.sqrt();
    let gain = moments.mean - best;
    if deviation > 0.0 {
        let (z, normal) = (gain / deviation, Normal::standard());
        gain * normal.cdf(z) + deviation * normal.pdf(z)
    } else if gain > 0.0 {
        gain
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_infeasible_point_never_beats_a_feasible_one_and_did_as_published() {
        // Source: specs, vectors of the constrained utility.
        let utility = |m: f64| Utility {
            infeasible_cost: m,
            limit: 0.0,
            temperature: TEMPERATURE,
        };
        let published = utility(0.0);
        assert!(published.value(-5.0, 1.0).abs() < 1e-12);
        assert!((published.value(-5.0, -1.0) + 5.0).abs() < 1e-12);
        assert!(published.value(-5.0, 1.0) > published.value(-5.0, -1.0));
        assert!((utility(50.0).value(-5.0, 1.0) + 50.0).abs() < 1e-12);
        assert!((utility(50.0).value(-5.0, -1.0) + 5.0).abs() < 1e-12);
        let held = [[-5.0, 4.0], [-9.0, 0.25], [-2.0, 0.0]];
        let held = held.map(|[mean, variance]| Moments { mean, variance });
        let automatic = utility(infeasible_cost(&held));
        assert!((automatic.infeasible_cost - 17.0).abs() < 1e-12);
        for moments in held {
            assert!(automatic.value(-1.0, 1.0) < automatic.value(moments.mean, -1.0));
        }
    }

    #[test]
    fn slopes_of_the_utility_are_its_differences() {
        let utility = Utility {
            infeasible_cost: 3.0,
            limit: 0.2,
            temperature: 0.1,
        };
        for (f, g) in [(-1.0, 0.1), (0.5, 0.25), (2.0, 0.9)] {
            let [by_f, by_g] = utility.slopes(f, g);
            let h = 1e-6;
            let of_f = utility.value(f + h, g) - utility.value(f - h, g);
            let of_g = utility.value(f, g + h) - utility.value(f, g - h);
            assert!((of_f / (2.0 * h) - by_f).abs() < 1e-6);
            assert!((of_g / (2.0 * h) - by_g).abs() < 1e-6);
        }
        // Far out the exponential overflows; the utility does not.
        assert!((utility.value(1.0, 1e6) + 3.0).abs() < 1e-12);
        assert!(utility.slopes(1.0, 1e6).iter().all(|s| s.is_finite()));
    }

    #[test]
    fn improvement_and_feasibility_are_the_checked_values() {
        // Source: specs, vectors of the expected improvement.
        let moments = Moments {
            mean: -10.0,
            variance: 4.0,
        };
        let improvement = expected_improvement(moments, -11.0);
        assert!((improvement - 1.395_593).abs() < 1e-6, "{improvement}");
        let constrained = Moments {
            mean: -1.0,
            variance: 1.0,
        };
        let kept = probability_below(constrained, 0.0);
        assert!((kept - 0.841_345).abs() < 1e-6);
        assert!((improvement * kept - 1.174_175).abs() < 1e-6);
        let sure = Moments {
            mean: 2.0,
            variance: 0.0,
        };
        assert!((expected_improvement(sure, 1.5) - 0.5).abs() < 1e-12);
        assert!((probability_below(sure, 1.0)).abs() < 1e-12);
    }
}
