//! What makes the same call take another time: noise, slow neighbours, cold starts, outliers.

use foresail_models::rng::Seed;
use serde::{Deserialize, Serialize};

use crate::rng::Stream;

/// Everything that moves a call's time away from its surface; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Noise {
    /// Standard deviation over mean of the lognormal factor on every call; its mean is 1.
    pub spread: f64,
    /// Seconds that a container's first call takes longer, times the same factor.
    pub cold_start_seconds: f64,
    /// Slow neighbours.
    pub interference: Interference,
    /// Calls that take much longer for no reason.
    pub outliers: Outliers,
    /// Chance that a call never ends.
    pub lost_probability: f64,
}

/// Slow neighbours: for some requests on end, every stage takes longer by one factor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Interference {
    /// Share of the time that there are any.
    pub probability: f64,
    /// By how much everything takes longer then.
    pub factor: f64,
    /// Requests on end that see the same neighbours.
    pub requests: u64,
}

impl Default for Interference {
    /// No neighbours.
    fn default() -> Self {
        Self {
            probability: 0.0,
            factor: 1.5,
            requests: 10,
        }
    }
}

/// Calls that take much longer for no reason.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Outliers {
    /// Share of the calls.
    pub probability: f64,
    /// By how much they take longer.
    pub factor: f64,
}

impl Default for Outliers {
    /// None.
    fn default() -> Self {
        Self {
            probability: 0.0,
            factor: 10.0,
        }
    }
}

impl Noise {
    /// What is wrong with it; `None` where nothing is.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let shares = [
            ("interference.probability", self.interference.probability),
            ("outliers.probability", self.outliers.probability),
            ("lostProbability", self.lost_probability),
        ];
        let bad = shares.iter().find(|(_, v)| !(0.0..=1.0).contains(v));
        if let Some((key, value)) = bad {
            return Some(format!("{key}: {value}: must be 0 to 1"));
        }
        let least = [
            ("spread", self.spread, 0.0),
            ("coldStartSeconds", self.cold_start_seconds, 0.0),
            ("interference.factor", self.interference.factor, 1.0),
            ("outliers.factor", self.outliers.factor, 1.0),
        ];
        let bad = least.iter().find(|(_, v, l)| !(v.is_finite() && v >= l));
        if let Some((key, value, least)) = bad {
            return Some(format!("{key}: {value}: must be {least} or more"));
        }
        let none = self.interference.requests == 0;
        none.then(|| "interference.requests: 0: must be 1 or more".to_owned())
    }

    /// The factor of the neighbours that a request sees.
    pub(super) fn neighbours(&self, seed: Seed, request: u64) -> f64 {
        let with = self.interference;
        if with.probability <= 0.0 {
            return 1.0;
        }
        let episode = request / with.requests;
        let mut stream = Stream::of(seed, &format!("workflow neighbours {episode}"));
        if stream.uniform() < with.probability {
            with.factor
        } else {
            1.0
        }
    }

    /// What one call of `seconds` takes; infinite where it never ends. Draws equally often
    /// whatever comes of it.
    pub(super) fn call(&self, seconds: f64, cold: bool, stream: &mut Stream) -> f64 {
        let (z, odd, lost) = (stream.normal(), stream.uniform(), stream.uniform());
        if lost < self.lost_probability {
            return f64::INFINITY;
        }
        let variance = (self.spread * self.spread).ln_1p();
        let factor = (variance.sqrt() * z - variance / 2.0).exp();
        let begun = if cold { self.cold_start_seconds } else { 0.0 };
        let outlying = if odd < self.outliers.probability {
            self.outliers.factor
        } else {
            1.0
        };
        (seconds + begun) * factor * outlying
    }
}
