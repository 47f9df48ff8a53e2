//! `aquatope-pool`: a pool holds the upper quantile of the next window's peak as one net tells it for
//! all functions.
//!
//! The net reads the last 48 minutes of each function, scaled by its own history, and says a mean and,
//! by passes with dropout left on, how sure it is; what passes do not know of is added from the
//! net's errors. How far the quantile lies above the middle is then moved by what came of each
//! function, until as much is held as is promised.
//! Source: Zhou, Zhang & Delimitrou, AQUATOPE, ASPLOS 2023.

use foresail_core::engine::{hex, unhex};
use foresail_core::history::{TargetHistory, View};
use foresail_core::observe::Metric;
use foresail_core::propose::plan::TargetId;
use foresail_core::propose::{
    Absence, Context, PeakAhead, Peaks, Proposal, Proposer, RestoreError,
};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{larger, smaller};
use foresail_core::spec::SpecProblem;
use serde::{Deserialize, Serialize};

use super::{KEEP_ALIVE, QUANTILE, Rounding, wish};
use crate::forecast::calibrate::Calibrator;
use crate::forecast::pool_net::{Ask, FileError, PoolNet, Scale, restore_net};
use crate::forecast::quantile::normal_quantile;
use crate::knobs::{Kind, Knob};
use crate::propose::on_forecast::TICKS_PER_SAVE;
use crate::propose::one_per_target;
use crate::refit::step_of;
use crate::registry::{Build, Built, Entry};
use crate::rng::Seed;

/// The net that serves until another one is installed.
static SHIPPED: &[u8] = include_bytes!("../../../assets/pool-net.safetensors");

/// Steps of a gap over which the last value is held; after a longer one the window begins anew.
const HELD_MAX: i64 = 5;

/// Steps by which a function's scale forgets: a week of minutes.
const MEMORY: f64 = 10_080.0;

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "aquatope-pool",
    summary: "a pool holds the upper quantile of the next peak by a net that knows how sure it is",
    knobs: &[
        QUANTILE,
        KEEP_ALIVE,
        Knob::whole(
            "passes",
            [128, 1, 1024],
            "passes with dropout left on; one tells a point, its doubt being that of the residuals",
        ),
        Knob {
            name: "rounding",
            kind: Kind::Word {
                default: "nearest",
                known: &["nearest", "up"],
            },
            doc: "how a quantile between two whole numbers becomes containers",
        },
    ],
    build,
};

/// The shipped net.
///
/// # Errors
/// [`FileError`] where the file that was built in cannot be read: a broken build.
pub fn shipped() -> Result<PoolNet, FileError> {
    restore_net(SHIPPED)
}

fn build(build: &Build<'_>) -> Built {
    let net =
        shipped().map_err(|e| vec![SpecProblem::new(build.path.to_owned(), e.to_string())])?;
    let percent = build.knobs.number("quantilePercent");
    Ok(Box::new(NetPool {
        net,
        installed: None,
        level: percent / 100.0,
        keep_alive: Span::from_seconds(build.knobs.number("keepAliveSeconds").round() as i64),
        passes: build.knobs.whole("passes") as usize,
        rounding: match build.knobs.word("rounding") {
            "up" => Rounding::Up,
            _ => Rounding::Nearest,
        },
        seed: build.seed,
        memory: Vec::new(),
    }))
}

/// What is ahead of a function that is called seldom.
const QUIET: PeakAhead = PeakAhead {
    middle: 0.0,
    low: 0.0,
    high: 0.0,
};

/// What is remembered of one function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Memory {
    target: TargetId,
    /// Number of the last step that was taken in.
    seen: Option<i64>,
    /// The last values, the newest last.
    window: Vec<f64>,
    /// Steps, their mean and mean square about it, older ones forgotten.
    count: f64,
    mean: f64,
    variance: f64,
    calibrator: Calibrator,
    /// Quantiles that were told of a step.
    told: Option<(i64, Vec<f64>)>,
}

impl Memory {
    fn new(target: TargetId) -> Self {
        Self {
            target,
            seen: None,
            window: Vec::new(),
            count: 0.0,
            mean: 0.0,
            variance: 0.0,
            calibrator: Calibrator::default(),
            told: None,
        }
    }

    /// Takes in every point that is new; `most` is the length of the window.
    fn absorb(&mut self, history: &TargetHistory, step: Span, most: usize, levels: &[f64]) {
        let points = history.points(Metric::BusyPeak);
        let seen = self.seen.unwrap_or(i64::MIN);
        let first = points.partition_point(|p| step_of(p.at, step) <= seen);
        for point in points.range(first..) {
            let number = step_of(point.at, step);
            if self.seen.is_none_or(|last| number > last) {
                self.take(number, point.value, most, levels);
            }
        }
    }

    fn take(&mut self, number: i64, value: f64, most: usize, levels: &[f64]) {
        let missed = self.seen.map_or(0, |last| number - last - 1);
        match self.window.last().copied() {
            Some(last) if missed <= HELD_MAX => {
                let held = usize::try_from(missed).unwrap_or(0);
                self.window.extend(std::iter::repeat_n(last, held));
            }
            _ => self.window.clear(),
        }
        self.window.push(value);
        self.window.drain(..self.window.len().saturating_sub(most));
        if let Some((_, told)) = self.told.take_if(|(step, _)| *step == number) {
            self.calibrator.learn(levels, &told, value);
        }
        self.count = smaller(self.count + 1.0, MEMORY);
        let differ = value - self.mean;
        self.mean += differ / self.count;
        let square = differ * (value - self.mean);
        self.variance += (square - self.variance) / self.count;
        self.seen = Some(number);
    }

    /// `true` where nothing was busy throughout the window: one net for all functions tells no more of
    /// such a one than that it is called seldom.
    fn is_quiet(&self) -> bool {
        self.window.iter().all(|v| *v <= 0.0)
    }

    fn scale(&self) -> Scale {
        let deviation = self.variance.sqrt();
        let varies = deviation > 1e-9 * self.mean.abs();
        Scale {
            mean: self.mean,
            deviation: if varies { deviation } else { 0.0 },
        }
    }

    /// Why the net cannot be asked about the step that ends after `now`, where it cannot.
    fn absence(&self, now: Timestamp, step: Span, most: usize) -> Option<Absence> {
        let last = self.seen?;
        if step_of(now, step) - last > HELD_MAX {
            return Some(Absence::NoMetric);
        }
        (self.window.len() < most).then_some(Absence::NoHistory)
    }
}

/// Wishes the upper quantile of every function's next peak as its pool.
#[derive(Debug)]
struct NetPool {
    net: PoolNet,
    /// The file of the net, where it is not the shipped one.
    installed: Option<Vec<u8>>,
    level: f64,
    keep_alive: Span,
    passes: usize,
    rounding: Rounding,
    seed: Seed,
    memory: Vec<Memory>,
}

/// What is saved.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct State {
    /// The net's file in hexadecimal, where it is not the shipped one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    net: Option<String>,
    memory: Vec<Memory>,
}

impl NetPool {
    /// Lower edge of the band, the middle, and the quantile that sizes a pool.
    fn levels(&self) -> [f64; 3] {
        [0.1, 0.5, self.level]
    }

    /// What is ahead of every function, in the order of the spec.
    fn ahead(&mut self, now: Timestamp) -> Vec<Result<PeakAhead, Absence>> {
        let (step, most) = (self.net.step(), self.net.window());
        let absent = |m: &Memory| match m.seen {
            None => Some(Absence::NoHistory),
            Some(_) => m.absence(now, step, most),
        };
        let absences: Vec<Option<Absence>> = self.memory.iter().map(absent).collect();
        let known = self.memory.iter().zip(&absences);
        let asks = known.filter(|(m, absence)| absence.is_none() && !m.is_quiet());
        let asks: Vec<Ask<'_>> = asks
            .map(|(m, _)| Ask {
                id: m.target.as_str(),
                window: &m.window,
                scale: m.scale(),
                next: Timestamp::from_nanos(m.seen.unwrap_or(0).saturating_mul(step.nanos())),
            })
            .collect();
        let mut told = self.net.tell(&asks, self.passes, self.seed).into_iter();
        let levels = self.levels();
        let one = |(memory, absence): (&mut Memory, Option<Absence>)| {
            if let Some(why) = absence {
                return Err(why);
            }
            if memory.is_quiet() {
                return Ok(QUIET);
            }
            let told = told.next().and_then(Result::ok);
            let next = told.and_then(|steps| steps.first().copied());
            let next = next.ok_or(Absence::NoMetric)?;
            let quantiles = levels.map(|l| next.center + normal_quantile(l) * next.deviation());
            let calibrated = memory
                .calibrator
                .told(&levels, &quantiles, quantiles[1], 0.0);
            let [low, middle, high] = [0, 1, 2].map(|i| larger(calibrated[i], 0.0));
            memory.told = memory.seen.map(|last| (last + 1, calibrated));
            Ok(PeakAhead { middle, low, high })
        };
        self.memory.iter_mut().zip(absences).map(one).collect()
    }
}

impl Proposer for NetPool {
    fn propose(&mut self, view: &View<'_>, context: &Context<'_>) -> Proposal {
        let new = |id: &TargetId| Memory::new(id.clone());
        one_per_target(&mut self.memory, view.spec, |m| &m.target, new);
        let (step, most, levels) = (self.net.step(), self.net.window(), self.levels());
        for (place, memory) in self.memory.iter_mut().enumerate() {
            if let Some(history) = view.target(place) {
                memory.absorb(history, step, most, &levels);
            }
        }
        let ahead = self.ahead(context.now);
        let ids = view.spec.targets().iter().map(|t| t.id.clone());
        let peaks = Peaks {
            forecaster: "pool net",
            level_percent: (self.level * 100.0).round() as u8,
            targets: ids.zip(ahead).collect(),
        };
        wish(peaks, self.keep_alive, self.rounding)
    }

    fn install(&mut self, artifact: &[u8]) -> bool {
        let Ok(net) = restore_net(artifact) else {
            return false;
        };
        self.net = net;
        self.installed = Some(artifact.to_vec());
        for memory in &mut self.memory {
            memory.told = None;
        }
        true
    }

    fn ticks_per_save(&self) -> u64 {
        TICKS_PER_SAVE
    }

    fn save(&self) -> Vec<u8> {
        let state = State {
            net: self.installed.as_deref().map(hex),
            memory: self.memory.clone(),
        };
        serde_json::to_vec(&state).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let failed = |why: String| RestoreError {
            proposer: ENTRY.name.to_owned(),
            why,
        };
        let state: State = serde_json::from_slice(state).map_err(|e| failed(e.to_string()))?;
        if let Some(file) = state.net {
            let bytes =
                unhex(&file).ok_or_else(|| failed("its net is not hexadecimal".to_owned()))?;
            self.net = restore_net(&bytes).map_err(|e| failed(e.to_string()))?;
            self.installed = Some(bytes);
        }
        self.memory = state.memory;
        Ok(())
    }
}
