//! The study's own simulator: minutes, containers, five policies, a safety net, seven scores.
//!
//! This is a re-run of one published simulator and nothing else; policies of Foresail are proposers
//! and run in `foresail-sim`. Two sets of rules: those of the study, in which scaling takes no time
//! and the safety net sees the minute that it saves, and corrected ones, in which a container starts
//! for a while and nothing at minute i knows minute i.
//! Source: Ivan825/Predictive-Auto-Scaling-of-Dockerized-ML-Applications:
//! src/{policies,safety_net,simulator,metrics}.py.

use foresail_models::forecast::quantile::of_sorted;

/// Demand that one container serves. Units: requests per minute.
pub(super) const CAPACITY: f64 = 25.0;

/// Containers at the begin, and for good under the static policy.
const BEGIN: u32 = 2;

/// Minutes between two changes of the policy that goes by single steps.
const COOLDOWN: usize = 10;

/// The most containers that it asks for.
const STEPS_MAX: u32 = 20;

/// The five policies in the study's order.
pub(super) const POLICIES: [Policy; 5] = [
    Policy::Static,
    Policy::Simple,
    Policy::Buffered,
    Policy::Confident,
    Policy::Stepwise,
];

/// One policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Policy {
    /// Two containers, always.
    Static,
    /// What covers the forecast.
    Simple,
    /// What covers the forecast and 15 % more.
    Buffered,
    /// What covers the upper bound of the forecast.
    Confident,
    /// One more or one less, at most every ten minutes.
    Stepwise,
}

impl Policy {
    /// Its name in the published files.
    #[must_use]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Static => "static2",
            Self::Simple => "simple",
            Self::Buffered => "buffered",
            Self::Confident => "conf",
            Self::Stepwise => "policy",
        }
    }

    /// Its name in the published description.
    #[must_use]
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Static => "Static-2",
            Self::Simple => "Simple Ceiling",
            Self::Buffered => "Buffered",
            Self::Confident => "Confidence-Aware",
            Self::Stepwise => "Policy-Aware",
        }
    }

    /// What it asks for; `None` where it leaves things as they are.
    fn wish(self, told: Told, current: u32, since: usize) -> Option<u32> {
        let covering = |demand: f64| (demand / CAPACITY).ceil().clamp(1.0, 1e6) as u32;
        match self {
            Self::Static => Some(BEGIN),
            Self::Simple => Some(covering(told.middle)),
            Self::Buffered => Some(covering(1.15 * told.middle)),
            Self::Confident => Some(covering(told.upper)),
            Self::Stepwise => {
                let (need, free) = (told.middle / CAPACITY, since >= COOLDOWN);
                if free && need > f64::from(current) {
                    Some((current + 1).min(STEPS_MAX))
                } else if free && need < 0.6 * f64::from(current) {
                    Some(current.saturating_sub(1).max(1))
                } else {
                    None
                }
            }
        }
    }
}

/// What a forecaster said about one minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Told {
    /// The forecast.
    pub(super) middle: f64,
    /// The upper bound of its 80 % band.
    pub(super) upper: f64,
}

/// Under which rules the minutes are replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// As published.
    Published,
    /// Nothing known before its time; a container serves so many minutes after it was asked for.
    Corrected {
        /// Minutes that a container starts for.
        startup: usize,
    },
}

/// One minute as it came to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Minute {
    /// Requests that came.
    pub(super) demand: f64,
    /// The forecast that the policy went by.
    pub(super) told: f64,
    /// Containers that were there, starting ones included.
    pub(super) containers: u32,
    /// Containers that served.
    pub(super) serving: u32,
    /// Latency in milliseconds.
    pub(super) latency: f64,
    /// CPU in percent.
    pub(super) cpu: f64,
}

impl Minute {
    /// More than needed: capacity above 115 % of demand.
    #[must_use]
    pub(super) fn over(&self) -> bool {
        CAPACITY * f64::from(self.serving) > 1.15 * self.demand
    }

    /// Less than needed: the violation of the study.
    #[must_use]
    pub(super) fn under(&self) -> bool {
        self.demand > CAPACITY * f64::from(self.serving)
    }
}

/// Latency in milliseconds and CPU in percent where `serving` containers share `demand`.
#[must_use]
pub(super) fn performance(demand: f64, serving: u32) -> (f64, f64) {
    let each = demand / f64::from(serving.max(1));
    let share = each / CAPACITY;
    let least = |cpu: f64| if cpu < 100.0 { cpu } else { 100.0 };
    if each <= CAPACITY {
        (40.0, least(70.0 * share))
    } else {
        let latency = 40.0 + 2.0 * (each - CAPACITY).powf(1.5);
        (latency, least(70.0 + 100.0 * (share - 1.0)))
    }
}

/// `true` where the safety net would add a container.
fn alarms((latency, cpu): (f64, f64)) -> bool {
    latency > 150.0 || cpu > 90.0
}

/// Replays `demand` under a policy that is told `told` for each minute.
///
/// Shapes: equal lengths. Under corrected rules `told[i]` is what was known before minute i about
/// the minute in which a container asked for at i first serves.
#[must_use]
pub(super) fn replay(policy: Policy, demand: &[f64], told: &[Told], rules: Rules) -> Vec<Minute> {
    match rules {
        Rules::Published => published(policy, demand, told),
        Rules::Corrected { startup } => corrected(policy, demand, told, startup),
    }
}

/// As published: what is asked for serves at once, and the net mends the very minute it sees.
///
/// The static policy is published as the stepwise one with its container column overwritten, so
/// that latency and CPU are another policy's.
fn published(policy: Policy, demand: &[f64], told: &[Told]) -> Vec<Minute> {
    let run = if policy == Policy::Static {
        Policy::Stepwise
    } else {
        policy
    };
    let (mut current, mut last): (u32, Option<usize>) = (BEGIN, None);
    let mut minutes = Vec::with_capacity(demand.len());
    for (i, (demand, told)) in demand.iter().zip(told).enumerate() {
        let since = last.map_or(usize::MAX, |last| i - last);
        // A step down at one container changes nothing and begins a cooldown all the same.
        if let Some(wish) = run.wish(*told, current, since) {
            (current, last) = (wish, Some(i));
        }
        let mut seen = performance(*demand, current);
        if alarms(seen) {
            (current, last) = (current + 1, Some(i));
            seen = performance(*demand, current);
        }
        let shown = if policy == Policy::Static {
            BEGIN
        } else {
            current
        };
        minutes.push(Minute {
            demand: *demand,
            told: told.middle,
            containers: shown,
            serving: shown,
            latency: seen.0,
            cpu: seen.1,
        });
    }
    minutes
}

/// Corrected: containers start for a while, and the net has seen the minute before.
fn corrected(policy: Policy, demand: &[f64], told: &[Told], startup: usize) -> Vec<Minute> {
    let (mut serving, mut last): (u32, Option<usize>) = (BEGIN, None);
    // When each container that starts will serve, the earliest first.
    let mut starting: Vec<usize> = Vec::new();
    let mut alarm = false;
    let mut minutes = Vec::with_capacity(demand.len());
    for (i, (demand, told)) in demand.iter().zip(told).enumerate() {
        let ready = starting.iter().filter(|at| **at <= i).count();
        starting.drain(..ready);
        serving += ready as u32;
        let current = serving + starting.len() as u32;
        let since = last.map_or(usize::MAX, |last| i - last);
        let mut wish = policy.wish(*told, current, since).unwrap_or(current);
        // A net that has asked waits for what it asked for.
        if alarm && policy != Policy::Static && starting.is_empty() {
            wish = wish.max(current + 1);
        }
        if wish != current {
            last = Some(i);
        }
        while serving + (starting.len() as u32) < wish {
            starting.push(i + startup);
        }
        while serving + (starting.len() as u32) > wish {
            if starting.pop().is_none() {
                serving -= 1;
            }
        }
        if startup == 0 {
            serving += starting.drain(..).count() as u32;
        }
        let seen = performance(*demand, serving);
        alarm = alarms(seen);
        minutes.push(Minute {
            demand: *demand,
            told: told.middle,
            containers: serving + starting.len() as u32,
            serving,
            latency: seen.0,
            cpu: seen.1,
        });
    }
    minutes
}

/// The seven scores of the study.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scores {
    /// Share of minutes with more than needed, in percent.
    pub(super) over_percent: f64,
    /// Minutes with less than needed: SLO violations.
    pub(super) under: usize,
    /// Mean latency in milliseconds.
    pub(super) latency_mean: f64,
    /// 95th percentile of latency in milliseconds.
    pub latency_p95: f64,
    /// Mean CPU in percent.
    pub(super) cpu_mean: f64,
    /// Changes of the number of containers.
    pub(super) switches: usize,
    /// Container-minutes.
    pub(super) cost: u64,
    /// The most containers.
    pub(super) most: u32,
}

/// Scores of a replay.
///
/// The published count of changes takes the first minute for one, which has none before it.
#[must_use]
pub(super) fn score(minutes: &[Minute], rules: Rules) -> Scores {
    let n = minutes.len().max(1) as f64;
    let count = |test: fn(&Minute) -> bool| minutes.iter().filter(|m| test(m)).count();
    let mean = |value: fn(&Minute) -> f64| minutes.iter().map(value).sum::<f64>() / n;
    let mut sorted: Vec<f64> = minutes.iter().map(|m| m.latency).collect();
    sorted.sort_by(f64::total_cmp);
    let changes = minutes
        .windows(2)
        .filter(|w| w[0].containers != w[1].containers);
    let first = usize::from(rules == Rules::Published && !minutes.is_empty());
    Scores {
        over_percent: 100.0 * count(Minute::over) as f64 / n,
        under: count(Minute::under),
        latency_mean: mean(|m| m.latency),
        latency_p95: of_sorted(&sorted, 0.95),
        cpu_mean: mean(|m| m.cpu),
        switches: changes.count() + first,
        cost: minutes.iter().map(|m| u64::from(m.containers)).sum(),
        most: minutes.iter().map(|m| m.containers).max().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use foresail_sim::workload::published::{MINUTES, SEED, SHAPES};

    use super::*;

    /// Scenario, forecast, policy, violations, over %, cost, changes, most, mean latency: figures
    /// of an independent program that reproduces every container of the six published logs.
    type Row = (usize, bool, Policy, usize, f64, u64, usize, u32, f64);

    const TABLE: [Row; 12] = [
        (0, true, Policy::Simple, 0, 89.087, 13819, 575, 6, 40.0),
        (0, true, Policy::Buffered, 0, 100.0, 14919, 821, 7, 40.0),
        (
            0,
            true,
            Policy::Stepwise,
            438,
            88.036,
            14336,
            381,
            4,
            40.685,
        ),
        (
            0,
            false,
            Policy::Simple,
            282,
            88.542,
            13861,
            597,
            6,
            40.6191,
        ),
        (1, true, Policy::Simple, 0, 88.968, 13632, 548, 5, 40.0),
        (1, true, Policy::Buffered, 0, 100.0, 14744, 874, 6, 40.0),
        (
            1,
            true,
            Policy::Stepwise,
            652,
            85.387,
            13401,
            489,
            3,
            40.6919,
        ),
        (1, false, Policy::Simple, 268, 88.73, 13642, 540, 5, 40.1989),
        (2, true, Policy::Simple, 0, 88.651, 14368, 787, 9, 40.0),
        (2, true, Policy::Buffered, 0, 100.0, 15515, 803, 10, 40.0),
        (2, true, Policy::Stepwise, 487, 88.77, 15748, 460, 5, 44.223),
        (
            2,
            false,
            Policy::Simple,
            388,
            88.264,
            14477,
            860,
            9,
            45.2626,
        ),
    ];

    fn told(demand: &[f64], perfect: bool) -> Vec<Told> {
        let at = |i: usize| demand[if perfect { i } else { i.saturating_sub(1) }];
        let told = |i: usize| Told {
            middle: at(i),
            upper: at(i),
        };
        (0..demand.len()).map(told).collect()
    }

    fn printed(value: f64, wanted: f64) -> bool {
        let digits = format!("{wanted}").split('.').nth(1).map_or(0, str::len);
        (value - wanted).abs() <= 0.51 * 10_f64.powi(-(digits as i32))
    }

    #[test]
    fn published_rules_give_the_published_numbers_to_the_printed_digit() {
        for (scenario, perfect, policy, under, over, cost, switches, most, latency) in TABLE {
            let demand = &SHAPES[scenario].trace(SEED).demand[MINUTES / 2..];
            let minutes = replay(policy, demand, &told(demand, perfect), Rules::Published);
            let s = score(&minutes, Rules::Published);
            let what = format!("{} {policy:?} {perfect}: {s:?}", SHAPES[scenario].name);
            assert_eq!(
                (s.under, s.cost, s.switches, s.most),
                (under, cost, switches, most),
                "{what}"
            );
            assert!(
                printed(s.over_percent, over) && printed(s.latency_mean, latency),
                "{what}"
            );
        }
    }

    #[test]
    fn two_containers_have_the_published_violations() {
        for (scenario, under, over) in [(0, 38, 99.623), (1, 5, 99.95), (2, 104, 98.909)] {
            let demand = &SHAPES[scenario].trace(SEED).demand[MINUTES / 2..];
            for rules in [Rules::Published, Rules::Corrected { startup: 1 }] {
                let minutes = replay(Policy::Static, demand, &told(demand, true), rules);
                let s = score(&minutes, rules);
                assert_eq!((s.under, s.cost), (under, 20_160), "{rules:?}");
                assert!(printed(s.over_percent, over), "{s:?}");
                assert_eq!(s.switches, usize::from(rules == Rules::Published));
            }
        }
    }

    #[test]
    fn corrected_static_has_its_own_latency() {
        let demand = [40.0, 45.0, 70.0];
        let told = told(&demand, true);
        let rules = Rules::Corrected { startup: 1 };
        let corrected = replay(Policy::Static, &demand, &told, rules);
        let wanted = 40.0 + 2.0 * 10.0_f64.powf(1.5);
        assert!((corrected[2].latency - wanted).abs() < 1e-12);
        let published = replay(Policy::Static, &demand, &told, Rules::Published);
        let other = "the stepwise policy's";
        assert_eq!(published[2].serving, 2);
        assert!((published[2].latency - 40.0).abs() < 1e-12, "{other}");
    }

    #[test]
    fn a_container_serves_only_after_its_start() {
        let demand = [20.0, 20.0, 120.0, 120.0, 120.0, 120.0];
        let told = told(&demand, true);
        let serving = |startup| -> Vec<u32> {
            let rules = Rules::Corrected { startup };
            let minutes = replay(Policy::Simple, &demand, &told, rules);
            minutes.iter().map(|m| m.serving).collect()
        };
        assert_eq!(serving(0), [1, 1, 5, 5, 5, 5]);
        assert_eq!(serving(2), [1, 1, 1, 1, 5, 5]);
    }

    #[test]
    fn a_decision_knows_nothing_of_its_own_minute_or_later() {
        let mut demand = SHAPES[2].trace(SEED).demand[..2000].to_vec();
        let told = told(&demand, false);
        for policy in POLICIES {
            let rules = Rules::Corrected { startup: 1 };
            let before = replay(policy, &demand, &told, rules);
            let kept = demand.clone();
            demand[1500..].iter_mut().for_each(|v| *v = 900.0 - *v);
            let after = replay(policy, &demand, &told, rules);
            // What is asked for at minute 1500 shows in it, starting or not.
            for i in 0..=1500 {
                assert_eq!(
                    before[i].containers, after[i].containers,
                    "{policy:?}, minute {i}"
                );
            }
            demand = kept;
        }
    }
}
