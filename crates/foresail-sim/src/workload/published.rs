//! The trace of the published Prophet + LSTM study, made again from its formula and its seed.
//!
//! Two weeks of minutes from Wednesday, 2025-01-01: with `h` the hour of the day,
//! `max(0, (18 + A·sin(2πh/24))·w + line(0 → 3) + noise + spike)`, `w` 1.25 on working days and 0.75
//! at weekends, noise of deviation 1.8, and a spike of one minute with probability p.
//! Source: Ivan825/Predictive-Auto-Scaling-of-Dockerized-ML-Applications: src/simulate_data.py.

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};

use super::numpy::Generator;

/// Minutes of the trace: two weeks.
pub const MINUTES: usize = 20_160;

/// 2025-01-01 00:00, a Wednesday.
pub const START: Timestamp = Timestamp::from_seconds(1_735_689_600);

/// The published seed.
pub const SEED: u64 = 7;

/// One of the three published shapes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Its name.
    pub name: &'static str,
    /// Swing of the day. Units: requests per minute.
    pub swing: f64,
    /// Probability of a spike in a minute.
    pub spikes: f64,
    /// The least spike, and the one that is not reached any more. Units: requests per minute.
    pub sizes: (i64, i64),
}

/// The published shapes; the first one is the study's.
pub const SHAPES: [Shape; 3] = [
    Shape {
        name: "mixed",
        swing: 10.0,
        spikes: 0.003,
        sizes: (40, 120),
    },
    Shape {
        name: "smooth",
        swing: 7.0,
        spikes: 0.0005,
        sizes: (40, 120),
    },
    Shape {
        name: "spiky",
        swing: 12.0,
        spikes: 0.01,
        sizes: (70, 180),
    },
];

/// A trace: demand of each minute, and which minutes are events.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Requests per minute.
    pub demand: Vec<f64>,
    /// Whether each minute is an event.
    pub events: Vec<bool>,
}

impl Published {
    /// Demand as a series.
    #[must_use]
    pub fn series(&self) -> Series {
        Series::new(START, Span::from_seconds(60), self.demand.clone())
    }
}

/// Hour of the day and day of the week (Monday is 0) of a minute of the trace.
#[must_use]
pub fn calendar(minute: usize) -> (usize, usize) {
    (minute / 60 % 24, (2 + minute / 1440) % 7)
}

impl Shape {
    /// The trace of a seed; equal to the published one to 1e-13 for [`SEED`].
    #[must_use]
    pub fn trace(&self, seed: u64) -> Published {
        let mut stream = Generator::new(seed);
        let noise: Vec<f64> = (0..MINUTES).map(|_| stream.normal(0.0, 1.8)).collect();
        let spikes: Vec<bool> = (0..MINUTES)
            .map(|_| stream.random() < self.spikes)
            .collect();
        let demand = |minute: usize| {
            let (hour, day) = calendar(minute);
            let hours = hour as f64 + (minute % 60) as f64 / 60.0;
            let week = if day < 5 { 1.25 } else { 0.75 };
            let wave = 18.0 + self.swing * (std::f64::consts::TAU * hours / 24.0).sin();
            let line = 3.0 * minute as f64 / (MINUTES - 1) as f64;
            let spike = if spikes[minute] {
                stream.integers(self.sizes.0, self.sizes.1) as f64
            } else {
                0.0
            };
            let demand = wave * week + line + noise[minute] + spike;
            if demand > 0.0 { demand } else { 0.0 }
        };
        Published {
            demand: (0..MINUTES).map(demand).collect(),
            events: spikes.clone(),
        }
    }
}
