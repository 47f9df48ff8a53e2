//! Seasons are found, never assumed: the periodogram proposes, the autocorrelation judges.
//!
//! Source of the two steps: Vlachos, Yu & Castelli, On Periodicity Detection and Structural Periodic
//! Similarity, SDM 2005 (a hint of the periodogram is accepted where it lies on a hill of the
//! autocorrelation).

use foresail_core::quantity::time::Span;
use realfft::RealFftPlanner;

use super::FitError;

/// Seasons that are told at most.
pub const SEASONS_MAX: usize = 3;

/// Cycles without which a season is not believed.
const CYCLES_MIN: usize = 2;

/// Shortest season, in steps.
const SEASON_MIN: usize = 4;

/// Autocorrelation at the season, of the series without its slower part, from which it is believed.
const CORRELATION_MIN: f64 = 0.2;

/// Peaks of the periodogram that are looked at.
const HINTS_MAX: usize = 24;

/// Lengths that people live by.
const CALENDAR: [Span; 3] = [
    Span::from_seconds(3600),
    Span::from_seconds(86_400),
    Span::from_seconds(604_800),
];

/// A season that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Season {
    /// Its length in steps.
    pub steps: usize,
    /// Autocorrelation at that length, 0 to 1.
    pub strength: f64,
}

/// The seasons of a series without gaps, strongest first, at most [`SEASONS_MAX`].
///
/// Empty for a series that is constant, too short or without any. Of a season and its multiples the
/// shortest that is as strong as the others is told.
#[must_use]
pub fn detect(values: &[f64]) -> Vec<Season> {
    if values.len() < CYCLES_MIN * SEASON_MIN {
        return Vec::new();
    }
    let flat = without_line(&calmed(values));
    let Some((power, correlation)) = spectra(&flat) else {
        return Vec::new();
    };
    let mut found: Vec<Season> = Vec::new();
    for steps in hints(&power, values.len()) {
        let Some(season) = hill(&correlation, steps, values.len()) else {
            continue;
        };
        let known = found.iter().any(|f| is_same(f.steps, season.steps));
        if !known {
            found.push(season);
        }
    }
    found.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    let mut told: Vec<Season> = Vec::new();
    for season in &found {
        // A multiple of a season is as strong as itself and says nothing more.
        let multiple = found.iter().any(|f| {
            let times = (season.steps as f64 / f.steps as f64).round();
            let close = (season.steps as f64 - times * f.steps as f64).abs()
                <= times * 0.01 * f.steps as f64 + 1.0;
            times > 1.0 && close && f.strength > season.strength - 0.1
        });
        if !multiple && told.len() < SEASONS_MAX {
            told.push(*season);
        }
    }
    told
}

/// The seasons of a series whose steps are of this length: one that is an hour, a day or a week but
/// for the noise of its hill is told as that.
#[must_use]
pub fn detect_in(values: &[f64], step: Span) -> Vec<Season> {
    let calendar = CALENDAR.map(|length| {
        let even = length.nanos() % step.nanos().max(1) == 0;
        if even {
            length.nanos() / step.nanos().max(1)
        } else {
            0
        }
    });
    let mut seasons = detect(values);
    for season in &mut seasons {
        let near = |steps: &i64| {
            let steps = usize::try_from(*steps).unwrap_or(0);
            (steps >= SEASON_MIN && season.steps.abs_diff(steps) * 50 <= steps).then_some(steps)
        };
        if let Some(steps) = calendar.iter().find_map(near) {
            season.steps = steps;
        }
    }
    seasons
}

/// The length that a setting asks for, or with 0 the strongest season that is found ([`detect_in`]);
/// `None` without any.
///
/// # Errors
/// As [`check_given`].
pub fn given_or_found_in(
    given: usize,
    values: &[f64],
    step: Span,
) -> Result<Option<usize>, FitError> {
    check_given(given, values.len())?;
    Ok(match given {
        0 => detect_in(values, step).first().map(|s| s.steps),
        steps => Some(steps),
    })
}

/// Checks a season that was asked for against the points that are fitted to.
///
/// # Errors
/// [`FitError::Setting`] where it is longer than all of them: nothing of it could be known.
pub fn check_given(given: usize, points: usize) -> Result<(), FitError> {
    if given <= points {
        return Ok(());
    }
    Err(FitError::Setting {
        what: format!("a season of {given} steps"),
        must: format!(
            "is longer than the history of {points} points; give a longer history, a shorter season, or 0 to have one found"
        ),
    })
}

/// Whether two lengths lie on one hill: its sides have small peaks of their own.
fn is_same(a: usize, b: usize) -> bool {
    a.abs_diff(b) * 6 <= a.max(b) || a.abs_diff(b) <= 1
}

/// Values without the weight of single bursts: those far above the rest are cut to the edge.
fn calmed(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    let edge = at(0.5) + 5.0 * (at(0.9) - at(0.5));
    let cut = |v: &f64| {
        if *v > edge && edge > at(0.5) {
            edge
        } else {
            *v
        }
    };
    values.iter().map(cut).collect()
}

/// Residuals of the least-squares line.
fn without_line(values: &[f64]) -> Vec<f64> {
    let n = values.len() as f64;
    let (mean_x, mean_y) = ((n - 1.0) / 2.0, values.iter().sum::<f64>() / n);
    let mut sxy = 0.0;
    let mut sxx = 0.0;
    for (i, value) in values.iter().enumerate() {
        let x = i as f64 - mean_x;
        sxy += x * (value - mean_y);
        sxx += x * x;
    }
    let slope = sxy / sxx;
    let residual = |(i, v): (usize, &f64)| v - mean_y - slope * (i as f64 - mean_x);
    values.iter().enumerate().map(residual).collect()
}

/// Periodogram and autocorrelation (unbiased, 1 at lag 0) of values around zero; `None` where they
/// do not vary.
fn spectra(flat: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
    let n = flat.len();
    // Twice the length, so that the circle of the transform does not touch itself.
    let size = (2 * n).next_power_of_two();
    let mut planner = RealFftPlanner::<f64>::new();
    let (forward, inverse) = (
        planner.plan_fft_forward(size),
        planner.plan_fft_inverse(size),
    );
    let mut padded = forward.make_input_vec();
    padded[..n].copy_from_slice(flat);
    let mut spectrum = forward.make_output_vec();
    forward.process(&mut padded, &mut spectrum).ok()?;
    let power: Vec<f64> = spectrum
        .iter()
        .map(realfft::num_complex::Complex::norm_sqr)
        .collect();
    for (bin, power) in spectrum.iter_mut().zip(&power) {
        *bin = realfft::num_complex::Complex::new(*power, 0.0);
    }
    let mut covariance = inverse.make_output_vec();
    inverse.process(&mut spectrum, &mut covariance).ok()?;
    let scale = flat.iter().map(|v| v * v).sum::<f64>();
    if !(scale.is_finite() && covariance[0] > 0.0) {
        return None;
    }
    let of_lag = |lag: usize| covariance[lag] / covariance[0] * n as f64 / (n - lag) as f64;
    let correlation = (0..n).map(of_lag).collect();
    (scale > 0.0).then_some((power, correlation))
}

/// Lengths at the highest peaks of the periodogram, highest first.
fn hints(power: &[f64], n: usize) -> Vec<usize> {
    let size = 2 * (power.len() - 1);
    let total: f64 = power[1..].iter().sum();
    let mut peaks: Vec<usize> = (2..power.len() - 1)
        .filter(|k| power[*k] > power[k - 1] && power[*k] >= power[k + 1])
        .filter(|k| power[*k] * size as f64 > total * 4.0)
        .collect();
    peaks.sort_by(|a, b| power[*b].total_cmp(&power[*a]));
    peaks.truncate(HINTS_MAX);
    let lengths = peaks
        .into_iter()
        .map(|k| (size as f64 / k as f64).round() as usize);
    lengths
        .filter(|l| (SEASON_MIN..=n / CYCLES_MIN).contains(l))
        .collect()
}

/// The hill of the autocorrelation that a hint lies on, where it is one and high enough.
fn hill(correlation: &[f64], hint: usize, n: usize) -> Option<Season> {
    // The periodogram's resolution at that length: half a bin to each side.
    let slack = (hint * hint / (2 * n)).max(1) + hint / 20;
    let (first, last) = (
        hint.saturating_sub(slack).max(SEASON_MIN),
        (hint + slack).min(n - 1),
    );
    let best = (first..=last).max_by(|a, b| correlation[*a].total_cmp(&correlation[*b]))?;
    // A valley must lie between no lag and this one, or the series is only slow.
    let valley = correlation[1..best]
        .iter()
        .copied()
        .fold(f64::INFINITY, |least, c| if c < least { c } else { least });
    let strength = correlation[best];
    let steep = strength - valley > CORRELATION_MIN / 2.0;
    let sure = strength > CORRELATION_MIN && strength > 2.5 / (n as f64).sqrt();
    let inside = best > first || first == SEASON_MIN;
    (steep && sure && inside && best <= n / CYCLES_MIN).then_some(Season {
        steps: best,
        strength: if strength > 1.0 { 1.0 } else { strength },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, child, uniform};

    fn wave(n: usize, periods: &[(f64, f64)], noise: f64) -> Vec<f64> {
        let mut stream = child(Seed(7), "season test");
        let value = |i: usize| {
            let waves = periods
                .iter()
                .map(|(p, a)| a * (std::f64::consts::TAU * i as f64 / p).sin());
            100.0 + waves.sum::<f64>() + noise * (uniform(&mut stream) - 0.5)
        };
        (0..n).map(value).collect()
    }

    #[test]
    fn a_day_of_minutes_is_found_in_noise() {
        let found = detect(&wave(7 * 1440, &[(1440.0, 20.0)], 30.0));
        assert!(found[0].steps.abs_diff(1440) <= 15, "{found:?}");
    }

    #[test]
    fn a_day_and_a_week_are_both_found() {
        let found = detect(&wave(28 * 24, &[(24.0, 20.0), (168.0, 12.0)], 10.0));
        let near = |steps: usize| found.iter().any(|f| f.steps.abs_diff(steps) <= 2);
        assert!(near(24) || near(168), "{found:?}");
    }

    #[test]
    fn a_burst_at_the_same_minute_of_every_hour_is_a_season() {
        let mut values = wave(1440, &[], 4.0);
        for i in (32..1440).step_by(60) {
            values[i] += 80.0;
            values[i + 1] += 60.0;
        }
        let found = detect(&values);
        assert_eq!(found.first().map(|f| f.steps), Some(60), "{found:?}");
    }

    #[test]
    fn noise_a_line_a_walk_and_a_constant_have_no_season() {
        for seed in 0..20 {
            let mut stream = child(Seed(seed), "season noise");
            let noise: Vec<f64> = (0..2000).map(|_| uniform(&mut stream)).collect();
            assert_eq!(detect(&noise), [], "noise, seed {seed}");
        }
        let line: Vec<f64> = (0..500).map(f64::from).collect();
        assert_eq!(detect(&line), []);
        assert_eq!(detect(&[5.0; 400]), []);
        assert_eq!(detect(&[0.0; 400]), []);
        assert_eq!(detect(&[1.0, 2.0, 3.0]), []);
    }
}
