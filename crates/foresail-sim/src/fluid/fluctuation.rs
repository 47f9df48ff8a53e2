//! What a policy sees of a load: its mean, and how the number of busy servers moves about it.
//!
//! A policy that keeps the largest of its recent wishes, as the HPA does, is led by the peaks of what
//! it sees; means alone would make it thriftier than it is. The mean number of busy servers over a
//! stretch of length L has the variance a·S/L·(v + cv²)·(1 − S/L·(1 − e^(−L/S))): a the offered load,
//! S and cv mean and coefficient of variation of the service time, v the variance of the number of
//! arrivals over its mean (1 for Poisson arrivals; less where the count of a whole bin is given).
//! What breaks the promise is not touched: Erlang's formula knows of these fluctuations already.
//! Source: Gross & Harris, Fundamentals of Queueing Theory, 2.5 (the M/G/∞ queue).

use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::larger;
use foresail_models::rng::Seed;

use crate::config::{ClusterConfig, Pipeline};
use crate::rng::Stream;
use crate::workload::{Within, Workload};

/// Clusters of [`Within::Bursty`]: E[n²]/E[n] of their size n, 1 + Poisson(9).
const BURSTY: f64 = 10.9;

/// Draws deviations of the load from its mean.
#[derive(Clone, Debug)]
pub(crate) struct Fluctuation {
    stream: Stream,
    service_time: f64,
    /// Variance of arrivals over their mean, and squared coefficient of variation of the service.
    spread: f64,
    /// How far the last second lay from its mean, in standard deviations.
    last_second: f64,
}

impl Fluctuation {
    /// The fluctuation of a workload on a cluster, as seen through a pipeline's window.
    pub(crate) fn new(
        config: &ClusterConfig,
        pipeline: &Pipeline,
        workload: &Workload,
        seed: Seed,
    ) -> Self {
        let cv = config.service.shape.spread();
        let window = pipeline.window.max(pipeline.sync);
        Self {
            stream: Stream::of(seed, "fluctuation"),
            service_time: config.service.mean.seconds(),
            spread: arrivals_spread(workload, window) + cv * cv,
            last_second: 0.0,
        }
    }

    /// The load over a stretch: a draw around its mean, never below zero. Units: busy servers.
    pub(crate) fn around(&mut self, offered: f64, seconds: f64) -> f64 {
        if offered <= 0.0 {
            return 0.0;
        }
        let away = self.stream.normal();
        larger(offered + self.deviation(offered, seconds) * away, 0.0)
    }

    /// The load over the next second: seconds in a row are as alike as the requests are long.
    pub(crate) fn next_second(&mut self, offered: f64) -> f64 {
        let alike = (-1.0 / self.service_time).exp();
        let fresh = (1.0 - alike * alike).sqrt() * self.stream.normal();
        self.last_second = alike * self.last_second + fresh;
        larger(
            offered + self.deviation(offered, 1.0) * self.last_second,
            0.0,
        )
    }

    fn deviation(&self, offered: f64, seconds: f64) -> f64 {
        let short = self.service_time / seconds;
        let settled = 1.0 - short * (1.0 - (-1.0 / short).exp());
        (offered * short * self.spread * settled).sqrt()
    }
}

fn arrivals_spread(workload: &Workload, window: Span) -> f64 {
    match workload {
        Workload::Counts { step, within, .. } => {
            let share = window.seconds() / step.seconds();
            let left = if share < 1.0 { 1.0 - share } else { 0.0 };
            match within {
                Within::Uniform => 0.0,
                Within::Poisson => left,
                Within::Bursty => BURSTY * left,
            }
        }
        Workload::Rates { .. } | Workload::Mmpp { .. } => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of Poisson arrivals and exponential times of one second, over long stretches: 2a/L.
    #[test]
    fn the_draws_have_the_variance_of_the_queue() {
        let mut config = ClusterConfig::default();
        config.service.mean = Span::from_seconds(1);
        let workload = Workload::poisson(20.0, Span::from_seconds(1000));
        let mut drawn = Fluctuation::new(&config, &Pipeline::default(), &workload, Seed(1));
        let draws: Vec<f64> = (0..20_000).map(|_| drawn.around(20.0, 30.0)).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / 20_000.0;
        let want = 2.0 * 20.0 / 30.0 * (1.0 - 1.0 / 30.0);
        assert!((mean - 20.0).abs() < 0.05, "{mean}");
        assert!((variance / want - 1.0).abs() < 0.05, "{variance} {want}");
    }
}
