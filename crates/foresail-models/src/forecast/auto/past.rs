//! What is remembered of the series, and what each expert makes of it.

use std::collections::VecDeque;

use foresail_core::quantity::units::larger;
use serde::{Deserialize, Serialize};

use super::super::quantile::of_sorted;
use crate::forecast::track::remember;
use crate::forecast::tracked::{LEVELS, Quantiles};

/// Weights of the newest value in the means, from short memories to long ones.
const WEIGHTS: [f64; 5] = [0.6, 0.3, 0.1, 0.03, 0.01];

/// Lengths of the windows whose quantiles are experts.
pub(super) const WINDOWS: [usize; 4] = [15, 60, 180, 720];

/// Length of the longest of them.
const LONGEST: usize = WINDOWS[WINDOWS.len() - 1];

/// The damped trend: weights of level and slope, and what is left of the slope at each step.
/// Gardner & McKenzie 1985; values in the middle of those usual for demand.
const TREND: (f64, f64, f64) = (0.3, 0.1, 0.9);

/// Weight of the newest value in a season's profile.
const PROFILE_WEIGHT: f64 = 0.25;

/// Weight of the newest value in the level against a profile: about ten steps, and thirty for a
/// ratio, which is noisier.
const OFFSET_WEIGHTS: (f64, f64) = (0.1, 0.03);

/// What is left of the largest value at each step.
const PEAK_KEPT: f64 = 0.9999;

/// Share of the largest value below which a difference is none: a mean that decays towards a value
/// never comes to it, and a band around it would miss it by nothing.
const GRAIN: f64 = 1e-6;

/// Ways in which a season is an expert.
const WAYS: usize = 4;

/// One season as it is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Profile {
    /// Mean of each phase, later seasons heavier.
    means: Vec<f64>,
    /// Values behind each mean.
    seen: Vec<u32>,
    /// How far the level is above the profile.
    offset: f64,
    /// Level over profile.
    ratio: f64,
}

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Past {
    /// Steps of late, oldest first; `None` is a gap.
    values: VecDeque<Option<f64>>,
    kept: usize,
    /// Values of late, as many as the longest window has; gaps are not among them.
    measured: VecDeque<f64>,
    /// Steps seen in all.
    steps: u64,
    means: [f64; WEIGHTS.len()],
    level: f64,
    slope: f64,
    /// Mean absolute difference of neighbours.
    unit: f64,
    /// The largest value, forgotten slowly.
    peak: f64,
    profiles: Vec<Profile>,
    /// The last values of each window, sorted.
    windows: [Vec<f64>; WINDOWS.len()],
}

impl Past {
    pub(super) fn new(seasons: &[usize]) -> Self {
        let longest = seasons.iter().copied().max().unwrap_or(0);
        let profile = |steps: &usize| Profile {
            means: vec![0.0; *steps],
            seen: vec![0; *steps],
            offset: 0.0,
            ratio: 1.0,
        };
        Self {
            values: VecDeque::new(),
            kept: (longest + 1).max(LONGEST + 1),
            measured: VecDeque::new(),
            steps: 0,
            means: [0.0; WEIGHTS.len()],
            level: 0.0,
            slope: 0.0,
            unit: 0.0,
            peak: 0.0,
            profiles: seasons.iter().map(profile).collect(),
            windows: [const { Vec::new() }; WINDOWS.len()],
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.measured.is_empty()
    }

    /// Number of the step that comes next.
    pub(super) fn next(&self) -> u64 {
        self.steps
    }

    pub(super) fn seasons(&self) -> Vec<usize> {
        self.profiles.iter().map(|p| p.means.len()).collect()
    }

    /// Whether what was read back fits together.
    pub(super) fn is_sound(&self) -> bool {
        let seasons = self.profiles.iter().map(|p| p.means.len());
        let longest = seasons.clone().max().unwrap_or(0);
        let profiles = self
            .profiles
            .iter()
            .all(|p| p.seen.len() == p.means.len() && !p.means.is_empty());
        let kept = (longest + 1).max(LONGEST + 1);
        let windows = self.windows.iter().zip(WINDOWS);
        let values = self.values.iter().flatten();
        let finite = values.chain(&self.measured).all(|v| v.is_finite());
        let filled = |(w, size): (&Vec<f64>, usize)| w.len() == self.measured.len().min(size);
        finite
            && profiles
            && self.kept == kept
            && self.values.len() as u64 == self.steps.min(kept as u64)
            && (1..=LONGEST).contains(&self.measured.len())
            && { windows }.all(filled)
    }

    pub(super) fn last(&self) -> f64 {
        self.measured.back().copied().unwrap_or(0.0)
    }

    /// What the regression's numbers are divided by: they are then of the order of one.
    pub(super) fn size(&self) -> f64 {
        let size = self.unit + self.means[WEIGHTS.len() - 1].abs();
        if size > 1e-9 { size } else { 1e-9 }
    }

    /// Takes in a step; from a gap nothing is learnt but that time has passed.
    pub(super) fn push(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.push_windows(value);
            self.learn(value);
            remember(&mut self.measured, value, LONGEST);
        }
        remember(&mut self.values, value, self.kept);
        self.steps += 1;
    }

    fn push_windows(&mut self, value: f64) {
        for (sorted, size) in self.windows.iter_mut().zip(WINDOWS) {
            if sorted.len() >= size {
                let oldest = self.measured[self.measured.len() - size];
                let place = sorted.partition_point(|v| *v < oldest);
                sorted.remove(place.min(sorted.len() - 1));
            }
            let place = sorted.partition_point(|v| *v < value);
            sorted.insert(place, value);
        }
    }

    fn learn(&mut self, value: f64) {
        let first = self.is_empty();
        let nth = 1.0 / (self.steps + 1) as f64;
        if !first {
            let difference = (value - self.last()).abs();
            self.unit += larger(nth, 0.002) * (difference - self.unit);
        }
        self.peak = larger(value.abs(), self.peak * PEAK_KEPT);
        for (mean, weight) in self.means.iter_mut().zip(WEIGHTS) {
            *mean += larger(nth, weight) * (value - *mean);
        }
        let (of_level, of_slope, left) = TREND;
        let before = if first { value } else { self.level };
        self.level = of_level * value + (1.0 - of_level) * (before + left * self.slope);
        self.slope = of_slope * (self.level - before) + (1.0 - of_slope) * left * self.slope;
        for profile in &mut self.profiles {
            profile.learn(self.steps, value);
        }
    }

    /// Phase of the step `ahead` in a season.
    fn phase(&self, ahead: usize, season: usize) -> usize {
        ((self.steps + ahead as u64 - 1) % season as u64) as usize
    }

    /// What was whole seasons before the step `ahead`, as few as can be; the profile before that and
    /// at a gap.
    fn season_ago(&self, ahead: usize, profile: &Profile) -> f64 {
        let season = profile.means.len();
        // 1 is the last value.
        let ago = ahead.div_ceil(season) * season - ahead + 1;
        let place = self.values.len().checked_sub(ago);
        let there = place.and_then(|p| self.values.get(p).copied().flatten());
        there.unwrap_or(profile.means[self.phase(ahead, season)])
    }

    /// Number of experts that say a point from what is remembered alone.
    pub(super) fn experts(&self) -> usize {
        2 + WEIGHTS.len() + WAYS * self.profiles.len()
    }

    /// What each of them says of the step `ahead`, and what the regression is told of it.
    pub(super) fn spoken(&self, ahead: usize) -> (Vec<f64>, Vec<f64>) {
        let mut points = self.points(ahead);
        points.iter_mut().for_each(|p| *p = self.told(*p));
        (points, self.features(ahead))
    }

    fn points(&self, ahead: usize) -> Vec<f64> {
        // With room for the regression's.
        let mut points = Vec::with_capacity(self.experts() + 1);
        points.push(self.last());
        points.extend(self.means);
        let left = TREND.2;
        let reach = left * (1.0 - left.powi(ahead.min(1000) as i32)) / (1.0 - left);
        points.push(self.level + self.slope * reach);
        for profile in &self.profiles {
            let mean = profile.means[self.phase(ahead, profile.means.len())];
            points.push(self.season_ago(ahead, profile));
            points.extend([mean, mean * profile.ratio, mean + profile.offset]);
        }
        points
    }

    /// The names of those experts.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = vec!["last".to_owned()];
        names.extend(WEIGHTS.map(|w| format!("mean of about {:.0}", 1.0 / w)));
        names.push("damped trend".to_owned());
        for season in self.seasons() {
            let ways = [
                "one season ago",
                "profile",
                "profile times level",
                "profile plus level",
            ];
            names.extend(ways.map(|way| format!("{way} ({season})")));
        }
        names
    }

    /// What the regression is told of the step `ahead`, in units of [`Past::size`].
    fn features(&self, ahead: usize) -> Vec<f64> {
        let size = self.size();
        let mut features = vec![1.0, self.last() / size];
        features.extend(self.means.map(|m| m / size));
        features.push(self.slope / size);
        for profile in &self.profiles {
            let season = profile.means.len();
            let (then, now) = (self.phase(ahead, season), self.phase(0, season));
            features.push(profile.means[then] / size);
            features.push(profile.means[now] / size);
            features.push(self.season_ago(ahead, profile) / size);
        }
        features
    }

    /// A point no further from the values of the longest window than these are apart; the last value
    /// for what is not finite.
    pub(super) fn within_reach(&self, point: f64) -> f64 {
        let longest = &self.windows[WINDOWS.len() - 1];
        match (longest.first(), longest.last()) {
            (Some(low), Some(high)) if point.is_finite() => {
                point.clamp(low - (high - low), high + (high - low))
            }
            _ => self.last(),
        }
    }

    /// A point as it is told: the last value where it is that but for a grain, and not below zero.
    pub(super) fn told(&self, point: f64) -> f64 {
        let last = self.last();
        let same = (point - last).abs() <= GRAIN * self.peak;
        larger(if same { last } else { point }, 0.0)
    }

    /// Number of features.
    pub(super) fn width(&self) -> usize {
        3 + WEIGHTS.len() + 3 * self.profiles.len()
    }

    /// Quantiles of each window.
    pub(super) fn windows(&self) -> [Quantiles; WINDOWS.len()] {
        std::array::from_fn(|w| LEVELS.map(|level| of_sorted(&self.windows[w], level)))
    }
}

impl Profile {
    fn learn(&mut self, step: u64, value: f64) {
        let phase = (step % self.means.len() as u64) as usize;
        let mean = self.means[phase];
        if self.seen[phase] > 0 {
            self.offset += OFFSET_WEIGHTS.0 * (value - mean - self.offset);
            if mean > 1e-9 {
                // A single value far off says little of the level.
                let ratio = (value / mean).clamp(0.05, 20.0);
                self.ratio += OFFSET_WEIGHTS.1 * (ratio - self.ratio);
            }
        }
        self.seen[phase] = self.seen[phase].saturating_add(1);
        let weight = larger(1.0 / f64::from(self.seen[phase]), PROFILE_WEIGHT);
        self.means[phase] += weight * (value - mean);
    }
}
