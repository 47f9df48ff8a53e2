//! What every mode goes by, rehearsed and live: bounds, targets, the HPA object, what engines are told.
//!
//! Source of every number: alcocuzzi/etp, autoscaler/config.py.

use anyhow::{Result, ensure};
use foresail_core::hpa::ControllerSettings;
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::{Quantity, Unit};
use foresail_core::spec::{CombineRule, CombineSpec, Floor, Mode as Allowed, ProposerSpec, Spec};

use super::Mode;
use super::webapp::Hpa;
use super::world::STARTUP;

/// The HPA controller's own interval.
const SYNC_SECONDS_MAX: i64 = 15;

/// The most that a replica may be counted for, in requests per second.
const CAPACITY_MAX: f64 = 1e6;

/// The options of the experiment that its rules depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Time between two rows.
    pub interval: Span,
    /// Length of the run; zero = that of the schedule.
    pub length: Span,
    /// The workload's name.
    pub deployment: String,
    /// The fewest replicas.
    pub min: u32,
    /// The most replicas.
    pub max: u32,
    /// CPU that is aimed at, in percent of the request.
    pub cpu_target: u32,
    /// Memory that is aimed at, in percent of the request.
    pub memory_target: u32,
    /// What an adviser is shown of the past.
    pub history: Span,
    /// Demand that one replica is counted for, in requests per second, by the policy that forecasts it;
    /// `None` = it learns that.
    pub capacity: Option<f64>,
}

/// What every mode goes by.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// What it was made of.
    pub options: Options,
    /// Time between two turns of the loop.
    pub sync: Span,
    /// Turns of the loop from one row to the next.
    pub turns: usize,
    /// The settings of the cluster's own HPA controller.
    pub controller: ControllerSettings,
}

impl Rules {
    /// The rules of some options.
    ///
    /// # Errors
    /// Where an option is out of its range, with the mend.
    pub fn new(options: Options, controller: ControllerSettings) -> Result<Self> {
        check(&options)?;
        let seconds = options.interval.whole_seconds();
        let turns = (seconds + SYNC_SECONDS_MAX - 1) / SYNC_SECONDS_MAX;
        Ok(Self {
            sync: Span::from_nanos(options.interval.nanos() / turns),
            turns: usize::try_from(turns).unwrap_or(1),
            options,
            controller,
        })
    }

    /// The HPA, as hpa.yaml has it.
    #[must_use]
    pub fn hpa(&self) -> Hpa {
        Hpa {
            min: self.options.min,
            max: self.options.max,
            cpu_percent: self.options.cpu_target,
            memory_percent: self.options.memory_target,
        }
    }

    /// What the engine is told in a mode.
    ///
    /// The adviser's wish is taken before the HPA's, which stands behind it: without advice the HPA
    /// decides alone. `gated` withholds changes until enough of them were right. Whoever goes by no
    /// engine has the HPA's.
    #[must_use]
    pub fn spec(&self, mode: Mode, gated: bool) -> Spec {
        let mut spec = Spec::of_hpa(self.target(), self.hpa().spec());
        spec.interval = self.sync;
        spec.controller = self.controller.clone();
        spec.targets[0].startup = Some(STARTUP);
        match mode {
            Mode::HpaOnly | Mode::NaiveHpa | Mode::Oracle => return spec,
            Mode::Predictive => {
                let capacity = self.options.capacity;
                spec.targets[0].capacity = capacity.map(|c| Quantity::from_f64(c, Unit::PerSecond));
                spec.proposers = vec![ProposerSpec::named("predictive")];
                return spec;
            }
            Mode::AiScaler | Mode::Comparison => {}
        }
        let mut adviser = ProposerSpec::named("llm");
        let untrusted = if gated { "shadow" } else { "act" };
        adviser
            .knobs
            .insert("untrusted".to_owned(), untrusted.into());
        spec.proposers = vec![adviser, ProposerSpec::named("hpa")];
        spec.combine = CombineSpec {
            rule: CombineRule::First,
            // The published adviser may go below the HPA; half of it always stays.
            floor: Floor::Relaxed {
                min_share_percent: 50,
            },
            ..CombineSpec::default()
        };
        if mode == Mode::Comparison {
            spec.mode = Allowed::Shadow;
        }
        spec
    }

    /// What an HPA alone would be told that writes nothing.
    #[must_use]
    pub fn beside(&self) -> Spec {
        let mut spec = self.spec(Mode::HpaOnly, false);
        spec.mode = Allowed::Shadow;
        spec
    }

    /// The workload's name in the engine.
    #[must_use]
    pub fn target(&self) -> TargetId {
        TargetId::new(&self.options.deployment)
    }
}

fn check(options: &Options) -> Result<()> {
    let Options {
        interval,
        length,
        min,
        max,
        cpu_target,
        memory_target,
        history,
        capacity,
        ..
    } = options;
    ensure!(
        *interval >= Span::from_seconds(1) && *interval <= Span::from_seconds(3600),
        "--interval {}: must be 1 to 3600 seconds",
        interval.whole_seconds()
    );
    ensure!(
        !length.is_negative(),
        "--duration: must be 0 (the length of the schedule) or more minutes"
    );
    ensure!(*min >= 1, "--min-replicas 0: must be 1 or more");
    ensure!(
        min <= max,
        "--min-replicas {min} is above --max-replicas {max}: lower it, or raise the other"
    );
    ensure!(*max <= 1000, "--max-replicas {max}: must be 1000 or less");
    for (name, value) in [("cpu", cpu_target), ("memory", memory_target)] {
        ensure!(
            (1..=1000).contains(value),
            "--{name}-target {value}: must be 1 to 1000 percent"
        );
    }
    ensure!(
        *history >= Span::from_seconds(60),
        "--history-minutes: must be 1 or more"
    );
    ensure!(
        capacity.is_none_or(|c| c > 0.0 && c <= CAPACITY_MAX),
        "--capacity {}: must be above 0 and at most {CAPACITY_MAX} requests per second",
        capacity.unwrap_or_default()
    );
    Ok(())
}
