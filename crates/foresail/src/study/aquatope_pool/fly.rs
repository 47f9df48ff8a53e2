//! Every policy over every subject.

use anyhow::Result;
use foresail_sim::driver::Deaf;
use foresail_sim::function::FunctionMeasures;
use foresail_sim::function::measure::{Class, at_level};
use foresail_sim::function::policy::{
    FIXED_MINUTES, FunctionPolicy, fixed, histogram, net, on_forecast, oracle, reactive,
};
use rayon::prelude::*;
use serde_json::json;

use super::nets::Nets;
use super::subjects::Subject;
use crate::compare::function_mode;

/// The policy that the study is about.
pub(super) const OURS: &str = "aquatope-pool";

/// The published scheduler as it would have used its net.
pub(super) const PUBLISHED: &str = "aquatope-published";

/// The policy that it is to beat.
pub(super) const HISTOGRAM: &str = "keepalive-histogram";

/// The fixed keep-alive that memory is told as a share of.
pub(super) const FIXED: &str = "keepalive-fixed";

/// The reference that knows the future.
pub(super) const ORACLE: &str = "oracle";

/// Keep-alives at which the net's pools are flown, in seconds.
pub(super) const KEEP_ALIVES: [u32; 4] = [60, 120, 300, 600];

/// Quantiles at which they are flown, in percent.
pub(super) const QUANTILES: [f64; 3] = [80.0, 90.0, 99.0];

/// Passes of the sweeps: a quarter of the default, which a mean and a variance hardly tell apart.
const SWEPT_PASSES: u32 = 32;

/// What a run came to. Units: percent, GB·s, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) cold_starts: f64,
    pub(super) cold: f64,
    /// By class, in the order of [`Class::ALL`]; not a number where none was called.
    pub(super) cold_by_class: [f64; 3],
    pub(super) latency_p99: [f64; 3],
    /// Cold share of the function at the third quartile.
    pub(super) third_quartile: f64,
    pub(super) warm: f64,
}

impl Figures {
    fn of(m: &FunctionMeasures) -> Self {
        let latency = |c: Class| {
            let level = m.latency_by_class[c as usize].quantile_seconds(0.99);
            level.unwrap_or(f64::NAN) * 1000.0
        };
        Self {
            cold_starts: m.cold_starts() as f64,
            cold: m.cold_percent(),
            cold_by_class: Class::ALL.map(|c| m.cold_percent_of(c)),
            latency_p99: Class::ALL.map(latency),
            third_quartile: at_level(&m.cold_percents(), 0.75).unwrap_or(f64::NAN),
            warm: m.warm_memory_time(),
        }
    }
}

/// Every run over one subject.
#[derive(Clone, Debug)]
pub(super) struct Flown {
    pub(super) policies: Vec<(String, Figures)>,
    /// The fixed keep-alive by its minutes.
    pub(super) line: Vec<(u32, Figures)>,
    /// The net's pools by keep-alive in seconds, at the default quantile.
    pub(super) by_keep_alive: Vec<(u32, Figures)>,
    /// The same by quantile in percent, at the default keep-alive.
    pub(super) by_quantile: Vec<(f64, Figures)>,
}

/// The policies, in the order of the tables.
fn policies(nets: &Nets) -> Vec<FunctionPolicy> {
    let published = net(Some(nets.published.save()))
        .named(PUBLISHED)
        .with("passes", json!(1))
        .with("quantilePercent", json!(50))
        .with("keepAliveSeconds", json!(0));
    vec![
        fixed(10),
        histogram(),
        reactive(),
        on_forecast("pool-ets", "ets", ""),
        on_forecast("pool-fourier", "fourier", ""),
        on_forecast("predictive", "auto", ""),
        published,
        net(None),
        net(None)
            .named("aquatope-pool, up")
            .with("rounding", json!("up"))
            .with("passes", json!(SWEPT_PASSES)),
        oracle(),
    ]
}

/// Runs that will be made.
pub(super) fn runs(subjects: &[Subject]) -> u64 {
    let each = 10 + FIXED_MINUTES.len() + KEEP_ALIVES.len() + QUANTILES.len();
    (subjects.len() * each) as u64
}

/// Flies every policy; `done` is called after each run.
///
/// # Errors
/// Where a policy or a subject cannot be simulated.
pub(super) fn all(
    subjects: &[Subject],
    nets: &Nets,
    done: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Flown>> {
    let mut every = policies(nets);
    let named = every.len();
    every.extend(FIXED_MINUTES.iter().map(|m| fixed(*m)));
    let swept = || net(None).with("passes", json!(SWEPT_PASSES));
    every.extend(
        KEEP_ALIVES
            .iter()
            .map(|s| swept().with("keepAliveSeconds", json!(s))),
    );
    every.extend(
        QUANTILES
            .iter()
            .map(|q| swept().with("quantilePercent", json!(q))),
    );
    let pairs: Vec<(&Subject, &FunctionPolicy)> = subjects
        .iter()
        .flat_map(|s| every.iter().map(move |p| (s, p)))
        .collect();
    let fly = |(subject, policy): &(&Subject, &FunctionPolicy)| -> Result<Figures> {
        let figures = one(subject, policy)?;
        done(&policy.name);
        Ok(figures)
    };
    let figures: Vec<Figures> = pairs.par_iter().map(fly).collect::<Result<_>>()?;
    let flown = figures.chunks(every.len()).map(|figures| {
        let (names, rest) = figures.split_at(named);
        let (line, rest) = rest.split_at(FIXED_MINUTES.len());
        let (by_keep_alive, by_quantile) = rest.split_at(KEEP_ALIVES.len());
        Flown {
            policies: every
                .iter()
                .zip(names)
                .map(|(p, f)| (p.name.clone(), *f))
                .collect(),
            line: FIXED_MINUTES
                .into_iter()
                .zip(line.iter().copied())
                .collect(),
            by_keep_alive: KEEP_ALIVES
                .into_iter()
                .zip(by_keep_alive.iter().copied())
                .collect(),
            by_quantile: QUANTILES
                .into_iter()
                .zip(by_quantile.iter().copied())
                .collect(),
        }
    });
    Ok(flown.collect())
}

fn one(subject: &Subject, policy: &FunctionPolicy) -> Result<Figures> {
    let scene = (&subject.platform, subject.functions.as_slice());
    let (measures, _) = function_mode::fly(policy, scene, None, subject.seed, Deaf)?;
    Ok(Figures::of(&measures))
}
