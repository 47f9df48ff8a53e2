//! The fit of ETS: each form by likelihood, the form by AICc.

use foresail_core::quantity::units::{larger, smaller};

use super::form::{Form, SeasonForm, Trend};
use super::likelihood::{Likelihood, REFUSED, Slopes};
use super::start::Starts;
use super::state::{Smoothing, State};
use crate::optim::lbfgs::{Limits, minimise};

/// Bounds of each smoothing parameter.
///
/// Source: `forecast::ets` (R), `bounds = "usual"`; `beta` lies between 0 and `alpha` and `gamma`
/// between 0 and 1 − `alpha` by their shares.
const SHARE: (f64, f64) = (1e-4, 0.9999);

/// Bounds of the damping where none are given.
///
/// Source: `forecast::ets` (R).
pub const FADE: (f64, f64) = (0.8, 0.98);

/// The first look from each class of beginnings.
const LOOK: Limits = Limits {
    memory: 10,
    steps: 20,
    tolerance: 0.05,
    reach: 3.0,
};

/// The search from the best of them. A decrease of 1e-4 in AICc tells no form from another.
const SEARCH: Limits = Limits {
    memory: 10,
    steps: 200,
    tolerance: 1e-4,
    reach: 3.0,
};

/// Smoothing parameters that a search may begin with: of the level, shares of slope and season; in
/// two classes, since a slow level and a quick one are often two valleys.
const BEGINNINGS: [[(f64, f64, f64); 3]; 2] = [
    [(0.02, 0.01, 0.02), (0.1, 0.01, 0.05), (0.1, 0.1, 0.3)],
    [(0.4, 0.01, 0.1), (0.4, 0.2, 0.5), (0.9, 0.02, 0.3)],
];

/// Damping that a search may begin with; short and long memories are two valleys as well.
const FADES: [f64; 2] = [0.87, 0.97];

/// The least deviation that parameters are scaled by, in means of the series: a series that its
/// beginnings fit exactly has none, and a scale of zero would divide by it.
const DEVIATION_MIN: f64 = 1e-9;

/// One form, fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Which form.
    pub form: Form,
    /// Its smoothing parameters.
    pub smoothing: Smoothing,
    /// The state before the first value.
    pub first: State,
    /// The state after the last value.
    pub last: State,
    /// Minus two times the logarithm of the likelihood, without its constants.
    pub likelihood: f64,
    /// Akaike's criterion, corrected for small samples.
    pub aicc: f64,
    /// Variance of a residual, relative for multiplicative errors.
    pub variance: f64,
}

/// The value of x on the logistic curve between two bounds, and its derivative.
fn logistic((low, high): (f64, f64), x: f64) -> (f64, f64) {
    let share = 1.0 / (1.0 + (-x).exp());
    let width = high - low;
    (low + width * share, width * share * (1.0 - share))
}

fn inverse_logistic((low, high): (f64, f64), value: f64) -> f64 {
    let share = (value - low) / (high - low);
    let share = larger(1e-6, smaller(1.0 - 1e-6, share));
    (share / (1.0 - share)).ln()
}

/// The transformed parameters of a form, in their order, and how they are scaled.
struct Layout {
    form: Form,
    steps: usize,
    fade: (f64, f64),
    scales: Vec<f64>,
}

impl Layout {
    fn pack(&self, smoothing: &Smoothing, state: &State) -> Vec<f64> {
        let mut x = vec![inverse_logistic(SHARE, smoothing.alpha)];
        if self.form.has_trend() {
            x.push(inverse_logistic(SHARE, smoothing.beta / smoothing.alpha));
        }
        if self.form.has_season() {
            x.push(inverse_logistic(
                SHARE,
                smoothing.gamma / (1.0 - smoothing.alpha),
            ));
        }
        if self.form.trend == Trend::Damped {
            x.push(inverse_logistic(self.fade, smoothing.phi));
        }
        x.push(state.level);
        if self.form.has_trend() {
            x.push(state.trend);
        }
        x.extend(&state.season);
        for (x, scale) in x.iter_mut().zip(&self.scales) {
            *x /= scale;
        }
        x
    }

    fn unpack(&self, x: &[f64], state: &mut State) -> Smoothing {
        let value = |place: usize| x[place] * self.scales[place];
        let mut smoothing = Smoothing {
            alpha: logistic(SHARE, value(0)).0,
            phi: 1.0,
            ..Smoothing::default()
        };
        let mut place = 1;
        if self.form.has_trend() {
            smoothing.beta = smoothing.alpha * logistic(SHARE, value(place)).0;
            place += 1;
        }
        if self.form.has_season() {
            smoothing.gamma = (1.0 - smoothing.alpha) * logistic(SHARE, value(place)).0;
            place += 1;
        }
        if self.form.trend == Trend::Damped {
            smoothing.phi = logistic(self.fade, value(place)).0;
            place += 1;
        }
        state.level = value(place);
        place += 1;
        if self.form.has_trend() {
            state.trend = value(place);
            place += 1;
        }
        for (i, season) in state.season.iter_mut().enumerate() {
            *season = value(place + i);
        }
        state.at = 0;
        smoothing
    }

    /// The gradient by the transformed parameters.
    ///
    /// What is common to all seasons is taken out: a level that is higher and seasons that are
    /// lower are the same model.
    fn slopes(&self, x: &[f64], smoothing: &Smoothing, slopes: &Slopes, gradient: &mut [f64]) {
        let value = |place: usize| x[place] * self.scales[place];
        let by = &slopes.smoothing;
        let mut by_alpha = by.alpha;
        let mut place = 1;
        if self.form.has_trend() {
            let (share, slope) = logistic(SHARE, value(place));
            by_alpha += share * by.beta;
            gradient[place] = by.beta * smoothing.alpha * slope;
            place += 1;
        }
        if self.form.has_season() {
            let (share, slope) = logistic(SHARE, value(place));
            by_alpha -= share * by.gamma;
            gradient[place] = by.gamma * (1.0 - smoothing.alpha) * slope;
            place += 1;
        }
        if self.form.trend == Trend::Damped {
            gradient[place] = by.phi * logistic(self.fade, value(place)).1;
            place += 1;
        }
        gradient[0] = by_alpha * logistic(SHARE, value(0)).1;
        gradient[place] = slopes.level;
        place += 1;
        if self.form.has_trend() {
            gradient[place] = slopes.trend;
            place += 1;
        }
        let mean = slopes.season.iter().sum::<f64>() / self.steps as f64;
        for (gradient, slope) in gradient[place..].iter_mut().zip(&slopes.season) {
            *gradient = slope - mean;
        }
        for (gradient, scale) in gradient.iter_mut().zip(&self.scales) {
            *gradient *= scale;
        }
    }

    /// How far each parameter goes for a like change of the likelihood, so that the search sees a
    /// round valley: one over the root of the curvature where the residuals are white.
    fn scale(&mut self, smoothing: &Smoothing, state: &State, deviation: f64, n: f64) {
        let Smoothing {
            alpha, beta, gamma, ..
        } = *smoothing;
        let cycles = n / self.steps as f64;
        let capped = |x: f64, least: f64, most: f64| larger(least, smaller(most, x));
        let mut scales = vec![capped((n * alpha).powf(-0.5), 0.02, 0.5)];
        if self.form.has_trend() {
            scales.push(0.5);
        }
        if self.form.has_season() {
            scales.push(capped((n * gamma).powf(-0.5), 0.05, 0.7));
        }
        if self.form.trend == Trend::Damped {
            scales.push(0.7);
        }
        scales.push(deviation * capped(alpha, 1.0 / n, 1.0).sqrt());
        if self.form.has_trend() {
            let memory = smaller(n, alpha / (2.0 * beta + 1e-9));
            let fading = smaller(memory, 1.0 / (1.0 - smoothing.phi + 1e-9));
            scales.push(deviation * alpha / (2.0 * larger(fading, 1.0)).sqrt());
        }
        if self.form.has_season() {
            let memory = larger(1.0, smaller(cycles, 0.5 / gamma));
            let unit = match self.form.season {
                SeasonForm::Multiplicative => larger(state.level.abs(), 1e-9),
                _ => 1.0,
            };
            let scale = deviation / (2.0 * memory).sqrt() / unit;
            scales.extend(std::iter::repeat_n(scale, self.steps));
        }
        self.scales = scales;
    }
}

/// Where a search ended: the likelihood's number, parameters and initial state.
type Found = (f64, Smoothing, State);

/// A series that forms are fitted to.
#[derive(Clone, Debug)]
pub struct Task<'a> {
    /// NaN marks a gap; of size one or so.
    pub values: &'a [f64],
    /// Length of the season; 1 without.
    pub steps: usize,
    /// Bounds of the damping.
    pub fade: (f64, f64),
    /// Searches of one form: from the best first look, the second best and so on.
    pub searches: usize,
    /// Where searches begin.
    pub starts: &'a Starts,
}

impl Task<'_> {
    /// Fits one form; `None` where it has no place in this series.
    #[must_use]
    pub fn fit(&self, form: Form) -> Option<Estimate> {
        let n = self.values.iter().filter(|v| !v.is_nan()).count();
        let estimated = form.estimated(self.steps);
        if n < estimated + 2 {
            return None;
        }
        let mut likelihood = Likelihood::new(self.values, form);
        let mut looks = Vec::new();
        for beginning in self.beginnings(form, &mut likelihood) {
            looks.push(self.search(form, LOOK, beginning, &mut likelihood));
        }
        looks.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut best: Option<Found> = None;
        for (_, smoothing, first) in looks.into_iter().take(self.searches) {
            let end = self.search(form, SEARCH, (smoothing, first), &mut likelihood);
            let end = self.at_bounds(form, end, &mut likelihood);
            if best.as_ref().is_none_or(|best| end.0 < best.0) {
                best = Some(end);
            }
        }
        let (_, smoothing, first) = best?;
        let mut last = first.clone();
        let value = likelihood.value(&smoothing, &mut last);
        if !(value.is_finite() && last.is_sound(form)) {
            return None;
        }
        let (n, k) = (n as f64, estimated as f64);
        let free = n - k - 1.0;
        Some(Estimate {
            form,
            smoothing,
            first,
            last,
            likelihood: value,
            aicc: value + 2.0 * k + 2.0 * k * (k + 1.0) / free,
            variance: likelihood.squares() / free,
        })
    }

    /// The best beginning of each class.
    fn beginnings(&self, form: Form, likelihood: &mut Likelihood<'_>) -> Vec<(Smoothing, State)> {
        let Some(start) = self.starts.of(form) else {
            return Vec::new();
        };
        let damped = form.trend == Trend::Damped;
        let fades = if damped { &FADES[..] } else { &[1.0] };
        let mut chosen = Vec::new();
        for class in BEGINNINGS {
            for phi in fades {
                let mut best: Option<(f64, Smoothing)> = None;
                for (alpha, slope, season) in class {
                    let smoothing = Smoothing {
                        alpha,
                        beta: if form.has_trend() { alpha * slope } else { 0.0 },
                        gamma: if form.has_season() {
                            (1.0 - alpha) * season
                        } else {
                            0.0
                        },
                        phi: *phi,
                    };
                    let value = likelihood.value(&smoothing, &mut start.clone());
                    let better = best.is_none_or(|(least, _)| value < least);
                    if value.is_finite() && better {
                        best = Some((value, smoothing));
                    }
                }
                chosen.extend(best.map(|(_, smoothing)| (smoothing, start.clone())));
            }
        }
        chosen
    }

    fn search(
        &self,
        form: Form,
        limits: Limits,
        (smoothing, mut first): (Smoothing, State),
        likelihood: &mut Likelihood<'_>,
    ) -> Found {
        let mut state = first.clone();
        likelihood.value(&smoothing, &mut state);
        let n = self.values.len() as f64;
        let sum: f64 = likelihood.residuals().iter().map(|e| e * e).sum();
        let mut layout = Layout {
            form,
            steps: self.steps,
            fade: self.fade,
            scales: Vec::new(),
        };
        let deviation = larger((sum / n).sqrt(), DEVIATION_MIN);
        layout.scale(&smoothing, &first, deviation, n);
        let mut slopes = Slopes {
            season: vec![0.0; first.season.len()],
            ..Slopes::default()
        };
        let mut x = layout.pack(&smoothing, &first);
        let end = minimise(&mut x, limits, &mut |x, gradient| {
            let smoothing = layout.unpack(x, &mut state);
            let value = likelihood.value(&smoothing, &mut state);
            if !value.is_finite() {
                return REFUSED;
            }
            likelihood.gradient(&smoothing, &mut slopes);
            layout.slopes(x, &smoothing, &slopes, gradient);
            value
        });
        let smoothing = layout.unpack(&x, &mut first);
        (end.value, smoothing, first)
    }

    /// Moves each parameter to a bound where that lowers the likelihood's number: on the logistic
    /// curve the bounds themselves are never reached.
    fn at_bounds(
        &self,
        form: Form,
        (mut least, mut smoothing, first): Found,
        likelihood: &mut Likelihood<'_>,
    ) -> Found {
        for place in 0..4 {
            let (low, high) = if place == 3 { self.fade } else { SHARE };
            for bound in [low, high] {
                let Smoothing {
                    alpha,
                    beta,
                    gamma,
                    phi,
                } = smoothing;
                let mut moved = smoothing;
                match place {
                    0 => {
                        moved.alpha = bound;
                        moved.beta = bound * beta / alpha;
                        moved.gamma = (1.0 - bound) * gamma / (1.0 - alpha);
                    }
                    1 => {
                        moved.beta = if form.has_trend() {
                            alpha * bound
                        } else {
                            beta
                        }
                    }
                    2 => {
                        moved.gamma = if form.has_season() {
                            (1.0 - alpha) * bound
                        } else {
                            gamma
                        }
                    }
                    _ => {
                        moved.phi = if form.trend == Trend::Damped {
                            bound
                        } else {
                            phi
                        }
                    }
                }
                let value = likelihood.value(&moved, &mut first.clone());
                if value < least {
                    (least, smoothing) = (value, moved);
                }
            }
        }
        (least, smoothing, first)
    }
}

/// The form of `forms` with the least AICc; `None` where none fits.
#[must_use]
pub fn select(task: &Task<'_>, forms: &[Form]) -> Option<Estimate> {
    let mut best: Option<Estimate> = None;
    for form in forms {
        let fitted = task.fit(*form);
        let better = |f: &Estimate| best.as_ref().is_none_or(|b| f.aicc < b.aicc);
        if fitted.as_ref().is_some_and(better) {
            best = fitted;
        }
    }
    best
}
