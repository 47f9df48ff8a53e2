//! The built-in sample: two weeks of minutes with everything that makes an autoscaler's life hard.

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::rng::Seed;

use crate::rng::Stream;

/// The sample's parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Days.
    pub days: u32,
    /// Mean rate before the deploy, in requests per second.
    pub rate: f64,
    /// Swing of the day around its mean, as a share.
    pub daily: f64,
    /// Rate of Saturday and Sunday, as a share of a working day's.
    pub weekend: f64,
    /// Standard deviation of a minute's rate, as a share.
    pub noise: f64,
    /// Bursts a day.
    pub bursts: f64,
    /// Day at whose noon a deploy shifts the level.
    pub deploy_day: u32,
    /// The level after the deploy, as a share of that before.
    pub deploy_level: f64,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            days: 14,
            rate: 4.0,
            daily: 0.6,
            weekend: 0.6,
            noise: 0.08,
            bursts: 3.0,
            deploy_day: 9,
            deploy_level: 1.35,
        }
    }
}

/// Monday, 5 January 2026, 00:00 UTC.
pub const START: Timestamp = Timestamp::from_seconds(1_767_571_200);

const MINUTES_PER_DAY: usize = 1440;

/// A burst: the minute it begins, its length in minutes, its height over the level.
type Burst = (usize, usize, f64);

impl Sample {
    /// Rates per minute, in requests per second.
    ///
    /// A day with its low at 03:00 and its peak at 15:00, sharper in the morning; a week with quiet
    /// ends; lognormal noise; bursts of 1.5 to 4 times the level that rise within a minute and last
    /// 5 to 30; a deploy that shifts the level for good.
    #[must_use]
    pub fn rates(&self, seed: Seed) -> Series {
        let minutes = self.days as usize * MINUTES_PER_DAY;
        let bursts = self.draw_bursts(seed, minutes);
        let mut noise = Stream::of(seed, "sample/noise");
        let mut drift = 0.0;
        let mut values = Vec::with_capacity(minutes);
        for minute in 0..minutes {
            drift = 0.9 * drift + self.noise * noise.normal();
            let burst = bursts
                .iter()
                .filter(|(begin, length, _)| (*begin..begin + length).contains(&minute))
                .map(|(begin, length, height)| {
                    height * (1.0 - 0.5 * (minute - begin) as f64 / *length as f64)
                })
                .fold(1.0, |product, factor| product * factor);
            values.push(self.level(minute) * burst * (drift * 0.4359).exp());
        }
        Series::new(START, Span::from_seconds(60), values)
    }

    /// The rate of one minute without noise and bursts.
    fn level(&self, minute: usize) -> f64 {
        let day = minute / MINUTES_PER_DAY;
        let phase =
            (minute % MINUTES_PER_DAY) as f64 / MINUTES_PER_DAY as f64 * std::f64::consts::TAU;
        // The peak at 15:00 is five eighths of a day after midnight.
        let wave = (phase - 0.625 * std::f64::consts::TAU).cos();
        let sharper = 0.25 * (2.0 * phase - 0.8 * std::f64::consts::TAU).cos();
        let daily = 1.0 + self.daily * (wave + sharper) / 1.25;
        let weekly = if day % 7 >= 5 { self.weekend } else { 1.0 };
        let deployed = minute >= self.deploy_day as usize * MINUTES_PER_DAY + MINUTES_PER_DAY / 2;
        self.rate * daily * weekly * if deployed { self.deploy_level } else { 1.0 }
    }

    fn draw_bursts(&self, seed: Seed, minutes: usize) -> Vec<Burst> {
        let mut stream = Stream::of(seed, "sample/bursts");
        let count = stream.poisson(self.bursts * f64::from(self.days));
        let mut draw = || {
            let begin = (stream.uniform() * minutes as f64) as usize;
            let length = 5 + (stream.uniform() * 26.0) as usize;
            (begin, length, 1.5 + 2.5 * stream.uniform())
        };
        (0..count).map(|_| draw()).collect()
    }
}

/// Whole counts of a series of rates: each step is Poisson with the step's mean.
///
/// Gaps become zero: the caller decides beforehand what a gap means.
#[must_use]
pub fn counts(rates: &Series, seed: Seed) -> Vec<u32> {
    let mut stream = Stream::of(seed, "sample/counts");
    let seconds = rates.step().seconds();
    rates
        .iter()
        .map(|r| stream.poisson(r.unwrap_or(0.0) * seconds) as u32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_week_has_quiet_ends_and_the_deploy_lifts_the_level() {
        let rates = Sample {
            noise: 0.0,
            bursts: 0.0,
            ..Sample::default()
        }
        .rates(Seed(42));
        let day = |d: usize| -> f64 {
            (0..1440)
                .filter_map(|m| rates.get(d * 1440 + m))
                .sum::<f64>()
                / 1440.0
        };
        assert!((day(0) - 4.0).abs() < 0.01, "{}", day(0));
        assert!((day(5) / day(0) - 0.6).abs() < 0.01);
        assert!((day(10) / day(3) - 1.35).abs() < 0.01);
    }

    #[test]
    fn the_same_seed_gives_the_same_counts() {
        let counts_of = |seed| counts(&Sample::default().rates(Seed(seed)), Seed(seed));
        assert_eq!(counts_of(1), counts_of(1));
        assert_ne!(counts_of(1), counts_of(2));
    }
}
