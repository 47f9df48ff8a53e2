//! From peaks to windows: split by time, scaled by the first part, targets relative to the oldest step.

use std::collections::{BTreeMap, BTreeSet};

use foresail_core::observe::VALUE_MAX;
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::Span;
use foresail_nn::{LANES, Row};
use serde::{Deserialize, Serialize};

use super::{FEATURES, INPUTS, PoolNetError, PoolSeries, Training, WINDOWS_MIN, features};
use crate::forecast::quantile::deviation;

/// Names of the parts.
const PARTS: [&str; 3] = ["training", "validation", "test"];

/// How the values of one function become what the net sees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scale {
    /// Mean of its values. Units: containers.
    pub mean: f64,
    /// Their population standard deviation, 0 where they never vary. Units: containers.
    pub deviation: f64,
}

impl Scale {
    /// The scale of some values; `None` without any.
    #[must_use]
    pub fn of(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let count = values.clone().count();
        let mean = values.clone().sum::<f64>() / count as f64;
        let spread = deviation(values);
        // What rounding leaves of a constant is no spread.
        let varies = spread > 1e-9 * mean.abs();
        (count > 0).then_some(Self {
            mean,
            deviation: if varies { spread } else { 0.0 },
        })
    }

    /// What one is in the net's numbers. Units: containers; one where the values never vary.
    #[must_use]
    pub fn unit(&self) -> f64 {
        if self.deviation > 0.0 {
            self.deviation
        } else {
            1.0
        }
    }

    /// A value as the net sees it.
    #[must_use]
    pub fn inward(&self, value: f64) -> f64 {
        (value - self.mean) / self.unit()
    }

    /// What the net says as a value. Units: containers.
    #[must_use]
    pub fn outward(&self, number: f64) -> f64 {
        self.mean + number * self.unit()
    }

    pub(super) fn is_sound(&self) -> bool {
        let inside = |v: f64| (0.0..=VALUE_MAX).contains(&v);
        inside(self.mean) && inside(self.deviation)
    }
}

/// A function whose scale a net has learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Known {
    /// Its name.
    pub id: String,
    /// Its scale, of the training part.
    pub scale: Scale,
}

/// Where a window begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) series: u32,
    pub(super) first: u32,
    /// Its number among all windows of all parts.
    pub(super) at: u32,
}

/// Windows of some functions.
#[derive(Debug)]
pub(super) struct Windows {
    pub(super) window: usize,
    pub(super) reach: usize,
    pub(super) step: Span,
    pub(super) known: Vec<Known>,
    /// Scaled values of each function.
    scaled: Vec<Vec<f32>>,
    /// Numbers of the times of each function; functions of one begin share them.
    times: Vec<Vec<[f32; FEATURES]>>,
    times_of: Vec<usize>,
    /// Windows of the training, validation and test part; by function, then by time.
    pub(super) parts: [Vec<Place>; 3],
    /// Windows with a gap.
    pub(super) dropped: usize,
    /// Windows beyond the most that are learnt from.
    pub(super) left_out: usize,
}

/// Ends of the parts of a history: the first eight tenths, the ninth, the last.
pub(super) fn ends(steps: usize) -> [usize; 4] {
    [0, steps * 8 / 10, steps * 9 / 10, steps]
}

impl Windows {
    /// Cuts functions into windows; each part of a history has its own, none reaches into another.
    pub(super) fn cut(series: &[PoolSeries], training: &Training) -> Result<Self, PoolNetError> {
        training.check()?;
        let first = series.first().ok_or(PoolNetError::NoSeries)?;
        let step = first.peaks.step();
        let mut own = Self {
            window: training.window,
            reach: training.reach,
            step,
            known: Vec::new(),
            scaled: Vec::new(),
            times: Vec::new(),
            times_of: Vec::new(),
            parts: Default::default(),
            dropped: 0,
            left_out: 0,
        };
        let (mut begins, mut names) = (BTreeMap::new(), BTreeSet::new());
        for one in series {
            check(one, training, step)?;
            if !names.insert(&one.id) {
                let id = one.id.clone();
                return Err(PoolNetError::Twice { id });
            }
            let begin = one.peaks.start();
            let place = *begins.entry(begin).or_insert(own.times.len());
            own.add_times(place, &one.peaks);
            own.times_of.push(place);
            own.add(one)?;
        }
        own.thin(training.windows_max);
        Ok(own)
    }

    /// Numbers of the times of a series, as many as the longest of its begin has.
    fn add_times(&mut self, place: usize, series: &Series) {
        if place == self.times.len() {
            self.times.push(Vec::new());
        }
        let times = &mut self.times[place];
        for i in times.len()..series.len() {
            times.push(features(series.time_of(i)).map(|f| f as f32));
        }
    }

    fn add(&mut self, one: &PoolSeries) -> Result<(), PoolNetError> {
        let ends = ends(one.peaks.len());
        let id = || one.id.clone();
        let training = one.peaks.iter().take(ends[1]).flatten();
        let scale = Scale::of(training.collect::<Vec<_>>().into_iter());
        let scale = scale.ok_or_else(|| PoolNetError::OnlyGaps {
            id: id(),
            part: PARTS[0],
        })?;
        let seen = |v: Option<f64>| v.map_or(f32::NAN, |v| scale.inward(v) as f32);
        let scaled: Vec<f32> = one.peaks.iter().map(seen).collect();
        let series = self.known.len() as u32;
        let length = self.window + self.reach;
        for part in 0..PARTS.len() {
            let before = self.parts[part].len();
            let steps = &scaled[ends[part]..ends[part + 1]];
            for (i, window) in steps.windows(length).enumerate() {
                if window.iter().any(|v| v.is_nan()) {
                    self.dropped += 1;
                    continue;
                }
                let first = (ends[part] + i) as u32;
                let at = 0;
                self.parts[part].push(Place { series, first, at });
            }
            if self.parts[part].len() == before {
                let part = PARTS[part];
                return Err(PoolNetError::OnlyGaps { id: id(), part });
            }
        }
        self.known.push(Known { id: id(), scale });
        self.scaled.push(scaled);
        Ok(())
    }

    /// Takes every k-th window where there are more than `most`, and numbers those that stay.
    fn thin(&mut self, most: usize) {
        let count: usize = self.parts.iter().map(Vec::len).sum();
        let stride = count.div_ceil(most).max(1);
        let mut at = 0;
        for part in &mut self.parts {
            *part = part.iter().copied().step_by(stride).collect();
            for place in part {
                place.at = at;
                at += 1;
            }
        }
        self.left_out = count - at as usize;
    }

    /// Inputs of some windows side by side: steps × [`INPUTS`] rows.
    pub(super) fn inputs(&self, places: &[Place]) -> Vec<Row<f32>> {
        let mut rows = vec![[0.0; LANES]; self.window * INPUTS];
        for (lane, place) in places.iter().enumerate() {
            let (series, first) = (place.series as usize, place.first as usize);
            let values = &self.scaled[series][first..first + self.window];
            let times = &self.times[self.times_of[series]][first..];
            put(
                values.iter().copied(),
                times.iter().copied(),
                lane,
                &mut rows,
            );
        }
        rows
    }

    /// Targets of some windows side by side: the steps ahead less the oldest step of the window.
    pub(super) fn targets(&self, places: &[Place]) -> Vec<Row<f32>> {
        let mut rows = vec![[0.0; LANES]; self.reach];
        for (lane, place) in places.iter().enumerate() {
            for (row, target) in rows.iter_mut().zip(self.target(*place)) {
                row[lane] = target;
            }
        }
        rows
    }

    /// The target of one window.
    pub(super) fn target(&self, place: Place) -> impl Iterator<Item = f32> {
        let values = &self.scaled[place.series as usize][place.first as usize..];
        let ahead = &values[self.window..self.window + self.reach];
        ahead.iter().map(|v| v - values[0])
    }

    /// Numbers of the time of the step that follows a window.
    pub(super) fn next(&self, place: Place) -> [f32; FEATURES] {
        let times = &self.times[self.times_of[place.series as usize]];
        times[place.first as usize + self.window]
    }

    /// `true` where a window lies in the first half of its function's test part.
    pub(super) fn is_early(&self, place: Place) -> bool {
        let [_, _, begin, end] = ends(self.scaled[place.series as usize].len());
        place.first as usize + self.window < begin.midpoint(end)
    }

    /// Mean squared error on the test part of one who says that the last value stays.
    pub(super) fn persistence(&self) -> f64 {
        let error = |place: &Place| {
            let values = &self.scaled[place.series as usize][place.first as usize..];
            let (last, ahead) = (values[self.window - 1], &values[self.window..]);
            let squares = ahead.iter().take(self.reach);
            squares.map(|v| f64::from(v - last).powi(2)).sum::<f64>()
        };
        let test = &self.parts[2];
        test.iter().map(error).sum::<f64>() / (test.len() * self.reach) as f64
    }
}

/// Writes the steps of one window into a lane.
pub(super) fn put(
    values: impl Iterator<Item = f32>,
    times: impl Iterator<Item = [f32; FEATURES]>,
    lane: usize,
    rows: &mut [Row<f32>],
) {
    for ((value, time), rows) in values.zip(times).zip(rows.chunks_exact_mut(INPUTS)) {
        rows[0][lane] = value;
        for (row, number) in rows[1..].iter_mut().zip(time) {
            row[lane] = number;
        }
    }
}

fn check(one: &PoolSeries, training: &Training, step: Span) -> Result<(), PoolNetError> {
    let id = || one.id.clone();
    if one.peaks.step() != step {
        return Err(PoolNetError::Steps {
            id: id(),
            step: one.peaks.step(),
            others: step,
        });
    }
    let (needed, found) = (training.needed(), one.peaks.len());
    if found < needed {
        return Err(PoolNetError::TooShort {
            id: id(),
            needed,
            found,
        });
    }
    debug_assert!(found - ends(found)[2] >= training.window + training.reach + WINDOWS_MIN - 1);
    let outside = |(_, v): &(usize, f64)| !(0.0..=VALUE_MAX).contains(v);
    let values = one.peaks.iter().enumerate();
    let mut there = values.filter_map(|(i, v)| Some((i + 1, v?)));
    match there.find(outside) {
        Some((step, value)) => Err(PoolNetError::Value {
            id: id(),
            step,
            value,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
